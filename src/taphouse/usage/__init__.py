"""Room ``usage``: what a server is configured with, declared once.

A class of typed options gives the command line, the environment, the TOML file,
the help text, validation, and the readable plan in a tap.  This room knows how
values are written and read; it must never know which servers there are, what a
tap looks like, or what is done with the options.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taphouse.lazy import lazy_door

if TYPE_CHECKING:
    from taphouse.errors import UsageError as UsageError
    from taphouse.usage.address import Address as Address
    from taphouse.usage.commands import make_command as make_command
    from taphouse.usage.declaring import argument as argument
    from taphouse.usage.declaring import command as command
    from taphouse.usage.declaring import option as option
    from taphouse.usage.kinds import Count as Count
    from taphouse.usage.kinds import Duration as Duration
    from taphouse.usage.kinds import Size as Size
    from taphouse.usage.options import Options as Options
    from taphouse.usage.parsing import parse as parse
    from taphouse.usage.paths import ExistingFile as ExistingFile
    from taphouse.usage.paths import ExistingFolder as ExistingFolder
    from taphouse.usage.paths import NewFile as NewFile
    from taphouse.usage.plain import from_plan as from_plan
    from taphouse.usage.plain import to_plan as to_plan
    from taphouse.usage.quantities import duration_s as duration_s
    from taphouse.usage.quantities import duration_text as duration_text
    from taphouse.usage.quantities import size_bytes as size_bytes
    from taphouse.usage.quantities import size_text as size_text
    from taphouse.usage.rendering import print_config as print_config
    from taphouse.usage.rendering import to_argv as to_argv
    from taphouse.usage.rendering import to_environment as to_environment
    from taphouse.usage.secret import Secret as Secret
    from taphouse.usage.sources import Parsed as Parsed
    from taphouse.usage.sources import Source as Source
    from taphouse.usage.toml import read_toml as read_toml
    from taphouse.usage.toml import write_toml as write_toml

__all__ = [
    "Address",
    "Count",
    "Duration",
    "ExistingFile",
    "ExistingFolder",
    "NewFile",
    "Options",
    "Parsed",
    "Secret",
    "Size",
    "Source",
    "UsageError",
    "argument",
    "command",
    "duration_s",
    "duration_text",
    "from_plan",
    "make_command",
    "option",
    "parse",
    "print_config",
    "read_toml",
    "size_bytes",
    "size_text",
    "to_argv",
    "to_environment",
    "to_plan",
    "write_toml",
]

if not TYPE_CHECKING:  # a type checker knows every name; it should miss the others
    __getattr__ = lazy_door(
        __name__,
        {
            "address": ["Address"],
            "commands": ["make_command"],
            "declaring": ["argument", "command", "option"],
            "kinds": ["Count", "Duration", "Size"],
            "options": ["Options"],
            "parsing": ["parse"],
            "paths": ["ExistingFile", "ExistingFolder", "NewFile"],
            "plain": ["from_plan", "to_plan"],
            "quantities": ["duration_s", "duration_text", "size_bytes", "size_text"],
            "rendering": ["print_config", "to_argv", "to_environment"],
            "secret": ["Secret"],
            "sources": ["Parsed", "Source"],
            "toml": ["read_toml", "write_toml"],
        },
    )
    from taphouse.errors import UsageError

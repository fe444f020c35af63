"""Source options: how a command line says where the distributions of a package come from.

The same for every kind of package.  This module must never look at files.
"""

from __future__ import annotations

import argparse

from taphouse.value import Value

__all__ = ["SourceOptions", "add_source_options", "source_options"]


class SourceOptions(Value, kw_only=True):
    """What was asked for.

    Args:
        python: ``3.13``, "" for what the code needs.
        platform: a machine, ``arm64`` or ``manylinux_2_36_aarch64``, "" for this one.
        requirements: a locked file, or "".
        wheels: a folder, or "".
        from_env: say that it is the running environment, which it is without the two above.
        strip: take the symbols out of compiled files.
    """

    python: str = ""
    platform: str = ""
    requirements: str = ""
    wheels: str = ""
    from_env: bool = False
    strip: bool = False


def add_source_options(group: argparse._ArgumentGroup, command: str) -> None:
    """Add ``--from-env --requirements --wheels --python --platform --strip`` to a parser.

    Args:
        group: what of it.
        command: its name, for the help.
    """
    group.add_argument(
        "--from-env",
        action="store_true",
        help=f"take what the code needs from the environment that {command} is installed in; the default",
    )
    group.add_argument(
        "--requirements",
        metavar="FILE",
        help="take all that this file locks, each with its --hash, as wheels; pip fetches those that are"
        " neither in --wheels nor in the cache",
    )
    group.add_argument(
        "--wheels",
        metavar="DIR",
        help="take wheels from this folder; without --requirements what the code needs of them, and no"
        " network is asked",
    )
    group.add_argument(
        "--python", metavar="3.N", help="run it with this Python and no other (default: what the code needs)"
    )
    group.add_argument(
        "--platform",
        metavar="MACHINE",
        help="make it for another machine, from wheels: arm64, or with the oldest C library that has to do"
        " manylinux_2_36_aarch64 (default: this one)",
    )
    group.add_argument(
        "--strip",
        action="store_true",
        help="take the symbols out of what is compiled, but where that would break it",
    )


def source_options(options: argparse.Namespace) -> SourceOptions:
    """Return what was parsed of the options above."""
    return SourceOptions(
        python=options.python or "",
        platform=options.platform or "",
        requirements=options.requirements or "",
        wheels=options.wheels or "",
        from_env=options.from_env,
        strip=options.strip,
    )

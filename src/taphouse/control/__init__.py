"""Watch: ask a running server how it is, and tell it what to do.

A control socket beside every server, a registry that finds it by name, a
client, and words for people.  What a verb does is handed in by whoever puts
the whole together.  This room must never know what an Application or a tap is,
nor the other rooms of its floor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taphouse.lazy import lazy_door

if TYPE_CHECKING:
    from taphouse.control.client import ControlError as ControlError
    from taphouse.control.client import ask as ask
    from taphouse.control.entry import Entry as Entry
    from taphouse.control.registration import Registration as Registration
    from taphouse.control.registration import register as register
    from taphouse.control.registry import NotRunningError as NotRunningError
    from taphouse.control.registry import find_server as find_server
    from taphouse.control.registry import list_servers as list_servers
    from taphouse.control.registry import registry_folders as registry_folders
    from taphouse.control.server import Actions as Actions
    from taphouse.control.server import ControlServer as ControlServer
    from taphouse.control.status import format_list as format_list
    from taphouse.control.status import format_status as format_status
    from taphouse.control.status import to_json as to_json

__all__ = [
    "Actions",
    "ControlError",
    "ControlServer",
    "Entry",
    "NotRunningError",
    "Registration",
    "ask",
    "find_server",
    "format_list",
    "format_status",
    "list_servers",
    "register",
    "registry_folders",
    "to_json",
]

if not TYPE_CHECKING:  # a type checker knows every name; it should miss the others
    __getattr__ = lazy_door(
        __name__,
        {
            "client": ["ControlError", "ask"],
            "entry": ["Entry"],
            "registration": ["Registration", "register"],
            "registry": ["NotRunningError", "find_server", "list_servers", "registry_folders"],
            "server": ["Actions", "ControlServer"],
            "status": ["format_list", "format_status", "to_json"],
        },
    )

"""Watch: ask a running server how it is, and tell it what to do.

A control socket beside every server, a registry that finds it by name, a
client, and words for people.  What a verb does is handed in by whoever puts
the whole together.  This room must never know what an Application or a tap is,
nor the other rooms of its floor.
"""

from taphouse.control.client import ControlError, ask
from taphouse.control.entry import Entry
from taphouse.control.registration import Registration, register
from taphouse.control.registry import NotRunningError, find_server, list_servers, registry_folders
from taphouse.control.server import Actions, ControlServer
from taphouse.control.status import format_list, format_status, to_json

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

"""`tap unit`: print the units with which systemd runs a tap on this machine.

A reader: it writes no file, and starts nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from taphouse.cli.output import say
from taphouse.cli.parsing import Parser
from taphouse.errors import UsageError

__all__ = ["make_parser", "run"]

_EPILOG = """\
examples:
  tap unit otk-start.tap          all units, each under a line with its file's name
  tap unit otk-start.tap otk.service > /etc/systemd/system/otk.service
                                  one of them
  tap unit --no-socket --user otk otk-start.tap
                                  it opens its ports itself, as a user that is there

The state is in /var/lib/NAME/server.tap and begins as a copy of FILE.tap."""
_STATE = "server.tap"
_DYNAMIC = "dynamic"
_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108  ProtectHome=, PrivateTmp=


def make_parser() -> Parser:
    """Return the parser of `tap unit`."""
    parser = Parser(
        "tap unit",
        usage="tap unit [options] FILE.tap [UNIT]",
        description="Print the units with which systemd runs a tap: a hardened service, and its sockets.",
        epilog=_EPILOG,
    )
    parser.add_argument("file", metavar="FILE.tap", help="the tap to start from")
    parser.add_argument("unit", metavar="UNIT", nargs="?", help="print this unit alone")
    parser.add_argument("--name", metavar="NAME", help="name of the units (default: the application's)")
    parser.add_argument(
        "--profile",
        choices=("auto", "lowport", "highport", "local", "sealed"),
        default="auto",
        help="what the server may do: open low ports, open high ports, talk to this machine only, use nothing"
        " but the sockets of systemd; auto takes lowport or highport (default: auto)",
    )
    parser.add_argument(
        "--user",
        metavar="USER",
        default=_DYNAMIC,
        help="the account to run as; dynamic lets systemd make one (default: dynamic)",
    )
    parser.add_argument(
        "--no-socket", dest="sockets", action="store_false", help="let the server open its ports itself"
    )
    parser.add_argument(
        "--allow-jit",
        action="store_true",
        help="let it make memory executable, as code that compiles itself does",
    )
    parser.add_argument("-b", "--debug", action="store_true", help="tracebacks of errors")
    return parser


def run(arguments: list[str]) -> int:
    """Print the units that ``arguments`` ask for.

    Raises:
        UsageError: there is no such unit, or no profile lets the server do what its tap says.
    """
    options = make_parser().parse(arguments)

    from taphouse.packaging import UnitSettings, make_units, package_name
    from taphouse.persist import read_info

    info = read_info(options.file)
    tap = os.path.abspath(options.file)
    settings = UnitSettings(
        package=options.name or package_name(info.name),
        description=f"{info.name}, a server that remembers",
        start=(sys.executable, "-m", "taphouse", "run", "--state", _STATE, tap),
        profile=options.profile,
        account="" if options.user == _DYNAMIC else options.user,
        sockets=options.sockets,
        allow_jit=options.allow_jit,
        credentials=tuple(sorted(set(_credentials(info.plan)))),
    )
    units = make_units(settings, info.plan)
    for note in _notes(tap):
        say("tap unit", note)
    if options.unit is not None:
        if options.unit not in units:
            raise UsageError(f"there is no unit {options.unit!r:.100}", cure=f"there is {', '.join(units)}")
        print(units[options.unit], end="")
        return 0
    print("\n".join(f"# /etc/systemd/system/{name}\n{text}" for name, text in units.items()), end="")
    return 0


def _credentials(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the secrets that servers of the plan expect of a service manager."""
    for server in plan.get("servers") or ():
        options = server.get("options") if isinstance(server, Mapping) else None
        for value in options.values() if isinstance(options, Mapping) else ():
            if isinstance(value, Mapping) and isinstance(value.get("credential"), str):
                yield value["credential"]


def _notes(tap: str) -> Iterator[str]:
    """Yield a line for each thing that a hardened service could not read."""
    for what, path in (("the tap", tap), ("Python", sys.executable), ("taphouse", os.path.abspath(__file__))):
        real = os.path.realpath(path)
        hidden = next((folder for folder in _HIDDEN if f"{real}/".startswith(f"{folder}/")), None)
        if hidden:
            yield f"{what} is {real}, and a hardened service sees nothing of {hidden}; put it elsewhere"

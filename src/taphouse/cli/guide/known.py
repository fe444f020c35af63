"""What exists on this machine and can be named on a command line.

It must never change anything, nor wait for a server.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["look_up"]


def look_up(what: str, arguments: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield names with a phrase about each.

    Args:
        what: ``"servers"``, ``"users"``, ``"groups"``, ``"pages"`` of the manual, or ``"state"``: values in
            the tap that is the first argument.
        arguments: words that were typed before.
    """
    if what == "servers":
        from taphouse.control import list_servers

        yield from ((entry.name, f"PID {entry.pid} in {entry.rundir}") for entry in list_servers())
    elif what == "users":
        import pwd

        yield from ((user.pw_name, user.pw_gecos.partition(",")[0]) for user in pwd.getpwall())
    elif what == "groups":
        import grp

        yield from ((group.gr_name, "") for group in grp.getgrall())
    elif what == "pages":
        from taphouse.cli.guide.commands import command_named
        from taphouse.cli.guide.manual import PAGES

        yield from ((name, command_named(name).summary) for name in PAGES)
        yield from command_named("mktap").children.items()
    elif what == "state" and arguments:
        from taphouse.cli.guide.taps import values_in

        yield from ((name, "") for name in values_in(arguments[0]))

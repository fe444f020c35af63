"""`tap status`: which servers run, and how they are.

It must never keep a server from working: it asks, and gives up soon.
"""

from __future__ import annotations

from taphouse.cli.parsing import Parser
from taphouse.errors import UsageError

__all__ = ["make_parser", "run"]

_EPILOG = """\
examples:
  tap status                      all of your servers
  tap status otk                  one of them
  tap status --json               for programs
  tap status --ready otk          for whoever restarts it or sends it clients

Returns 0, or 69 if the server that was named does not run, with --ready also if it turns clients away."""


def make_parser() -> Parser:
    """Return the parser of `tap status`."""
    parser = Parser(
        "tap status",
        usage="tap status [options] [NAME|FILE.tap]",
        description="Say which servers run: addresses, connections, commits, memory.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "server",
        metavar="NAME|FILE.tap",
        nargs="?",
        help="the application's name or its state tap (default: all)",
    )
    parser.add_argument("--json", action="store_true", help="as one JSON document")
    parser.add_argument(
        "--ready", action="store_true", help="say in one line whether it takes clients, and return 69 if not"
    )
    parser.add_argument("-b", "--debug", action="store_true", help="tracebacks of errors")
    return parser


def run(arguments: list[str]) -> int:
    """Print the status of the servers that ``arguments`` name.

    Raises:
        UsageError: ``--ready`` without a server.
    """
    options = make_parser().parse(arguments)

    from taphouse.cli.inspecting.servers import print_status, say_whether_ready

    if options.ready:
        if options.server is None:
            raise UsageError("--ready asks one server", cure="name it: tap status --ready NAME")
        return say_whether_ready(options.server)
    return print_status(options.server, as_json=options.json)

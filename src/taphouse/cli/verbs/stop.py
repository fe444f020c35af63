"""`tap stop`: stop a running server and wait until it is gone.

It must never kill: a server that does not end in time is named, and left.
"""

from __future__ import annotations

from taphouse.cli.parsing import Parser, duration_s

__all__ = ["make_parser", "run"]

_EPILOG = """\
examples:
  tap stop otk                    by the application's name
  tap stop otk-shutdown.tap       by its state
  tap stop --timeout 2m otk       with patience for long connections

Returns 0 when the server is gone and its state is saved, 69 if there is none."""
_DEFAULT_TIMEOUT_S = 60.0


def make_parser() -> Parser:
    """Return the parser of `tap stop`."""
    parser = Parser(
        "tap stop",
        usage="tap stop [options] NAME|FILE.tap",
        description="Stop a running server in order: let connections end, save, and go.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "server", metavar="NAME|FILE.tap", help="the application's name, its state tap, or its pid"
    )
    parser.add_argument(
        "--timeout",
        dest="timeout_s",
        type=duration_s,
        default=_DEFAULT_TIMEOUT_S,
        metavar="TIME",
        help="how long to wait for its end (default: 60s)",
    )
    parser.add_argument("-b", "--debug", action="store_true", help="tracebacks of errors")
    return parser


def run(arguments: list[str]) -> int:
    """Stop the server that ``arguments`` name."""
    options = make_parser().parse(arguments)

    from taphouse.cli.inspecting.servers import stop_server

    print(stop_server(options.server, options.timeout_s))
    return 0

"""The options of `mktap` itself, declared once, and those of 2002 that are gone.

It must never act on an option.
"""

from __future__ import annotations

import argparse

from taphouse.cli.options import add_allow_module
from taphouse.cli.parsing import Parser
from taphouse.errors import UsageError

__all__ = ["make_parser", "refuse_known_words", "refuse_together", "refuse_what_is_gone"]

_DESCRIPTION = """\
Make a tap for a server of some type: NAME.tap, which twistd starts.

mktap alone lists the types; mktap TYPE --help shows the options of one.  Options
of mktap itself stand before TYPE, or behind it where the type has none of that
name.  Nothing is written if anything is wrong."""

_EXAMPLES = """\
examples:
  mktap                                      list the types of servers
  mktap quotes --help                        the options of type quotes
  mktap quotes --file fortunes -p 1717       make quotes.tap
  twistd -f quotes.tap                       start it
  mktap -a quotes.tap echo -p 7007           add an echo server to it
  mktap --update quotes-shutdown.tap -p 1718 another port; the state is kept
  mktap --from site.toml                     several servers, described in one file
  mktap quotes --print-config                each value, and where it comes from

exit status: 0 made, 64 usage, 70 the type failed, 73 cannot create the file,
75 a server runs on the tap, 77 not permitted, 78 configuration or tap."""

_TEXT = "make it, then tapconvert -i FILE.tap -o FILE.json gives a text"
_GONE = {
    "type": f"-t: a tap has one form now; {_TEXT}",
    "xml": f"-x: there are no taps in XML; {_TEXT}",
    "source": f"-s: there are no taps in Python; {_TEXT}",
    "encrypted": "-e: taps are not encrypted yet; give secrets as --NAME-file or --NAME-credential",
    "progress": "--progress: types are found without being imported; leave it out",
}
"""Options of 2002 that mean nothing any more, with what to do instead."""
_TYPES_OF_2002 = ("dns", "ftp", "inetd", "mail", "manhole", "news", "socks", "ssh", "telnet", "words")


def make_parser(prog: str = "mktap") -> Parser:
    """Return the parser of `mktap`'s own options.

    Args:
        prog: how the command begins.
    """
    parser = Parser(
        prog,
        usage=f"{prog} [options] TYPE [options of the type]",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
    )
    parser.add_argument("--version", action="store_true", help="show the version and exit")
    group = parser.add_argument_group("the tap")
    group.add_argument("-o", "--output", metavar="FILE", help="write FILE (default: NAME.tap)")
    group.add_argument("-n", "--appname", metavar="NAME", help="the application's name (default: the type's)")
    group.add_argument("-u", "--uid", metavar="USER", help="user to run as, name or number")
    group.add_argument("-g", "--gid", metavar="GROUP", help="group to run as, name or number")
    group.add_argument(
        "--durability",
        choices=("gate", "interval", "exit"),
        help="when changes are saved: gate, before the replies that tell of them; interval, within a second;"
        " exit, at an orderly stop only (default: gate)",
    )
    group.add_argument("--force", action="store_true", help="replace what has the name; it is kept as FILE.1")
    group = parser.add_argument_group("a tap that is there")
    group.add_argument(
        "-a", "--append", metavar="FILE.tap", help="add the server to FILE.tap; it is made if there is none"
    )
    group.add_argument(
        "--update",
        metavar="FILE.tap",
        help="change options of the server TYPE in FILE.tap and keep its state; TYPE may be left out if"
        " there is one server",
    )
    group.add_argument(
        "--dry-run", action="store_true", help="with --update: say what would change, and change nothing"
    )
    group.add_argument(
        "--drop",
        metavar="NAME",
        action="append",
        help="with --update: forget the stored object NAME that is not built any more (repeatable)",
    )
    add_allow_module(group)
    group = parser.add_argument_group("where options come from")
    group.add_argument("--config", metavar="FILE.toml", help="read options of the type from FILE.toml")
    group.add_argument(
        "--from",
        dest="source_file",
        metavar="FILE.toml",
        help="build all servers that FILE.toml describes, each in a table [server.NAME]",
    )
    group.add_argument(
        "--print-config",
        action="store_true",
        help="print each value and where it comes from, and make nothing",
    )
    group = parser.add_argument_group("talking")
    group.add_argument("-q", "--quiet", action="store_true", help="say nothing if all went well")
    group.add_argument("-b", "--debug", action="store_true", help="tracebacks of errors")
    for short, long in (("-x", "--xml"), ("-s", "--source"), ("-e", "--encrypted"), ("", "--progress")):
        names = [name for name in (short, long) if name]
        parser.add_argument(*names, action="store_true", dest=f"gone_{long[2:]}", help=argparse.SUPPRESS)
    parser.add_argument("-t", "--type", dest="gone_type", help=argparse.SUPPRESS)
    return parser


def refuse_what_is_gone(own: argparse.Namespace) -> None:
    """Refuse options of 2002, with what to do instead.

    Raises:
        UsageError: one was given.
    """
    for name, said in _GONE.items():
        given = getattr(own, f"gone_{name}")
        if given and given != "tap":
            raise UsageError(said)


_SPELLED = {"source_file": "--from"}


def refuse_known_words(word: str) -> None:
    """Refuse what stands in the place of a type and is known to be none, with what was meant.

    Raises:
        UsageError: it is a file, or a type of 2002 that there is none of yet.
    """
    if word in _TYPES_OF_2002:
        raise UsageError(f"there is no type {word} yet", cure="mktap alone lists the types that there are")
    if word.endswith(".tap"):
        raise UsageError(f"{word} is a tap, not a type", cure=f"start it: twistd -f {word}")
    if word.endswith(".toml"):
        raise UsageError(
            f"{word} is a file, not a type", cure=f"build what it describes: mktap --from {word}"
        )


def refuse_together(own: argparse.Namespace, *pairs: tuple[str, str]) -> None:
    """Refuse options that contradict each other.

    Args:
        own: what was given.
        pairs: names of which one of the two may be.

    Raises:
        UsageError: both were given.
    """
    for one, other in pairs:
        if getattr(own, one) and getattr(own, other):
            names = [_SPELLED.get(name, f"--{name.replace('_', '-')}") for name in (one, other)]
            raise UsageError(f"{names[0]} and {names[1]} contradict each other", cure="give one of them")

"""`tap tree`: write the files of a package into a folder.

It must never do more than turn options into what `taphouse.cli.shipping` makes.
"""

from __future__ import annotations

from taphouse.cli.options import add_allow_module
from taphouse.cli.output import say
from taphouse.cli.parsing import Parser
from taphouse.cli.shipping.sourceoptions import add_source_options, source_options
from taphouse.cli.tap2deb import add_service, add_words, epoch_argument, order

__all__ = ["make_parser", "run"]

_EPILOG = """\
examples:
  tap tree -o otk-tree otk-start.tap
                                  otk-tree/usr/lib/otk, otk-tree/usr/lib/systemd/system, ...
  tar -C otk-tree --owner 0 --group 0 -cf otk.tar .
                                  for what installs archives

What is in it is what tap2deb would install, for whatever else makes packages or
images of folders.  Nothing of it is owned by root yet: that is for who installs it."""


def make_parser() -> Parser:
    """Return the parser of `tap tree`."""
    parser = Parser(
        "tap tree",
        usage="tap tree [options] -o DIR FILE.tap",
        description="Write what tap2deb would install into a folder: server, units, documentation.",
        epilog=_EPILOG,
    )
    parser.add_argument("file", metavar="FILE.tap", nargs="?", help="the seed to ship (default: twistd.tap)")
    parser.add_argument("-t", "--tapfile", metavar="FILE.tap", help="the same, as an option")
    add_words(parser.add_argument_group("what it says of itself"))
    add_service(parser.add_argument_group("how it runs"))
    group = parser.add_argument_group("what goes in")
    add_source_options(group, "tap tree")
    add_allow_module(group)
    group = parser.add_argument_group("the folder")
    group.add_argument("-o", "--output", metavar="DIR", required=True, help="the folder to make")
    group.add_argument(
        "--force", action="store_true", help="remove what is in the folder, if it is there and not empty"
    )
    group.add_argument(
        "--epoch",
        type=epoch_argument,
        metavar="SECONDS",
        help="time of the files, since 1970 (default: $SOURCE_DATE_EPOCH, or when the tap was made)",
    )
    group.add_argument("-b", "--debug", action="store_true", help="tracebacks of errors")
    return parser


def run(arguments: list[str]) -> int:
    """Write the tree that ``arguments`` describe."""
    options = make_parser().parse(arguments)

    from taphouse.cli.shipping.packagetree import grow_tree, plan_tree
    from taphouse.cli.shipping.plaintree import write_tree
    from taphouse.cli.shipping.sizes import megabytes
    from taphouse.cli.shipping.sourcing import choose_source

    sourced = choose_source(source_options(options))
    made = grow_tree(plan_tree(order(options, python=sourced.python)), sourced.source)
    write_tree(options.output, made.tree, made.contents.epoch, replace=options.force)
    files = [node for _, node in made.tree if node.is_file]
    size = megabytes(sum(node.size for node in files))
    print(f"{options.output}: {made.about.name} {made.about.version}, {len(files)} files, {size}")
    print(f"  needs   {', '.join(made.depends)}")
    for note in sourced.notes():
        say("tap tree", note)
    if made.upkeep.account:
        print(f"  account /usr/lib/sysusers.d/{made.about.name}.conf makes {made.upkeep.account}")
    return 0

"""`tap oci`: make a container image of a tap, without a container engine.

It must never do more than turn options into an order.
"""

from __future__ import annotations

import argparse

from taphouse.cli.options import add_allow_module
from taphouse.cli.output import say
from taphouse.cli.parsing import Parser
from taphouse.cli.shipping.sourceoptions import add_source_options, source_options
from taphouse.cli.tap2deb import epoch_argument

__all__ = ["make_parser", "run"]

_EPILOG = """\
examples:
  tap oci otk-start.tap           otk_1.0_amd64.oci.tar, with Debian's own Python
  tap oci --tag registry.example.org/otk:2.1 otk-start.tap
                                  as it is called where it is going to be
  tap oci --base python-base.tar otk-start.tap
                                  on an image that you have, in an OCI layout
  docker load -i otk_1.0_amd64.oci.tar
  podman load -i otk_1.0_amd64.oci.tar
  skopeo copy oci-archive:otk_1.0_amd64.oci.tar docker://registry.example.org/otk:2.1

The same tap on the same base gives the same bytes.  The server runs as user 65532; its state is in
/var/lib/NAME, where a volume belongs."""


def make_parser() -> Parser:
    """Return the parser of `tap oci`."""
    parser = Parser(
        "tap oci",
        usage="tap oci [options] FILE.tap",
        description="Make a container image of a tap and its code: an OCI archive, for every engine.",
        epilog=_EPILOG,
    )
    parser.add_argument("file", metavar="FILE.tap", help="the seed that the server begins with")
    _add_words(parser.add_argument_group("what it says of itself"))
    _add_image(parser.add_argument_group("the image"))
    group = parser.add_argument_group("what goes in")
    add_source_options(group, "tap oci")
    add_allow_module(group)
    parser.add_argument("-b", "--debug", action="store_true", help="tracebacks of errors")
    return parser


def _add_words(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--name", metavar="NAME", default="", help="name of the server in it (default: the application's)"
    )
    group.add_argument(
        "--set-version", metavar="VERSION", default="1.0", help="version of the server (default: 1.0)"
    )
    group.add_argument("-m", "--maintainer", metavar="WHO", default="", help="who answers for it")
    group.add_argument("-e", "--description", metavar="TEXT", default="", help="what it is, on one line")
    group.add_argument("--license", metavar="NAME", default="", help="licence of your code, its SPDX name")
    group.add_argument(
        "--source", metavar="URL", default="", help="where the code of this version is to be found"
    )


def _add_image(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-o",
        "--output",
        metavar="FILE|DIR",
        default=".",
        help="the archive to write, or a folder for NAME_VERSION_MACHINE.oci.tar (default: .)",
    )
    group.add_argument(
        "--tag",
        metavar="NAME:TAG",
        default="",
        help="what engines call the image (default: localhost/NAME:VERSION)",
    )
    group.add_argument(
        "--base",
        metavar="FILE|DIR",
        default="",
        help="an image to make it on, an OCI layout, folder or archive (default: one of Debian's packages)",
    )
    group.add_argument(
        "--base-tag", metavar="TAG", default="", help="which image, if there are several in the base"
    )
    group.add_argument(
        "--epoch",
        type=epoch_argument,
        metavar="SECONDS",
        help="time of the files, since 1970 (default: $SOURCE_DATE_EPOCH, or when the tap was made)",
    )


def run(arguments: list[str]) -> int:
    """Make the image that ``arguments`` describe."""
    options = make_parser().parse(arguments)

    from taphouse.cli.shipping.image import ImageOrder, make_image
    from taphouse.cli.shipping.imagereport import report
    from taphouse.cli.shipping.sourcing import choose_source

    sourced = choose_source(source_options(options))
    image = make_image(
        ImageOrder(
            tap=options.file,
            package=options.name,
            version=options.set_version,
            output=options.output,
            reference=options.tag,
            base=options.base,
            base_tag=options.base_tag,
            python=sourced.python or None,
            epoch=options.epoch,
            allowed=tuple(options.allow_modules or ()),
            title=options.description,
            license=options.license,
            source=options.source,
            authors=options.maintainer,
        ),
        sourced.source,
    )
    for note in (*image.notes, *sourced.notes()):
        say("tap oci", note)
    for line in report(image):
        print(line)
    return 0

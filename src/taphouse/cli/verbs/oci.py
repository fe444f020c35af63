"""`tap oci`: make a container image of a tap, without a container engine.

It must never do more than turn options into an order.
"""

from __future__ import annotations

from taphouse.cli.options import add_allow_module
from taphouse.cli.output import say
from taphouse.cli.parsing import Parser
from taphouse.cli.shipping.sourceoptions import add_source_options, source_options

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
    parser.add_argument("--name", metavar="NAME", help="name of the server (default: the application's)")
    parser.add_argument("--set-version", metavar="VERSION", default="1.0", help="its version (default: 1.0)")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default="",
        help="the archive to write (default: NAME_VERSION_ARCHITECTURE.oci.tar)",
    )
    parser.add_argument(
        "--tag",
        metavar="NAME:TAG",
        default="",
        help="what engines call the image (default: localhost/NAME:VERSION)",
    )
    parser.add_argument(
        "--base",
        metavar="PATH",
        default="",
        help="an image to make it on, an OCI layout, folder or archive (default: Debian packages, by apt-get)",
    )
    parser.add_argument(
        "--base-tag", metavar="TAG", default="", help="which image, if there are several in the base"
    )
    parser.add_argument(
        "--epoch", metavar="SECONDS", type=int, help="time of its files, in seconds since 1970"
    )
    parser.add_argument("-e", "--description", metavar="TEXT", default="", help="what it is, in one line")
    parser.add_argument("--license", metavar="SPDX", default="", help="licence of the server's own code")
    parser.add_argument("-m", "--maintainer", metavar="TEXT", default="", help="who made it")
    parser.add_argument("--source", metavar="URL", default="", help="where its code is to be found")
    contents = parser.add_argument_group("what goes in")
    add_source_options(contents, "tap")
    add_allow_module(contents)
    parser.add_argument("-b", "--debug", action="store_true", help="tracebacks of errors")
    return parser


def run(arguments: list[str]) -> int:
    """Make the image that ``arguments`` describe."""
    options = make_parser().parse(arguments)

    from taphouse.cli.shipping.image import ImageOrder, make_image
    from taphouse.cli.shipping.imagereport import report
    from taphouse.cli.shipping.sourcing import choose_source
    from taphouse.packaging import check_package_name, package_name
    from taphouse.persist import read_info

    sourced = choose_source(source_options(options))
    info = read_info(options.file)
    image = make_image(
        ImageOrder(
            tap=options.file,
            package=check_package_name(options.name) if options.name else package_name(info.name),
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
    print("\n".join(report(image)))
    return 0

"""About: what a package says of itself, and of the parts that it brings along.

This module must never know how a package is written.
"""

from __future__ import annotations

from taphouse.errors import UsageError
from taphouse.packaging.names import check_maintainer, check_package_name
from taphouse.packaging.paragraph import one_line
from taphouse.packaging.tarball import check_epoch
from taphouse.packaging.versions import check_version
from taphouse.value import Value

__all__ = ["About", "Part", "SystemPackage"]


class Part(Value):
    """A distribution that is shipped inside of the package.

    Args:
        name: of the distribution.
        version: its own, not Debian's.
        license: what its metadata says, an SPDX expression or some words; may be empty.
        texts: name of file -> text of its licences and notices.
        tags: of its wheel (``cp311-cp311-manylinux_2_17_x86_64``), if it came from one.
    """

    name: str
    version: str
    license: str = ""
    texts: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()


class SystemPackage(Value):
    """A package of a Linux distribution that lies in an image.

    Args:
        name: its own.
        version: the distribution's.
        architecture: ``amd64``, ``all``.
    """

    name: str
    version: str
    architecture: str = ""


class About(Value, kw_only=True):
    """What a package says of itself.

    Args:
        name: of the package.
        version: its Debian version.
        maintainer: ``Name <address>``.
        epoch: when its tap was made, seconds since 1970.
        synopsis: what it is, on one line.
        description: the same at length; paragraphs are separated by empty lines.
        license: of the application, an SPDX expression or a few words.
        license_text: of that licence, if it is at hand.
        homepage: an address, or "".
        changes: what the changelog says of this version.
        parts: what is shipped inside.

    Raises:
        UsageError: the name, version, maintainer or epoch is none.
    """

    name: str
    version: str
    maintainer: str
    epoch: int
    synopsis: str = ""
    description: str = ""
    license: str = ""
    license_text: str = ""
    homepage: str = ""
    changes: tuple[str, ...] = ("Built from its tap.",)
    parts: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        check_package_name(self.name)
        check_version(self.version)
        check_maintainer(self.maintainer)
        check_epoch(self.epoch)
        if self.homepage and (
            not self.homepage.startswith(("http://", "https://")) or one_line(self.homepage) != self.homepage
        ):
            raise UsageError(f"homepage {self.homepage!r:.100} is no address of the web")

"""Debian root: the packages that a server needs, as the lowest layer of an image.

Unpacked as dpkg would, without running their scripts: what those would have
made and a server needs is made here.  Documentation but for copyrights goes,
setuid bits go.  This module must never fetch anything.
"""

from __future__ import annotations

import posixpath
import re
import tarfile
from collections.abc import Iterator, Sequence
from typing import Final

from taphouse.errors import ConfigurationError
from taphouse.packaging.about import SystemPackage
from taphouse.packaging.debreading import control_text, open_data
from taphouse.packaging.tree import Tree

__all__ = ["GROUP", "NSSWITCH", "PASSWD", "add_debian_root", "read_packages"]

# The accounts that every system has, in the form of passwd(5), group(5), nsswitch.conf(5).
PASSWD: Final = """\
root:x:0:0:root:/root:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""  # noqa: S105 - nobody's password
GROUP: Final = "root:x:0:\nnogroup:x:65534:\n"
NSSWITCH: Final = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"

_MERGED: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "libo32")
# What Debian ships for people who read, translate or develop, and for character sets that Python has itself.
_NEEDLESS: Final = re.compile(
    r"usr/share/(?:man|info|locale|lintian|bug|doc-base|menu|applications|pixmaps|icons|bash-completion"
    r"|debconf|perl5|python3/debpython)(?:/.*)?"
    r"|usr/share/doc/[^/]+/(?!copyright$).*|usr/lib/[^/]+/gconv(?:/.*)?|usr/include(?:/.*)?"
    r"|usr/lib/python3[^/]*/.*\.pyc"
)
_CERTIFICATES: Final = "usr/share/ca-certificates/"
_BUNDLE: Final = "etc/ssl/certs/ca-certificates.crt"
_STATUS: Final = "var/lib/dpkg/status.d"


def add_debian_root(tree: Tree, packages: Sequence[str]) -> int:
    """Unpack packages into a tree, and return the time of their newest file, seconds since 1970.

    Args:
        tree: where to.
        packages: files.

    Raises:
        ConfigurationError: one of them is damaged, or does not belong in an image.
    """
    newest = 0
    for path in sorted(packages):
        control = control_text(path)
        (package,) = read_packages(control)
        tree.add_file(f"{_STATUS}/{package.name}", control)
        with open_data(path) as archive:
            for member in archive:
                newest = max(newest, int(member.mtime))
                _add(tree, archive, member, path)
    used = {path.partition("/")[0] for path, _ in tree}
    for name in _MERGED:
        if f"usr/{name}" in tree and name not in used:
            tree.add_link(name, f"usr/{name}")
    _add_certificates(tree)
    tree.add_file("etc/passwd", PASSWD)
    tree.add_file("etc/group", GROUP)
    tree.add_file("etc/nsswitch.conf", NSSWITCH)
    for folder in ("tmp", "var/tmp"):
        tree.add_folder(folder, 0o1777)
    for folder in ("run", "proc", "sys", "dev"):
        tree.add_folder(folder)
    return newest


def read_packages(text: str) -> Iterator[SystemPackage]:
    """Yield what the paragraphs of dpkg's database, or of control files, say is installed."""
    for paragraph in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", paragraph, re.MULTILINE))
        is_there = fields.get("Status", "install ok installed").endswith(" installed")
        if is_there and "Package" in fields and "Version" in fields:
            yield SystemPackage(fields["Package"], fields["Version"], fields.get("Architecture", ""))


def _add(tree: Tree, archive: tarfile.TarFile, member: tarfile.TarInfo, package: str) -> None:
    path = _merged(posixpath.normpath(member.name))
    if path in {"", "."} or path in _MERGED or _NEEDLESS.fullmatch(path):
        return
    if member.isdir():
        if path not in tree:  # one that is there keeps its mode: packages agree on it
            tree.add_folder(path, member.mode & 0o777)
    elif member.issym():
        if not (path in tree and tree[path].target == member.linkname):
            tree.add_link(path, member.linkname)
    elif member.islnk():
        node = tree[_merged(posixpath.normpath(member.linkname))]
        tree.add_file(path, b"".join(node.read()), node.mode)
    elif member.isfile():
        file = archive.extractfile(member)
        tree.add_file(path, b"" if file is None else file.read(), member.mode & 0o777)
    else:
        raise ConfigurationError(f"{package}: /{path} is a device, which has no place in an image")


def _merged(path: str) -> str:
    """Return where a path lies where /bin, /lib and /sbin are links into /usr."""
    first, slash, _ = path.partition("/")
    return f"usr/{path}" if slash and first in _MERGED else path


def _add_certificates(tree: Tree) -> None:
    """Make what update-ca-certificates would, and the links by which OpenSSL finds it."""
    names = [path for path, node in tree if path.startswith(_CERTIFICATES) and path.endswith(".crt")]
    if not names or _BUNDLE in tree:
        return
    texts = (b"".join(tree[name].read()).strip() for name in names)
    tree.add_file(_BUNDLE, b"".join(text + b"\n" for text in texts))
    for link, target in (("cert.pem", f"/{_BUNDLE}"), ("certs", "/etc/ssl/certs")):
        if f"usr/lib/ssl/{link}" not in tree:
            tree.add_link(f"usr/lib/ssl/{link}", target)

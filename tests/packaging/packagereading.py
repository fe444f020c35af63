"""Reading packages without dpkg, and what the packages of the tests have in common."""

from __future__ import annotations

import io
import lzma
import tarfile
from pathlib import Path

from hypothesis import HealthCheck, settings

from taphouse.packaging import Tree

EPOCH = 1790000000
FIELDS = {
    "Package": "otk",
    "Version": "1.0",
    "Architecture": "all",
    "Maintainer": "Ann Author <ann@example.org>",
    "Description": "one-time keys\n Gives everybody a number that nobody got before.",
}


def tried(times: int) -> settings:
    """Settings of a property: the same examples in each run, however busy the machine is."""
    return settings(
        max_examples=times,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def ar_members(archive: bytes) -> dict[str, bytes]:
    """Name -> content, as ar(5) says."""
    assert archive[:8] == b"!<arch>\n"
    found, at = {}, 8
    while at < len(archive):
        header = archive[at : at + 60]
        assert header[58:] == b"`\n"
        size = int(header[48:58])
        found[header[:16].decode().rstrip()] = archive[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
    return found


def unpacked(deb: Path, member: str) -> tarfile.TarFile:
    """A member of a package, ready to look into."""
    return tarfile.open(fileobj=io.BytesIO(lzma.decompress(ar_members(deb.read_bytes())[member])))


def write_out(tree: Tree, folder: Path) -> None:
    """Put a tree on the disk, as dpkg would."""
    for path, node in tree:
        place = folder / path
        if node.target:
            place.symlink_to(node.target)
        elif node.is_file:
            place.write_bytes(b"".join(node.read()))
            place.chmod(node.mode)
        else:
            place.mkdir(parents=True)

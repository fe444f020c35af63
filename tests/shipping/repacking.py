"""Wheels of what is installed in a shipyard, as they came from an index, without asking one."""

from __future__ import annotations

import stat
import struct
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

from shipyard import Shipyard
from taphouse.packaging import Environment
from wheelmaking import sum_of

_LEFT = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


def repack(yard: Shipyard, folder: Path, *names: str, foreign: str = "") -> list[Path]:
    """Write a wheel of each distribution that some need.

    Args:
        yard: where they are installed.
        folder: where to.
        names: of distributions.
        foreign: ``cp313-aarch64`` to make believe that what is compiled was for that.
    """
    (site,) = yard.folder.glob("lib/python3.*/site-packages")
    folder.mkdir(parents=True, exist_ok=True)
    return [_wheel(found, folder, foreign) for found in Environment([str(site)]).closure(names)]


def _wheel(found: Distribution, folder: Path, foreign: str) -> Path:
    files = {}
    for file in found.files or ():
        place = Path(str(found.locate_file(file)))
        if ".." not in file.parts and file.name not in _LEFT and "__pycache__" not in file.parts:
            files[str(file)] = (place.read_bytes(), place.stat().st_mode)
    tags = [
        line.partition(": ")[2]
        for line in (found.read_text("WHEEL") or "").splitlines()
        if line.startswith("Tag: ")
    ]
    tag = "-".join(
        ".".join(dict.fromkeys(part)) for part in zip(*(tag.split("-") for tag in tags), strict=True)
    )
    if foreign and not tag.endswith("-any"):
        python, machine = foreign.split("-")
        tag = f"{python}-{python}-manylinux_2_17_{machine}"
        files = dict(_as_foreign(path, *data, python, machine) for path, data in files.items())
    (info,) = {path.partition("/")[0] for path in files if ".dist-info/" in path}
    wheel = folder / f"{info.removesuffix('.dist-info')}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        record = ""
        for path, (content, mode) in files.items():
            member = zipfile.ZipInfo(path)
            member.external_attr = (stat.S_IFREG | stat.S_IMODE(mode)) << 16
            archive.writestr(member, content, zipfile.ZIP_DEFLATED, 1)
            record += f"{path},{sum_of(content)},{len(content)}\n"
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return wheel


def _as_foreign(
    path: str, content: bytes, mode: int, python: str, machine: str
) -> tuple[str, tuple[bytes, int]]:
    if not content.startswith(b"\x7fELF"):
        return path, (content, mode)
    name = f"{path.partition('.')[0]}.cpython-{python[2:]}-{machine}-linux-gnu.so"
    return name, (_ELF[machine], mode)


def _empty_elf(machine: int) -> bytes:
    """A compiled file with nothing in it, 64 bits."""
    return struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 3, machine, 1, 0, 0, 0, 0, 64, 56, 0, 64, 0, 0)


_ELF = {"aarch64": _empty_elf(183)}

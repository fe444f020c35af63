"""Small wheels, honest ones and others, as the tests need them."""

from __future__ import annotations

import base64
import hashlib
import stat
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path


def sum_of(content: bytes, kind: str = "sha256") -> str:
    """The sum of a file, as a RECORD has it."""
    digest = hashlib.new(kind, content).digest()
    return f"{kind}={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def locked(*wheels: Path) -> str:
    """Lines of a requirements file for wheels."""
    return "".join(
        "{}=={} --hash=sha256:{}\n".format(
            *path.name.split("-")[:2], hashlib.sha256(path.read_bytes()).hexdigest()
        )
        for path in wheels
    )


def make_wheel(
    folder: Path,
    name: str,
    files: Mapping[str, bytes | str] | None = None,
    *,
    version: str = "1.0",
    tags: str = "py3-none-any",
    requires: Iterable[str] = (),
    python: str = "",
    metadata: str = "",
    record: Mapping[str, str | None] | None = None,
    modes: Mapping[str, int] | None = None,
    raw: Iterable[tuple[zipfile.ZipInfo, bytes]] = (),
) -> Path:
    """Write a wheel, by default one with a single module.

    Args:
        folder: where to.
        name: of the distribution.
        files: path -> content.
        version: of it.
        tags: as in its file's name.
        requires: its lines Requires-Dist.
        python: its Requires-Python.
        metadata: more of METADATA.
        record: path -> line of RECORD instead of the right one; ``None`` for no line.
        modes: path -> mode of a file.
        raw: members that RECORD knows nothing of.
    """
    info = f"{name}-{version}.dist-info"
    said = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense: MIT\n{metadata}"
    said += f"Requires-Python: {python}\n" if python else ""
    said += "".join(f"Requires-Dist: {line}\n" for line in requires)
    content: dict[str, bytes | str] = {
        f"{info}/METADATA": said,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
        f"{info}/licenses/LICENSE": "Do what you want.\n",
        **({f"{name}.py": f"NAME = {name!r}\n"} if files is None else files),
    }
    lines = {}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tags}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, text in content.items():
            data = text.encode() if isinstance(text, str) else text
            member = zipfile.ZipInfo(place)
            member.external_attr = (stat.S_IFREG | (modes or {}).get(place, 0o644)) << 16
            archive.writestr(member, data, zipfile.ZIP_DEFLATED)
            lines[place] = f"{place},{sum_of(data)},{len(data)}"
        for member, data in raw:
            archive.writestr(member, data)
        lines[f"{info}/RECORD"] = f"{info}/RECORD,,"
        for place, line in (record or {}).items():
            lines.pop(place, None)
            if line is not None:
                lines[place] = line
        archive.writestr(f"{info}/RECORD", "".join(f"{line}\n" for line in lines.values()))
    return path

"""Trimming: what of a distribution is shipped, and what its metadata says that a package has to repeat.

The same for what is installed and for what comes out of a wheel, so that both
make the same package.  This module must never open a file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol

__all__ = ["is_needless", "is_notice", "license_of", "tags_of", "without_interpreter"]

_NEEDLESS: Final = (
    ".pyc", ".pyo", ".pyx", ".pxd", ".pxi", ".pyi", ".c", ".cc", ".cpp", ".h", ".hpp", ".pth", ".a",
    ".egg-link",
)  # fmt: skip
_NEEDLESS_NAMES: Final = {
    "RECORD", "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json", "top_level.txt",
    "py.typed", "zip-safe", "SOURCES.txt", "installed-files.txt",
}  # fmt: skip
_NOTICES: Final = re.compile(r"(?:licen[cs]e|copying|notice|copyright)", re.IGNORECASE)


class Metadata(Protocol):
    """Fields of a distribution's METADATA, as `email.message.Message` gives them."""

    def __getitem__(self, name: str, /) -> object: ...

    def get_all(self, name: str, /) -> list[str] | None: ...


def is_needless(parts: Sequence[str]) -> bool:
    """Say whether nobody needs a file to run what it belongs to.

    Args:
        parts: of its path, from the folder that Python imports from.
    """
    if "__pycache__" in parts or parts[0] == "bin":
        return True
    return parts[-1].endswith(_NEEDLESS) or parts[-1] in _NEEDLESS_NAMES


def is_notice(parts: Sequence[str]) -> bool:
    """Say whether a file is a licence or notice, whose text goes into the copyright of the package."""
    return ".dist-info" in parts[0] and (_NOTICES.match(parts[-1]) is not None or "licenses" in parts[1:-1])


def without_interpreter(path: str, content: bytes) -> bytes:
    """Return a module without its ``#!`` line, which names an interpreter of the building machine.

    The line stays, so that tracebacks count as they did.
    """
    if not path.endswith(".py") or not content.startswith(b"#!"):
        return content
    end = content.find(b"\n")
    return b"#" + (content[end:] if end >= 0 else b"")


def license_of(metadata: Metadata) -> str:
    """Return the licence that METADATA tells: an SPDX expression or some words, "" if it tells none."""
    for field in ("License-Expression", "License"):
        text = str(metadata[field] or "").strip()
        if text and "\n" not in text and text != "UNKNOWN":
            return text
    classes = [
        line.rpartition("::")[2].strip()
        for line in metadata.get_all("Classifier") or ()
        if "License ::" in line
    ]
    return " and ".join(classes)


def tags_of(text: str) -> tuple[str, ...]:
    """Return the tags that a file WHEEL lists, each of ``cp311.cp312-abi3-any`` one by one."""
    return tuple(line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("Tag:"))

"""Run path: folders of the building machine in which a compiled file would look for libraries.

A Python that was built in somebody's home puts its own folder into every extension
that is compiled for it.  Where the package is installed, anybody could make that
folder.  This module must never touch a path that begins at the file itself.
"""

from __future__ import annotations

import struct
from typing import Final

from taphouse.packaging.elf import ELF_MAGIC

__all__ = ["without_runpath"]

_DYNAMIC: Final = 6  # kind of a section
_PATHS: Final = (15, 29)  # DT_RPATH, DT_RUNPATH


def without_runpath(content: bytes) -> bytes:
    """Return a file without the entries of its dynamic section that name absolute folders only.

    What is not a compiled file, or has no such entry, is returned as it is.
    """
    if content[:4] != ELF_MAGIC or len(content) < 64:
        return content
    try:
        return _rewritten(content)
    except (struct.error, OverflowError):
        return content  # whoever reads it next says what is wrong with it


def _rewritten(content: bytes) -> bytes:
    wide, order = content[4] == 2, "<" if content[5] == 1 else ">"
    (table_at,) = struct.unpack_from(order + ("Q" if wide else "I"), content, 40 if wide else 32)
    size, count = struct.unpack_from(order + "HH", content, 58 if wide else 46)
    layout = order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII")
    rows = [struct.unpack_from(layout, content, table_at + number * size) for number in range(count)]
    entry = order + ("qQ" if wide else "iI")
    step = struct.calcsize(entry)
    for row in rows:
        if row[1] != _DYNAMIC or row[6] >= len(rows):
            continue
        start, length, strings = row[4], row[5] - row[5] % step, rows[row[6]][4]
        entries = list(struct.iter_unpack(entry, content[start : start + length]))
        kept = [
            (tag, at) for tag, at in entries if not (tag in _PATHS and _is_foreign(content, strings + at))
        ]
        if len(kept) < len(entries):
            kept += [(0, 0)] * (len(entries) - len(kept))  # DT_NULL ends the list
            packed = b"".join(struct.pack(entry, *pair) for pair in kept)
            return content[:start] + packed + content[start + length :]
    return content


def _is_foreign(content: bytes, at: int) -> bool:
    paths = content[at : max(content.find(b"\0", at), at)].split(b":")
    return all(path.startswith(b"/") for path in paths)

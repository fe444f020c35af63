"""ELF: what a compiled file needs to be loaded, read from its section and program headers.

Nothing in the file is believed: every offset is checked against the end, every
loop against a bound.  System V ABI, chapters 4 and 5; the GNU version sections
are described in the LSB core specification.  This module must never know of
Debian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from taphouse.errors import ConfigurationError
from taphouse.value import Value

__all__ = ["ELF_MAGIC", "Elf", "read_elf"]

ELF_MAGIC: Final = b"\x7fELF"

_DYNAMIC, _VERSION_NEEDS = 6, 0x6FFFFFFE  # kinds of sections
_SYMTAB: Final = 2
_LOAD: Final = 1  # kind of a program header
_NEEDED, _SONAME = 1, 14  # kinds of dynamic entries
_PAGE: Final = 4096
_MOST_SECTIONS: Final = 65535
_MOST_VERSIONS: Final = 65535
_LONGEST_NAME: Final = 4096

# Layouts by class: (section header, program header, dynamic entry), without byte order.
_SECTION: Final = {1: "IIIIIIIIII", 2: "IIQQQQIIQQ"}
_PROGRAM: Final = {1: "IIIIIIII", 2: "IIQQQQQQ"}
_ENTRY: Final = {1: "iI", 2: "qQ"}


class Elf(Value):
    """What was found in a file.

    Args:
        bits: 32 or 64.
        is_little_endian: its byte order.
        machine: ``e_machine``, as in elf(5).
        flags: ``e_flags``, which tell ABIs of one machine apart.
        needed: names of the libraries that the loader looks for, in their order.
        soname: its own name as a library, or "".
        versions: library -> names of symbol versions that it must have (``GLIBC_2.17``).
        has_symbols: whether it could be stripped.
        is_page_aligned: whether the loader can map all its segments; tools that strip may break that.
    """

    bits: int
    is_little_endian: bool
    machine: int
    flags: int
    needed: tuple[str, ...]
    soname: str
    versions: dict[str, frozenset[str]]
    has_symbols: bool
    is_page_aligned: bool


class _Section(Value):
    kind: int
    offset: int
    size: int
    link: int


def read_elf(content: bytes, name: str = "file") -> Elf:
    """Read a compiled file.

    Args:
        content: all of it.
        name: what messages call it.

    Raises:
        ConfigurationError: it is not ELF, or its headers lead nowhere.
    """
    try:
        return _Reader(content).read()
    except (_BrokenError, struct.error) as error:
        raise ConfigurationError(
            f"{name}: is no whole compiled file: {error}", cure="install its distribution again"
        ) from error


class _BrokenError(Exception):
    """Something in the file leads nowhere."""


class _Reader:
    def __init__(self, content: bytes) -> None:
        if content[:4] != ELF_MAGIC:
            raise _BrokenError("it does not begin as ELF does")
        if len(content) < 52:
            raise _BrokenError("it is shorter than its header")
        self._content = content
        self._class, order = content[4], content[5]
        if self._class not in _SECTION or order not in {1, 2}:
            raise _BrokenError("its class or byte order is unknown")
        self._order = "<" if order == 1 else ">"

    def read(self) -> Elf:
        wide = self._class == 2
        machine = self._unpack("H", 18)[0]
        (program_at, section_at) = self._unpack("QQ" if wide else "II", 32 if wide else 28)
        flags, _, program_size, programs, section_size, sections, _ = self._unpack(
            "IHHHHHH", 48 if wide else 36
        )
        table = [
            _Section(kind=row[1], offset=row[4], size=row[5], link=row[6])
            for row in self._table(_SECTION[self._class], section_at, section_size, sections)
        ]
        segments = list(self._table(_PROGRAM[self._class], program_at, program_size, programs))
        needed, soname = self._dynamic(table)
        return Elf(
            bits=64 if wide else 32,
            is_little_endian=self._order == "<",
            machine=machine,
            flags=flags,
            needed=tuple(needed),
            soname=soname,
            versions=self._versions(table),
            has_symbols=any(section.kind == _SYMTAB for section in table),
            is_page_aligned=self._is_page_aligned(segments),
        )

    def _unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        layout = self._order + layout
        if offset < 0 or offset + struct.calcsize(layout) > len(self._content):
            raise _BrokenError(f"offset {offset} lies behind its end")
        return struct.unpack_from(layout, self._content, offset)

    def _table(self, layout: str, offset: int, size: int, count: int) -> Iterator[tuple[int, ...]]:
        if count and offset and size < struct.calcsize(self._order + layout):
            raise _BrokenError("an entry of a table is too short")
        for number in range(min(count, _MOST_SECTIONS) if offset else 0):
            yield self._unpack(layout, offset + number * size)

    def _text(self, strings: _Section, offset: int) -> str:
        if offset >= strings.size:
            raise _BrokenError(f"name {offset} lies outside of the names")
        start = strings.offset + offset
        end = self._content.find(b"\0", start, start + _LONGEST_NAME)
        if end < 0:
            raise _BrokenError(f"the name at {start} does not end")
        return self._content[start:end].decode("latin-1")

    def _linked(self, table: list[_Section], section: _Section) -> _Section:
        if section.link >= len(table):
            raise _BrokenError(f"there is no section {section.link}")
        return table[section.link]

    def _dynamic(self, table: list[_Section]) -> tuple[list[str], str]:
        """Return the names of DT_NEEDED, and that of DT_SONAME."""
        needed: dict[str, None] = {}
        soname = ""
        layout = _ENTRY[self._class]
        step = struct.calcsize(self._order + layout)
        # One of each kind: a file made of nothing but such sections would keep us for hours.
        for section in [section for section in table if section.kind == _DYNAMIC][:1]:
            strings = self._linked(table, section)
            for offset in range(section.offset, section.offset + section.size - step + 1, step):
                tag, value = self._unpack(layout, offset)
                if tag == 0:
                    break
                if tag == _NEEDED:
                    needed[self._text(strings, value)] = None
                elif tag == _SONAME:
                    soname = self._text(strings, value)
        return list(needed), soname

    def _versions(self, table: list[_Section]) -> dict[str, frozenset[str]]:
        """Return what the section .gnu.version_r asks of each library: two linked lists."""
        found: dict[str, set[str]] = {}
        left = _MOST_VERSIONS
        for section in [section for section in table if section.kind == _VERSION_NEEDS][:1]:
            strings = self._linked(table, section)
            offset = section.offset
            while True:
                _, count, file, first, following = self._unpack("HHIII", offset)
                names = found.setdefault(self._text(strings, file), set())
                at = offset + first
                for _ in range(count):
                    left -= 1
                    _, _, _, name, next_one = self._unpack("IHHII", at)
                    names.add(self._text(strings, name))
                    if left < 0:
                        raise _BrokenError("its versions do not end")
                    at += next_one
                    if not next_one:
                        break
                if not following:
                    break
                offset += following  # it only grows, so this comes to an end
        return {library: frozenset(names) for library, names in found.items()}

    def _is_page_aligned(self, segments: list[tuple[int, ...]]) -> bool:
        for row in segments:
            if row[0] != _LOAD:
                continue
            offset, address, alignment = (row[2], row[3], row[7]) if self._class == 2 else (*row[1:3], row[7])
            if alignment & (alignment - 1) or offset % _PAGE != address % _PAGE:
                return False
        return True

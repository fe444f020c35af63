"""The disk after a power cut: every state that a trace of writes, syncs and names may leave.

The model is POSIX and no kinder file system: what was written before an ``fsync`` began is there after it
ended; of everything else any part may be, in any order, a write torn at sectors of 512 bytes; names are as
durable as the folder's own ``fsync`` makes them.  It must never know what is in the files.
"""

from __future__ import annotations

import functools
import hashlib
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Disk", "Event", "State", "read_trace"]

SECTOR = 512
_HEAD = struct.Struct("<Icxxx2iQq2I")


@dataclass(frozen=True, slots=True)
class Event:
    """One record of the tracer, see crashtrace.c.

    Args:
        op: ``w`` write, ``t`` truncate, ``g`` grow, ``b``/``f`` begin and end of a sync, ``c`` create, ``r``
            rename, ``l`` link, ``u`` unlink; of sockets ``s`` send, ``e`` end; ``p`` a new process.
        fd: descriptor, -1 if none.
        result: of a sync.
        inode: of the file.
        offset: of a write; the size of a truncation.
        name: of the file; empty for the folder and for sockets.
        data: what was written or sent; the old name of a rename.
    """

    op: str
    fd: int
    result: int
    inode: int
    offset: int
    name: str
    data: bytes


def read_trace(path: Path) -> list[Event]:
    """Return what the tracer wrote."""
    raw, at, events = path.read_bytes(), 0, []
    while at < len(raw):
        size, op, fd, result, inode, offset, name_size, data_size = _HEAD.unpack_from(raw, at)
        body = at + _HEAD.size
        name = raw[body : body + name_size].decode()
        data = raw[body + name_size : body + name_size + data_size]
        events.append(Event(op.decode(), fd, result, inode, offset, name, data))
        at += size
    return events


@dataclass(frozen=True)
class State:
    """What may be on the disk.

    Args:
        kind: how it was chosen.
        files: name -> content.
    """

    kind: str
    files: dict[str, bytes]

    def key(self) -> bytes:
        """Return what tells it from others."""
        made = hashlib.blake2b(digest_size=16)
        for name in sorted(self.files):
            made.update(name.encode() + b"\0" + _digest(self.files[name]))
        return made.digest()


@functools.lru_cache(16)  # neighbours have most files in common
def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


@dataclass
class _File:
    """One inode: what is certainly on the disk, and what was written since (op, offset, data)."""

    synced: bytes = b""
    waiting: list[tuple[str, int, bytes]] = field(default_factory=list)


_Names = dict[str, _File]
_NameOp = tuple[str, str, str, _File | None]


def _apply(content: bytearray, op: str, offset: int, data: bytes) -> None:
    if op == "t":
        del content[offset:]
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    if op == "w":
        content[offset : offset + len(data)] = data


def _rename(names: _Names, op: _NameOp) -> None:
    kind, old, new, file = op
    if kind == "r" and names.get(old) is file:
        del names[old]
    if kind == "u":
        names.pop(new, None)
    elif file is not None:
        names[new] = file


class Disk:
    """Replays a trace, and says at any point what a power cut could leave."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}
        self._names: _Names = {}
        self._synced_names: _Names = {}
        self._waiting_names: list[_NameOp] = []
        self._begun: dict[int, tuple[_File | None, int]] = {}

    def replay(self, event: Event) -> None:
        """Do what the event did."""
        match event.op:
            case "c":
                self._files[event.inode] = _File()
                self._name("c", "", event.name, self._files[event.inode])
            case "r" | "l":
                self._name(event.op, event.data.decode(), event.name, self._files[event.inode])
            case "u":
                self._name("u", "", event.name, None)
            case "w" | "t" | "g":
                self._files[event.inode].waiting.append((event.op, event.offset, event.data))
            case "b":
                file = self._files[event.inode] if event.name else None
                count = len(file.waiting) if file else len(self._waiting_names)
                self._begun[event.fd] = (file, count)
            case "f":
                self._synced(*self._begun.pop(event.fd), failed=event.result != 0)

    def _name(self, kind: str, old: str, new: str, file: _File | None) -> None:
        op = (kind, old, new, file)
        _rename(self._names, op)
        self._waiting_names.append(op)

    def _synced(self, file: _File | None, count: int, *, failed: bool) -> None:
        if failed:
            return
        if file is None:
            for op in self._waiting_names[:count]:
                _rename(self._synced_names, op)
            del self._waiting_names[:count]
            return
        content = bytearray(file.synced)
        for op, offset, data in file.waiting[:count]:
            _apply(content, op, offset, data)
        file.synced = bytes(content)
        del file.waiting[:count]

    def now(self) -> dict[str, bytes]:
        """Return what a program sees: everything that was written."""
        return {name: _content(file, file.waiting) for name, file in self._names.items()}

    def states(self, chance: random.Random, samples: int) -> Iterator[State]:
        """Yield states a power cut could leave now.

        Args:
            chance: chooses.
            samples: how many prefixes, and how many subsets, if anything is not synced; where much is
                not, there are more.
        """
        yield State("synced", {name: file.synced for name, file in self._synced_names.items()})
        files = list(
            {id(file): file for file in (*self._names.values(), *self._synced_names.values())}.values()
        )
        if not self._waiting_names and not any(file.waiting for file in files):
            return
        yield State("all", self.now())
        if self._waiting_names:
            yield State("names", {name: file.synced for name, file in self._names.items()})
            yield State("data", {n: _content(f, f.waiting) for n, f in self._synced_names.items()})
        waiting = len(self._waiting_names) + sum(len(file.waiting) for file in files)
        for _ in range(samples + samples // 2 * min(8, waiting // 3)):
            yield self._sample(chance, "prefix")
            yield self._sample(chance, "subset")

    def _sample(self, chance: random.Random, kind: str) -> State:
        names = dict(self._synced_names)
        for op in _chosen(self._waiting_names, chance, kind):
            _rename(names, op)
        density = chance.random()
        contents = {}
        for name, file in names.items():
            if kind == "prefix":
                writes = file.waiting[: chance.randint(0, len(file.waiting))]
                if writes and chance.random() < 0.5:
                    writes[-1:] = _torn(writes[-1], chance)
            else:
                writes = []
                for write in file.waiting:
                    if chance.random() < density:
                        writes += [write] if chance.random() < 0.6 else _torn(write, chance)
            contents[name] = _content(file, writes)
        return State(kind, contents)


def _content(file: _File, writes: list[tuple[str, int, bytes]]) -> bytes:
    if not writes:
        return file.synced
    content = bytearray(file.synced)
    for op, offset, data in writes:
        _apply(content, op, offset, data)
    return bytes(content)


def _chosen(ops: list[_NameOp], chance: random.Random, kind: str) -> list[_NameOp]:
    if kind == "prefix":
        return ops[: chance.randint(0, len(ops))]
    return [op for op in ops if chance.random() < 0.5]


def _torn(write: tuple[str, int, bytes], chance: random.Random) -> list[tuple[str, int, bytes]]:
    """Return some sectors of a write: sectors of the disk, wherever the write begins."""
    op, offset, data = write
    if op != "w":
        return [write]
    kept, at, share = [], 0, chance.random()
    while at < len(data):
        end = min(len(data), at + SECTOR - (offset + at) % SECTOR)
        if chance.random() < share:
            kept.append((op, offset + at, data[at:end]))
        at = end
    return kept

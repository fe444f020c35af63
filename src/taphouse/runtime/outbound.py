"""The way out of a stream: what a protocol tells its transport to send, kept while the gate is closed.

The user's side of a connection, an ``asyncio.Transport``.  What is kept counts
as not yet sent for everybody who asks: flow control, ``is_closing()``,
``get_write_buffer_size()``.  Only ``abort()`` never waits, for it sends nothing.

The three methods that run once for each reply have C twins (``_outbound.c``),
put into this very class where they were built; ``TAPHOUSE_PURE=1`` leaves them out.

It must never know who owns a connection, nor why the gate is closed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Iterable
from typing import Any

from taphouse.runtime.gate import Gate

__all__ = ["OUTBOUND", "Outbound"]

_RESET = struct.pack("ii", 1, 0)  # struct linger: on, zero seconds; socket(7)

_EOF: Any = "write_eof()"
_END: Any = "close()"

_RAW_IS_FULL, _KEPT_IS_FULL, _NOT_READING, _CLOSING, _LANDING, _HAS_MARKS = 1, 2, 4, 8, 16, 32
"""Flags: the loop's transport, or the kept output, is above its mark; the user paused reading; the
user closed; what was kept is being committed; the user has set marks."""

_DEFAULT_MARK_BYTES = 64 * 1024
"""No loop's own mark is below that: less need not be held against it."""

_ALL_FLAGS, _FOR_BYTES = 0xFF, 8
"""Above the flags, the same int counts the bytes kept: a slot of its own costs 16 bytes a connection."""


class Outbound(asyncio.Transport):
    """What leaves through one stream.

    Attributes:
        owner: who admitted the connection; has its gate.
        protocol: the user's protocol; None before it is made and after the loss.
    """

    __slots__ = ("_flags", "_kept", "_raw", "owner", "protocol")

    owner: Any

    def __init__(self, owner: Any, protocol: asyncio.BaseProtocol | None) -> None:
        # Not asyncio.Transport.__init__: its extra-info dict costs 64 bytes a connection and stays empty.
        self.owner = owner
        self.protocol = protocol
        self._raw: asyncio.Transport | None = None
        self._kept: list[Any] | None = None
        self._flags = 0

    @property
    def raw(self) -> asyncio.Transport:
        """The loop's transport underneath."""
        if self._raw is None:
            raise RuntimeError("the connection is not made yet")
        return self._raw

    # -- sending

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data``."""
        owner = self.owner
        if owner.gate.closed:
            if type(data) is not bytes:
                data = bytes(memoryview(data))  # it may change, or its buffer go, before it is sent
            if data and not self._flags & _CLOSING:
                self._keep(data, len(data))
        else:
            self._raw.write(data)  # type: ignore[union-attr]
        if owner.watches_activity:
            owner.touched(self)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send all of ``list_of_data``."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """Send what is written, then end our side."""
        if self.owner.gate.closed:
            self._keep(_EOF, 0)
        else:
            self.raw.write_eof()

    def can_write_eof(self) -> bool:
        """Say whether one side can end alone."""
        return self.raw.can_write_eof()

    def close(self) -> None:
        """Send what is written, then close."""
        raw = self.raw
        if not self.owner.gate.closed:
            raw.close()
        elif not self.is_closing():
            self._keep(_END, 0)
            self._flags |= _CLOSING
            self.ignore_input()

    def ignore_input(self) -> None:
        """Hand nothing that arrives to the protocol any more.

        It is read nevertheless: closing a socket with unread data resets it, and the reply would be lost.
        """

    def abort(self) -> None:
        """Close at once; what is not sent is lost."""
        self.forget_kept()
        self.raw.abort()

    def reset(self) -> None:
        """Close at once so that the peer sees a reset and no orderly end (RST instead of FIN)."""
        self.forget_kept()
        raw = self.raw
        sock = raw.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            except OSError:
                pass  # the peer was faster
        raw.abort()

    def is_closing(self) -> bool:
        """Say whether it is closed or about to be."""
        return self._raw is None or bool(self._flags & _CLOSING) or self._raw.is_closing()

    # -- keeping, see `taphouse.runtime.gate.Keeper`

    @property
    def is_keeping(self) -> bool:
        """Whether anything waits for a commit."""
        return self._kept is not None or bool(self._flags & _LANDING)

    @property
    def _kept_bytes(self) -> int:
        return self._flags >> _FOR_BYTES

    def _keep(self, item: Any, size: int) -> None:
        if self._kept is None:
            self._kept = []
            gate: Gate = self.owner.gate
            gate.keep(self)
        self._kept.append(item)
        self._flags += size << _FOR_BYTES
        if self._kept_bytes > _DEFAULT_MARK_BYTES or self._flags & _HAS_MARKS:
            self._check_mark()

    def _check_mark(self) -> None:
        if self._kept_bytes > self.raw.get_write_buffer_limits()[1] and not self._flags & _KEPT_IS_FULL:
            # Replies that wait are memory: no more requests from this peer until they have left.
            self._pause(_KEPT_IS_FULL)
            if not self.is_closing():
                self.raw.pause_reading()

    def take_kept(self) -> list[Any]:
        """Return what is kept, in order, and keep nothing of it any more."""
        kept, self._kept = self._kept, None
        if not kept:
            return []
        self._flags |= _LANDING
        return kept

    def peek_kept(self) -> list[Any]:
        """Return what is kept, and keep it."""
        return self._kept or []

    def let_go(self, kept: list[Any]) -> None:
        """Send what was taken."""
        self._let_go_mixed(kept)

    def _let_go_mixed(self, kept: list[Any]) -> None:
        self._flags &= ~_LANDING
        raw = self._raw
        if raw is None or self.protocol is None or not kept:
            return
        data: list[bytes] = []
        for item in kept:
            if item is _EOF or item is _END:
                self._send(raw, data)
                data = []
                (raw.write_eof if item is _EOF else raw.close)()
            else:
                data.append(item)
        self._send(raw, data)
        if self._flags & _KEPT_IS_FULL and not self._kept_bytes:
            self._reopen()

    def _reopen(self) -> None:
        if not self._flags & _NOT_READING and not self.raw.is_closing():
            self.raw.resume_reading()
        self._resume(_KEPT_IS_FULL)

    def _send(self, raw: asyncio.Transport, data: list[bytes]) -> None:
        if data:
            joined = data[0] if len(data) == 1 else b"".join(data)
            self._flags -= min(len(joined), self._kept_bytes) << _FOR_BYTES
            if not raw.is_closing():
                raw.write(joined)

    def forget_kept(self) -> None:
        """Drop what is kept."""
        self._kept = None
        self._flags &= _ALL_FLAGS

    # -- flow control

    def pause_writing(self) -> None:
        """Pass on that the peer does not read."""
        self._pause(_RAW_IS_FULL)

    def resume_writing(self) -> None:
        """Pass on that there is room again."""
        self._resume(_RAW_IS_FULL)

    def _pause(self, reason: int) -> None:
        is_first = not self._flags & (_RAW_IS_FULL | _KEPT_IS_FULL)
        self._flags |= reason
        if is_first and self.protocol is not None:
            self.protocol.pause_writing()

    def _resume(self, reason: int) -> None:
        self._flags &= ~reason
        if not self._flags & (_RAW_IS_FULL | _KEPT_IS_FULL) and self.protocol is not None:
            self.protocol.resume_writing()

    def pause_reading(self) -> None:
        """Take no more from the peer for now."""
        self._flags |= _NOT_READING
        self.raw.pause_reading()

    def resume_reading(self) -> None:
        """Take from the peer again."""
        self._flags &= ~_NOT_READING
        if not self._flags & _KEPT_IS_FULL:
            self.raw.resume_reading()

    def is_reading(self) -> bool:
        """Say whether it takes from the peer."""
        return not self._flags & (_NOT_READING | _CLOSING) and not self.raw.is_closing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks of flow control, in bytes."""
        self._flags |= _HAS_MARKS
        self.raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent, those that wait for a commit included."""
        return self.raw.get_write_buffer_size() + self._kept_bytes

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the marks of flow control, (low, high)."""
        return self.raw.get_write_buffer_limits()

    # -- what is known of it

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the user's protocol."""
        return self.protocol  # type: ignore[return-value]

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport underneath knows."""
        return default if self._raw is None else self._raw.get_extra_info(name, default)


OUTBOUND = "python"
"""Which twin is in use, ``c`` or ``python``."""

if os.environ.get("TAPHOUSE_PURE", "") in ("", "0"):
    try:
        from taphouse.runtime import _outbound

        _outbound.install(
            Outbound, _KEPT_IS_FULL, _CLOSING, _LANDING, _HAS_MARKS, _FOR_BYTES, _DEFAULT_MARK_BYTES
        )
        OUTBOUND = "c"
    except ImportError:
        pass

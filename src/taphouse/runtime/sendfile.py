"""Send a file through a transport, at the pace of the peer.

Knows transports only.  It never calls sendfile(2): bytes that go around the
transport could not be held back by it.
"""

from __future__ import annotations

import asyncio
from typing import IO

__all__ = ["copy_file"]

_PIECE_BYTES = 256 * 1024


class _Pacer(asyncio.Protocol):
    """Stands in for the connection's protocol while a file is sent, and waits for room."""

    def __init__(self) -> None:
        self._room: asyncio.Future[None] | None = None
        self.loss: Exception | None = None
        self.lost = False
        self.owes_resume = False  # the protocol we stand in for was paused when we came

    def pause_writing(self) -> None:
        """Pass on that the peer does not read."""
        self._room = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Pass on that there is room again."""
        if self._room is None:
            self.owes_resume = True
        elif not self._room.done():
            self._room.set_result(None)
        self._room = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol, then the owner, and let go of both."""
        self.lost = True
        self.loss = exc
        if self._room is not None:
            self.resume_writing()

    async def wait_room(self) -> None:
        if self._room is not None:
            await self._room
        if self.lost:
            raise self.loss or ConnectionResetError("the connection was lost while a file was sent")


async def copy_file(transport: asyncio.Transport, file: IO[bytes], offset: int, count: int | None) -> int:
    """Send ``file`` from ``offset`` and return the number of bytes sent (``loop.sendfile``).

    Args:
        transport: where to; its reading pauses meanwhile, as asyncio's own fallback does.
        file: a binary file; its position is left behind the last byte sent.
        offset: where to begin, in bytes.
        count: how many bytes at most; None means to the end.

    Raises:
        RuntimeError: if the transport is closing.
        ConnectionError: if the connection is lost on the way.
    """
    if transport.is_closing():
        raise RuntimeError("the transport is closing")
    loop = asyncio.get_running_loop()
    own = transport.get_protocol()
    was_reading = transport.is_reading()
    pacer = _Pacer()
    if was_reading:
        transport.pause_reading()
    transport.set_protocol(pacer)
    sent = 0
    try:
        file.seek(offset)
        while count is None or sent < count:
            size = _PIECE_BYTES if count is None else min(_PIECE_BYTES, count - sent)
            piece = await loop.run_in_executor(None, file.read, size)
            if not piece:
                break
            await pacer.wait_room()
            transport.write(piece)
            sent += len(piece)
        await pacer.wait_room()
    finally:
        if pacer.lost:
            own.connection_lost(pacer.loss)
        else:
            transport.set_protocol(own)
            if pacer.owes_resume:
                own.resume_writing()
            if was_reading:
                transport.resume_reading()
        file.seek(offset + sent)
    return sent

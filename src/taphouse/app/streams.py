"""Streams: what carries ``async def serve(self, reader, writer)``.

One task per connection, made and owned by its protocol, so that whoever ends
the process can find and end it.  This is the one module of the room that meets
a running loop, because a stream reader cannot be made without one; it must
never start, stop or look for another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Protocol

__all__ = ["StreamProtocol"]


class _Serving(Protocol):
    """What this module needs of a factory."""

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Awaitable[None]: ...


class StreamProtocol(asyncio.StreamReaderProtocol):
    """Runs ``factory.serve(reader, writer)`` in a task for the life of one connection.

    The connection is closed when the coroutine returns.  A peer that vanishes
    (``ConnectionError``, ``IncompleteReadError`` escaping from the coroutine)
    ends it quietly; any other exception goes to the loop's exception handler.

    Args:
        factory: the factory, for :attr:`factory` and its ``serve``.
        limit_bytes: a line longer than this is refused by the reader; back-pressure starts at twice as much.
    """

    def __init__(self, factory: _Serving, limit_bytes: int) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(asyncio.StreamReader(limit=limit_bytes, loop=loop), self._connected, loop=loop)
        self.factory = factory
        self.task: asyncio.Task[None] | None = None
        """The coroutine at work; ``None`` before the connection is made."""

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not returned to the base class: 3.11 would start it without ever
        # looking at its exception.
        self.task = asyncio.get_running_loop().create_task(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.factory.serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the peer has gone, and every handler would have to say so
        except Exception as error:
            context: dict[str, Any] = {
                "message": f"{type(self.factory).__name__}.serve failed; its connection is closed",
                "exception": error,
                "protocol": self,
                "transport": writer.transport,
            }
            asyncio.get_running_loop().call_exception_handler(context)
        finally:
            writer.close()

"""A passage: a client's connection, the one to the target, and what passes between them.

Each side hands what arrives to the other side's transport.  A side that cannot
be written to stops the other side's reading, so what a passage holds in memory
is bounded: in each direction the loop's mark (64 KiB) and one read (256 KiB at
most).  Ends pass as they come:

==================================  ==================================================
one side                            the other side
==================================  ==================================================
sends no more (FIN)                 is told so (FIN); the other direction goes on
is reset                            is reset
ends TLS (close_notify)             gets all that was sent before, then is closed
==================================  ==================================================

TLS of asyncio cannot end one direction alone.  So a target with TLS is not told
that its client sends no more: the passage ends when the target has answered and
ends, or is silent for long.  And a client with TLS whose target sends no more is
closed: nearly every server means that.  It must never know who counts what passes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any
from typing import Protocol as Shape

from taphouse.app import Protocol
from taphouse.makers.forwarding.target import Target
from taphouse.runtime import Connection, Owner

__all__ = ["Passage", "Passages", "Side"]

_log = logging.getLogger("taphouse.portforward")
_EARLY_BYTES = 64 * 1024
_UNTOLD_SILENCE_S = 60.0
"""How long a side with TLS, which cannot be told that it gets no more, may be silent."""


class Passages(Shape):
    """What a passage needs of whoever keeps them all."""

    target: Target
    connect_timeout_s: float
    idle_timeout_s: float

    def began(self, passage: Passage) -> None:
        """A client has come."""

    def unreachable(self, passage: Passage, error: OSError) -> None:
        """The target could not be connected to."""

    def ended(self, passage: Passage) -> None:
        """Both connections are gone."""


class _Anteroom:
    """Stands where the target's transport will be: takes what the client sends until then."""

    __slots__ = ("_client", "_is_full", "_size", "_waiting")

    def __init__(self, client: Side) -> None:
        self._client = client
        self._waiting: list[Any] = []
        self._size = 0
        self._is_full = False

    def write(self, data: Any) -> None:
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= _EARLY_BYTES and not self._is_full:
            self._is_full = True
            self._client.transport.pause_reading()

    def let_through(self, transport: Connection) -> None:
        """Hand over what waits, and the end if it has come."""
        for data in self._waiting:
            transport.write(data)
        if self._client.is_lost:
            transport.close()  # a client with TLS has said all it had to, and left
        elif self._client.has_ended:
            self._client.pass_end(transport)
        elif self._is_full:
            self._client.transport.resume_reading()

    def __bool__(self) -> bool:
        return self._size > 0

    def can_write_eof(self) -> bool:
        return False  # the client remembers that it has ended


class Side(Protocol):
    """One side of a passage: what arrives here leaves by ``other``."""

    other: Any
    """The other side's transport."""

    twin: Side | None = None
    """The other side."""

    passed_bytes = 0
    told_bytes = 0
    has_ended = False
    is_lost = False

    passage: Any
    """The `Passage` it belongs to; None when that has ended."""

    def __init__(self, passage: Passage) -> None:
        self.passage = passage

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        self.passed_bytes += len(data)
        self.other.write(data)

    def eof_received(self) -> bool:
        """Pass it on, and close when the other direction has ended too."""
        self.has_ended = True
        twin = self.twin
        if twin is not None and twin.has_ended:
            self.other.close()  # what it is still to get leaves first; ours is closed by the loop
            return False
        self.pass_end(self.other)
        return self.transport.can_write_eof()  # TLS ends both directions whatever we say

    def pass_end(self, other: Any) -> None:
        """Tell the other side that this one sends no more, if it can be told."""
        if other.can_write_eof():
            other.write_eof()

    def pause_writing(self) -> None:
        """This side's peer does not take what it gets: take no more for it."""
        if self.twin is not None and not self.twin.has_ended and not self.other.is_closing():
            self.other.pause_reading()

    def resume_writing(self) -> None:
        """It does again."""
        if self.twin is not None and not self.twin.has_ended and not self.other.is_closing():
            self.other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other side in the same way."""
        self.is_lost = True
        if self.twin is not None and not self.twin.is_lost:
            if exc is None:
                self.other.close()
            else:
                self.other.reset()
        self.passage.lost_side()

    def new_bytes(self) -> int:
        """Return how many bytes have passed since it was asked last."""
        new = self.passed_bytes - self.told_bytes
        self.told_bytes = self.passed_bytes
        return new


class _ClientSide(Side):
    """Connects to the target as soon as the client is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.passage.begin()  # the transport is set: a port has done that


class _TargetSide(Side):
    """Joins the passage if it is the first to be connected."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, Connection)
        self.transport = transport
        if not self.passage.join(self, transport):
            transport.abort()

    def pass_end(self, other: Any) -> None:
        """Tell the client; if it cannot be told that, it has got all there will be."""
        if other.can_write_eof():
            other.write_eof()
        else:
            other.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.twin is not None:
            super().connection_lost(exc)


class _Outward(Owner):
    """Answers for connections to targets: their gate is open, and their log lines are their clients'."""

    def label(self, connection: Connection) -> str:
        passage = getattr(connection.protocol, "passage", None)
        return passage.label() if isinstance(passage, Passage) else "-"


_OUTWARD = _Outward()


class Passage:
    """One forwarded connection.

    Args:
        keeper: keeps all of them.

    Attributes:
        client: the client's side.
        target: the target's side; None until it is connected.
    """

    __slots__ = ("_dialling", "began_at", "client", "keeper", "silent_since", "target")

    def __init__(self, keeper: Passages) -> None:
        self.keeper = keeper
        self.client: Side = _ClientSide(self)
        self.client.other = _Anteroom(self.client)
        self.target: Side | None = None
        self.began_at = self.silent_since = time.monotonic()
        self._dialling: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Connect to the target."""
        self.keeper.began(self)
        self._dialling = asyncio.get_running_loop().create_task(self._dial())

    def join(self, side: Side, transport: Connection) -> bool:
        """Take ``side`` for the target's side; False if there is one, or nobody waits for it."""
        client = self.client
        if self.target is not None or self._is_pointless:
            return False
        self.target = side
        side.other, side.twin = client.transport, client
        anteroom, client.other, client.twin = client.other, transport, side
        anteroom.let_through(transport)
        return True

    @property
    def _is_pointless(self) -> bool:
        """Whether the client left before the target was there, and left nothing for it."""
        client = self.client
        return client.is_lost and not (client.has_ended and client.other)

    def lost_side(self) -> None:
        """A side is gone; with the last one the passage ends."""
        if self.target is None and self._dialling is not None:
            if self._is_pointless:
                self._dialling.cancel()
                self._end()
        elif self.client.is_lost and (self.target is None or self.target.is_lost):
            self._end()

    def _end(self) -> None:
        if self.client.passage is None:
            return
        self.keeper.ended(self)
        # Break the rings: the cycle collector has enough to do.
        for side in (self.client, self.target):
            if side is not None:
                side.twin = side.other = side.passage = None

    def close(self) -> None:
        """Close both connections; what a peer does not take is lost."""
        for side in (self.client, self.target):
            if side is None or side.is_lost:
                continue
            if side.transport.get_write_buffer_size():
                side.transport.abort()
            else:
                side.transport.close()

    def new_bytes(self) -> tuple[int, int]:
        """Return how many bytes have passed since it was asked last: (to the target, to the client)."""
        return self.client.new_bytes(), 0 if self.target is None else self.target.new_bytes()

    def look(self, has_passed: bool, now: float) -> None:
        """End what takes too long: connecting to the target, or silence.

        Args:
            has_passed: whether something has passed since this was asked last.
            now: the monotonic clock.
        """
        keeper = self.keeper
        if self.target is None:
            if now - self.began_at >= keeper.connect_timeout_s and self._dialling is not None:
                self._dialling.cancel()
                self._fail(TimeoutError(f"no answer within {keeper.connect_timeout_s:g} s"))
            self.silent_since = now
            return
        if has_passed:
            self.silent_since = now
            return
        limit_s = keeper.idle_timeout_s
        if self._is_untold:
            limit_s = min(limit_s or _UNTOLD_SILENCE_S, _UNTOLD_SILENCE_S)
        if limit_s and now - self.silent_since >= limit_s:
            _log.info("nothing has passed for %g s; closed", limit_s, extra={"context": self.label()})
            self.close()

    @property
    def _is_untold(self) -> bool:
        """Whether the client sends no more, and the target could not be told."""
        target = self.target
        return (
            self.client.has_ended
            and target is not None
            and not target.is_lost
            and not target.transport.can_write_eof()
        )

    def label(self) -> str:
        """Return how log lines are marked: as the client's."""
        transport = self.client.transport
        return transport.log_label() if isinstance(transport, Connection) else "-"

    async def _dial(self) -> None:
        try:
            await self.keeper.target.connect(lambda: Connection(_OUTWARD, _TargetSide(self)))
        except OSError as error:
            self._fail(error)
        except Exception:
            _log.exception("connecting to %s failed", self.keeper.target)
            self._fail(OSError("see the traceback"))
        finally:
            self._dialling = None
            if self.client.is_lost and self.target is None:
                self._end()

    def _fail(self, error: OSError) -> None:
        if self._is_pointless:
            return
        self.keeper.unreachable(self, error)
        transport = self.client.transport
        if not self.client.is_lost and isinstance(transport, Connection):
            transport.reset()  # and no orderly end: that would look like an empty answer

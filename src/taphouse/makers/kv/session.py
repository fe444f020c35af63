"""Session: one connection.

All commands that arrive together are answered by one write.  A client that does not read its
replies is not read from, and its commands wait.  It must not know what a command does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from taphouse.app import Protocol
from taphouse.makers.kv.commands import NOTHING, USUAL, Row, find
from taphouse.makers.kv.replies import Refused, error
from taphouse.makers.kv.requests import MAX_REQUEST_BYTES, ProtocolError, Requests
from taphouse.protocols import answer_requests

__all__ = ["PATIENCE_S", "Session"]

OUTPUT_BYTES = 256 << 10  # replies gathered for one write
PATIENCE_S = 60.0  # with a request that has begun and does not go on
STRANGER_BYTES = 16 << 10  # for a request of who has not said the password, as in Redis


class Session(Protocol):
    """One client; its attributes are those of `taphouse.makers.kv.client.Client`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with the first database."""
        super().connection_made(transport)
        keyspace = self.factory
        self.db = keyspace.databases[0]
        self.protocol = 2
        self.name = b""
        self.is_leaving = False
        self.requests = Requests(keyspace.budget)
        self.waiting: list[list[bytes]] = []  # commands
        self.is_paused = False
        self.stalled = (0, 0.0)
        self.statistics = keyspace.statistics
        self.statistics.connections += 1
        self.number: int = self.statistics.connections
        self.is_known = False
        self.usual: Mapping[bytes, Row] = NOTHING
        self.requests.most_bytes = STRANGER_BYTES
        if keyspace.door.is_open:
            self.admit()

    def admit(self) -> None:
        """Let it do everything from now on."""
        self.is_known = True
        self.usual = USUAL
        self.requests.most_bytes = MAX_REQUEST_BYTES

    def data_received(self, data: bytes) -> None:
        """Answer what is complete."""
        try:
            self.requests.feed(data, self.waiting)
        except ProtocolError as mistake:
            self.answer()
            self.hang_up(error(f"ERR Protocol error: {mistake}"))
        else:
            self.answer()

    def answer(self) -> None:
        """Do the commands that wait, until their replies are more than the client takes."""
        waiting = self.waiting
        while waiting and not self.is_paused:
            replies: list[bytes] = []
            room = OUTPUT_BYTES
            while len(replies) < len(waiting) and room >= 0 and not self.is_leaving:
                try:
                    room = answer_requests(self, waiting, self.usual, replies, room)
                    if len(replies) < len(waiting) and room >= 0:
                        words = waiting[len(replies)]
                        replies.append(find(words, is_known=self.is_known)(self, words))
                except Refused as refused:
                    replies.append(refused.reply)
            del waiting[: len(replies)]
            self.statistics.commands += len(replies)
            self.transport.write(b"".join(replies))
            if self.is_leaving:
                self.hang_up()

    def hang_up(self, last_words: bytes = b"") -> None:
        """Say ``last_words`` and close."""
        self.waiting.clear()
        if not self.transport.is_closing():
            if last_words:
                self.transport.write(last_words)
            self.transport.close()

    def hurry(self, now_s: float) -> None:
        """Close if the request that has begun did not go on for a while."""
        fed, since_s = self.stalled
        if fed != self.requests.fed:
            self.stalled = self.requests.fed, now_s
        elif now_s - since_s > PATIENCE_S:
            self.hang_up(error(f"ERR Protocol error: request not continued for {PATIENCE_S:.0f} seconds"))

    def pause_writing(self) -> None:
        """The client does not take its replies: read no more."""
        self.is_paused = True
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """It took them: go on with what waits, then read on."""
        self.is_paused = False
        self.answer()
        if not self.is_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what it has begun to say."""
        self.waiting.clear()
        self.requests.close()

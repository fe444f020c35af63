"""Session: one connection.

All commands that arrive together are answered by one write.  A client that does not read its
replies is not read from, and its commands wait.
"""

from keyvalue.commands import USUAL, find
from keyvalue.replies import Refused, error
from keyvalue.requests import ProtocolError, Requests
from taphouse import Protocol
from taphouse.protocols import answer_requests

OUTPUT_BYTES = 256 << 10  # replies gathered for one write
PATIENCE_S = 60.0  # with a request that has begun and does not go on


class Session(Protocol):
    """One client.

    Attributes:
        db: the database that was selected.
        protocol: 2, or 3 for a client that said HELLO 3.
        name: what the client calls itself.
        is_leaving: whether to close after the next reply.
    """

    def connection_made(self, transport):
        keyspace = self.factory
        self.db = keyspace.databases[0]
        self.protocol = 2
        self.name = b""
        self.is_leaving = False
        self.requests = Requests(keyspace.budget)
        self.waiting = []  # commands
        self.is_paused = False
        self.stalled = (0, 0.0)
        self.statistics = keyspace.statistics
        self.statistics.connections += 1
        self.number = self.statistics.connections

    def data_received(self, data):
        try:
            self.requests.feed(data, self.waiting)
        except ProtocolError as mistake:
            self.answer()
            self.hang_up(error(f"ERR Protocol error: {mistake}"))
        else:
            self.answer()

    def answer(self):
        """Do the commands that wait, until their replies are more than the client takes."""
        waiting = self.waiting
        while waiting and not self.is_paused:
            replies, room = [], OUTPUT_BYTES
            while len(replies) < len(waiting) and room >= 0 and not self.is_leaving:
                try:
                    room = answer_requests(self, waiting, USUAL, replies, room)
                    if len(replies) < len(waiting) and room >= 0:
                        words = waiting[len(replies)]
                        replies.append(find(words)[0](self, words))
                except Refused as refused:
                    replies.append(refused.reply)
            del waiting[: len(replies)]
            self.statistics.commands += len(replies)
            self.transport.write(b"".join(replies))
            if self.is_leaving:
                self.hang_up()

    def hang_up(self, last_words=b""):
        """Say ``last_words`` and close."""
        self.waiting.clear()
        if not self.transport.is_closing():
            if last_words:
                self.transport.write(last_words)
            self.transport.close()

    def hurry(self, now_s):
        """Close if the request that has begun did not go on for a while."""
        fed, since_s = self.stalled
        if fed != self.requests.fed:
            self.stalled = self.requests.fed, now_s
        elif now_s - since_s > PATIENCE_S:
            self.hang_up(error(f"ERR Protocol error: request not continued for {PATIENCE_S:.0f} seconds"))

    def pause_writing(self):
        self.is_paused = True
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self):
        self.is_paused = False
        self.answer()
        if not self.is_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def connection_lost(self, exc):
        self.waiting.clear()
        self.requests.close()

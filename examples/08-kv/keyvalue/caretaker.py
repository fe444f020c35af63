"""Caretaker: removes what has expired although nobody asks, and hangs up on who never ends a request."""

import asyncio
import time

from taphouse import Service

EVERY_S = 0.1


class Caretaker(Service, name="kv.Caretaker"):
    """Goes round ten times a second.

    Args:
        keyspace: what it takes care of.
    """

    def __init__(self, keyspace):
        super().__init__("caretaker")
        self.keyspace = keyspace

    def start(self):
        """Let INFO find the application's statistics."""
        self.keyspace._v_application = self.application

    async def run(self):
        """Sweep, let clients have their turn, sweep on while it is worth it."""
        while True:
            worth_it = [database.sweep() for database in self.keyspace.databases]
            self.hang_up(time.monotonic())
            await asyncio.sleep(0 if any(worth_it) else EVERY_S)

    def hang_up(self, now_s):
        """Close connections whose request does not come to its end."""
        for session in tuple(self.keyspace.connections):
            if session.requests.unfinished_bytes:
                session.hurry(now_s)

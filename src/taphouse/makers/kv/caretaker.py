"""Caretaker: removes what has expired although nobody asks, and hangs up on who never ends a request.

It must not know commands.
"""

from __future__ import annotations

import asyncio
import time

from taphouse.app import Service
from taphouse.makers.kv.keyspace import Keyspace

__all__ = ["Caretaker"]

EVERY_S = 0.1


class Caretaker(Service, name="kv.Caretaker"):
    """Goes round ten times a second.

    Args:
        keyspace: what it takes care of.
        name: of the service, for an application that has several.
    """

    def __init__(self, keyspace: Keyspace, name: str = "caretaker") -> None:
        super().__init__(name)
        self.keyspace = keyspace

    def start(self) -> None:
        """Let INFO find the application's statistics."""
        self.keyspace._v_application = self.application

    async def run(self) -> None:
        """Sweep, let clients have their turn, sweep on while it is worth it."""
        while True:
            worth_it = [database.sweep() for database in self.keyspace.databases]
            self.hang_up(time.monotonic())
            await asyncio.sleep(0 if any(worth_it) else EVERY_S)

    def hang_up(self, now_s: float) -> None:
        """Close connections whose request does not come to its end."""
        for session in self.keyspace.sessions():
            if session.requests.unfinished_bytes:
                session.hurry(now_s)

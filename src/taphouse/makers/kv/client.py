"""Client: what a command may know of who said it, and of the server they are both in.

Shapes only: commands are tables of functions that a session looks up, so they cannot import it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol, TypeAlias

from taphouse.makers.kv.database import Database
from taphouse.makers.kv.door import Door

__all__ = ["Client", "Command", "Place", "Statistics"]


class Statistics(Protocol):
    """What happened since the start."""

    started_s: float
    connections: int
    commands: int
    refused: int


class Budget(Protocol):
    """What unfinished requests take together."""

    used_bytes: int


class Place(Protocol):
    """The server."""

    budget: Budget
    databases: Sequence[Database]

    @property
    def door(self) -> Door:
        """Who may come in."""

    @property
    def connections(self) -> Collection[Any]:
        """All live connections."""

    def epochs(self) -> Any:
        """Return how commits go, or None where no application runs."""


class Client(Protocol):
    """One connection.

    Attributes:
        db: the database that was selected.
        protocol: 2, or 3 for a client that said HELLO 3.
        name: what the client calls itself.
        number: how many came before it, and one.
        is_known: whether it has said the password, if there is one.
        is_leaving: whether to close after the next reply.
    """

    db: Database
    protocol: int
    name: bytes
    number: int
    is_known: bool
    is_leaving: bool
    statistics: Statistics

    @property
    def factory(self) -> Place:
        """The server it is connected to."""

    def admit(self) -> None:
        """Let it do everything from now on."""


Command: TypeAlias = Callable[[Any, list[bytes]], bytes]
"""Does what the words say, the first of which is its name, and returns the reply."""

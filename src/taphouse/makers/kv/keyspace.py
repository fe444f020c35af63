"""Keyspace: the factory; its databases are what the server remembers.

It must not know what is said on a connection.
"""

from __future__ import annotations

import time
from typing import Any, cast

from taphouse.app import Factory
from taphouse.durable import durable
from taphouse.errors import ConfigurationError
from taphouse.makers.kv.database import Database
from taphouse.makers.kv.door import Door, Password
from taphouse.makers.kv.requests import Budget
from taphouse.makers.kv.session import Session

__all__ = ["Keyspace"]

DATABASES = 16


class Statistics:
    """What happened since the start, for INFO; never saved."""

    def __init__(self) -> None:
        self.started_s = time.monotonic()
        self.connections = 0
        self.commands = 0
        self.refused = 0


class Keyspace(Factory, name="kv.Keyspace", config=("password",)):
    """Sixteen databases.

    Args:
        password: what clients have to say first; ``None`` asks for none.
    """

    protocol = Session
    budget = durable.volatile(Budget)
    statistics = durable.volatile(Statistics)
    password: Password | None = None
    _v_application: Any = None  # set by the caretaker, who knows it
    _v_door: Door | None = None

    def __init__(self, password: Password | None = None) -> None:
        self.databases = [Database() for _ in range(DATABASES)]
        if password is not None:
            self.password = password

    def started(self) -> None:
        """Count from here, and read the password: a start without it fails.

        Raises:
            ConfigurationError: if it cannot be read, or is empty.
        """
        self.statistics.started_s = time.monotonic()
        self._v_door = None
        assert self.door

    @property
    def door(self) -> Door:
        """Who may come in; the password is read once in a life of the server."""
        door = self._v_door
        if door is None:
            password = None if self.password is None else self.password.reveal()
            if password == "":
                raise ConfigurationError("the password of kv is empty", cure="write one into its file")
            door = self._v_door = Door(password)
        return door

    def sessions(self) -> tuple[Session, ...]:
        """Return all connections."""
        return cast("tuple[Session, ...]", tuple(self.connections))

    def epochs(self) -> Any:
        """Return how commits go, or None where no application runs."""
        application = self._v_application
        return application.statistics().epochs if application and application.is_running else None

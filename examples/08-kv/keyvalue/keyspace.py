"""Keyspace: the factory; its databases are what the server remembers."""

import time

from keyvalue.database import Database
from keyvalue.requests import Budget
from keyvalue.session import Session
from taphouse import Factory, durable

DATABASES = 16


class Statistics:
    """What happened since the start, for INFO; never saved."""

    def __init__(self):
        self.started_s = time.monotonic()
        self.connections = 0
        self.commands = 0


class Keyspace(Factory, name="kv.Keyspace"):
    """Sixteen databases."""

    protocol = Session
    budget = durable.volatile(Budget)
    statistics = durable.volatile(Statistics)
    _v_application = None  # set by the caretaker, who knows it

    def __init__(self):
        self.databases = [Database() for _ in range(DATABASES)]

    def started(self):
        """Count from here."""
        self.statistics.started_s = time.monotonic()

    def epochs(self):
        """Return how commits go, or None where no application runs."""
        application = self._v_application
        return application.statistics().epochs if application and application.is_running else None

"""The bank as a taphouse application would declare it: importable, so that a tap can name its classes."""

from __future__ import annotations

from taphouse import Durable, Factory, Protocol


class Account(Durable):
    """An account that is remembered."""


class Bank(Factory):
    """Holds the accounts."""

    protocol = Protocol

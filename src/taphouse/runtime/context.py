"""Log context: on whose behalf the code that logs is running.

``Keys,3,127.0.0.1`` for a connection, ``*otk*`` while the runtime acts, else
``-``.  A log line pays for finding out, a read or a write does not: callbacks
reach the user's protocol directly, so the stack is searched for it.  It must
know neither logging nor connections, only that some transports can say who
they are.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any, Protocol

__all__ = ["Labelled", "acting", "current_context", "on_behalf"]

_current: ContextVar[Any] = ContextVar("taphouse_context", default="-")


class Labelled(Protocol):
    """A transport that knows how its log lines are marked."""

    def log_label(self) -> str:
        """Return the mark."""


@contextmanager
def acting(name: str) -> Iterator[None]:
    """Mark what is logged inside, and by tasks and timers made inside, as ``*name*``."""
    token = _current.set(f"*{name}*")
    try:
        yield
    finally:
        _current.reset(token)


class _OnBehalf:
    """A class and no generator: every connection pays for it."""

    __slots__ = ("_connection", "_token")

    def __init__(self, connection: Labelled) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._token = _current.set(self._connection)

    def __exit__(self, *problem: object) -> None:
        _current.reset(self._token)


def on_behalf(connection: Labelled) -> AbstractContextManager[None]:
    """Mark what is logged by tasks made inside as ``connection``'s."""
    return _OnBehalf(connection)


def current_context() -> str:
    """Return the context of the code that calls: ``Keys,3,127.0.0.1``, ``*otk*`` or ``-``."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_argcount and code.co_varnames[0] == "self":
            label = _label_of(frame.f_locals.get("self"))
            if label is not None:
                return label
        frame = frame.f_back
    current = _current.get()
    return current if isinstance(current, str) else str(current.log_label())


def _label_of(found: object) -> str | None:
    if isinstance(found, asyncio.BaseTransport):
        return _say(found)
    if not isinstance(found, asyncio.BaseProtocol):
        return None
    # Straight from the dict: no property and no __getattr__ of the user runs for a log line.
    attributes = getattr(found, "__dict__", None) or {}
    for name in ("transport", "_transport"):
        transport = attributes.get(name)
        if isinstance(transport, asyncio.BaseTransport) and (label := _say(transport)) is not None:
            return label
    return None


def _say(transport: Any) -> str | None:
    # Not isinstance(transport, Labelled): what a runtime protocol looks up costs more than the log line.
    return str(transport.log_label()) if hasattr(type(transport), "log_label") else None

"""``volatile``: an attribute that is made again after every start.

This module must never know tracking: the value lies under a ``_v_`` name, which
is not tracked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

__all__ = ["volatile"]

V = TypeVar("V")


class volatile(Generic[V]):  # noqa: N801  (used as a function in class bodies)
    """A class attribute whose value is made at first use and never saved.

    ``lock = durable.volatile(asyncio.Lock)``: each object gets a Lock of its own at
    the first ``self.lock``, and a new one after every thaw.  It may be assigned and deleted.

    Args:
        make: makes the value; called without arguments.
    """

    def __init__(self, make: Callable[[], V]) -> None:
        self.make = make
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = f"_v_{name}"

    @overload
    def __get__(self, obj: None, owner: type) -> volatile[V]: ...
    @overload
    def __get__(self, obj: object, owner: type) -> V: ...
    def __get__(self, obj: Any, owner: type) -> Any:
        if obj is None:
            return self
        state = obj._tap_state
        if self.name not in state:
            state[self.name] = self.make()
        return state[self.name]

    def __set__(self, obj: Any, value: V) -> None:
        obj._tap_state[self.name] = value

    def __delete__(self, obj: Any) -> None:
        obj._tap_state.pop(self.name, None)

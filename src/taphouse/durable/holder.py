"""``durable``: one name that is the class decorator and holds what belongs to it.

This module must never import an event loop; what waits and commits is handed in
as ``ledger.committer``.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import get_annotations
from typing import Any, TypeVar, overload

from taphouse.durable.base import Durable
from taphouse.durable.ledger import Ledger
from taphouse.durable.registry import register
from taphouse.durable.undo import atomic, in_atomic
from taphouse.durable.volatile import volatile

__all__ = ["durable"]

C = TypeVar("C", bound=type)
R = TypeVar("R")


class _DurableName:
    """What ``durable`` is; see its methods."""

    atomic = staticmethod(atomic)
    register = staticmethod(register)
    volatile = volatile

    @overload
    def __call__(self, cls: C) -> C: ...
    @overload
    def __call__(self, *, version: int = 1, name: str | None = None) -> Callable[[C], C]: ...
    def __call__(self, cls: Any = None, *, version: int = 1, name: str | None = None) -> Any:
        """Make a class durable: ``@durable`` or ``@durable(version=2, name="otk.Account")``.

        Raises:
            TypeError: if it has ``__slots__``, is a frozen dataclass or has a base that cannot be tracked.
        """
        if cls is None:
            return lambda decorated: _combine(decorated, version, name)
        return _combine(cls, version, name)

    async def committed(self) -> None:
        """Wait until everything changed so far is on disk; return at once if nothing is saved.

        Raises:
            RuntimeError: inside ``atomic()``.
        """
        if in_atomic():
            raise RuntimeError("committed() inside atomic() would wait for changes that may be undone")
        ledger = Ledger.current
        if ledger is not None and ledger.committer is not None:
            await ledger.committer.committed()

    def call(self, function: Callable[..., R], *args: Any) -> R:
        """From another thread: run ``function(*args)`` where the application runs, return after its commit.

        Raises:
            RuntimeError: if no application runs in this process.
        """
        ledger = Ledger.current
        if ledger is None or ledger.committer is None:
            raise RuntimeError("durable.call() needs an application that runs in this process")
        if args:
            return ledger.committer.call(lambda: function(*args))  # type: ignore[no-any-return]
        return ledger.committer.call(function)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return "durable"


def _combine(cls: Any, version: int, name: str | None) -> Any:
    if not isinstance(cls, type):
        raise TypeError(f"@durable decorates a class, not {cls!r:.60}")
    if issubclass(cls, Durable):
        raise TypeError(
            f"{cls.__qualname__} is durable already; give version= and name= in its class statement"
        )
    parameters = cls.__dict__.get("__dataclass_params__")
    if getattr(parameters, "frozen", False):
        raise TypeError(
            f"{cls.__qualname__} is a frozen dataclass: it never changes, so it need not be durable"
        )
    if cls.__dict__.get("__slots__"):
        raise TypeError(f"{cls.__qualname__}: a durable class cannot have __slots__; remove them")
    space = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "__annotations__": dict(get_annotations(cls)),
        "__wrapped__": cls,
        "__dict__": Durable.__dict__["__dict__"],
    }
    make: Any = type(cls)
    return make(cls.__name__, (cls, Durable), space, version=version, name=name)


durable = _DurableName()

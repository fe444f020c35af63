"""One standing for several contestants: begun by the first of them, ended by the last.

Workloads that are compared on the same two servers are contestants of their own, so that each pair lies close
in time; the servers are started once for all. Knows nothing of what stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Hands out one and the same thing as long as anybody uses it; ``make`` begins it."""

    def __init__(self, make: Callable[[], AbstractContextManager[T]]) -> None:
        self._make = make
        self._users = 0
        self._ending = ExitStack()
        self._thing: T | None = None

    @contextmanager
    def stand(self) -> Iterator[T]:
        """Give the thing while the block runs."""
        if self._thing is None:
            self._thing = self._ending.enter_context(self._make())
        self._users += 1
        try:
            yield self._thing
        finally:
            self._users -= 1
            if not self._users:
                self._thing = None
                self._ending.close()

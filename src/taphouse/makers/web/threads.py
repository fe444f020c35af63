"""A pool of threads for code that blocks, with a limit.

Not ``concurrent.futures``: its threads keep a process from ending for as long
as they work, and whoever stops a server does not wait for a request that hangs.
This module must never know what the threads do.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["ThreadPool"]

T = TypeVar("T")
_Job = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class ThreadPool:
    """At most ``most`` threads, started when they are needed.

    Args:
        most: how many may work at once; who comes later waits in line.
        name: of the threads, with a number behind it.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._lock = threading.Lock()
        self._has_job = threading.Condition(self._lock)
        self._jobs: deque[_Job] = deque()
        self._threads = 0
        self._idle = 0
        self._is_closed = False

    async def run(self, function: Callable[[], T]) -> T:
        """Call ``function()`` in a thread, in the context of the caller, and return what it returns."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()
        with self._lock:
            if self._is_closed:
                raise RuntimeError(f"the threads of {self._name} have ended")
            self._jobs.append((lambda: context.run(function), done, loop))
            if self._idle >= len(self._jobs):
                self._has_job.notify()
            elif self._threads < self._most:
                self._threads += 1
                name = f"{self._name}-{self._threads}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
        return await done

    def close(self) -> None:
        """Let threads end when they are done; none is waited for."""
        with self._lock:
            self._is_closed = True
            self._has_job.notify_all()

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
                while not self._jobs and not self._is_closed:
                    self._has_job.wait()
                self._idle -= 1
                if not self._jobs:
                    return
                job = self._jobs.popleft()
            function, done, loop = job
            if done.cancelled():
                continue
            result: Any = None
            error: BaseException | None = None
            try:
                result = function()
            except BaseException as raised:  # SystemExit too: it ends one request, not the thread
                error = raised
            try:
                loop.call_soon_threadsafe(_settle, done, result, error)
            except RuntimeError:  # the loop has ended meanwhile, and nobody waits
                return
            del function, done, job, result, error


def _settle(done: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if done.done():
        return  # nobody waits any more
    if error is None:
        done.set_result(result)
    elif isinstance(error, StopIteration):
        done.set_exception(RuntimeError(f"{error!r} from a request"))  # no future takes that one
    else:
        done.set_exception(error)

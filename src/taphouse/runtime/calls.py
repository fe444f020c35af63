"""Calls from other threads: run on the loop, answered after the commit.

It must never know what a call does, nor how a commit is made.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["call_and_commit"]

_T = TypeVar("_T")


def call_and_commit(
    loop: asyncio.AbstractEventLoop,
    committed: Callable[[], Awaitable[None]],
    function: Callable[..., _T | Awaitable[_T]],
    args: tuple[Any, ...],
) -> _T:
    """Run ``function(*args)`` on ``loop``, await ``committed()``, and return the result to this thread.

    Args:
        loop: one that runs in another thread.
        committed: returns when what the function did is on disk.
        function: plain or a coroutine function.
    """
    answer: Future[_T] = Future()

    async def run() -> _T:
        result = function(*args)
        if inspect.isawaitable(result):
            result = await result
        await committed()
        return result

    def begin() -> None:
        loop.create_task(run()).add_done_callback(pass_on)

    def pass_on(done: asyncio.Task[_T]) -> None:
        if done.cancelled():
            answer.cancel()
        elif (error := done.exception()) is not None:
            answer.set_exception(error)
        else:
            answer.set_result(done.result())

    loop.call_soon_threadsafe(begin)
    return answer.result()

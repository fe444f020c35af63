"""Lifespan: an ASGI application is told when the server starts and stops.

The lifespan protocol of the ASGI specification, in which an application that
cannot start keeps the server from starting.  It must never know HTTP.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal

from taphouse.errors import InternalError

__all__ = ["ASGIApp", "Lifespan", "LifespanMode"]

_log = logging.getLogger("taphouse.web")
_STOP_S = 30.0
_LAST_WORDS_S = 1.0

Message = MutableMapping[str, Any]
ASGIApp = Callable[[Any, Any, Any], Awaitable[Any]]
"""``await app(scope, receive, send)``."""

LifespanMode = Literal["auto", "on", "off"]


class Lifespan:
    """The life of one application, as a task.

    Args:
        app: the application.
        mode: ``on`` if it has to speak the protocol, ``off`` if it is not asked, ``auto`` to find out.
        state: what it and its requests find in ``scope["state"]``.
        name: what it is called in errors and in the log.
    """

    def __init__(self, app: ASGIApp, mode: str, state: dict[str, Any], name: str) -> None:
        self._app = app
        self._mode = mode
        self._state = state
        self._name = name
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._answer: asyncio.Future[Message] | None = None
        self._speaks = False
        self._error: BaseException | None = None

    async def start(self) -> None:
        """Say ``lifespan.startup``, and return when the application has started.

        Raises:
            InternalError: naming the exception that kept it from starting.
        """
        if self._mode == "off":
            return
        try:
            answer = await self._ask("lifespan.startup")
        except asyncio.CancelledError:
            await self._end()
            raise
        if answer is not None and answer["type"] == "lifespan.startup.complete":
            return
        if answer is None and self._mode == "auto":
            # So the specification wants it: who cannot start says "failed", who raises knows no lifespan.
            if self._speaks and self._error is not None:
                _log.warning("%s is served without lifespan: %r", self._name, self._error)
            self._task = None
            return
        if self._task is not None:  # it said "failed": its exception follows, if it has one
            await asyncio.wait([self._task], timeout=_LAST_WORDS_S)
        await self._end()
        if self._error is not None:
            _log.error("%s cannot start", self._name, exc_info=self._error)
            reason = f"{type(self._error).__name__}: {self._error}"
        elif answer is not None:
            said = str(answer.get("message") or "it gave no reason").strip()
            _log.error("%s cannot start: %s", self._name, said)
            reason = said.splitlines()[-1]  # of a traceback, the line that counts
        else:
            reason = "it does not speak the lifespan protocol"
        raise InternalError(f"{self._name} cannot start: {' '.join(reason.split())}", cure="see the log")

    async def stop(self) -> None:
        """Say ``lifespan.shutdown``, and return when the application has ended, or does not answer."""
        if self._task is None:
            return
        if self._task.done():
            _log.error("%s ended its lifespan before the server did", self._name, exc_info=self._error)
            return
        answer = None
        try:
            async with asyncio.timeout(_STOP_S):
                answer = await self._ask("lifespan.shutdown")
        except TimeoutError:
            _log.error("%s did not stop within %g s; left behind", self._name, _STOP_S)
        if self._task is not None and answer is not None:
            await asyncio.wait([self._task], timeout=_LAST_WORDS_S)
        await self._end()
        if self._error is not None:
            _log.error("%s failed at the stop", self._name, exc_info=self._error)
        elif answer is not None and answer["type"] == "lifespan.shutdown.failed":
            _log.error("%s failed at the stop: %s", self._name, answer.get("message", ""))

    async def _ask(self, event: str) -> Message | None:
        """Send one event and return what is answered; None if the application ends instead."""
        self._answer = asyncio.get_running_loop().create_future()
        self._events.put_nowait({"type": event})
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        either: list[asyncio.Future[Any]] = [self._task, self._answer]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return self._answer.result() if self._answer.done() else None

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        try:
            await self._app(scope, self._receive, self._send)
        except asyncio.CancelledError:
            pass  # ours: nobody else has this task
        except BaseException as error:  # SystemExit too: it must not end the loop
            self._error = error

    async def _receive(self) -> Message:
        event = await self._events.get()
        self._speaks = True
        return event

    async def _send(self, message: Message) -> None:
        if not message["type"].startswith("lifespan."):
            self._speaks = False  # it takes every scope for a request
        if not self._speaks or self._answer is None or self._answer.done():
            raise RuntimeError(f"unexpected ASGI message {message['type']!r}")
        self._answer.set_result(message)

    async def _end(self) -> None:
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=_LAST_WORDS_S)

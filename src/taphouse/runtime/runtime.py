"""The runtime: an application living inside one event loop.

Two tables of steps, START and STOP, and the few things they share.  It knows
the application and hands its state to epochs; it must never know signals,
pidfiles, arguments, forks, or how a store stores.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from taphouse.app import Application
from taphouse.errors import InternalError, StorageError, TaphouseError
from taphouse.runtime.binding import Address, Sockets
from taphouse.runtime.clock import Clock, LoopClock
from taphouse.runtime.context import acting
from taphouse.runtime.doors import Doors
from taphouse.runtime.keeping import Keeping
from taphouse.runtime.limits import Gatekeeper, Limits
from taphouse.runtime.live import Live
from taphouse.runtime.scheduler import Scheduler
from taphouse.runtime.services import ServiceKeeper
from taphouse.runtime.space import SpaceWatch
from taphouse.runtime.statistics import RuntimeStatistics
from taphouse.runtime.writer import Writing

__all__ = ["Runtime"]

_log = logging.getLogger("taphouse.runtime")


class Runtime:
    """Runs one application: ``await start()``, ``await wait_stopped()``, ``await stop()``.

    Args:
        app: what to run; not running anywhere else.
        ledger: tracks its durable state; None if nothing is tracked.
        freezer: makes turns of what changed; None if nothing is tracked.
        store: where to commit; None if what changes is forgotten at the end.
        loop: the running loop, ours or any other; None means the current one.
        sockets: what was bound for its listeners already; the rest is bound at the start.
        limits: what clients are allowed.
        clock: the time; None means the real one.
        on_ready: called with True when all is open, with False when that ends.
        on_failure: called once with the error that ends the run (a commit failed, a service
            cannot be kept running); the stop is under way then.
        durability: for this run instead of the application's own.

    Raises:
        ConfigurationError: if there is no such durability.
    """

    START: tuple[tuple[str, str], ...] = (
        ("bind what the plan did not", "_bind"),
        ("start services", "_start_services"),
        ("start factories", "_start_factories"),
        ("give new calls their time", "_anchor_schedule"),
        ("first commit", "_first_commit"),
        ("accept", "_accept"),
        ("connect", "_connect"),
        ("make scheduled calls", "_start_schedule"),
        ("ready", "_become_ready"),
    )
    """(what, method) in order; each is undone by STOP, however far the start came."""

    STOP: tuple[tuple[str, str], ...] = (
        ("not ready", "_leave_ready"),
        ("begin no more calls", "_stop_schedule"),
        ("accept until the backlog is empty", "_empty_backlog"),
        ("let connections end", "_drain"),
        ("close connections", "_close_connections"),
        ("stop factories", "_stop_factories"),
        ("stop services in reverse", "_stop_services"),
        ("final commit", "_final_commit"),
        ("let go of the application", "_let_go"),
    )

    def __init__(
        self,
        app: Application,
        ledger: Any = None,
        freezer: Any = None,
        store: Writing | None = None,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        sockets: Sockets | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
        on_ready: Callable[[bool], None] | None = None,
        on_failure: Callable[[TaphouseError], None] | None = None,
        durability: str | None = None,
    ) -> None:
        self.app = app
        self.loop = loop or asyncio.get_running_loop()
        self.limits = limits or Limits()
        self.clock = clock or LoopClock(self.loop)
        self.exit_code = 0
        self.failure: TaphouseError | None = None
        self.is_ready = False
        self._sockets = sockets or Sockets()
        self._on_ready = on_ready
        self._on_failure = on_failure
        self._stopped = asyncio.Event()
        self._stop_task: asyncio.Task[None] | None = None
        self._start_task: asyncio.Task[None] | None = None
        self._committed_once = False
        self._hurry = asyncio.Event()
        self.gatekeeper = Gatekeeper(self.limits, self.clock)
        self.keeping = Keeping(
            app,
            ledger,
            freezer,
            store,
            self.loop,
            self.clock,
            self._storage_failed,
            durability or app.durability,
            self.limits.commit_deadline_s,
            self._commit_is_late,
        )
        self.doors = Doors(app, self.loop, self.clock, self.limits, self.gatekeeper, self.keeping.gate)
        self.services = ServiceKeeper(self.clock, self.limits.stop_s, self.fail)
        self.scheduler = Scheduler(app, self.clock, self.limits.schedule_gap_s)
        self._space = SpaceWatch(
            str(getattr(store, "path", None) or ""),
            self.limits,
            self.gatekeeper,
            self.clock,
            self._space_changed,
            on_spent=self.fail,
            on_lost=self.keeping.fail,
            names=getattr(store, "names", None),
        )

    # -- the verbs

    async def start(self) -> None:
        """Run the START table; returns when clients are served.

        Raises:
            TaphouseError: what kept a step from succeeding, or that `stop` was called meanwhile;
                everything is undone, and nothing was committed if that was before the first commit.
        """
        if self.app._v_runtime is not None:
            raise InternalError(f"application {self.app.name} is running already")
        self.keeping.adopt()
        self.app._v_runtime = Live(self)
        self._start_task = self.loop.create_task(self._run_start())
        try:
            await asyncio.shield(self._start_task)
        except asyncio.CancelledError:
            if self._stop_task is not None and self._start_task.cancelled():
                await self.stop()
                raise self.failure or TaphouseError(
                    f"application {self.app.name} was stopped before it was ready"
                ) from None
            await self.stop("the start was cancelled")
            raise
        except BaseException as error:
            self._note_failure(error)
            await self.stop("the start failed")
            raise

    async def stop(self, reason: str = "") -> None:
        """Run the STOP table once; returns when the application is stopped.

        A second call, while the first one works, shortens the wait for connections and waits
        with it; nothing is ever stopped twice.

        Args:
            reason: for the log.
        """
        if self._stop_task is None:
            if self._start_task is not None and not self.doors.is_accepting:
                self._start_task.cancel()  # who lets clients in has started, but for what waits for nobody
            self._stop_task = self.loop.create_task(self._run_stop(reason))
        else:
            self._hurry.set()
        await asyncio.shield(self._stop_task)

    async def wait_stopped(self) -> int:
        """Wait for the end, whoever asked for it, and return the exit code."""
        await self._stopped.wait()
        return self.exit_code

    def fail(self, error: TaphouseError) -> None:
        """End the run in an orderly way because of ``error``; its exit code becomes ours."""
        if self.failure is None and self._stop_task is None:
            _log.error("%s", error)
            self._note_failure(error)
            self._stop_task = self.loop.create_task(self._run_stop("of an error"))

    @property
    def is_stopping(self) -> bool:
        """Whether the STOP table has begun."""
        return self._stop_task is not None

    @property
    def addresses(self) -> dict[str, list[Address]]:
        """Label of a listener (``tcp:8123``) -> the addresses it is bound to."""
        return self.doors.addresses()

    def statistics(self) -> RuntimeStatistics:
        """Return the numbers of this moment."""
        return RuntimeStatistics(
            connections=self.gatekeeper.total,
            accepted=self.doors.accepted(),
            refused=self.gatekeeper.refused,
            epochs=self.keeping.statistics(),
        )

    # -- START

    async def _run_start(self) -> None:
        with acting(self.app.name):
            for _, method in self.START:
                await _result(getattr(self, method)())

    def _bind(self) -> None:
        self.doors.bind(self._sockets)

    async def _start_services(self) -> None:
        await self.services.start_all(self.app.services.values())

    async def _start_factories(self) -> None:
        await self.doors.start_factories()

    def _anchor_schedule(self) -> None:
        self.scheduler.anchor()

    async def _first_commit(self) -> None:
        self._space.refuse_if_spent()
        await self.keeping.begin()
        self._committed_once = True

    async def _accept(self) -> None:
        await self.doors.accept()

    def _connect(self) -> None:
        self.doors.connect()

    def _start_schedule(self) -> None:
        self.scheduler.start()

    def _become_ready(self) -> None:
        self._space.look()
        self._set_ready(self._can_serve())

    # -- STOP

    async def _run_stop(self, reason: str) -> None:
        with acting(self.app.name):
            if self._start_task is not None and not self._start_task.done():
                await asyncio.wait([self._start_task])
            _log.info("stopping%s", f" because {reason}" if reason else "")
            for what, method in self.STOP:
                if self.keeping.failure is not None and method != "_let_go":
                    continue  # nothing of the application runs on after its storage failed
                try:
                    await _result(getattr(self, method)())
                except StorageError as error:
                    if error is not self.keeping.failure:  # that one was told
                        self._storage_failed(error)
                except Exception as error:
                    _log.exception("stop: %s failed", what)
                    self._note_failure(error)
        self._stopped.set()

    def _leave_ready(self) -> None:
        self._space.close()
        self._set_ready(False)

    async def _stop_schedule(self) -> None:
        await self.scheduler.close(self.limits.drain_s)

    async def _empty_backlog(self) -> None:
        await self.doors.close()

    async def _drain(self) -> None:
        await self.doors.drain(self._hurry)

    async def _close_connections(self) -> None:
        await self.doors.close_connections()

    async def _stop_factories(self) -> None:
        await self.doors.stop_factories()

    async def _stop_services(self) -> None:
        await self.services.stop_all(self.app.services.values())

    async def _final_commit(self) -> None:
        if self._committed_once:
            await self.keeping.finish()
        else:
            self.keeping.abandon()

    async def _let_go(self) -> None:
        await self.doors.wait_aborted()
        self.keeping.close()
        self._sockets.close()
        self.app._v_runtime = None

    # -- what happens on the way

    def _set_ready(self, ready: bool) -> None:
        if ready != self.is_ready:
            self.is_ready = ready
            if self._on_ready is not None:
                self._on_ready(ready)

    def _can_serve(self) -> bool:
        return not (self.gatekeeper.closed_because or self.gatekeeper.late_because)

    def _space_changed(self) -> None:
        if self._start_task is not None and self._start_task.done() and self._stop_task is None:
            self._set_ready(self._can_serve())

    def _commit_is_late(self, is_late: bool) -> None:
        self.gatekeeper.late_because = "the disk does not answer" if is_late else ""
        self._space_changed()

    def _note_failure(self, error: BaseException) -> None:
        if self.failure is None:
            known = isinstance(error, TaphouseError)
            self.failure = error if known else InternalError(f"{type(error).__name__}: {error}")  # type: ignore[assignment]
            self.exit_code = self.failure.exit_code  # type: ignore[union-attr]
            if self._on_failure is not None:
                self._on_failure(self.failure)  # type: ignore[arg-type]

    def _storage_failed(self, error: TaphouseError) -> None:
        """Fail stop: what clients were told is on disk, what they were not told is gone."""
        self._set_ready(False)
        with acting(self.app.name):
            _log.critical("%s; connections are reset and nothing more is written", error)
        self.doors.abort()
        self.services.abort()
        self.scheduler.abort()
        if self.failure is not None:
            # An orderly stop was under way because of something else; the storage has the last word.
            self.failure, self.exit_code = error, error.exit_code
        self._note_failure(error)
        if self._stop_task is None:
            self._stop_task = self.loop.create_task(self._run_stop("a commit failed"))


async def _result(value: Awaitable[Any] | Any) -> Any:
    return await value if isinstance(value, Awaitable) else value

"""Keep the services of a running application: start, supervise, stop.

The order and the states are `taphouse.app`'s; what is added here is the tasks:
``run()`` of each service for its whole life, additions to a running tree, and
deadlines.  It must never know listeners or the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from taphouse.app import Service, has_run, start_service, stop_service
from taphouse.errors import InternalError, TaphouseError
from taphouse.runtime.clock import Clock

__all__ = ["ServiceKeeper"]

_log = logging.getLogger("taphouse.runtime")


class ServiceKeeper:
    """Supervises the services of one application; satisfies ``taphouse.app.Supervisor``.

    Args:
        clock: for the waits before a restart.
        stop_s: how long one ``stop()``, or the end of one ``run()``, is waited for.
        on_failure: called with the error when a service cannot be kept running.
    """

    def __init__(self, clock: Clock, stop_s: float, on_failure: Callable[[TaphouseError], None]) -> None:
        self._clock = clock
        self._stop_s = stop_s
        self._on_failure = on_failure
        self._is_open = False
        self._runs: dict[int, asyncio.Task[None]] = {}
        self._changes: set[asyncio.Task[None]] = set()

    async def start_all(self, services: Iterable[Service]) -> None:
        """Start ``services`` in order; if one fails, those before it are stopped again.

        Raises:
            TaphouseError: naming the service that failed.
        """
        started: list[Service] = []
        self._is_open = True
        for service in list(services):  # one that is added meanwhile comes through service_added
            try:
                await start_service(service, self)
            except BaseException as error:
                await self.stop_all(started)
                raise _as_start_error(service, error) from error
            started.append(service)

    async def stop_all(self, services: Iterable[Service]) -> None:
        """Stop ``services`` last first; errors are logged, a deadline bounds each."""
        self._is_open = False
        while self._changes:  # a service that is being added or removed at this moment
            await asyncio.wait(self._changes)
        for service in reversed(list(services)):
            await self._stop(service)

    def abort(self) -> None:
        """End every ``run()`` at once; no ``stop()`` is called any more."""
        for task in (*self._runs.values(), *self._changes):
            task.cancel()

    async def _stop(self, service: Service) -> None:
        if not service.is_running and service.state != "failed":
            return
        try:
            async with asyncio.timeout(self._stop_s):
                outcome = await stop_service(service)
        except TimeoutError:
            _log.error("service %s did not stop within %g s; left behind", service.path, self._stop_s)
            return
        for who, error in outcome.failures:
            _log.error("service %s: stop() failed", (who or service).path, exc_info=error)

    # -- taphouse.app.Supervisor

    def service_started(self, service: Service) -> None:
        """Begin ``run()`` as a task, if the service has one."""
        if has_run(service):
            self._runs[id(service)] = asyncio.get_running_loop().create_task(self._keep_running(service))

    def service_stopping(self, service: Service) -> Awaitable[None] | None:
        """Cancel the task of ``run()`` and wait for its end."""
        task = self._runs.pop(id(service), None)
        if task is None or task.done():
            return None
        task.cancel()
        return self._wait_ended(service, task)

    def service_added(self, service: Service) -> None:
        """Start a service that was added to a running tree; before that, it is started with the others."""
        if self._is_open:
            self._later(self._start_added(service))

    def service_removed(self, service: Service) -> None:
        """Stop a service that was taken out of a running tree."""
        if self._is_open:
            self._later(self._stop(service))

    def _later(self, change: Awaitable[None]) -> None:
        task = asyncio.ensure_future(change)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)

    async def _start_added(self, service: Service) -> None:
        try:
            await start_service(service, self)
        except Exception:
            _log.exception("service %s: start() failed", service.path)

    async def _wait_ended(self, service: Service, task: asyncio.Task[None]) -> None:
        _, pending = await asyncio.wait([task], timeout=self._stop_s)
        if pending:
            _log.error("service %s: run() did not end within %g s", service.path, self._stop_s)

    async def _keep_running(self, service: Service) -> None:
        failures = 0
        while True:
            began = self._clock.monotonic()
            try:
                await service.run()
                return
            except Exception as error:
                failure = error
            retry = service.restart
            if retry is not None and self._clock.monotonic() - began >= retry.reset_after_s:
                failures = 0
            failures += 1
            service.move("died")
            if retry is None or retry.gives_up(failures):
                service.move("error")
                _log.error("service %s: run() failed", service.path, exc_info=failure)
                times = "once" if failures == 1 else f"{failures} times in a row"
                self._on_failure(
                    InternalError(f"service {service.path}: run() failed {times}: {_one_line(failure)}")
                )
                return
            from random import random

            delay_s = retry.delay_s(failures, random)
            _log.error("service %s: run() failed, again in %.1f s", service.path, delay_s, exc_info=failure)
            await self._clock.sleep(delay_s)
            service.move("restarted")


def _as_start_error(service: Service, error: BaseException) -> BaseException:
    if isinstance(error, TaphouseError) or not isinstance(error, Exception):
        return error
    return InternalError(f"service {service.path}: start() failed: {_one_line(error)}")


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

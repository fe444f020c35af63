"""What a running application tells its runtime: late additions and removals.

Satisfies ``taphouse.app.RuntimeHooks``.  What can be refused is refused in the
statement itself; what takes time goes on as a task.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Protocol

from taphouse.app import Connector, Listener, Service
from taphouse.errors import InternalError
from taphouse.runtime.context import acting
from taphouse.runtime.doors import Doors
from taphouse.runtime.keeping import Keeping
from taphouse.runtime.scheduler import Scheduler
from taphouse.runtime.services import ServiceKeeper
from taphouse.runtime.statistics import RuntimeStatistics

__all__ = ["Live"]

_log = logging.getLogger("taphouse.runtime")


class _Running(Protocol):
    """What this module needs of a runtime."""

    app: Any
    doors: Doors
    keeping: Keeping
    scheduler: Scheduler
    services: ServiceKeeper

    @property
    def is_stopping(self) -> bool: ...

    def statistics(self) -> RuntimeStatistics: ...


class Live:
    """The hooks of one running application."""

    def __init__(self, runtime: _Running) -> None:
        self._runtime = runtime
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def state_path(self) -> Any:
        """Where the state is kept; None if it is not."""
        return self._runtime.keeping.path

    def listener_added(self, listener: Listener) -> None:
        """Bind at once, so that a busy port fails the statement; then open."""
        self._refuse_if_stopping(listener.label)
        with acting(self._runtime.app.name):
            self._runtime.doors.add_port(listener)
            self._later(self._runtime.doors.advance())
        self._runtime.keeping.plan_changed()

    def listener_removed(self, listener: Listener) -> None:
        """Close the port."""
        with acting(self._runtime.app.name):
            self._later(self._runtime.doors.close_removed(listener))
        self._runtime.keeping.plan_changed()

    def connector_added(self, connector: Connector) -> None:
        """Connect."""
        self._refuse_if_stopping(connector.label)
        with acting(self._runtime.app.name):
            self._later(self._connect(connector))
        self._runtime.keeping.plan_changed()

    def connector_removed(self, connector: Connector) -> None:
        """Disconnect."""
        with acting(self._runtime.app.name):
            self._later(self._runtime.doors.disconnect_removed(connector))
        self._runtime.keeping.plan_changed()

    def service_added(self, service: Service) -> None:
        """Start the service."""
        self._refuse_if_stopping(service.path)
        with acting(self._runtime.app.name):
            self._runtime.services.service_added(service)
        self._runtime.keeping.plan_changed()

    def service_removed(self, service: Service) -> None:
        """Stop the service."""
        with acting(self._runtime.app.name):
            self._runtime.services.service_removed(service)
        self._runtime.keeping.plan_changed()

    def plan_changed(self) -> None:
        """Let the tap say what the next start will be like."""
        self._runtime.keeping.plan_changed()

    def statistics(self) -> RuntimeStatistics:
        """Return the numbers of this moment."""
        return self._runtime.statistics()

    def schedule_changed(self) -> None:
        """Look at the schedule's newest call."""
        self._runtime.scheduler.added()

    async def _connect(self, connector: Connector) -> None:
        await self._runtime.doors.advance()
        self._runtime.doors.add_link(connector)

    def _refuse_if_stopping(self, what: str) -> None:
        if self._runtime.is_stopping:
            raise InternalError(
                f"{what}: application {self._runtime.app.name} is stopping, nothing can be added"
            )

    def _later(self, change: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(change)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a change of the running application failed", exc_info=task.exception())

"""Driving: starting and stopping services and factories, whoever asks.

The order and the bookkeeping of a life, with coroutines and plain functions
alike; no task is made here.  What a task is needed for (``run()``, additions to
a running tree) is handed to a :class:`Supervisor`.  It must know no loop.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

from taphouse.app.factory import Factory
from taphouse.app.lifecycle import LifecycleError
from taphouse.app.service import Service, ServiceCollection
from taphouse.value import Value, field

__all__ = [
    "Outcome",
    "Supervisor",
    "start_factory",
    "start_service",
    "stop_factory",
    "stop_service",
]


class Supervisor(Protocol):
    """What a running application does for its services."""

    def service_started(self, service: Service) -> None:
        """``start()`` has returned: begin ``run()`` as a task, if it has one."""

    def service_stopping(self, service: Service) -> Awaitable[None] | None:
        """``stop()`` has returned: cancel the task of ``run()`` and wait for its end."""

    def service_added(self, service: Service) -> None:
        """A service was added below a running one: start it."""

    def service_removed(self, service: Service) -> None:
        """A service was removed from a running one: stop it."""


class Outcome(Value):
    """How the stop of one service ended.

    Args:
        ok: whether ``stop()`` returned.
        value: what it returned.
        error: what it raised.
        children: of a MultiService: each child's outcome, in the order they were stopped.
    """

    ok: bool
    value: Any = None
    error: BaseException | None = None
    children: Mapping[Service, Outcome] = field(default_factory=dict)

    @property
    def failures(self) -> list[tuple[Service | None, BaseException]]:
        """Every error of the tree with its service; ``None`` stands for the stopped service itself."""
        own: list[tuple[Service | None, BaseException]] = [(None, self.error)] if self.error else []
        for child, outcome in self.children.items():
            own += [(who or child, error) for who, error in outcome.failures]
        return own


async def start_service(service: Service, supervisor: Supervisor | None = None) -> None:
    """Start ``service`` and its children, parents first.

    If one fails, those started before it are stopped again, last first.

    Args:
        supervisor: who runs ``run()``; without one, ``run()`` is left to the caller.

    Raises:
        LifecycleError: if it runs already.
        Exception: what its ``start()``, or a child's, raised.
    """
    service.move("start")
    service._v_supervisor = supervisor
    try:
        await _result(service.start())
        await start_children(service)
    except BaseException:
        await stop_children(service)
        service.move("error")
        raise
    service.move("started")
    if supervisor is not None:
        supervisor.service_started(service)


async def stop_service(service: Service) -> Outcome:
    """Stop ``service``: its children last first, then itself, then its ``run()``.

    An exception of one does not keep the others from being stopped.

    Returns:
        The outcome; a service that does not run has nothing to stop and is ok.

    Raises:
        LifecycleError: if it is being started or stopped at this moment.
    """
    if service.state == "stopped":
        return Outcome(True)
    service.move("stop")
    children = await stop_children(service)
    value: Any = None
    error: BaseException | None = None
    try:
        value = await _result(service.stop())
    except Exception as raised:
        error = raised
    supervisor = service._v_supervisor
    if supervisor is not None:
        await _result(supervisor.service_stopping(service))
    service.move("error" if error else "stopped")
    service._v_supervisor = None
    return Outcome(error is None, value, error, children)


async def start_children(service: Service) -> None:
    """Start those children of ``service`` that do not run, in order."""
    if isinstance(service, ServiceCollection):
        for child in list(service.services.values()):
            if child.state == "stopped":
                await start_service(child, service._v_supervisor)


async def stop_children(service: Service) -> dict[Service, Outcome]:
    """Stop the children of ``service`` that were started, last first.

    Returns:
        child -> outcome; those that were not started are not in it.
    """
    outcomes: dict[Service, Outcome] = {}
    if isinstance(service, ServiceCollection):
        for child in reversed(list(service.services.values())):
            if child.is_running or child.state == "failed":
                outcomes[child] = await stop_service(child)
    return outcomes


async def start_factory(factory: Factory) -> bool:
    """Count one more listener or connector of ``factory``; the first one calls ``started()``.

    Returns:
        Whether this was the first.
    """
    uses = factory._v_uses
    factory._v_uses = uses + 1
    if uses:
        return False
    try:
        await _result(factory.started())
    except BaseException:
        factory._v_uses = uses
        raise
    return True


async def stop_factory(factory: Factory) -> bool:
    """Count one listener or connector less; the last one calls ``stopped()``.

    Returns:
        Whether this was the last.

    Raises:
        LifecycleError: if none was counted.
    """
    if factory._v_uses < 1:
        raise LifecycleError(f"factory {type(factory).__name__} is stopped more often than started")
    factory._v_uses -= 1
    if factory._v_uses:
        return False
    await _result(factory.stopped())
    return True


async def _result(value: Awaitable[Any] | Any) -> Any:
    return await value if inspect.isawaitable(value) else value

"""Service: a durable part of an application with a life of its own.

Holds the hooks users write and the place of a service in its tree.  It must
not know who starts it: :mod:`taphouse.app.driving` does, for whoever asks.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterator
from typing import Any

from taphouse.app.declared import Declared
from taphouse.app.lifecycle import Event, State, next_state
from taphouse.app.retry import Retry
from taphouse.app.spelling import SERVICE_SPELLINGS, refuse_old_spellings
from taphouse.app.taken import TakenError

__all__ = ["Service", "ServiceCollection", "has_run", "iter_services"]

# Shown in logs, given on command lines, part of durable identity ("Keys#1",
# "pool/worker"): no '/', which joins the names of a tree.
_SERVICE_NAME = re.compile(r"[^\s/\x00-\x1f]{1,100}")


class Service(Declared, config=("name", "parent", "restart")):
    """A durable object that is started and stopped with its application.

    ===========  ======================================================================
    we call      when
    ===========  ======================================================================
    ``start``    at every start, before listeners accept; may be a coroutine
    ``run``      as a task from then on; if it raises it is run again, see ``restart``
    ``stop``     at the stop, in reverse order of starts; may be a coroutine
    ===========  ======================================================================

    Args:
        name: unique among its siblings; ``None`` is "type and ordinal", ``Clock#1``.
    """

    name: str | None = None
    """Set by the constructor, in the class body, or by ``addService``."""

    parent: ServiceCollection | None = None
    """The Application or MultiService it was added to."""

    restart: Retry | None = Retry(initial_s=0.1, max_s=30.0, max_attempts=8, reset_after_s=60.0)
    """When to call :meth:`run` again after it raised; past ``max_attempts`` the application stops.
    ``None`` stops the application at the first exception."""

    _v_state: State = "stopped"
    _v_supervisor: Any = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        refuse_old_spellings(cls, SERVICE_SPELLINGS)

    def __init__(self, name: str | None = None) -> None:
        if name is not None:
            self.name = check_service_name(name)

    def start(self) -> Awaitable[Any] | None:
        """Called at every start: the place to make ``_v_`` attributes."""
        return None

    def stop(self) -> Awaitable[Any] | Any:
        """Called once at the stop; what it returns is its outcome."""
        return None

    async def run(self) -> None:
        """Runs for the whole life of the service; cancelled at the stop.  Returning is a normal end."""

    @property
    def state(self) -> State:
        """Where it is in its life, see :data:`taphouse.app.lifecycle.TRANSITIONS`."""
        return self._v_state

    @property
    def is_running(self) -> bool:
        """Whether it has been started and not stopped (waiting for a restart counts)."""
        return self._v_state in ("running", "restarting")

    @property
    def application(self) -> Any:
        """The application at the root of its tree, or ``None``."""
        node: Any = self.parent
        while isinstance(node, Service):
            node = node.parent
        return node

    @property
    def path(self) -> str:
        """Its names from the root down, ``pool/worker``: unique in an application."""
        above = f"{self.parent.path}/" if isinstance(self.parent, Service) else ""
        return above + (self.name or type(self).__name__)

    def move(self, event: Event) -> None:
        """Go through one transition of the table.

        Raises:
            LifecycleError: if it has no such transition.
        """
        self._v_state = next_state(self._v_state, event, self.path)


class ServiceCollection(Declared, config=("services",)):
    """What Application and MultiService share: named children in order.

    It knows no runtime; :meth:`service_was_added` and its twin are where the two
    classes tell theirs.
    """

    services: dict[str, Service]
    """name -> service, in the order of their starts."""

    def addService(self, service: Service, name: str | None = None) -> Service:
        """Add ``service``; if this is running already, it is started.

        Args:
            service: an instance; one that belongs to another collection is refused.
            name: overrides the service's own name.

        Returns:
            The same service.

        Raises:
            TypeError: if a class or another object is given.
            ValueError: if the name is taken here.
            RuntimeError: if it has a parent already.
        """
        if isinstance(service, type) and issubclass(service, Service):
            raise TypeError(f"{service.__qualname__} is a class; pass an instance, {service.__qualname__}()")
        if not isinstance(service, Service):
            raise TypeError(f"need a Service, got {type(service).__qualname__}")
        if service.parent is not None:
            raise RuntimeError(f"service {service.path} already has a parent; call removeService there first")
        if id(service) == id(self) or (isinstance(self, Service) and service in _ancestors(self)):
            raise RuntimeError(f"service {service.path} cannot be added below itself")
        wanted = name if name is not None else service.name
        chosen = self._free_name(service) if wanted is None else check_service_name(wanted)
        if chosen in self.services:
            raise TakenError(
                f"a service named {chosen!r} is there already; give another name=", kind="name", what=chosen
            )
        before = service.name
        service.name = chosen
        service.parent = self
        self.services[chosen] = service
        try:
            self.service_was_added(service)
        except BaseException:
            del self.services[chosen]
            service.parent = None
            service.name = before
            raise
        return service

    def getServiceNamed(self, name: str) -> Service:
        """Return the child called ``name``.

        Raises:
            KeyError: with the names there are.
        """
        try:
            return self.services[name]
        except KeyError:
            raise KeyError(f"no service {name!r}; there is {', '.join(self.services) or 'none'}") from None

    def removeService(self, service: Service | str) -> Service:
        """Remove a child, by itself or by name; if it runs, it is stopped.

        Returns:
            The service, which may be added again.

        Raises:
            KeyError: if it is not a child, with the names there are.
        """
        child = self.getServiceNamed(service) if isinstance(service, str) else service
        if child.parent is not self or child.name is None or self.services.get(child.name) is not child:
            raise KeyError(f"no service {child.path!r}; there is {', '.join(self.services) or 'none'}")
        del self.services[child.name]
        child.parent = None
        self.service_was_removed(child)
        return child

    def service_was_added(self, service: Service) -> None:
        """Called after an addition; raising takes it back."""

    def service_was_removed(self, service: Service) -> None:
        """Called after a removal."""

    def _free_name(self, service: Service) -> str:
        kind = type(service).__name__
        ordinal = 1
        while f"{kind}#{ordinal}" in self.services:
            ordinal += 1
        return f"{kind}#{ordinal}"


def check_service_name(name: object) -> str:
    """Return ``name`` if it may name a service: 1 to 100 characters, no space, no ``/``."""
    if not isinstance(name, str):
        raise TypeError(f"a service's name is a str, got {type(name).__qualname__}")
    if _SERVICE_NAME.fullmatch(name) is None:
        raise ValueError(f"service name {name!r:.120} is not allowed: 1 to 100 characters, no space, no '/'")
    return name


def has_run(service: Service) -> bool:
    """Say whether the class of ``service`` defines :meth:`Service.run`."""
    return type(service).run is not Service.run


def iter_services(root: ServiceCollection | Service) -> Iterator[Service]:
    """Iterate over a tree of services, parents before children, in the order of starts.

    Args:
        root: an application (itself not included) or a service (included).
    """
    if isinstance(root, Service):
        yield root
    if isinstance(root, ServiceCollection):
        for child in list(root.services.values()):
            yield from iter_services(child)


def _ancestors(service: Service) -> list[Any]:
    found: list[Any] = []
    node: Any = service.parent
    while node is not None:
        found.append(node)
        node = node.parent if isinstance(node, Service) else None
    return found

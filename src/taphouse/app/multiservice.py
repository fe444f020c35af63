"""MultiService: a service made of services.

Must not know who drives it: children are started and stopped by
:mod:`taphouse.app.driving`, additions to a running one by its supervisor.
"""

from __future__ import annotations

from typing import Any, Self

from taphouse.app.driving import Outcome, start_children, stop_children
from taphouse.app.lifecycle import LifecycleError
from taphouse.app.service import Service, ServiceCollection

__all__ = ["MultiService"]


class MultiService(Service, ServiceCollection):
    """A service that holds services: started after it in order, stopped before it in reverse.

    Args:
        name: as for every service.
    """

    def __new__(cls, *args: Any, **keywords: Any) -> Self:
        # Not in __init__: a subclass that forgets super().__init__() has children too.
        self: Self = super().__new__(cls)
        self.services = {}
        return self

    async def start(self) -> None:
        """Start the children; they are started even if a subclass replaces this."""
        await start_children(self)

    async def stop(self) -> dict[Service, Outcome]:
        """Stop the children that run.

        Returns:
            child -> :class:`Outcome`, in the order they were stopped; empty without children.
        """
        return await stop_children(self)

    def service_was_added(self, service: Service) -> None:
        """Start the child if this is running."""
        if not self.is_running:
            return
        if self._v_supervisor is not None:
            self._v_supervisor.service_added(service)
        elif not service.is_running:
            raise LifecycleError(
                f"{self.path} runs outside of an application; start the new one with start_service() first"
            )

    def service_was_removed(self, service: Service) -> None:
        """Stop the child if it was started."""
        if service.state != "stopped" and self._v_supervisor is not None:
            self._v_supervisor.service_removed(service)

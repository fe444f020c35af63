"""Hooks: what a running application tells its runtime.

The shape of the object in ``app._v_runtime``, put here because imports go down:
the runtime satisfies it, the application calls it.
"""

from __future__ import annotations

from typing import Any, Protocol

from taphouse.app.connector import Connector
from taphouse.app.listener import Listener
from taphouse.app.service import Service

__all__ = ["RuntimeHooks"]


class RuntimeHooks(Protocol):
    """Told about every change of a running application, right after it was made.

    An exception from an ``added`` hook takes the change back and reaches the
    statement that made it.  ``statistics`` is asked for the numbers of the moment.
    """

    def listener_added(self, listener: Listener) -> None: ...

    def listener_removed(self, listener: Listener) -> None: ...

    def connector_added(self, connector: Connector) -> None: ...

    def connector_removed(self, connector: Connector) -> None: ...

    def service_added(self, service: Service) -> None: ...

    def service_removed(self, service: Service) -> None: ...

    def schedule_changed(self) -> None: ...

    def plan_changed(self) -> None: ...

    def statistics(self) -> Any: ...

"""A link: one connector of a running application, and the connection it keeps up.

Connects, waits for the end, and connects again after a jittered wait.  It must
never know listeners.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from typing import Any

from taphouse.app import ClientFactory, Connector
from taphouse.errors import TaphouseError
from taphouse.runtime.clock import Clock
from taphouse.runtime.connection import Connection
from taphouse.runtime.crowd import Crowd
from taphouse.runtime.gate import Gate
from taphouse.runtime.ports import CrowdOwner
from taphouse.runtime.tls import make_client_context

__all__ = ["Link"]

_log = logging.getLogger("taphouse.runtime")


class Link(CrowdOwner):
    """Keeps a connector connected for as long as its task runs.

    Args:
        connector: what to connect to.
        crowd: of its factory.
        gate: says whether output has to wait.
        clock: for the waits between attempts.
    """

    def __init__(self, connector: Connector, crowd: Crowd, gate: Gate, clock: Clock) -> None:
        super().__init__(crowd, gate)
        self.connector = connector
        self.connection: Connection | None = None
        self._clock = clock
        self._ended: asyncio.Future[Exception | None]
        self._task: asyncio.Task[None] | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to connect."""
        self._task = loop.create_task(self._keep_connected())

    async def close(self) -> None:
        """Connect no more and close the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if self.connection is not None:
            self.connection.close()

    def abort(self) -> None:
        """Connect no more, without waiting for anything."""
        if self._task is not None:
            self._task.cancel()

    def lost(self, connection: Connection, exc: Exception | None) -> None:
        """Count the connection out, and wake who waits to connect again."""
        super().lost(connection, exc)
        self.connection = None
        if not self._ended.done():
            self._ended.set_result(exc)

    async def _keep_connected(self) -> None:
        failures = 0
        while True:
            self._tell("connecting", self.connector)
            began = self._clock.monotonic()
            try:
                connection = await self._connect()
            except (OSError, TaphouseError) as error:  # TimeoutError and ssl.SSLError are OSErrors
                _log.info("%s: cannot connect: %s", self.connector.label, error or type(error).__name__)
                self._tell("connect_failed", self.connector, error)
            else:
                error_or_none = None if connection.protocol is None else await self._ended
                self._tell("connect_lost", self.connector, error_or_none)
                retry = self.connector.retry
                if retry is not None and self._clock.monotonic() - began >= retry.reset_after_s:
                    failures = 0
            retry = self.connector.retry
            failures += 1
            if retry is None:
                return
            if retry.gives_up(failures):
                _log.warning("%s: gave up after %d attempts", self.connector.label, failures)
                return
            from random import random

            await self._clock.sleep(retry.delay_s(failures, random))

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        connector = self.connector
        connection = Connection(self)
        self._ended = loop.create_future()
        options: dict[str, Any] = {}
        made: Any
        if connector.kind == "unix":
            made = loop.create_unix_connection(lambda: connection, connector.path, **options)
        else:
            if connector.kind == "tls":
                options["ssl"] = make_client_context(connector.cafile, connector.certfile, connector.keyfile)
                options["server_hostname"] = connector.server_name or connector.host
            options |= {"host": connector.host, "port": connector.port}
            made = loop.create_connection(lambda: connection, **options)
        try:
            async with asyncio.timeout(connector.timeout):
                # In a fresh context: what the peer causes is not what the runtime does.
                await loop.create_task(made, context=Context())
        except TimeoutError:
            raise TimeoutError(f"no answer within {connector.timeout:g} s") from None
        if connection.protocol is not None:
            self.connection = connection
        return connection

    def _tell(self, hook: str, *args: Any) -> None:
        factory = self.crowd.factory
        if isinstance(factory, ClientFactory):
            try:
                getattr(factory, hook)(*args)
            except Exception:
                _log.exception("factory <%s>: %s() failed", self.crowd.label, hook)

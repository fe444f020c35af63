"""The engine of a site: an ASGI application, and a connection for each client.

Made at each start from a factory's configuration.  It knows uvicorn's glue; it
must never know options, taps, or where the application comes from.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Iterable
from email.utils import formatdate
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from taphouse.makers.web.http import (
    HttpConnection,
    QuietWebSocketConnection,
    Shared,
    Timers,
    WebSocketConnection,
)
from taphouse.makers.web.lifespan import ASGIApp, Lifespan

__all__ = ["Engine"]

_log = logging.getLogger("taphouse.web")
_TICK_S: Final = 1.0
_TASKS_S: Final = 5.0
_CANCELLED_S: Final = 1.0


class Engine:
    """Serves one ASGI application.

    Args:
        app: the application.
        name: what it is called in errors and in the log.
        state: what the application finds in ``scope["state"]``.
        lifespan: whether it is told of start and stop, see `Lifespan`.
        root_path: where it is mounted, as its clients see it.
        keep_alive_s: how long a connection may be idle between two requests.
        header_timeout_s: how long the head of a request may take; 0 means for ever.
        limit_concurrency: requests and connections at once, beyond which 503 is answered; 0 means no limit.
        trusted_proxies: addresses whose ``X-Forwarded-*`` headers are believed.
        access_log: whether each request is logged.
        websocket_max_bytes: the longest WebSocket message; 0 if there are no WebSockets.
    """

    def __init__(
        self,
        app: ASGIApp,
        name: str,
        state: dict[str, Any],
        *,
        lifespan: str = "off",
        root_path: str = "",
        keep_alive_s: float = 5.0,
        header_timeout_s: float = 20.0,
        limit_concurrency: int = 0,
        trusted_proxies: Iterable[str] = (),
        access_log: bool = True,
        websocket_max_bytes: int = 0,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._header_timeout_s = header_timeout_s or math.inf
        self._keep_alive_s = keep_alive_s
        self._access_log = access_log
        self._state = state
        self._timers = Timers(loop)
        self._ticking: asyncio.TimerHandle | None = None
        self.lifespan = Lifespan(app, lifespan, state, name)
        trusted = list(trusted_proxies)
        sockets = WebSocketConnection if access_log else QuietWebSocketConnection
        self._config = Config(
            _no_application,
            http=HttpConnection,
            ws=sockets if websocket_max_bytes else "none",
            ws_max_size=websocket_max_bytes or 1,
            lifespan="off",
            interface="asgi3",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            root_path=root_path,
            limit_concurrency=limit_concurrency or None,
            timeout_keep_alive=keep_alive_s,  # type: ignore[arg-type]  # uvicorn hands it to call_later
        )
        self._config.load()
        self._config.loaded_app = ProxyHeadersMiddleware(app, trusted) if trusted else app
        self.shared = Shared()
        # uvicorn's own configuration of logging sets this; without it, it formats what nobody reads.
        uvicorn_log = logging.getLogger("uvicorn.error")
        if uvicorn_log.level == logging.NOTSET:
            uvicorn_log.setLevel(logging.INFO)

    def make_connection(self) -> HttpConnection:
        """Return the protocol of one more client."""
        if self._ticking is None:
            self._tick()
        return HttpConnection(
            self._config, self.shared, self._state, self._timers, access_log=self._access_log
        )

    def _tick(self) -> None:
        """Once a second, while there are clients: tell the time, and end connections that keep us waiting."""
        date = formatdate(time.time(), usegmt=True).encode("ascii")
        self.shared.default_headers = [(b"date", date)]
        now = self._loop.time()
        oldest_head, oldest_idle = now - self._header_timeout_s, now - self._keep_alive_s
        for connection in list(self.shared.connections):
            if isinstance(connection, HttpConnection):
                connection.end_if_late(oldest_head, oldest_idle)
        is_first = self._ticking is None
        self._ticking = None
        if is_first or self.shared.connections:
            self._ticking = self._loop.call_later(_TICK_S, self._tick)

    def drain(self) -> None:
        """Ask all connections to end."""
        for connection in list(self.shared.connections):
            connection.shutdown()

    async def stop(self) -> None:
        """Wait for what requests have left running, then tell the application that it is over."""
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None
        tasks = set(self.shared.tasks)
        if tasks:
            _log.info("waiting up to %g s for %d task%s to end", _TASKS_S, len(tasks), "s"[: len(tasks) > 1])
            _, pending = await asyncio.wait(tasks, timeout=_TASKS_S)
            for task in pending:
                task.cancel("the server stops")
            if pending:
                await asyncio.wait(pending, timeout=_CANCELLED_S)
        await self.lifespan.stop()


async def _no_application(scope: Any, receive: Any, send: Any) -> None:
    """Stand in for the application while uvicorn looks at its configuration, which might call it."""

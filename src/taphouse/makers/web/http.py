"""HTTP and WebSocket connections: uvicorn's protocols, with the manners of a taphouse server.

What is added: log lines carry their connection, a head that does not end is not
waited for, and a stop lets requests finish.  This module must never know an
application, nor where it comes from.
"""

from __future__ import annotations

import contextvars
import logging
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from taphouse.makers.web.merging import MergingTransport

__all__ = ["HttpConnection", "QuietWebSocketConnection", "Shared", "Timers", "WebSocketConnection"]

_MOST_HEAD_BYTES: Final = 128 * 1024
_WRAPPING_OF_A_BYTE: Final = 8
"""What a byte of a body may be wrapped in, on average: a chunk of its own takes six more."""
_IDLE_GRACE_S: Final = 0.1
"""A request that is on its way when a stop begins is read in this time."""
_LINGER_S: Final = 1.0
_NEW_GRACE_S: Final = 1.0
"""Who has connected right before a stop may still ask once."""

_feed = HttpToolsProtocol.data_received
_end_idle = HttpToolsProtocol.timeout_keep_alive_handler

_quiet = logging.getLogger("taphouse.web.quiet")
_quiet.setLevel(logging.WARNING)


class Shared:
    """What the connections of one site share: uvicorn's ``ServerState`` by its attributes."""

    def __init__(self) -> None:
        self.total_requests = 0
        self.connections: set[Any] = set()
        self.tasks: set[Any] = set()
        self.default_headers: list[tuple[bytes, bytes]] = []
        """The headers of every response, made anew each second."""


class Timers:
    """The loop as connections see it: how long one is idle costs no timer of its own.

    uvicorn sets a timer after each response and cancels it at the next request.  Here the
    connection notes the time, and whoever looks at all connections once a second ends it.
    """

    def __init__(self, loop: Any) -> None:
        self.time = loop.time
        self.create_task = loop.create_task
        self.call_soon = loop.call_soon
        self._call_later = loop.call_later

    def call_later(self, delay_s: float, callback: Any, *args: Any) -> Any:
        """Call ``callback`` later, or in its turn if it ends an idle connection."""
        if getattr(callback, "__func__", None) is not _end_idle:
            return self._call_later(delay_s, callback, *args)
        connection = callback.__self__
        connection.idle_since = self.time()
        return connection


class HttpConnection(HttpToolsProtocol):
    """One connection that speaks HTTP/1.1.

    Args:
        config: uvicorn's, loaded.
        shared: of all connections of the site.
        app_state: what each request finds in ``scope["state"]``, copied.
        timers: the running loop.
        access_log: whether each request is logged.
    """

    def __init__(
        self, config: Any, shared: Any, app_state: dict[str, Any], timers: Any, *, access_log: bool
    ) -> None:
        super().__init__(config, shared, app_state, timers)
        self.access_log = access_log
        self.is_draining = False
        self.is_refused = False
        self.waits_since: float | None = timers.time()
        """When the head of the request began that is not complete; None while none is under way."""
        self.idle_since: float | None = None
        """When the last response was complete; None while a request is under way."""
        self._head_bytes = 0
        self._watched: Any = None
        self._wrapping_bytes = 0
        self._run: Any = None

    def connection_made(self, transport: Any) -> None:
        """Take the connection; tasks that are made from now on log as this connection."""
        self._run = contextvars.copy_context().run
        super().connection_made(MergingTransport(transport, self.loop.call_soon))

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection itself to a protocol that speaks WebSocket."""
        merging: Any = self.transport
        merging.flush()
        self.transport = merging.raw
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        """Hand what has arrived to the parser."""
        if self.is_refused:
            return
        self._run(_feed, self, data)
        scope = self.scope
        if scope is None or "method" not in scope:  # uvicorn puts it there when the head is complete
            self._await_head(len(data))
        else:
            self.waits_since = None
            if self.cycle is not None and self.cycle.more_body:
                self._watch_body(len(data))
        if self.is_draining and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one that comes behind the body (a trailer) is too late to change the request."""
        if "method" in self.scope:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._wrapping_bytes -= (1 + _WRAPPING_OF_A_BYTE) * len(body)
        super().on_body(body)

    def _watch_body(self, received: int) -> None:
        """See that what comes is a body, and not its chunks' wrapping or trailers without end."""
        if self.cycle is not self._watched:
            self._watched = self.cycle
            self._wrapping_bytes = 0  # what came with the head is not counted
            return
        self._wrapping_bytes += received
        if self._wrapping_bytes > _MOST_HEAD_BYTES:
            self.transport.abort()  # the application waits for the body, and hears that nobody is there

    def _unsupported_upgrade_warning(self) -> None:
        """Serve the request without an upgrade, as HTTP wants it; nobody has to install anything."""

    def cancel(self) -> None:
        """A request has come: the connection is idle no more, see `Timers`."""
        self.idle_since = None

    def end_if_late(self, oldest_head: float, oldest_idle: float) -> None:
        """End the connection if it has kept us waiting since before these times."""
        if self.waits_since is not None and self.waits_since <= oldest_head:
            if not self.is_busy:
                self.refuse(b"408 Request Timeout")
        elif self.idle_since is not None and self.idle_since <= oldest_idle:
            self.timeout_keep_alive_handler()

    def _await_head(self, received: int) -> None:
        if self.waits_since is None:
            self.waits_since = self.loop.time()
            self._head_bytes = 0
        self._head_bytes += received
        if self._head_bytes > _MOST_HEAD_BYTES:
            self.refuse(b"431 Request Header Fields Too Large")

    def refuse(self, status: bytes) -> None:
        """Answer a request that is none, and hang up; responses that are under way are finished before.

        What still comes is read for a moment: closing a socket with unread data resets it, and the answer
        would be lost.
        """
        if self.is_refused or self.transport.is_closing():
            return
        self.is_refused = True
        self.waits_since = None
        if self.is_busy:
            self.cycle.keep_alive = False
            return
        self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.close)

    @property
    def is_busy(self) -> bool:
        """Whether a response is under way, or waits in line."""
        return self.cycle is not None and not self.cycle.response_complete

    def shutdown(self) -> None:
        """A stop begins: finish what is under way, then hang up."""
        self.is_draining = True
        if self.is_busy:
            self.cycle.keep_alive = False  # the last of those that wait in line
        else:
            grace_s = _NEW_GRACE_S if self.cycle is None else _IDLE_GRACE_S
            self.loop.call_later(grace_s, self._hang_up_if_idle)

    def _hang_up_if_idle(self) -> None:
        if not self.is_busy and not self.transport.is_closing():
            self.transport.close()


class WebSocketConnection(WebSocketsSansIOProtocol):
    """One connection that speaks WebSocket; a stop closes it with 1012, "service restart"."""


class QuietWebSocketConnection(WebSocketConnection):
    """The same where requests are not logged."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.logger = _quiet

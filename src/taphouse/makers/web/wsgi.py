"""WSGI: a blocking application (PEP 3333) becomes one that ASGI servers can call.

Each request runs in a thread.  What the application says goes through the loop,
so it waits for the commit of whatever ``durable.call`` has changed before.
This module must never know connections or factories.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from taphouse.makers.web.lifespan import Message
from taphouse.makers.web.threads import ThreadPool

__all__ = ["WsgiBridge"]

_IN_MEMORY_BYTES: Final = 1024 * 1024
"""A request body that is longer lies in a temporary file."""

_Send = Callable[[Message], Any]
_Headers = list[tuple[str, str]]


class ClientGone(ConnectionError):
    """The client of a request has hung up: its response is not made any further."""


class WsgiBridge:
    """An ASGI application that runs a WSGI application.

    Args:
        app: ``app(environ, start_response)``.
        threads: where its requests run.
        extra: what its ``environ`` has besides what the standard says.
    """

    def __init__(self, app: Callable[..., Any], threads: ThreadPool, extra: dict[str, Any]) -> None:
        self._app = app
        self._threads = threads
        self._extra = extra

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            raise RuntimeError(f"a WSGI application serves no {scope['type']}")
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as body:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body.write(message.get("body", b""))
                if not message.get("more_body", False):
                    break
            body.seek(0)
            exchange = _Exchange(send, asyncio.get_running_loop())
            environ = {**_environ(scope, body), **self._extra}
            watcher = asyncio.ensure_future(_notice_hang_up(receive, exchange))
            try:
                rest = await self._threads.run(lambda: exchange.run(self._app, environ))
            except ClientGone:
                return
            finally:
                watcher.cancel()
        for message in rest:
            await send(message)


async def _notice_hang_up(receive: Any, exchange: _Exchange) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    exchange.is_gone = True


class _Exchange:
    """One request in its thread: what ``start_response`` was told, and what is sent."""

    def __init__(self, send: _Send, loop: asyncio.AbstractEventLoop) -> None:
        self._send = send
        self._loop = loop
        self._start: Message | None = None
        self._is_started = False
        self.is_gone = False

    def run(self, app: Callable[..., Any], environ: dict[str, Any]) -> list[Message]:
        """Call the application, send all of its response but the end, and return that."""
        parts: Iterable[bytes] = app(environ, self.start_response)
        try:
            if isinstance(parts, (list, tuple)) and len(parts) == 1 and not self._is_started:
                # All of it at once: the loop sends it without another way through this thread.
                (whole,) = parts
                start = self._take_start()
                _say_length(start[0], whole)
                return [*start, _body(whole, more=False)]
            for part in parts:
                if part:
                    self.write(part)
            return [*self._take_start(), _body(b"", more=False)]
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()

    def start_response(
        self, status: str, headers: _Headers, exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Take status and headers; the last ones before the first byte of the body count."""
        if exc_info is not None:
            try:
                if self._is_started:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # no circle through the traceback
        elif self._start is not None:
            raise RuntimeError("start_response() was called before, and without exc_info")
        self._start = {
            "type": "http.response.start",
            "status": int(status[:3]),
            "headers": [(name.encode("latin-1").lower(), value.encode("latin-1")) for name, value in headers],
        }
        return self.write

    def write(self, data: bytes) -> None:
        """Send a part of the body, waiting in this thread while the client is slow to take it."""
        messages = [] if self._is_started else self._take_start()
        messages.append(_body(data, more=True))
        if self.is_gone:
            raise ClientGone("the client has hung up")
        asyncio.run_coroutine_threadsafe(self._send_all(messages), self._loop).result()

    def _take_start(self) -> list[Message]:
        if self._is_started:
            return []
        if self._start is None:
            raise RuntimeError("the application has not called start_response()")
        self._is_started = True
        return [self._start]

    async def _send_all(self, messages: list[Message]) -> None:
        for message in messages:
            await self._send(message)


def _say_length(start: Message, body: bytes) -> None:
    """Add the length of a body that is whole, so that it needs no chunks."""
    names = {name for name, _ in start["headers"]}
    if start["status"] >= 200 and start["status"] not in (204, 304) and b"content-length" not in names:
        start["headers"].append((b"content-length", b"%d" % len(body)))


def _body(data: bytes, *, more: bool) -> Message:
    if not isinstance(data, bytes):
        raise TypeError(f"a WSGI response is made of bytes, not {type(data).__name__}")
    return {"type": "http.response.body", "body": data, "more_body": more}


def _environ(scope: Any, body: Any) -> dict[str, Any]:
    """Return the ``environ`` of PEP 3333: text that holds the bytes of the request as latin-1."""
    root = scope.get("root_path", "").rstrip("/")
    raw = scope.get("raw_path") or scope["path"].encode()
    path = unquote_to_bytes(raw).decode("latin-1")
    root_bytes = root.encode().decode("latin-1")
    server = scope.get("server") or ("localhost", 80)
    client = scope.get("client")
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": root_bytes,
        "PATH_INFO": path.removeprefix(root_bytes),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": str(server[0]),
        "SERVER_PORT": str(server[1] if server[1] is not None else 80),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if client is not None:
        environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = client[0], str(client[1])
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").upper()
        if "_" in name:
            continue  # X_Y would pass for X-Y, which a proxy may have set
        name = name.replace("-", "_")
        value = raw_value.decode("latin-1")
        if name not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            name = f"HTTP_{name}"
        if name in environ:
            value = f"{environ[name]}{'; ' if name == 'HTTP_COOKIE' else ','}{value}"
        environ[name] = value
    with contextlib.suppress(KeyError):
        del environ["HTTP_PROXY"]  # "httpoxy": programs take it for their own configuration
    return environ

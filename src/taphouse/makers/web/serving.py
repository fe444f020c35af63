"""The factories of a web server: what a tap holds of it, and what is made of that at each start.

`Folder` serves files, `WebApp` an application that is imported by name.  uvicorn
and starlette are imported when one is started.  This module must never know
options or command lines.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from taphouse.app import Factory
from taphouse.errors import ConfigurationError
from taphouse.makers.web.targets import app_kind, load_target

if TYPE_CHECKING:
    from taphouse.makers.web.engine import Engine
    from taphouse.makers.web.threads import ThreadPool

__all__ = ["Folder", "WebApp", "WebSite", "check_installed"]

_NEEDED = ("httptools", "starlette", "uvicorn", "websockets")


class WebSite(Factory, config=("root_path", "keep_alive_s", "header_timeout_s", "access_log")):
    """What every web server has: HTTP/1.1 connections that share an engine."""

    root_path: str = ""
    """Where clients see it, behind a proxy that takes the beginning of the path away."""

    keep_alive_s: float = 5.0
    """How long a connection may be idle between two requests."""

    header_timeout_s: float = 20.0
    """How long the head of a request may take; 0 is for ever."""

    access_log: bool = True
    """Whether each request is logged."""

    _v_engine: Engine | None = None

    def build_protocol(self, addr: Any) -> Any:
        """Return an HTTP connection."""
        assert self._v_engine is not None
        return self._v_engine.make_connection()

    def draining(self) -> None:
        """Let requests finish; tell those who keep their connection that it ends."""
        if self._v_engine is not None:
            self._v_engine.drain()

    async def stopped(self) -> None:
        """Wait for what requests have begun, and end the application."""
        if self._v_engine is not None:
            await self._v_engine.stop()
            self._v_engine = None

    def _common(self) -> dict[str, Any]:
        return {
            "root_path": self.root_path,
            "keep_alive_s": self.keep_alive_s,
            "header_timeout_s": self.header_timeout_s,
            "access_log": self.access_log,
        }


class Folder(WebSite, config=("path", "index", "hidden")):
    """Serves the files below a folder.

    Args:
        path: the folder.
        index: whether folders without an ``index.html`` are listed.
        hidden: whether names that begin with a dot are served.
    """

    stateless = True  # what is in the files is no state of ours

    def __init__(self, path: str, *, index: bool = False, hidden: bool = False) -> None:
        self.path = path
        self.index = index
        self.hidden = hidden

    async def started(self) -> None:
        """Look whether the folder is there, and make the engine."""
        check_installed()
        try:
            with os.scandir(self.path):
                pass
        except OSError as error:
            raise ConfigurationError(
                f"web: folder {self.path}: {error.strerror}", cure="name a folder that the server may read"
            ) from error
        from taphouse.makers.web.engine import Engine
        from taphouse.makers.web.files import Files

        files = Files(self.path, index=self.index, hidden=self.hidden)
        self._v_engine = Engine(files, f"web folder {self.path}", {}, **self._common())


class WebApp(
    WebSite,
    config=(
        "target",
        "folder",
        "kind",
        "is_factory",
        "lifespan",
        "threads",
        "limit_concurrency",
        "trusted_proxies",
        "websocket_max_bytes",
    ),
):
    """Serves an ASGI or WSGI application, found by name at each start.

    The application finds ``memory``, a dict that is durable, as ``scope["state"]["memory"]`` (starlette:
    ``request.state.memory``) or ``environ["taphouse.memory"]``, and beside it this factory as ``factory``.

    Args:
        target: ``module:attribute``.
        folder: where the module lies; ``""`` for an installed one.
    """

    kind: str = "auto"
    """``asgi``, ``wsgi``, or ``auto`` to find out."""

    is_factory: bool = False
    """Whether the attribute is called to make the application."""

    lifespan: str = "auto"
    """Whether an ASGI application is told of start and stop: ``on``, ``off``, or ``auto``, if it wants to."""

    threads: int = 16
    """Requests of a WSGI application at once."""

    limit_concurrency: int = 0
    """Requests and connections at once, beyond which 503 is answered; 0 is no limit."""

    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    """Peers whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed."""

    websocket_max_bytes: int = 16 * 1024 * 1024
    """The longest WebSocket message."""

    _v_threads: ThreadPool | None = None

    def __init__(self, target: str, folder: str = "") -> None:
        self.target = target
        self.folder = folder
        self.memory: dict[str, Any] = {}
        """What the application remembers: values that a tap can hold, by names of its own."""

    def imports(self) -> Iterable[tuple[str, str]]:
        """Return the module of the application."""
        return ((str(self.target).partition(":")[0], str(self.folder or "")),)

    async def started(self) -> None:
        """Import the application and tell it that it starts."""
        check_installed()
        from taphouse.makers.web.engine import Engine

        app = load_target(self.target, self.folder, is_factory=self.is_factory)
        kind = _kind_of(app, self.kind, self.target)
        if kind == "wsgi":
            from taphouse.makers.web.threads import ThreadPool
            from taphouse.makers.web.wsgi import WsgiBridge

            self._v_threads = ThreadPool(self.threads, f"web {self.target}")
            extra = {"taphouse.memory": self.memory, "taphouse.factory": self}
            app = WsgiBridge(app, self._v_threads, extra)
        elif kind == "asgi2":
            app = _as_asgi3(app)
        engine = Engine(
            app,
            f"web application {self.target}",
            {"memory": self.memory, "factory": self},
            **self._common(),
            lifespan="off" if kind == "wsgi" else self.lifespan,
            limit_concurrency=self.limit_concurrency,
            trusted_proxies=self.trusted_proxies,
            websocket_max_bytes=0 if kind == "wsgi" else self.websocket_max_bytes,
        )
        await engine.lifespan.start()
        self._v_engine = engine

    async def stopped(self) -> None:
        """End the application, and the threads that have nothing to do."""
        await super().stopped()
        if self._v_threads is not None:
            self._v_threads.close()
            self._v_threads = None


def check_installed() -> None:
    """Refuse to serve without what the extra ``web`` installs.

    Raises:
        ConfigurationError: naming what is missing.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(f"web needs {' and '.join(missing)}", cure="pip install taphouse[web]")


def _kind_of(app: Any, kind: str, target: str) -> str:
    found = app_kind(app)
    if kind == "wsgi":
        return "wsgi"
    if kind == "asgi":
        return "asgi2" if found == "asgi2" else "asgi3"
    if found is None:
        raise ConfigurationError(
            f"web application {target}: {type(app).__name__} does not show whether it is ASGI or WSGI",
            cure="say --app-type asgi or --app-type wsgi",
        )
    return found


def _as_asgi3(app: Any) -> Any:
    async def asgi3(scope: Any, receive: Any, send: Any) -> None:
        await app(scope)(receive, send)

    return asgi3

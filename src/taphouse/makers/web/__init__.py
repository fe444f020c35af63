"""Maker web: static files, or any ASGI or WSGI application, over HTTP/1.1 and WebSocket.

uvicorn's protocols speak, on connections of ours: what they send passes the output gate like
everything else.  Nothing of uvicorn or starlette is imported before a server starts.  This door
must not know how a request is served.
"""

from __future__ import annotations

import ipaddress
from importlib.util import find_spec
from typing import Any, Literal

from taphouse import usage
from taphouse.app import Application
from taphouse.makers.web.serving import Folder, WebApp, WebSite, check_installed
from taphouse.makers.web.targets import lies_in, split_target

__all__ = ["Options", "description", "updateApplication"]

description = "Serve files, or any ASGI or WSGI application, over HTTP"

_FOR_FILES = ("index", "hidden")
_FOR_APPS = (
    "app_type",
    "app_factory",
    "lifespan",
    "threads",
    "limit_concurrency",
    "websocket_max",
    "proxy_headers",
    "forwarded_allow_ips",
)
"""Options that say something about one kind of server only."""

_defaults: dict[str, Any] = {}
"""Filled below, when the class is there."""


def _check_network(address: str) -> None:
    try:
        if address != "*":
            ipaddress.ip_network(address, strict=False)
    except ValueError:
        raise usage.UsageError(
            f"--forwarded-allow-ips {address!r:.80} is no address",
            cure="write it like 10.0.0.7 or 10.0.0.0/8",
        ) from None


class Options(usage.Options):
    """Serve files, or any ASGI or WSGI application, over HTTP."""

    examples = (
        "mktap web --path public --port 8080",
        "mktap web --app shop:app --port 8443 --certfile cert.pem --keyfile key.pem",
    )

    port: int = usage.option(8080, "-p", help="TCP port to listen on", ge=0, le=65535)
    interface: str = usage.option("", help="address to listen on; without it, all of this machine's")
    certfile: usage.ExistingFile | None = usage.option(None, help="certificate and chain, as PEM: speak TLS")
    keyfile: usage.ExistingFile | None = usage.option(None, help="its key, if that is in a file of its own")
    path: usage.ExistingFolder | None = usage.option(None, help="serve the files below this folder")
    index: bool = usage.option(False, help="list folders that have no index.html")
    hidden: bool = usage.option(False, help="serve names that begin with a dot, too")
    app: str | None = usage.option(None, help="serve this application", metavar="MODULE:ATTRIBUTE")
    app_dir: usage.ExistingFolder = usage.option(".", help="where its module is looked for first")
    app_type: Literal["auto", "asgi", "wsgi"] = usage.option("auto", help="how it is called")
    app_factory: bool = usage.option(False, help="the attribute is a function that makes the application")
    lifespan: Literal["auto", "on", "off"] = usage.option(
        "auto", help="tell an ASGI application when the server starts and stops"
    )
    threads: int = usage.option(16, help="requests of a WSGI application at once", ge=1, le=1000)
    root_path: str = usage.option("", help="where clients see it, if a proxy takes that off their paths")
    keep_alive: usage.Duration = usage.option("5s", help="how long a connection may be idle between requests")
    header_timeout: usage.Duration = usage.option(
        "20s", help="how long the head of a request may take; 0s is for ever", ge=0
    )
    limit_concurrency: int = usage.option(
        0,
        help="connections or requests at once, beyond which 503 is answered; 0 is no limit",
        ge=0,
    )
    websocket_max: usage.Size = usage.option("16MiB", help="the longest WebSocket message", ge=1)
    proxy_headers: bool = usage.option(True, help="believe X-Forwarded-For and -Proto of proxies")
    forwarded_allow_ips: list[str] = usage.option(
        ["127.0.0.1", "::1"],
        help="addresses and networks of proxies that are believed; * is everybody",
    )
    access_log: bool = usage.option(True, help="log each request")

    def post_options(self) -> None:
        """See that it is clear what is served, and that what is said belongs to it."""
        if (self.path is None) == (self.app is None):
            raise usage.UsageError(
                "--path and --app contradict each other" if self.app else "nothing to serve",
                cure="say --path FOLDER for files, or --app MODULE:ATTRIBUTE for an application",
            )
        for name in _FOR_APPS if self.app is None else _FOR_FILES:
            if _defaults and self[name] != _defaults[name]:
                what, other = ("files", "--app") if self.app is None else ("an application", "--path")
                raise usage.UsageError(
                    f"--{name.replace('_', '-')} says nothing about {what}", cure=f"it goes with {other}"
                )
        if self.keyfile is not None and self.certfile is None:
            raise usage.UsageError("--keyfile without --certfile", cure="name the certificate, too")
        if self.root_path and (not self.root_path.startswith("/") or self.root_path.endswith("/")):
            raise usage.UsageError(
                f"--root-path {self.root_path!r:.80} is no path", cure="write it like /shop"
            )
        if self.app is not None:
            split_target(self.app)
        for address in self.forwarded_allow_ips:
            _check_network(address)


_defaults.update(vars(Options(path=".")))


def updateApplication(app: Application, config: Options) -> None:
    """Add the server to ``app``.

    Raises:
        ConfigurationError: the extra ``web`` is not installed.
        UsageError: the module of the application is nowhere.
    """
    check_installed()
    site: WebSite
    if config.path is not None:
        site = Folder(str(config.path), index=config.index, hidden=config.hidden)
    else:
        assert config.app is not None
        site = WebApp(config.app, _folder_of(config.app, str(config.app_dir)))
        site.kind = config.app_type
        site.is_factory = config.app_factory
        site.lifespan = config.lifespan
        site.threads = config.threads
        site.limit_concurrency = config.limit_concurrency
        site.trusted_proxies = tuple(config.forwarded_allow_ips) if config.proxy_headers else ()
        site.websocket_max_bytes = config.websocket_max
    site.root_path = config.root_path
    site.keep_alive_s = config.keep_alive
    site.header_timeout_s = config.header_timeout
    site.access_log = config.access_log
    if config.certfile is None:
        app.listenTCP(config.port, site, interface=config.interface)
    else:
        app.listenTLS(config.port, site, config.certfile, config.keyfile, interface=config.interface)


def _folder_of(target: str, folder: str) -> str:
    """Return where the module of ``target`` lies: ``folder``, or ``""`` if it is installed."""
    module, _ = split_target(target)
    if lies_in(module, folder):
        return folder
    top = module.partition(".")[0]
    if find_spec(top) is None:
        raise usage.UsageError(
            f"--app {target}: module {top} is neither in {folder} nor installed", cure="say --app-dir FOLDER"
        )
    return ""

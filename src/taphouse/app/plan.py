"""Plan: what an application is made of, readable without its code.

JSON-able dicts: what to bind before anything is imported, which modules to
import, and what to show to an operator.  It must not know how it is stored.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from taphouse.app.application import Application
from taphouse.app.connector import Connector
from taphouse.app.factory import NO_PROTOCOL_CURE, Factory, has_serve
from taphouse.app.labels import label_objects
from taphouse.app.listener import Listener
from taphouse.app.service import Service, iter_services
from taphouse.app.wrapping import CallableFactory
from taphouse.errors import ConfigurationError
from taphouse.names import check_application_name, qualified_name, script_module_name

__all__ = ["check_application", "find_script", "make_plan", "unsavable"]


def make_plan(
    app: Application,
    oid_of: Callable[[object], int] | None = None,
    *,
    script: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Return the plan of ``app`` as JSON-able values.

    Args:
        oid_of: object -> its row in the tap, for ``objects``; ``None`` leaves that empty.
        script: ``{"module", "folder"}`` of the script that built it; ``None`` looks at
            ``__main__`` if a class of ``app`` lives there.

    Raises:
        ConfigurationError: if a listener could serve nobody.
    """
    check_application(app)
    labels = label_objects(app)
    by_id = {id(obj): label for label, obj in labels.items()}
    modules, uses_main = _modules(app, labels.values())
    if script is None and uses_main:
        script = find_script()
    folders = _folders(labels.values())
    return {
        "name": app.name,
        "uid": app.uid,
        "gid": app.gid,
        "durability": app.durability,
        "script": script,
        "modules": modules,
        "listeners": [_listener_entry(record, by_id[id(record.factory)]) for record in app.listeners],
        "connectors": [_connector_entry(record, by_id[id(record.factory)]) for record in app.connectors],
        "services": [
            {"name": service.path, "class": qualified_name(type(service))} for service in iter_services(app)
        ],
        "objects": {} if oid_of is None else {label: oid_of(obj) for label, obj in labels.items()},
        **({"folders": folders} if folders else {}),
    }


def check_application(app: Application) -> None:
    """Refuse an application that could not serve.

    Raises:
        ConfigurationError: naming the listener or connector whose factory makes no protocol,
            or the application's name if it was changed to one that is not allowed.
    """
    check_application_name(app.name)
    for record in app.endpoints:
        try:
            _check_serves(record.factory, datagram=record.kind == "udp")
        except ConfigurationError as error:
            raise ConfigurationError(f"{record.label}: {error.message}", cure=error.cure) from None


def unsavable(app: Application) -> list[str]:
    """Return one line for each listener or connector whose protocol callable no tap can hold."""
    return [
        f"{record.label}: {_describe(record.factory.target)} cannot be saved; "
        "give a class or a function of a module"
        for record in app.endpoints
        if isinstance(record.factory, CallableFactory) and not record.factory.is_savable
    ]


def find_script() -> dict[str, str] | None:
    """Return ``{"module", "folder"}`` of the running script, or ``None`` if it cannot be imported by name."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    module = script_module_name(path) if path else ""
    if not path or not module:
        return None
    return {"module": module, "folder": os.path.dirname(os.path.abspath(path))}


def _listener_entry(record: Listener, label: str) -> dict[str, Any]:
    return {
        "label": record.label,
        "kind": record.kind,
        "interface": record.interface,
        "port": record.port,
        "path": record.path,
        "mode": record.mode,
        "backlog": record.backlog,
        "certfile": record.certfile,
        "keyfile": record.keyfile,
        "factory": label,
        "stateless": record.factory.stateless is True,
        **({} if record.name is None else {"name": record.name}),
    }


def _connector_entry(record: Connector, label: str) -> dict[str, Any]:
    return {
        "label": record.label,
        "kind": record.kind,
        "host": record.host,
        "port": record.port,
        "path": record.path,
        "timeout": record.timeout,
        "cafile": record.cafile,
        "certfile": record.certfile,
        "keyfile": record.keyfile,
        "server_name": record.server_name,
        "factory": label,
        "stateless": record.factory.stateless is True,
    }


def _modules(app: Application, objects: Iterable[Factory | Service]) -> tuple[list[str], bool]:
    """Return the modules whose import defines the classes named by ``app``, and whether the script is one."""
    named: list[Any] = [type(app)]
    imported: set[str] = set()
    for obj in objects:
        named.append(type(obj))
        if isinstance(obj, Factory):
            named += [obj.protocol, obj.datagram_protocol]
            imported.update(module for module, _ in type(obj).imports(obj))
        if isinstance(obj, CallableFactory):
            named.append(obj.make)
    for call in app.schedule.values():
        owner = getattr(call.method, "__self__", None)
        named += [call.method if owner is None else type(owner)]
    uses_main = False
    modules = imported
    for thing in named:
        module = getattr(thing, "__module__", None)
        if module == "__main__":
            uses_main = True
        if thing is not None and module is not None:
            modules.add(qualified_name(thing).removesuffix(f".{getattr(thing, '__qualname__', '')}"))
    return sorted(modules), uses_main


def _folders(objects: Iterable[Factory | Service]) -> list[str]:
    """Return where modules lie that factories import by name, in the order of the factories."""
    factories = [obj for obj in objects if isinstance(obj, Factory)]
    found = [folder for obj in factories for _, folder in type(obj).imports(obj)]
    return [folder for folder in dict.fromkeys(found) if folder]


def _check_serves(factory: Factory, *, datagram: bool) -> None:
    if isinstance(factory, CallableFactory):
        assert factory.target is not None
        return
    builder = "build_datagram_protocol" if datagram else "build_protocol"
    if getattr(type(factory), builder) is not getattr(Factory, builder):
        return
    if datagram and factory.datagram_protocol is None and factory.protocol is None:
        raise ConfigurationError(
            f"{type(factory).__name__} has no protocol for datagrams",
            cure="set .datagram_protocol, or use a DatagramFactory",
        )
    if not datagram and not has_serve(factory) and factory.protocol is None:
        raise ConfigurationError(
            f"{type(factory).__name__} has no protocol",
            cure=NO_PROTOCOL_CURE,
        )


def _describe(target: Callable[..., Any]) -> str:
    if getattr(target, "__name__", "") == "<lambda>":
        return "a lambda"
    if "<locals>" in getattr(target, "__qualname__", ""):
        kind = "a class" if inspect.isclass(target) else "a function"
        return f"{target.__qualname__}, {kind} inside of a function,"
    return f"{type(target).__qualname__} {target!r:.80}"

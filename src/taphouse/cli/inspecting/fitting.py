"""Does the plan of an edited tap fit its objects?  What is bound before any code runs must be what is served.

Looks at a document, the JSON form of a tap.  It must never import application code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from taphouse.app import address_label
from taphouse.cli.starting.planshape import misshapen_entry
from taphouse.errors import TapError
from taphouse.names import is_importable_name

__all__ = ["check_plan"]

_LISTENS = ("kind", "interface", "port", "path", "mode", "backlog", "certfile", "keyfile")
_CONNECTS = ("kind", "host", "port", "path", "timeout", "cafile", "certfile", "keyfile", "server_name")
_ROOT = ("name", "uid", "gid", "durability")
_KINDS = ("tcp", "tls", "udp", "unix")
_CURE = "correct it; nothing was written"


def check_plan(document: Mapping[str, Any], name: str) -> None:
    """Refuse a document whose plan says something else than its objects.

    Args:
        document: what :func:`taphouse.persist.check_document` let pass.
        name: of the document, for messages.

    Raises:
        TapError: naming the place of the first thing that does not fit.
    """
    wrong = misshapen_entry(document["plan"])
    if wrong:
        raise TapError("has not its form", path=name, where=f"plan.{wrong}", cure=_CURE)
    for where, why in _problems(document):
        raise TapError(why, path=name, where=where, cure=_CURE)


def _problems(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    plan, objects = document["plan"], document["objects"]
    labels = plan.get("objects", {})
    numbers = {label: labels[label] for label in labels}
    for at, module in enumerate(_list(plan, "modules")):
        if type(module) is not str or not is_importable_name(module):
            yield f"plan.modules[{at}]", f"{module!r:.60} is no name of a module"
    root = _root(objects, numbers)
    for key in _ROOT:
        if key in root and plan.get(key, root[key]) != root[key]:
            yield f"plan.{key}", f"{plan[key]!r:.60}, but the application's state says {root[key]!r:.60}"
    for part, fields in (("listeners", _LISTENS), ("connectors", _CONNECTS)):
        entries = _list(plan, part)
        for at, entry in enumerate(entries):
            where = f"plan.{part}[{at}]"
            if type(entry) is not dict:
                yield where, "is no object"
                continue
            yield from _endpoint(entry, where, labels)
        yield from _same(entries, root.get(part), objects, fields, f"plan.{part}")
    for at, entry in enumerate(_list(plan, "services")):
        label = entry.get("name") if type(entry) is dict else None
        if label not in labels and f"/{label}" not in labels:
            yield f"plan.services[{at}].name", f"there is no object {label!r:.60} in plan.objects"
    yield from _servers(_list(plan, "servers"))


def _servers(servers: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Look at what mktap --update will go by."""
    names: set[str] = set()
    for at, entry in enumerate(servers):
        where = f"plan.servers[{at}]"
        if type(entry) is not dict:
            yield where, "is no object"
            continue
        for key, kind in (("name", str), ("type", str), ("options", dict)):
            if type(entry.get(key)) is not kind:
                yield f"{where}.{key}", "is no text" if kind is str else "is no object"
        if entry["name"] in names:
            yield f"{where}.name", f"{entry['name']!r:.60} is there twice"
        names.add(entry["name"])


def _list(plan: Mapping[str, Any], key: str) -> Sequence[Any]:
    found = plan.get(key, [])
    return found if type(found) is list else [found]


def _root(objects: Mapping[str, Any], numbers: Mapping[str, int]) -> Mapping[str, Any]:
    """Return the attributes of the application, as far as they are plain."""
    for key, entry in objects.items():
        if key.endswith("@1") or numbers.get(key) == 1:
            state = entry.get("state")
            return state if type(state) is dict else {}
    return {}


def _endpoint(entry: dict[str, Any], where: str, labels: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if entry.get("kind") not in _KINDS:
        yield f"{where}.kind", f"{entry.get('kind')!r:.40} is none of {', '.join(_KINDS)}"
    if type(entry.get("label")) is not str:
        yield f"{where}.label", "is no text"
    factory = entry.get("factory")
    if type(factory) is not str or factory not in labels:
        yield f"{where}.factory", f"there is no object {factory!r:.60} in plan.objects"
    port = entry.get("port")
    if port is None or type(port) is int:
        host = entry.get("interface", entry.get("host")) or ""
        address = address_label(str(entry.get("kind")), str(host), port, entry.get("path"))
        if entry.get("label") != address:
            yield f"{where}.label", f"{entry.get('label')!r:.60}, but its address is {address}"
    if port is not None and not (type(port) is int and 0 <= port <= 65535):
        yield f"{where}.port", f"{port!r:.40} is no port; 0 to 65535 are"


def _same(
    entries: Sequence[Any], held: Any, objects: Mapping[str, Any], fields: Sequence[str], where: str
) -> Iterator[tuple[str, str]]:
    """Compare the plan's entries with the objects that they stand for, which come in the same order."""
    held = _followed(held, objects)
    if type(held) is not list:
        return
    if len(held) != len(entries):
        yield (
            where,
            f"there are {len(entries)}, but the application has {len(held)}; mktap --update changes both",
        )
    for at, (entry, reference) in enumerate(zip(entries, held, strict=False)):
        key = reference.get("$ref", "") if type(reference) is dict else ""
        state = objects.get(key, {}).get("state")
        if type(state) is not dict:
            continue
        for name in fields:
            if (
                name in entry
                and name in state
                and entry[name] != state[name]
                and type(state[name]) is not dict
            ):
                other = f"objects.{key}.state.{name} is {state[name]!r:.60}"
                why = f"{entry[name]!r:.60}, but {other}; both must be the same (mktap --update does that)"
                yield f"{where}[{at}].{name}", why
        factory = state.get("factory")
        if type(factory) is dict and factory.get("$ref", entry["factory"]) != entry["factory"]:
            yield f"{where}[{at}].factory", f"{entry['factory']!r:.60}, but {key} has {factory['$ref']!r:.60}"


def _followed(value: Any, objects: Mapping[str, Any]) -> Any:
    """Return the container that a reference leads to, or the value itself."""
    if type(value) is dict and type(value.get("$ref")) is str:
        return objects.get(value["$ref"], {}).get("value")
    return value

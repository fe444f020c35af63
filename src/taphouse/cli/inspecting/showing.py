"""What `tap show` says about a tap: bounded text or JSON, from inert data.

It must never import application code, and never print more than was asked for,
however big or hostile the tap is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from taphouse.cli.output import one_line
from taphouse.persist import Inert, InertObject, Ref, TapInfo, read_info, read_objects

__all__ = ["describe_tap", "print_tap"]

_OPEN = "open: a server runs on it, or was killed"
_MASKED = "taphouse.usage.Secret"
"""What is in the state so that it need not be anywhere else is not put on a terminal, nor in its log."""
_MAX_DEPTH = 12
_MAX_TEXT = 200
"""Characters shown of one text value, in text output; JSON has them all up to `_MAX_JSON_TEXT`."""
_MAX_JSON_TEXT = 100_000
_MAX_NODES = 2_000_000
"""Values described in all; a hostile tap cannot make more of them than this."""


def describe_tap(path: str, *, limit: int) -> dict[str, Any]:
    """Return what a tap holds as JSON-able data.

    Args:
        path: the tap.
        limit: how many objects, and entries of each container; 0 for all.

    Raises:
        TapError: if it is damaged, foreign or newer.
    """
    info = read_info(path)
    describer = _Describer(limit)
    objects = list(islice(read_objects(path), limit or None))
    return {
        **_head(info),
        "plan": dict(info.plan),
        "classes": [
            {"name": record.name, "module": record.module, "kind": record.kind, "version": record.version}
            for record in info.classes
        ],
        "objects": [describer.describe(found) for found in objects],
        "objects_left_out": max(0, int(info.counts.get("objects", 0)) - len(objects)),
    }


def _head(info: TapInfo) -> dict[str, Any]:
    return {
        "path": str(info.path),
        "role": info.role,
        "name": info.name,
        "lineage": info.lineage,
        "format": info.format,
        "created": info.created,
        "versions": dict(info.versions),
        "epoch": info.epoch,
        "base_epoch": info.base_epoch,
        "is_open": info.is_open,
        "counts": dict(info.counts),
        "size_bytes": os.path.getsize(info.path),
    }


class _Describer:
    """Turns inert values into JSON-able ones, at most so many."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = _MAX_NODES

    def describe(self, found: InertObject) -> dict[str, Any]:
        described: dict[str, Any] = {"oid": found.oid, "class": found.kind}
        if found.record is not None:
            described["state"] = {name: self.value(part) for name, part in found.state.items()}
            if found.kind == _MASKED and found.state.get("_text") is not None:
                described["state"]["_text"] = "***"
            return described
        described["entries"] = self.value(found.state)
        if found.chunks:
            described["chunks"] = self._some(found.chunks)
        if found.operations:
            described["operations"] = self._some(found.operations)
        return described

    def value(self, value: Any, depth: int = 0) -> Any:
        """Return ``value`` as JSON can hold it: what JSON has no word for is ``{"<kind>": ...}``."""
        self._left -= 1
        if depth > _MAX_DEPTH or self._left < 0:
            return {"...": "not shown"}
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if abs(value) < 1 << 53 else {"int": _digits(value)}
        if isinstance(value, float):
            return value if value - value == 0 else {"float": repr(value)}
        if isinstance(value, str):
            return value if len(value) <= _MAX_JSON_TEXT else value[:_MAX_JSON_TEXT] + "..."
        if isinstance(value, (bytes, bytearray)):
            return {"bytes": bytes(value[:_MAX_JSON_TEXT]).hex()}
        if isinstance(value, Ref):
            return {"ref": value.oid}
        if isinstance(value, Inert):
            return self._inert(value, depth)
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, (list, tuple)):
            shown = self._some(value, depth)
            return shown if isinstance(value, list) else {"tuple": shown}
        return {type(value).__name__: str(value)[:_MAX_JSON_TEXT]}

    def _inert(self, value: Inert, depth: int) -> Any:
        kind = value.kind
        if value.record is not None and not value.items:
            return {kind: value.record.name}
        if value.text and not value.items:
            return {kind: value.text}
        shown: Any = self._some(value.items, depth)
        name = f"{kind} {value.record.name}" if value.record is not None else kind
        return {name: shown}

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> Any:
        shown = self._bounded(value.items())
        if all(isinstance(key, str) for key, _ in shown):
            described = {key: self.value(part, depth + 1) for key, part in shown}
        else:
            pairs = [[self.value(key, depth + 1), self.value(part, depth + 1)] for key, part in shown]
            described = {"dict": pairs}
        if len(shown) < len(value):
            described["..."] = f"{len(value) - len(shown)} more"
        return described

    def _some(self, values: Iterable[Any], depth: int = 0) -> list[Any]:
        values = list(values) if not isinstance(values, (list, tuple)) else values
        shown = [self.value(part, depth + 1) for part in self._bounded(values)]
        if len(shown) < len(values):
            shown.append({"...": f"{len(values) - len(shown)} more"})
        return shown

    def _bounded(self, values: Iterable[Any]) -> list[Any]:
        return list(islice(values, self._limit or None))


def _digits(value: int) -> str:
    # Turning a million-digit integer into decimal takes seconds, and Python refuses it beyond 4300 digits.
    return str(value) if abs(value).bit_length() <= 4096 else hex(value)[:_MAX_JSON_TEXT]


def print_tap(shown: Mapping[str, Any]) -> None:
    """Print what `describe_tap` returned, for people."""
    commits = shown["epoch"] - shown["base_epoch"]
    versions = shown["versions"]
    made_by = f"taphouse {versions.get('taphouse', '?')}, python {versions.get('python', '?')}"
    head = [
        ("role", shown["role"] + (f", {commits} commits since it began" if shown["role"] == "state" else "")),
        ("made", f"{shown['created']} by {made_by}, format {shown['format']}"),
        ("lineage", shown["lineage"]),
        ("epoch", str(shown["epoch"])),
        ("file", f"{shown['size_bytes']} bytes, {_OPEN if shown['is_open'] else 'closed'}"),
    ]
    print(one_line(f"{shown['path']}: {shown['role']} of application {shown['name']}"))
    _print_table(head)
    print("plan")
    _print_table(list(_plan_lines(shown["plan"])))
    print("classes")
    _print_table(
        [(c["name"], f"{c['kind']}, version {c['version']}") for c in shown["classes"]] or [("none", "")]
    )
    print("objects")
    for found in shown["objects"]:
        print("  " + one_line(f"#{found['oid']} {found['class']}"))
        state = found.get("state")
        if state is None:
            _print_table(
                [(part, _short(found[part])) for part in found if part not in ("oid", "class")], indent=6
            )
        else:
            _print_table([(name, _short(value)) for name, value in state.items()], indent=6)
    if shown["objects_left_out"]:
        print(f"  ... and {shown['objects_left_out']} more; --limit 0 shows all")


def _plan_lines(plan: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for entry in plan.get("listeners") or ():
        yield "listens", f"{entry.get('label')} with {entry.get('factory')}"
    for entry in plan.get("connectors") or ():
        yield "connects", f"{entry.get('label')} with {entry.get('factory')}"
    for entry in plan.get("services") or ():
        yield "service", f"{entry.get('name')} ({entry.get('class')})"
    if plan.get("durability"):
        yield "durability", str(plan["durability"])
    if plan.get("uid") is not None or plan.get("gid") is not None:
        yield "runs as", f"user {plan.get('uid')}, group {plan.get('gid')}"
    if plan.get("modules"):
        yield "modules", ", ".join(map(str, plan["modules"]))
    script = plan.get("script")
    if isinstance(script, Mapping):
        yield "code", f"{script.get('module') or 'modules'} in {script.get('folder')}"
    servers = plan.get("servers")
    for entry in servers if isinstance(servers, list) else ():
        if isinstance(entry, Mapping):
            yield "server", f"{entry.get('name')}, type {entry.get('type')}: {_options(entry.get('options'))}"
    begun = plan.get("begun")
    if isinstance(begun, Mapping):
        yield "begun", f"from {begun.get('from')} at {begun.get('at')}"


def _options(options: object) -> str:
    if not isinstance(options, Mapping):
        return ""
    return ", ".join(f"{name}={_short(value)}" for name, value in options.items() if value is not None)


def _print_table(rows: list[tuple[str, str]], indent: int = 2) -> None:
    width = min(32, max((len(name) for name, _ in rows), default=0))
    for name, text in rows:
        print(" " * indent + one_line(f"{name:<{width}}  {text}"))


def _short(value: Any) -> str:
    """Return a described value on one line, as near to Python's words as can be."""
    if isinstance(value, str):
        text = repr(value[: _MAX_TEXT + 1])
    elif isinstance(value, list):
        text = "[" + ", ".join(_short(part) for part in value[:_MAX_TEXT]) + "]"
    elif isinstance(value, dict):
        text = _short_dict(value)
    else:
        text = str(value)
    return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "..."


def _short_dict(value: dict[str, Any]) -> str:
    if set(value) == {"ref"}:
        return f"#{value['ref']}"
    if set(value) == {"..."}:
        return f"... {value['...']}"
    return "{" + ", ".join(f"{name}: {_short(part)}" for name, part in list(value.items())[:_MAX_TEXT]) + "}"

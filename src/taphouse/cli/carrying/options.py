"""The options of servers, merged three ways: a new default changes only what nobody has touched.

Pure: plans in, a plan out.  This module must never know what an option means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from taphouse.cli.making.reporting import CHANGED, CONFLICT, KEPT, Finding, shorten
from taphouse.cli.making.threeway import decide

__all__ = ["merge_servers"]

Server = Mapping[str, Any]
_UNKNOWN: Final = object()
_COMMAND: Final = ("sub_command", "sub_options")


def merge_servers(
    base: Mapping[str, Mapping[str, Any]] | None, stored: Iterable[Server], new: Iterable[Server]
) -> tuple[list[dict[str, Any]], list[Finding]]:
    """Return the servers that are to be, as entries of a plan, and what is to be said.

    Args:
        base: name -> options, of the seed that the state came of; ``None`` if nobody knows.
        stored: entries of the plan of the state.
        new: of the new seed.
    """
    mine = {str(entry["name"]): entry for entry in stored}
    merged: list[dict[str, Any]] = []
    findings: list[Finding] = []
    for entry in new:
        name = str(entry["name"])
        before = mine.pop(name, None)
        if before is None:
            if base is not None and name in base:
                findings.append(Finding(KEPT, name, "stays away: the server was taken out of this tap"))
                continue
            findings.append(Finding(CHANGED, name, "the server is new"))
            merged.append(dict(entry))
        elif before["type"] != entry["type"]:
            text = f"the server's type: {before['type']} -> {entry['type']}"
            findings.append(Finding(CHANGED, name, text))
            merged.append(dict(entry))
        else:
            was = None if base is None else base.get(name)
            options = _Options(name, findings).merge(was, before["options"], entry["options"])
            merged.append({**entry, "options": options})
    for name, entry in mine.items():
        if base is not None and name in base:
            findings.append(Finding(CHANGED, name, "the server is gone"))
        else:
            findings.append(Finding(KEPT, name, "the server was added to this tap"))
            merged.append(dict(entry))
    return merged, findings


class _Options:
    """The merge of one server's options."""

    def __init__(self, server: str, findings: list[Finding]) -> None:
        self._server, self._findings = server, findings

    def merge(
        self,
        base: Mapping[str, Any] | None,
        stored: Mapping[str, Any],
        new: Mapping[str, Any],
        above: str = "",
    ) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for name, value in new.items():
            if name in _COMMAND:
                continue
            if name not in stored:
                merged[name] = value
                continue
            was = _UNKNOWN if base is None else base.get(name, _UNKNOWN)
            decision = decide(*map(repr, (was, stored[name], value)))
            merged[name] = value if decision == CHANGED else stored[name]
            self._tell(decision, above + name, stored[name], value)
        for name in stored:
            if name not in new and name not in _COMMAND:
                self._findings.append(
                    Finding(CHANGED, self._server, f"{_spelled(above + name)} is no option any more")
                )
        if "sub_command" in new:
            merged.update(self._merge_command(base, stored, new, above))
        return merged

    def _merge_command(
        self, base: Mapping[str, Any] | None, stored: Mapping[str, Any], new: Mapping[str, Any], above: str
    ) -> dict[str, Any]:
        """Merge a sub-command with all its options: those of another one mean something else."""
        old, now = stored.get("sub_command"), new["sub_command"]
        was = _UNKNOWN if base is None else base.get("sub_command", _UNKNOWN)
        decision = decide(*map(repr, (was, old, now)))
        if decision:
            self._tell(decision, f"{above}command", old, now)
            taken = new if decision == CHANGED else stored
            return {name: taken.get(name) for name in _COMMAND}
        inner = base.get("sub_options") if base is not None and was == old else None
        if not isinstance(stored.get("sub_options"), Mapping) or not isinstance(new["sub_options"], Mapping):
            return {name: new[name] for name in _COMMAND}
        options = self.merge(inner, stored["sub_options"], new["sub_options"], f"{above}{now}.")
        return {"sub_command": now, "sub_options": options}

    def _tell(self, decision: str, name: str, before: Any, after: Any) -> None:
        texts: dict[str, str] = {
            CHANGED: f"{shorten(before)} -> {shorten(after)}",
            KEPT: shorten(before),
            CONFLICT: f"{shorten(before)}, not {shorten(after)}",
        }
        if decision:
            self._findings.append(Finding(decision, self._server, f"{_spelled(name)} {texts[decision]}"))


def _spelled(name: str) -> str:
    return f"--{name.replace('_', '-')}"

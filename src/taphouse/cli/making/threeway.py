"""The three-way merge of an update: as it was built, as it is stored, as it is built now.

As dpkg does with configuration files: what nobody has touched takes the new
build's value, what changed while the server ran keeps it, and where both have
changed it is kept and said.  Nothing that a client was told is ever given up
without a word: what has no place in the new build stops the update by name.

This module must never know makers, options or files: it is given two applications
and the plan of the stored one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from taphouse.app import Application, Factory, Service, config_attributes
from taphouse.cli.making.asbuilt import OID, ROOT, digests_of, is_declared, locate, parent_of
from taphouse.cli.making.keptsecrets import secrets_in
from taphouse.cli.making.reporting import CHANGED, CONFLICT, KEPT, Finding, shorten
from taphouse.cli.making.statements import Statements
from taphouse.cli.starting.merging import LateAdditions, built_by_code, join_calls, scheduled_calls
from taphouse.durable import Durable, oid_of, raw_state
from taphouse.errors import ConfigurationError, UsageError
from taphouse.persist import find_durables

__all__ = ["Merge", "decide", "merge_builds"]

_ABSENT: Final = "nothing"


def decide(built: str | None, stored: str | None, new: str | None, *, is_config: bool = False) -> str:
    """Return what becomes of an attribute; the table of the merge.

    Args:
        built: digest of the value as it was built last, ``None`` if there was none.
        stored: of the value that the tap holds.
        new: of the value as it is built now.
        is_config: its class says that it is configuration.

    Returns:
        ``""`` if both are the same, `CHANGED` if it takes the new value, `KEPT` or `CONFLICT` if it keeps
        the stored one.
    """
    if stored == new:
        return ""
    if is_config or stored == built:
        return CHANGED
    return KEPT if new == built else CONFLICT


def merge_builds(
    stored: Application,
    new: Application,
    plan: Mapping[str, Any],
    *,
    drop: Iterable[str] = (),
    path: str = "",
) -> Merge:
    """Decide what becomes of every attribute; nothing is changed yet.

    Args:
        stored: thawed from the tap.
        new: just built, from the options as they shall be.
        plan: of the tap; its ``as_built`` and ``built`` say what was built last.
        drop: labels of stored objects to be forgotten.
        path: of the tap, for messages.

    Raises:
        ConfigurationError: objects changed while the server ran, and the new build does not make them.
        UsageError: ``drop`` names one that is not there.
    """
    return Merge(stored, new, plan, frozenset(drop), path)


class Merge:
    """The decisions of one update; made by `merge_builds`.

    To carry them out, thaw the tap once more, *into* the new application
    (``thaw(store, resolve, existing=merge.existing)``), then `finish`.

    Attributes:
        existing: row -> object of the new build that takes its state.
        listening: for the report: which addresses come and go, if nobody has other rules for them.
        findings: for the report, all the rest.
        built: what was built now, the plan's entry.
    """

    def __init__(
        self, stored: Application, new: Application, plan: Mapping[str, Any], drop: frozenset[str], path: str
    ) -> None:
        self._new, self._drop, self._path = new, drop, path
        self._base: Mapping[str, Mapping[str, Any]] = plan.get("as_built") or {}
        self._recorded: Mapping[str, Any] = plan.get("built") or built_by_code(stored)
        self._mine = locate(stored, self._known(stored))
        # Of a plan that does not say what was built, all that is there counts as changed since.
        self._base = self._base or {label: {} for label in self._mine}
        self._theirs = locate(new)
        self._check_drop()
        self._mine_digests = digests_of(stored, self._mine)
        self._theirs_digests = digests_of(new, self._theirs)
        self._pairs = {label: target for label, target in self._theirs.items() if self._is_same(label)}
        self.built = built_by_code(new)
        listeners, connectors = (
            Statements(kind, stored, self._mine, new, self._theirs, self._recorded)
            for kind in ("listeners", "connectors")
        )
        self.listening = list(listeners.moves())
        self.findings = [*listeners.settings(), *connectors.moves(), *connectors.settings()]
        self._decisions = {label: self._decide(label) for label in self._pairs}
        self._refuse_losses()
        self.findings += self._appearing()
        # What is built now, before the state is thawed over it.
        self._code = {label: dict(raw_state(target)) for label, target in self._pairs.items()}
        self._calls = scheduled_calls(new)
        self.existing: dict[int, Durable] = {oid_of(self._mine[x]): obj for x, obj in self._pairs.items()}
        self.existing.update(self._same_calls(stored))
        del self._mine, self._mine_digests

    # --- which objects are the same -----------------------------------------------------------

    def _known(self, stored: Application) -> dict[str, Durable]:
        """Return the stored objects that were built, by their rows: a label may have moved since."""
        rows = {digests[OID]: label for label, digests in self._base.items() if OID in digests}
        if not rows:
            return {}
        found = {rows[oid]: obj for obj in find_durables(stored) if (oid := oid_of(obj)) in rows}
        return {label: found[label] for label in self._base if label in found}

    def _check_drop(self) -> None:
        held = [label for label in self._mine if label != ROOT]
        for label in sorted(self._drop):
            if label not in held:
                raise UsageError(
                    f"--drop {label}: {self._path} holds no such object",
                    cure=f"it holds {', '.join(held) or 'none'}",
                )

    def _is_dropped(self, label: str) -> bool:
        return any(label == dropped or label.startswith(f"{dropped}.") for dropped in self._drop)

    def _is_same(self, label: str) -> bool:
        """Say whether the object of a label is the one that the tap holds under it."""
        mine, theirs = self._mine.get(label), self._theirs[label]
        if type(mine) is not type(theirs) or self._is_dropped(label):
            return False
        # "Keys#2" of a listener that was added while it ran is not the second one of the new build.
        is_late = label not in self._base and isinstance(theirs, Factory) and "#" in label
        return not is_late

    def _refuse_losses(self) -> None:
        """Refuse to forget what changed while the server ran; what is as it was built may go."""
        lost: dict[str, list[str]] = {}
        for label, obj in self._mine.items():
            if label in self._pairs or self._is_dropped(label) or not self._goes(label):
                continue
            top = self._top(label)
            if label not in self._base:
                lost.setdefault(top, []).append("added while it ran")
            elif changed := self._changed_since_built(label, obj):
                lost.setdefault(top, []).extend(changed)
            elif top == label:
                self.findings.append(Finding(CHANGED, label, "goes, as it was built"))
        for label in sorted(self._drop):
            self.findings.append(Finding(CHANGED, label, "is forgotten (--drop)"))
        if lost:
            named = ", ".join(f"{label} ({', '.join(what)})" for label, what in lost.items())
            drops = " ".join(f"--drop {label}" for label in lost)
            raise ConfigurationError(
                f"{self._path}: the new build does not make what has changed since it was built: {named}",
                cure=f"bring it back with the options that made it, or forget it with {drops}",
            )

    def _goes(self, label: str) -> bool:
        """Say whether nothing will lead to an object without a pair, as far as labels tell."""
        above = parent_of(label, self._mine)
        if above:
            # What an attribute leads to is there as long as the attribute keeps its value.
            attribute = label[len(above) + 1 :]
            return above not in self._pairs or self._decisions[above].get(attribute) == CHANGED
        if label in self._base:
            return True
        if not isinstance(self._mine[label], Service):
            return False  # a factory that was added goes on with its listener
        # A service that was added stays with its parent, unless another gets its name.
        return label in self._theirs or (label.rpartition("/")[0] or ROOT) not in self._pairs

    def _top(self, label: str) -> str:
        """Return the label on which ``label`` hangs that has no pair either."""
        while (above := parent_of(label, self._mine)) and above not in self._pairs:
            label = above
        return label

    def _changed_since_built(self, label: str, obj: Durable) -> list[str]:
        base, digests = self._base[label], self._mine_digests[label]
        config = config_attributes(type(obj))
        names = sorted(({*base} | {*digests}) - {OID} - config)
        return [name for name in names if base.get(name) != digests.get(name)]

    def _same_calls(self, stored: Application) -> Iterator[tuple[int, Durable]]:
        known = set(self._recorded.get("calls", self._calls))
        for signature, call in scheduled_calls(stored).items():
            if signature in known and signature in self._calls:
                yield oid_of(call), self._calls[signature]

    # --- what becomes of their attributes -----------------------------------------------------

    def _decide(self, label: str) -> dict[str, str]:
        base = self._base.get(label, {})
        stored, new = self._mine_digests[label], self._theirs_digests[label]
        mine, theirs = raw_state(self._mine[label]), raw_state(self._theirs[label])
        config = config_attributes(type(self._theirs[label]))
        decisions = {}
        for name in sorted({*base, *stored, *new} - {OID}):
            after = new.get(name)
            secrets = secrets_in(theirs.get(name))
            if after is not None and secrets and secrets != secrets_in(mine.get(name)):
                after += " with another secret"  # digests do not tell: they would tell everybody
            decision = decide(base.get(name), stored.get(name), after, is_config=name in config)
            if decision:
                decisions[name] = decision
                was = shorten(mine[name]) if name in stored else _ABSENT
                becomes = shorten(theirs[name]) if name in new else _ABSENT
                self.findings.append(Finding(decision, f"{label}.{name}", _tell(decision, was, becomes)))
        return decisions

    def _appearing(self) -> Iterator[Finding]:
        for label in self._theirs:
            if label not in self._pairs and not parent_of(label, self._theirs):
                if label not in self._base:
                    yield Finding(CHANGED, label, "is new")
                elif label not in self._mine:
                    yield Finding(CHANGED, label, "is there again: it had been taken out while it ran")

    # --- carrying it out ----------------------------------------------------------------------

    def release(self) -> None:
        """Take from the objects of the new build what they hold: the state is to be thawed into them.

        Containers then know that they are held by nobody, and keep no row of their own for ever.
        """
        for target in self._pairs.values():
            for name in list(raw_state(target)):
                Durable.__delattr__(target, name)

    def finish(self) -> list[str]:
        """Give the new application, into which the state was thawed, what it takes from the new build.

        Returns:
            Lines about scheduled calls.
        """
        app = self._new
        late = LateAdditions(app, {**self._recorded, "objects": list(self._base)}, self._drop)
        for label, target in self._pairs.items():
            self._take(target, self._code[label], self._decisions[label])
        late.add_back(app)
        return join_calls(app, self._calls, self._recorded.get("calls", self._calls))

    def as_built(self, row_of: Callable[[object], int]) -> dict[str, dict[str, Any]]:
        """Return what was built now, for the plan.

        Args:
            row_of: object -> its row in the tap.
        """
        reached = {id(obj) for obj in find_durables(self._new)}
        built: dict[str, dict[str, Any]] = {}
        for label, obj in self._theirs.items():
            row = {OID: row_of(obj)} if id(obj) in reached else {}
            built[label] = {**row, **self._theirs_digests[label]}
        return built

    def differs_from(self, base: Mapping[str, Mapping[str, Any]]) -> bool:
        """Say whether anything else was built than the plan's ``as_built`` says."""
        before = {label: {k: v for k, v in found.items() if k != OID} for label, found in base.items()}
        calls = set(self._recorded.get("calls", self.built["calls"]))
        return self._theirs_digests != before or set(self.built["calls"]) != calls

    def without_rows(self) -> Iterator[Durable]:
        """Yield the objects of the new build that are in no tap yet and will be."""
        reached = {id(obj) for obj in find_durables(self._new)}
        for obj in self._theirs.values():
            if id(obj) in reached and not oid_of(obj):
                yield obj

    @staticmethod
    def _take(target: Durable, code: Mapping[str, Any], decisions: Mapping[str, str]) -> None:
        declared = {name for name in (*code, *raw_state(target)) if is_declared(target, name)}
        taken = {name for name, decision in decisions.items() if decision == CHANGED}
        for name in sorted(taken | (declared - {"schedule", "calls_made"})):
            if name in code:
                Durable.__setattr__(target, name, code[name])
            elif name in raw_state(target):
                Durable.__delattr__(target, name)


def _tell(decision: str, before: str, after: str) -> str:
    if decision == CHANGED:
        return f"{before} -> {after}" if before != after else "takes the new build's"
    if decision == KEPT:
        return before
    return f"{before}, not {after}" if before != after else before

"""What the tests of this room do over and over: save, thaw, compare, start a store."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from pathlib import Path
from typing import Any

import tapmodels

from taphouse.durable import ClassRecord, Durable, is_tracked, raw_state
from taphouse.persist import (
    Freezer,
    NullStore,
    SqliteStore,
    Thawed,
    create_state,
    open_state,
    thaw,
    write_seed,
)

PLAN = {"name": "tested"}


def find(record: ClassRecord) -> Any:
    """Find a class of the test models, as a running application finds its own."""
    place: Any = tapmodels
    for part in record.qualname.split("."):
        place = getattr(place, part, None)
    return place


def root_with(**attributes: Any) -> Any:
    """Return an application with these attributes."""
    root: Any = tapmodels.Root()
    for name, value in attributes.items():
        setattr(root, name, value)
    return root


def thaw_seed(path: Path) -> Thawed:
    """Thaw a seed without a store that writes."""
    return thaw(NullStore(path), find)


def round_trip(folder: Path, **attributes: Any) -> Any:
    """Save an application with these attributes and return the thawed one."""
    path = folder / "round-trip.tap"
    write_seed(path, root_with(**attributes), PLAN)
    return thaw_seed(path).root


class Running:
    """An application on a state tap, driven by hand: change it, then commit."""

    def __init__(self, store: SqliteStore, thawed: Thawed) -> None:
        self.store = store
        self.ledger = thawed.ledger
        self.root = thawed.root
        self.freezer = Freezer(thawed.ledger, store, thawed.chunk_bytes)

    def commit(self) -> int:
        """Commit what changed; return the number of the epoch."""
        turn = self.freezer.freeze(PLAN)
        if turn is not None:
            self.store.commit(turn)
        return self.store.epoch

    def stop(self) -> None:
        """Commit and close."""
        self.commit()
        self.store.close()


def begin(folder: Path, **attributes: Any) -> Running:
    """Save an application, thaw it on a new state tap and commit once."""
    seed = folder / "tested-start.tap"
    write_seed(seed, root_with(**attributes), PLAN)
    store = create_state(folder / "tested-shutdown.tap", seed=seed)
    running = Running(store, thaw(store, find))
    running.root.began = True
    running.commit()
    return running


def go_on(path: Path) -> Running:
    """Thaw a state tap to go on with it."""
    store = open_state(path)
    return Running(store, thaw(store, find))


def leave_state(folder: Path) -> Path:
    """Return a state alone, as a server left it in whose second epoch a table was changed."""
    running = begin(folder, n=1, table={k: [k] for k in range(2000)})
    running.root.table[7] = "changed"
    running.stop()
    (folder / "tested-start.tap").unlink()
    return folder / "tested-shutdown.tap"


def difference(left: Any, right: Any) -> str:
    """Return where two object graphs differ: in type, value, order or identity; "" if nowhere.

    Tracked containers count as the builtin they are.
    """
    pairs: dict[int, int] = {}
    waiting: list[tuple[Any, Any, str]] = [(left, right, "")]
    while waiting:
        a, b, path = waiting.pop()
        if builtin_of(a) is not builtin_of(b):
            return f"{path}: {type(a).__name__} became {type(b).__name__}"
        if is_mutable(a):
            if id(a) in pairs:
                if pairs[id(a)] != id(b):
                    return f"{path}: was shared and is not"
                continue
            pairs[id(a)] = id(b)
        found = compare(a, b, path, waiting)
        if found:
            return found
    return "shared and was not" if len(set(pairs.values())) != len(pairs) else ""


def builtin_of(value: Any) -> type:
    if not is_tracked(value):
        return type(value)
    return next(base for base in type(value).__mro__ if base.__module__ in ("builtins", "collections"))


def is_mutable(value: Any) -> bool:
    return (
        is_tracked(value)
        or isinstance(value, (list, dict, set, deque, bytearray, Durable))
        or has_state(value)
    )


def has_state(value: Any) -> bool:
    return type(value) in (tapmodels.Account, tapmodels.Slotted, tapmodels.Frozen, tapmodels.Plain)


def state_of(value: Any) -> dict[str, Any]:
    if isinstance(value, Durable):
        return {name: part for name, part in raw_state(value).items() if not name.startswith("_v_")}
    state = dict(getattr(value, "__dict__", {}))
    for base in type(value).__mro__:
        for name in base.__dict__.get("__slots__", ()):
            if name != "__dict__" and hasattr(value, name):
                state[name] = getattr(value, name)
    return state


def compare(a: Any, b: Any, path: str, waiting: list[tuple[Any, Any, str]]) -> str:
    """Compare two values of one type; what is inside them goes to ``waiting``."""
    if isinstance(a, Durable) or has_state(a):
        left, right = state_of(a), state_of(b)
        if list(left) != list(right) and isinstance(a, Durable):
            return f"{path}: attributes {list(left)} became {list(right)}"
        waiting += [(left[name], right.get(name), f"{path}.{name}") for name in left]
        return "" if left.keys() == right.keys() else f"{path}: {left.keys()} became {right.keys()}"
    if isinstance(a, dict):
        if getattr(a, "default_factory", None) != getattr(b, "default_factory", None):
            return f"{path}: default_factory differs"
        left, right = list(a.items()), list(b.items())
        if len(left) != len(right):
            return f"{path}: {len(left)} entries became {len(right)}"
        if isinstance(a, OrderedDict):
            left, right = list(OrderedDict.items(a)), list(OrderedDict.items(b))
        for (key, value), (other_key, other) in zip(left, right, strict=True):
            waiting += [(key, other_key, f"{path} key"), (value, other, f"{path}[{key!r:.40}]")]
        return ""
    if isinstance(a, (set, frozenset)):
        if len(a) > 50:
            return "" if a == b else f"{path}: sets differ"
        return (
            "" if len(a) == len(b) and all(any(equal(x, y) for y in b) for x in a) else f"{path}: sets differ"
        )
    if isinstance(a, (list, tuple, deque)):
        if len(a) != len(b) or getattr(a, "maxlen", None) != getattr(b, "maxlen", None):
            return f"{path}: length differs"
        waiting += [(x, y, f"{path}[{n}]") for n, (x, y) in enumerate(zip(a, b, strict=True))]
        return ""
    return "" if equal(a, b) else f"{path}: {a!r:.80} became {b!r:.80}"


def equal(a: Any, b: Any) -> bool:
    """Compare two immutable values exactly: types, signs of zero, NaN, time zones and folds too."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return math.copysign(1, a) == math.copysign(1, b) and (a == b or (a != a and b != b))
    if isinstance(a, Durable) or has_state(a):
        return not difference(a, b)
    return repr(a) == repr(b) if not callable(a) and type(a) is not frozenset else a == b

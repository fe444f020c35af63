"""Containers written as operations, and anew in slices: whatever is killed when, the state is whole."""

from __future__ import annotations

import random
import shutil
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tapmodels
from tapwork import PLAN, Running, begin, difference, find, go_on, root_with

from taphouse.durable import Durable, TrackedDict, TrackedList
from taphouse.persist import check_integrity, codec, copy_tap_files, create_state, thaw, write_seed
from taphouse.persist.codec import pack_plain
from taphouse.persist.containers import EMBEDDED_ENTRIES
from taphouse.persist.records import join_arrays

STATE = "tested-shutdown.tap"


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything that happens to big containers happens to small ones."""
    for name, value in {
        "freezer.EMBEDDED_ENTRIES": 3,
        "snapshot.EMBEDDED_ENTRIES": 3,
        "filling.EMBEDDED_ENTRIES": 3,
        "rowing.CHUNK_ENTRIES": 8,
        "rewriting.CHUNK_ENTRIES": 8,
        "rewriting.CHUNK_BYTES": 100,
        "rewriting.FIRST_ENTRIES": 2,
        "freezer._REWRITE_BYTES": 30,
        "freezer._SLICE_BYTES": 60,
        "folding.DELTA_BYTES": 80,
        "folding.DROP_ROWS": 2,
        "folding.CLEAR_ROWS": 2,
        "store.FOLD_SLICE": 2,
        "store.FOLD_BYTES": 300,
    }.items():
        monkeypatch.setattr(f"taphouse.persist.{name}", value)
    # Before the operations are as much as the container: new chunks take several epochs then.
    outgrown = property(lambda written: written.changes > min(written.size, 150))
    monkeypatch.setattr("taphouse.persist.freezer._Written.is_outgrown", outgrown)
    if codec.CODEC == "c":
        codec._codec.install(Durable, TrackedList, TrackedDict, 3)
    yield
    if codec.CODEC == "c":
        codec._codec.install(Durable, TrackedList, TrackedDict, EMBEDDED_ENTRIES)


def _value(rng: random.Random) -> Any:
    return rng.choice(
        [
            lambda: rng.randrange(1000),
            lambda: "text" * rng.randrange(9),
            lambda: b"x" * rng.randrange(30),
            lambda: [rng.randrange(9)],
            lambda: {"a": [1], "b": rng.randrange(9)},
            lambda: (1, [2]),
            tapmodels.Node,
            lambda: list(range(rng.randrange(6))),
        ]
    )()


def _change_dict(c: Any, rng: random.Random) -> None:
    key, kind = rng.randrange(60), rng.randrange(12)
    if kind < 6:
        c[key] = rng.randrange(1000) if isinstance(c, Counter) else _value(rng)
    elif kind < 8:
        c.pop(key, None)
    elif kind == 8 and isinstance(c, OrderedDict) and key in c:
        c.move_to_end(key, last=rng.random() < 0.5)
    elif kind < 11:
        inner = c.get(key)
        if isinstance(inner, list):
            inner.append(rng.randrange(9))
        elif isinstance(inner, dict):
            inner["a"] = [rng.randrange(9)]
        elif isinstance(inner, tapmodels.Node):
            inner.n = rng.randrange(99)
    elif rng.random() < 0.02:
        c.clear()


def _change_row(c: Any, rng: random.Random) -> None:
    at, kind = rng.randrange(60), rng.randrange(12)
    if kind < 4:
        c.append(_value(rng))
    elif kind < 6 and c:
        c[at % len(c)] = _value(rng)
    elif kind == 6 and c:
        del c[at % len(c)]
    elif kind == 7 and isinstance(c, deque) and c:
        c.popleft()
    elif kind == 8:
        c.insert(min(at, len(c)), _value(rng)) if not isinstance(c, deque) else c.appendleft(_value(rng))
    elif kind == 9 and c and isinstance(c[at % len(c)], list):
        c[at % len(c)].append(rng.randrange(9))
    elif kind == 10 and rng.random() < 0.02:
        c.reverse()
    elif len(c) > 60:
        c.pop()


def _change_set(c: Any, rng: random.Random) -> None:
    c.add(rng.randrange(200)) if rng.random() < 0.6 else c.discard(rng.randrange(200))


CHANGES: dict[str, Callable[[Any, random.Random], None]] = {
    "table": _change_dict,
    "order": _change_dict,
    "missing": _change_dict,
    "counts": _change_dict,
    "rows": _change_row,
    "queue": _change_row,
    "group": _change_set,
}


def _change(root: Any, rng: random.Random) -> None:
    name = rng.choice(["table", "order", "rows", "group", *CHANGES])
    for _ in range(rng.choice((1, 2, 6))):
        CHANGES[name](getattr(root, name), rng)
    if rng.random() < 0.05:
        # A small container with a second owner, inside a big one and out of it.
        inner = next((v for v in root.table.values() if isinstance(v, (list, dict))), None)
        root.shared = inner


class _Watched(Running):
    """Counts what the epochs carry."""

    def __init__(self, running: Running) -> None:
        vars(self).update(vars(running))
        self.switched = self.begun = 0

    def commit(self) -> int:
        turn = self.freezer.freeze(PLAN)
        if turn is not None:
            self.begun += any(oid not in turn.epoch.bases for oid in turn.epoch.chunks)
            # Made by slices: the operations of that very epoch are done on it.
            self.switched += any(since < turn.number for _f, _c, since in turn.epoch.bases.values())
            self.store.commit(turn)
        return self.store.epoch


def _killed_copy(running: Running, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    assert running.store.path is not None
    return copy_tap_files(running.store.path, folder)


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.soak) for n in range(1, 9))])
def test_a_kill_at_any_time_leaves_every_container_as_it_was_committed(tmp_path: Path, seed: int) -> None:
    """Operations, rows written whole, chunks made in slices, folds cut short and begun anew."""
    rng = random.Random(seed)
    first = begin(
        tmp_path,
        table={n: f"the value of {n}" for n in range(60)},
        order=OrderedDict((n, f"the value of {n}") for n in range(60)),
        missing=defaultdict(list, {n: [n] for n in range(5)}),
        counts=Counter({n: n for n in range(20)}),
        rows=[f"the value of {n}" for n in range(40)],
        queue=deque(range(30), maxlen=50),
        group=set(range(40)),
        shared=None,
    )
    first.store.abandon()
    path = _killed_copy(first, tmp_path / "0")
    running = _Watched(first)
    switched = begun = 0
    for turn in range(1, 120):
        if turn % 40 == 1:
            # Killed and started again on what the kill left, a fold cut short among it.
            switched, begun = switched + running.switched, begun + running.begun
            running.store.abandon()
            running = _Watched(go_on(_killed_copy(running, tmp_path / str(turn)) if turn > 1 else path))
        _change(running.root, rng)
        running.commit()
        if rng.random() < 0.3:
            running.store.fold(rng.choice((1, 1, 3)))
        if turn % 6 == 0:
            copy = _killed_copy(running, tmp_path / "copy")
            check_integrity(copy)
            assert difference(running.root, go_on(copy).root) == ""
    running.stop()
    after = go_on(running.store.path)  # type: ignore[arg-type]
    assert difference(running.root, after.root) == ""
    assert switched + running.switched
    assert begun + running.begun > 10


@pytest.mark.usefixtures("small_limits")
def test_what_a_new_base_replaces_is_gone_after_the_fold(tmp_path: Path) -> None:
    """However often a container was written anew, the tap holds it once, and few operations."""
    running = begin(tmp_path, table={n: n for n in range(100)})
    for n in range(150):
        running.root.table[n % 100] = n
        running.commit()
        running.store.fold(5)
    while running.store.fold(50):
        pass
    counts = running.store._folder.meta.counts
    assert counts.chunk <= 2 * (100 // 8 + 8)
    assert counts.delta <= 2 * 100
    del running.root.table
    running.commit()
    running.root.n = 1
    running.commit()
    while running.store.fold(50):
        pass
    counts = running.store._folder.meta.counts
    assert (counts.chunk, counts.delta) == (0, 0)
    running.stop()


def test_a_big_container_is_never_written_anew_in_one_epoch(tmp_path: Path) -> None:
    """The journal row of each epoch stays small while 30,000 entries become new chunks."""
    running = begin(tmp_path, table=dict.fromkeys(range(30_000), "value"))
    sizes = []
    bases = 0
    for n in range(130):
        for key in range(300):
            running.root.table[(n * 7919 + key * 31) % 30_000] = f"changed in turn {n}"
        turn = running.freezer.freeze()
        assert turn is not None
        sizes.append(len(turn.data))
        bases += len(turn.epoch.bases)
        running.store.commit(turn)
    assert bases
    assert max(sizes) < 250_000
    copy = _killed_copy(running, tmp_path / "copy")
    assert go_on(copy).root.table == running.root.table


@pytest.mark.parametrize("shrinks", [False, True])
def test_a_new_tap_begins_without_the_chunks_that_its_first_epoch_replaces(
    tmp_path: Path, shrinks: bool
) -> None:
    path = tmp_path / "tested-start.tap"
    write_seed(path, root_with(table={n: n for n in range(20_000)}), PLAN)
    store = create_state(tmp_path / STATE, seed=path)
    running = Running(store, thaw(store, find))
    table = running.root.table
    if shrinks:
        table.clear()
        table[1.5] = "no operation has such a key"
    else:
        table.update(dict.fromkeys(range(20_000), "changed"))
    running.commit()
    assert bool(running.store._folder.meta.counts.chunk) is not shrinks
    copy = _killed_copy(running, tmp_path / "copy")
    assert difference(running.root, go_on(copy).root) == ""
    running.stop()
    assert difference(running.root, go_on(tmp_path / STATE).root) == ""


def test_a_container_of_a_hundred_entries_is_not_written_whole_for_one_change(tmp_path: Path) -> None:
    running = begin(tmp_path, table={f"key {n}": "v" * 20 for n in range(100)})
    running.root.table["key 5"] = "w"
    turn = running.freezer.freeze()
    assert turn is not None and len(turn.data) < 60
    running.store.commit(turn)
    copy = _killed_copy(running, tmp_path / "copy")
    assert go_on(copy).root.table == running.root.table


def test_an_object_taken_out_of_a_middling_container_leaves_it_readable(tmp_path: Path) -> None:
    """The row still names it, the operation that follows takes it out."""
    running = begin(tmp_path, nodes={n: tapmodels.Node() for n in range(100)})
    del running.root.nodes[5]
    running.commit()
    running.root.n = 1
    running.commit()
    copy = _killed_copy(running, tmp_path / "copy")
    check_integrity(copy)
    assert sorted(go_on(copy).root.nodes) == [n for n in range(100) if n != 5]


def test_a_path_names_a_container_with_a_row_of_its_own(tmp_path: Path) -> None:
    running = begin(tmp_path, table=dict.fromkeys(range(100)))
    with pytest.raises(TypeError, match=r"Root\.table\['x'\]"):
        running.root.table["x"] = lambda: None
    running.stop()
    with pytest.raises(TypeError, match=r"Root\.table\['x'\]"):
        go_on(tmp_path / STATE).root.table["x"] = lambda: None


def test_arrays_are_joined_as_if_packed_together() -> None:
    rng = random.Random(5)
    for _ in range(50):
        arrays = [[7] * rng.choice((0, 1, 15, 16, 70_000)) for _ in range(rng.randrange(1, 5))]
        joined = join_arrays([pack_plain(array) for array in arrays])
        assert joined == pack_plain([item for array in arrays for item in array])

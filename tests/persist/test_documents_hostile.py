"""Taps that a stranger made, and taps of servers killed at any point, as documents."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tapmodels
from tapforge import BOMBS, FORGERIES, STATES, forge, with_state, with_value
from tapmutants import make_originals
from tapwork import PLAN, begin, difference, find, go_on, root_with

from taphouse.errors import TapError, TaphouseError
from taphouse.persist import (
    NullStore,
    copy_tap_files,
    parse_document,
    read_document,
    render_document,
    thaw,
    write_document,
    write_seed,
)

ROUNDS = int(os.environ.get("TAPHOUSE_MUTANTS", "600")) // 30


def converted(path: Path) -> Path:
    """Take a tap to text and back; the text of what comes out must be the same."""
    text = render_document(read_document(path))
    made = path.with_name("converted.tap")
    made.unlink(missing_ok=True)
    write_document(parse_document(text.encode(), "text"), made, name="text")
    assert render_document(read_document(made)) == text
    return made


@pytest.mark.parametrize("name", {**BOMBS, **STATES})
def test_what_no_writer_makes_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "forged.tap"
    write_seed(path, root_with(x=tapmodels.Node()), PLAN)
    forge(path, with_value(BOMBS[name]) if name in BOMBS else with_state(STATES[name]))
    try:
        made = converted(path)
    except TaphouseError as error:
        said = str(error)
        assert "\n" not in said and len(said) < 600
    else:
        # Data only; that there is no such method, say, is for the classes to tell.
        with pytest.raises(TaphouseError):
            thaw(NullStore(made), find)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_originals(tmp_path_factory.mktemp("originals"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORGERIES)
def test_forged_taps_are_refused_or_thaw_as_they_would_have(
    tmp_path: Path, originals: dict[str, Any], kind: str
) -> None:
    """Everything fits in them, and the content is a stranger's.  What thaws must thaw equal as converted."""
    outcomes: Counter[str] = Counter()
    for seed in range(ROUNDS):
        rng = random.Random(f"{kind} {seed}")
        path = copy_tap_files(originals[rng.choice(sorted(originals))].path, tmp_path)
        path = path.rename(tmp_path / "forged.tap")
        wal = path.with_name(path.name + "-wal")
        for found in tmp_path.glob("*-wal"):
            found.rename(wal)
        FORGERIES[kind](rng, path)
        try:
            root = thaw(NullStore(path), find).root
        except TaphouseError:
            root = None
        made, refused = path, ""
        try:
            made = converted(path)
        except TaphouseError as error:
            refused = str(error)
        if refused:
            outcomes["refused"] += 1
            assert "\n" not in refused
            assert root is None or kind == "forged: classes", f"{kind} {seed}: {refused}"
            continue
        outcomes["thaws" if root is not None else "does not thaw"] += 1
        if root is not None:
            assert difference(root, thaw(NullStore(made), find).root) == "", f"{kind} {seed}"
    assert sum(outcomes.values()) == ROUNDS


# --- servers killed at any point ------------------------------------------------------------------


def big() -> dict[str, Any]:
    return {
        "list": [[n] for n in range(1050)],
        "dict": {f"key {n}": n for n in range(1020)},
        "set": {*range(70), "text", (1, "tuple")},
        "deque": deque(range(80), maxlen=90),
        "ordered": OrderedDict((n, n) for n in range(70)),
        "default": defaultdict(list, {n: [n] for n in range(70)}),
        "counter": Counter({n: n for n in range(70)}),
    }


CHANGES: list[Callable[[Any, random.Random], object]] = [
    lambda root, rng: root.list.insert(rng.randrange(len(root.list)), rng.random()),
    lambda root, rng: root.list.__setitem__(slice(3, rng.randrange(3, 9)), [tapmodels.Node(), {"a": 1}]),
    lambda root, rng: root.list.pop(rng.randrange(len(root.list))),
    lambda root, rng: root.list.reverse(),
    lambda root, rng: root.dict.__setitem__(f"key {rng.randrange(1500)}", [rng.random()]),
    lambda root, rng: root.dict.pop(rng.choice(list(root.dict))),
    lambda root, rng: root.dict.update({rng.randrange(9): tapmodels.Node(), (1, rng.random()): None}),
    lambda root, rng: root.dict.popitem(),
    lambda root, rng: root.set.add(rng.choice([rng.random(), (rng.randrange(5), "x"), b"bytes"])),
    lambda root, rng: root.set.discard(rng.randrange(70)),
    lambda root, rng: root.set.symmetric_difference_update({1, 2, "new"}),
    lambda root, rng: root.deque.append(rng.random()),
    lambda root, rng: root.deque.appendleft(tapmodels.Node()),
    lambda root, rng: root.deque.extend(range(rng.randrange(30))),
    lambda root, rng: root.deque.rotate(rng.randrange(9)),
    lambda root, rng: root.deque.popleft(),
    lambda root, rng: root.ordered.move_to_end(rng.choice(list(root.ordered)), last=rng.random() < 0.5),
    lambda root, rng: root.ordered.popitem(last=rng.random() < 0.5),
    lambda root, rng: root.default[rng.randrange(90)].append(rng.random()),
    lambda root, rng: root.counter.update({rng.randrange(90): 2}),
    lambda root, rng: root.counter.clear() if rng.random() < 0.1 else root.counter.subtract({1: 1}),
]


@pytest.mark.parametrize("seed", range(2))
def test_any_change_of_big_containers_is_in_the_document(tmp_path: Path, seed: int) -> None:
    """After some commits, as the files lie there, and after some more; what is made of it goes on."""
    rng = random.Random(seed)
    running = begin(tmp_path, **big())
    for part in range(3):
        for _ in range(rng.randrange(1, 6)):
            for _ in range(rng.randrange(1, 12)):
                rng.choice(CHANGES)(running.root, rng)
            running.commit()
        folder = tmp_path / str(part)
        folder.mkdir()
        path = copy_tap_files(tmp_path / "tested-shutdown.tap", folder)
        whole = go_on(converted(path))
        assert difference(running.root, whole.root) == ""
        whole.root.list.append("more")
        whole.stop()
        again = go_on(folder / "converted.tap")
        assert again.root.list[-1] == "more"
        again.stop()
    running.stop()
    shutil.copy(tmp_path / "tested-shutdown.tap", tmp_path / "closed.tap")
    whole = go_on(converted(tmp_path / "closed.tap"))
    assert difference(running.root, whole.root) == ""
    whole.stop()


def test_a_tap_without_its_wal_makes_no_document(tmp_path: Path) -> None:
    running = begin(tmp_path, n=1)
    shutil.copy(tmp_path / "tested-shutdown.tap", tmp_path / "alone.tap")
    with pytest.raises(TapError, match="alone.tap: was not closed"):
        read_document(tmp_path / "alone.tap")
    running.stop()

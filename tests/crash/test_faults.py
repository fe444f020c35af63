"""A disk that fails or is full, at every single call: nobody has a reply to what is lost, and it goes on.

Each round is a real server with clients that keep their own record.  One call on its tap fails: the server
must reset its clients and end with 74 (a start that cannot make its first commit may say 73), and the next
start, on a disk that is well, must go on from where clients were told it was.
"""

from __future__ import annotations

import errno
import os
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from crashrecovery import SEED, STATE, Recovery
from faults import BURST, BURSTS, CLIENTS, Fault, Life, Place, build_shim

pytestmark = [pytest.mark.process, pytest.mark.slow]

ROUNDS = int(os.environ.get("TAPHOUSE_FAULTS", "2"))
"""Rounds of each run; 0 means one for every call and every errno."""
ERRNOS = (errno.EIO, errno.ENOSPC, errno.EDQUOT)


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def recovery() -> Iterator[Recovery]:
    with Recovery() as made:
        yield made


@dataclass(frozen=True)
class Scene:
    """What a server starts from.

    Args:
        name: for people.
        start: what ``twistd`` is told.
        files: what lies there.
        base: the number that clients were told last.
        old: the same, in the state that is set aside; -1 if none is.
    """

    name: str
    start: tuple[str, ...]
    files: dict[str, bytes]
    base: int = 0
    old: int = -1


def from_the_seed(place: Place, recovery: Recovery) -> Scene:
    return Scene("from the seed", ("-f", SEED), place.taps())


def after_a_kill(place: Place, recovery: Recovery) -> Scene:
    place.live("-f", SEED, end=signal.SIGKILL)
    files = place.taps()
    assert f"{STATE}-wal" in files
    files.pop(f".{STATE}.lock")
    return Scene("after a kill", ("-f", STATE), files, base=recovery.recover(files).count)


def over_an_old_state(place: Place, recovery: Recovery) -> Scene:
    killed = after_a_kill(place, recovery)
    return Scene("over an old state", ("--fresh", "-f", SEED), killed.files, old=killed.base)


def check(place: Place, scene: Scene, fault: Fault | None, recovery: Recovery) -> Life:
    """One round: a life with a fault, what it left, and a life after it on a disk that is well."""
    place.lay(scene.files)
    life = place.live(*scene.start, fault=fault)
    at = next((place for place, line in enumerate(life.calls) if line.endswith("FAULT")), len(life.calls))
    calls = "\n".join(life.calls[max(0, at - 4) : at + 4])
    about = f"{fault}: status {life.status}\n{calls}\n{life.said[-3000:]}"
    if life.was_hit and not (fault and fault.kind == "room"):  # without a reserve it goes on
        judge_end(life, about)
    else:
        assert life.status == 0, about
        assert len(life.replies) == CLIENTS * BURSTS * BURST, about
    base = scene.base
    told = max(life.replies, default=base)
    assert len(set(life.replies)) == len(life.replies), f"a number was given twice; {about}"
    assert min(life.replies, default=base + 1) > base, f"a number of the life before was given again; {about}"
    left = place.taps()
    surplus = {name for name in left if name.endswith((".lock", ".tmp", "-journal", "-shm"))}
    assert not surplus, f"{surplus} left; {about}"
    assert left[SEED] == scene.files[SEED], about
    found = recovery.recover(left)
    assert not found.wrong, f"{found.wrong}; {about}"
    count = max(found.count, base)
    if scene.old >= 0:
        if found.aside < 0:  # it is where it was, and nothing has begun
            assert count == scene.old, f"the old state is lost: {found}; {about}"
            count = 0
        else:
            assert found.aside == scene.old, f"the old state is another: {found}; {about}"
            assert found.count >= 0, f"nothing lies under the name any more; {about}"
    assert told <= count <= base + life.asked, f"told {told}, asked {life.asked}, found {found}; {about}"
    # The same command once more if nothing has happened; else the one that goes on.
    after = place.live(*(("-f", STATE) if count > base else scene.start), bursts=1)
    assert after.status == 0, f"the next start: {after.said}\nafter {about}"
    assert sorted(after.replies) == list(range(count + 1, count + 1 + CLIENTS * BURST)), about
    return life


def judge_end(life: Life, about: str) -> None:
    assert life.status == 74 or (life.status == 73 and not life.replies), about
    assert "Traceback" not in life.said, about
    assert not life.tried_again, f"{life.tried_again}: a second try may succeed whatever was lost; {about}"
    last = life.said.splitlines()[-1]
    assert last.startswith("twistd: ") and STATE in last and "; " in last, about
    if not life.was_stopped:
        assert set(life.ends) <= {"reset", "refused"}, f"ends {life.ends}; {about}"


def rounds(counted: Life) -> list[Fault]:
    """Return the faults to try, given a life that was only counted."""
    every = [
        Fault(kind, number, error, stays=bool(number % 2) if kind == "sync" else False)
        for kind in ("write", "room", "sync", "name")
        for number in range(1, counted.count(kind) + 1)
        for error in ERRNOS
    ]
    if not ROUNDS:
        return every
    step = max(1, len(every) // ROUNDS)
    seed = int(os.environ.get("TAPHOUSE_SEED", random.SystemRandom().randrange(2**32)))
    print(f"\nTAPHOUSE_SEED={seed}: each {step}th of {len(every)} faults")
    return every[random.Random(seed).randrange(step) :: step]


Scenery = Callable[[Place, Recovery], Scene]
RUNS: list[tuple[str, Scenery]] = [
    ("free", from_the_seed),
    ("free", over_an_old_state),
    ("thread", from_the_seed),
    ("thread", after_a_kill),
    *([] if ROUNDS else [("free", after_a_kill), ("inline", from_the_seed), ("inline", after_a_kill)]),
]


@pytest.mark.parametrize(("mode", "scenery"), RUNS)
def test_whatever_call_fails_no_reply_is_to_a_lost_change_and_the_next_start_goes_on(
    shim: Path, recovery: Recovery, mode: str, scenery: Scenery
) -> None:
    with Place(shim, mode) as place:
        scene = scenery(place, recovery)
        counted = check(place, scene, None, recovery)
        ends: dict[tuple[int, str], int] = {}
        for fault in rounds(counted):
            life = check(place, scene, fault, recovery)
            key = (life.status, "" if life.replies else " before the first reply")
            if life.was_hit:
                ends[key] = ends.get(key, 0) + 1
    print(
        f"{mode}, {scene.name}: {counted.count('write')} writes, {counted.count('sync')} syncs, "
        f"{counted.count('name')} names; "
        + ", ".join(f"{number} ended with {status}{when}" for (status, when), number in sorted(ends.items()))
        + "; 0 replies to lost changes, 0 changes repeated"
    )
    assert ROUNDS or any(status == 74 for status, _ in ends), ends

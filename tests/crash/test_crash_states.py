"""A power cut at any instant: every state of the disk that it may leave holds all that was ever said.

Real servers run under a tracer; what they wrote, synced and said is replayed, every state that the disk
may have had in between is recovered with the real code, and held against what had been said by then.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from crashbugs import BUGS, SOURCE, build
from crashdisk import Disk, read_trace
from crashrecovery import memory_folder
from crashruns import Load, Run, build_tracer, trace
from crashstates import Verdict, judge, judges

from playground import PATIENCE_S

pytestmark = [pytest.mark.process, pytest.mark.slow]

STATES = int(os.environ.get("TAPHOUSE_CRASH_STATES", "50000"))
"""How many distinct states the long form judges at least."""
REPLIES = 1000
TRACES = 60
"""After so many without a violation a planted bug counts as not seen; most show in the first."""

RUNS = [
    ("inline", "uvloop"),
    ("thread", "asyncio"),
    ("plain", "uvloop"),
    ("httpx", "uvloop"),
    ("clearing", "uvloop"),
    ("thread", "uvloop"),
    ("httpx", "asyncio"),
]
"""Commits on the loop, on the writer's thread; with plain objects two levels deep, which only comparing
shows; with requests that leave through httpx; with a journal that is cleared one by one."""

KILLED = signal.SIGKILL


@pytest.fixture
def seed() -> int:
    """Seed of all that is chosen; printed, so that a failure can be had again."""
    made = int(os.environ.get("TAPHOUSE_SEED", random.SystemRandom().randrange(2**32)))
    print(f"\nTAPHOUSE_SEED={made}")
    return made


@pytest.fixture
def tracer(tmp_path: Path) -> Path:
    """The tracer, compiled."""
    return build_tracer(tmp_path)


@pytest.fixture
def log() -> Iterator[Path]:
    """Where a trace goes: tens of megabytes, read at once and gone."""
    with tempfile.TemporaryDirectory(prefix="taphouse-trace-", dir=memory_folder()) as folder:
        yield Path(folder, "trace")


def lives(bursts: int) -> tuple[Load, ...]:
    """Return four lives of a server: begun, gone on and killed, set aside and killed, recovered."""
    return (
        Load(bursts=bursts),
        Load(bursts=bursts, end=KILLED),
        Load(bursts=bursts, end=KILLED, fresh=True),
        Load(bursts=bursts),
    )


def keep(log: Path, what: str) -> str:
    """Copy the trace of a failure out of memory; return where it is."""
    kept = Path(tempfile.gettempdir()) / f"taphouse-crash-{what}.trace"
    kept.write_bytes(log.read_bytes())
    return str(kept)


def replayed(log: Path) -> dict[str, bytes]:
    """Return the taps as they are when the whole trace has been replayed."""
    disk = Disk()
    for event in read_trace(log):
        if event.name != "notes":
            disk.replay(event)
    return disk.now()


def hold(verdict: Verdict, log: Path, what: str) -> None:
    """Fail if anything was wrong."""
    if verdict.violations:
        pytest.fail(f"{what}: {verdict}; the trace is {keep(log, what)}")


HURRIED = """
import asyncio, os, signal, socket

async def main():
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    loop.add_signal_handler(signal.SIGALRM, lambda: None)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    with open("hurried.tap", "wb", buffering=0) as tap:
        for _ in range(5_000):
            tap.write(b"x")
            here.send(b"y")
            there.recv(1)
            await asyncio.sleep(0)
    signal.setitimer(signal.ITIMER_REAL, 0)

asyncio.run(main())
"""


def test_the_tracer_outlives_signals_that_come_in_the_middle_of_a_record(tracer: Path, log: Path) -> None:
    folder = log.parent
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("COV_")},
        "LD_PRELOAD": str(tracer),
        "CRASHTRACE_LOG": str(log),
        "CRASHTRACE_FOLDER": str(folder),
    }
    subprocess.run(
        [sys.executable, "-c", HURRIED], cwd=folder, env=environment, check=True, timeout=2 * PATIENCE_S
    )
    names = [event.name for event in read_trace(log)]
    assert names.count("hurried.tap") >= 5_000


@pytest.mark.parametrize(("mode", "reactor"), RUNS[:5])
def test_whatever_was_said_is_in_every_state_a_power_cut_may_leave(
    mode: str, reactor: str, tracer: Path, log: Path, seed: int
) -> None:
    left = trace(Run(mode, lives(36), reactor), tracer, log, seed)
    assert replayed(log) == left, "the tracer missed something"
    verdict = judge(log, samples=1, seed=seed)
    print(f"{mode} on {reactor}: {verdict}")
    hold(verdict, log, f"{mode}-{seed}")
    assert verdict.replies > 100
    assert len(verdict.states) > 200
    assert verdict.gone_on > 5
    assert verdict.moved > 5


def test_who_follows_on_a_death_in_a_sync_may_die_too(tracer: Path, log: Path, seed: int) -> None:
    """What a new server finds was read from memory: it must be on the disk before anything is built on it."""
    for fresh in (False, True):
        dead, after = Load(dies_at=5), Load(bursts=2, end=KILLED, fresh=fresh)
        trace(Run("inline", (dead, after)), tracer, log, seed)
        verdict = judge(log, samples=40, seed=seed, since=3)
        print(f"{'set aside' if fresh else 'gone on with'}: {verdict}")
        hold(verdict, log, f"death-{seed}")
        assert len(verdict.states) > 100
        log.unlink()


def test_a_stop_cut_short_never_leaves_a_file_that_says_it_is_closed_and_is_old(
    tracer: Path, log: Path, seed: int
) -> None:
    trace(Run("inline", (Load(bursts=10, end=KILLED), Load(bursts=2))), tracer, log, seed)
    verdict = judge(log, samples=12, seed=seed, since=3, move_every=2)
    print(f"stopped: {verdict}")
    hold(verdict, log, f"stop-{seed}")
    assert verdict.moved > 100


def find_bug(name: str, tracer: Path, seed: int) -> Verdict:
    """Run the server with a planted bug and judge, until something is wrong."""
    verdict = Verdict()
    with tempfile.TemporaryDirectory(prefix="taphouse-trace-", dir=memory_folder()) as folder:
        log = Path(folder, "trace")
        run = Run(BUGS[name].mode, (Load(readers=6, end=KILLED),), source=build(name, Path(folder)))
        # Some bugs need their moment: a trace in which one did nothing proves nothing about it.
        for attempt in range(TRACES):
            trace(run, tracer, log, seed + attempt)
            verdict = judge(log, samples=1, seed=seed, first_only=True, workers=1)
            log.unlink()
            if verdict.violations:
                break
    return verdict


@pytest.mark.parametrize("name", BUGS)
def test_every_planted_bug_is_caught(name: str, tracer: Path, seed: int) -> None:
    verdict = judges().submit(find_bug, name, tracer, seed).result()
    print(f"{name}: {verdict.example}, after {len(verdict.states)} states")
    assert verdict.violations, f"{BUGS[name].says} Nothing was wrong in {TRACES} traces."


def test_a_bug_whose_place_has_changed_is_not_planted_silently() -> None:
    for name, bug in BUGS.items():
        text = (SOURCE / bug.file).read_text()
        assert text.count(bug.right) == 1, f"{name}: {bug.file} has changed"
        assert text.replace(bug.right, bug.wrong) != text


@pytest.mark.soak
def test_tens_of_thousands_of_states(tracer: Path, log: Path, seed: int) -> None:
    states: set[bytes] = set()
    replies = syncs = rounds = checks = 0
    while len(states) < STATES or replies < REPLIES or rounds < len(RUNS):
        mode, reactor = RUNS[rounds % len(RUNS)]
        trace(Run(mode, lives(40), reactor), tracer, log, seed + rounds)
        verdict = judge(log, samples=8, seed=seed + rounds)
        print(f"{mode} on {reactor}, seed {seed + rounds}: {verdict}")
        hold(verdict, log, f"{mode}-{seed + rounds}")
        states |= verdict.states
        replies += verdict.replies
        syncs += verdict.syncs
        checks += verdict.checks
        rounds += 1
        log.unlink()
    print(
        f"{rounds} traces, {syncs} syncs: {len(states)} distinct states, {checks} checks, "
        f"{replies} replies, 0 violations"
    )

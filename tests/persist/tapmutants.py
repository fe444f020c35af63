"""Twenty thousand broken taps: each is refused in one line or thaws equal to the original.

Run as a program in a process of its own, with bounded memory and a limit of CPU time
for each mutant: ``python tests/persist/tapmutants.py COUNT SEED``.  Prints one
JSON object: outcomes per class of mutation, and what went wrong.
"""

from __future__ import annotations

import gc
import json
import random
import resource
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "src")]

import tapmodels  # noqa: E402
from tapforge import FORGERIES  # noqa: E402
from tapwork import PLAN, begin, difference, find, go_on, root_with  # noqa: E402

from taphouse.errors import TaphouseError  # noqa: E402
from taphouse.persist import NullStore, copy_tap_files, thaw, write_seed  # noqa: E402
from taphouse.persist.schema import chain_sum, row_sum  # noqa: E402

MEMORY_BYTES = 1 << 30
TIME_S = 10.0
FORBIDDEN = frozenset({"exec", "compile", "os.system", "os.exec", "subprocess.Popen", "pickle.find_class"})

Mutation = Callable[[random.Random, Path], None]


def content() -> dict[str, Any]:
    """Return attributes of every kind, small enough to be thawed a thousand times a second."""
    node, account = tapmodels.Node(), tapmodels.Account("ann", [[1], [2.5]], {"k": {"deep": [1, 2]}})
    node.next, node.table = None, {"a": [1, (2, 3)], "b": {"c": None}}
    return {
        "node": node,
        "again": [node, account],
        "account": account,
        "raw": bytearray(b"raw"),
        "numbers": [0, -1, 2**40, 2**70, 1.5, float("inf")],
        "text": ["", "é" * 40, "\ud800"],
        "sets": {1, "two", (3, 4)},
        "keyed": {tapmodels.Named("key"): 1, tapmodels.Colour.RED: 2},
        "point": tapmodels.Point(1, [2]),
        "rest": (
            deque([1], 3),
            OrderedDict(a=1),
            defaultdict(list, a=[1]),
            Counter("aab"),
            range(5),
            b"bytes",
        ),
        "nodes": [tapmodels.Counter2() for _ in range(70)],
        "big": {n: n for n in range(1001)},
        "n": 1,
    }


class Original:
    """A tap to be broken, what it holds, and what it held before its last two commits."""

    def __init__(self, path: Path, root: Any, before: tuple[Any, ...] = ()) -> None:
        self.path = path
        self.root = root
        self.before = before


def make_originals(folder: Path) -> dict[str, Original]:
    """Make a seed, a closed state, one killed in mid-journal, and a backup with journal and deltas."""
    originals = {}
    seed = folder / "seed.tap"
    write_seed(seed, root_with(**content()), PLAN)
    originals["seed"] = Original(seed, thaw(NullStore(seed), find).root)
    running = begin(folder, **content())
    before: list[Any] = []
    for n in range(8):
        if n >= 6:
            (folder / f"before {n}").mkdir()
            before.append(go_on(copy_tap_files(running.store.path or seed, folder / f"before {n}")).root)
        running.root.n = n
        running.root.big[n] = [n]
        running.root.nodes[n].n = n
        running.commit()
    for name in ("killed", "journal", "closed"):
        (folder / name).mkdir()
    killed = copy_tap_files(running.store.path or seed, folder / "killed")
    originals["killed"] = Original(killed, running.root, tuple(before))
    journal = folder / "journal" / "journal.tap"
    running.store.backup(journal)
    originals["journal"] = Original(journal, running.root)
    running.stop()
    closed = copy_tap_files(folder / "tested-shutdown.tap", folder / "closed")
    originals["closed"] = Original(closed, go_on(closed).root)
    return originals


# --- bytes of the file -----------------------------------------------------------------------


def flip_bits(rng: random.Random, path: Path) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 1, 8, 64))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def truncate(rng: random.Random, path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data))])


def overwrite(rng: random.Random, path: Path) -> None:
    data = bytearray(path.read_bytes())
    at, size = rng.randrange(len(data)), rng.choice((4, 100, 4096))
    data[at : at + size] = rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size)))[: len(data) - at]
    path.write_bytes(data)


def swap_pages(rng: random.Random, path: Path) -> None:
    data = bytearray(path.read_bytes())
    a, b = (4096 * rng.randrange(len(data) // 4096) for _ in range(2))
    data[a : a + 4096], data[b : b + 4096] = data[b : b + 4096], data[a : a + 4096]
    path.write_bytes(data)


def in_wal(mutation: Mutation) -> Mutation:
    """Return the same mutation, done to the WAL."""

    def mutate(rng: random.Random, path: Path) -> None:
        wal = path.with_name(path.name + "-wal")
        if wal.exists():
            mutation(rng, wal)
        else:
            wal.write_bytes(rng.choice((b"", bytes(100), rng.randbytes(5000))))

    return mutate


def damage_frame(rng: random.Random, path: Path) -> None:
    """Damage one frame of a WAL, or its header."""
    data = bytearray(path.read_bytes())
    start = 32 + 4120 * rng.randrange((len(data) - 32) // 4120)
    begin, end = rng.choice(((start, start + 4120), (start, start + 24), (0, 32)))
    at, size = rng.randrange(begin, end), rng.choice((1, 1, 4, 100, 5000))
    size = min(size, end - at)
    data[at : at + size] = rng.choice(
        (bytes(size), rng.randbytes(size), bytes(b ^ 1 << rng.randrange(8) for b in data[at : at + size]))
    )
    path.write_bytes(data)


def cut_last_frame(rng: random.Random, path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - rng.randrange(4120)])


def remove(_rng: random.Random, path: Path) -> None:
    path.unlink()


# --- rows, their sums made right again --------------------------------------------------------

COLUMNS = {
    "class": ("cid", "name", "module", "qualname", "kind", "version"),
    "page": ("pid", "epoch", "idx", "data"),
    "chunk": ("id", "epoch", "data"),
    "delta": ("oid", "epoch", "data"),
}


def with_rows(change: Callable[[random.Random, sqlite3.Connection, str, list[Any]], None]) -> Mutation:
    """Return a mutation of a random row; sums of rows and the chain of the journal fit afterwards."""

    def mutate(rng: random.Random, path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode=DELETE")
            tables = [t for t in COLUMNS if db.execute(f'SELECT count(*) FROM "{t}"').fetchone()[0]]
            table = rng.choice(tables)
            names = ", ".join(COLUMNS[table])
            rows = db.execute(f'SELECT {names} FROM "{table}"').fetchall()
            change(rng, db, table, [list(row) for row in rng.sample(rows, min(2, len(rows)))])

    return mutate


def put(db: sqlite3.Connection, table: str, row: list[Any]) -> None:
    try:
        made = row_sum(table, *row)
    except ValueError:
        made = b"0" * 16
    marks = ",".join("?" * (len(row) + 1))
    db.execute(f'INSERT OR REPLACE INTO "{table}" VALUES ({marks})', (*row, made))


def drop(db: sqlite3.Connection, table: str, row: list[Any]) -> None:
    where = " AND ".join(f"{name} IS ?" for name in COLUMNS[table][:2])
    db.execute(f'DELETE FROM "{table}" WHERE {where}', row[:2])


def drop_row(_rng: random.Random, db: sqlite3.Connection, table: str, rows: list[Any]) -> None:
    drop(db, table, rows[0])


def double_row(rng: random.Random, db: sqlite3.Connection, table: str, rows: list[Any]) -> None:
    put(db, table, [rng.choice((rows[0][0] + 1, 10**6, -1, 2**62)), *rows[0][1:]])


def swap_rows(_rng: random.Random, db: sqlite3.Connection, table: str, rows: list[Any]) -> None:
    if len(rows) == 2:
        put(db, table, [rows[0][0], *rows[1][1:]])
        put(db, table, [rows[1][0], *rows[0][1:]])
    else:
        drop(db, table, rows[0])


def move_row(rng: random.Random, db: sqlite3.Connection, table: str, rows: list[Any]) -> None:
    drop(db, table, rows[0])
    put(db, table, [rows[0][0] + rng.choice((1, -1, 1000)), *rows[0][1:]])


def change_column(rng: random.Random, db: sqlite3.Connection, table: str, rows: list[Any]) -> None:
    row = rows[0]
    column = rng.randrange(1, len(row))
    old = row[column]
    if isinstance(old, bytes) and rng.random() < 0.7:
        data = bytearray(old)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        row[column] = bytes(data)
    else:
        row[column] = rng.choice(
            (
                None,
                0,
                -1,
                2**62,
                "text",
                b"",
                b"\xc1",
                1.5,
                old[:-1] if old and not isinstance(old, int) else 7,
            )
        )
    put(db, table, row)


def change_journal(rng: random.Random, path: Path) -> None:
    """Drop, change, double or reorder journal rows; all links but those of meta fit afterwards."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=DELETE")
        rows = [list(row) for row in db.execute("SELECT epoch, data FROM journal ORDER BY epoch")]
        link, base = (
            db.execute("SELECT v FROM meta WHERE k='chain'").fetchone()[0],
            db.execute("SELECT v FROM meta WHERE k='epoch'").fetchone()[0],
        )
        if not rows:
            put_journal(db, [[base + rng.choice((0, 2, 5)), rng.randbytes(20)]], link)
            return
        kind = rng.randrange(3)
        if kind == 0:
            del rows[rng.randrange(len(rows) - 1)]
        elif kind == 1:
            data = bytearray(rng.choice(rows)[1])
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            rows[rng.randrange(len(rows))][1] = bytes(data)
            put_journal(db, rows, rng.randbytes(16))
            return
        else:
            rows[0][0], rows[-1][0] = rows[-1][0] + 3, rows[0][0]
        put_journal(db, rows, link)


def put_journal(db: sqlite3.Connection, rows: list[Any], link: bytes) -> None:
    db.execute("DELETE FROM journal")
    for epoch, data in rows:
        link = chain_sum(link, epoch, data)
        db.execute("INSERT INTO journal VALUES (?, ?, ?)", (epoch, data, link))


SCHEMES = (
    "CREATE TRIGGER t AFTER INSERT ON journal BEGIN DELETE FROM page; END",
    "CREATE VIEW v AS SELECT * FROM page",
    "CREATE TABLE more (x)",
    "CREATE INDEX i ON journal (data)",
    "ALTER TABLE page ADD COLUMN y GENERATED ALWAYS AS (pid)",
    "CREATE VIRTUAL TABLE f USING fts5(x)",
    "DROP TABLE delta",
    "ALTER TABLE chunk RENAME TO block",
    "DROP TABLE page",
    "PRAGMA user_version=7",
    "PRAGMA application_id=1",
    "DELETE FROM meta WHERE k='lineage'",
    "UPDATE meta SET v='state' WHERE k='role'",
    "UPDATE meta SET v=v||'x' WHERE k='plan'",
    "UPDATE meta SET v=NULL WHERE k='next_oid'",
    "UPDATE meta SET v=v+1 WHERE k='epoch'",
    "INSERT INTO meta VALUES ('more', 1)",
    "DELETE FROM mark",
    "UPDATE mark SET is_open = 1 - is_open",
    "UPDATE mark SET session = 'other'",
)


def change_schema(rng: random.Random, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=DELETE")
        db.execute(rng.choice(SCHEMES))


STRICT: dict[str, Mutation] = {
    "file: bits": flip_bits,
    "file: cut off": truncate,
    "file: overwritten": overwrite,
    "file: pages swapped": swap_pages,
    "wal: a frame damaged": in_wal(damage_frame),
    "wal: cut off in its last frame": in_wal(cut_last_frame),
    "wal: removed": in_wal(remove),
    "rows: dropped, sums fit": with_rows(drop_row),
    "rows: doubled, sums fit": with_rows(double_row),
    "rows: swapped, sums fit": with_rows(swap_rows),
    "rows: moved, sums fit": with_rows(move_row),
    "rows: changed, sums fit": with_rows(change_column),
    "journal: changed, links fit": change_journal,
    "schema or meta": change_schema,
}
"""Mutations after which a tap is refused or equal."""


def is_importing() -> bool:
    """Say whether an import of a module is under way; which modules may be imported is watched too."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") in ("importlib._bootstrap", "_frozen_importlib"):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


class TooLong(Exception):
    """A mutant took more than its time."""


def _alarm(_signal: int, _frame: object) -> None:
    raise TooLong


def judge(path: Path, original: Original) -> str:
    """Thaw a mutant; return "refused", "equal", "different" or what went wrong."""
    try:
        signal.setitimer(signal.ITIMER_PROF, TIME_S)
        thawed = thaw(NullStore(path), find)
        found = difference(original.root, thawed.root)
    except TaphouseError as error:
        text = str(error)
        if "\n" in text or not text or len(text) > 2000:
            return f"a message of several lines: {text!r:.200}"
        return "refused"
    except TooLong:
        return "took too long"
    except BaseException as error:
        return f"traceback: {type(error).__name__}: {error!s:.200}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if found and not all(difference(before, thawed.root) for before in original.before):
        return "last commits lost"
    return f"different: {found}" if found else "equal"


def main(count: int, seed: int) -> dict[str, Any]:
    """Make and judge ``count`` mutants."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGPROF, _alarm)
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    wrong: list[str] = []
    ran: list[str] = []
    watching = False

    def audit(event: str, args: tuple[Any, ...]) -> None:
        if not watching:
            return
        if event == "import":
            name = str(args[0]).partition(".")[0]
            if name != "taphouse" and name not in sys.stdlib_module_names:
                ran.append(f"import {args[0]}")
        elif event in FORBIDDEN and not is_importing():
            ran.append(event)

    with tempfile.TemporaryDirectory(prefix="tap-mutants-") as name:
        folder = Path(name)
        originals = make_originals(folder)
        for original in originals.values():
            assert judge(original.path, original) == "equal", judge(original.path, original)
        tapmodels.Plain.calls.clear()
        sys.addaudithook(audit)
        mutations: list[tuple[str, bool, Any]] = [(name, True, each) for name, each in STRICT.items()]
        mutations += [(name, False, each) for name, each in FORGERIES.items()]
        work = folder / "mutant"
        for number in range(count):
            rng = random.Random(seed * 1_000_003 + number)
            kind, strict, mutate = mutations[number % len(mutations)]
            which = rng.choice(
                ("killed",) if kind.startswith("wal") and rng.random() < 0.8 else list(originals)
            )
            original = originals[which]
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            path = copy_tap_files(original.path, work)
            try:
                mutate(rng, path)
            except sqlite3.Error:
                # Even SQLite will not write such a row; the tap is as it was or half changed.
                outcomes[kind]["not writable"] += 1
            watching = True
            verdict = judge(path, original)
            watching = False
            fine = {"refused", "equal"}
            if not strict:
                fine.add("different")
            if kind.startswith("wal"):
                # Damage in the last frames looks like a write that was torn before it was acknowledged.
                fine.add("last commits lost")
            outcomes[kind][verdict.partition(":")[0]] += 1
            if number % 100 == 0:
                gc.collect()  # a process that thaws again and again is this one alone
            if verdict.partition(":")[0] not in fine:
                wrong.append(f"mutant {number} of seed {seed} ({kind} of {which}): {verdict}")
    if ran or tapmodels.Plain.calls:
        wrong.append(f"code ran: {sorted(set(ran))} {tapmodels.Plain.calls[:3]}")
    # Not ru_maxrss: that begins with the peak of whoever started us.
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    return {"outcomes": {k: dict(v) for k, v in outcomes.items()}, "wrong": wrong, "peak_kib": peak}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))

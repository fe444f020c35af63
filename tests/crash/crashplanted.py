"""Run the traced server: the real ``twistd`` of this checkout, with one bug planted or none.

The bugs are planted from here, before anything runs, so the product carries no switch for them.  Each
changes one decision of the real code and nothing else; `BUGS` says which, and in which mode it shows.

    crashplanted.py save                    write the seed
    crashplanted.py serve ARGUMENTS...      twistd ARGUMENTS...

CRASHPLANTED_BUG names a bug; CRASHPLANTED_MODE is ``inline`` or ``thread``; CRASHPLANTED_DIES gives the
commit in whose sync the server dies: all is written, nobody knows how much of it is on the disk.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

from taphouse.persist import building, folding, founding, seeding, store
from taphouse.persist.records import Epoch
from taphouse.persist.schema import Mark, chain_sum
from taphouse.runtime import datagrams, epochs, loop, outbound, tidying, writer

Store: Any = store.SqliteStore
Epochs: Any = epochs.Epochs


# --- how it runs -----------------------------------------------------------------------------------------


def shrink() -> None:
    """Let a small run do what takes hours otherwise: fold in many slices, move the WAL often."""
    store.FOLD_BYTES = 2000
    store.FOLD_SLICE = 2
    store.CHECKPOINT_PAGES = 60
    tidying._AFTER_S = 0.01
    tidying._AGAIN_S = 0.001


def die_in_sync(number: int) -> None:
    """Kill ourselves where a commit waits for the disk."""
    append = Store._append

    def last(self: Any, turn: Any, link: bytes) -> None:
        if self._tally.epochs == number:
            self._db.execute("PRAGMA synchronous=OFF")
        append(self, turn, link)
        if self._tally.epochs == number:
            os.kill(os.getpid(), signal.SIGKILL)

    Store._append = last


# --- the bugs --------------------------------------------------------------------------------------------


def synchronous_normal() -> None:
    """SQLite syncs the WAL only when it moves it, not with each commit."""
    opened = Store._open

    def open_(self: Any) -> None:
        opened(self)
        self._db.execute("PRAGMA synchronous=NORMAL")

    Store._open = open_


def reply_before_commit() -> None:
    """The gate never closes."""
    Epochs.closed = property(lambda self: False, lambda self, value: None)


def buffers_not_swapped() -> None:
    """With a commit, output is let go that was kept after its state was frozen."""
    committed = Epochs._committed

    def too_much(self: Any, wrote: bool, waiting: Any, kept: Any, began: float) -> None:
        committed(self, wrote, waiting, [*kept, *self._gathering.take()], began)

    Epochs._committed = too_much


def transaction_per_object() -> None:
    """The rows of an epoch reach the disk one by one."""
    append = Store._append

    def one_by_one(self: Any, turn: Any, link: bytes) -> None:
        db, rows = self._opened(), list(turn.epoch.rows.items())
        for count in range(1, len(rows)):
            part = Epoch(dict(turn.epoch.classes), dict(rows[:count]), next_oid=turn.epoch.next_oid).pack()
            db.execute("BEGIN")
            db.execute(
                "INSERT OR REPLACE INTO journal VALUES (?, ?, ?)",
                (turn.number, part, chain_sum(self._chain, turn.number, part)),
            )
            self._commit(db)
        if len(rows) > 1:
            db.execute("DELETE FROM journal WHERE epoch = ?", (turn.number,))
        append(self, turn, link)

    Store._append = one_by_one


def open_while_in_flight() -> None:
    """Output is kept for changes, but not for what has seen changes that are being committed."""
    commit = Epochs._commit

    def commit_(self: Any) -> None:
        commit(self)
        if self._landing is not None:
            self.closed = False

    Epochs._commit = commit_


def close_not_held() -> None:
    """The end of a connection does not wait."""
    outbound.Outbound.close = lambda self: self.raw.close()  # type: ignore[method-assign]


def datagrams_not_held() -> None:
    """UDP does not wait."""
    datagrams.Endpoint.sendto = lambda self, data, addr=None: self.raw.sendto(data, addr)  # type: ignore[method-assign]


def own_connections_not_held() -> None:
    """Connections that the application opens itself have no gate."""
    loop._Passage.use_gate = lambda self, gate: None  # type: ignore[method-assign]


def checkpoint_not_synced() -> None:
    """The WAL begins anew before what it held is in the main file for certain."""
    move = Store._checkpoint

    def checkpoint(self: Any, how: str) -> None:
        self._opened().execute("PRAGMA synchronous=OFF")
        move(self, how)
        self._db.execute("PRAGMA synchronous=FULL")

    Store._checkpoint = checkpoint


def open_mark_missing() -> None:
    """The main file does not say that there is a WAL."""
    write = Store._write_mark

    def closed(self: Any, db: Any, mark: Mark) -> None:
        write(self, db, Mark(mark.session, mark.previous, False, mark.generation))

    Store._write_mark = closed


def fold_deletes_first() -> None:
    """The journal is emptied in the first slice of a fold, its rows written in the next ones."""
    steps = folding.Folder._steps

    def wrong_way(self: Any, db: Any, changes: Any) -> Iterator[int]:
        db.execute("DELETE FROM journal WHERE epoch <= ?", (changes.epoch,))
        self.meta = self.meta.with_(epoch=changes.epoch, chain=changes.chain, next_oid=changes.next_oid)
        yield 1 << 30
        yield from steps(self, db, changes)

    folding.Folder._steps = wrong_way  # type: ignore[method-assign]


def chain_not_updated() -> None:
    """Each epoch is chained to the first of its session."""
    commit = Store.commit

    def forget(self: Any, turn: Any) -> Any:
        before = self._chain
        outcome = commit(self, turn)
        if self._tally.epochs > 2:
            self._chain = before
        return outcome

    Store.commit = forget


def file_not_synced() -> None:
    """A new tap gets its name before its content is on the disk."""
    real = os.fsync
    building.os = _Pretending(fsync=lambda fd: real(fd) if os.path.isdir(f"/proc/self/fd/{fd}") else None)  # type: ignore[attr-defined]


def folder_not_synced() -> None:
    """Nobody makes names durable."""
    for module in (building, founding, seeding, store):
        if hasattr(module, "sync_folder"):
            module.sync_folder = lambda folder: None


def plain_values_not_compared() -> None:
    """The gate stays open although plain values may have changed unseen."""
    committed = Epochs._committed

    def committed_(self: Any, *arguments: Any) -> None:
        committed(self, *arguments)
        if not self._armed:
            self.closed = False

    Epochs._committed = committed_


class _Pretending:
    """The module ``os`` with some functions of another kind."""

    def __init__(self, **functions: Callable[..., Any]) -> None:
        self.__dict__.update(functions)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


BUGS: dict[Callable[[], None], str] = {
    synchronous_normal: "inline",
    reply_before_commit: "inline",
    buffers_not_swapped: "thread",
    transaction_per_object: "inline",
    open_while_in_flight: "thread",
    close_not_held: "thread",
    datagrams_not_held: "inline",
    own_connections_not_held: "inline",
    checkpoint_not_synced: "inline",
    open_mark_missing: "inline",
    fold_deletes_first: "inline",
    chain_not_updated: "inline",
    file_not_synced: "inline",
    folder_not_synced: "inline",
    plain_values_not_compared: "plain",
}
"""The bugs, and the kind of run that shows them."""


def main(verb: str, *arguments: str) -> int:
    """Do what the command line says."""
    shrink()
    writer.FORCED_PATH = "thread" if os.environ["CRASHPLANTED_MODE"] == "thread" else "inline"
    if os.environ.get("CRASHPLANTED_DIES"):
        die_in_sync(int(os.environ["CRASHPLANTED_DIES"]))
    for bug in BUGS:
        if bug.__name__ == os.environ.get("CRASHPLANTED_BUG"):
            print(f"PLANTED BUG: {bug.__doc__}", file=sys.stderr)
            bug()
    if verb == "save":
        from crashcounter import make

        app = make()
        for _ in range(2):  # the second one replaces the first
            app.save("start")
            note("saved")
        return 0
    from taphouse.cli.twistd import main as twistd

    status = twistd(list(arguments))
    if not status:
        note("stopped")
    return status


def note(line: str) -> None:
    """Tell the judge what has just been promised."""
    with open("notes", "a") as notes:
        notes.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

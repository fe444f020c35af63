"""Bugs to be planted: each is one edit of the real source, built into a copy of it.

A server that runs from such a copy is the product with exactly that mistake in it: no mock, and no switch
in the product.  An edit whose text is not there exactly once is refused, so that none rots unseen.  It must
never know how a bug is found.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from playground import TOP, keep_byte_code

__all__ = ["BUGS", "SOURCE", "Bug", "build"]

SOURCE = TOP / "src" / "taphouse"
EPOCHS, STORE, BUILDING = "runtime/epochs.py", "persist/store.py", "persist/building.py"


@dataclass(frozen=True)
class Bug:
    """One mistake.

    Args:
        says: what it is.
        file: of the source.
        right: the text as it is, exactly once in the file.
        wrong: the text instead.
        mode: the kind of run that shows it.
    """

    says: str
    file: str
    right: str
    wrong: str
    mode: str = "inline"


_STARTS_A_TRANSACTION = """\
            if folds or self._renew_mark:
                db.execute("BEGIN")
"""

BUGS = {
    # The five that any gate invites come first; docs/durability.md names them all.
    "synchronous_normal": Bug(
        "SQLite syncs the WAL only when it moves it, not with each commit.",
        STORE,
        'db.execute("PRAGMA synchronous=FULL")',
        'db.execute("PRAGMA synchronous=NORMAL")',
    ),
    "reply_before_commit": Bug(
        "The gate never closes.",
        EPOCHS,
        "self.closed = self._closes\n",
        "self.closed = False\n",
    ),
    "buffers_not_swapped": Bug(
        "With a commit, output is let go that was kept after its state was frozen.",
        EPOCHS,
        "for keeper, output in kept:",
        "for keeper, output in [*kept, *self._gathering.take()]:",
        "thread",
    ),
    "transaction_per_object": Bug(
        "The rows of an epoch reach the disk one by one.",
        STORE,
        _STARTS_A_TRANSACTION,
        """\
            rows = list(turn.epoch.rows.items())
            for count in range(1, len(rows)):
                made = type(turn.epoch)(
                    dict(turn.epoch.classes), dict(rows[:count]), next_oid=turn.epoch.next_oid
                )
                part = made.pack()
                db.execute("BEGIN")
                db.execute(
                    "INSERT OR REPLACE INTO journal VALUES (?, ?, ?)",
                    (turn.number, part, chain_sum(self._chain, turn.number, part)),
                )
                self._commit(db)
            if turn is not None:
                db.execute("BEGIN")
                db.execute("DELETE FROM journal WHERE epoch = ?", (turn.number,))
""",
    ),
    "open_while_in_flight": Bug(
        "Output is kept for changes, but not for what has seen changes that are being committed.",
        EPOCHS,
        "self._in_flight, self._aboard = kept, waiting\n",
        "self._in_flight, self._aboard = kept, waiting\n            self.closed = False\n",
        "thread",
    ),
    "landed_when_handed_over": Bug(
        "A commit counts as done when the writer's thread was given it.",
        "runtime/writer.py",
        "        return future\n\n    def _done(",
        "        future.set_result(None)\n        return future\n\n    def _done(",
        "thread",
    ),
    "close_not_held": Bug(
        "The end of a connection does not wait.",
        "runtime/outbound.py",
        """\
        if not self.owner.gate.closed:
            raw.close()
""",
        """\
        if raw is not None:
            raw.close()
""",
        "thread",
    ),
    "datagrams_not_held": Bug(
        "UDP does not wait.",
        "runtime/datagrams.py",
        "        if not self._gate.closed:\n            self.raw.sendto(data, addr)\n",
        "        if self.raw is not None:\n            self.raw.sendto(data, addr)\n",
    ),
    "own_connections_not_held": Bug(
        "Connections that the application opens itself have no gate.",
        "runtime/loop.py",
        "self.guests.gate = gate",
        "pass",
    ),
    "checkpoint_not_synced": Bug(
        "The WAL begins anew before what it held is in the main file for certain.",
        STORE,
        'busy, pages, moved = db.execute(f"PRAGMA wal_checkpoint({how})").fetchone()\n',
        """\
db.execute("PRAGMA synchronous=OFF")
            busy, pages, moved = db.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
            db.execute("PRAGMA synchronous=FULL")
""",
    ),
    "open_mark_missing": Bug(
        "The main file does not say that there is a WAL.",
        STORE,
        "previous=self._mark.session, is_open=True)",
        "previous=self._mark.session, is_open=False)",
    ),
    "fold_deletes_first": Bug(
        "The journal is emptied in the first slice of a fold, its rows written in the next ones.",
        "persist/folding.py",
        "        for cid, record in changes.classes.items():\n",
        """\
        db.execute("DELETE FROM journal WHERE epoch <= ?", (changes.epoch,))
        self.meta = self.meta.with_(epoch=changes.epoch, chain=changes.chain, next_oid=changes.next_oid)
        yield 1 << 30
        for cid, record in changes.classes.items():
""",
    ),
    "clears_too_much": Bug(
        "With the epochs that are folded the journal loses those that came since.",
        "persist/folding.py",
        "            (self.meta.epoch, CLEAR_ROWS),\n",
        "            (1 << 62, CLEAR_ROWS),\n",
        mode="clearing",
    ),
    "chain_not_updated": Bug(
        "Each epoch is chained to the first ones of its session.",
        STORE,
        "self._epoch, self._chain = turn.number, link\n",
        "self._epoch, self._chain = turn.number, link if self._tally.epochs < 2 else self._chain\n",
    ),
    "file_not_synced": Bug(
        "A new tap gets its name before its content is on the disk.",
        BUILDING,
        "        os.fsync(file.fileno())\n    return meta",
        "    return meta",
    ),
    "folder_not_synced": Bug(
        "Nobody makes names durable.",
        "wholefile.py",
        "        os.fsync(descriptor)\n",
        "        pass\n",
    ),
    "plain_values_not_compared": Bug(
        "The gate stays open although plain values may have changed unseen.",
        EPOCHS,
        "self.closed = self._closes and self._is_comparing",
        "self.closed = False",
        "plain",
    ),
}
"""Name -> bug."""


def build(name: str, folder: Path) -> Path:
    """Copy the source, C parts and byte code with it, and plant a bug.

    Args:
        name: of the bug.
        folder: where to build.

    Returns:
        What has to be first on the path.

    Raises:
        LookupError: if the text to be changed is not there exactly once.
    """
    bug, made = BUGS[name], folder / name
    keep_byte_code()
    shutil.copytree(SOURCE, made / "taphouse", ignore=shutil.ignore_patterns("*.c", "*.h"))
    file = made / "taphouse" / bug.file
    text = file.read_text()
    if text.count(bug.right) != 1:
        found = text.count(bug.right)
        raise LookupError(f"{bug.file}: {name}: found {found} times, has to be there once:\n{bug.right}")
    file.write_text(text.replace(bug.right, bug.wrong))
    for stale in file.parent.glob(f"__pycache__/{file.stem}.*.pyc"):
        stale.unlink()
    return made

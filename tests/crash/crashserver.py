"""The server that is traced: the real ``twistd``, set to do in seconds what takes hours otherwise.

    crashserver.py save                    write the seed
    crashserver.py serve ARGUMENTS...      twistd ARGUMENTS...

It runs whatever ``taphouse`` is first on the path: this checkout's, or a copy with a planted bug.
CRASHSERVER_MODE says where it commits: ``thread`` and ``httpx`` on the writer's thread, ``inline`` and
``plain`` on the loop.  It must never know how anything is done: it sets what are constants otherwise.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from taphouse.persist import folding, store
from taphouse.persist.schema import PAGE_SIZE
from taphouse.runtime import tidying, writer

MODE = os.environ["CRASHSERVER_MODE"]
WHERE = "thread" if MODE in ("thread", "httpx") else "inline"
SETTINGS: dict[Any, dict[str, Any]] = {
    store: {"FOLD_BYTES": 600, "CHECKPOINT_PAGES": 60, "RESERVE_BYTES": 128 << 10, "FOLD_SLICE": 2},
    tidying: {"_AFTER_S": 0.01, "_AGAIN_S": 0.001},
    writer: {"FORCED_PATH": WHERE},
}
"""Folds in many slices, a WAL that is moved often and outgrows its reserve."""
if MODE == "clearing":  # what is folded is written in a slice, and then leaves the journal one by one
    SETTINGS[store]["FOLD_SLICE"] = 40
    SETTINGS[folding] = {"_ROW_BYTES": 40 * PAGE_SIZE, "CLEAR_ROWS": 1}


def settle() -> None:
    """Set them; one that is not there any more is an error, not silence."""
    for module, values in SETTINGS.items():
        for name, value in values.items():
            if not hasattr(module, name):
                raise LookupError(f"{module.__name__} has no {name}")
            setattr(module, name, value)
    fold: Any = store.SqliteStore.fold
    fold.__defaults__ = (store.FOLD_SLICE,)


def main(verb: str, *arguments: str) -> int:
    """Do what the command line says."""
    settle()
    print(f"taphouse of {os.path.dirname(store.__file__)}", file=sys.stderr)
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

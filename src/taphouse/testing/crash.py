"""A crash and a thaw: what a new process would find if this one were killed now.

Nothing of the living application is touched: its tap, if it has one, is read
as it lies on the disk; of one that does not run, a seed is made.  It must never
decide what is durable.
"""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any

from taphouse.app import Application, make_plan, object_label
from taphouse.durable import ClassRecord, find_registered
from taphouse.errors import ClassIdentityError
from taphouse.persist import NullStore, thaw, write_seed

__all__ = ["crash_and_thaw"]


def crash_and_thaw(app: Application, *, state: str | os.PathLike[str] | None = None) -> Application:
    """Return the application as it would come back after a kill at this moment.

    Args:
        app: one that runs with a state tap comes back as of its last commit, without what changed
            since; one that does not run comes back with everything that is durable.
        state: the tap to look at; None finds the running application's own.

    Returns:
        Another Application: the same names and values in new objects, without connections,
        ``_v_`` attributes and tasks.  It remembers nothing on disk.

    Raises:
        NotDurableError: with the path of a value that cannot be saved.
        ClassIdentityError: if a class it needs could not be found again.
    """
    path = state if state is not None else _state_of(app)
    if path is not None:
        return _thawed(path)
    with tempfile.TemporaryDirectory(prefix="taphouse-test-") as folder:
        seed = os.path.join(folder, f"{app.name}.tap")
        write_seed(
            seed,
            app,
            lambda oids: make_plan(app, lambda thing: oids.get(id(thing), 0)),
            label_of=lambda thing: object_label(app, thing),
        )
        return _thawed(seed)


def _state_of(app: Application) -> str | os.PathLike[str] | None:
    runtime = app._v_runtime
    return None if runtime is None else getattr(runtime, "state_path", None)


def _thawed(path: str | os.PathLike[str]) -> Application:
    thawed = thaw(NullStore(path), _resolve)
    if thawed.unknown:
        raise ClassIdentityError(
            f"class {thawed.unknown[0]} cannot be found again",
            cure="define it in a module, not in a function",
        )
    return thawed.root  # type: ignore[no-any-return]


def _resolve(record: ClassRecord) -> Any:
    """Find a class or function of this process by its record."""
    known = find_registered(record.name)
    if known is not None:
        return known
    found: Any = sys.modules.get(record.module)
    for part in record.qualname.split("."):
        found = getattr(found, part, None)
    return found if getattr(found, "__module__", None) == record.module else None

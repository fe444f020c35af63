"""`app.save()`: freeze an application that does not run into a seed.

It must never write itself: it asks whether the application can be saved and
found again, then `persist` writes.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from taphouse.app import Application, check_application, make_plan, object_label, unsavable
from taphouse.cli.starting.merging import built_by_code
from taphouse.cli.starting.scripts import Script, main_script, named_main
from taphouse.errors import ConfigurationError, NotDurableError, TapError, UsageError
from taphouse.persist import read_info, write_seed

__all__ = ["place_of_code", "plan_of_code", "save_application"]

Describe = Callable[[Application, Callable[[object], int]], Mapping[str, Any]]
"""Application, and what finds the row of an object -> entries of the plan."""

_TAG = re.compile(r"[A-Za-z0-9._-]{1,64}")


def save_application(app: Application, tag: str | None, filename: str | None, describe: Describe) -> str:
    """Freeze ``app`` into a seed and return its file name.

    Args:
        app: an application that does not run.
        tag: ``<name>-<tag>.tap``, ``None`` for ``<name>.tap``.
        filename: used as it is instead.
        describe: says what was built, so that a newer seed can be merged into the state of this one.

    Raises:
        NotDurableError: something cannot be saved; named by its path.
        ConfigurationError: its classes could not be found again, or the file holds something else.
    """
    path = _file_name(app, tag, filename)
    if app.is_running:
        raise ConfigurationError(
            f"{app.name} is running, and remembers by itself",
            cure=f"copy its state with: tap backup {app.name}",
        )
    check_application(app)
    problems = unsavable(app)
    if problems:
        raise NotDurableError(problems[0])
    _spare_what_is_there(path)
    place = place_of_code(app)
    print(f"Saving {app.name} application to {path}...")
    with named_main(place):

        def plan(oids: Mapping[int, int]) -> dict[str, Any]:
            def row_of(thing: object) -> int:
                return oids[id(thing)]

            return {**plan_of_code(app, place, row_of), **describe(app, row_of)}

        write_seed(path, app, plan, label_of=lambda thing: f"{app.name}.{object_label(app, thing)}")
    print("Saved.", flush=True)
    return path


def plan_of_code(
    app: Application, place: Script | None, oid_of: Callable[[object], int] | None = None
) -> dict[str, Any]:
    """Return the plan of an application that code has built, with where that code lies and what it built."""
    plan = make_plan(app, oid_of)
    return {**plan, "script": place.as_plan() if place is not None else None, "built": built_by_code(app)}


def _file_name(app: Application, tag: str | None, filename: str | None) -> str:
    if filename is not None:
        return os.fspath(filename)
    if tag is None:
        return f"{app.name}.tap"
    if not isinstance(tag, str) or _TAG.fullmatch(tag) is None:
        raise UsageError(
            f"save({tag!r:.80}): the tag becomes part of a file name",
            cure="use letters, digits, '.', '_' or '-'",
        )
    return f"{app.name}-{tag}.tap"


def _spare_what_is_there(path: str) -> None:
    """Refuse to write a seed over state, or over a file that is no tap."""
    if not os.path.lexists(path):
        return
    try:
        info = read_info(path)
    except TapError as error:
        raise TapError(
            "is there already and is no tap that could be replaced", path=path, cure="move it away"
        ) from error
    if info.role == "state":
        raise TapError(
            f"holds the state of {info.name}, which a seed must not replace",
            path=path,
            cure="save under another tag, or move it away",
        )


def place_of_code(app: Application) -> Script | None:
    """Return where the code of ``app`` lies if that has to be remembered.

    The folder of the script, if classes of it or of modules beside it are used.

    Raises:
        ConfigurationError: classes of ``__main__`` are used that could not be found again.
    """
    main = sys.modules.get("__main__")
    modules = make_plan(app)["modules"]
    defines = [
        value
        for value in list(vars(main).values() if main is not None else ())
        if isinstance(value, type) and value.__module__ == "__main__"
    ]
    path = getattr(main, "__file__", None)
    if defines or "__main__" in modules:
        return main_script()
    if path is None:
        return None
    folder = os.path.dirname(os.path.realpath(path))
    for name in modules:
        origin = getattr(sys.modules.get(name.partition(".")[0]), "__file__", None) or ""
        if os.path.dirname(os.path.realpath(origin)) == folder:
            return Script("", folder)
    return None

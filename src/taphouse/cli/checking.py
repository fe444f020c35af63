"""`tap check`: what a start would say, tried on a copy.

It must never open a port or start anything that the application defines.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from taphouse.cli.choosing import Choice
from taphouse.cli.copying import opened_copy
from taphouse.cli.loading import ModuleLoader
from taphouse.cli.thawing import import_plan, thaw_tap
from taphouse.durable import class_record
from taphouse.persist import check_integrity

__all__ = ["check_tap"]


def check_tap(path: str, *, run_directory: str, allowed: tuple[str, ...] = ()) -> Iterator[str]:
    """Check a tap against the code that is installed now, telling each thing that is in order.

    Args:
        path: a seed or state tap; it is not changed.
        run_directory: where it would run.
        allowed: modules, as by ``--allow-module``.

    Raises:
        TaphouseError: what a start would stop with.
    """
    check_integrity(path)
    yield f"{path}: every checksum is right"
    with opened_copy(path) as (info, store):
        yield f"{info.role} of application {info.name}, epoch {info.epoch}, {info.counts['objects']} objects"
        loader = ModuleLoader(
            path,
            run_directory=os.path.abspath(run_directory),
            script_folder=(info.plan.get("script") or {}).get("folder", ""),
            allowed=allowed,
        )
        modules = import_plan(loader, info)
        for name, module in modules.items():
            if not name.startswith("taphouse"):
                yield f"module {name} is {getattr(module, '__file__', '?')}"
        loaded = thaw_tap(store, Choice(path, info), loader, modules, dict(info.plan))
        yield from loaded.notes
        for record in info.classes:
            installed = loader.resolve(record, modules)
            if installed is not None and class_record(installed).version > record.version:
                version = class_record(installed).version
                yield f"class {record.name} is upgraded from version {record.version} to {version}"
        for entry in info.plan.get("listeners", ()):
            yield f"would listen on {entry.get('label')} with {entry.get('factory')}"
    yield "a start would find everything it needs"

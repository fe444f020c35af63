"""`tap check`: what a start would say, tried on a copy.

It must never open a port for anybody or start anything that the application defines.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from taphouse.cli.inspecting.copying import opened_copy
from taphouse.cli.inspecting.findings import Finding, problem
from taphouse.cli.inspecting.surroundings import look_around, own_server
from taphouse.cli.starting.choosing import Choice
from taphouse.cli.starting.loading import ModuleLoader
from taphouse.cli.starting.planshape import check_plan_shape
from taphouse.cli.starting.thawing import import_plan, thaw_tap
from taphouse.durable import class_record
from taphouse.errors import TaphouseError
from taphouse.persist import Store, TapInfo, check_integrity

__all__ = ["check_tap"]


def check_tap(path: str, *, run_directory: str, allowed: tuple[str, ...] = ()) -> Iterator[Finding]:
    """Check a tap against the code and the machine as they are now, telling of each thing.

    Args:
        path: a seed or state tap; it is not changed.
        run_directory: where it would run.
        allowed: modules, as by ``--allow-module``.

    Raises:
        TaphouseError: the tap cannot be read at all.
    """
    check_integrity(path)
    yield Finding(f"{path}: every checksum is right")
    run_directory = os.path.abspath(run_directory)
    with opened_copy(path) as (info, store):
        yield Finding(
            f"{info.role} of application {info.name}, epoch {info.epoch}, {info.counts['objects']} objects"
        )
        try:
            yield from _check_code(path, info, store, run_directory, allowed)
        except TaphouseError as error:
            yield problem(error)
    yield from look_around(info, run_directory, own_server(path, info))


def _check_code(
    path: str, info: TapInfo, store: Store, run_directory: str, allowed: tuple[str, ...]
) -> Iterator[Finding]:
    check_plan_shape(info.plan, path)
    loader = ModuleLoader(
        path,
        run_directory=run_directory,
        script_folder=(info.plan.get("script") or {}).get("folder", ""),
        allowed=allowed,
    )
    modules = import_plan(loader, info)
    for name, module in modules.items():
        if not name.startswith("taphouse"):
            yield Finding(f"module {name} is {getattr(module, '__file__', '?')}")
    loaded = thaw_tap(store, Choice(path, info), loader, modules, dict(info.plan))
    for note in loaded.notes:
        yield Finding(note)
    for record in info.classes:
        installed = loader.resolve(record, modules)
        if installed is not None and class_record(installed).version > record.version:
            version = class_record(installed).version
            yield Finding(f"class {record.name} is upgraded from version {record.version} to {version}")

"""Probing: which modules a tap needs, found out by importing and thawing it in another process.

What is in a program's imports shows when they run, and nowhere else.  The process
is thrown away, and with it whatever the code did at import.  This module must never
import application code into the process that makes the package.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from taphouse.errors import ConfigurationError, NotPermittedError, TaphouseError
from taphouse.value import Value

__all__ = ["Probe", "main", "probe_tap"]

_PATIENCE_S: Final = 300.0
_CODE: Final = (
    "import sys; before = set(sys.modules); from taphouse.cli.shipping.probing import main; main(before)"
)

# What a running server of any kind may come to, and not before it is asked, told to stop or in trouble.
_ROOMS: Final = (
    "taphouse.app", "taphouse.cli.starting", "taphouse.control", "taphouse.daemon", "taphouse.durable",
    "taphouse.persist", "taphouse.runtime", "taphouse.usage",
)  # fmt: skip
# What only makes packages, and was imported by ourselves.
_NOT_AT_RUN: Final = ("taphouse.cli.inspecting", "taphouse.cli.shipping", "taphouse.packaging")


class Probe(Value):
    """What was found out.

    Args:
        modules: importable name -> file, "" for what has none; without Python's own.
        path: folders that they were looked for in.
        credentials: names of the secrets that a service manager has to hand over.
    """

    modules: dict[str, str]
    path: tuple[str, ...]
    credentials: tuple[str, ...] = ()


def probe_tap(tap: str, *, allowed: tuple[str, ...] = ()) -> Probe:
    """Import and thaw a tap in a process of its own, with our interpreter, and return what it took.

    Args:
        tap: a seed.
        allowed: modules, as by ``--allow-module``.

    Raises:
        ConfigurationError, NotPermittedError: a module or class is missing or refused, or cannot be imported.
    """
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8") as answer:
        command = [sys.executable, "-P", "-B", "-c", _CODE, str(writing), tap, *allowed]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), pass_fds=[writing]
        ) as child:
            os.close(writing)
            try:
                text = answer.read()
                child.wait(_PATIENCE_S)
            finally:
                child.kill()
    if not text:
        raise ConfigurationError(
            f"{tap}: importing its code ended Python with status {child.returncode}",
            cure="start it here first: tap check",
        )
    told = json.loads(text)
    if "problem" in told:
        kind = NotPermittedError if told["status"] == NotPermittedError.exit_code else ConfigurationError
        raise kind(told["problem"], cure=told["cure"])
    return Probe(told["modules"], tuple(told["path"]), tuple(told["credentials"]))


def main(before: set[str]) -> None:
    """Do it: the arguments are a descriptor to answer on, the tap, and modules that are allowed."""
    descriptor, tap, *allowed = sys.argv[1:]
    try:
        answer: dict[str, Any] = _find_out(tap, allowed, before)
    except TaphouseError as error:
        answer = {"problem": error.message, "cure": error.cure, "status": error.exit_code}
    with open(int(descriptor), "w", encoding="utf-8") as out:
        json.dump(answer, out)
    # Nobody waits for threads that the code has started at import, or for what it wants to do at the end.
    os._exit(0)


def _find_out(tap: str, allowed: list[str], before: set[str]) -> dict[str, Any]:
    from taphouse.cli.inspecting.copying import opened_copy
    from taphouse.cli.starting.choosing import Choice
    from taphouse.cli.starting.loading import ModuleLoader
    from taphouse.cli.starting.thawing import import_plan, thaw_tap

    with opened_copy(tap) as (info, store):
        loader = ModuleLoader(
            tap,
            run_directory=os.getcwd(),
            script_folder=(info.plan.get("script") or {}).get("folder", ""),
            allowed=allowed,
        )
        loader.add_folders([os.path.dirname(os.path.abspath(tap))])
        modules = import_plan(loader, info)
        thaw_tap(store, Choice(tap, info), loader, modules, dict(info.plan))
        for record in info.classes:
            if loader.resolve(record, modules) is None:
                raise ConfigurationError(
                    f"{tap}: class {record.name} is not in the installed code",
                    cure="install the code that made the tap",
                )
        for room in _ROOMS:
            _import_package(room)
    return {
        "modules": dict(_loaded(before)),
        "path": sys.path,
        "credentials": [],
    }


def _loaded(before: set[str]) -> Iterator[tuple[str, str]]:
    for name, module in sorted(sys.modules.items()):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or (name in before and top != "taphouse") or top == "__main__":
            continue
        if not name.startswith(_NOT_AT_RUN):
            yield name, str(getattr(module, "__file__", None) or "")


def _import_package(name: str) -> None:
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(package.__path__, f"{name}."):
        with suppress(ImportError):  # a twin that was not compiled, an extra that is not there
            importlib.import_module(found.name)

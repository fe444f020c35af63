"""Probing: which modules a tap needs, found out by importing and thawing it in another process.

What is in a program's imports shows when they run, and nowhere else.  The process
is thrown away, and with it whatever the code did at import.  This module must never
import application code into the process that makes the package.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import os
import pkgutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from taphouse.app import Application, verbs
from taphouse.durable import raw_state
from taphouse.errors import ConfigurationError, NotPermittedError, TaphouseError, where
from taphouse.persist import TapInfo
from taphouse.value import Value

__all__ = ["Probe", "main", "probe_tap"]

_PATIENCE_S: Final = 300.0
_CODE: Final = (
    "import sys; before = set(sys.modules); from taphouse.cli.shipping.probing import main; main(before)"
)

# What a running server of any kind may come to, and not before it is asked, told to stop or in trouble.
_ROOMS: Final = (
    "taphouse.app", "taphouse.cli.carrying", "taphouse.cli.starting", "taphouse.control", "taphouse.daemon",
    "taphouse.durable", "taphouse.persist", "taphouse.runtime", "taphouse.usage",
)  # fmt: skip
# What only makes packages, and was imported by ourselves.
_NOT_AT_RUN: Final = ("taphouse.cli.inspecting", "taphouse.cli.shipping", "taphouse.packaging")


class Probe(Value):
    """What was found out.

    Args:
        modules: importable name -> file, "" for what has none; without Python's own.
        path: folders that they were looked for in.
        credentials: names of the secrets that a service manager has to hand over.
        standard: modules of Python's own library that were imported, too.
    """

    modules: dict[str, str]
    path: tuple[str, ...]
    credentials: tuple[str, ...] = ()
    standard: tuple[str, ...] = ()


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
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[writing]
        ) as child:
            os.close(writing)
            too_late = threading.Timer(_PATIENCE_S, child.kill)
            too_late.start()
            try:
                text = answer.read()
                child.wait()
            finally:
                too_late.cancel()
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
    return Probe(told["modules"], tuple(told["path"]), tuple(told["credentials"]), tuple(told["standard"]))


def main(before: set[str]) -> None:
    """Do it: the arguments are a descriptor to answer on, the tap, and modules that are allowed."""
    descriptor, tap, *allowed = sys.argv[1:]
    try:
        answer: dict[str, Any] = _find_out(tap, allowed, before)
    except TaphouseError as error:
        answer = {"problem": error.message, "cure": error.cure, "status": error.exit_code}
    except Exception as error:
        cure = "start it here first: tap check"
        answer = {"problem": f"{tap}: its code fails: {where(error)}", "cure": cure, "status": 78}
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
        _refuse_scripts(tap, info)
        loader = ModuleLoader(
            tap,
            run_directory=os.getcwd(),
            script_folder=(info.plan.get("script") or {}).get("folder", ""),
            allowed=allowed,
        )
        loader.add_folders([os.path.dirname(os.path.abspath(tap))])
        modules = import_plan(loader, info)
        loaded = thaw_tap(store, Choice(tap, info), loader, modules, dict(info.plan))
        credentials = sorted(set(_credentials(tap, loaded.application)))
        for record in info.classes:
            if loader.resolve(record, modules) is None:
                raise ConfigurationError(
                    f"{tap}: class {record.name} is not in the installed code",
                    cure="install the code that made the tap",
                )
        for room in _ROOMS:
            _import_package(room)
        with verbs.quiet():
            _import_late([*modules, *_makers(info.plan)])
    standard = [name for name in sorted(sys.modules) if name.partition(".")[0] in sys.stdlib_module_names]
    return {
        "modules": dict(_loaded(before)),
        "path": sys.path,
        "credentials": credentials,
        "standard": standard,
    }


def _refuse_scripts(tap: str, info: TapInfo) -> None:
    for name in [*info.plan.get("modules", ()), *(record.module for record in info.classes)]:
        if name == "__main__":
            raise ConfigurationError(
                f"{tap}: names what is in __main__, a script without a name of its own",
                cure="save it from a file that can be imported: python otk.py",
            )


def _credentials(tap: str, application: Application) -> Iterator[str]:
    """Yield the names of the credentials that an application reads.

    Raises:
        ConfigurationError: a secret is in the tap itself, which everybody may read once it is installed.
    """
    from taphouse.cli.making.asbuilt import locate
    from taphouse.cli.making.keptsecrets import secrets_in

    for label, obj in locate(application).items():
        for name, value in raw_state(obj).items():
            for step, secret in secrets_in(value):
                place = f"{label}.{name}{step}"
                if secret.kind == "tap":
                    raise ConfigurationError(
                        f"{tap}: {place} is a secret, and what a package holds can be read by everybody",
                        cure=f"make the tap with --{name.replace('_', '-')}-credential NAME instead",
                    )
                if secret.kind == "credential":
                    yield secret.name


def _loaded(before: set[str]) -> Iterator[tuple[str, str]]:
    standard = sysconfig.get_path("stdlib")
    for name, module in sorted(sys.modules.items()):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in {"__main__", "__mp_main__"}:
            continue
        if name in before and top != "taphouse":
            continue  # what a .pth file of the environment has brought
        file = str(getattr(module, "__file__", None) or "")
        # What extensions make for themselves has neither a file nor, as a namespace has, a path.
        is_found = bool(file) or hasattr(module, "__path__")
        if is_found and os.path.dirname(file) != standard and not name.startswith(_NOT_AT_RUN):
            yield name, file


def _import_package(name: str) -> None:
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(package.__path__, f"{name}."):
        with suppress(ImportError):  # a twin that was not compiled, an extra that is not there
            importlib.import_module(found.name)


def _makers(plan: Mapping[str, Any]) -> Iterator[str]:
    for entry in plan.get("servers") or ():
        if isinstance(entry, Mapping) and isinstance(entry.get("module"), str):
            yield entry["module"]


def _import_late(planned: Iterable[str]) -> None:
    """Import what the application's code and its makers import inside of functions, as far as it is there.

    Of installed packages only those are looked into that the plan names: what they need of others is
    their distribution's to say.
    """
    # Of taphouse itself just the maker, else all of a package.
    roots = {name if name.startswith("taphouse.") else name.partition(".")[0] for name in planned}
    seen: set[str] = set()
    importlib.import_module("taphouse.runtime")
    _try("uvloop")
    while True:
        # A list at once: a thread that the code has started may be importing.
        new = [name for name in list(sys.modules) if name not in seen and _is_ours(name, roots)]
        if not new:
            return
        seen.update(new)
        for name in new:
            for wanted in dict.fromkeys(_late_imports(name)):
                if wanted.partition(".")[0] not in sys.stdlib_module_names:
                    _try(wanted)


def _is_ours(name: str, roots: set[str]) -> bool:
    top = name.partition(".")[0]
    if any(name == root or name.startswith(f"{root}.") for root in roots):
        return not name.startswith(("taphouse.app", "taphouse.runtime"))
    if top in sys.stdlib_module_names or top == "taphouse":
        return False
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    return file.endswith(".py") and not {"site-packages", "dist-packages"} & set(file.split(os.sep))


def _late_imports(name: str) -> Iterator[str]:
    """Yield what functions of a module import."""
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    try:
        with open(file, "rb") as source:
            tree = ast.parse(source.read())
    except (OSError, SyntaxError, ValueError):
        return
    package = name if os.path.basename(file) == "__init__.py" else name.rpartition(".")[0]
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    for node in {inner: None for function in functions for inner in ast.walk(function)}:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            with suppress(ImportError):
                whole = importlib.util.resolve_name(base, package)
                yield whole
                yield from (f"{whole}.{alias.name}" for alias in node.names)


def _try(name: str) -> None:
    with suppress(Exception, SystemExit):  # what it needs may not be there, and the server gets on without it
        importlib.import_module(name)

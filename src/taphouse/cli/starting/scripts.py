"""Applications that come from Python code: a script that runs itself, ``-y FILE.py``, ``module:attr``.

Everything about ``__main__`` and its importable name is here.  This module
must never know of taps, state or processes.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType

from taphouse.app import Application
from taphouse.cli.starting.loading import import_whole
from taphouse.errors import ConfigurationError, ModuleRefusedError, TaphouseError, where
from taphouse.names import script_module_name
from taphouse.value import Value

__all__ = ["Script", "load_application", "main_script", "named_main"]


class Script(Value):
    """Where the code of an application lies: its importable name and the folder to find it in."""

    module: str
    folder: str

    def as_plan(self) -> dict[str, str]:
        """Return the plan's ``script`` entry."""
        return {"module": self.module, "folder": self.folder}


def main_script() -> Script | None:
    """Return the script that is running as ``__main__``, or ``None`` if it is none of the application's.

    ``None`` for a console command, ``python -m`` and the like: classes of
    ``__main__`` cannot come from there.

    Raises:
        ConfigurationError: if its classes could not be found again: typed at a
            prompt, or in a file whose name means another module.
    """
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None)
    if main is None or path is None or path == "<stdin>":
        raise ConfigurationError(
            "classes typed at a prompt cannot be found again by twistd",
            cure="put the program into a file, such as server.py, and run that",
        )
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        # python -m package.module: importable by its own name already.
        return Script(spec.name, "") if not spec.name.endswith("__main__") else None
    path = os.path.realpath(path)
    name = script_module_name(path)
    if not name:
        stem = os.path.splitext(os.path.basename(path))[0]
        better = "".join(letter if letter.isalnum() else "_" for letter in stem) or "server"
        raise ConfigurationError(
            f"{path} cannot be imported under its own name",
            cure=f"call it {better if better.isidentifier() else 'server'}.py",
        )
    shadow = _other_module(name, path)
    if shadow:
        raise ConfigurationError(
            f"{path} has the name of another module ({shadow}), which twistd would import instead",
            cure="give the script a name of its own",
        )
    loaded = sys.modules.get(name)
    if loaded is not None and loaded is not main:
        raise ConfigurationError(
            f"{path} was also imported as module {name}, so its classes exist twice",
            cure="let no module import the script that is run; move the shared classes to a module",
        )
    return Script(name, os.path.dirname(path))


def _other_module(name: str, path: str) -> str:
    """Return what ``import name`` would find elsewhere than at ``path``, or ``""``."""
    if name in sys.stdlib_module_names or name in sys.builtin_module_names:
        return f"Python's own {name}"
    folder = os.path.dirname(path)
    elsewhere = [entry for entry in sys.path if os.path.realpath(entry or os.getcwd()) != folder]
    spec = importlib.machinery.PathFinder.find_spec(name, elsewhere)
    if spec is None or spec.origin is None or os.path.realpath(spec.origin) == path:
        return ""
    return str(spec.origin)


@contextmanager
def named_main(script: Script | None) -> Iterator[None]:
    """While saving or running, let ``sys.modules[script.module]`` be ``__main__``.

    So a thaw finds the classes that run, and no class exists twice.
    """
    if script is None or not script.module or script.module in sys.modules:
        yield
        return
    sys.modules[script.module] = sys.modules["__main__"]
    try:
        yield
    finally:
        sys.modules.pop(script.module, None)


def load_application(target: str, *, folders: Iterable[str] = ()) -> tuple[Application, Script]:
    """Run the code that ``target`` names and return the application it built.

    Args:
        target: ``FILE.py``, ``FILE.py:attr`` or ``module:attr``.
        folders: where a module may lie besides what is installed.

    Raises:
        ConfigurationError: the file is missing or unusable, or builds no
            application, or more than one.
        ModuleRefusedError: the module is missing or fails to import.
    """
    target_path, colon, attribute = target.partition(":")
    if target_path.endswith(".py"):
        module, script = _load_file(target_path)
        shown = os.path.basename(target_path)
    else:
        module, script = _load_module(target_path, list(folders))
        shown = target_path
    return find_application(module, attribute if colon else "", shown), script


def _load_file(path: str) -> tuple[ModuleType, Script]:
    real = os.path.realpath(path)
    if not os.path.exists(real):
        raise ConfigurationError(f"{path} does not exist", cure="name the file that builds the application")
    if not os.path.isfile(real):
        raise ConfigurationError(f"{path} is not a file", cure="name the file that builds the application")
    name = script_module_name(real)
    if not name:
        raise ConfigurationError(
            f"{path} cannot be imported under its own name", cure="use letters, digits and _ before .py"
        )
    shadow = _other_module(name, real)
    if shadow:
        raise ConfigurationError(
            f"{path} has the name of another module ({shadow})", cure="give the file a name of its own"
        )
    folder = os.path.dirname(real)
    _append_to_path(folder)
    spec = importlib.util.spec_from_file_location(name, real)
    if spec is None:
        raise ConfigurationError(f"{path} is no Python source file", cure="name the file that builds it")
    try:
        return _run(lambda: import_whole(name, spec), path), Script(name, folder)
    except ModuleNotFoundError as error:
        raise ModuleRefusedError(
            f"{path} needs module {error.name}, which is not there; looked in {folder} and what is installed",
            cure=f"install {error.name}",
        ) from error


def _load_module(name: str, folders: list[str]) -> tuple[ModuleType, Script]:
    for folder in folders:
        _append_to_path(folder)
    _refuse_shadowed(name.partition(".")[0], folders)
    try:
        module = _run(lambda: import_whole(name), name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        needs = "" if missing == name or name.startswith(missing + ".") else f" (needed by {name})"
        raise ModuleRefusedError(
            f"module {missing}{needs} is not there; looked in {' and '.join(dict.fromkeys(folders))}"
            " and what is installed",
            cure="run where the module lies, or install it",
        ) from error
    path = getattr(module, "__file__", None)
    top = sys.modules.get(name.partition(".")[0])
    root = getattr(top, "__file__", None) or path
    if root is None:
        return module, Script(name, "")
    folder = os.path.dirname(os.path.realpath(root))
    if os.path.basename(root).startswith("__init__."):
        folder = os.path.dirname(folder)
    return module, Script(name, folder)


def _refuse_shadowed(top: str, folders: list[str]) -> None:
    """Refuse a module of ours of whose name Python would import another one."""
    own = importlib.machinery.PathFinder.find_spec(top, folders)
    if own is None or own.origin is None:
        return
    found = importlib.util.find_spec(top)
    origin = found.origin if found is not None and found.origin is not None else "another module"
    if os.path.realpath(origin) != os.path.realpath(own.origin):
        raise ModuleRefusedError(
            f"module {top} in {os.path.dirname(own.origin)} is shadowed by {origin}",
            cure=f"rename it, or name the file: {os.path.basename(own.origin)}",
        )


def _append_to_path(folder: str) -> None:
    if os.path.realpath(folder) not in {os.path.realpath(entry) for entry in sys.path if entry}:
        sys.path.append(folder)


def _run(load: Callable[[], ModuleType], shown: str) -> ModuleType:
    try:
        return load()
    except (TaphouseError, ModuleNotFoundError):
        raise
    except (Exception, SystemExit) as error:
        raise ConfigurationError(
            f"{shown} cannot be run: {where(error)}", cure="mend it and start again"
        ) from error


def find_application(module: ModuleType, attribute: str, shown: str) -> Application:
    """Return the application of ``module``: ``attribute``, else ``application``, else its only one.

    Raises:
        ConfigurationError: if there is none, or more than one to choose from.
    """
    if attribute:
        found: object = module
        for part in attribute.split("."):
            found = getattr(found, part, None)
        if isinstance(found, Application):
            return found
        raise ConfigurationError(
            f"{shown} has no Application named {attribute}",
            cure=_offer(shown, _applications(module)) or "name one that it builds",
        )
    named = vars(module).get("application")
    if isinstance(named, Application):
        return named
    built = _applications(module)
    different = {id(application): name for name, application in built.items()}
    if not different:
        raise ConfigurationError(
            f"{shown} builds no Application", cure='bind one to a name: application = Application("name")'
        )
    if len(different) > 1:
        names = " and ".join(sorted(different.values()))
        raise ConfigurationError(
            f"{shown} builds more than one Application: {names}",
            cure=f"name one of them application, or run {shown}:{min(different.values())}",
        )
    return next(iter(built.values()))


def _applications(module: ModuleType) -> dict[str, Application]:
    return {name: value for name, value in vars(module).items() if isinstance(value, Application)}


def _offer(shown: str, built: dict[str, Application]) -> str:
    return "there is " + ", ".join(f"{shown}:{name}" for name in sorted(built)) if built else ""

"""Targets: ``module:attribute`` on a command line becomes an application, and says of which kind it is.

Whether the module may be imported at all is somebody else's judgement, made
before.  This module must never know how an application is served.
"""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import inspect
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Literal

from taphouse.errors import ConfigurationError, UsageError, where
from taphouse.names import is_importable_name

__all__ = ["app_kind", "lies_in", "load_target", "split_target"]


def split_target(target: str) -> tuple[str, str]:
    """Return (module, attribute) of ``module:attribute``.

    Raises:
        UsageError: if it is not that, or its module is Python's own.
    """
    module, colon, attribute = target.partition(":")
    if not colon or not is_importable_name(module) or not all(map(str.isidentifier, attribute.split("."))):
        raise UsageError(
            f"--app {target!r:.120} is not MODULE:ATTRIBUTE", cure="name the application, as in shop:app"
        )
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        raise UsageError(
            f"--app {target}: module {module} belongs to Python itself, a tap may not name it",
            cure="import what it offers into a module of your own",
        )
    return module, attribute


def lies_in(module: str, folder: str) -> bool:
    """Say whether ``module`` would be found in ``folder``, importing nothing."""
    top = module.partition(".")[0]
    return importlib.machinery.PathFinder.find_spec(top, [folder]) is not None


def load_target(target: str, folder: str, *, is_factory: bool = False) -> Any:
    """Import the module of ``target`` and return what its attribute is.

    Args:
        target: ``module:attribute``; the attribute may have dots, but not through another module.
        folder: where the module lies, appended to ``sys.path``; ``""`` for an installed one.
        is_factory: whether the attribute is called, without arguments, to make the application.

    Raises:
        ConfigurationError: in one line, whatever keeps it from being there.
    """
    module_name, attribute = split_target(target)
    if folder and os.path.realpath(folder) not in {os.path.realpath(entry) for entry in sys.path}:
        sys.path.append(folder)
    try:
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise ConfigurationError(
            f"web application {target} cannot be imported: {where(error, skip=__file__)}",
            cure="mend the module and start again",
        ) from error
    for part in attribute.split("."):
        found = getattr(found, part, None)
        if found is None or isinstance(found, ModuleType):
            what = f"attribute {part} is another module" if found is not None else f"there is no {part}"
            raise ConfigurationError(f"web application {target}: {what}", cure=_offer(module_name))
    if is_factory:
        try:
            found = found()
        except (Exception, SystemExit) as error:
            raise ConfigurationError(
                f"web application {target} cannot be made: {where(error, skip=__file__)}",
                cure="mend the module and start again",
            ) from error
    if not callable(found):
        raise ConfigurationError(
            f"web application {target} is {type(found).__name__} {found!r:.60}, which cannot be called",
            cure=_offer(module_name),
        )
    return found


def app_kind(app: Any) -> Literal["asgi3", "asgi2", "wsgi"] | None:
    """Say what ``app`` is by how it wants to be called; None if that does not tell.

    ``await app(scope, receive, send)`` is ASGI 3, ``await app(scope)(receive, send)`` ASGI 2, and
    ``app(environ, start_response)`` WSGI (PEP 3333).
    """
    target = app
    while isinstance(target, functools.partial):
        target = target.func
    if inspect.isclass(target):
        if hasattr(target, "__await__"):
            return "asgi3"
    elif inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(type(target).__call__):
        return "asgi3"
    return {1: "asgi2", 2: "wsgi", 3: "asgi3"}.get(_wanted_arguments(app))  # type: ignore[return-value]


def _wanted_arguments(app: Callable[..., Any]) -> int:
    """Return how many positional arguments ``app`` has to be given; -1 if nobody knows."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return -1
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in positional and each.default is inspect.Parameter.empty for each in parameters)


def _offer(module_name: str) -> str:
    module = sys.modules.get(module_name)
    named = [name for name, value in vars(module).items() if _looks_like_one(value)] if module else []
    return f"there is {', '.join(f'{module_name}:{name}' for name in named[:5])}" if named else "name another"


def _looks_like_one(value: object) -> bool:
    """Say whether ``value``, bound to a name of a module, looks like an application."""
    if isinstance(value, (ModuleType, type)) or not callable(value):
        return False
    named_app = type(value).__name__ in {"Starlette", "FastAPI", "Flask", "Quart", "Litestar"}
    return named_app or (inspect.isfunction(value) and app_kind(value) in ("asgi3", "wsgi"))

"""A maker whose code was imported and found to be one.

It must never know what the maker makes.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from taphouse.errors import ConfigurationError, TaphouseError, where
from taphouse.plugins.declaration import Declaration
from taphouse.value import Value

__all__ = ["Maker", "load_maker"]

_HOUSE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Maker(Value):
    """What makes one type of server.

    Args:
        Options: the class of its options.
        update_application: adds the server to an application: ``(application, options)``.
        description: one line.
        entry: how it was declared.
    """

    Options: type[Any]
    update_application: Callable[[Any, Any], object]
    description: str
    entry: Declaration


def load_maker(declaration: Declaration, description: str) -> Maker:
    """Import a maker.

    Args:
        declaration: which.
        description: what its source said of it.

    Raises:
        ConfigurationError: it cannot be imported, or is no maker; one line that names where it was declared.
    """
    made = _object(declaration, _import(declaration))
    try:
        options, update, said = (
            getattr(made, name, None) for name in ("Options", "updateApplication", "description")
        )
    except Exception as error:
        raise _broken(declaration, f"it cannot be asked what it has: {_where(error)}") from error
    if options is None:
        raise _broken(declaration, "it has no Options", cure="give it a class Options(usage.Options)")
    from taphouse.usage import Options

    if not (isinstance(options, type) and issubclass(options, Options)):
        raise _broken(
            declaration,
            "its Options do not derive from usage.Options",
            cure="write class Options(usage.Options)",
        )
    if not callable(update):
        raise _broken(
            declaration, "it has no updateApplication", cure="define updateApplication(app, config)"
        )
    return Maker(options, update, said if isinstance(said, str) and said else description, declaration)


def _import(declaration: Declaration) -> ModuleType:
    folder = declaration.folder
    if folder and os.path.realpath(folder) not in {os.path.realpath(entry) for entry in sys.path}:
        # Appended, never prepended: what was dropped there takes no installed module's place.
        sys.path.append(folder)
        importlib.invalidate_caches()
    try:
        module = importlib.import_module(declaration.module)
    except ModuleNotFoundError as error:
        missing = error.name or declaration.module
        if declaration.module == missing or declaration.module.startswith(missing + "."):
            raise _broken(declaration, f"module {declaration.module} is not there") from error
        raise _broken(
            declaration, f"it needs module {missing}, which is not there", cure=f"install {missing}"
        ) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _broken(declaration, f"it cannot be imported: {_where(error)}") from error
    source = getattr(module, "__file__", None) or ""
    if declaration.file and os.path.realpath(source) != os.path.realpath(declaration.file):
        raise _broken(
            declaration,
            f"module {declaration.module} was taken from {source or 'elsewhere'}",
            cure="rename one of the two",
        )
    return module


def _object(declaration: Declaration, module: ModuleType) -> Any:
    """Return the module, or the object in it that was declared; of a class, an instance."""
    made: Any = module
    for part in declaration.attribute.split(".") if declaration.attribute else ():
        try:
            made = getattr(made, part)
        except AttributeError as error:
            raise _broken(
                declaration, f"module {declaration.module} has no {declaration.attribute}"
            ) from error
    if isinstance(made, type):
        try:
            return made()
        except Exception as error:
            raise _broken(declaration, f"{declaration.attribute}() failed: {_where(error)}") from error
    return made


def _where(error: BaseException) -> str:
    text = where(error, skip=_HOUSE)
    # Our own errors say what is wrong in a sentence; their class adds nothing.
    return text.removeprefix(f"{type(error).__name__}: ") if isinstance(error, TaphouseError) else text


def _broken(declaration: Declaration, why: str, *, cure: str = "") -> ConfigurationError:
    return ConfigurationError(
        f"server type {declaration.name} ({declaration.origin}) is broken: {why}", cure=cure
    )

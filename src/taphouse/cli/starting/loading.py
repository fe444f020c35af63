"""Which modules a tap may bring in, and which class or function a name in it means.

*Starting a tap imports only what you installed.*  A tap is data from anywhere;
the modules it names are looked for, and judged by where they lie, before one
line of them runs.  This module must never import a module that it has not
judged, and never look further than the names a module itself defines.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import stat
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

from taphouse.durable import ClassRecord, find_registered
from taphouse.errors import ModuleRefusedError, NotPermittedError, where
from taphouse.names import is_importable_name

__all__ = ["ModuleLoader", "import_whole", "plugin_folders"]

_INSTALLED = frozenset({"site-packages", "dist-packages"})
"""What the folders are called that pip and Debian install into."""


class ModuleLoader:
    """Finds, judges and imports the modules of one tap.

    Args:
        tap: the tap's file name, for messages.
        run_directory: where the server runs; modules in it are the operator's own.
        script_folder: the folder the tap recorded for the script it was built by, or ``""``.
        allowed: top-level module names the operator allows by ``--allow-module``.
        trusts_tap: whether folders that the tap recorded are looked in; not so where all code is installed,
            and they are those of the machine on which the tap was made.
    """

    def __init__(
        self,
        tap: str,
        *,
        run_directory: str,
        script_folder: str = "",
        allowed: Iterable[str] = (),
        trusts_tap: bool = True,
    ) -> None:
        self._tap = tap
        self._trusts_tap = trusts_tap
        script_folder = script_folder if trusts_tap else ""
        self._allowed = {name.partition(".")[0] for name in allowed}
        self._folders: list[str] = []
        for folder in (script_folder, run_directory):
            if folder and os.path.isdir(folder) and folder not in self._folders:
                self._folders.append(folder)
        self._recorded = [script_folder] if script_folder else []

    def add_folders(self, folders: Iterable[str]) -> None:
        """Look in ``folders`` too, which the tap recorded for modules that factories import by name.

        Like the script's folder they come before the run directory, and belong to the user or are refused.
        Where packages are installed is no such folder: a tap would allow itself all of them.
        """
        for folder in folders if self._trusts_tap else ():
            if not isinstance(folder, str) or not os.path.isdir(folder) or folder in self._folders:
                continue
            if _INSTALLED.isdisjoint(os.path.realpath(folder).split(os.sep)):
                self._folders.insert(len(self._recorded), folder)
                self._recorded.append(folder)

    def extend_path(self) -> None:
        """Append the recorded script folder and the run directory to ``sys.path``.

        Appended, never prepended: nothing that lies in a data directory may
        take the place of an installed module (or of Python's own).
        """
        present = {os.path.realpath(path) for path in sys.path}
        for folder in self._folders:
            if os.path.realpath(folder) not in present:
                sys.path.append(folder)

    def import_modules(self, names: Iterable[str]) -> dict[str, ModuleType]:
        """Import the modules ``names`` and return them, refusing before any runs.

        Raises:
            ModuleRefusedError: if one is missing, shadowed or not allowed; says where was looked.
        """
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            self.judge(name)
        return {name: self._import(name) for name in wanted}

    def judge(self, name: str) -> None:
        """Raise `ModuleRefusedError` unless the module ``name`` may be imported for this tap."""
        if not is_importable_name(name):
            raise ModuleRefusedError(
                f"{self._tap}: {name!r:.100} is no module name", cure="the tap was made by hand or is damaged"
            )
        top = name.partition(".")[0]
        if top == "taphouse":
            return
        if top in sys.stdlib_module_names or top in sys.builtin_module_names:
            raise ModuleRefusedError(
                f"{self._tap}: module {name} belongs to Python itself, a tap may not name it",
                cure=f"rename the script if it is called {top}.py, and save it again",
            )
        found = self._find(top)
        if found is None:
            raise ModuleRefusedError(
                f"{self._tap}: module {name} is not there; looked in {self._places()}",
                cure=f"put {top}.py into the run directory, or install it",
            )
        own = self._own_folder_of(top)
        if own and _same_place(found, own):
            self._check_folder(top, own)
            return
        if top in self._allowed or self._is_plugin(top, found):
            return
        if own:
            raise ModuleRefusedError(
                f"{self._tap}: module {top} in {os.path.dirname(own)} is shadowed by {found}",
                cure=f"rename it, or run with --allow-module {top} to use the installed one",
            )
        raise ModuleRefusedError(
            f"{self._tap}: module {top} ({found}) is not allowed: it is neither in"
            f" {self._places(own_only=True)} nor a plugin that was installed for taphouse",
            cure=f"run with --allow-module {top} if you trust it",
        )

    def is_there(self, name: str) -> bool:
        """Say whether a module of that name could be found and is none of Python's own; importing nothing."""
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in sys.builtin_module_names or not is_importable_name(name):
            return False
        return top == "taphouse" or self._find(top) is not None

    def _import(self, name: str) -> ModuleType:
        try:
            return import_whole(name)
        except ModuleNotFoundError as error:
            missing = error.name or name
            if missing == name or name.startswith(missing + "."):
                raise ModuleRefusedError(
                    f"{self._tap}: module {name} is not there; looked in {self._places()}",
                    cure="install the version of the code that made the tap",
                ) from error
            raise ModuleRefusedError(
                f"{self._tap}: module {name} needs module {missing}, which is not there",
                cure=f"install {missing}",
            ) from error
        except (Exception, SystemExit) as error:
            raise ModuleRefusedError(
                f"{self._tap}: module {name} cannot be imported: {where(error, skip=__file__)}",
                cure="mend the module and start again",
            ) from error

    def _origin(self, top: str) -> str | None:
        """Return the file or folder Python would take ``top`` from, importing nothing."""
        loaded = sys.modules.get(top)
        spec = getattr(loaded, "__spec__", None) if loaded is not None else None
        if spec is None:
            importlib.invalidate_caches()
            try:
                spec = importlib.util.find_spec(top)
            except (ImportError, ValueError, AttributeError):
                spec = None
        if spec is None:
            return getattr(loaded, "__file__", None)
        if spec.origin not in (None, "namespace"):
            return str(spec.origin)
        locations = list(spec.submodule_search_locations or ())
        return locations[0] if locations else None

    def _own_folder_of(self, top: str) -> str:
        """Return the file of ``top`` in our own folders, or ``""``."""
        return _module_in(self._folders, top)

    def _check_folder(self, top: str, origin: str) -> None:
        """Refuse a recorded folder that belongs to somebody else.

        The run directory is the operator's choice; a recorded folder is only
        what the tap says, and a tap may come from anyone.
        """
        folder = os.path.dirname(origin)
        if os.path.basename(origin).startswith("__init__."):
            folder = os.path.dirname(folder)  # a package lies in the folder, not its modules
        if not any(_same_place(folder, recorded) for recorded in self._recorded):
            return
        for place, lies in ((folder, "lies in"), (origin, "is")):
            status = os.stat(place)
            if status.st_uid not in (0, os.geteuid()) or status.st_mode & stat.S_IWOTH:
                raise NotPermittedError(
                    f"{self._tap}: module {top} {lies} {place}, which others may write to",
                    cure="copy the module into the run directory",
                )

    def _find(self, top: str) -> str | None:
        """Return the file or folder of ``top``, from the user's folder of makers if it is nowhere else."""
        found = self._origin(top)
        if found is not None and not os.path.isdir(found):
            return found
        # A folder that is called like the module, with its data, hides it from nobody.
        from taphouse.plugins import plugins_folder

        return _module_in([plugins_folder()], top) or found

    def _is_plugin(self, top: str, found: str) -> bool:
        """Say whether ``top`` was installed for taphouse: dropped as a maker, or in a distribution for it.

        Raises:
            NotPermittedError: it was dropped where others may write.
        """
        from taphouse.plugins import declares_entry_point, has_marker, plugins_folder, why_refused

        folder = plugins_folder()
        own = _module_in([folder], top)
        in_folder = bool(own) and _same_place(own, found)
        if not in_folder and not has_marker(found):
            return declares_entry_point(top)
        why = why_refused(found)
        if why:
            raise NotPermittedError(
                f"{self._tap}: module {top} is refused: {why}", cure=f"chown or chmod it, or remove {found}"
            )
        if in_folder and folder not in sys.path:
            sys.path.append(folder)
        return True

    def _places(self, *, own_only: bool = False) -> str:
        own = " and ".join(self._folders) or "the run directory"
        return own if own_only else f"{own} and what is installed"

    # -- names in the tap

    def resolve(self, record: ClassRecord, modules: Mapping[str, ModuleType]) -> Any:
        """Return the class or function that ``record`` names, or ``None`` if there is none.

        Only what a class statement, ``@durable`` or ``register()`` recorded, or
        what a module of the plan defines itself.
        """
        known = find_registered(record.name)
        if known is not None:
            return known
        module = modules.get(record.module)
        if module is None:
            return None
        return _defined_in(module, record.module, record.qualname)


def plugin_folders(plan: Mapping[str, Any]) -> list[str]:
    """Return the folders that the plan of a tap names besides its script's.

    Modules that factories import by name lie there, and the makers of its servers.
    """
    named = plan.get("folders")
    folders = list(named) if isinstance(named, list) else []
    servers = plan.get("servers")
    entries = servers if isinstance(servers, list) else []
    folders += [entry.get("folder") for entry in entries if isinstance(entry, Mapping)]
    return list(dict.fromkeys(folder for folder in folders if folder and isinstance(folder, str)))


def import_whole(name: str, spec: importlib.machinery.ModuleSpec | None = None) -> ModuleType:
    """Import the module ``name`` (from ``spec`` if given) and keep it even if it ends in ``sys.exit()``.

    Scripts without a main guard, as in 2002, may call ``sys.exit()`` after
    ``app.save()``; what they defined until then is the module.
    """
    loaded = sys.modules.get(name)
    if loaded is not None and spec is None:
        return loaded
    if spec is None and "." not in name:
        spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        return importlib.import_module(name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except SystemExit:
        pass
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return sys.modules[name]


def _defined_in(module: ModuleType, module_name: str, qualname: str) -> Any:
    """Return the class or function ``qualname`` that ``module`` itself defines, or ``None``.

    Walks only through classes that the module defines: an imported module, an
    instance or an imported class on the way ends the walk, so no name in a tap
    can reach ``otk.os.system``.
    """
    names = (module_name, "__main__") if sys.modules.get("__main__") is module else (module_name,)
    found: Any = module
    walked = ""
    for part in qualname.split("."):
        found = vars(found).get(part)
        if isinstance(found, staticmethod):
            found = found.__func__
        walked = f"{walked}.{part}" if walked else part
        if not isinstance(found, (type, FunctionType)):
            return None
        if found.__module__ not in names or found.__qualname__ != walked:
            return None
    return found


def _module_in(folders: Sequence[str], top: str) -> str:
    """Return the file of module ``top`` in ``folders``, or its folder if it has no file, or ``""``."""
    spec = importlib.machinery.PathFinder.find_spec(top, [folder for folder in folders if folder])
    if spec is None:
        return ""
    if spec.origin not in (None, "namespace"):
        return str(spec.origin)
    return str(next(iter(spec.submodule_search_locations or ("",))))


def _same_place(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)

"""Where a seed may be put, and how it gets there: whole, with what it replaces kept if that is worth it.

What is written is read back and every class in it looked for before anything has
the name that was asked for.  This module must never know how the application was
made.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FunctionType
from typing import Any

from taphouse.app import Application, check_application, object_label, unsavable
from taphouse.cli.making.planned import planned_servers
from taphouse.cli.starting.loading import ModuleLoader, plugin_folders
from taphouse.cli.starting.owning import owned
from taphouse.durable import ClassRecord
from taphouse.errors import (
    CannotCreateError,
    ConfigurationError,
    ModuleRefusedError,
    NotDurableError,
    NotPermittedError,
    TapError,
    TaphouseError,
)
from taphouse.persist import TapInfo, read_info, replace_tap, set_aside, write_seed
from taphouse.value import Value

__all__ = [
    "Occupant",
    "Placed",
    "check_findable",
    "look_at",
    "make_private",
    "modules_to_allow",
    "place_seed",
]


class Occupant:
    """What has a name already.

    Args:
        path: the name.
        info: what the tap there says; ``None`` if it is no intact tap.
        problem: why not.
    """

    def __init__(self, path: str, info: TapInfo | None, problem: str = "") -> None:
        self.path, self.info, self.problem = path, info, problem

    def refusal(self, name: str, types: Iterable[str]) -> TapError | None:
        """Return why a seed of application ``name`` with servers of ``types`` may not simply replace it.

        A seed that `mktap` made for the same servers is made again without a word: nothing is in it that
        the command line does not say.  Everything else is somebody's work.
        """
        if self.info is None:
            return TapError(f"is there already and is {self.problem}", path=self.path, cure=_FORCE)
        if self.info.role == "state":
            return TapError(
                f"holds the state of {self.info.name}",
                path=self.path,
                cure=f"change its options with mktap --update {self.path}, or {_FORCE}",
            )
        try:
            made = [entry["type"] for entry in planned_servers(self.info.plan, self.path)]
        except TapError:
            return TapError("is a seed with a plan that mktap did not write", path=self.path, cure=_FORCE)
        if not made:
            return TapError("is a seed that was made by code", path=self.path, cure=_FORCE)
        if self.info.name != name or made != list(types):
            what = f"application {self.info.name} with {', '.join(made)}"
            return TapError(f"is a seed of {what}", path=self.path, cure=f"add to it with -a, or {_FORCE}")
        return None


_FORCE = "give another -o, or --force to set it aside"


def look_at(path: str) -> Occupant | None:
    """Return what has the name ``path``, ``None`` if nothing has.

    Raises:
        CannotCreateError: a folder, a device or a pipe has it.
        NotPermittedError: it may not be read.
    """
    if not os.path.lexists(path):
        return None
    if os.path.isdir(path):
        raise CannotCreateError(f"{path} is a folder", cure="give a file name with -o")
    if os.path.exists(path) and not os.path.isfile(path):
        raise CannotCreateError(f"{path} is no regular file", cure="give a file name with -o")
    try:
        return Occupant(path, read_info(path))
    except TapError as error:
        if not os.path.exists(path):
            return Occupant(path, None, "a link that leads nowhere")
        return Occupant(
            path,
            None,
            "damaged" if _looks_like_a_tap(path) else f"no tap ({error.where or 'no SQLite file'})",
        )


def _looks_like_a_tap(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(72)[68:72] == b"TAPh"


class Placed(Value):
    """How a tap was saved."""

    kept: str = ""
    """Where what had the name before is kept, or ``""``."""
    allow: tuple[str, ...] = ()
    """Modules that a start has to be told to allow."""


def place_seed(
    app: Application,
    path: str,
    make_plan: Callable[[Callable[[object], int]], dict[str, Any]],
    *,
    lineage: str = "",
    is_private: bool = False,
    keeps: bool = False,
) -> Placed:
    """Write ``app`` as the seed ``path``, which is the old file or the whole new one at any moment.

    Args:
        app: an application that does not run.
        path: of the seed; a seed that is there is replaced, and keeps its owner and mode.
        make_plan: makes the plan, given what finds the row of an object.
        lineage: of the seed that this is another edition of; empty begins a new one.
        is_private: let nobody else read it: secrets are in it.
        keeps: keep what has the name now as ``.1``, or the first number that is free.

    Raises:
        NotDurableError: something in it cannot be saved; nothing was written.
        ConfigurationError: a class in it could not be found again; nothing was written.
        AlreadyRunningError: a server runs on what is there.
        CannotCreateError, NotPermittedError: it cannot be written there.
    """
    check_application(app)
    problems = unsavable(app)
    if problems:
        raise NotDurableError(problems[0])
    kept = None
    with _hidden_beside(path) as temporary:
        info = write_seed(
            temporary,
            app,
            lambda numbers: make_plan(lambda thing: numbers[id(thing)]),
            label_of=lambda thing: f"{app.name}.{object_label(app, thing)}",
            lineage=lineage,
        )
        check_findable(app.name, info.classes)
        allow = modules_to_allow(path, info.plan, (record.module for record in info.classes))
        _take_after(temporary, path, is_private=is_private)
        if keeps:
            with owned(path):
                # A whole tap gets a second name, so that there is one of the first at any moment.
                kept = replace_tap(temporary, path, keeps=True) if _is_whole(path) else set_aside(path)
        if os.path.exists(temporary):
            replace_tap(temporary, path)
    return Placed(os.fspath(kept) if kept else "", allow)


def _is_whole(path: str) -> bool:
    try:
        read_info(path)
    except TapError:
        return False
    return True


def _take_after(temporary: str, path: str, *, is_private: bool) -> None:
    """Give a new file the owner and mode of the one that it replaces."""
    try:
        before = os.stat(path)
    except OSError:
        before = None
    if before is not None:
        os.chmod(temporary, stat.S_IMODE(before.st_mode))
        if os.geteuid() == 0:
            os.chown(temporary, before.st_uid, before.st_gid)
    if is_private:
        make_private(temporary)


def make_private(path: str) -> None:
    """Let nobody but its owner read a tap: secrets are in it, or about to be."""
    os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) & 0o700)


@contextmanager
def _hidden_beside(path: str) -> Iterator[str]:
    """Give a name in a hidden folder beside ``path``, on the same disk; nothing of it remains."""
    # As tempfile.mkdtemp does; that and shutil cost every mktap 5 ms.
    real = os.path.realpath(path)
    above, name = os.path.split(real)
    folder = os.path.join(above, f".{name}.{os.urandom(4).hex()}.tmp")
    try:
        os.mkdir(folder, 0o700)
    except PermissionError as error:
        raise NotPermittedError(
            f"{path}: {error.strerror}", cure="choose a folder that you may write to, with -o"
        ) from None
    except OSError as error:
        raise CannotCreateError(
            f"{path}: {error.strerror}", cure="choose a folder with space that you may write to, with -o"
        ) from None
    temporary = os.path.join(folder, name)
    try:
        yield temporary
    except TaphouseError as error:
        error.message = error.message.replace(temporary, path)
        raise
    finally:
        with suppress(OSError):
            for leftover in os.listdir(folder):
                os.unlink(os.path.join(folder, leftover))
            os.rmdir(folder)


def modules_to_allow(path: str, plan: Mapping[str, Any], named: Iterable[str]) -> tuple[str, ...]:
    """Return the modules that a start of a tap would refuse unless it is told to allow them.

    Args:
        path: of the tap.
        plan: of the tap.
        named: modules of the classes in it.

    Raises:
        ModuleRefusedError: for one that no start could find, or that it would take from elsewhere.
    """

    def loader(*allowed: str) -> ModuleLoader:
        made = ModuleLoader(path, run_directory=os.getcwd(), allowed=allowed)
        script = plan.get("script") or {}
        made.add_folders([*filter(None, [script.get("folder")]), *plugin_folders(plan)])
        made.extend_path()
        return made

    found: dict[str, None] = {}
    strict = loader()
    for name in dict.fromkeys([*plan.get("modules", ()), *filter(strict.is_there, named)]):
        top = name.partition(".")[0]
        try:
            strict.judge(name)
        except ModuleRefusedError:
            loader(top).judge(name)
            found[top] = None
    return tuple(found)


def check_findable(whose: str, records: Iterable[ClassRecord]) -> None:
    """Refuse classes and functions that the next start could not find again.

    Args:
        whose: what they are in, for the message.
        records: what the tap says of them.

    Raises:
        ConfigurationError: naming the first, with the cure.
    """
    for record in records:
        kind = "function" if record.kind == "function" else "class"
        where = f"{whose}: {kind} {record.module}.{record.qualname}"
        if "<locals>" in record.qualname:
            inner = record.qualname.rpartition(".")[2]
            raise ConfigurationError(
                f"{where} is defined inside of a function, where no start can find it",
                cure=f"move {kind} {inner} to the top of its module",
            )
        if record.module == "__main__":
            raise ConfigurationError(
                f"{where} is defined by the program that runs, which no start imports",
                cure=f"move the {kind} into a module",
            )
        module = sys.modules.get(record.module)
        found: Any = module
        for part in record.qualname.split("."):
            found = getattr(found, part, None)
        if record.kind in ("plain", "function") and not isinstance(found, type | FunctionType):
            raise ConfigurationError(
                f"{where} is not to be found in its module under that name",
                cure=f"bind the {kind} to its own name at the top of the module",
            )

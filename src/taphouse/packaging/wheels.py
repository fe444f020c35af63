"""Wheels: distributions that come out of wheels, for a Python and a machine that may be others than these.

Which wheels is said by a requirements file with sums, or by what is in a folder.
This module must never fetch a wheel, nor import what is in one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from taphouse.errors import ConfigurationError
from taphouse.packaging.about import Part
from taphouse.packaging.elf import ELF_MAGIC
from taphouse.packaging.environment import Environment
from taphouse.packaging.markers import counts, normal_name, parse_requirement
from taphouse.packaging.requirements import Lock, Locked
from taphouse.packaging.runpath import without_runpath
from taphouse.packaging.target import Target
from taphouse.packaging.tree import Tree
from taphouse.packaging.trimming import is_needless, is_notice, license_of, without_interpreter
from taphouse.packaging.wheelfile import WheelFile
from taphouse.packaging.wheelhouse import Wheelhouse

__all__ = ["Wheels"]

_OURS: Final = "taphouse"
_EXTRA: Final = re.compile(r"\bextra\s*==\s*[\"']([^\"']+)[\"']")


class Wheels:
    """Distributions from wheels.

    Args:
        house: the wheels that there are.
        target: what they have to fit.
        lock: which to take, all of them; without one those that bring what is imported, and what they need.
        here: what is installed where the server was tried, to tell what is missing from the wheels.

    Raises:
        ConfigurationError: a marker of the lock cannot be understood, or it wants two versions of something.
    """

    def __init__(
        self, house: Wheelhouse, target: Target, lock: Lock | None = None, *, here: Environment | None = None
    ) -> None:
        self.target = target
        self.notes: list[str] = []
        """What was left out and could be missed, a line each, after `add_parts`."""
        self._house = house
        self._lock = lock
        self._here = here
        self._values = target.markers()
        self._wanted = {normal_name(one.name): one for one in lock.counting(self._values)} if lock else {}
        self._files: dict[str, WheelFile] = {}

    def missing(self) -> list[Locked]:
        """Return what the lock wants and the folders do not have: to be fetched."""
        return [wanted for wanted in self._wanted.values() if not self._house.locked(wanted, self.target)]

    def check_ours(self) -> None:
        """Refuse wheels without taphouse itself, before others are fetched.

        Raises:
            ConfigurationError: it is neither locked nor in a folder, or does not fit.
        """
        if _OURS not in self._wanted:
            self._open_ours()

    def add_parts(self, tree: Tree, folder: str, modules: Sequence[str]) -> list[Part]:
        """Add the distributions, as `PartsSource` has it.

        Raises:
            ConfigurationError: a wheel is missing, does not fit or is damaged, two bring the same file, or
                they do not bring what they need or what was imported here.
        """
        tops = {module.partition(".")[0] for module in modules}
        if self._lock is not None:
            chosen = {name: self._open_locked(wanted) for name, wanted in self._wanted.items()}
        else:
            chosen = {}
        if _OURS not in chosen:
            chosen[_OURS] = self._open_ours()
        needs = {name: self._wanted[name].extras if name in self._wanted else frozenset() for name in chosen}
        if self._lock is None:
            needs.update(self._bringing(tops))
        self._follow(chosen, needs)
        self._check_imported(chosen, tops)
        found: dict[str, WheelFile] = {}
        return [self._add(tree, folder, chosen[name], found) for name in sorted(chosen)]

    def _open(self, path: str) -> WheelFile:
        if path not in self._files:
            wheel = WheelFile(path)
            requires = str(wheel.metadata["Requires-Python"] or "")
            if not self.target.has_python(requires):
                raise ConfigurationError(
                    f"{wheel.path}: is for Python {requires}, and the package is for {self.target}",
                    cure="take another version of it, or another --python",
                )
            if any(name.startswith("__editable__") for name in wheel.path_files):
                raise ConfigurationError(
                    f"{wheel.path}: is editable: its code is somewhere else", cure="build it whole: pip wheel"
                )
            self._files[path] = wheel
        return self._files[path]

    def _open_locked(self, wanted: Locked) -> WheelFile:
        path = self._house.locked(wanted, self.target)
        if not path:
            raise self._unfit(str(wanted), wanted)
        return self._open(path)

    def _open_ours(self) -> WheelFile:
        path = self._house.only(_OURS, self.target)
        if not path:
            if self._house.misfits(_OURS, self.target):
                raise self._unfit(_OURS)
            raise ConfigurationError(
                "taphouse itself is not among the wheels, and nothing runs without it",
                cure="add it to --requirements, or put its wheel into a folder and name that by --wheels",
            )
        return self._open(path)

    def _unfit(self, what: str, wanted: Locked | None = None) -> ConfigurationError:
        name = wanted.name if wanted else what
        there = self._house.misfits(name, self.target, wanted)
        return ConfigurationError(
            f"{what} has no wheel for {self.target}; there is {there or 'none at all'}",
            cure="take another version of it, or another --platform or --python",
        )

    def _bringing(self, tops: set[str]) -> dict[str, frozenset[str]]:
        """Return the names of what is installed here for the modules, as far as there are wheels of it."""
        found: dict[str, frozenset[str]] = {}
        unowned = set()
        for top in tops:
            owners = self._here.owners_of(top) if self._here else []
            found.update((owner, frozenset()) for owner in owners if self._house.only(owner, self.target))
            if not owners:
                unowned.add(top)
        for name in self._house.names() if unowned else ():
            # What lies about as source here may have a wheel; most of it is the application's own.
            path = self._house.only(name, self.target)
            if path and self._open(path).modules & unowned:
                found[name] = frozenset()
        return found

    def _follow(self, chosen: dict[str, WheelFile], needs: Mapping[str, frozenset[str]]) -> None:
        """Choose, or look for, what the chosen ones need, to its end."""
        waiting = [(name, extras, "") for name, extras in needs.items()]
        done: set[tuple[str, str]] = set()
        while waiting:
            name, extras, user = waiting.pop()
            if name not in chosen:
                chosen[name] = self._open_needed(name, user)
            for extra in ("", *sorted(extras)):
                if (name, extra) in done:
                    continue
                done.add((name, extra))
                for line in chosen[name].requires:
                    need = parse_requirement(line)
                    if counts(need.marker, extra, self._values):
                        waiting.append((normal_name(need.name), need.extras, name))

    def _open_needed(self, name: str, user: str) -> WheelFile:
        if self._lock is not None and user != _OURS:
            full = self._values["python_full_version"]
            raise ConfigurationError(
                f"{self._lock.path}: has no {name}, which {user} needs with Python {full}",
                cure=f"lock it for that: uv pip compile --generate-hashes --python-version {full}",
            )
        path = self._house.only(name, self.target)
        if not path:
            if self._house.misfits(name, self.target):
                raise self._unfit(name)
            raise ConfigurationError(
                f"{user or 'the server'} needs {name}, and there is no wheel of it",
                cure=f"put it into the folder of --wheels: pip download --only-binary :all: {name}",
            )
        return self._open(path)

    def _check_imported(self, chosen: Mapping[str, WheelFile], tops: set[str]) -> None:
        """Refuse what runs here with something that the wheels could have asked for and do not bring.

        What only another version of them has imported is not missed: that differs where versions do.
        """
        if self._here is None:
            return
        brought = set().union(*(wheel.modules for wheel in chosen.values()))
        could = {}
        for user, wheel in chosen.items():
            for line in wheel.requires:
                need = parse_requirement(line)
                for extra in {"", *_EXTRA.findall(need.marker)}:
                    if counts(need.marker, extra, self._values):
                        could[normal_name(need.name)] = f"{user}[{extra}]" if extra else user
        for top in sorted(tops - brought):
            for owner in self._here.owners_of(top):
                if owner in could:
                    raise ConfigurationError(
                        f"module {top} is imported here, by {could[owner]}, and no wheel brings it",
                        cure=f"add {owner} to what --requirements or --wheels names",
                    )

    def _add(self, tree: Tree, folder: str, wheel: WheelFile, found: dict[str, WheelFile]) -> Part:
        texts: list[tuple[str, str]] = []
        for place, content, executable in wheel.files():
            parts = place.split("/")
            if is_notice(parts):
                texts.append((parts[-1], content.decode("utf-8", "replace")))
            if is_notice(parts) or is_needless(parts):
                continue
            path, content = f"{folder}/{place}", without_runpath(without_interpreter(place, content))
            other = found.setdefault(place, wheel)
            if other is wheel:
                tree.add_file(path, content, _mode(place, content) if executable else 0o644)
            elif tree[path].content != content:
                raise ConfigurationError(
                    f"{other.path} and {wheel.path} both bring {place}, and not the same",
                    cure="leave one of the two out",
                )
        if wheel.path_files:
            self.notes.append(
                f"{wheel.name}: leaves out {', '.join(wheel.path_files)}, which nothing reads there"
            )
        tags = tuple(tag for tag in wheel.tags if self.target.rank(tag) is not None)
        return Part(wheel.name, wheel.version, license_of(wheel.metadata), tuple(texts), tags)


def _mode(place: str, content: bytes) -> int:
    """Return the mode of a file that its wheel calls a program: only what can be run is one."""
    is_program = content.startswith(ELF_MAGIC) and ".so" not in place.rpartition("/")[2]
    is_script = content.startswith(b"#!") and not place.endswith(".py")
    return 0o755 if is_program or is_script else 0o644

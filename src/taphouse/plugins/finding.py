"""All types of servers that can be made here, and what is wrong with some.

Entry points come before dropped modules, each in the order of ``sys.path``, the
user's own folder last.  Of several with one name the first that is not broken
is used.  It must never import a maker.
"""

from __future__ import annotations

from collections.abc import Iterator

from taphouse.errors import UsageError
from taphouse.plugins.declaration import Declaration, is_type_name
from taphouse.plugins.dropped import MOST_NAMES, dropped_in, names_in
from taphouse.plugins.entry import MakerEntry
from taphouse.plugins.installed import declared_in, distribution_key
from taphouse.plugins.places import search_folders

__all__ = ["Makers", "find_makers"]


class Makers:
    """The types of servers, by name, the broken ones too.

    Args:
        declared: what was found, in the order in which it counts.
        troubles: lines about what could not be looked at.
    """

    def __init__(self, declared: list[Declaration], troubles: list[str]) -> None:
        self._entries: dict[str, MakerEntry] = {}
        self._troubles = troubles
        self.duplicates: list[str] = []
        """A line for each maker that is not used because another has its name."""
        for declaration in declared:
            self._add(MakerEntry(declaration))

    def _add(self, entry: MakerEntry) -> None:
        other = self._entries.setdefault(entry.name, entry)
        if other is entry or _is_same(entry, other):
            return
        used, unused = (entry, other) if other.problem and not entry.problem else (other, entry)
        self._entries[entry.name] = used
        self.duplicates.append(
            f"server type {entry.name} is there twice: {used.origin} is used, {unused.origin} is not"
        )

    @property
    def problems(self) -> list[str]:
        """A line for each maker that is broken, and for each file or folder that cannot be looked at."""
        return [*self._troubles, *(entry.complaint for entry in self if entry.problem)]

    def get(self, name: str) -> MakerEntry:
        """Return the type called ``name``, broken or not.

        Raises:
            UsageError: there is none; says the nearest.
        """
        entry = self._entries.get(name)
        if entry is not None:
            return entry
        import difflib

        near = difflib.get_close_matches(name, self._entries, n=1)
        raise UsageError(
            f"there is no server type {name!r:.100}",
            cure=f"did you mean {near[0]}?" if near else "mktap without arguments lists them",
        )

    def __iter__(self) -> Iterator[MakerEntry]:
        return iter(sorted(self._entries.values(), key=lambda entry: entry.name))

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries


def find_makers() -> Makers:
    """Look for makers wherever Python would import from, and in the user's own folder."""
    installed: list[Declaration] = []
    dropped: list[Declaration] = []
    troubles: list[str] = []
    seen: set[str] = set()
    for folder in search_folders():
        try:
            names = names_in(folder)
        except OSError as error:
            troubles.append(f"{folder}: cannot be read: {error.strerror}")
            continue
        if len(names) > MOST_NAMES:
            troubles.append(f"{folder}: holds more than {MOST_NAMES} names and is not looked through")
            continue
        for name in names:
            key = distribution_key(name)
            if key and key not in seen:
                seen.add(key)
                installed += _declared(folder, name, troubles)
        dropped += dropped_in(folder, names, troubles)
    return Makers([*installed, *dropped], troubles)


def _declared(folder: str, info: str, troubles: list[str]) -> list[Declaration]:
    try:
        declared = list(declared_in(folder, info))
    except OSError as error:
        troubles.append(f"{folder}/{info}: cannot be read: {error.strerror}")
        return []
    troubles += [
        f"{one.origin}: its entry point {one.name!r:.100} cannot be typed as a server type"
        for one in declared
        if not is_type_name(one.name)
    ]
    return [one for one in declared if is_type_name(one.name)]


def _is_same(one: MakerEntry, other: MakerEntry) -> bool:
    """Say whether a module was declared twice, by an entry point and by its marker line."""
    return bool(one.module) and one.module == other.module and not other.declaration.file

"""Building: makers add servers to an application, and it is known who has built what.

A maker is somebody else's code: what it raises is told in one line with its
place.  This module must never read a command line, nor write a file.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from typing import Any

from taphouse import usage
from taphouse.app import (
    Application,
    Connector,
    Listener,
    Service,
    TakenError,
    find_misshapen,
    iter_services,
    verbs,
)
from taphouse.errors import ConfigurationError, InternalError, TaphouseError, UsageError, where
from taphouse.plugins import Declaration, Maker, MakerEntry
from taphouse.value import Value

__all__ = ["Builder", "ServerSpec", "blaming"]

MadeBy = MakerEntry | Declaration
"""Who is to blame."""


class ServerSpec(Value):
    """One server to be built: its name in the tap, and a maker with options."""

    name: str
    maker: Maker
    options: usage.Options

    @property
    def type(self) -> str:
        """Name of the maker."""
        return str(self.maker.entry.name)

    def as_plan(self) -> dict[str, Any]:
        """Return the entry of the plan's ``servers``."""
        entry = self.maker.entry
        return {
            "name": self.name,
            "type": self.type,
            "options": usage.to_plan(self.options),
            "module": entry.module,
            "distribution": entry.distribution or None,
            "folder": None if entry.distribution else entry.folder or _folder_of(entry.module),
        }


class Builder:
    """Adds servers to an application, and knows which has built what.

    Args:
        app: what to add to; it does not run.
        whose: what messages call that which is in it already.
    """

    def __init__(self, app: Application, whose: str = "the application") -> None:
        self._app = app
        self._owners: dict[int, str] = {}
        self._servers: dict[str, ServerSpec] = {}
        self._claim(whose)

    def add(self, spec: ServerSpec) -> None:
        """Run the maker of ``spec`` on the application.

        Raises:
            UsageError: the maker refuses its options, or wants an address that another server has.
            ConfigurationError: the maker wants a name that another server has.
            InternalError: it failed, or has built what no statement of an application makes.
        """
        app = self._app
        before = app.name
        self._servers[spec.name] = spec
        try:
            # What is named by a relative path from here on is here, wherever the maker has gone.
            with blaming(spec.maker.entry), verbs.quiet(), chdir(os.getcwd()):
                outcome = spec.maker.update_application(app, spec.options)
        except TakenError as error:
            raise self._taken(spec, error) from error
        if inspect.iscoroutine(outcome):
            outcome.close()
            raise ConfigurationError(
                f"{_called(spec.maker.entry)}: updateApplication is a coroutine",
                cure="write def, not async def",
            )
        app.name = before
        wrong = find_misshapen(app)
        if wrong:
            raise InternalError(f"{_called(spec.maker.entry)}: what it has built cannot serve: {wrong}")
        new = [record for record in app.listeners if id(record) not in self._owners]
        self._claim(spec.name)
        for listener in new:
            self._refuse_overlap(spec, listener)

    def _claim(self, owner: str) -> None:
        for thing in (*self._app.endpoints, *iter_services(self._app)):
            self._owners.setdefault(id(thing), owner)

    def _refuse_overlap(self, spec: ServerSpec, new: Listener) -> None:
        for other in self._app.listeners:
            if other is not new and _overlap(new, other):
                raise self._both(spec, self._owners[id(other)], new, other)

    def _taken(self, spec: ServerSpec, error: TakenError) -> TaphouseError:
        if error.kind == "address":
            for listener in self._app.listeners:
                if listener.label == error.what:
                    owner = self._owners.get(id(listener), spec.name)
                    return self._both(spec, owner, listener, listener)
        owner = next(
            (self._owners.get(id(thing), spec.name) for thing in self._named(error.what)),
            "an earlier one",
        )
        if owner == spec.name:
            return InternalError(f"{_called(spec.maker.entry)}: {where(error, skip=_HOUSE)}")
        return ConfigurationError(
            f"{self._pair(spec, owner)} both give the name {error.what!r}",
            cure=f"let type {spec.type} make its name= of its options, or leave it out",
        )

    def _named(self, name: str) -> list[Listener | Connector | Service]:
        found: list[Listener | Connector | Service] = [r for r in self._app.endpoints if r.name == name]
        return found + [s for s in iter_services(self._app) if s.name == name]

    def _both(self, spec: ServerSpec, owner: str, new: Listener, other: Listener) -> TaphouseError:
        what = new.label if new.label == other.label else f"{new.label} and {other.label}"
        if owner == spec.name:
            return ConfigurationError(
                f"server {spec.name} listens on {what} twice", cure=_other_value(spec, new, "another value")
            )
        return UsageError(
            f"{self._pair(spec, owner)} both listen on {what}", cure=_other_value(spec, new, "another value")
        )

    def _pair(self, spec: ServerSpec, owner: str) -> str:
        if owner in self._servers:
            return f"servers {owner} and {spec.name}"
        return f"{owner} and server {spec.name}"


_HOUSE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def _called(entry: MadeBy) -> str:
    return f"type {entry.name} ({entry.origin})"


@contextmanager
def blaming(entry: MadeBy) -> Iterator[None]:
    """Tell what the code of a type raises in one line, with its place.

    Raises:
        UsageError: as it was raised: the user is to blame.
        TaphouseError: as it was raised, with the name of the type in front.
        InternalError: for everything else, `SystemExit` too: half a server is none.
    """
    try:
        yield
    except (UsageError, TakenError):
        raise
    except TaphouseError as error:
        error.message = f"{_called(entry)}: {error.message}"
        raise
    except (Exception, SystemExit) as error:
        raise InternalError(f"{_called(entry)}: {where(error, skip=_HOUSE)}") from error


def _other_value(spec: ServerSpec, listener: Listener, value: str) -> str:
    """Return how to give ``spec`` another address: by the name of the option that holds this one."""
    wanted = {listener.port, str(listener.port)} if listener.path is None else {listener.path}
    # The port, if there is one; another option may happen to have the same value.
    options = sorted(usage.to_plan(spec.options).items(), key=lambda option: "port" not in option[0])
    for name, given in options:
        texts = {given, given.rpartition(":")[2]} if isinstance(given, str) else {str(given)}
        if {str(text) for text in wanted} & texts:
            return f"give {spec.name} {value} for --{name.replace('_', '-')}"
    return f"give {spec.name} another address"


def _overlap(one: Listener, other: Listener) -> bool:
    """Say whether two listeners cannot both be bound."""
    if one.path is not None or other.path is not None:
        return one.path == other.path
    datagrams = {one.kind, other.kind} & {"udp"}
    if one.port != other.port or not one.port or (datagrams and one.kind != other.kind):
        return False
    if one.interface == other.interface or "" in (one.interface, other.interface):
        return True
    if {one.interface, other.interface} == {"::", "0.0.0.0"}:
        return False
    for wide, narrow in ((one.interface, other.interface), (other.interface, one.interface)):
        if (wide == "0.0.0.0" and ":" not in narrow) or (wide == "::" and ":" in narrow):
            return True
    return False


def _folder_of(module: str) -> str | None:
    """Return the folder that has to be searched for a module that was imported from no distribution."""
    top = module.partition(".")[0]
    if top == "taphouse":
        return None
    loaded = sys.modules.get(top)
    file = getattr(loaded, "__file__", None)
    if file is None:
        return None
    folder = os.path.dirname(os.path.realpath(file))
    return str(os.path.dirname(folder) if getattr(loaded, "__path__", None) is not None else folder)

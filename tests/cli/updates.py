"""Applications that are built, run and rebuilt: what the tests of updates begin with.

Their classes live here so that a tap may name them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from taphouse import Application, Factory, MultiService, Protocol, Service
from taphouse.app import label_objects, make_plan
from taphouse.cli.making.asbuilt import built_entries
from taphouse.cli.making.reporting import Report
from taphouse.cli.making.updating import rebuild_tap
from taphouse.durable import Durable, attach, find_registered, oid_of
from taphouse.persist import (
    Freezer,
    NullStore,
    SqliteStore,
    TapLock,
    create_state,
    open_state,
    thaw,
    write_seed,
)

NOTHING: Any = object()
BUILT = ("built", "as_built", "servers")


class Thing(Durable):
    """A durable object that hangs on others."""

    def __init__(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)

    def tick(self) -> None:
        self.n += 1


class Other(Thing):
    """The same, of another class."""


class Gone(Thing):
    """One that an update does not find any more."""


class Quotes(Factory, config=("greeting",)):
    protocol = Protocol

    def __init__(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)


class Keys(Quotes):
    """Another factory."""


class Clock(Service):
    def __init__(self, name: str | None = None, **attributes: Any) -> None:
        super().__init__(name)
        for attribute, value in attributes.items():
            setattr(self, attribute, value)

    def tick(self) -> None:
        self.n += 1


def application(
    *factories: Factory, port: int = 1717, services: Iterable[Service] = (), **attributes: Any
) -> Application:
    """Return an application whose factories listen on ports that follow each other."""
    app = Application("quotes")
    for number, factory in enumerate(factories):
        app.listenTCP(port + number, factory)
    for service in services:
        app.addService(service)
    for name, value in attributes.items():
        setattr(app, name, value)
    return app


def server(**options: Any) -> list[dict[str, Any]]:
    """Return a plan's servers."""
    return [
        {
            "name": "quotes",
            "type": "quotes",
            "options": options,
            "module": "cli.updates",
            "distribution": None,
        }
    ]


class Tap:
    """A seed that was made of a build, and a state that began with it.

    Args:
        folder: where they are put.
        app: the build.
        options: of its one server.
    """

    def __init__(self, folder: Path, app: Application, **options: Any) -> None:
        self.seed, self.state = folder / "quotes.tap", folder / "quotes-shutdown.tap"
        self.folder = folder

        def plan(numbers: Any) -> dict[str, Any]:
            def row(thing: object) -> int:
                return numbers[id(thing)]

            return {**make_plan(app, row), **built_entries(app, row), "servers": server(**options)}

        write_seed(self.seed, app, plan)
        store = create_state(self.state, seed=self.seed)
        self._live(store, lambda app: None)

    def run(
        self, change: Callable[[Any], object] = lambda app: None, *, keeps: Iterable[str] = BUILT
    ) -> None:
        """Change the application as a server would, and stop it."""
        self._live(open_state(self.state), change, keeps)

    def _live(
        self, store: SqliteStore, change: Callable[[Any], object], keeps: Iterable[str] = BUILT
    ) -> None:
        lock = TapLock(self.state)
        lock.acquire(0)
        plan = dict(store.info.plan)
        thawed = thaw(store, find)
        app = thawed.root
        freezer = Freezer(thawed.ledger, store, thawed.chunk_bytes)
        change(app)
        for obj in label_objects(app).values():
            if not oid_of(obj):
                attach(obj, thawed.ledger, thawed.ledger.new_oid())
                thawed.ledger.mark(obj)
        kept = {name: plan[name] for name in keeps}
        store.commit(freezer.freeze({**make_plan(app, oid_of), **kept, "run": True}))
        store.close()
        lock.release()

    def update(
        self, app: Application, *, path: Path | None = None, options: Any = NOTHING, **keywords: Any
    ) -> Report:
        """Merge another build with what the tap holds."""
        return rebuild_tap(
            str(path or self.state),
            lambda info: (app, info.plan["servers"] if options is NOTHING else server(**options)),
            allow_modules=["cli"],
            **keywords,
        )

    def thaw(self, path: Path | None = None) -> Any:
        """Return the application that the tap holds now."""
        return thaw(NullStore(path or self.state), find).root

    def thaw_labels(self) -> list[str]:
        """Return the labels of what the tap holds now."""
        return list(label_objects(self.thaw()))


def find(record: Any) -> Any:
    """Find a class as a start does."""
    return find_registered(record.name)


def factory(app: Application, number: int = 0) -> Any:
    """Return what serves a listener."""
    return app.listeners[number].factory


def told(report: Report, kind: str) -> dict[str, str]:
    """Return what a report says of one kind."""
    return {found.what: found.text for found in report.of(kind)}


def pool(*services: Service) -> MultiService:
    """Return a service of services."""
    made = MultiService("pool")
    for service in services:
        made.addService(service)
    return made

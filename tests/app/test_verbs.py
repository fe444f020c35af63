"""An application's verbs are done by whoever was installed, and are silent while a tap is thawed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import taphouse
from taphouse.app import Application, verbs


class Noted:
    """Verbs that note what they are told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def save(self, app: Any, tag: str | None, filename: str | None) -> str | None:
        self.told.append(("save", app, tag, filename))
        return "otk-start.tap"

    def run(self, app: Any) -> None:
        self.told.append(("run", app))

    @asynccontextmanager
    async def running(self, app: Any, **options: Any) -> AsyncIterator[str]:
        self.told.append(("running", app, options))
        yield "server"

    async def serve(self, app: Any, **options: Any) -> None:
        self.told.append(("serve", app, options))


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Noted:
    noted = Noted()
    monkeypatch.setattr(verbs, "_installed", noted)
    return noted


def test_verbs_go_to_whoever_is_installed(noted: Noted) -> None:
    """With the application and the arguments as given."""
    app = Application("otk")

    async def embed() -> None:
        async with app.running(port=1) as server:
            assert server == "server"
        await app.serve(port=2)

    assert app.save("start") == "otk-start.tap"
    app.save(filename="x.tap")
    app.run()
    asyncio.run(embed())
    assert noted.told == [
        ("save", app, "start", None),
        ("save", app, None, "x.tap"),
        ("run", app),
        ("running", app, {"port": 1}),
        ("serve", app, {"port": 2}),
    ]


def test_an_unguarded_script_does_nothing_while_it_is_thawed(noted: Noted) -> None:
    """Its save(), run() and serve() are silent no-ops; nested quiet counts."""
    app = Application("otk")
    with verbs.quiet():
        with verbs.quiet():
            assert app.save("start") is None
        app.run()
        asyncio.run(app.serve())
        assert verbs.is_quiet
        with pytest.raises(RuntimeError, match="only being imported; put it under"):
            app.running()
    assert noted.told == []
    app.run()
    assert noted.told == [("run", app)]


def test_quiet_ends_with_an_exception_too(noted: Noted) -> None:
    """A script that fails to thaw does not silence the next."""
    with pytest.raises(ZeroDivisionError), verbs.quiet():
        raise ZeroDivisionError
    assert not verbs.is_quiet


def test_without_anybody_installed_a_verb_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of failing somewhere inside."""
    monkeypatch.setattr(verbs, "_installed", None)
    with pytest.raises(RuntimeError, match="import Application from taphouse"):
        Application("otk").save("start")


def test_the_front_door_has_what_users_type() -> None:
    """Each name is what its room calls so, and nothing else is promised."""
    from taphouse import app, durable, errors
    from taphouse.durable import durable as decorator

    assert durable is decorator
    assert taphouse.Application is app.Application
    assert errors.TaphouseError.exit_code == 70
    for name in taphouse.__all__:
        assert getattr(taphouse, name) is not None
        assert name in dir(taphouse)
    with pytest.raises(AttributeError, match="module 'taphouse' has no attribute 'Reactor'"):
        getattr(taphouse, "Reactor")  # noqa: B009 - a type checker knows better


def fresh(code: str) -> str:
    """Run ``code`` in a fresh interpreter and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_durable_is_the_decorator_however_it_was_imported() -> None:
    """Importing the room of that name first must not change what users get."""
    show = "print(callable(durable), hasattr(durable, 'atomic'))"
    first = "import taphouse.durable; from taphouse.app import Factory"
    assert fresh(f"from taphouse import durable; {show}") == "True True"
    assert fresh(f"{first}; from taphouse import durable; {show}") == "True True"
    assert fresh("import taphouse.durable; import taphouse; print(callable(taphouse.durable))") == "True"


def test_the_front_door_costs_nothing_until_it_is_used() -> None:
    """A command that reads a tap does not import what runs one."""
    loaded = fresh("import sys, taphouse.errors; print(*sys.modules)").split()
    assert not {"asyncio", "sqlite3", "taphouse.app", "taphouse.durable"} & set(loaded)

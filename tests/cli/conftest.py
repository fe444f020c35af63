"""What several tests of commands begin with."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.badinput import OTK
from cli.makershop import QUOTES, Shop, without_variables
from playground import TOP, Playground

FILES = ("otk-start.tap", "otk-shutdown.tap")


@pytest.fixture(scope="session")
def used_once() -> Iterator[Playground]:
    """A place where otk was saved, run and stopped, one key given; its taps are copied, never used there."""
    place = Playground()
    script = place.write("otk.py", OTK)
    place.run("python", "otk.py")
    place.run("twistd", "-f", "otk-start.tap")
    assert place.ask(8123) == b"0\n"
    place.kill()
    script.unlink()  # the taps name this folder; the code is to come from where a test puts it
    yield place
    place.close()


@pytest.fixture
def seed(playground: Playground) -> Playground:
    """A folder with otk.py and its seed."""
    playground.write("otk.py", OTK)
    playground.run("python", "otk.py")
    return playground


@pytest.fixture
def state(playground: Playground, used_once: Playground) -> Playground:
    """A folder with otk.py, its seed, and a state tap that a server left in order, one key given."""
    playground.share_port(8123, used_once)
    playground.write("otk.py", OTK)
    for name in FILES:
        shutil.copy(used_once.folder / name, playground.folder)
    return playground


@pytest.fixture
def shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Shop]:
    """A folder that we are in, a file of fortunes in it, and the type "quotes" that was dropped elsewhere."""
    plugins = tmp_path / "data" / "taphouse" / "plugins"
    plugins.mkdir(parents=True)
    here = tmp_path / "here"
    here.mkdir()
    (here / "fortunes").write_text("first\n%\nsecond\n")
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    # Tests with programs in their text are no types of servers.
    monkeypatch.setattr(
        sys, "path", [entry for entry in sys.path if not entry.startswith(str(TOP / "tests"))]
    )
    without_variables(monkeypatch)
    made = Shop(here, plugins, capsys)
    made.add("quotes", QUOTES)
    yield made
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]

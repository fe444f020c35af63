"""What several tests of commands begin with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from cli.badinput import OTK
from playground import Playground

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

"""The house stands by its own rules, and the rules catch what they are there to catch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from architecture import house

TOP = Path(__file__).parents[2]
PACKAGE = TOP / "src" / "taphouse"
RULES = [house.long_files, house.missing_charters, house.circles, house.back_doors, house.untidy_doors]

# What may only be loaded by who asks for it: the upper floors, and every extra, present or to come.
NOT_AT_THE_FRONT_DOOR = [
    *("taphouse.cli", "taphouse.control", "taphouse.daemon", "taphouse.testing"),
    *(
        "aiosmtpd",
        "asyncssh",
        "click",
        "cryptography",
        "hiredis",
        "httptools",
        "starlette",
        "twisted",
        "uvicorn",
    ),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_the_rule(rule):
    assert rule(PACKAGE) == []


def test_importing_all_of_taphouse_loads_no_upper_floor_and_no_extra():
    code = "import sys; from taphouse import *; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {
        name for name in answer.stdout.split() if any(_within(name, room) for room in NOT_AT_THE_FRONT_DOOR)
    }
    assert loaded == set()


def _within(name: str, room: str) -> bool:
    return name == room or name.startswith(room + ".")


def test_no_two_files_of_tests_have_one_name():
    """pytest finds a test's helpers beside it, and therefore knows files by their bare names."""
    names = [file.name for file in (TOP / "tests").rglob("*.py")]
    assert {name for name in names if names.count(name) > 1} <= {"__init__.py", "conftest.py"}


# --- the rules, tried on a planted tree ---------------------------------------------------------

SOUND = {
    "__init__.py": '"""Front door."""\nfrom taphouse.app import App\n__all__ = ["App"]\n',
    "__main__.py": '"""python -m."""\nfrom taphouse.cli.main import main\n',
    "errors.py": '"""Errors."""\n',
    "app/__init__.py": '"""Door."""\nfrom taphouse.app.thing import App\n__all__ = ["App"]\n',
    "app/thing.py": '"""Thing."""\nfrom taphouse.errors import X\nclass App: ...\n',
    "cli/__init__.py": '"""Door."""\n__all__ = []\n',
    "cli/main.py": '"""Main."""\nfrom taphouse.app import App\ndef main(): ...\n',
}

THING = '"""Thing."""\n'
DOOR = '"""Door."""\n'
FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "

FAULTS = {
    "a file too long": (house.long_files, "app/thing.py", THING + "x = 1\n" * 350),
    "a C file too long": (house.long_files, "app/_thing.c", "int x;\n" * 351),
    "a module without a charter": (house.missing_charters, "app/other.py", "x = 1\n"),
    "a circle": (house.circles, "errors.py", THING + "from taphouse.app.thing import App\n"),
    "a circle in a function": (
        house.circles,
        "errors.py",
        THING + "def f():\n    import taphouse.app.thing\n",
    ),
    "a circle for types": (house.circles, "errors.py", THING + FOR_TYPES + "from taphouse.app import App\n"),
    "a drawer using its own door": (house.circles, "app/thing.py", THING + "from taphouse.app import App\n"),
    "a circle of relative imports": (house.circles, "app/thing.py", THING + "from . import App\n"),
    "the front door used from inside": (house.circles, "app/thing.py", THING + "import taphouse\n"),
    "a drawer of another room": (
        house.back_doors,
        "cli/main.py",
        THING + "from taphouse.app.thing import App\n",
    ),
    "a drawer through its door": (
        house.back_doors,
        "cli/main.py",
        THING + "from taphouse.app import thing\n",
    ),
    "a drawer at the front door": (
        house.back_doors,
        "__init__.py",
        DOOR + "from taphouse.app.thing import App\n",
    ),
    "a door without a list": (
        house.untidy_doors,
        "app/__init__.py",
        DOOR + "from taphouse.app.thing import App\n",
    ),
    "a door listing what is not there": (house.untidy_doors, "app/__init__.py", DOOR + '__all__ = ["a"]\n'),
}


@pytest.fixture
def planted(tmp_path):
    for name, text in SOUND.items():
        file = tmp_path / "taphouse" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "taphouse"


def test_a_sound_tree_gets_no_complaint(planted):
    assert [complaint for rule in RULES for complaint in rule(planted)] == []


def test_a_door_may_offer_a_thing_named_like_its_drawer(planted):
    (planted / "app/__init__.py").write_text(
        DOOR + 'from taphouse.app.thing import thing\n__all__ = ["thing"]\n'
    )
    (planted / "cli/main.py").write_text(THING + "from taphouse.app import thing\n")
    (planted / "__init__.py").write_text(DOOR)
    assert [complaint for rule in RULES for complaint in rule(planted)] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(planted, fault):
    rule, name, text = FAULTS[fault]
    (planted / name).write_text(text)
    assert len(rule(planted)) == 1


BROKEN_CONTRACTS = {
    "up": ("errors.py", "import taphouse.durable\n"),
    "up in a function": ("app/application.py", "def f():\n    import taphouse.cli\n"),
    "sideways for types": ("persist/store.py", FOR_TYPES + "import taphouse.app\n"),
    "between wings": ("control/server.py", "import taphouse.daemon\n"),
    "a room without a floor": ("utils/__init__.py", ""),
    "a circle": ("app/protocol.py", "import taphouse.app.factory\n"),
    "SQLite above persist": ("daemon/spy.py", "import sqlite3\n"),
    "a maker known by name": ("cli/making.py", "def f():\n    import taphouse.makers\n"),
    "pickle": ("persist/jar.py", "import pickle\n"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", BROKEN_CONTRACTS)
def test_the_contracts_catch_a_planted_fault(tmp_path, fault):
    """import-linter with our own contracts, on bare rooms with one bad import."""
    package = tmp_path / "taphouse"
    for file in [*PACKAGE.glob("*.py"), *PACKAGE.glob("*/__init__.py")]:
        bare = package / file.relative_to(PACKAGE)
        bare.parent.mkdir(parents=True, exist_ok=True)
        bare.touch()
    (package / "app" / "factory.py").write_text("import taphouse.app.protocol\n")
    (package / "app" / "protocol.py").touch()
    shutil.copy(TOP / "pyproject.toml", tmp_path)
    judge = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--no-logo"]
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"}

    sound = subprocess.run(judge, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert sound.returncode == 0, sound.stdout + sound.stderr

    name, text = BROKEN_CONTRACTS[fault]
    bad = package / name
    bad.parent.mkdir(exist_ok=True)
    bad.write_text(text)
    faulty = subprocess.run(judge, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert faulty.returncode == 1
    assert "BROKEN" in faulty.stdout

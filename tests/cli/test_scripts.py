"""Applications that come from Python code, and the importable name of ``__main__``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taphouse.cli.starting.scripts import load_application, main_script, named_main
from taphouse.errors import ModuleRefusedError, TaphouseError

BUILDS = "from taphouse import Application\n{name} = Application('{name}')\n"


@pytest.fixture(autouse=True)
def imports_are_undone(tmp_path: Path) -> Iterator[None]:
    """Those of the test; what Python imports meanwhile for itself is imported once, as other tests expect."""
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def refused(target: object, *folders: Path) -> str:
    with pytest.raises(TaphouseError) as caught:
        load_application(str(target), folders=[str(folder) for folder in folders])
    assert caught.value.exit_code == 78
    return str(caught.value)


def test_the_application_bound_to_application_is_taken(tmp_path: Path) -> None:
    (tmp_path / "both.py").write_text(BUILDS.format(name="other") + BUILDS.format(name="application"))
    application, script = load_application(str(tmp_path / "both.py"))
    assert application.name == "application"
    assert script.as_plan() == {"module": "both", "folder": str(tmp_path)}


def test_else_the_only_one_whatever_its_names(tmp_path: Path) -> None:
    (tmp_path / "single.py").write_text(BUILDS.format(name="app") + "alias = app\n")
    assert load_application(str(tmp_path / "single.py"))[0].name == "app"


def test_an_attribute_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "three.py").write_text("".join(BUILDS.format(name=name) for name in "abc"))
    assert load_application(f"{tmp_path / 'three.py'}:b")[0].name == "b"
    message = refused(f"{tmp_path / 'three.py'}:d")
    assert message == "three.py has no Application named d; there is three.py:a, three.py:b, three.py:c"


def test_a_module_beside_the_operator_is_found(tmp_path: Path) -> None:
    (tmp_path / "besides.py").write_text(BUILDS.format(name="app"))
    application, script = load_application("besides:app", folders=[str(tmp_path)])
    assert application.name == "app"
    assert script.folder == str(tmp_path)


def test_no_application_is_an_error_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "none.py").write_text("x = 1\n")
    assert refused(tmp_path / "none.py") == (
        'none.py builds no Application; bind one to a name: application = Application("name")'
    )


def test_two_applications_are_an_error_that_names_both(tmp_path: Path) -> None:
    (tmp_path / "pair.py").write_text(BUILDS.format(name="one") + BUILDS.format(name="two"))
    message = refused(tmp_path / "pair.py")
    assert message.startswith("pair.py builds more than one Application: one and two;")
    assert "pair.py:one" in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "notthere.py").startswith(f"{tmp_path / 'notthere.py'} does not exist")
    assert refused(tmp_path).count("is not there") == 1


def test_a_syntax_error_is_one_line_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("x = 1\nif x\n")
    message = refused(tmp_path / "wrong.py")
    assert "\n" not in message
    assert "SyntaxError: expected ':'" in message and "wrong.py line 2" in message


def test_an_exception_is_one_line_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "raising.py").write_text("def f():\n    return {}['k']\nf()\n")
    message = refused(tmp_path / "raising.py")
    assert "KeyError: 'k'" in message and "raising.py line 2" in message


def test_a_missing_module_is_named_with_where_was_looked(tmp_path: Path) -> None:
    assert refused("nowhere:app", tmp_path).startswith(
        f"module nowhere is not there; looked in {tmp_path} and what is installed"
    )
    (tmp_path / "needy.py").write_text("import nowhere\n")
    with pytest.raises(ModuleRefusedError, match="needs module nowhere, which is not there"):
        load_application(str(tmp_path / "needy.py"))


@pytest.mark.parametrize("name", ["this", "iniconfig"])
def test_a_module_of_ours_that_another_one_shadows_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text(BUILDS.format(name="app"))
    message = refused(f"{name}:app", tmp_path)
    assert f"module {name} in {tmp_path} is shadowed by " in message
    assert name not in sys.modules or not hasattr(sys.modules[name], "app")


@pytest.mark.parametrize("name", ["my-server.py", "2fast.py", "a b.py"])
def test_a_file_that_has_no_importable_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(BUILDS.format(name="app"))
    assert "cannot be imported under its own name" in refused(tmp_path / name)


@pytest.mark.parametrize("name", ["time.py", "json.py", "pytest.py"])
def test_a_file_with_the_name_of_another_module_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(BUILDS.format(name="app"))
    assert f"{name} has the name of another module" in refused(tmp_path / name)


def test_a_script_that_exits_after_building_is_taken(tmp_path: Path) -> None:
    (tmp_path / "leaving.py").write_text(BUILDS.format(name="app") + "raise SystemExit(0)\n")
    assert load_application(str(tmp_path / "leaving.py"))[0].name == "app"


MAIN = "from taphouse.cli.starting.scripts import main_script\nprint(main_script())\n"


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False, input=MAIN
    )
    return done.stdout + done.stderr


@pytest.mark.process
def test_a_script_knows_its_importable_name_and_folder(tmp_path: Path) -> None:
    (tmp_path / "otk.py").write_text(MAIN)
    assert run(tmp_path, "otk.py") == f"Script(module='otk', folder='{tmp_path}')\n"


@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my-server.py", "cannot be imported under its own name; call it my_server.py"),
        ("server", "cannot be imported under its own name; call it server.py"),
        ("pytest.py", "has the name of another module"),
    ],
)
def test_a_script_that_could_not_be_found_again_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).write_text(MAIN)
    assert message in run(tmp_path, name)


@pytest.mark.process
def test_a_script_named_like_a_module_of_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "this.py").write_text(MAIN)
    assert "this.py has the name of another module (Python's own this)" in run(tmp_path, "this.py")


@pytest.mark.process
@pytest.mark.parametrize("command", [("-c", MAIN), ("-",), ("-i", "-q")])
def test_what_is_typed_at_a_prompt_is_refused(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert "classes typed at a prompt cannot be found again" in run(tmp_path, *command)


SECOND_COPY = "import sys, types\nsys.modules['double'] = types.ModuleType('double')\n"


@pytest.mark.process
def test_a_script_that_was_imported_under_its_name_too_is_refused(tmp_path: Path) -> None:
    (tmp_path / "double.py").write_text(f"import side\n{MAIN}")
    (tmp_path / "side.py").write_text(
        "import sys, types\nsys.modules['double'] = types.ModuleType('double')\n"
    )
    assert "was also imported as module double, so its classes exist twice" in run(tmp_path, "double.py")


def test_main_is_known_under_its_name_while_it_matters() -> None:
    from taphouse.cli.starting.scripts import Script

    assert "someotherotk" not in sys.modules
    with named_main(Script("someotherotk", "/")):
        assert sys.modules["someotherotk"] is sys.modules["__main__"]
    assert "someotherotk" not in sys.modules


def test_the_commands_themselves_are_no_script_of_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__spec__", type("Spec", (), {"name": "taphouse.__main__"})(), raising=False)
    monkeypatch.setattr(main, "__file__", "/x/__main__.py", raising=False)
    assert main_script() is None

"""Starting a tap imports only what was installed: modules are judged by where they lie, before they run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taphouse.cli.starting.loading import ModuleLoader
from taphouse.durable import ClassRecord
from taphouse.errors import ModuleRefusedError, NotPermittedError


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Path]]:
    """A run directory, a script folder and an installed place, each its own; imports from them are undone."""
    path = list(sys.path)
    made = {name: tmp_path / name for name in ("rundir", "scripts", "installed")}
    for folder in made.values():
        folder.mkdir()
    sys.path.append(str(made["installed"]))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    made["plugins"] = tmp_path / "data" / "taphouse" / "plugins"
    made["plugins"].mkdir(parents=True)
    yield made
    sys.path[:] = path
    # Theirs alone: of what else was imported meanwhile there would be two from now on.
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def loader(places: dict[str, Path], *allowed: str) -> ModuleLoader:
    made = ModuleLoader(
        "otk.tap", run_directory=str(places["rundir"]), script_folder=str(places["scripts"]), allowed=allowed
    )
    made.extend_path()
    return made


def test_a_module_of_the_run_directory_or_script_folder_is_imported(places: dict[str, Path]) -> None:
    (places["rundir"] / "inrundir.py").write_text("x = 1")
    (places["scripts"] / "inscripts.py").write_text("x = 2")
    modules = loader(places).import_modules(["inrundir", "inscripts"])
    assert (modules["inrundir"].x, modules["inscripts"].x) == (1, 2)


def test_our_folders_are_appended_never_prepended(places: dict[str, Path]) -> None:
    loader(places)
    assert sys.path[-3:] == [str(places[name]) for name in ("installed", "scripts", "rundir")]


def test_folders_that_factories_name_are_searched_and_judged(places: dict[str, Path], tmp_path: Path) -> None:
    named, package = tmp_path / "named", tmp_path / "named" / "pack"
    package.mkdir(parents=True)
    (named / "innamed.py").write_text("x = 3")
    (package / "__init__.py").write_text("x = 4")
    installed = tmp_path / "lib" / "site-packages"
    installed.mkdir(parents=True)
    made = loader(places)
    made.add_folders([str(named), str(installed), str(tmp_path / "none"), 7])  # type: ignore[list-item]
    made.extend_path()
    assert str(installed) not in sys.path
    modules = made.import_modules(["innamed", "pack"])
    assert (modules["innamed"].x, modules["pack"].x) == (3, 4)
    named.chmod(0o777)
    for name in ("innamed", "pack"):
        with pytest.raises(NotPermittedError):
            made.judge(name)


def test_a_missing_module_is_named_with_the_places_that_were_searched(places: dict[str, Path]) -> None:
    with pytest.raises(ModuleRefusedError) as caught:
        loader(places).import_modules(["notthere"])
    message = str(caught.value)
    assert message.startswith("otk.tap: module notthere is not there; looked in ")
    assert str(places["rundir"]) in message and str(places["scripts"]) in message


def test_an_installed_module_is_refused_unless_allowed(places: dict[str, Path]) -> None:
    (places["installed"] / "stranger.py").write_text("x = 3")
    with pytest.raises(ModuleRefusedError, match="stranger .* is not allowed.*--allow-module stranger"):
        loader(places).import_modules(["stranger"])
    assert "stranger" not in sys.modules
    assert loader(places, "stranger").import_modules(["stranger"])["stranger"].x == 3


def test_a_module_that_is_loaded_already_is_judged_all_the_same(places: dict[str, Path]) -> None:
    with pytest.raises(ModuleRefusedError, match="module pytest .* is not allowed"):
        loader(places).import_modules(["pytest"])


def test_a_distribution_with_a_taphouse_entry_point_is_allowed(places: dict[str, Path]) -> None:
    (places["installed"] / "quotes").mkdir()
    (places["installed"] / "quotes" / "__init__.py").write_text("x = 4")
    info = places["installed"] / "quotes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: quotes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[taphouse.makers]\nquotes = quotes:maker\n")
    assert loader(places).import_modules(["quotes"])["quotes"].x == 4


MARKED = "# taphouse-maker: quotes - serve quotes\nx = 9\n"


def test_a_module_with_a_marker_line_is_allowed_where_it_is_installed(places: dict[str, Path]) -> None:
    (places["installed"] / "dropped.py").write_text(MARKED)
    assert loader(places).import_modules(["dropped"])["dropped"].x == 9


def test_what_lies_in_the_users_folder_of_makers_is_allowed(places: dict[str, Path]) -> None:
    (places["plugins"] / "ownquotes.py").write_text("import beside\nx = beside.x\n")
    (places["plugins"] / "beside.py").write_text("x = 10\n")
    (places["rundir"] / "ownquotes").mkdir()  # with its data, say
    judge = loader(places)
    assert judge.is_there("ownquotes")
    assert str(places["plugins"]) not in sys.path
    assert judge.import_modules(["ownquotes"])["ownquotes"].x == 10
    assert sys.path[-1] == str(places["plugins"])


@pytest.mark.parametrize("place", ["installed", "plugins"])
def test_a_dropped_module_that_others_may_write_is_refused(places: dict[str, Path], place: str) -> None:
    file = places[place] / "dropped.py"
    file.write_text(MARKED)
    file.chmod(0o666)
    with pytest.raises(NotPermittedError, match=f"otk.tap: module dropped is refused: {file} may be written"):
        loader(places).import_modules(["dropped"])
    assert "dropped" not in sys.modules


def test_nothing_is_looked_through_for_a_module_that_is_found_otherwise(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (places["rundir"] / "inrundir.py").write_text("x = 1")
    (places["installed"] / "allowed.py").write_text("x = 2")
    for name in [name for name in sys.modules if name.startswith("taphouse.plugins")]:
        monkeypatch.delitem(sys.modules, name)
    loader(places, "allowed").import_modules(["inrundir", "allowed", "taphouse.app"])
    assert [name for name in sys.modules if name.startswith("taphouse.plugins")] == []


def test_an_installed_module_that_shadows_ours_is_refused_with_both_places(places: dict[str, Path]) -> None:
    (places["installed"] / "twice.py").write_text("x = 5")
    (places["rundir"] / "twice.py").write_text("x = 6")
    with pytest.raises(ModuleRefusedError) as caught:
        loader(places).import_modules(["twice"])
    message = str(caught.value)
    assert f"module twice in {places['rundir']} is shadowed by {places['installed'] / 'twice.py'}" in message
    assert "rename it" in message


@pytest.mark.parametrize("name", ["os", "builtins", "os.path", "subprocess", "time", "_socket"])
def test_modules_of_python_itself_are_refused(places: dict[str, Path], name: str) -> None:
    with pytest.raises(ModuleRefusedError, match="belongs to Python itself"):
        loader(places, name).import_modules([name])


@pytest.mark.parametrize("name", ["", "a..b", "../x", "a b", "x;y", "a." * 3])
def test_what_is_no_module_name_is_refused(places: dict[str, Path], name: str) -> None:
    with pytest.raises(ModuleRefusedError, match="is no module name"):
        loader(places).import_modules([name])


def test_nothing_runs_if_one_of_the_modules_is_refused(places: dict[str, Path]) -> None:
    (places["rundir"] / "wouldrun.py").write_text("raise AssertionError('it ran')")
    with pytest.raises(ModuleRefusedError, match="notthere"):
        loader(places).import_modules(["wouldrun", "notthere"])


def test_a_module_that_fails_says_where(places: dict[str, Path]) -> None:
    (places["rundir"] / "failing.py").write_text("\n\n1 / 0\n")
    with pytest.raises(ModuleRefusedError) as caught:
        loader(places).import_modules(["failing"])
    place = places["rundir"] / "failing.py"
    assert f"module failing cannot be imported: ZeroDivisionError: division by zero ({place} line 3)" in str(
        caught.value
    )
    assert "failing" not in sys.modules


def test_a_module_that_needs_a_missing_one_says_which(places: dict[str, Path]) -> None:
    (places["rundir"] / "needy.py").write_text("import notthere.either\n")
    with pytest.raises(ModuleRefusedError, match="module needy needs module notthere, which is not there"):
        loader(places).import_modules(["needy"])


def test_a_syntax_error_says_file_and_line(places: dict[str, Path]) -> None:
    (places["rundir"] / "broken.py").write_text("x = 1\ndef f(:\n")
    with pytest.raises(
        ModuleRefusedError, match=r"broken cannot be imported: SyntaxError: .*broken.py line 2"
    ):
        loader(places).import_modules(["broken"])


def test_a_script_that_exits_at_its_end_is_a_module_all_the_same(places: dict[str, Path]) -> None:
    (places["rundir"] / "exiting.py").write_text("import sys\nx = 7\nsys.exit(0)\n")
    assert loader(places).import_modules(["exiting"])["exiting"].x == 7
    assert sys.modules["exiting"].x == 7


def test_a_script_folder_that_others_may_write_is_refused(places: dict[str, Path]) -> None:
    (places["scripts"] / "planted.py").write_text("x = 8")
    places["scripts"].chmod(0o777)
    with pytest.raises(NotPermittedError, match=r"planted lies in .*scripts, which others may write"):
        loader(places).import_modules(["planted"])


def test_a_script_that_others_may_write_is_refused(places: dict[str, Path]) -> None:
    (places["scripts"] / "planted.py").write_text("x = 8")
    (places["scripts"] / "planted.py").chmod(0o666)
    with pytest.raises(NotPermittedError, match=r"planted is .*planted\.py, which others may write"):
        loader(places).import_modules(["planted"])


_SOURCE = """
import os
from collections import OrderedDict as Alias

class Outer:
    class Inner:
        pass
    field = os

def function(): pass
Other = Outer
instance = Outer()
"""


def record(qualname: str, module: str = "defining", kind: str = "plain") -> ClassRecord:
    return ClassRecord(f"{module}.{qualname}", module, qualname, 1, kind)


@pytest.fixture
def resolve(places: dict[str, Path]) -> Any:
    (places["rundir"] / "defining.py").write_text(_SOURCE)
    found = loader(places)
    modules = found.import_modules(["defining"])
    return lambda *args: found.resolve(record(*args), modules)


def test_a_name_means_a_class_or_function_that_the_module_itself_defines(resolve: Any) -> None:
    module = sys.modules["defining"]
    assert resolve("Outer") is module.Outer
    assert resolve("Outer.Inner") is module.Outer.Inner
    assert resolve("function") is module.function


@pytest.mark.parametrize(
    "qualname",
    ["os", "os.system", "Alias", "Other", "instance", "Outer.field", "Outer.field.system", "Outer.mro",
     "Outer.__init__", "__builtins__", "function.__globals__", "nothing", "", "Outer."],
)  # fmt: skip
def test_a_name_means_nothing_else(resolve: Any, qualname: str) -> None:
    assert resolve(qualname) is None


def test_a_name_in_a_module_that_was_not_imported_for_the_tap_means_nothing(resolve: Any) -> None:
    assert resolve("Path", "pathlib") is None
    assert resolve("eval", "builtins", "function") is None

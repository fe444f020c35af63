"""A maker is imported when it is wanted; what is wrong with it is one line."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from plugins.shelf import MAKER, Shelf, marked
from taphouse.errors import ConfigurationError
from taphouse.plugins import find_makers


@pytest.mark.parametrize("own", [False, True])
def test_a_dropped_maker_is_loaded(shelf: Shelf, own: bool) -> None:
    shelf.drop("quotes.py", marked("quotes", "serve quotes"), own=own)
    entry = find_makers().get("quotes")
    assert "quotes" not in sys.modules
    maker = entry.load()
    application = SimpleNamespace()
    maker.update_application(application, maker.Options(port=1718))
    assert (application.made, maker.description, maker.entry) == (1718, "serve quotes", entry.declaration)


def test_the_folder_of_ones_own_comes_last_on_the_path(shelf: Shelf) -> None:
    shelf.drop("quotes.py", marked("quotes"), own=True)
    before = list(sys.path)
    find_makers().get("quotes").load()
    assert sys.path == [*before, str(shelf.own)]


def test_a_maker_finds_the_modules_that_were_dropped_beside_it(shelf: Shelf) -> None:
    shelf.drop("beside_it.py", "PORT = 1\n", own=True)
    shelf.drop("quotes.py", marked("quotes", source=MAKER + "import beside_it\n"), own=True)
    assert find_makers().get("quotes").load().Options.__name__ == "Options"


_OBJECT = """
from taphouse import usage
class Options(usage.Options):
    '''Of the module.'''
class Maker:
    description = "made by an object"
    Options = Options
    def updateApplication(self, app, config):
        app.made = self
class Holder:
    maker = Maker()
"""


@pytest.mark.parametrize("attribute", ["Maker", "Holder.maker"])
def test_an_object_may_be_a_maker_and_of_a_class_one_is_made(shelf: Shelf, attribute: str) -> None:
    shelf.install("quotes-1.0", f"quotes = quotes:{attribute}", quotes=_OBJECT)
    maker = find_makers().get("quotes").load()
    application = SimpleNamespace()
    maker.update_application(application, maker.Options())
    assert type(application.made) is sys.modules["quotes"].Maker
    assert maker.description == "made by an object"


_OPTIONS = "from taphouse import usage\nclass Options(usage.Options):\n    pass\n"

BROKEN = {
    "an error": ("1 / 0\n", "it cannot be imported: ZeroDivisionError: division by zero ({path} line 1)"),
    "the end": ("raise SystemExit(3)\n", "it cannot be imported: SystemExit: 3 ({path} line 1)"),
    "an end of another kind": ("raise GeneratorExit\n", "it cannot be imported: GeneratorExit: "),
    "a door that fails": (
        "def __getattr__(name): raise RuntimeError(name)\n",
        "it cannot be asked what it has: RuntimeError: Options",
    ),
    "a missing module": (
        "import notthere.either\n",
        "it needs module notthere, which is not there; install notthere",
    ),
    "no options": ("x = 1\n", "it has no Options; give it a class Options(usage.Options)"),
    "strange options": (
        "class Options:\n    pass\ndef updateApplication(app, config): pass\n",
        "its Options do not derive from usage.Options; write class Options(usage.Options)",
    ),
    "options that are no class": (
        _OPTIONS + "Options = Options()\n",
        "its Options do not derive from usage.Options; write class Options(usage.Options)",
    ),
    "no function": (_OPTIONS, "it has no updateApplication; define updateApplication(app, config)"),
    "a function that is none": (
        _OPTIONS + "updateApplication = 1\n",
        "it has no updateApplication; define updateApplication(app, config)",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_wrong_with_a_maker_is_said_in_one_line(shelf: Shelf, what: str) -> None:
    source, said = BROKEN[what]
    path = shelf.path / "quotes.py"
    shelf.install("quotes-1.0", "quotes = quotes", quotes=source)
    with pytest.raises(ConfigurationError) as caught:
        find_makers().get("quotes").load()
    assert str(caught.value).startswith(
        f"server type quotes (quotes 1.0) is broken: {said.format(path=path)}"
    )
    assert caught.value.exit_code == 78 and "\n" not in str(caught.value)


def test_a_source_that_is_none_is_broken(shelf: Shelf) -> None:
    path = shelf.drop("quotes.py", marked("quotes", source="x = 1\0\n"))
    (problem,) = find_makers().problems
    assert "null bytes" in problem and str(path) in problem


def test_a_missing_object_is_named(shelf: Shelf) -> None:
    shelf.install("quotes-1.0", "quotes = quotes:maker", quotes=MAKER)
    with pytest.raises(ConfigurationError, match="module quotes has no maker"):
        find_makers().get("quotes").load()


def test_a_class_that_cannot_be_made_is_named(shelf: Shelf) -> None:
    shelf.install(
        "quotes-1.0", "quotes = quotes:Maker", quotes="class Maker:\n    def __init__(self): 1 / 0\n"
    )
    with pytest.raises(ConfigurationError, match=r"Maker\(\) failed: ZeroDivisionError"):
        find_makers().get("quotes").load()


def test_a_mistake_in_the_options_is_blamed_on_the_makers_line(shelf: Shelf) -> None:
    source = marked("quotes", source=_OPTIONS + "    optFlags = [['fast', 'f', 'be fast']]\n")
    path = shelf.drop("quotes.py", source)
    with pytest.raises(ConfigurationError) as caught:
        find_makers().get("quotes").load()
    assert f"({path} line 3)" in str(caught.value) and "optFlags" in str(caught.value)


def test_a_module_of_that_name_that_is_loaded_already_is_not_mistaken_for_the_maker(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.drop("quotes.py", marked("quotes"))
    entry = find_makers().get("quotes")
    monkeypatch.setitem(
        sys.modules, "quotes", SimpleNamespace(__file__="/elsewhere/quotes.py", __spec__=None)
    )  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="module quotes "):
        entry.load()

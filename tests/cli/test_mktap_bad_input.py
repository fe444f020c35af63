"""mktap, when what it is given is wrong: one line, the right status, and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.makershop import Shop

FILE = ("--file", "fortunes")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("quots",), ("'quots'", "did you mean quotes?")),
        (("nothing-like-it",), ("nothing-like-it", "mktap without arguments lists them")),
        (("quotes", *FILE, "--prot", "1"), ("unknown option --prot", "--port")),
        (("--ouput", "x.tap", "quotes"), ("unknown option --ouput", "--output")),
        (("quotes", *FILE, "--port", "notanumber"), ("--port", "notanumber", "whole number")),
        (("quotes", *FILE, "--port", "70000"), ("--port", "70000", "65535")),
        (("quotes", *FILE, "--mode", "silent"), ("--mode", "silent", "loud")),
        (("quotes", *FILE, "--shout"), ("--shout and --mode quiet contradict",)),
        (("quotes",), ("--file", "required")),
        (("quotes", "--file", "nowhere"), ("--file", "nowhere")),
        (("quotes", *FILE, "-p", "1", "--port", "2"), ("--port", "twice")),
        (("quotes", *FILE, "--port"), ("--port", "needs a value")),
        (("quotes", *FILE, "extra"), ("unexpected argument 'extra'",)),
        (("-o",), ("-o/--output", "expected one argument")),
        (("-n", "no name", "echo"), ("--appname", "'no name'")),
        (("-u", "nosuchuser", "echo"), ("--uid", "nosuchuser")),
        (("-u", "0", "-g", "0", "echo"), ("root",)),
        (("-g", "nogroup", "echo"), ("--uid",)),
        (("--durability", "never", "echo"), ("--durability", "never")),
        (("--dry-run", "echo"), ("--dry-run", "--update")),
        (("--append", "x.tap", "-o", "y.tap", "echo"), ("--append and --output contradict",)),
        (("-q",), ("no type",)),
    ],
)
def test_what_is_wrong_on_the_line_is_told_in_one(
    shop: Shop, words: tuple[str, ...], says: tuple[str, ...]
) -> None:
    shop.refused(*words, says=says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-t", "xml", "echo"), "tapconvert"),
        (("-t", "source", "echo"), "tapconvert"),
        (("-x", "echo"), "tapconvert"),
        (("-s", "echo"), "tapconvert"),
        (("-e", "echo"), "not encrypted"),
        (("--encrypted", "echo"), "not encrypted"),
        (("--progress", "echo"), "leave it out"),
    ],
)
def test_options_of_2002_are_told_what_to_do_instead(shop: Shop, words: tuple[str, ...], says: str) -> None:
    shop.refused(*words, says=(says,))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, ("quotes.toml", "No such file")),
        ("port = \n", ("quotes.toml", "line 1", "column 8")),
        ("port = 1\nprot = 2\n", ("quotes.toml", "unknown key 'prot'", "port")),
        ('port = "many"\n', ("quotes.toml", "port")),
        ("port = 70000\n", ("quotes.toml", "port", "65535")),
        ('[server.quotes]\ntype = "quotes"\n', ("quotes.toml", "mktap --from quotes.toml")),
    ],
)
def test_a_bad_file_of_options_is_told_by_its_place(
    shop: Shop, content: str | None, says: tuple[str, ...]
) -> None:
    if content is not None:
        Path("quotes.toml").write_text(content)
    shop.refused("quotes", *FILE, "--config", "quotes.toml", says=says)


# --- types that fail ----------------------------------------------------------------------------------


def test_what_a_type_raises_is_one_line_with_its_place(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shop.add_plain("faulty", "app.listenTCP(config.port, Kept())", "1 / 0")
    line = shop.refused("faulty", status=70, says=("type faulty", "ZeroDivisionError", f"({path} line "))
    number = path.read_text().splitlines().index("    1 / 0") + 1
    assert f"{path} line {number})" in line


def test_debug_adds_the_traceback(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.add_plain("faulty", "1 / 0")
    monkeypatch.setattr("sys.argv", ["mktap", "--debug", "faulty"])
    _, err = shop.run("--debug", "faulty", status=70)
    assert "Traceback (most recent call last)" in err
    assert "    1 / 0" in err


def test_a_usage_error_of_a_type_is_the_users(shop: Shop) -> None:
    shop.add_plain("choosy", 'raise usage.UsageError("--port 8718 is not nice")')
    shop.refused("choosy", status=64, says=("--port 8718 is not nice",))


def test_a_type_that_exits_has_made_nothing(shop: Shop) -> None:
    shop.add_plain("quitter", "app.listenTCP(config.port, Kept())", "raise SystemExit(0)")
    shop.refused("quitter", status=70, says=("type quitter", "SystemExit"))


def test_what_a_type_prints_does_no_harm(shop: Shop) -> None:
    shop.add_plain("chatty", 'print("hello")', "app.listenTCP(config.port, Kept())")
    out, _ = shop.run("chatty")
    assert "hello" in out
    assert shop.ports("chatty.tap") == ["tcp:8718"]


def test_a_type_may_not_run_or_save_what_it_builds(shop: Shop) -> None:
    shop.add_plain("eager", "app.listenTCP(config.port, Kept())", "app.save()", "app.run()")
    shop.run("eager", "-o", "made.tap")
    assert not Path("eager.tap").exists()


def test_a_type_may_not_rename_the_application(shop: Shop) -> None:
    shop.add_plain("renamer", 'app.name = "mine"')
    shop.run("renamer")
    assert shop.plan("renamer.tap")["name"] == "renamer"


def test_a_coroutine_is_no_maker(shop: Shop) -> None:
    path = shop.add_plain("waiter", "pass")
    path.write_text(path.read_text().replace("def updateApplication", "async def updateApplication"))
    shop.refused("waiter", status=78, says=("type waiter", "coroutine", "def"))


def test_a_class_inside_of_a_function_is_refused_with_the_cure(shop: Shop) -> None:
    shop.add_plain(
        "hidden", "class Inner(Factory):", "    protocol = Protocol", "app.listenTCP(config.port, Inner())"
    )
    shop.refused("hidden", status=78, says=("Inner", "inside of a function", "top of its module"))


def test_a_protocol_inside_of_a_function_is_refused(shop: Shop) -> None:
    shop.add_plain("hidden2", "class Inner(Protocol): pass", "app.listenTCP(config.port, Inner)")
    shop.refused("hidden2", status=70, says=("Inner",))


def test_what_cannot_be_saved_is_named_by_its_path(shop: Shop) -> None:
    shop.add_plain(
        "locked",
        "import threading",
        "kept = Kept()",
        "app.listenTCP(config.port, kept)",
        "kept.lock = threading.Lock()",
    )
    shop.refused("locked", status=70, says=("locked", "lock"))


def test_a_type_whose_listener_serves_nobody_is_refused(shop: Shop) -> None:
    shop.add_plain("empty", "app.listenTCP(config.port, Factory())")
    shop.refused("empty", status=78, says=("Factory has no protocol",))


def test_post_options_that_fail_are_the_types_fault(shop: Shop) -> None:
    path = shop.add_plain("unready", "pass")
    text = path.read_text().replace(
        "class Kept", "    def post_options(self): return self.port.nothing\n\nclass Kept"
    )
    path.write_text(text)
    shop.refused("unready", status=70, says=("type unready", "AttributeError"))

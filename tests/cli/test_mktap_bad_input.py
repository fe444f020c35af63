"""mktap, when what it is given is wrong: one line, the right status, and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.makershop import Shop
from taphouse import Application
from taphouse.app import make_plan
from taphouse.cli import tap
from taphouse.persist import write_seed
from taphouse.protocols import Echo

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
        (("-o", "a.tap", "echo", "--output", "b.tap"), ("-o/--output", "twice")),
        (("-q", "echo", "--quiet"), ("-q/--quiet", "twice")),
        (("--from", "a.toml", "--from=b.toml"), ("--from", "twice")),
        (("telnet",), ("no type telnet yet",)),
        (("quotes.tap",), ("twistd -f quotes.tap",)),
        (("site.toml",), ("mktap --from site.toml",)),
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


@pytest.mark.parametrize(
    ("spoils", "says"),
    [
        ('app.listeners.append("x")', "listeners[1] is str"),
        ("app.services = 5", "services of the application is int"),
        ("app.schedule[5] = 3", "schedule[5] is int"),
        ("app.uid = 1.5", "uid must be a name or a number"),
        ('app.listeners[0].port = "x"', "listeners[0]: port must be an int"),
    ],
)
def test_what_no_statement_makes_is_not_saved(shop: Shop, spoils: str, says: str) -> None:
    shop.add_plain("clumsy", "app.listenTCP(config.port, Kept())", spoils)
    shop.refused("clumsy", status=70, says=("type clumsy", "what it has built cannot serve", says))


def test_a_type_that_goes_elsewhere_does_not_take_the_tap_along(shop: Shop) -> None:
    shop.add_plain("wanderer", "import os", 'os.chdir("/")', "app.listenTCP(config.port, Kept())")
    shop.run("wanderer")
    assert shop.ports("wanderer.tap") == ["tcp:8718"]


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


# --- taps that cannot be updated ------------------------------------------------------------------------


def test_a_tap_that_is_not_there_is_told(shop: Shop) -> None:
    shop.refused("--update", "nowhere.tap", "-p", "1", status=78, says=("nowhere.tap: does not exist",))


def test_which_server_is_meant_has_to_be_said_if_there_are_two(shop: Shop) -> None:
    shop.run("echo", "-p", "8701")
    shop.run("-a", "echo.tap", "discard", "-p", "8702")
    shop.refused("--update", "echo.tap", "-p", "1", says=("2 servers", "echo, discard"))
    shop.refused("--update", "echo.tap", "discrd", "-p", "1", says=("'discrd'", "did you mean discard?"))


def test_a_word_that_names_no_server_is_an_argument_of_the_only_one(shop: Shop) -> None:
    shop.run("echo")
    shop.refused("--update", "echo.tap", "ecko", "-p", "1", says=("unexpected argument 'ecko'",))


def test_a_tap_of_code_has_no_options_to_update(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    app = Application("otk")
    app.listenTCP(8123, Echo)
    app.save("start")
    capsys.readouterr()
    shop.refused("--update", "otk-start.tap", "-p", "1", status=78, says=("built by code", "twistd -y"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-o", "x.tap"), "--update and --output"),
        (("-n", "x"), "--update and --appname"),
        (("-a", "echo.tap"), "--update and --append"),
        (("--from", "x.toml"), "--update and --from"),
        (("--force",), "--update and --force"),
        (("-u", "nobody"), "twistd -f echo.tap --uid nobody"),
        (("--durability", "exit"), "twistd -f echo.tap --durability exit"),
    ],
)
def test_what_an_update_cannot_change_is_refused(shop: Shop, words: tuple[str, ...], says: str) -> None:
    shop.run("echo")
    shop.refused("--update", "echo.tap", "echo", *words, says=(says,))
    shop.refused(*words, "echo", "--update", "echo.tap", says=(says,))


def test_options_for_an_update_are_checked_as_for_a_new_tap(shop: Shop) -> None:
    shop.run("quotes", "--file", "fortunes")
    shop.refused("--update", "quotes.tap", "--port", "notanumber", says=("--port", "notanumber"))
    shop.refused("--update", "quotes.tap", "--shout", says=("--shout and --mode quiet contradict",))


def test_what_an_update_would_use_can_be_printed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.run("quotes", "--file", "fortunes", "-p", "8701")
    monkeypatch.setenv("TAPHOUSE_QUOTES_MODE", "loud")
    out, _ = shop.run("--update", "quotes.tap", "--shout", "--print-config")
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    assert rows["port"] == ["8701", "stored"]
    assert rows["mode"] == ["loud", "$TAPHOUSE_QUOTES_MODE"]
    assert rows["shout"] == ["yes", "--shout"]


GOOD = {"name": "echo", "type": "echo", "options": {}, "module": "m", "distribution": None, "folder": None}


@pytest.mark.parametrize(
    "servers",
    [
        5,
        "text",
        {"name": "echo"},
        [5],
        [{}],
        [{**GOOD, "name": "a\x1b[2Jb"}],
        [{**GOOD, "type": ["echo"]}],
        [{**GOOD, "options": None}],
        [{**GOOD, "folder": 7}],
        [GOOD, GOOD],
    ],
)
def test_a_list_of_servers_that_mktap_has_not_written_is_refused(shop: Shop, servers: object) -> None:
    forged = Application("echo")
    forged.listenTCP(8701, Echo)
    write_seed("echo.tap", forged, {**make_plan(forged), "servers": servers})
    for words in (("--update", "echo.tap", "-p", "1"), ("-a", "echo.tap", "discard")):
        line = shop.refused(*words, status=78, says=("echo.tap: plan: ", "made by hand"))
        assert "\x1b" not in line
    shop.run("show", "echo.tap", command=tap.main)
    _, err = shop.run("show", "--toml", "echo.tap", command=tap.main, status=78)
    assert "made by hand" in err
    shop.refused("echo", status=78, says=("echo.tap", "--force"))
    shop.run("--force", "echo")
    assert Path("echo.tap.1").exists()


@pytest.mark.parametrize(
    "entry",
    [
        {"as_built": ["Keys#1"]},
        {"as_built": {"Echo#1": None}},
        {"as_built": {"Echo#1": {"#": {}}}},
        {"built": "text"},
        {"built": {"objects": 5}},
        {"script": "/etc"},
        {"begun": 7},
        {"modules": "os"},
        {"modules": [["os"]]},
        {"objects": {"Echo#1": {}}},
        {"listeners": [5]},
        {"listeners": [{"label": {}}]},
        {"services": [{"name": {}}]},
        {"uid": []},
    ],
)
def test_a_plan_of_another_form_is_refused_by_its_entry(shop: Shop, entry: dict[str, object]) -> None:
    forged = Application("echo")
    forged.listenTCP(8701, Echo)
    write_seed("echo.tap", forged, {**make_plan(forged), "servers": [GOOD], **entry})
    for words in (("--update", "echo.tap", "-p", "1"), ("-a", "echo.tap", "discard")):
        shop.refused(*words, status=78, says=(f"echo.tap: plan: entry {next(iter(entry))} has not its form",))
    _, err = shop.run("check", "echo.tap", command=tap.main, status=78)
    assert "has not its form" in err and len(err.splitlines()) == 1

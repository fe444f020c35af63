"""mktap, check by check: a server made by somebody who does not program."""

from __future__ import annotations

import re

import pytest

from cli.makershop import QUOTES
from taphouse.persist import read_info

pytestmark = pytest.mark.process

PLUGINS = ".local/share/taphouse/plugins"


@pytest.fixture
def quotes(playground):
    """A folder where the type "quotes" was unpacked as a user's own, and a file of fortunes."""
    playground.write(f"{PLUGINS}/quotes.py", QUOTES)
    playground.write("fortunes", "To be is to be stored.\n%\nsecond\n")
    return playground


def test_check_19_a_module_with_options_and_updateApplication_makes_a_tap_with_its_port(quotes):
    done = quotes.run("mktap", "quotes", "--file", "fortunes", "--port", "8717")
    assert "start it: twistd -f quotes.tap" in done.stdout
    plan = read_info(quotes.folder / "quotes.tap").plan
    assert [entry["port"] for entry in plan["listeners"]] == [quotes.port(8717)]


def test_check_20_help_shows_the_options_with_their_defaults(quotes):
    done = quotes.run("mktap", "quotes", "--help", environment={"COLUMNS": "200"})
    for text in ("--port", f"default: {quotes.port(8717)}", "--file", "the fortunes"):
        assert text in done.stdout
    assert done.stderr == ""


def test_check_21_a_port_that_is_no_number_is_told_in_one_line_and_nothing_is_written(quotes):
    before = quotes.files()
    done = quotes.run("mktap", "quotes", "--file", "fortunes", "--port", "notanumber", status=64)
    (line,) = done.stderr.splitlines()
    assert "--port" in line
    assert "notanumber" in line
    assert quotes.files() == before


@pytest.mark.parametrize("place", [PLUGINS, "lib"], ids=["own", "path"])
def test_check_22_an_unpacked_module_serves_with_the_file_that_was_named(playground, place):
    playground.write(f"{place}/quotes.py", QUOTES)
    playground.write("fortunes", "To be is to be stored.\n")
    if place == "lib":
        playground.environment["PYTHONPATH"] = str(playground.folder / "lib")
    assert "quotes" in playground.run("mktap").stdout
    playground.run("mktap", "quotes", "--file", "fortunes", "-p", "8717")
    playground.environment.pop("PYTHONPATH", None)
    playground.make_folder("run")
    playground.run("twistd", "-d", "run", "-f", "quotes.tap")
    assert playground.ask(8717) == b"To be is to be stored.\n"
    playground.kill(pidfile="run/twistd.pid")
    playground.run("twistd", "-d", "run", "-f", "run/quotes-shutdown.tap")
    assert playground.ask(8717) == b"To be is to be stored.\n"


def test_check_44_a_server_is_added_to_a_tap_two_ports_and_the_first_name(quotes):
    quotes.run("mktap", "quotes", "--file", "fortunes", "-p", "8717")
    quotes.run("mktap", "-a", "quotes.tap", "echo", "-p", "8707", "--interface", "127.0.0.1")
    info = read_info(quotes.folder / "quotes.tap")
    assert (info.name, len(info.plan["listeners"])) == ("quotes", 2)
    quotes.run("twistd", "-f", "quotes.tap")
    assert quotes.ask(8717) == b"To be is to be stored.\n"
    assert quotes.ask(8707, b"hello") == b"hello"
    quotes.run("mktap", "-a", "missing.tap", "echo", "-p", "8708")
    assert read_info(quotes.folder / "missing.tap").name == "echo"


def test_a_changed_option_keeps_the_state(quotes):
    quotes.run("mktap", "quotes", "--file", "fortunes", "-p", "8717")
    quotes.run("twistd", "-f", "quotes.tap")
    quotes.ask(8717)
    quotes.kill()
    done = quotes.run("mktap", "--update", "quotes-shutdown.tap", "-p", "8718", "--dry-run")
    assert "--port" in done.stdout
    quotes.run("mktap", "--update", "quotes-shutdown.tap", "-p", "8718")
    quotes.run("twistd", "-f", "quotes-shutdown.tap")
    assert quotes.ask(8718) == b"To be is to be stored.\n"
    assert not quotes.accepts(8717)
    quotes.kill()
    assert re.search(r"asked +2$", quotes.run("tap", "show", "quotes-shutdown.tap").stdout, re.MULTILINE)


def test_a_type_that_is_gone_keeps_its_server_only_if_its_classes_are_there(quotes):
    quotes.run("mktap", "quotes", "--file", "fortunes", "-p", "8717")
    text = quotes.read(f"{PLUGINS}/quotes.py")
    quotes.write(f"{PLUGINS}/quotes.py", text.replace("# taphouse-maker", "# once"))
    done = quotes.run("mktap", "--update", "quotes.tap", "-p", "8718", status=78)
    assert "type quotes is not installed any more; install module quotes" in done.stderr
    quotes.run("twistd", "-f", "quotes.tap")
    assert quotes.ask(8717) == b"To be is to be stored.\n"


def test_state_is_replaced_by_force_alone_and_kept(quotes):
    quotes.run("mktap", "quotes", "--file", "fortunes", "-p", "8717")
    quotes.run("twistd", "-f", "quotes.tap", "--state", "kept.tap")
    quotes.ask(8717)
    quotes.kill()
    done = quotes.run("mktap", "quotes", "--file", "fortunes", "-o", "kept.tap", status=78)
    assert "kept.tap: holds the state of quotes" in done.stderr
    assert "kept.tap.1" not in quotes.files()
    quotes.run("mktap", "quotes", "--file", "fortunes", "-o", "kept.tap", "--force")
    assert read_info(quotes.folder / "kept.tap").role == "seed"
    assert read_info(quotes.folder / "kept.tap.1").role == "state"


def test_a_secret_makes_the_state_that_it_comes_into_private(quotes):
    quotes.run("mktap", "-n", "site", "-o", "site.tap", "echo", "-p", "8707")
    quotes.run("twistd", "-f", "site.tap")
    quotes.kill()
    (quotes.folder / "site-shutdown.tap").chmod(0o644)
    words = ["mktap", "-a", "site-shutdown.tap", "quotes", "--file", "fortunes"]
    quotes.run(*words, environment={"TAPHOUSE_QUOTES_PASSWORD": "sesame"})
    assert (quotes.folder / "site-shutdown.tap").stat().st_mode & 0o777 == 0o600

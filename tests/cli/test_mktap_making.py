"""mktap: what it lists, what it makes, what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.makershop import Shop
from taphouse.cli import tap
from taphouse.persist import read_info

# --- what there is ----------------------------------------------------------------------------------


def test_alone_it_lists_built_in_and_installed_types(shop: Shop) -> None:
    out, err = shop.run()
    assert err == ""
    built_in, _, installed = out.partition("installed:")
    assert "Send back what is sent" in built_in
    assert "quotes" not in built_in
    assert "Serve a random fortune" in installed


def test_listing_imports_no_maker(shop: Shop) -> None:
    shop.add("loudmouth", "# taphouse-maker: loudmouth - Raises\nraise SystemExit('imported')\n")
    assert "loudmouth" in shop.run()[0]
    assert "loudmouth" not in sys.modules


def test_a_broken_type_is_listed_with_its_reason_and_disturbs_nothing(shop: Shop) -> None:
    path = shop.add("broken", "# taphouse-maker: broken - Cannot be read\ndef updateApplication(:\n")
    out, _ = shop.run()
    usable, _, broken = out.partition("not usable:")
    assert str(path) in broken
    assert "quotes" in usable
    shop.run("quotes", "--file", "fortunes")
    shop.refused("broken", status=78, says=("broken",))


def test_two_types_of_one_name_are_reported(shop: Shop) -> None:
    shop.add("otherquotes", "# taphouse-maker: quotes - Others\n")
    out, _ = shop.run()
    assert "quotes is there twice" in out


def test_help_has_the_options_of_mktap_and_examples(shop: Shop) -> None:
    out, _ = shop.run("--help")
    for text in ("--output", "--append", "--update", "--from", "examples:", "mktap quotes --file fortunes"):
        assert text in out


@pytest.mark.parametrize("words", [("quotes", "--help"), ("--help", "quotes"), ("quotes", "-h")])
def test_help_of_a_type_has_its_options_with_defaults_and_those_of_mktap(
    shop: Shop, words: tuple[str, ...]
) -> None:
    out, _ = shop.run(*words)
    for text in ("usage: mktap quotes", "--port", "8717", "--file", "required", "--output", "--appname"):
        assert text in out


def test_the_version_is_a_line(shop: Shop) -> None:
    assert shop.run("--version")[0].startswith("mktap ")


def imported_by(*words: str) -> set[str]:
    """Return the modules that mktap has imported when it is done."""
    program = (
        "import sys; from taphouse.cli import mktap; code = mktap.main(sys.argv[1:]); "
        "print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.process
def test_listing_needs_neither_parser_nor_loop(shop: Shop) -> None:
    imported = imported_by()
    assert "taphouse.plugins" in imported
    assert not imported & {
        "click",
        "msgspec",
        "asyncio",
        "sqlite3",
        "quotes",
        "taphouse.makers",
        "taphouse.app",
    }


@pytest.mark.process
def test_making_imports_what_it_needs_alone(shop: Shop) -> None:
    imported = imported_by("quotes", "--file", "fortunes")
    assert "quotes" in imported
    assert not imported & {
        "uvloop", "uvicorn", "starlette", "hiredis", "importlib.metadata", "tempfile", "difflib", "tomllib",
        "taphouse.runtime", "taphouse.control", "taphouse.cli.making.updating",
        "taphouse.cli.making.reopening",
    }  # fmt: skip


# --- making -----------------------------------------------------------------------------------------


def test_it_makes_a_seed_and_says_the_next_command(shop: Shop) -> None:
    out, _ = shop.run("quotes", "-p", "8700", "--file", "fortunes")
    assert out.splitlines() == [
        "quotes.tap: application quotes; server quotes; listens on tcp:127.0.0.1:8700",
        "start it: twistd -f quotes.tap",
    ]
    info = read_info("quotes.tap")
    assert (info.role, info.name) == ("seed", "quotes")


def test_the_plan_has_the_options_as_they_were_given_and_where_the_code_lies(shop: Shop) -> None:
    shop.run("quotes", "--file", "fortunes", "-D", "ann", "-D", "bob")
    (server,) = shop.plan("quotes.tap")["servers"]
    assert (server["name"], server["type"], server["module"]) == ("quotes", "quotes", "quotes")
    assert (server["distribution"], server["folder"]) == (None, str(shop.plugins))
    assert server["options"]["names"] == ["ann", "bob"]
    assert server["options"]["file"] == str(shop.folder / "fortunes")


def test_a_type_that_came_with_a_distribution_needs_no_folder(shop: Shop) -> None:
    shop.run("echo", "-p", "8701")
    (server,) = shop.plan("echo.tap")["servers"]
    assert (server["distribution"], server["folder"]) == ("taphouse", None)


@pytest.mark.parametrize(
    "words",
    [
        ("-o", "my.tap", "-n", "mine", "--durability", "exit", "echo"),
        ("echo", "--output=my.tap", "--appname", "mine", "--durability=exit"),
        ("-omy.tap", "echo", "-nmine", "--durability", "exit"),
    ],
)
def test_options_of_mktap_may_stand_before_or_behind_the_type(shop: Shop, words: tuple[str, ...]) -> None:
    shop.run(*words)
    plan = shop.plan("my.tap")
    assert (plan["name"], plan["durability"]) == ("mine", "exit")


def test_what_the_type_has_is_not_taken_from_it(shop: Shop) -> None:
    shop.add(
        "greedy",
        "# taphouse-maker: greedy - Has options of our names\n"
        "from taphouse import usage\n"
        "class Options(usage.Options):\n"
        "    output: str = usage.option('', '-o', help='its own')\n"
        "    quiet: bool = usage.option(False, '-q', help='its own')\n"
        "    word: str = usage.option('', help='takes a value')\n"
        "def updateApplication(app, config): pass\n",
    )
    shop.run("-o", "ours.tap", "greedy", "-o", "theirs", "-q", "--word", "--force")
    (server,) = shop.plan("ours.tap")["servers"]
    assert server["options"] == {"output": "theirs", "quiet": True, "word": "--force"}


def test_quiet_says_nothing(shop: Shop) -> None:
    assert shop.run("-q", "echo") == ("", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give privileges away")
def test_user_and_group_are_kept_as_they_were_given(shop: Shop) -> None:
    shop.run("-u", "nobody", "-g", "65534", "echo")
    plan = shop.plan("echo.tap")
    assert (plan["uid"], plan["gid"]) == ("nobody", 65534)


def test_values_come_from_the_line_then_the_environment_then_a_file(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("quotes.toml").write_text('file = "fortunes"\nport = 8701\nmode = "loud"\nnames = ["x"]\n')
    monkeypatch.setenv("TAPHOUSE_QUOTES_PORT", "8702")
    monkeypatch.setenv("TAPHOUSE_QUOTES_MODE", "quiet")
    out, _ = shop.run("quotes", "--config", "quotes.toml", "--mode", "loud", "--print-config")
    rows = {line.split()[0]: line for line in out.splitlines()}
    assert "loud" in rows["mode"]
    assert "--mode" in rows["mode"]
    assert "8702" in rows["port"]
    assert "$TAPHOUSE_QUOTES_PORT" in rows["port"]
    assert "quotes.toml" in rows["file"]
    assert "default" in rows["shout"]
    assert not Path("quotes.tap").exists()


def test_a_name_with_blanks_is_quoted_in_the_next_command(shop: Shop) -> None:
    out, _ = shop.run("echo", "-o", "my server.tap")
    assert "twistd -f 'my server.tap'" in out


def test_a_secret_that_is_in_the_tap_is_not_for_others_to_read(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAPHOUSE_QUOTES_PASSWORD", "sesame")
    shop.run("quotes", "--file", "fortunes")
    assert Path("quotes.tap").stat().st_mode & 0o077 == 0
    (server,) = shop.plan("quotes.tap")["servers"]
    assert server["options"]["password"] == {"secret": "tap"}


def test_tap_make_is_the_same_command(shop: Shop) -> None:
    out, _ = shop.run("make", "echo", command=tap.main)
    assert "start it: twistd -f echo.tap" in out


# --- what is there already ----------------------------------------------------------------------------


def test_the_same_servers_may_be_made_again(shop: Shop) -> None:
    shop.run("echo", "-p", "8701")
    shop.run("echo", "-p", "8702")
    assert shop.ports("echo.tap") == ["tcp:8702"]
    assert not Path("echo.tap.1").exists()


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (("discard", "-o", "echo.tap"), "application discard"),
        (("-n", "other", "echo", "-o", "echo.tap"), "application other"),
    ],
)
def test_a_seed_of_other_servers_is_replaced_by_force_alone_and_kept(
    shop: Shop, first: tuple[str, ...], says: str
) -> None:
    shop.run(*first)
    before = Path("echo.tap").read_bytes()
    shop.refused("echo", status=78, says=("echo.tap", says, "--force"))
    out, _ = shop.run("--force", "echo")
    assert out.startswith("echo.tap.1: what echo.tap was before\n")
    assert Path("echo.tap.1").read_bytes() == before
    assert shop.servers("echo.tap") == [("echo", "echo")]


@pytest.mark.parametrize("content", [b"", b"some text", b"SQLite format 3\0" + bytes(100)])
def test_what_is_no_tap_is_replaced_by_force_alone_and_kept(shop: Shop, content: bytes) -> None:
    Path("echo.tap").write_bytes(content)
    shop.refused("echo", status=78, says=("echo.tap", "--force"))
    shop.run("--force", "echo")
    shop.run("--force", "discard", "-o", "echo.tap")
    assert Path("echo.tap.1").read_bytes() == content
    assert shop.servers("echo.tap.2") == [("echo", "echo")]


def test_a_folder_is_never_replaced(shop: Shop) -> None:
    Path("echo.tap").mkdir()
    shop.refused("--force", "echo", status=73, says=("is a folder",))


def test_a_pipe_is_never_replaced(shop: Shop) -> None:
    os.mkfifo("echo.tap")
    shop.refused("--force", "echo", status=73, says=("no regular file",))
    assert Path("echo.tap").is_fifo()


def test_the_name_of_the_state_is_not_for_a_seed(shop: Shop) -> None:
    shop.refused("echo", "-o", "echo-shutdown.tap", says=("keeps the state",))


def test_a_folder_that_is_not_there_is_told(shop: Shop) -> None:
    shop.refused("echo", "-o", "nowhere/echo.tap", status=73, says=("nowhere/echo.tap",))


def test_a_tap_that_is_made_again_keeps_its_mode(shop: Shop) -> None:
    shop.run("echo")
    Path("echo.tap").chmod(0o600)
    shop.run("echo")
    assert Path("echo.tap").stat().st_mode & 0o777 == 0o600


# --- whether it can be started ------------------------------------------------------------------------


def test_a_module_that_a_start_has_to_be_told_of_is_in_the_next_command(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = shop.plugins.parent / "library"
    library.mkdir()
    (library / "foreignlib.py").write_text(
        "from taphouse import Factory, Protocol\nclass Foreign(Factory):\n    protocol = Protocol\n"
    )
    monkeypatch.syspath_prepend(str(library))
    shop.add_plain("borrower", "import foreignlib", "app.listenTCP(config.port, foreignlib.Foreign())")
    out, _ = shop.run("borrower")
    assert out.splitlines()[-1] == "start it: twistd -f borrower.tap --allow-module foreignlib"
    shop.refused("-a", "borrower.tap", "echo", status=78, says=("--allow-module foreignlib",))
    out, _ = shop.run("-a", "borrower.tap", "--allow-module", "foreignlib", "echo")
    assert out.splitlines()[-1] == "start it: twistd -f borrower.tap --allow-module foreignlib"


def test_a_package_lies_in_the_folder_above_it(shop: Shop) -> None:
    package = shop.plugins / "packed"
    package.mkdir()
    text = shop.add_plain("packed", "app.listenTCP(config.port, Kept())").read_text()
    (shop.plugins / "packed.py").unlink()
    (package / "__init__.py").write_text(text)
    shop.run("packed")
    (server,) = shop.plan("packed.tap")["servers"]
    assert server["folder"] == str(shop.plugins)
    shop.run("check", "packed.tap", command=tap.main)


def test_arguments_and_sub_commands_come_through_a_file(shop: Shop) -> None:
    shop.add(
        "forked",
        "# taphouse-maker: forked - Has arguments and sub-commands\n"
        "from taphouse import usage\n"
        "class Inner(usage.Options):\n"
        "    depth: int = usage.option(1, '-d', help='how deep')\n"
        "class Options(usage.Options):\n"
        "    level: usage.Count = usage.option(0, '-v', help='more')\n"
        "    wait: usage.Duration = usage.option('30s', help='how long')\n"
        "    size: usage.Size = usage.option('1MiB', help='how much')\n"
        "    dig = usage.command(Inner, help='dig')\n"
        "def updateApplication(app, config): pass\n",
    )
    shop.run("forked", "-vv", "--wait", "2h", "--size", "10k", "dig", "--depth", "7", "-o", "forked.tap")
    (server,) = shop.plan("forked.tap")["servers"]
    assert (server["options"]["sub_command"], server["options"]["sub_options"]) == ("dig", {"depth": 7})
    Path("forked.toml").write_text(shop.run("show", "--toml", "forked.tap", command=tap.main)[0])
    shop.run("--from", "forked.toml", "-o", "again.tap")
    assert shop.plan("again.tap") == shop.plan("forked.tap")
    out, _ = shop.run("forked", "dig", "--help")
    assert "--depth" in out


def test_what_a_type_does_to_its_options_is_not_in_the_plan(shop: Shop) -> None:
    shop.add_plain("meddler", "app.listenTCP(config.port, Kept())", "config.port = 1")
    shop.run("meddler", "-p", "8701")
    assert shop.plan("meddler.tap")["servers"][0]["options"] == {"port": 8701}
    shop.run("-a", "meddler.tap", "meddler", "-p", "8702")
    assert shop.plan("meddler.tap")["servers"][1]["options"] == {"port": 8702}

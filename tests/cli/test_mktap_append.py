"""mktap -a: one more server in a tap that is there."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from cli.makershop import Shop
from playground import Playground
from taphouse.cli.starting import owning
from taphouse.persist import TapLock, read_info


def test_to_a_seed_a_server_is_added_and_the_first_name_kept(shop: Shop) -> None:
    shop.run("echo", "-n", "site", "-o", "site.tap", "-p", "8701")
    before = read_info("site.tap")
    out, _ = shop.run("-a", "site.tap", "discard", "-p", "8702")
    assert "application site; servers echo, discard" in out
    after = read_info("site.tap")
    assert (after.name, after.role, after.lineage) == ("site", "seed", before.lineage)
    assert shop.ports("site.tap") == ["tcp:8701", "tcp:8702"]
    assert shop.servers("site.tap") == [("echo", "echo"), ("discard", "discard")]


def test_a_missing_tap_is_made(shop: Shop) -> None:
    shop.run("-a", "site.tap", "echo")
    assert read_info("site.tap").name == "echo"
    shop.run("quotes", "--file", "fortunes", "--append", "other.tap", "-n", "other")
    assert read_info("other.tap").name == "other"


def test_a_second_server_of_a_type_gets_a_number(shop: Shop) -> None:
    for port in ("8701", "8702", "8703"):
        shop.run("-a", "echo.tap", "echo", "-p", port)
    assert shop.servers("echo.tap") == [("echo", "echo"), ("echo-2", "echo"), ("echo-3", "echo")]


def test_another_name_for_an_application_that_has_one_is_refused(shop: Shop) -> None:
    shop.run("echo", "-p", "8701")
    shop.refused("-a", "echo.tap", "-n", "other", "discard", says=("--appname other", "keeps its name"))
    shop.run("-a", "echo.tap", "-n", "echo", "discard")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((), ()),
        (("--interface", "127.0.0.1"), ()),
        ((), ("--interface", "127.0.0.1")),
        (("--interface", "0.0.0.0"), ("--interface", "127.0.0.1")),
        (("--interface", "::"), ("--interface", "::1")),
    ],
)
def test_one_address_for_two_servers_is_refused_by_the_options_name(
    shop: Shop, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    shop.run("echo", "-p", "8701", *first)
    shop.refused("-a", "echo.tap", "discard", "-p", "8701", *second, says=("8701", "discard", "--port"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("--interface", "127.0.0.1"), ("--interface", "127.0.0.2")),
        (("--interface", "0.0.0.0"), ("--interface", "::")),
        (("--interface", "0.0.0.0"), ("--interface", "::1")),
    ],
)
def test_one_port_on_two_interfaces_is_two_addresses(
    shop: Shop, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    shop.run("echo", "-p", "8701", *first)
    shop.run("-a", "echo.tap", "discard", "-p", "8701", *second)


def test_one_name_for_two_factories_is_refused_with_both_servers(shop: Shop) -> None:
    for kind, port in (("one", 8701), ("two", 8702)):
        shop.add_plain(kind, f'app.listenTCP({port}, Kept(), name="kept")')
    shop.run("one")
    shop.refused("-a", "one.tap", "two", status=78, says=("one.tap and server two", "'kept'", "name="))
    Path("site.toml").write_text('[server.a]\ntype = "one"\n[server.b]\ntype = "two"\n')
    shop.refused("--from", "site.toml", status=78, says=("servers a and b", "'kept'"))


def test_one_name_for_two_services_is_refused(shop: Shop) -> None:
    for kind in ("one", "two"):
        shop.add_plain(kind, "app.addService(Clock(), 'clock')")
    shop.run("one")
    shop.refused("-a", "one.tap", "two", status=78, says=("server two", "'clock'"))


def test_a_type_that_fails_leaves_the_tap_as_it_was(shop: Shop) -> None:
    shop.run("echo")
    shop.add_plain("faulty", "app.listenTCP(config.port, Kept())", "1 / 0")
    shop.refused("-a", "echo.tap", "faulty", status=70, says=("type faulty", "ZeroDivisionError"))


def test_a_tap_that_somebody_uses_is_not_touched(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owning, "_HOLDER_WAIT_S", 0.0)
    shop.run("echo")
    lock = TapLock("echo.tap")
    lock.acquire(wait_s=0)
    try:
        before = shop.contents()
        _, err = shop.run("-a", "echo.tap", "discard", status=75)
        assert "echo.tap" in err
        assert shop.contents() == before
    finally:
        lock.release()


@pytest.mark.parametrize("content", [b"", b"no tap at all", b"SQLite format 3\0" + bytes(200)])
def test_what_is_no_tap_is_refused(shop: Shop, content: bytes) -> None:
    Path("site.tap").write_bytes(content)
    shop.refused("-a", "site.tap", "echo", status=78, says=("site.tap",))


def test_a_seed_whose_code_is_gone_is_not_written_without_it(shop: Shop) -> None:
    path = shop.add_plain("leaver", "app.listenTCP(config.port, Kept())")
    shop.run("leaver")
    path.unlink()
    del sys.modules["leaver"]
    shop.refused("-a", "leaver.tap", "echo", status=78, says=("leaver",))


def test_a_seed_is_not_written_without_what_its_code_no_longer_knows(shop: Shop) -> None:
    path = shop.add_plain(
        "shrinker", "kept = Kept()", "kept.extra = Extra()", "app.listenTCP(config.port, kept)"
    )
    text = path.read_text()
    path.write_text(text.replace("class Clock", "class Extra:\n    pass\n\nclass Clock"))
    shop.run("shrinker")
    path.write_text(text)
    del sys.modules["shrinker"]
    importlib.invalidate_caches()
    shop.refused("-a", "shrinker.tap", "echo", status=78, says=("shrinker.tap", "shrinker.Extra", "install"))


def test_user_and_durability_may_be_given_along(shop: Shop) -> None:
    shop.run("echo")
    shop.run("-a", "echo.tap", "--durability", "exit", "discard")
    assert shop.plan("echo.tap")["durability"] == "exit"


@pytest.mark.process
def test_to_the_state_of_a_stopped_server_one_is_added_and_the_state_kept(state: Playground) -> None:
    before = read_info(state.folder / "otk-shutdown.tap")
    done = state.run("mktap", "-a", "otk-shutdown.tap", "echo", "-p", "8702", "--interface", "127.0.0.1")
    assert "otk-shutdown.tap.1: what otk-shutdown.tap was before" in done.stdout
    after = read_info(state.folder / "otk-shutdown.tap")
    assert (after.role, after.name, after.lineage) == ("state", "otk", before.lineage)
    state.run("twistd", "-f", "otk-shutdown.tap")
    assert state.ask(8123) == b"1\n"
    assert state.ask(8702, b"hello") == b"hello"
    state.kill()
    state.run("twistd", "-f", "otk-shutdown.tap")
    assert state.ask(8123) == b"2\n"
    assert [entry["name"] for entry in read_info(state.folder / "otk-shutdown.tap").plan["servers"]] == [
        "echo"
    ]


@pytest.mark.process
def test_to_a_seed_that_code_has_built_a_server_is_added_with_its_code(seed: Playground) -> None:
    seed.run("mktap", "-a", "otk-start.tap", "echo", "-p", "8702", "--interface", "127.0.0.1")
    seed.run("twistd", "-f", "otk-start.tap")
    assert seed.ask(8123) == b"0\n"
    assert seed.ask(8702, b"hello") == b"hello"


@pytest.mark.process
def test_a_tap_on_which_a_server_runs_is_never_touched(seed: Playground) -> None:
    seed.run("twistd", "-f", "otk-start.tap")
    for words in (
        ["-a", "otk-shutdown.tap", "echo"],
        ["-n", "x", "-o", "otk-shutdown.tap", "--force", "echo"],
    ):
        done = seed.run("mktap", *words, status=75)
        assert str(seed.pid()) in done.stderr
    assert seed.ask(8123) == b"0\n"
    assert "otk-shutdown.tap.1" not in seed.files()

"""mktap --from: several servers, described in one file; and tap show --toml, which writes such a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.makershop import Shop
from taphouse.cli import tap

SITE = """\
appname = "site"
durability = "interval"

[server.fortunes]
type = "quotes"
file = "fortunes"
names = ["ann", "bob"]
port = 8701

[server.echo]
type = "echo"
port = 8702
"""


@pytest.fixture
def site(shop: Shop) -> Shop:
    Path("site.toml").write_text(SITE)
    return shop


def test_all_servers_are_built_in_their_order(site: Shop) -> None:
    out, _ = site.run("--from", "site.toml")
    assert out.splitlines()[0] == (
        "site.tap: application site; servers fortunes (type quotes), echo;"
        " listens on tcp:127.0.0.1:8701, tcp:8702"
    )
    plan = site.plan("site.tap")
    assert (plan["name"], plan["durability"]) == ("site", "interval")


def test_what_the_line_says_goes_before_what_the_file_says(site: Shop) -> None:
    site.run("--from", "site.toml", "-n", "mine", "--durability", "gate", "-o", "here.tap")
    plan = site.plan("here.tap")
    assert (plan["name"], plan["durability"]) == ("mine", "gate")


def test_without_appname_the_application_is_called_as_the_file(site: Shop) -> None:
    Path("club.toml").write_text('[server.echo]\ntype = "echo"\n')
    site.run("--from", "club.toml")
    assert site.plan("club.tap")["name"] == "club"


def test_printing_shows_each_value_and_makes_nothing(site: Shop) -> None:
    out, _ = site.run("--from", "site.toml", "--print-config")
    assert "[server.fortunes]" in out
    assert "site.toml [server.fortunes]: port" in out
    assert not Path("site.tap").exists()


def test_show_writes_the_file_that_builds_the_same_tap(site: Shop) -> None:
    site.run("--from", "site.toml")
    text, _ = site.run("show", "--toml", "site.tap", command=tap.main)
    Path("again.toml").write_text(text)
    site.run("--from", "again.toml", "-o", "again.tap")
    assert site.plan("again.tap") == site.plan("site.tap")


def test_show_of_a_tap_of_one_server_builds_it_again(shop: Shop) -> None:
    shop.run("quotes", "--file", "fortunes", "-D", 'odd "name" é')
    text, _ = shop.run("show", "--toml", "quotes.tap", command=tap.main)
    Path("again.toml").write_text(text)
    shop.run("--from", "again.toml", "-o", "again.tap")
    assert shop.plan("again.tap") == shop.plan("quotes.tap")


def test_show_has_secrets_as_references_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("secret").write_text("sesame\n")
    shop.run("quotes", "--file", "fortunes", "--password-file", "secret")
    text, _ = shop.run("show", "--toml", "quotes.tap", command=tap.main)
    assert str(shop.folder / "secret") in text
    assert "sesame" not in text
    monkeypatch.setenv("TAPHOUSE_QUOTES_PASSWORD", "sesame")
    shop.run("quotes", "--file", "fortunes")
    text, _ = shop.run("show", "--toml", "quotes.tap", command=tap.main)
    assert "quotes.password is in the tap only" in text
    assert "sesame" not in text


def test_a_tap_of_code_has_no_such_file(shop: Shop, capsys: Any) -> None:
    from taphouse import Application, Factory, Protocol

    app = Application("otk")
    factory = Factory()
    factory.protocol = Protocol
    app.listenTCP(8123, factory)
    app.save("start")
    capsys.readouterr()
    _, err = shop.run("show", "--toml", "otk-start.tap", status=78, command=tap.main)
    assert "otk-start.tap: was built by code" in err
    _, err = shop.run("show", "--toml", "--json", "otk-start.tap", status=64, command=tap.main)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[server.echo]\ntype = "echo\n', ("line 2",)),
        ("", ("describes no server",)),
        ('apname = "x"\n' + SITE, ("unknown key 'apname'", "appname")),
        ('[servers.echo]\ntype = "echo"\n', ("unknown key 'servers'", "server")),
        ('appname = "no name"\n[server.echo]\ntype = "echo"\n', ("appname", "'no name'")),
        ('uid = 1.5\n[server.echo]\ntype = "echo"\n', ("uid is 1.5",)),
        ('uid = "nosuchuser"\n[server.echo]\ntype = "echo"\n', ("nosuchuser",)),
        ('durability = "often"\n[server.echo]\ntype = "echo"\n', ("durability is 'often'", "gate")),
        ("server = 1\n", ("describes no server",)),
        ("server = {echo = 1}\n", ("server.echo is no table",)),
        ("[server.echo]\nport = 1\n", ("[server.echo]", "type is missing")),
        ("[server.echo]\ntype = 1\n", ("[server.echo]", "type is 1")),
        ('[server."no name"]\ntype = "echo"\n', ("server name", "no name")),
        ('[server.echo]\ntype = "ecko"\n', ("[server.echo]", "'ecko'", "did you mean echo?")),
        ('[server.echo]\ntype = "echo"\nprot = 1\n', ("[server.echo]", "unknown key 'prot'", "port")),
        ('[server.echo]\ntype = "echo"\nport = "x"\n', ("[server.echo]: port",)),
        ('[server.echo]\ntype = "echo"\nport = 99999\n', ("[server.echo]: port", "65535")),
        ('[server.q]\ntype = "quotes"\n', ("--file", "required")),
        (
            '[server.a]\ntype = "echo"\nport = 7\n[server.b]\ntype = "discard"\nport = 7\n',
            ("servers a and b", "tcp:7", "--port"),
        ),
    ],
)
def test_what_is_wrong_in_the_file_is_told_by_its_place(shop: Shop, text: str, says: tuple[str, ...]) -> None:
    Path("site.toml").write_text(text)
    shop.refused("--from", "site.toml", says=says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("echo",), ("echo is one more",)),
        (("-a", "x.tap"), ("--from and --append contradict",)),
        (("--config", "x.toml"), ("--from and --config contradict",)),
        (("--dry-run",), ("--dry-run",)),
    ],
)
def test_a_file_of_servers_is_alone(site: Shop, words: tuple[str, ...], says: tuple[str, ...]) -> None:
    site.refused("--from", "site.toml", *words, says=says)


def test_if_one_server_fails_nothing_is_made(site: Shop) -> None:
    site.add_plain("faulty", "1 / 0")
    Path("site.toml").write_text(SITE + '[server.last]\ntype = "faulty"\n')
    site.refused("--from", "site.toml", status=70, says=("type faulty",))


def test_a_server_is_updated_by_its_name_or_by_its_type_if_that_says_enough(site: Shop) -> None:
    site.run("--from", "site.toml")
    site.run("--update", "site.tap", "fortunes", "-p", "8711")
    site.run("--update", "site.tap", "quotes", "-p", "8712")
    assert site.ports("site.tap") == ["tcp:127.0.0.1:8712", "tcp:8702"]
    site.run("-a", "site.tap", "quotes", "--file", "fortunes", "-p", "8713")
    site.run("--update", "site.tap", "quotes", "-p", "8714")
    assert site.ports("site.tap") == ["tcp:127.0.0.1:8712", "tcp:8702", "tcp:127.0.0.1:8714"]

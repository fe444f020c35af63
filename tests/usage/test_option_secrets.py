"""Secrets are used and never shown."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from optionmodels import Everything, options, parse, refusal

from taphouse import Application, Factory, usage
from taphouse.cli.inspecting.showing import describe_tap
from taphouse.durable import find_registered
from taphouse.errors import ConfigurationError
from taphouse.persist import NullStore, thaw, write_seed

SESAME = "open-sesame"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "secret"
    path.write_text(SESAME + "\n")
    return path


def from_environment():
    return parse(Everything, environ={"TAPHOUSE_QUOTES_PASSWORD": SESAME})


def test_the_environment_may_give_one():
    secret = from_environment().options.password
    assert (secret.kind, secret.reveal()) == ("tap", SESAME)


def test_it_is_shown_nowhere():
    parsed = from_environment()
    config = parsed.options
    shown = [
        repr(config),
        str(config.password),
        repr(config.password),
        f"{config.password}",
        "%s" % config.password,
        usage.print_config(parsed),
        repr(usage.to_plan(config)),
        usage.write_toml(usage.to_plan(config)),
        repr(usage.to_argv(config)),
        repr(usage.to_environment(config, "quotes")),
        repr(parsed),
    ]
    assert [text for text in shown if SESAME in text] == []
    assert "***" in usage.print_config(parsed)


def test_the_plan_only_says_where_it_is(file):
    assert usage.to_plan(from_environment().options)["password"] == {"secret": "tap"}
    config = options(Everything, "--password-file", str(file))
    assert usage.to_plan(config)["password"] == {"file": str(file)}
    config = options(Everything, "--password-credential", "db")
    assert usage.to_plan(config)["password"] == {"credential": "db"}


def test_a_secret_file_is_read_when_it_is_needed(file):
    secret = options(Everything, "--password-file", str(file)).password
    assert secret.reveal() == SESAME
    file.write_text("changed")
    assert secret.reveal() == "changed"
    file.unlink()
    with pytest.raises(ConfigurationError, match=f"secret file {file}: No such file"):
        secret.reveal()


def test_a_configuration_file_says_where_it_is(file):
    secret = options(Everything, config={"password": {"file": str(file)}}).password
    assert secret.reveal() == SESAME
    secret = options(Everything, config={"password": {"credential": "db"}}).password
    assert (secret.kind, secret.name) == ("credential", "db")


def test_a_credential_is_read_when_it_is_needed(file, monkeypatch):
    secret = usage.Secret.from_credential(file.name)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(
        ConfigurationError, match="CREDENTIALS_DIRECTORY is not set; give the service LoadCred"
    ):
        secret.reveal()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(file.parent))
    assert secret.reveal() == SESAME
    with pytest.raises(
        ConfigurationError, match=f"no credential 'gone': there is no {file.parent}/gone; give"
    ):
        usage.Secret.from_credential("gone").reveal()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * (1 << 20) + b"y"])
def test_a_file_that_holds_no_secret_is_named(file, content):
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"secret file {file}: "):
        usage.Secret.from_file(file).reveal()


def test_the_plan_alone_does_not_know_a_secret_that_was_typed():
    plan = usage.to_plan(from_environment().options)
    secret = usage.from_plan(Everything, plan).password
    assert (secret.kind, secret.is_known) == ("tap", False)
    with pytest.raises(
        ConfigurationError, match="kept in the state of the tap, not in its plan; give it anew"
    ):
        secret.reveal()
    assert options(Everything, stored=plan).password == secret


def test_secrets_are_equal_if_they_are_the_same():
    assert usage.Secret("a") == usage.Secret("a")
    assert usage.Secret("a") != usage.Secret("b")
    assert usage.Secret("a") != "a"
    assert usage.Secret.from_file("/a") != usage.Secret.from_credential("/a")


# --- asking ---------------------------------------------------------------------------------------

ASK = """
import os

os.open(os.ttyname(0), os.O_RDWR)  # the first of a session gets what it opens as its terminal, /dev/tty
# When the first of a session ends, its terminal forgets what nobody has read yet: another one asks.
if asking := os.fork():
    print("status", os.waitstatus_to_exitcode(os.waitpid(asking, 0)[1]), flush=True)
    try:
        while os.read(0, 100):
            pass
    finally:
        os._exit(0)

from taphouse import usage

class Options(usage.Options):
    password: usage.Secret = usage.option(help="of the database")

print("got", len(Options.parse().password.reveal()))
"""


def converse(script: Path, *typed: str) -> tuple[int, str]:
    """Run a program at a terminal, and answer each of its questions."""
    terminal, inside = pty.openpty()
    said, answers = "", list(typed)
    with subprocess.Popen(
        [sys.executable, str(script), "--password"],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    ):
        os.close(inside)
        try:
            while not (ended := re.search(r"^status (\d+)\r\n", said, re.MULTILINE)):
                said += os.read(terminal, 4096).decode()
                # getpass has turned the echo off before it asks
                if answers and re.search(r"^password(?: again)?: \Z", said, re.MULTILINE):
                    os.write(terminal, answers.pop(0).encode() + b"\n")
        finally:
            os.close(terminal)  # hangs up: the first of the session reads no more
    return int(ended[1]), said[: ended.start()].replace("\r\n", "\n")


@pytest.mark.process
@pytest.mark.parametrize(
    ("typed", "status", "end"),
    [
        ((SESAME, SESAME), 0, "got 11"),
        ((SESAME, "other"), 64, "--password: the two are not the same; try again"),
        (("", ""), 64, "--password: nothing was typed"),
    ],
)
def test_it_is_asked_for_twice_without_an_echo(tmp_path, typed, status, end):
    script = tmp_path / "ask.py"
    script.write_text(ASK)
    code, said = converse(script, *typed)
    assert (code, said.strip().endswith(end)) == (status, True), said
    assert SESAME not in said
    assert "password: " in said and "password again: " in said


def test_without_a_terminal_it_is_not_asked_for(monkeypatch):
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert refusal(Everything, "--password") == (
            "--password asks for a secret, but there is no terminal;"
            " give --password-file or --password-credential"
        )


def test_a_required_one_says_all_ways_to_give_it():
    class Locked(usage.Options):
        password: usage.Secret = usage.option(help="of the database")

    assert refusal(Locked) == (
        "--password is required (of the database); give --password, --password-file FILE or"
        " --password-credential NAME, or set TAPHOUSE_QUOTES_PASSWORD"
    )


# --- in a tap -------------------------------------------------------------------------------------


class Vault(Factory):
    """Keeps a whole configuration."""

    def __init__(self, config):
        self.config = config
        self.secret = config.password
        self.target = config.target


def find(record):
    """Find a class as a running application does: registered, or of a module that is imported."""
    return find_registered(record.name) or getattr(sys.modules[record.module], record.qualname)


def test_a_tap_holds_options_secrets_and_addresses(tmp_path):
    config = options(
        Everything, "--target", "[::1]:80", "--name", "a", environ={"TAPHOUSE_QUOTES_PASSWORD": SESAME}
    )
    app = Application("vault")
    app.listenUNIX("vault.sock", Vault(config))
    tap = tmp_path / "vault.tap"
    write_seed(tap, app, {"name": "vault"})
    assert SESAME not in json.dumps(describe_tap(str(tap), limit=0))
    [listener] = thaw(NullStore(tap), find).root.listeners
    vault = listener.factory
    assert vault.config == config
    assert vault.secret.reveal() == SESAME
    assert vault.target == usage.Address("::1", 80) and type(vault.target) is usage.Address

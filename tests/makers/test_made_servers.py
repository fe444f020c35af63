"""Servers that mktap makes, as processes: killed, made anew with other options, started in bad places."""

from __future__ import annotations

import signal

import pytest

pytestmark = pytest.mark.process


def test_a_server_that_was_killed_and_is_made_again_goes_on_with_its_state(playground):
    playground.write("fortunes", "one\ntwo\nthree\n")
    playground.run("mktap otk --first 7 -p 8123")
    playground.run("mktap -a otk.tap qotd --file fortunes --order sequence -p 8817")
    playground.run("mktap -a otk.tap kv -p 8208")
    playground.run("twistd -f otk.tap")

    def ask() -> tuple[bytes, bytes, str]:
        count = playground.run("redis-cli -p 8208 incr visits").stdout
        return playground.ask(8123), playground.ask(8817), count

    assert ask() == (b"7\n", b"one\r\n", "1\n")
    playground.kill(signal.SIGKILL)
    playground.run("twistd -f otk-shutdown.tap")
    assert ask() == (b"8\n", b"two\r\n", "2\n")
    playground.kill(signal.SIGKILL)
    said = playground.run("mktap --update otk-shutdown.tap otk --first 50").stdout
    assert "keeps" in said
    assert "nextkey: 9" in said
    playground.run("twistd -f otk-shutdown.tap")
    assert ask() == (b"9\n", b"three\r\n", "3\n")


def test_what_a_start_lacks_is_said_in_a_line_and_nothing_is_written(playground):
    fortunes = playground.write("fortunes", "one\n")
    playground.run("mktap qotd --file fortunes -p 8817")
    before = playground.files()
    fortunes.unlink()
    failed = playground.run("twistd -f qotd.tap", status=78)
    assert failed.stderr.count("\n") == 1
    assert "fortunes cannot be read: No such file or directory; see that it is there" in failed.stderr
    assert playground.files() - {"twistd.log"} == before - {"fortunes"}


def test_a_port_that_is_taken_is_named(playground):
    playground.run("mktap echo -p 8807 && mktap discard -p 8807 && twistd -f echo.tap")
    failed = playground.run("twistd -f discard.tap --pidfile d.pid -l d.log", status=69)
    assert failed.stderr.count("\n") == 1
    assert str(playground.port(8807)) in failed.stderr

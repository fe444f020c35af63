"""The examples do what their first lines say, with real processes and a real ``nc``."""

from __future__ import annotations

import re
import signal
import socket
from contextlib import ExitStack

import pytest

from docs.following import follow
from docs.walkthrough import blocks_of
from playground import TOP

pytestmark = pytest.mark.process

EXAMPLES = sorted((TOP / "examples").glob("*/*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)
def test_an_example_is_executable_and_opens_with_what_it_is(example):
    lines = example.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env python3"
    assert lines[1].startswith('"""')
    assert example.stat().st_mode & 0o111
    assert len(lines) < 60


def nc(playground, *arguments, stdin=""):
    return playground.run("nc", *arguments, stdin=stdin).stdout


def test_01_daytime_answers_till_control_c(playground):
    playground.example("01-daytime/app1.py")
    child = playground.start("./app1.py")
    playground.wait_until(lambda: playground.accepts(8813), "the port")
    assert re.search(r"\d\d:\d\d:\d\d", nc(playground, "localhost", "8813"))
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=30)
    assert child.returncode == 0


def test_02_daytime_saved_is_started_by_twistd(playground):
    playground.example("02-daytime-saved/app2.py")
    playground.run("./app2.py")
    playground.run("twistd", "-f", "daytimer-start.tap")
    assert re.search(r"\d\d:\d\d:\d\d", nc(playground, "localhost", "8813"))


def test_03_one_time_keys_go_on_after_kill_9(playground):
    playground.example("03-one-time-keys/app3.py")
    playground.run("./app3.py")
    playground.run("twistd", "-f", "otk-start.tap")
    assert nc(playground, "localhost", "8123") == "0\n"
    playground.kill(signal.SIGKILL)
    playground.run("twistd", "-f", "otk-shutdown.tap")
    assert nc(playground, "localhost", "8123") == "1\n"


def test_04_chat_tells_others_and_greets_newcomers_after_a_crash(playground):
    playground.example("04-chat/chat.py")
    playground.run("tap", "start", "chat.py")
    with ExitStack() as stack:
        ann, bob = (stack.enter_context(caller(playground, 8204)) for _ in range(2))
        # Both are there as soon as one hears the other.
        ann.write(b"hello\n")
        assert bob.readline() == b"hello\n"
        bob.write(b"hi\n")
        assert ann.readline() == b"hi\n"
    playground.kill(signal.SIGKILL, "chat.pid")
    playground.run("tap", "start", "chat.py")
    with caller(playground, 8204) as newcomer:
        assert [newcomer.readline(), newcomer.readline()] == [b"hello\n", b"hi\n"]


def caller(playground, port):
    connection = socket.create_connection(("127.0.0.1", playground.port(port)), timeout=30)
    with connection:
        return connection.makefile("rwb", buffering=0)


def test_05_a_reminder_promised_before_a_crash_is_kept_after_it(playground):
    playground.example("05-service/reminders.py")
    playground.run("tap", "start", "reminders.py")
    assert (
        nc(playground, "-N", "localhost", "8205", stdin="3600 much later\n2 tea is ready\n")
        == "promised\n" * 2
    )
    playground.kill(signal.SIGKILL, "reminders.pid")
    playground.run("tap", "start", "reminders.py")
    playground.wait_until(
        lambda: "reminder: tea is ready" in playground.read("reminders.log"), "the reminder"
    )
    assert "much later" not in playground.read("reminders.log")


def test_06_two_listeners_share_one_counter(playground):
    playground.example("06-two-listeners/counter.py")
    playground.run("tap", "start", "counter.py")
    assert nc(playground, "localhost", "8206") == "1\n"
    assert nc(playground, "-U", "counter.sock") == "2\n"
    assert (playground.folder / "counter.sock").stat().st_mode & 0o777 == 0o600
    playground.kill(signal.SIGKILL, "counter.pid")
    playground.run("tap", "start", "counter.py")  # the socket file that was left is replaced
    assert nc(playground, "-U", "counter.sock") == "3\n"
    assert nc(playground, "localhost", "8206") == "4\n"


def test_07_money_moves_whole_or_not_at_all(playground):
    playground.example("07-transfers/bank.py")
    playground.run("tap", "start", "bank.py")

    def ask(line):
        return nc(playground, "-N", "localhost", "8207", stdin=line + "\n")

    assert ask("alice bob 30") == "alice 70, bob 80\n"
    assert ask("alice bob 300") == "alice does not have 300\n"
    assert ask("bob alice -1") == "bob does not have -1\n"
    assert ask("alice carol 1") == "no account 'carol'\n"
    playground.kill(signal.SIGKILL, "bank.pid")
    playground.run("tap", "start", "bank.py")
    assert ask("bob alice 0") == "bob 80, alice 70\n"


@pytest.mark.slow
def test_10_a_package_is_made_installed_upgraded_and_purged_as_its_readme_says(playground):
    folder = TOP / "examples" / "10-package"
    programs = [block.body for block in blocks_of((folder / "README.md").read_text()) if block.kind == "file"]
    assert programs[-1] == (folder / "tickets.py").read_text()
    follow(folder / "README.md", playground)


@pytest.mark.slow
def test_the_demo_counts_its_keys_and_leaves_nothing_running(playground):
    # Between a kill and the next start nobody listens: the port has to be one that no other test is given.
    done = playground.run(
        "python", str(TOP / "scripts" / "demo.py"), "--folder", "demo", "--port", playground.port(8123)
    )
    last = done.stdout.splitlines()[-1]
    counted = re.fullmatch(r"keys acknowledged (\d+), repeated (\d+), lost (\d+)", last)
    assert counted, done.stdout
    acknowledged, repeated, lost = map(int, counted.groups())
    assert acknowledged > 100
    assert (repeated, lost) == (0, 0)
    assert done.stdout.count("killed with -9") == 6
    assert playground.running() == []
    assert "otk-shutdown.tap" in {path.name for path in (playground.folder / "demo").iterdir()}


def test_the_demo_needs_no_tool_but_python():
    """No git, nc or compiler: all it starts are our own commands."""
    text = (TOP / "scripts" / "demo.py").read_text()
    assert re.findall(r'run\(folder, "(\w+)"', text) == ["python", "twistd", "twistd", "tap"]

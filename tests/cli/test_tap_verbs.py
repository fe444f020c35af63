"""The verbs of `tap`, with real servers: run, start, status, stop, show, check, backup."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from playground import Playground
from taphouse.cli.inspecting import servers
from taphouse.cli.path_check import foreign_twistd
from taphouse.control import ControlError, Entry
from taphouse.persist import read_info

pytestmark = pytest.mark.process

KEYS = """\
from taphouse import Application, Factory, Protocol

class OneTimeKey(Protocol):
    def connection_made(self, transport):
        key = self.factory.nextkey
        self.factory.nextkey += 1
        transport.write(b"%d\\n" % key)
        transport.close()

class Keys(Factory):
    protocol = OneTimeKey

    def __init__(self):
        self.nextkey = 0
        self.owners = {}

app = Application("otk")
app.listenTCP(8123, Keys(), interface="127.0.0.1")

if __name__ == "__main__":
    app.save("start")
"""


@pytest.fixture
def keys(playground: Playground) -> Playground:
    """A folder with otk.py."""
    playground.write("otk.py", KEYS)
    return playground


@pytest.fixture
def seed(keys: Playground) -> Playground:
    """The same with its seed."""
    keys.run("python", "otk.py")
    return keys


@pytest.fixture
def server(seed: Playground) -> Playground:
    """A running server, started by `tap start`, that has given key 0."""
    seed.run("tap", "start", "otk-start.tap")
    assert seed.ask(8123) == b"0\n"
    return seed


def test_start_goes_on_from_its_state_by_the_same_command(server: Playground) -> None:
    server.kill(signal.SIGKILL, "otk.pid")
    server.run("tap", "start", "otk-start.tap")
    assert server.ask(8123) == b"1\n"
    assert {"otk.pid", "otk.log", "otk-shutdown.tap"} <= server.files()
    assert server.files().isdisjoint({"twistd.pid", "twistd.log"})


def test_start_takes_code_as_well(keys: Playground) -> None:
    keys.run("tap", "start", "otk.py")
    assert keys.ask(8123) == b"0\n"
    keys.kill(pidfile="otk.pid")
    keys.run("tap", "start", "otk:app")
    assert keys.ask(8123) == b"1\n"


def test_run_stays_in_the_foreground_and_needs_no_tap(keys: Playground) -> None:
    child = keys.start("tap", "run", "otk:app")
    keys.wait_until(lambda: (keys.folder / "otk-shutdown.tap").exists(), "the state")
    assert keys.ask(8123) == b"0\n"
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=30)
    assert child.returncode == 0
    assert said.splitlines()[-1].endswith(b"Server Shut Down.")
    assert keys.files() - {"__pycache__"} == {"otk.py", "otk-shutdown.tap"}


def test_run_refuses_a_seed_where_newer_state_lies(server: Playground) -> None:
    server.run("tap", "stop", "otk")
    done = server.run("tap", "run", "otk-start.tap", status=78)
    assert done.stderr.startswith("tap: ")
    assert "--fresh" in done.stderr


def test_status_lists_all_servers_and_tells_more_of_one(server: Playground) -> None:
    pid = str(server.pid("otk.pid"))
    lines = server.run("tap", "status").stdout.splitlines()
    assert lines[0].split() == ["NAME", "PID", "UP", "TAP"]
    assert lines[1].split()[:2] == ["otk", pid]
    for name in ("otk", "otk-shutdown.tap"):
        said = server.run("tap", "status", name).stdout
        assert said.startswith(f"otk: running, PID {pid}")
        assert str(server.port(8123)) in said
    [status] = json.loads(server.run("tap", "status", "--json").stdout)
    assert (status["name"], status["state"], status["accepted"], status["durable"]) == (
        "otk",
        "running",
        1,
        True,
    )
    assert status["tap"] == str(server.folder / "otk-shutdown.tap")


def test_a_server_that_takes_clients_is_ready(server: Playground) -> None:
    pid = server.pid("otk.pid")
    for name in ("otk", "otk-shutdown.tap"):
        assert server.run("tap", "status", "--ready", name).stdout == f"otk (PID {pid}) is ready\n"
    assert server.run("tap", "status", "--ready", "other", status=69).stdout == ""
    assert "name it: tap status --ready NAME" in server.run("tap", "status", "--ready", status=64).stderr


@pytest.mark.parametrize("state", ["not ready", "stopping"])
def test_a_server_that_turns_clients_away_is_not_ready(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Entry(
        name="otk", pid=1, tap="", source="", rundir="", since=0.0, socket="", started=0, version="1"
    )
    monkeypatch.setattr(servers, "find_server", lambda _: entry)
    monkeypatch.setattr(servers, "ask", lambda *_: {"state": state})
    with pytest.raises(ControlError, match=rf"otk \(PID 1\) is {state}; its log says") as caught:
        servers.say_whether_ready("otk")
    assert caught.value.exit_code == 69


def test_status_of_a_server_that_does_not_run_is_69(playground: Playground) -> None:
    assert playground.run("tap", "status").stdout == "no server of this user is running\n"
    assert playground.run("tap", "status", "--json").stdout == "[]\n"
    done = playground.run("tap", "status", "otk", status=69)
    assert done.stderr == "tap: no server 'otk' is running; no server of this user runs here\n"
    assert playground.run("tap", "stop", "otk", status=69).stderr == done.stderr


def test_stop_returns_when_the_server_is_gone_and_its_state_saved(server: Playground) -> None:
    pid = server.pid("otk.pid")
    done = server.run("tap", "stop", "otk")
    assert done.stdout == f"otk (PID {pid}) has stopped.\n"
    assert not server.accepts(8123)
    assert "otk.pid" not in server.files()
    assert not read_info(server.folder / "otk-shutdown.tap").is_open


def test_show_tells_what_a_tap_holds_without_its_code(server: Playground) -> None:
    server.run("tap", "stop", "otk")
    (server.folder / "otk.py").write_text("raise AssertionError('it was imported')\n")
    before = (server.folder / "otk-shutdown.tap").read_bytes()
    said = server.run("tap", "show", "otk-shutdown.tap").stdout
    assert "state of application otk" in said
    assert f"tcp:127.0.0.1:{server.port(8123)} with Keys#1" in said
    assert "nextkey  1" in said
    shown = json.loads(server.run("tap", "show", "--json", "otk-shutdown.tap").stdout)
    [found] = [found for found in shown["objects"] if found["class"] == "otk.Keys"]
    assert found["state"] == {"nextkey": 1, "owners": {}}
    assert (server.folder / "otk-shutdown.tap").read_bytes() == before


def test_show_of_a_running_server_is_as_of_its_last_commit(server: Playground) -> None:
    assert "nextkey  1" in server.run("tap", "show", "otk-shutdown.tap").stdout
    assert server.ask(8123) == b"1\n"
    assert "nextkey  2" in server.run("tap", "show", "otk-shutdown.tap").stdout


def test_the_output_of_show_is_bounded(keys: Playground) -> None:
    text = KEYS.replace(
        "self.owners = {}", "self.owners = {n: 'x' * 1000 for n in range(900)}; self.big = 10**5000"
    )
    keys.write("otk.py", text)
    keys.run("python", "otk.py")
    said = keys.run("tap", "show", "otk-start.tap").stdout
    assert len(said) < 20_000
    assert max(map(len, said.splitlines())) < 300
    shown = json.loads(keys.run("tap", "show", "--json", "--limit", "5", "otk-start.tap").stdout)
    [owners] = [found for found in shown["objects"] if found["class"] == "Dict"]  # big: a row of its own
    assert owners["entries"]["..."] == "895 more"
    everything = json.loads(keys.run("tap", "show", "--json", "--limit", "0", "otk-start.tap").stdout)
    [owners] = [found for found in everything["objects"] if found["class"] == "Dict"]
    assert len(owners["entries"]["dict"]) == 900


def test_show_does_not_let_a_tap_paint_the_terminal(keys: Playground) -> None:
    keys.write("otk.py", KEYS.replace("self.owners = {}", "setattr(self, 'a\\x1b[2Jb', 'c\\x1b[31md\\n')"))
    keys.run("python", "otk.py")
    said = keys.run("tap", "show", "otk-start.tap").stdout
    assert all(line.isprintable() for line in said.splitlines())
    assert "\\x1b" in said


def test_check_says_that_a_start_would_find_everything(server: Playground) -> None:
    for tap in ("otk-start.tap", "otk-shutdown.tap"):
        said = server.run("tap", "check", tap).stdout
        assert "every checksum is right" in said
        assert f"module otk is {server.folder / 'otk.py'}" in said
        assert said.splitlines()[-1] == "a start would find everything it needs"


def test_check_tells_of_upgrades_and_changes_nothing(server: Playground) -> None:
    server.run("tap", "stop", "otk")
    upgraded = KEYS.replace(
        "class Keys(Factory):",
        "class Keys(Factory, version=2):\n    def upgrade_from_1(state):\n        state['nextkey'] += 1000\n",
    )
    server.write("otk.py", upgraded)
    before = (server.folder / "otk-shutdown.tap").read_bytes()
    said = server.run("tap", "check", "otk-shutdown.tap").stdout
    assert "class otk.Keys is upgraded from version 1 to 2" in said
    assert (server.folder / "otk-shutdown.tap").read_bytes() == before
    server.run("tap", "start", "otk-shutdown.tap")
    assert server.ask(8123) == b"1001\n"


def test_backup_of_a_running_server_is_a_tap_of_its_own(server: Playground) -> None:
    said = server.run("tap", "backup", "otk", "copy.tap").stdout
    assert said.startswith("copy.tap: otk as of epoch ")
    assert server.ask(8123) == b"1\n"
    server.run("tap", "stop", "otk")
    server.run("twistd", "-f", "copy.tap")
    assert server.ask(8123) == b"1\n"


def test_backup_of_a_killed_server_holds_its_last_commit_and_leaves_the_original(server: Playground) -> None:
    server.kill(signal.SIGKILL, "otk.pid")
    before = {name: (server.folder / name).read_bytes() for name in server.files() if "shutdown" in name}
    server.run("tap", "backup", "otk-shutdown.tap", "copy.tap")
    assert {name: (server.folder / name).read_bytes() for name in before} == before
    assert not read_info(server.folder / "copy.tap").is_open
    server.run("twistd", "-f", "copy.tap")
    assert server.ask(8123) == b"1\n"


def test_backup_of_a_seed_is_its_copy(seed: Playground) -> None:
    seed.run("tap", "backup", "otk-start.tap", "copy.tap")
    assert (seed.folder / "copy.tap").read_bytes() == (seed.folder / "otk-start.tap").read_bytes()


def test_backup_replaces_nothing_and_says_where_it_cannot_write(server: Playground) -> None:
    (server.folder / "copy.tap").write_text("mine")
    assert "copy.tap is there already" in server.run("tap", "backup", "otk", "copy.tap", status=73).stderr
    assert server.read("copy.tap") == "mine"
    assert "none" in server.run("tap", "backup", "otk", "none/copy.tap", status=73).stderr
    assert (
        "nothere.tap: no such file" in server.run("tap", "backup", "nothere.tap", "x.tap", status=78).stderr
    )


def test_the_twistd_of_another_distribution_is_told_of(playground: Playground) -> None:
    other = playground.make_folder("bin") / "twistd"
    other.write_text("#!/usr/bin/python3\nfrom twisted.scripts.twistd import run\n")
    other.chmod(0o755)
    assert f"({other}) belongs to Twisted" in foreign_twistd(str(other.parent))
    assert foreign_twistd("/nowhere") == ""
    ours = Path(playground.environment["PATH"].split(":")[0])
    assert foreign_twistd(str(ours)) == ""
    path = f"{other.parent}:{playground.environment['PATH']}"
    done = playground.run(str(ours / "tap"), "--version", environment={"PATH": path})
    assert done.stdout.startswith("tap ")
    assert done.stderr.startswith("tap: note: the twistd on your PATH")


def test_the_three_names_of_tap_are_one_command(playground: Playground) -> None:
    said = {
        playground.run(*command, "--version").stdout
        for command in (["tap"], ["taphouse"], ["python", "-m", "taphouse"])
    }
    assert len(said) == 1


def test_a_server_keeps_its_control_socket_to_its_user(server: Playground) -> None:
    sockets = list(server.registry.glob("otk-*.sock"))
    assert len(sockets) == 1
    assert sockets[0].stat().st_mode & 0o077 == 0

"""What a service manager starts tells it, takes what it hands over, and keeps to its folders."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from cli.badinput import OTK
from managed import FakeManager, start_with_sockets
from playground import PATIENCE_S, Playground
from taphouse.cli.starting.steps_live import condition_of

pytestmark = pytest.mark.process

STUCK = OTK.replace(
    "        key = self.factory.nextkey\n",
    """\
        import threading
        open("stuck", "w").close()
        threading.Event().wait()
        key = self.factory.nextkey
""",
)
TWO_DOORS = OTK.replace(
    'app.listenTCP(8123, Keys(), interface="127.0.0.1")',
    """\
keys = Keys()
app.listenTCP(8123, keys, interface="127.0.0.1")
app.listenUNIX("keys.sock", keys, name="local")
""",
)
NOSY = (
    OTK
    + """
else:
    import subprocess
    found = subprocess.run("env; ls -l /proc/self/fd", shell=True, close_fds=False, stdout=subprocess.PIPE)
    print("CHILD", found.stdout.decode())
"""
)


@pytest.fixture
def manager(playground: Playground) -> Iterator[FakeManager]:
    """A manager whose socket everything that is started here finds."""
    made = FakeManager(str(playground.folder / ".notify"))
    playground.environment["NOTIFY_SOCKET"] = made.address
    yield made
    made.close()


@pytest.fixture
def otk(playground: Playground) -> Playground:
    playground.write("otk.py", OTK)
    playground.run("python", "otk.py", environment={"NOTIFY_SOCKET": ""})
    return playground


def stop(child: subprocess.Popen[bytes]) -> str:
    """End a server in order, and return all that it has written."""
    child.send_signal(signal.SIGTERM)
    said = child.communicate(timeout=PATIENCE_S)[0].decode()
    assert child.returncode == 0, said
    return said


def listening(place: Playground, written_port: int = 8123) -> socket.socket:
    sock = socket.create_server(("127.0.0.1", place.port(written_port)))
    sock.settimeout(PATIENCE_S)
    return sock


def test_twistd_stays_in_the_foreground_tells_its_life_and_leaves_no_pidfile(
    otk: Playground, manager: FakeManager
) -> None:
    child = otk.start("twistd", "-f", "otk-start.tap")
    ready = manager.wait_for("READY")
    assert ready == {"READY": "1", "STATUS": "0 connections, epoch 1"}
    assert otk.ask(8123) == b"0\n", "ready means that it accepts"
    assert child.poll() is None
    assert otk.files() == {"otk.py", "otk-start.tap", "otk-shutdown.tap", "otk-shutdown.tap-wal"}
    steps = [message["STATUS"] for message in manager.heard if "STATUS" in message][:-1]
    assert steps[0] == "checking the run directory"
    assert any(
        int(message["EXTEND_TIMEOUT_USEC"]) >= 60_000_000
        for message in manager.heard
        if "EXTEND_TIMEOUT_USEC" in message
    )
    said = stop(child)
    assert manager.wait_for("STOPPING") == {"STOPPING": "1"}
    assert "EXTEND_TIMEOUT_USEC" in manager.wait_for("EXTEND_TIMEOUT_USEC")
    assert "Server Shut Down." in said
    assert not any("MAINPID" in message or "ERRNO" in message for message in manager.heard)


def test_twistd_can_be_told_to_become_a_daemon_all_the_same(otk: Playground, manager: FakeManager) -> None:
    otk.run("twistd", "--daemon", "-f", "otk-start.tap")
    assert manager.wait_for("MAINPID") == {"MAINPID": str(otk.pid())}
    manager.wait_for("READY")
    otk.kill()


@pytest.mark.parametrize("command", [("twistd", "-f"), ("tap", "run")])
def test_a_start_that_fails_says_why_in_its_status(
    otk: Playground, manager: FakeManager, command: tuple[str, ...]
) -> None:
    with listening(otk):
        otk.run(*command, "otk-start.tap", status=69)
    told = manager.wait_for("ERRNO")
    assert told["ERRNO"] == "98"
    assert told["STATUS"].startswith(f"port {otk.port(8123)} on 127.0.0.1: address already in use by pid ")
    assert not any("READY" in message for message in manager.heard)


def test_a_manager_that_is_not_there_is_a_warning(otk: Playground) -> None:
    otk.environment["NOTIFY_SOCKET"] = "/nobody/there"
    child = otk.start("twistd", "-f", "otk-start.tap")
    otk.wait_until(lambda: otk.accepts(8123), "the port")
    assert otk.ask(8123)
    assert "NOTIFY_SOCKET '/nobody/there': No such file or directory" in stop(child)


def test_a_loop_that_hangs_gives_no_signs_of_life(playground: Playground, manager: FakeManager) -> None:
    playground.write("otk.py", STUCK)
    playground.environment["WATCHDOG_USEC"] = "20000"
    child = playground.start("tap", "run", "otk.py")
    manager.wait_for("READY")
    for _ in range(3):
        manager.wait_for("WATCHDOG")
    with socket.create_connection(("127.0.0.1", playground.port(8123)), timeout=PATIENCE_S):
        playground.wait_until(lambda: "stuck" in playground.files(), "the loop to hang")
        manager.pending()  # what was said before
        playground.run("python", "-c", "")  # takes as long as several signs of life
        assert manager.pending() == []
    child.kill()
    child.wait()


@pytest.mark.parametrize(
    ("late", "closed", "stopping", "text", "is_well"),
    [
        ("", "", False, "1 connection, epoch 7", True),
        (
            "the disk does not answer",
            "",
            False,
            "not ready, the disk does not answer: 1 connection, epoch 7",
            False,
        ),
        ("the disk does not answer", "", True, "stopping: 1 connection, epoch 7", False),
        ("", "the disk is full", False, "not ready, the disk is full: 1 connection, epoch 7", True),
    ],
)
def test_a_commit_that_is_late_is_no_sign_of_life(
    late: str, closed: str, stopping: bool, text: str, is_well: bool
) -> None:
    gatekeeper = SimpleNamespace(late_because=late, closed_because=closed, total=1)
    start = SimpleNamespace(
        runtime=SimpleNamespace(gatekeeper=gatekeeper, is_stopping=stopping),
        settings=SimpleNamespace(save=True),
        store=SimpleNamespace(epoch=7),
    )
    found = condition_of(start)  # type: ignore[arg-type]
    assert (found.text, found.is_well, found.is_stopping) == (text, is_well, stopping)


def test_sockets_that_were_handed_over_are_served_and_stay_open_over_a_restart(
    playground: Playground, manager: FakeManager
) -> None:
    playground.write("otk.py", TWO_DOORS)
    path = str(playground.folder / "given.sock")
    with listening(playground) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)
        unix.listen()
        command = ("tap", "run", "otk.py")
        for expected in (b"0\n", b"2\n"):
            child = start_with_sockets(playground, command, [unix, tcp], "local:unknown")
            # It waits in the queue, whoever accepts.
            assert playground.ask(8123) == expected
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE_S)
                client.connect(path)
                assert client.recv(100) == b"%d\n" % (int(expected) + 1)
            manager.wait_for("READY")
            stop(child)
            assert os.path.exists(path), "it is the manager's"
            assert tcp.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def test_a_socket_that_is_none_of_the_taps_stops_the_start(otk: Playground, manager: FakeManager) -> None:
    with listening(otk) as wanted, listening(otk, 8125) as left:
        command = ("twistd", "-f", "otk-start.tap")
        child = start_with_sockets(otk, command, [wanted, left], "unknown:http")
        said = child.communicate(timeout=PATIENCE_S)[0].decode()
    line = f"socket 'http' (tcp 127.0.0.1:{otk.port(8125)}) is for no listener of the tap"
    assert child.returncode == 78
    assert f"twistd: {line}; the names of its listeners are tcp-127.0.0.1-{otk.port(8123)}" in said
    assert manager.wait_for("ERRNO")["STATUS"].startswith(line)
    assert not (otk.folder / "otk-shutdown.tap").exists()


def test_no_child_finds_what_was_meant_for_the_server(playground: Playground, manager: FakeManager) -> None:
    playground.write("otk.py", NOSY)
    with listening(playground) as tcp:
        child = start_with_sockets(playground, ("tap", "run", "otk.py"), [tcp])
        manager.wait_for("READY")
        said = stop(child)
    assert "CHILD" in said
    assert not [word for word in ("NOTIFY_SOCKET", "LISTEN_", "socket:") if word in said]


@pytest.mark.skipif(
    shutil.which("systemd-socket-activate") is None, reason="no systemd-socket-activate on this machine"
)
def test_systemd_socket_activate_starts_it_at_the_first_connection(otk: Playground) -> None:
    address = f"127.0.0.1:{otk.port(8123)}"
    passed = [f"-E{name}" for name in otk.environment if not name.startswith("LISTEN_")]
    name = f"--fdname=tcp-127.0.0.1-{otk.port(8123)}"
    tap = shutil.which("tap", path=otk.environment["PATH"])
    assert tap
    child = otk.start("systemd-socket-activate", "-l", address, name, *passed, tap, "run", "otk-start.tap")
    otk.wait_until(lambda: otk.accepts(8123), "the socket")
    number = int(otk.ask(8123))
    assert int(otk.ask(8123)) == number + 1
    stop(child)


def test_state_and_control_socket_lie_where_the_manager_keeps_them(
    otk: Playground, manager: FakeManager
) -> None:
    state, runtime = otk.make_folder("state", 0o700), otk.make_folder(".run/otk", 0o755)
    otk.environment.update(STATE_DIRECTORY=f"{state}:/elsewhere", RUNTIME_DIRECTORY=str(runtime))
    del otk.environment["TAPHOUSE_RUNTIME_DIR"]
    for expected in (b"0\n", b"1\n"):  # the second start of the same command goes on
        child = otk.start("twistd", "-f", "otk-start.tap")
        manager.wait_for("READY")
        assert otk.ask(8123) == expected
        assert (runtime / "taphouse").is_dir()
        # By its file: servers of other tests may have its name.
        assert otk.run("tap", "status", "state/otk-shutdown.tap").stdout.startswith("otk: running")
        if os.geteuid():  # root looks for services in /run, others in their session as well
            otk.run("tap", "status", "state/otk-shutdown.tap", environment={"RUNTIME_DIRECTORY": ""})
        stop(child)
    assert {path.name for path in state.iterdir() if path.name[0] != "."} == {"otk-shutdown.tap"}
    assert list((runtime / "taphouse").iterdir()) == []


def test_a_run_directory_that_is_named_wins(otk: Playground, manager: FakeManager) -> None:
    otk.environment["STATE_DIRECTORY"] = str(otk.make_folder("state", 0o700))
    child = otk.start("tap", "run", "-d", ".", "otk-start.tap")
    manager.wait_for("READY")
    stop(child)
    assert (otk.folder / "otk-shutdown.tap").exists()

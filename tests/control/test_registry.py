"""Running servers are found by name or file; dead ones by nobody."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from taphouse.control import NotRunningError, find_server, list_servers, register, registry_folders
from taphouse.control.registry import open_folder, service_folders
from taphouse.errors import CannotCreateError, NotPermittedError, UsageError

HOLDER = """
import sys
from taphouse.control import register
registration = register(name=sys.argv[1], tap=sys.argv[2])
print(registration.entry.socket, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry of our own."""
    path = tmp_path / "registry"
    monkeypatch.setenv("TAPHOUSE_RUNTIME_DIR", str(path))
    return path


def start_holder(name: str, tap: str = "") -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, name, tap], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline()
    return child


def end(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.communicate()


def test_root_is_found_where_root_looks_and_users_in_their_session() -> None:
    session = {"XDG_RUNTIME_DIR": "/run/user/7"}
    assert registry_folders(session, uid=0) == ["/run/taphouse", "/tmp/taphouse-0"]
    assert registry_folders(session, uid=7) == ["/run/user/7/taphouse", "/tmp/taphouse-7"]
    assert registry_folders({}, uid=7) == ["/run/user/7/taphouse", "/tmp/taphouse-7"]
    assert registry_folders({"XDG_RUNTIME_DIR": "relative"}, uid=7)[0] == "/run/user/7/taphouse"
    assert registry_folders({"TAPHOUSE_RUNTIME_DIR": "/x"}, uid=0) == ["/x"]
    service = {"RUNTIME_DIRECTORY": "/run/otk:/run/other"}
    assert registry_folders(service, uid=0)[0] == registry_folders(service, uid=7)[0] == "/run/otk/taphouse"


def test_services_register_in_their_own_folder_and_are_found_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "otk"
    runtime.mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.delenv("TAPHOUSE_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(runtime))
    registration = register(name="otk")
    try:
        assert os.path.dirname(registration.entry.socket) == str(runtime / "taphouse")
        session = {"XDG_RUNTIME_DIR": str(tmp_path)}
        assert str(runtime / "taphouse") in service_folders(session, uid=7)
        assert str(tmp_path / "other" / "taphouse") not in service_folders(session, uid=7)
        assert service_folders({**session, "TAPHOUSE_RUNTIME_DIR": "/x"}, uid=7) == []
    finally:
        registration.release()


def test_an_entry_says_who_where_and_what(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    registration = register(name="otk", tap="otk-shutdown.tap", source="otk-start.tap", version="0.1")
    try:
        (entry,) = list_servers()
        assert entry == registration.entry
        assert (entry.name, entry.pid, entry.version) == ("otk", os.getpid(), "0.1")
        assert entry.tap == str(tmp_path / "otk-shutdown.tap")
        assert entry.source == str(tmp_path / "otk-start.tap")
        assert entry.rundir == str(tmp_path)
        assert entry.started == int(Path("/proc/self/stat").read_text().rpartition(") ")[2].split()[19])
    finally:
        registration.release()
    assert list_servers() == []
    assert list(folder.iterdir()) == []
    registration.release()


def test_nobody_else_can_look_in(folder: Path) -> None:
    registration = register(name="otk")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(Path(registration.entry.socket).stat().st_mode) == 0o600
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.glob("*.json"))
    registration.release()


def test_a_server_is_found_by_name_by_its_tap_and_by_what_it_was_started_from(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("otk-shutdown.tap", "otk-start.tap", "other.tap"):
        (tmp_path / name).touch()
    os.link(tmp_path / "otk-shutdown.tap", tmp_path / "hard.tap")
    (tmp_path / "soft.tap").symlink_to("otk-shutdown.tap")
    monkeypatch.chdir(tmp_path)
    registration = register(name="otk", tap="otk-shutdown.tap", source="otk-start.tap")
    try:
        for which in ("otk", str(os.getpid()), "otk-shutdown.tap", "otk-start.tap", "hard.tap", "soft.tap"):
            assert find_server(which) == registration.entry
        for which in ("other.tap", "nosuch", ""):
            with pytest.raises(NotRunningError, match="these run: otk") as caught:
                find_server(which)
            assert caught.value.exit_code == 69
    finally:
        registration.release()
    with pytest.raises(NotRunningError, match="no server of this user"):
        find_server("otk")


def test_two_servers_of_one_name_are_told_apart_by_their_files(folder: Path, tmp_path: Path) -> None:
    first = register(name="otk", tap=str(tmp_path / "a.tap"))
    second = register(name="otk", tap=str(tmp_path / "b.tap"))
    (tmp_path / "b.tap").touch()
    try:
        with pytest.raises(UsageError) as caught:
            find_server("otk")
        assert str(tmp_path / "a.tap") in str(caught.value)
        assert find_server(str(tmp_path / "b.tap")) == second.entry
    finally:
        first.release()
        second.release()


def test_a_very_deep_folder_is_no_problem_although_unix_sockets_have_short_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path.joinpath(*["d" * 50] * 4)
    deep.mkdir(parents=True)
    monkeypatch.setenv("TAPHOUSE_RUNTIME_DIR", str(deep / "taphouse"))
    registration = register(name="n" * 64)
    assert len(registration.entry.socket) > 200
    assert Path(registration.entry.socket).is_socket()
    registration.release()
    assert os.listdir(deep / "taphouse") == []


@pytest.mark.parametrize("kind", ["link", "open", "file"])
def test_a_folder_somebody_else_may_have_laid_there_is_refused(folder: Path, kind: str) -> None:
    if kind == "link":
        folder.with_name("elsewhere").mkdir()
        folder.symlink_to("elsewhere")
    elif kind == "open":
        folder.mkdir()
        folder.chmod(0o777)
    else:
        folder.touch()
    with pytest.raises(NotPermittedError) as caught:
        register(name="otk")
    assert str(folder) in str(caught.value)
    assert list_servers() == []


def test_a_folder_of_another_user_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(0o700)
    someone = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: someone)
    with pytest.raises(NotPermittedError, match="belongs to user"):
        open_folder(str(folder))


def test_root_may_look_into_another_users_folder_but_not_register_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registration = register(name="otk")
    here = os.stat(folder)
    others = os.stat_result((*here[:4], here.st_uid + 1, *here[5:]))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        os, "fstat", lambda fd, real=os.fstat: others if real(fd).st_ino == here.st_ino else real(fd)
    )
    assert list_servers() == [registration.entry]
    with pytest.raises(NotPermittedError, match="belongs to user"):
        register(name="otk")
    monkeypatch.undo()
    registration.release()


def test_where_no_folder_can_be_had_the_message_says_which_were_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAPHOUSE_RUNTIME_DIR", str(tmp_path / "missing" / "taphouse"))
    with pytest.raises(CannotCreateError, match="missing/taphouse"):
        register(name="otk")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"name": "x"}', b"[" * 60_000, b"\xff", b'{"name": 1, "pid": "x"}'],
)
def test_garbage_in_the_folder_disturbs_nobody(folder: Path, content: bytes) -> None:
    registration = register(name="otk")
    held = os.open(folder / "bad-12345678.json", os.O_RDWR | os.O_CREAT)
    os.write(held, content)
    fcntl.flock(held, fcntl.LOCK_EX)
    (folder / "folder.json").mkdir()
    (folder / "link.json").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.json")
    assert list_servers() == [registration.entry]
    os.close(held)
    registration.release()


def test_what_was_left_half_written_long_ago_is_removed_and_what_is_new_is_not(folder: Path) -> None:
    folder.mkdir(0o700)
    old, new = folder / ".old.json.new", folder / ".new.json.new"
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    assert list_servers() == []
    assert list(folder.iterdir()) == [new]


@pytest.mark.process
def test_a_killed_server_is_not_listed_and_its_files_are_removed(folder: Path) -> None:
    child = start_holder("otk")
    try:
        (entry,) = list_servers()
        assert entry.pid == child.pid
        assert len(list(folder.iterdir())) == 2
    finally:
        end(child)
    assert list_servers() == []
    assert list(folder.iterdir()) == []


@pytest.mark.process
def test_the_number_in_an_entry_decides_nothing(folder: Path) -> None:
    child = start_holder("otk")
    end(child)
    (path,) = folder.glob("*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "pid": os.getpid()}))
    assert list_servers() == []


@pytest.mark.process
def test_a_forked_child_does_not_keep_a_dead_server_listed(folder: Path) -> None:
    registration = register(name="otk")
    ours, childs = socket.socketpair()
    child = os.fork()
    if not child:
        childs.sendall(b"alive")
        childs.recv(1)
        os._exit(0)
    try:
        assert ours.recv(5) == b"alive"
        registration.close_in_child()  # what the end of this process would do
        assert list_servers() == []
    finally:
        ours.sendall(b"x")
        ours.close()
        childs.close()
        os.waitpid(child, 0)


def test_where_the_best_folder_cannot_be_had_the_next_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best, next_best = str(tmp_path / "missing" / "taphouse"), str(tmp_path / "taphouse")
    for module in ("registration", "registry"):
        monkeypatch.setattr(f"taphouse.control.{module}.registry_folders", lambda: [best, next_best])
    registration = register(name="otk")
    assert registration.entry.socket.startswith(next_best)
    assert list_servers() == [registration.entry]
    registration.release()


def test_a_registration_that_fails_half_way_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(old: str, new: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(CannotCreateError, match="No space left"):
        register(name="otk")
    assert list(folder.iterdir()) == []

"""The fake operating system has the shape of the real one and keeps Linux's rules."""

from __future__ import annotations

import errno
import fcntl
import inspect

import pytest

from taphouse.daemon import System
from taphouse.testing import FakeAccount, FakeExit, FakeSystem


def public(cls):
    return {
        name: function
        for name, function in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith("_")
    }


def test_it_can_stand_in_for_every_call_of_the_real_one():
    real, fake = public(System), public(FakeSystem)
    assert set(real) - set(fake) == set()
    for name, function in real.items():
        wanted = [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]
        given = [(p.name, p.kind, p.default) for p in inspect.signature(fake[name]).parameters.values()]
        assert given == wanted, name


def test_ids_are_dropped_by_the_real_steps_in_the_only_order_that_works(monkeypatch):
    from taphouse.daemon import drop_privileges, resolve_identity

    for variable in ("HOME", "USER", "LOGNAME"):  # the real steps set them, and other tests want theirs back
        monkeypatch.setenv(variable, "ours")
    system = FakeSystem(uid=0, gid=0, accounts=[FakeAccount("www", 33, 33, "/var/www")])
    identity = resolve_identity("www", system=system)
    assert drop_privileges(identity, system=system)
    assert system.getresuid() == (33, 33, 33)
    assert system.getresgid() == (33, 33, 33)
    assert system.permitted_capabilities() == 0
    order = [name for name, _ in system.calls if name in ("setgroups", "setresgid", "setresuid")]
    assert order == ["setgroups", "setresgid", "setresuid"]
    assert system.try_become_root() == ""


def test_only_root_may_change_who_it_is():
    system = FakeSystem(uid=1000)
    for change in (lambda: system.setresuid(0), lambda: system.setgroups([]), lambda: system.chroot("/x")):
        with pytest.raises(PermissionError):
            change()
    assert system.geteuid() == 1000


def test_fork_goes_on_as_the_child_or_the_parent_and_fails_when_told_nothing():
    system = FakeSystem(forks=[0, 4711])
    before = system.getpid()
    assert system.fork() == 0
    assert system.getpid() != before
    assert system.fork() == 4711
    with pytest.raises(OSError) as caught:
        system.fork()
    assert caught.value.errno == errno.EAGAIN


def test_a_session_leader_cannot_make_another_session():
    system = FakeSystem()
    system.setsid()
    with pytest.raises(PermissionError):
        system.setsid()


def test_exit_now_cannot_be_caught_by_accident():
    system = FakeSystem()
    with pytest.raises(FakeExit) as caught:
        try:
            system.exit_now(3)
        except Exception:
            pytest.fail("exit_now was caught")
    assert caught.value.code == 3
    assert system.called("exit_now") == [(3,)]


def test_a_pipe_carries_bytes_and_its_end():
    system = FakeSystem()
    read_end, write_end = system.pipe()
    assert not system.wait_readable(read_end, 5.0)
    assert system.monotonic() == 5.0
    system.write(write_end, b"ready")
    assert system.wait_readable(read_end, 5.0)
    assert system.read(read_end, 3) == b"rea"
    assert system.read(read_end, 100) == b"dy"
    system.close(write_end)
    assert system.wait_readable(read_end, 5.0)
    assert system.read(read_end, 100) == b""
    with pytest.raises(OSError):
        system.close(write_end)


def test_a_lock_that_another_process_holds_is_not_ours():
    system = FakeSystem()
    fd = system.open_null()
    system.held.add(fd)
    assert not system.flock(fd, fcntl.LOCK_EX)
    system.held.clear()
    assert system.flock(fd, fcntl.LOCK_EX)


def test_files_are_what_the_test_says():
    system = FakeSystem()
    system.files["/srv"] = (0o040755, 1000)
    assert system.lstat("/srv").st_uid == 1000
    with pytest.raises(FileNotFoundError):
        system.lstat("/nowhere")


def test_time_passes_when_somebody_sleeps():
    system = FakeSystem()
    system.sleep(3600)
    assert system.monotonic() == 3600


def test_accounts_are_found_by_name_and_number():
    system = FakeSystem(accounts=[FakeAccount("www", 33, 33)], groups={"web": 44})
    assert system.find_account("www") == system.find_account(33)
    assert system.find_account("nobody") is None
    assert (system.find_group("web"), system.find_group("x")) == (44, None)


def test_the_mask_and_the_directory_are_remembered():
    system = FakeSystem()
    assert system.umask(0o077) == 0o022
    assert system.umask(0o022) == 0o077
    system.chdir("/srv")
    assert system.directory == "/srv"

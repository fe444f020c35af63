"""Privileges are dropped in one order, for good, and that is checked."""

from __future__ import annotations

import os

import pytest

from taphouse.daemon import (
    CAP_NET_BIND_SERVICE,
    Identity,
    System,
    drop_privileges,
    parse_umask,
)
from taphouse.errors import (
    InternalError,
    NotPermittedError,
    UsageError,
)


class Machine(System):
    """A machine with two accounts, where we are root until we are not."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.uids = self.gids = (0, 0, 0)
        self.groups = [0, 1, 2]
        self.capabilities = (1 << 41) - 1
        self.way_back = ""
        self.threads = 1
        self.fails_at = ""
        self.no_new_privileges = False

    def _call(self, name: str, *values: object) -> None:
        self.calls.append(" ".join([name, *map(str, values)]))
        if name == self.fails_at:
            raise PermissionError(1, "Operation not permitted")

    def geteuid(self) -> int:
        return self.uids[1]

    def getresuid(self) -> tuple[int, int, int]:
        return self.uids

    def getresgid(self) -> tuple[int, int, int]:
        return self.gids

    def getgroups(self) -> list[int]:
        return self.groups

    def thread_count(self) -> int:
        return self.threads

    def drop_bounding_set(self, keep: frozenset[int]) -> None:
        self._call("bounding", *sorted(keep))

    def keep_capabilities(self) -> None:
        self._call("keepcaps")

    def setgroups(self, groups: list[int]) -> None:
        self._call("setgroups", *groups)
        self.groups = groups

    def setresgid(self, gid: int) -> None:
        self._call("setresgid", gid)
        self.gids = (gid, gid, gid)

    def setresuid(self, uid: int) -> None:
        self._call("setresuid", uid)
        self.uids = (uid, uid, uid)

    def set_capabilities(self, keep: frozenset[int]) -> None:
        self._call("capset", *sorted(keep))
        self.capabilities = sum(1 << number for number in keep)

    def permitted_capabilities(self) -> int:
        return self.capabilities

    def set_no_new_privileges(self) -> None:
        self._call("no_new_privs")
        self.no_new_privileges = True

    def has_no_new_privileges(self) -> bool:
        return self.no_new_privileges

    def try_become_root(self) -> str:
        self._call("try_become_root")
        return self.way_back


OTK = Identity(500, 600, (600, 701), "otk", "/home/otk")


@pytest.fixture(autouse=True)
def same_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "USER", "LOGNAME"):
        monkeypatch.setenv(name, "before")


def test_groups_go_before_the_user_and_the_bounding_set_while_still_root() -> None:
    machine = Machine()
    assert drop_privileges(OTK, system=machine)
    assert machine.calls == [
        "bounding",
        "setgroups 600 701",
        "setresgid 600",
        "setresuid 500",
        "capset",
        "no_new_privs",
        "try_become_root",
    ]
    assert [os.environ[name] for name in ("HOME", "USER", "LOGNAME")] == ["/home/otk", "otk", "otk"]


def test_a_capability_can_be_kept() -> None:
    machine = Machine()
    drop_privileges(OTK, keep=frozenset({CAP_NET_BIND_SERVICE}), system=machine)
    assert machine.calls[:2] == ["bounding 10", "keepcaps"]
    assert "capset 10" in machine.calls


@pytest.mark.parametrize(
    "call", ["bounding", "setgroups", "setresgid", "setresuid", "capset", "no_new_privs"]
)
def test_any_step_that_fails_stops_the_start(call: str) -> None:
    machine = Machine()
    machine.fails_at = call
    with pytest.raises(NotPermittedError) as caught:
        drop_privileges(OTK, system=machine)
    assert caught.value.exit_code == 77
    assert machine.calls[-1].startswith(call)
    assert "Operation not permitted" in str(caught.value)


@pytest.mark.parametrize(
    ("attribute", "value", "words"),
    [
        ("setresuid", lambda machine: lambda uid: setattr(machine, "uids", (uid, uid, 0)), "user ids"),
        ("setresgid", lambda machine: lambda gid: setattr(machine, "gids", (gid, gid, 0)), "group ids"),
        ("setgroups", lambda _: lambda _: None, "supplementary groups"),
        ("set_capabilities", lambda _: lambda _: None, "capabilities"),
        ("set_no_new_privileges", lambda _: lambda: None, "no_new_privs"),
        ("try_become_root", lambda _: lambda: "seteuid", "ways back to root"),
    ],
)
def test_a_call_that_lies_is_found_out(attribute: str, value, words: str) -> None:
    machine = Machine()
    setattr(machine, attribute, value(machine))
    with pytest.raises(NotPermittedError, match=words):
        drop_privileges(OTK, system=machine)


def test_a_python_the_user_cannot_read_is_said_before_imports_fail(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_privileges(OTK, system=Machine())
    assert "cannot read" not in caplog.text

    def refuse(path: str) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", refuse)
        drop_privileges(OTK, system=Machine())
    assert "user otk cannot read Python's own library" in caplog.text


def test_with_a_second_thread_nothing_is_dropped_at_all() -> None:
    machine = Machine()
    machine.threads = 2
    with pytest.raises(InternalError, match="thread"):
        drop_privileges(OTK, system=machine)
    assert machine.calls == []


def test_who_is_not_root_can_only_be_who_he_is() -> None:
    machine = Machine()
    machine.uids, machine.gids = (500,) * 3, (600,) * 3
    assert not drop_privileges(OTK, system=machine)
    assert machine.calls == []
    with pytest.raises(NotPermittedError, match="only root"):
        drop_privileges(Identity(501, 600, (600,), "", "/"), system=machine)


@pytest.mark.parametrize(("text", "mask"), [("077", 0o77), ("0", 0), ("0o22", 0o22), ("777", 0o777)])
def test_a_umask_is_octal(text: str, mask: int) -> None:
    assert parse_umask(text) == mask


@pytest.mark.parametrize("text", ["", "8", "1000", "-1", "rwx"])
def test_a_umask_that_is_not_octal_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--umask"):
        parse_umask(text)

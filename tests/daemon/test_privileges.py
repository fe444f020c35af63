"""Privileges are dropped in one order, for good, and that is checked; paths root trusts are root's."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from taphouse.daemon import (
    CAP_NET_BIND_SERVICE,
    Account,
    Identity,
    System,
    check_rundir,
    check_trusted,
    drop_privileges,
    enter_chroot,
    parse_umask,
    resolve_identity,
)
from taphouse.errors import ConfigurationError, InternalError, NotPermittedError, UsageError


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

    def find_account(self, user: str | int) -> Account | None:
        accounts = [Account("otk", 500, 600, "/home/otk"), Account("root", 0, 0, "/root")]
        return next((account for account in accounts if user in (account.name, account.uid)), None)

    def find_group(self, group: str) -> int | None:
        return {"keys": 700, "root": 0}.get(group)

    def group_list(self, user: str, gid: int) -> list[int]:
        return [gid, 701]


OTK = Identity(500, 600, (600, 701), "otk", "/home/otk")


@pytest.fixture(autouse=True)
def same_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "USER", "LOGNAME"):
        monkeypatch.setenv(name, "before")


@pytest.mark.parametrize(
    ("user", "group", "uid", "gid", "groups"),
    [
        ("otk", None, 500, 600, (600, 701)),
        ("500", None, 500, 600, (600, 701)),
        (500, None, 500, 600, (600, 701)),
        ("otk", "keys", 500, 700, (700, 701)),
        ("otk:keys", None, 500, 700, (700, 701)),
        ("500:700", None, 500, 700, (700, 701)),
        ("4711", "700", 4711, 700, (700,)),
    ],
)
def test_names_and_numbers_mean_the_same(
    user: str | int, group: str | None, uid: int, gid: int, groups: tuple[int, ...]
) -> None:
    identity = resolve_identity(user, group, system=Machine())
    assert identity is not None
    assert (identity.uid, identity.gid, identity.groups) == (uid, gid, groups)


def test_no_wish_is_no_change() -> None:
    assert resolve_identity(None, None, system=Machine()) is None
    assert resolve_identity("", "", system=Machine()) is None


@pytest.mark.parametrize(
    ("user", "group", "words"),
    [
        ("nosuch", None, "no user 'nosuch'"),
        ("otk", "nosuch", "no group 'nosuch'"),
        ("4711", None, "no account"),
        ("root", None, "user 0 is root's"),
        ("0", None, "user 0 is root's"),
        ("otk", "root", "group 0 is root's"),
        ("otk:keys", "keys", "and so does --gid"),
        (None, "keys", "a group without a user"),
        ("-1", None, "no user '-1'"),
        ("4294967295", "700", "no user"),
        ("99999999999999", "700", "no user"),
    ],
)
def test_an_unknown_user_or_group_or_root_is_an_error_of_one_line(
    user: str | None, group: str | None, words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_identity(user, group, system=Machine())
    assert words in str(caught.value)
    assert caught.value.exit_code == 64


def test_what_a_tap_asks_for_in_vain_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="otk.tap: there is no user"):
        resolve_identity("nosuch", source="otk.tap", error=ConfigurationError, system=Machine())


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


class SeenAs(System):
    """This machine, seen by another user, with some files belonging to others."""

    def __init__(self, uid: int, owners: dict[str, tuple[int, int, int]]) -> None:
        self.uid = uid
        self.owners = owners

    def geteuid(self) -> int:
        return self.uid

    def lstat(self, path: str) -> os.stat_result:
        uid, gid, mode = self.owners.get(path, (0, 0, 0o755))
        return os.stat_result((stat.S_IFDIR | mode, 0, 0, 0, uid, gid, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("owners", "words"),
    [
        ({}, ""),
        ({"/srv/otk": (0, 50, 0o775)}, "writable by others"),
        ({"/srv/otk": (0, 0, 0o775)}, ""),
        ({"/srv/otk": (0, 0, 0o757)}, "writable by others"),
        ({"/srv/otk": (0, 0, 0o1777)}, "writable by others"),
        ({"/srv": (0, 0, 0o1777)}, ""),
        ({"/srv": (0, 0, 0o777)}, "directory /srv is writable by others"),
        ({"/srv/otk": (1000, 1000, 0o700)}, "belongs to user 1000"),
        ({"/srv": (1000, 1000, 0o755)}, "belongs to user 1000"),
        ({"/srv/otk": (500, 500, 0o700)}, ""),
        ({"/": (0, 0, 0o757)}, "directory / is writable"),
    ],
)
def test_root_runs_only_from_directories_that_nobody_else_can_change(
    owners: dict[str, tuple[int, int, int]], words: str
) -> None:
    system = SeenAs(0, owners)
    if not words:
        check_trusted("/srv/otk", "run directory", trusted=frozenset({500}), system=system)
        return
    with pytest.raises(NotPermittedError) as caught:
        check_trusted("/srv/otk", "run directory", trusted=frozenset({500}), system=system)
    assert words in str(caught.value)
    assert caught.value.exit_code == 77


def test_what_a_link_points_to_is_what_counts(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "link").symlink_to("open")
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(NotPermittedError, match="/open is writable by others"):
        check_trusted(str(tmp_path / "link"), "run directory")


def test_a_run_directory_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="does not exist"):
        check_rundir("missing")
    Path("file").touch()
    with pytest.raises(ConfigurationError, match="is not a directory"):
        check_rundir("file")
    assert check_rundir(".", system=SeenAs(os.geteuid() or 0, {})) == str(tmp_path)


def test_an_unwritable_run_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(NotPermittedError, match="not writable") as caught:
        check_rundir(str(tmp_path), system=SeenAs(1000, {}))
    assert caught.value.exit_code == 77


def test_chroot_is_for_root_and_for_directories_only_root_can_change(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a directory"):
        enter_chroot(str(tmp_path / "missing"))
    with pytest.raises(NotPermittedError, match="only root"):
        enter_chroot(str(tmp_path), system=SeenAs(1000, {}))
    with pytest.raises(NotPermittedError, match="writable by others"):
        enter_chroot(str(tmp_path), system=SeenAs(0, {str(tmp_path): (0, 0, 0o777)}))


# -- for real ------------------------------------------------------------------


def run_as_root(code: str, *arguments: str) -> str:
    """Run ``code`` in a process of root; the drop cannot be tried in any other."""
    if os.geteuid() != 0:
        pytest.skip("NOT RUN: needs root, whose privileges a child process really drops")
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


DROP = """
import os, socket, sys
from taphouse.daemon import CAP_NET_BIND_SERVICE, drop_privileges, resolve_identity
keep = frozenset({CAP_NET_BIND_SERVICE}) if sys.argv[1] == "keep" else frozenset()
assert drop_privileges(resolve_identity("nobody"), keep=keep)
status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
for field in ("Uid", "Gid", "Groups", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs"):
    print(field, *status[field].split())
with socket.socket() as probe:
    try:
        probe.bind(("127.0.0.1", 0 if sys.argv[1] == "none" else 81))
        print("bound")
    except PermissionError:
        print("refused")
"""


@pytest.mark.process
def test_root_really_becomes_nobody_and_keeps_nothing() -> None:
    text = run_as_root(DROP, "drop").splitlines()
    nobody = resolve_identity("nobody")
    assert nobody is not None
    assert text[:2] == [f"Uid{f' {nobody.uid}' * 4}", f"Gid{f' {nobody.gid}' * 4}"]
    assert text[2] == " ".join(["Groups", *map(str, nobody.groups)])
    assert text[3:8] == [
        "CapPrm 0000000000000000",
        "CapEff 0000000000000000",
        "CapBnd 0000000000000000",
        "CapAmb 0000000000000000",
        "NoNewPrivs 1",
    ]


@pytest.mark.process
def test_a_kept_capability_still_binds_low_ports_after_the_drop() -> None:
    text = run_as_root(DROP, "keep").splitlines()
    assert text[3:7] == [
        "CapPrm 0000000000000400",
        "CapEff 0000000000000400",
        "CapBnd 0000000000000400",
        "CapAmb 0000000000000400",
    ]
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) > 81:
        assert text[8] == "bound"
        assert run_as_root(DROP, "drop").splitlines()[8] == "refused"


CHROOT = """
import os, sys
from taphouse.daemon import LogSettings, PidFile, drop_privileges, enter_chroot, open_logs, resolve_identity
inside, outside = PidFile(sys.argv[1] + "/otk.pid"), PidFile(sys.argv[2] + ".pid")
inside.acquire()
outside.acquire()
identity = resolve_identity("nobody")
logs = open_logs(LogSettings(path=sys.argv[2]))
root = enter_chroot(sys.argv[1])
logs.rebase(root)
drop_privileges(identity)
logs.start_thread()
import socket
print(os.getcwd(), os.listdir("/"), socket.getaddrinfo("127.0.0.1", 80)[0][4], os.getuid() != 0)
"idna".encode("idna")
try:
    raise ValueError("shown in a chroot")
except ValueError:
    import logging
    logging.exception("caught")
logs.rotate()
print("still logging")
inside.release()
outside.release()
logs.close()
"""


@pytest.mark.process
def test_a_chroot_works_after_the_preloads_and_the_log_goes_on(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    root = tmp_path / "root"
    root.mkdir()
    log = tmp_path / "twistd.log"
    run_as_root(CHROOT, str(root), str(log))
    text = log.read_text()
    assert "] / ['otk.pid'] ('127.0.0.1', 80) True" in text
    assert "ValueError: shown in a chroot" in text
    assert text.endswith("] still logging\n")
    assert not Path(f"{log}.1").exists()
    # Neither could be removed as nobody, but no number is left that `kill` would hit.
    assert (root / "otk.pid").read_text() == Path(f"{log}.pid").read_text() == "stopped\n"


@pytest.mark.process
def test_what_functions_import_later_is_loaded_before_the_chroot(tmp_path: Path) -> None:
    """Everything: no import statement of the whole package may have to look for a file afterwards."""
    package = tmp_path / "lib" / "lazy"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("raise SystemExit('main was run')")
    (package / "broken.py").write_text("import no_such_module")
    (package / "inner.py").write_text(
        "def outer():\n    def inner():\n        import colorsys\n        return colorsys\n"
        "    return inner()\n"
    )
    (tmp_path / "root").mkdir()
    tmp_path.chmod(0o755)
    code = (
        "import sys\nsys.path.append(sys.argv[2])\nfrom taphouse.daemon import enter_chroot\n"
        "assert 'colorsys' not in sys.modules\n"
        "enter_chroot(sys.argv[1], packages=['lazy'])\n"
        "import lazy.inner\nprint(lazy.inner.outer().__name__)\n"
        "from taphouse.daemon import dump_stacks, detach, write_crash_report\n"
        "print(dump_stacks(None)[-7:])"
    )
    assert run_as_root(code, str(tmp_path / "root"), str(tmp_path / "lib")) == "colorsys\n0 tasks\n"


@pytest.mark.process
def test_a_directory_left_open_would_lead_out_of_the_chroot_and_is_refused(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom taphouse.daemon import enter_chroot\n"
        "from taphouse.errors import NotPermittedError\n"
        "os.open('/', os.O_RDONLY)\n"
        "try:\n    enter_chroot(sys.argv[1])\nexcept NotPermittedError as refused:\n    print(refused)"
    )
    tmp_path.chmod(0o755)
    assert "open directory / would lead out" in run_as_root(code, str(tmp_path))

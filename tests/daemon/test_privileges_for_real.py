"""Root really becomes nobody, in a process of its own, and in a chroot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from taphouse.daemon import (
    resolve_identity,
)


def run_as_root(code: str, *arguments: str) -> str:
    """Run ``code`` in a process of root; the drop cannot be tried in any other."""
    if os.geteuid() != 0:
        pytest.skip("NOT RUN: needs root, whose privileges a child process really drops")
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


DROP = """
import errno, os, socket, sys
from taphouse.daemon import CAP_NET_BIND_SERVICE, drop_privileges, resolve_identity
keep = frozenset({CAP_NET_BIND_SERVICE}) if sys.argv[1] == "keep" else frozenset()
assert drop_privileges(resolve_identity("nobody"), keep=keep)
status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
for field in ("Uid", "Gid", "Groups", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs"):
    print(field, *status[field].split())
with socket.socket() as probe:
    for port in range(81, 200):
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:  # somebody else's; the next one is as low
                continue
            assert error.errno == errno.EACCES, error
            print("refused")
        else:
            print("bound")
        break
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
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) >= 200:
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

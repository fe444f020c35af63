"""A PostgreSQL of its own for a test: a fresh cluster in a folder, ended and removed afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.ports import free_port
from certificates import CERTIFICATE, KEY

from playground import PATIENCE_S

__all__ = ["USER", "running_postgres"]

USER = "taphouse"


def _programs() -> Path:
    """Return the folder of initdb and postgres, which Debian keeps out of the PATH."""
    on_path = shutil.which("initdb")
    found = [Path(on_path)] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise AssertionError("this test needs PostgreSQL; as root: apt-get install -y postgresql")
    return found[-1].resolve().parent


def _owner() -> dict[str, int]:
    """Return who runs it: root must not, so for root somebody else does."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("nobody")
    return {"user": account.pw_uid, "group": account.pw_gid}


@contextmanager
def running_postgres() -> Iterator[int]:
    """Run PostgreSQL while the block runs; gives its port on 127.0.0.1. It takes TLS, and trusts `USER`."""
    folder = Path(tempfile.mkdtemp(prefix="taphouse-postgres-"))
    data, owner = folder / "data", _owner()
    try:
        (folder / "cert.pem").write_text(CERTIFICATE)
        (folder / "key.pem").write_text(KEY)
        (folder / "key.pem").chmod(0o600)
        if owner:
            for path in (folder, *folder.iterdir()):
                os.chown(path, owner["user"], owner["group"])
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(folder)}
        made = [_programs() / "initdb", "-D", data, "-U", USER, "-A", "trust", "--no-sync"]
        subprocess.run(made, env=environment, cwd=folder, stdout=subprocess.DEVNULL, check=True, **owner)
        port = free_port()
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "ssl": "on",
            "ssl_cert_file": folder / "cert.pem",
            "ssl_key_file": folder / "key.pem",
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (folder / "output").open("wb") as output:
            server = subprocess.Popen(
                [_programs() / "postgres", "-D", data, *words],
                env=environment,
                cwd=folder,
                stdout=output,
                stderr=output,
                **owner,
            )
        try:
            _wait_ready(server, data / "postmaster.pid", folder / "output")
            yield port
        finally:
            server.send_signal(signal.SIGINT)  # "fast": it lets go of its clients
            server.wait(4 * PATIENCE_S)
    finally:
        shutil.rmtree(folder)


def _wait_ready(server: subprocess.Popen[bytes], pidfile: Path, output: Path) -> None:
    """Return when the last line of its pidfile says so (PostgreSQL's miscinit.c)."""
    deadline = time.monotonic() + 4 * PATIENCE_S
    while not (pidfile.exists() and pidfile.read_text().split()[-1:] == ["ready"]):
        if server.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"PostgreSQL does not start: {output.read_text()}")
        time.sleep(0.01)

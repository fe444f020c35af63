"""The life of a container, typed by a program: run as an ordinary user, in a network of its own.

`/usr/bin/python3 containerlife.py bwrap|runc BUNDLE WORK` prints what happened as JSON.  It must not
import anything that is not Python's own: the user who runs it may see nothing else.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PORT = 8123
PATIENCE_S = 60.0
HERE = ["/usr/bin/python3.11", "-ISB", "/usr/lib/otk"]


class Bwrap:
    """The root file system read-only, the state and the control socket in folders that outlive it."""

    def __init__(self, bundle: str, work: str) -> None:
        with open(f"{bundle}/config.json", encoding="utf-8") as file:
            process = json.load(file)["process"]
        self.state, self.run = f"{work}/state", f"{work}/run"
        os.mkdir(self.state, 0o700)
        os.mkdir(self.run, 0o750)
        self._words = [
            "bwrap", "--ro-bind", f"{bundle}/rootfs", "/", "--proc", "/proc", "--dev", "/dev",
            "--tmpfs", "/tmp", "--bind", self.run, "/run/otk", "--bind", self.state, "/var/lib/otk",
            "--unshare-all", "--share-net", "--uid", "65532", "--gid", "65532", "--as-pid-1",
            "--chdir", process["cwd"], "--clearenv",
        ]  # fmt: skip
        for line in process["env"]:
            self._words += ["--setenv", *line.split("=", 1)]
        self._start = process["args"]

    def start(self) -> tuple[subprocess.Popen[str], int]:
        """Start the server; return the tool that runs it, and its process id."""
        reading, writing = os.pipe()
        child = subprocess.Popen(
            [*self._words, "--info-fd", str(writing), *self._start],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            pass_fds=[writing],
        )  # fmt: skip
        os.close(writing)
        with open(reading, encoding="utf-8") as told:
            return child, int(json.load(told)["child-pid"])

    def do(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command where the server is."""
        return subprocess.run([*self._words, *command], capture_output=True, text=True, check=False)


class Runc:
    """As `umoci unpack` has laid it out, but for the user: only one is mapped, and that is root inside."""

    def __init__(self, bundle: str, work: str) -> None:
        self.state = f"{work}/state"
        os.mkdir(self.state, 0o700)
        with open(f"{bundle}/config.json", encoding="utf-8") as file:
            config = json.load(file)
        config["process"].update(terminal=False, user={"uid": 0, "gid": 0})
        config["process"].pop("rlimits", None)
        config["root"].update(path=f"{bundle}/rootfs", readonly=True)
        config["mounts"] = [mount for mount in config["mounts"] if mount["destination"] != "/etc/resolv.conf"]
        config["mounts"] += [
            {"destination": "/var/lib/otk", "type": "bind", "source": self.state, "options": ["bind", "rw"]},
            *(
                {"destination": place, "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]}
                for place in ("/run", "/tmp")
            ),
        ]
        spaces = config["linux"]["namespaces"]
        config["linux"]["namespaces"] = [space for space in spaces if space["type"] != "network"]
        self._folder, self._root = f"{work}/bundle", f"{work}/runc"
        os.mkdir(self._folder)
        with open(f"{self._folder}/config.json", "w", encoding="utf-8") as file:
            json.dump(config, file)

    def start(self) -> tuple[subprocess.Popen[str], int]:
        """Start the server; return the tool that runs it, and its process id."""
        pidfile = f"{self._folder}/pid"
        child = subprocess.Popen(
            ["runc", "--root", self._root, "run", "--bundle", self._folder, "--pid-file", pidfile, "otk"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        wait(lambda: child.poll() is not None or is_written(pidfile), "runc")
        if child.poll() is not None:
            said = child.stdout.read() if child.stdout else ""
            refused = re.search(r"not permitted|cgroup|namespace|permission denied", said, re.IGNORECASE)
            raise SystemExit(f"{'NOT RUN: the kernel refuses: ' if refused else ''}{said}")
        with open(pidfile, encoding="ascii") as file:
            pid = int(file.read())
        os.unlink(pidfile)
        return child, pid

    def do(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command where the server is."""
        return subprocess.run(
            ["runc", "--root", self._root, "exec", "otk", *command],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip


def is_written(path: str) -> bool:
    """Say whether there is a file with something in it."""
    return os.path.exists(path) and os.path.getsize(path) > 0


def wait(condition: Callable[[], object], what: str) -> None:
    """Return when it is true."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"waited in vain for {what}")
        time.sleep(0.02)


def ask() -> str:
    """Return what a client is told."""
    with socket.create_connection(("127.0.0.1", PORT), timeout=PATIENCE_S) as connection:
        return connection.makefile().read().strip()


@contextmanager
def serving(container: Bwrap | Runc, log: list[str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the server until the block ends it; what it says goes to ``log``."""
    child, pid = container.start()
    assert child.stdout is not None
    try:
        while not log or "starting on" not in log[-1]:
            line = child.stdout.readline()
            if not line:
                raise SystemExit(f"it has ended:\n{''.join(log)}")
            log.append(line)
        yield child, pid
        log.append(child.communicate(timeout=PATIENCE_S)[0])
    finally:
        if child.poll() is None:
            os.kill(pid, signal.SIGKILL)
            child.wait(PATIENCE_S)


def main(kind: str, bundle: str, work: str) -> dict[str, object]:
    """Live it."""
    container = {"bwrap": Bwrap, "runc": Runc}[kind](bundle, work)
    log: list[str] = []
    health = [*HERE, "status", "--ready"]
    seen: dict[str, object] = {}
    with serving(container, log) as (child, pid):
        seen["keys"] = [ask(), ask()]
        seen["healthy"] = container.do(*health).returncode
        seen["command"] = container.do("/usr/sbin/otk", "show").stdout
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            seen["is pid 1"] = next(line.split()[-1] for line in file if line.startswith("NSpid")) == "1"
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            seen["children"] = file.read().split()
        os.kill(pid, signal.SIGTERM)
    seen["stopped"] = child.returncode
    with serving(container, log) as (child, pid):
        seen["after a stop"] = ask()
        os.kill(pid, signal.SIGKILL)
    seen["killed"] = child.returncode
    if kind == "bwrap":  # the other one is gone, and its folders with it
        seen["unhealthy"] = container.do(*health).returncode
    else:
        subprocess.run(["runc", "--root", container._root, "delete", "--force", "otk"], check=False)
    with serving(container, log) as (child, pid):
        seen["after a kill"] = ask()
        os.kill(pid, signal.SIGTERM)
    seen["stopped again"] = child.returncode
    seen["files"] = sorted(os.listdir(container.state))
    seen["log"] = "".join(log)
    return seen


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))

"""Lives of a server on a disk that fails once: what its clients were told, how it ended, what it left.

The server is the real ``twistd -n`` with the counter of the traced runs; the disk fails by `faultinject.c`.
It must never judge what it has seen.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.ports import free_port
from crashrecovery import STATE, memory_folder

from playground import PATIENCE_S

__all__ = ["Fault", "Life", "Place", "build_shim"]

HERE = Path(__file__).parent
CLIENTS, BURSTS, BURST = 3, 12, 2
_WINDOW = 2
"""Bursts that a client has under way."""


def build_shim(folder: Path) -> Path:
    """Compile the shim."""
    made = folder / "faultinject.so"
    command = ["cc", "-std=gnu11", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(made)]
    subprocess.run([*command, str(HERE / "faultinject.c"), "-ldl", "-pthread"], check=True)
    return made


@dataclass(frozen=True)
class Fault:
    """One call that fails.

    Args:
        kind: ``write``, ``room``, ``sync`` or ``name``; see `faultinject.c`.
        number: which call of its kind, from 1.
        error: its errno.
        stays: all later ones fail as well.
    """

    kind: str
    number: int
    error: int
    stays: bool = False

    def __str__(self) -> str:
        return f"{errno.errorcode[self.error]} at {self.kind} {self.number}{' and on' if self.stays else ''}"


@dataclass
class Life:
    """What was seen of one server.

    Attributes:
        status: its exit status.
        said: its log.
        calls: lines of the shim: class, number, call, file, and FAULT for the one that failed.
        asked: changes that were asked for.
        replies: numbers that clients were given.
        ends: how each connection ended: ``reset``, ``end`` or ``refused``.
        was_stopped: SIGTERM was sent, to a server that had no reason to end, so that an orderly end is right.
    """

    status: int = 0
    said: str = ""
    calls: list[str] = field(default_factory=list)
    asked: int = 0
    replies: list[int] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    was_stopped: bool = False

    @property
    def was_hit(self) -> bool:
        """Whether a call failed."""
        return any(line.endswith("FAULT") for line in self.calls)

    @property
    def tried_again(self) -> list[str]:
        """What was written or synced after a call had failed, into anything that has its name already."""
        first = next((place for place, line in enumerate(self.calls) if line.endswith("FAULT")), None)
        later = [] if first is None else [line.split() for line in self.calls[first + 1 :]]
        return [
            " ".join(words) for words in later if words[0] in ("write", "sync") and words[3].startswith(STATE)
        ]

    def count(self, kind: str) -> int:
        """Return how many calls of a kind there were."""
        return sum(line.startswith(f"{kind} ") for line in self.calls)


class Place:
    """A folder with a seed, in memory where the machine has that; a context manager.

    Args:
        shim: the compiled one.
        mode: where commits wait: ``inline``, on the ``thread``, or as it is ``free`` to choose.
    """

    def __init__(self, shim: Path, mode: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="taphouse-faults-", dir=memory_folder())).resolve()
        self._shim, self._port = shim, free_port()
        self._log = self.folder / "home" / "faults.log"
        (self.folder / "home").mkdir(mode=0o700)
        shutil.copy(HERE / "crashcounter.py", self.folder)
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST_"))},
            "HOME": str(self.folder / "home"),
            "TAPHOUSE_RUNTIME_DIR": str(self.folder / "home/registry"),
            "TMPDIR": str(self.folder / "home"),
            "PYTHONPATH": os.pathsep.join([str(self.folder), os.environ.get("PYTHONPATH", "")]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CRASHCOUNTER_PORT": str(self._port),
            "CRASHSERVER_MODE": mode,
        }
        command = self._command("save")
        subprocess.run(command, cwd=self.folder, env=self._environment, check=True, capture_output=True)

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder)

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, str(HERE / "faultserver.py"), *words]

    def taps(self) -> dict[str, bytes]:
        """Return what lies there: every file of a tap, its lock and what has a temporary name included."""
        found = [path for path in self.folder.iterdir() if ".tap" in path.name]
        return {path.name: path.read_bytes() for path in found}

    def lay(self, files: dict[str, bytes]) -> None:
        """Let exactly these taps lie there."""
        for name in self.taps():
            (self.folder / name).unlink()
        for name, content in files.items():
            (self.folder / name).write_bytes(content)

    def live(
        self,
        *start: str,
        fault: Fault | None = None,
        end: signal.Signals = signal.SIGTERM,
        bursts: int = BURSTS,
    ) -> Life:
        """Start a server, let clients change what they can, end it, and return what was seen.

        Args:
            start: how ``twistd`` is told what to start from.
            fault: what goes wrong.
            end: the signal that ends the server, if nothing else does.
            bursts: of requests, each client.
        """
        life = Life()
        self._log.write_bytes(b"")
        environment = {**self._environment, "LD_PRELOAD": str(self._shim), "FAULT_LOG": str(self._log)}
        environment["FAULT_FOLDER"] = str(self.folder)
        if fault is not None:
            environment.update(FAULT_CLASS=fault.kind, FAULT_NUMBER=str(fault.number))
            environment.update(FAULT_ERRNO=str(fault.error))
            if fault.stays:
                environment.update(FAULT_STAYS="yes")
        with (self.folder / "home" / "output").open("w+b") as output:
            server = subprocess.Popen(
                self._command("serve", "-n", "--drain", "10ms", *start),
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            try:
                self._use(server, life, bursts, end, fault)
                life.status = server.wait(PATIENCE_S)
            finally:
                server.kill()
                server.wait()
            output.seek(0)
            life.said = output.read().decode()
        life.calls = self._log.read_text().splitlines()
        return life

    def _is_ending(self, fault: Fault | None) -> bool:
        """Whether the server ends by itself: its tap has failed, and not only to get a reserve."""
        return fault is not None and fault.kind != "room" and " FAULT\n" in self._log.read_text()

    def _use(
        self,
        server: subprocess.Popen[bytes],
        life: Life,
        bursts: int,
        end: signal.Signals,
        fault: Fault | None,
    ) -> None:
        first = self._connect(server)
        if first is None:
            return
        clients = [_Client(first, life)]
        for _ in range(CLIENTS - 1):
            try:
                clients.append(_Client(self._open(), life))
            except ConnectionError:
                life.ends.append("refused")
        for number in range(bursts + _WINDOW):
            for client in clients:
                if number < bursts:
                    client.ask(BURST)
            for client in clients:
                if number >= _WINDOW:
                    client.read(BURST)
        # A signal that comes when it has almost ended, after a fold that failed, would be what ends it.
        if all(client.is_open for client in clients) and not self._is_ending(fault):
            life.was_stopped = True
            server.send_signal(end)
        for client in clients:
            client.read_to_the_end()

    def _open(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE_S)

    def _connect(self, server: subprocess.Popen[bytes]) -> socket.socket | None:
        """Connect as soon as the server listens; None if it ends instead."""
        while True:
            try:
                return self._open()
            except ConnectionError:
                if server.poll() is not None:
                    return None
                time.sleep(0.002)


class _Client:
    """One connection; notes in its server's life what it was told."""

    def __init__(self, connection: socket.socket, life: Life) -> None:
        self._connection, self._life = connection, life
        self._rest = b""
        self._owed = 0
        self.is_open = True

    def ask(self, count: int) -> None:
        """Ask for so many changes, without waiting."""
        if self.is_open:
            self._life.asked += count
            try:
                self._connection.sendall(b"i\n" * count)
            except ConnectionError:
                self._lose("reset")

    def read(self, count: int) -> None:
        """Wait for so many replies, or the end."""
        self._owed += count
        while self.is_open and self._owed > 0:
            try:
                more = self._connection.recv(4096)
            except ConnectionError:
                self._lose("reset")
                return
            if not more:
                self._lose("end")
                return
            *lines, self._rest = (self._rest + more).split(b"\n")
            self._life.replies += [int(line.removeprefix(b"@")) for line in lines]
            self._owed -= len(lines)

    def read_to_the_end(self) -> None:
        """Wait for the end."""
        self.read(sys.maxsize)

    def _lose(self, how: str) -> None:
        self.is_open = False
        self._life.ends.append(how)
        self._connection.close()

"""A folder to play in: commands as a user types them, ports that are free, nothing left running.

For tests with real processes.  Every process started here, daemons included, carries a mark in its
environment, and is ended by its process id when the playground closes.
"""

from __future__ import annotations

import compileall
import functools
import os
import re
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bench.ports import free_port

TOP = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
MARK = "TAPHOUSE_PLAYGROUND"
_NOT_PASSED_ON = ("COLUMNS", "COV_", "LINES", "PYTEST_", "PYTHONPYCACHEPREFIX")
PATIENCE_S = 30.0
"""How long anything may take on a busy machine before a test gives up; passing tests never wait for it."""


@functools.cache
def why_no_mounts() -> str:
    """Return why nothing can be mounted here, in a namespace of its own; empty if it can."""
    with tempfile.TemporaryDirectory() as folder:
        mounting = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", folder]
        done = subprocess.run(mounting, capture_output=True, text=True, check=False)
    return f"nothing can be mounted here: {done.stderr.strip()}" if done.returncode else ""


@functools.cache
def keep_byte_code() -> None:
    """See that the checkout has its byte code beside it, as what pip installs has.

    Without it each process of each test would compile it all anew, which takes four times as long as
    everything else that a start does.
    """
    compileall.compile_dir(TOP / "src" / "taphouse", quiet=2)


def _first_free_port() -> int:
    return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in (path, *path.parents))


def _end(pid: int, how: signal.Signals = signal.SIGKILL) -> bool:
    """Signal a process that need not be our child, and wait until its ports and files are let go of.

    Returns:
        Whether it has ended.
    """
    process = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(process, how)
        gone = select.poll()  # select() takes no descriptor beyond 1023
        gone.register(process, select.POLLIN)
        return bool(gone.poll(PATIENCE_S * 1000))
    finally:
        os.close(process)


class Playground:
    """A fresh folder, and the commands typed in it.

    Ports written in programs and commands (8123, 8813, ...) are replaced by free ones, the same all
    over: ``port(8123)`` says by which.  A word of a command that is given as a number stays what it is: a
    process may well have the id 8123.
    """

    WRITTEN_PORTS = re.compile(r"\b8[0-9]{3}\b")
    WAITING = re.compile(r"^\w+: not ready after \d+ s.*; waiting\n", re.MULTILINE)
    """What a command says of a server that takes longer than a second, as any may on a busy machine."""

    def __init__(self) -> None:
        keep_byte_code()
        # Not pytest's tmp_path: the path of a UNIX socket must stay under 108 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="taphouse-play-"))
        self.mark = secrets.token_hex(8)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)},
            "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.make_folder(".run", 0o700)),
            # Root's servers would be in one for all playgrounds, where another's may have the same name.
            "TAPHOUSE_RUNTIME_DIR": str(self.registry),
            "PYTHONWARNINGS": "error",
            "PYTHONUNBUFFERED": "1",
            # A listing shows what the session has made; what is installed has its byte code, see below.
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C.UTF-8",
            MARK: self.mark,
        }
        self._ports: dict[str, int] = {}
        self._children: list[subprocess.Popen[bytes]] = []

    @property
    def registry(self) -> Path:
        """Where the servers that are started here are to be found."""
        return self.folder / ".run/taphouse"

    def make_folder(self, name: str, mode: int = 0o755) -> Path:
        """Make a folder in the playground."""
        path = self.folder / name
        path.mkdir(mode=mode)
        return path

    # --- ports and files -----------------------------------------------------------------------

    def port(self, written: int) -> int:
        """Return the free port that stands for a port written in a text."""
        name = str(written)
        if name not in self._ports:  # one is promised for as long as this process lives: none in vain
            self._ports[name] = free_port()
        return self._ports[name]

    def share_port(self, written: int, other: Playground) -> None:
        """Let a written port be the one that it is in ``other``."""
        self._ports[str(written)] = other.port(written)

    def with_free_ports(self, text: str) -> str:
        """Return ``text`` with each written port replaced."""
        return self.WRITTEN_PORTS.sub(lambda match: str(self.port(int(match[0]))), text)

    def _words(self, command: Sequence[str | int]) -> list[str]:
        """Return the words of a command, ports replaced in those that are text."""
        return [str(word) if isinstance(word, int) else self.with_free_ports(word) for word in command]

    def write(self, name: str, text: str) -> Path:
        """Write a program with free ports; executable if it has a ``#!`` line."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.with_free_ports(text))
        path.chmod(0o755 if text.startswith("#!") else 0o644)
        return path

    def example(self, name: str) -> Path:
        """Copy ``examples/NAME`` here, with free ports."""
        source = TOP / "examples" / name
        return self.write(source.name, source.read_text())

    def read(self, name: str) -> str:
        """Return a file's text."""
        return (self.folder / name).read_text()

    def files(self) -> set[str]:
        """Return the names of all visible files here."""
        return {path.name for path in self.folder.iterdir() if not path.name.startswith((".", "__pycache__"))}

    # --- commands ------------------------------------------------------------------------------

    def run(
        self,
        *command: str | int,
        status: int | None = 0,
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
        folder: str = ".",
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end.

        Args:
            command: its words; one word with blanks is a line for the shell, a number is no port.
            status: the exit status it has to have; ``None`` for any.
            stdin: what it reads.
            environment: more than ours.
            folder: where, inside of the playground.

        Returns:
            What it said and how it ended, but for what it said of waiting.
        """
        words = self._words(command)
        if len(words) == 1 and " " in words[0]:
            words = ["bash", "-c", *words]
        done = subprocess.run(
            words,
            cwd=self.folder / folder,
            env={**self.environment, **(environment or {})},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=10 * PATIENCE_S,  # some make packages, of what they fetch first
        )
        done.stderr = self.WAITING.sub("", done.stderr)
        if status is not None and done.returncode != status:
            said = f"{done.stdout}{done.stderr}{self._log()}"
            raise AssertionError(f"{' '.join(words)}: status {done.returncode}, not {status}\n{said}")
        return done

    def start(self, *command: str | int, folder: str = ".") -> subprocess.Popen[bytes]:
        """Start a command that stays in the foreground; its output goes to one pipe."""
        child = subprocess.Popen(
            self._words(command),
            cwd=self.folder / folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._children.append(child)
        return child

    def adopt(self, child: subprocess.Popen[bytes]) -> None:
        """End a process that was started elsewhere with ours."""
        self._children.append(child)

    def _log(self) -> str:
        return "".join(f"--- {path.name}\n{path.read_text()}" for path in sorted(self.folder.glob("*.log")))

    # --- servers -------------------------------------------------------------------------------

    def pid(self, pidfile: str = "twistd.pid") -> int:
        """Return the process id that a pidfile holds."""
        return int(self.read(pidfile))

    def kill(self, how: signal.Signals = signal.SIGTERM, pidfile: str = "twistd.pid") -> None:
        """Send a signal to a daemon and wait for its end."""
        if not _end(self.pid(pidfile), how):
            raise AssertionError(f"still alive after {how.name}\n{self._log()}")

    def ask(self, written_port: int, question: bytes = b"", *, host: str = "127.0.0.1") -> bytes:
        """Connect once, say something, return all that is answered until the server hangs up."""
        with socket.create_connection((host, self.port(written_port)), timeout=PATIENCE_S) as connection:
            if question:
                connection.sendall(question)
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            while more := connection.recv(65536):
                answer += more
            return answer

    def accepts(self, written_port: int) -> bool:
        """Say whether somebody listens on the port."""
        try:
            socket.create_connection(("127.0.0.1", self.port(written_port)), timeout=PATIENCE_S).close()
        except ConnectionError:  # reset, if it ends just now
            return False
        return True

    def wait_until(self, condition: Callable[[], object], what: str = "the condition") -> None:
        """Return as soon as ``condition()`` is true."""
        never, step_s, waited_s = threading.Event(), 0.01, 0.0
        while not condition():
            if waited_s > PATIENCE_S:
                raise AssertionError(f"waited in vain for {what}\n{self._log()}")
            never.wait(step_s)
            waited_s += step_s

    # --- other users ---------------------------------------------------------------------------

    def without_low_ports(self) -> list[str]:
        """Return the words before a command that may not open ports below 1024, whoever runs the tests."""
        words = [] if _first_free_port() >= 1024 else ["unshare", "-n"]  # a fresh network begins at 1024
        return [*words, *self.without("net_bind_service")]

    def without(self, capability: str) -> list[str]:
        """Return the words before a command that lacks one capability of root."""
        return (
            ["setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}"]
            if os.geteuid() == 0
            else []
        )

    def give_to(self, user: int, group: int) -> None:
        """Make the folder another user's, so that a server may run in it as that user."""
        for path in (self.folder, *self.folder.iterdir()):
            os.chown(path, user, group)
        self.folder.chmod(0o755)

    def for_any_user(self) -> list[str]:
        """Return the words for ``twistd`` by a Python that every user may read.

        After privileges have gone, modules are still to be imported.  A Python in somebody's home,
        as pyenv installs it, cannot be read then; the system's, with our packages, can.
        """
        if _open_to_all(Path(sys.base_prefix)):
            return ["twistd"]
        system = Path("/usr/bin/python3")
        version = "import sys; print(*sys.version_info[:2])"
        same = [
            subprocess.run([python, "-c", version], capture_output=True, check=True).stdout
            for python in (system, sys.executable)
        ]
        assert same[0] == same[1], f"{sys.executable} is closed to others, {system} is another version"
        packages = next(path for path in sys.path if path.endswith("site-packages"))
        return ["env", f"PYTHONPATH={TOP / 'src'}:{packages}", str(system), "-m", "taphouse.cli.twistd"]

    # --- the end -------------------------------------------------------------------------------

    def running(self) -> list[int]:
        """Return the process ids of all that was started here and still runs."""
        mark = f"{MARK}={self.mark}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    if mark in (entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
        return found

    def close(self) -> None:
        """End what still runs, by process id, and remove the folder."""
        while found := self.running():  # again: one of them may just have started another
            for pid in found:
                with suppress(ProcessLookupError):
                    assert _end(pid), f"process {pid} does not end"
        for child in self._children:
            with child:
                child.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

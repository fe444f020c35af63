"""A service manager of our own for tests: its socket, and processes that it hands sockets to."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Sequence

from playground import PATIENCE_S, Playground

# What a manager does between fork(2) and execve(2): the descriptors to 3, 4, ..., our own process id.
_LAUNCHER = """
import fcntl, os, sys
names, fds = sys.argv[1], [int(word) for word in sys.argv[2].split(",")]
high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in fds]
for number, fd in enumerate(high, 3):
    os.dup2(fd, number, inheritable=True)
os.closerange(3 + len(fds), 200)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)))
if names:
    os.environ["LISTEN_FDNAMES"] = names
os.execvp(sys.argv[3], sys.argv[3:])
"""


class FakeManager:
    """The end of ``$NOTIFY_SOCKET`` that a service manager has.

    Args:
        address: a path, or ``@name``.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address[0] == "@" else address)
        self._socket.settimeout(PATIENCE_S)
        self.heard: list[dict[str, str]] = []

    def next(self) -> dict[str, str]:
        """Return the fields of the next message."""
        message = dict(line.split("=", 1) for line in self._socket.recv(65536).decode().split("\n") if line)
        self.heard.append(message)
        return message

    def wait_for(self, field: str) -> dict[str, str]:
        """Read messages up to the first with ``field``, and return it."""
        while True:
            message = self.next()
            if field in message:
                return message

    def pending(self) -> list[dict[str, str]]:
        """Return what has arrived by now."""
        found = []
        self._socket.setblocking(False)
        try:
            while True:
                found.append(self.next())
        except BlockingIOError:
            return found
        finally:
            self._socket.settimeout(PATIENCE_S)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


def start_with_sockets(
    place: Playground, command: Sequence[str], given: Sequence[socket.socket], names: str = ""
) -> subprocess.Popen[bytes]:
    """Start a command as a manager does that has opened ``given`` for it; our copies stay open."""
    child = subprocess.Popen(
        [
            *(sys.executable, "-c", _LAUNCHER, names, ",".join(str(sock.fileno()) for sock in given)),
            *(place.with_free_ports(word) for word in command),
        ],
        cwd=place.folder,
        env=place.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[sock.fileno() for sock in given],
    )
    place.adopt(child)
    return child

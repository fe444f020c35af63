"""What a service manager is told: ready, status, stopping, alive, give me time.

The protocol of sd_notify(3), spoken without its library: one datagram a message
to the socket that ``$NOTIFY_SOCKET`` names.  The socket is connected at once, so
that it can still be spoken to from inside of a chroot.  This module must never
know what is served, nor wait for whoever reads.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING

from taphouse.value import Value

if TYPE_CHECKING:
    import asyncio

__all__ = ["Condition", "Managed", "Manager", "find_manager"]

_PATIENCE_MS = 1000
_BEAT_S = 10.0
_SHORTEST_BEAT_S = 0.01
_AGAIN_S = 0.1
_EXTENSION_S = 60.0
_LONGEST_STATUS = 500
_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Condition(Value):
    """How a server is at a moment."""

    text: str
    """The same in a short line."""
    is_well: bool = True
    """Whether it does what it is there for; the manager is to kill one that does not."""
    is_stopping: bool = False


class Manager:
    """The manager of a server that nobody manages: what is said to it is said to nobody."""

    problem = ""
    """Why a manager that should be there cannot be spoken to."""

    def status(self, text: str) -> None:
        """Say in a line what is being done; the same line twice is said once."""

    def ready(self, text: str) -> None:
        """Say that every listener accepts, with a status."""

    def failed(self, text: str, code: int, error: BaseException | None = None) -> None:
        """Say in a line why the server ends; ``code`` is its exit code."""

    def extend(self, seconds: float) -> None:
        """Ask not to be given up for so many seconds from now, whatever is being done."""

    def forked(self) -> None:
        """Say that this process, a child of the one that was started, is the server."""

    def attend(self, loop: asyncio.AbstractEventLoop, condition: Callable[[], Condition]) -> None:
        """Tell how the server is from time to time, until `leave`; signs of life come from ``loop`` itself.

        A loop that hangs gives none, nor does a server that is not well: the manager kills it then, and
        starts another.
        """

    def look(self) -> None:
        """Tell at once: something has changed."""

    def leave(self) -> None:
        """Tell no more by itself."""

    def close(self) -> None:
        """Let go of the manager."""


class Managed(Manager):
    """A service manager at the other end of a datagram socket.

    Args:
        channel: connected to the manager's socket; ours from now on.
        watchdog_s: how long the manager waits for a sign of life; 0 if it does not.
    """

    def __init__(self, channel: socket.socket, *, watchdog_s: float = 0.0) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._watchdog_s = watchdog_s
        self._every_s = max(min(watchdog_s / 2, _BEAT_S), _SHORTEST_BEAT_S) if watchdog_s else _BEAT_S
        self._said = ""
        self._unsent: list[bytes] = []
        self._is_stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._condition: Callable[[], Condition] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def status(self, text: str) -> None:
        line = _line(text)
        if line != self._said and self._send(f"STATUS={line}"):
            self._said = line

    def ready(self, text: str) -> None:
        self._said = _line(text)
        self._insist(f"READY=1\nSTATUS={self._said}")

    def failed(self, text: str, code: int, error: BaseException | None = None) -> None:
        self._said = _line(text)
        self._insist_now(f"STATUS={self._said}\nERRNO={_errno_of(error, code)}")

    def extend(self, seconds: float) -> None:
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1_000_000)}")

    def forked(self) -> None:
        self._insist_now(f"MAINPID={os.getpid()}")

    def attend(self, loop: asyncio.AbstractEventLoop, condition: Callable[[], Condition]) -> None:
        self._loop, self._condition = loop, condition
        self._beat()

    def look(self) -> None:
        if self._condition is None:
            return
        now = self._condition()
        self._flush()
        if now.is_stopping and not self._is_stopping:
            self._is_stopping = True
            self._insist("STOPPING=1")
        self.status(now.text)
        if now.is_well:
            if self._watchdog_s:
                self._send("WATCHDOG=1")
            if now.is_stopping:
                self.extend(_EXTENSION_S)

    def leave(self) -> None:
        self._condition = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        self.leave()
        self._channel.close()

    def _beat(self) -> None:
        assert self._loop is not None
        self.look()
        self._timer = self._loop.call_later(_AGAIN_S if self._unsent else self._every_s, self._beat)

    def _send(self, message: str | bytes) -> bool:
        data = message.encode("utf-8", "replace") if isinstance(message, str) else message
        try:
            self._channel.send(data)
        except OSError:  # nobody reads any more, or not fast enough: no reason to stop serving
            return False
        return True

    def _insist(self, message: str) -> None:
        """Send what must arrive: if there is no room, with the next beat, which comes soon then."""
        self._unsent.append(message.encode("utf-8", "replace"))
        self._flush()

    def _insist_now(self, message: str) -> None:
        """The same where no beat follows: wait a moment for room."""
        self._insist(message)
        if self._unsent:
            poll = select.poll()
            poll.register(self._channel, select.POLLOUT)
            poll.poll(_PATIENCE_MS)
            self._flush()

    def _flush(self) -> None:
        while self._unsent and self._send(self._unsent[0]):
            del self._unsent[0]


class _Variables(Value):
    """What the environment says of a manager."""

    address: str = ""
    watchdog_s: float = 0.0


def find_manager(environment: MutableMapping[str, str]) -> Manager:
    """Return the service manager that ``environment`` names, and take its variables out.

    Children must not find them: they would speak for us.

    Args:
        environment: changed; usually ``os.environ``.
    """
    found = _take_variables(environment)
    if not found.address:
        return Manager()
    manager = Manager()
    if found.address[0] not in "/@":
        manager.problem = f"NOTIFY_SOCKET {found.address!r:.200} is neither a path nor an abstract name"
        return manager
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        channel.connect("\0" + found.address[1:] if found.address[0] == "@" else found.address)
    except OSError as error:
        channel.close()
        manager.problem = f"NOTIFY_SOCKET {found.address!r:.200}: {error.strerror or error}"
        return manager
    return Managed(channel, watchdog_s=found.watchdog_s)


def _take_variables(environment: MutableMapping[str, str]) -> _Variables:
    address, period, pid = (environment.pop(name, "") for name in _VARIABLES)
    is_ours = pid in ("", str(os.getpid()))
    watchdog_s = int(period) / 1_000_000 if is_ours and _is_number(period) else 0.0
    return _Variables(address, watchdog_s)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20


def _line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_STATUS]


_ERRNOS = {64: 22, 69: 98, 73: 13, 74: 5, 75: 16, 77: 1}
"""Exit code -> EINVAL, EADDRINUSE, EACCES, EIO, EBUSY, EPERM: where no call of the system failed."""


def _errno_of(error: BaseException | None, code: int) -> int:
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            return error.errno
        error = error.__cause__ or error.__context__
    return _ERRNOS.get(code, 22)

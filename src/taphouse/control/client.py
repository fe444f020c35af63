"""Ask a running server: one request, one answer, no waiting for ever.

Synchronous, without asyncio: `tap status` should cost no more than it must.
This module must never know what the answer means.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from taphouse.control.address import connect_socket
from taphouse.control.entry import Entry
from taphouse.control.registry import NotRunningError
from taphouse.control.wire import REPLY_BYTES, Reply, Request, WireError
from taphouse.errors import TaphouseError, UsageError

__all__ = ["ControlError", "ask"]

_TIMEOUT_S = 5.0


class ControlError(TaphouseError):
    """The server refused, or did not answer.

    Args:
        message: why.
        exit_code: what the command should end with.
        cure: what to do.
    """

    def __init__(self, message: str, *, exit_code: int = 69, cure: str = "") -> None:
        super().__init__(message, cure=cure)
        self.exit_code = exit_code


def ask(
    server: Entry, verb: str, arguments: Mapping[str, str] | None = None, *, timeout: float = _TIMEOUT_S
) -> dict[str, object]:
    """Ask a server.

    Args:
        server: which, as :func:`~taphouse.control.find_server` found it.
        verb: ``ping``, ``status``, ``stop`` or ``backup``.
        arguments: the verb's own.
        timeout: seconds for the answer to begin; a backup may take long.

    Raises:
        NotRunningError: it has ended in the meantime (69).
        ControlError: it refused (its own code) or does not answer (69).
        UsageError: the request is too long (64).
    """
    who = f"{server.name} (PID {server.pid})"
    try:
        line = Request(verb, dict(arguments or {})).encode()
    except WireError as problem:
        raise UsageError(str(problem)) from None
    try:
        with connect_socket(server.socket, timeout=timeout) as client:
            with contextlib.suppress(BrokenPipeError):  # turned away already: the reason is there to read
                client.sendall(line)
            data = bytearray()
            while not data.endswith(b"\n"):
                part = client.recv(65_536)
                if not part or len(data) > REPLY_BYTES:
                    break
                data += part
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotRunningError(
            f"{who} is not running any more", cure="look for others with tap status"
        ) from None
    except TimeoutError:
        raise ControlError(
            f"{who} does not answer within {timeout:g} s",
            cure=f"kill -QUIT {server.pid} makes it write to its log what it does",
        ) from None
    except OSError as problem:
        raise ControlError(f"{who} cannot be asked: {problem.strerror or problem}") from None
    try:
        reply = Reply.decode(bytes(data))
    except WireError as problem:
        raise ControlError(f"{who} gave no proper answer: {problem}") from None
    if reply.code:
        raise ControlError(f"{server.name}: {reply.error}", exit_code=reply.code)
    return reply.result

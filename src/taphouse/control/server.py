"""The control socket's server: JSON lines in, one answer each.

It bounds everything a caller may take: the request's length, the time it may
take to come, the number of callers.  This module must never know how a verb is
done: the actions are handed in.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Mapping

from taphouse.control.registration import Registration
from taphouse.control.wire import REQUEST_BYTES, Reply, Request, WireError
from taphouse.errors import TaphouseError, UsageError
from taphouse.value import Value

__all__ = ["Actions", "ControlServer"]

_logger = logging.getLogger("taphouse.control")
_IDLE_S = 30.0
_MOST_CALLERS = 32
_FAREWELL_S = 1.0
_UCRED = struct.Struct("3i")


class Actions(Value):
    """What the verbs do."""

    status: Callable[[], Mapping[str, object]]
    """Returns JSON-able facts about the server."""
    stop: Callable[[str], None]
    """Begins an orderly stop for the reason given; returns at once."""
    backup: Callable[[str], Awaitable[Mapping[str, object]]]
    """Writes a consistent copy of the state to the absolute path; returns facts about it."""


_Verb = Callable[["ControlServer", Mapping[str, str]], Awaitable[Mapping[str, object]]]


class ControlServer:
    """Answers on the socket of a registration.

    Args:
        registration: entry and listening socket.
        actions: what the verbs do.
        idle_s: seconds a caller may take for a request.
        dressed: makes of a caller's protocol the one that the loop gets; for a loop that holds output back
            while the disk works, as it must not do here: an operator asks when the disk is stuck.
    """

    def __init__(
        self,
        registration: Registration,
        actions: Actions,
        *,
        idle_s: float = _IDLE_S,
        dressed: Callable[[asyncio.Protocol], asyncio.BaseProtocol] = lambda protocol: protocol,
    ) -> None:
        self.registration = registration
        self._actions = actions
        self._dressed = dressed
        self._idle_s = idle_s
        self._callers: set[asyncio.Task[None]] = set()
        self._server: asyncio.AbstractServer | None = None
        # Root, the user who started the server, and the one it runs as by now.
        self._welcome = {0, os.geteuid(), os.getuid()}
        self._begun = time.monotonic()

    async def start(self) -> None:
        """Begin to answer, also those who connected before."""
        loop = asyncio.get_running_loop()

        def make() -> asyncio.BaseProtocol:
            # What asyncio.start_unix_server() does, and dressed.
            reader = asyncio.StreamReader(limit=REQUEST_BYTES, loop=loop)
            return self._dressed(asyncio.StreamReaderProtocol(reader, self._serve, loop=loop))

        self._server = await loop.create_unix_server(make, sock=self.registration.socket)

    async def close(self) -> None:
        """Stop answering, and leave the registry."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.registration.release()
        for caller in list(self._callers):
            caller.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)

    # -- one caller ----------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._callers.add(task)
        try:
            if len(self._callers) > _MOST_CALLERS:
                await self._turn_away(reader, writer, Reply(error="too many callers at once", code=69))
            elif not self._is_welcome(writer):
                await self._turn_away(reader, writer, Reply(error="this server is another user's", code=77))
            else:
                while await self._answer(reader, writer):
                    pass
        except (OSError, TimeoutError):
            pass  # the caller is gone, or asleep
        except asyncio.CancelledError:
            pass  # the server closes
        finally:
            self._callers.discard(task)
            writer.close()
            with contextlib.suppress(Exception, asyncio.CancelledError):
                await writer.wait_closed()

    async def _turn_away(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reply: Reply
    ) -> None:
        """Refuse without looking at the request; but take it, as closing on unread bytes is a reset."""
        await self._send(writer, reply)
        with contextlib.suppress(ValueError):
            async with asyncio.timeout(min(self._idle_s, _FAREWELL_S)):
                await reader.readline()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False if there will be no more."""
        try:
            async with asyncio.timeout(self._idle_s):
                line = await reader.readline()
        except ValueError:  # longer than the limit; where the next request begins is unknown
            await self._send(writer, Reply(error=f"a request has at most {REQUEST_BYTES} bytes", code=64))
            return False
        if not line.endswith(b"\n"):
            return False
        try:
            request = Request.decode(line)
        except WireError as problem:
            await self._send(writer, Reply(error=str(problem), code=64))
            return True
        await self._send(writer, await self._do(request))
        return True

    async def _do(self, request: Request) -> Reply:
        if request.verb not in VERBS:
            return Reply(error=f"there is no verb {request.verb!r:.60}; use {', '.join(VERBS)}", code=64)
        wanted, verb = VERBS[request.verb]
        given = request.arguments
        if set(given) != set(wanted) or not all(isinstance(value, str) for value in given.values()):
            needs = ", ".join(wanted) or "no arguments"
            return Reply(error=f"{request.verb} takes {needs}, as text", code=64)
        try:
            return Reply(dict(await verb(self, {name: str(value) for name, value in given.items()})))
        except TaphouseError as problem:
            return Reply(error=str(problem), code=problem.exit_code)
        except Exception as problem:
            _logger.exception("control verb %s failed", request.verb)
            return Reply(
                error=f"{request.verb} failed: {type(problem).__name__}; see the server's log", code=70
            )

    async def _send(self, writer: asyncio.StreamWriter, reply: Reply) -> None:
        writer.write(reply.encode())
        async with asyncio.timeout(self._idle_s):
            await writer.drain()

    def _is_welcome(self, writer: asyncio.StreamWriter) -> bool:
        """The socket's mode says so already; this holds also where a file system ignores modes."""
        peer = writer.get_extra_info("socket")
        if peer is None or not hasattr(socket, "SO_PEERCRED"):
            return True
        data = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        return _UCRED.unpack(data)[1] in self._welcome

    # -- verbs ---------------------------------------------------------------

    async def _ping(self, arguments: Mapping[str, str]) -> Mapping[str, object]:
        return {"name": self.registration.entry.name, "pid": os.getpid()}

    async def _status(self, arguments: Mapping[str, str]) -> Mapping[str, object]:
        entry = self.registration.entry
        return {
            "name": entry.name,
            "pid": os.getpid(),
            "since": entry.since,
            "uptime_s": round(time.monotonic() - self._begun, 3),
            "version": entry.version,
            "tap": entry.tap,
            "source": entry.source,
            "rundir": entry.rundir,
            **self._actions.status(),
        }

    async def _stop(self, arguments: Mapping[str, str]) -> Mapping[str, object]:
        _logger.info("Asked to stop through the control socket.")
        # After the reply is on its way: stopping closes this connection.
        asyncio.get_running_loop().call_soon(self._actions.stop, "the control socket")
        return {"pid": os.getpid(), "started": self.registration.entry.started}

    async def _backup(self, arguments: Mapping[str, str]) -> Mapping[str, object]:
        if not os.path.isabs(arguments["path"]):
            raise UsageError("backup needs an absolute path")
        return await self._actions.backup(arguments["path"])


VERBS: dict[str, tuple[tuple[str, ...], _Verb]] = {
    "ping": ((), ControlServer._ping),
    "status": ((), ControlServer._status),
    "stop": ((), ControlServer._stop),
    "backup": (("path",), ControlServer._backup),
}
"""Each verb with the names of its arguments."""

"""Our event loop: every transport that is made passes through here, whoever asks for it.

Two classes from one mixin, over uvloop and over asyncio's selector loop.  The
mixin wraps each protocol in a `Connection` or an `Endpoint` and hands that out
as the transport; nothing else of the loop is changed.  It must never know an
application, a tap or an epoch, only a `Gate`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
import sys
from collections.abc import Callable
from typing import IO, Any, Protocol

from taphouse.errors import ConfigurationError
from taphouse.runtime.connection import Connection, Owner
from taphouse.runtime.datagrams import Endpoint
from taphouse.runtime.gate import Gate
from taphouse.runtime.sendfile import copy_file

__all__ = ["TaphouseLoop", "loop_name", "make_loop"]

_log = logging.getLogger("taphouse.runtime")
_STARVED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_Factory = Callable[[], asyncio.BaseProtocol]


class TaphouseLoop(Protocol):
    """What the runtime asks of our loops beyond asyncio's."""

    guests: Owner

    def use_gate(self, gate: Gate) -> None:
        """Keep output while ``gate`` is closed, from now on."""


class _Passage:
    """The mixin: transports are made by the loop below, and handed out through ours."""

    guests: Owner
    """Answers for connections that no listener or connector of an application made."""

    def __init__(self) -> None:
        super().__init__()
        self.guests = Owner()

    def use_gate(self, gate: Gate) -> None:
        """Keep output while ``gate`` is closed, from now on."""
        self.guests.gate = gate

    def _wrapped(self, factory: _Factory) -> _Factory:
        guests = self.guests

        def make() -> asyncio.BaseProtocol:
            protocol = factory()
            return protocol if isinstance(protocol, Connection) else Connection(guests, protocol)

        return make

    async def _wait_open(self) -> None:
        if self.guests.gate.closed:
            await self.guests.gate.wait_released()

    async def create_server(self, protocol_factory: _Factory, *args: Any, **kwargs: Any) -> Any:
        """Listen on a port; see asyncio."""
        return await super().create_server(self._wrapped(protocol_factory), *args, **kwargs)  # type: ignore[misc]

    async def create_unix_server(self, protocol_factory: _Factory, *args: Any, **kwargs: Any) -> Any:
        """Listen on a path; see asyncio."""
        return await super().create_unix_server(self._wrapped(protocol_factory), *args, **kwargs)  # type: ignore[misc]

    async def create_connection(self, protocol_factory: _Factory, *args: Any, **kwargs: Any) -> Any:
        """Connect; see asyncio."""
        return _handed_out(
            await super().create_connection(self._wrapped(protocol_factory), *args, **kwargs)  # type: ignore[misc]
        )

    async def create_unix_connection(self, protocol_factory: _Factory, *args: Any, **kwargs: Any) -> Any:
        """Connect to a path; see asyncio."""
        return _handed_out(
            await super().create_unix_connection(self._wrapped(protocol_factory), *args, **kwargs)  # type: ignore[misc]
        )

    async def connect_accepted_socket(self, protocol_factory: _Factory, *args: Any, **kwargs: Any) -> Any:
        """Serve a connection accepted elsewhere; see asyncio."""
        return _handed_out(
            await super().connect_accepted_socket(self._wrapped(protocol_factory), *args, **kwargs)  # type: ignore[misc]
        )

    async def create_datagram_endpoint(self, protocol_factory: _Factory, *args: Any, **kwargs: Any) -> Any:
        """Open a datagram endpoint; see asyncio."""

        def make() -> asyncio.BaseProtocol:
            protocol = protocol_factory()
            return protocol if isinstance(protocol, Endpoint) else Endpoint(protocol, self.guests.gate)  # type: ignore[arg-type]

        _, endpoint = await super().create_datagram_endpoint(make, *args, **kwargs)  # type: ignore[misc]
        return endpoint, endpoint.protocol

    async def start_tls(
        self, transport: Any, protocol: Any, sslcontext: ssl.SSLContext, **kwargs: Any
    ) -> asyncio.Transport:
        """Go on with TLS; returns the transport it was given."""
        if not isinstance(transport, Connection):
            return await super().start_tls(transport, protocol, sslcontext, **kwargs)  # type: ignore[misc,no-any-return]
        if isinstance(protocol, Connection):
            protocol = protocol.get_protocol()
        if protocol is not transport.protocol:
            transport.set_protocol(protocol)
        # The connection stays the same object: what counted it in will count it out.
        secure = super().start_tls  # type: ignore[misc]
        await transport.start_tls(lambda: secure(transport.raw, transport, sslcontext, **kwargs))
        return transport

    async def sendfile(
        self,
        transport: Any,
        file: IO[bytes],
        offset: int = 0,
        count: int | None = None,
        *,
        fallback: bool = True,
    ) -> int:
        """Send a file through the transport; see asyncio."""
        if not isinstance(transport, Connection):
            return await super().sendfile(transport, file, offset, count, fallback=fallback)  # type: ignore[misc,no-any-return]
        # sendfile(2) itself would write past the transport; uvloop has none anyway.
        if not fallback:
            raise asyncio.SendfileNotAvailableError("taphouse sends files through the transport")
        return await copy_file(transport, file, offset, count)

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        """Send on a socket; see asyncio."""
        await self._wait_open()
        await super().sock_sendall(sock, data)  # type: ignore[misc]

    async def sock_sendto(self, sock: Any, data: Any, address: Any) -> int:
        """Send a datagram on a socket; see asyncio."""
        await self._wait_open()
        return int(await super().sock_sendto(sock, data, address))  # type: ignore[misc]

    async def sock_sendfile(self, *args: Any, **kwargs: Any) -> int:
        """Send a file on a socket; see asyncio."""
        await self._wait_open()
        return int(await super().sock_sendfile(*args, **kwargs))  # type: ignore[misc]


def _handed_out(made: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return (transport, protocol) as the caller expects them: ours, and his own."""
    connection = made[1]
    return connection, connection.protocol


class SelectorLoop(_Passage, asyncio.SelectorEventLoop):
    """asyncio's selector loop with our transports."""

    _starved_at = -1.0

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Handle ``context``, except that running out of descriptors is told once a second.

        CPython 3.11 reports EMFILE for every accept(2) it had in mind, and a second later fails
        once more for each if the listener has been closed meanwhile.
        """
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in _STARVED and "socket" in context:
            if self.time() - self._starved_at < 1.0:
                return
            self._starved_at = self.time()
        if isinstance(error, ValueError) and "_start_serving" in str(context.get("message")):
            return
        super().call_exception_handler(context)


def make_loop(kind: str = "auto") -> asyncio.AbstractEventLoop:
    """Make one of our event loops.

    Args:
        kind: "uvloop", "asyncio", or "auto" (uvloop if it is installed).

    Raises:
        ConfigurationError: if ``kind`` is neither, or uvloop is asked for and not installed.
    """
    if kind not in ("auto", "uvloop", "asyncio"):
        raise ConfigurationError(f"reactor {kind!r:.40} is not known", cure="use auto, uvloop or asyncio")
    if kind != "asyncio":
        try:
            return _make_uvloop()
        except ImportError:
            if kind == "uvloop":
                raise ConfigurationError(
                    "reactor uvloop is not installed", cure="pip install uvloop, or use -r asyncio"
                ) from None
    return SelectorLoop()


_uvloop_class: type[asyncio.AbstractEventLoop] | None = None


def _make_uvloop() -> asyncio.AbstractEventLoop:
    # Imported on first use: a process on asyncio, or one that only reads taps, never pays for it.
    global _uvloop_class
    if _uvloop_class is None:
        import uvloop

        class UvLoop(_Passage, uvloop.Loop):  # type: ignore[misc]  # its stubs and asyncio's disagree
            """uvloop with our transports."""

            accepts_one = True

        _uvloop_class = UvLoop
    return _uvloop_class()


def loop_name(loop: asyncio.AbstractEventLoop) -> str:
    """Return the loop's name and version for people: "uvloop 0.23.0" or "asyncio 3.11.7"."""
    uvloop = sys.modules.get("uvloop")
    if uvloop is not None and isinstance(loop, uvloop.Loop):
        return f"uvloop {uvloop.__version__}"
    return f"asyncio {sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"

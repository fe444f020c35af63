"""The target: where connections are forwarded to, and how one is opened.

The name is looked up anew for each connection; of several addresses the next
one is tried while the last has not answered (RFC 8305, "happy eyeballs", which
uvloop has not).  It must never know what passes through the connection.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from itertools import chain, zip_longest
from typing import Any

__all__ = ["Target", "reason_of"]

_NEXT_ADDRESS_S = 0.25  # RFC 8305, section 5: "Connection Attempt Delay"

_Make = Callable[[], asyncio.BaseProtocol]
_Address = tuple[socket.AddressFamily, str, int]


class Target:
    """An address to connect to.

    Args:
        host: name or address; empty for a UNIX socket.
        port: its port.
        path: of a UNIX socket; empty for TCP.
        tls: the context of a connection with TLS; None for one without.
        server_name: the name that the certificate must carry.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        path: str = "",
        tls: ssl.SSLContext | None = None,
        server_name: str = "",
    ) -> None:
        self.host = host
        self.port = port
        self.path = path
        # Asked for with each connection, the same each time.
        self._numeric = _numeric(host, port)
        self._options: dict[str, Any] = {}
        if tls is not None:
            self._options = {"ssl": tls, "server_hostname": server_name}

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def connect(self, make: _Make) -> Awaitable[object]:
        """Open a connection; what is returned is to be awaited.

        Args:
            make: makes the protocol of an attempt.  Attempts overlap: the first whose
                ``connection_made`` is called has the connection, and the protocol must refuse the others.

        Raises:
            OSError: if no address answers; ssl.SSLError is one of them.
        """
        loop = asyncio.get_running_loop()
        if self._numeric is not None:
            family, host, port = self._numeric
            return loop.create_connection(make, host, port, family=family, **self._options)
        if self.path:
            return loop.create_unix_connection(make, self.path, **self._options)
        return self._connect_by_name(loop, make)

    async def _connect_by_name(self, loop: asyncio.AbstractEventLoop, make: _Make) -> None:
        await _race(loop, make, await self._look_up(loop), self._options)

    async def _look_up(self, loop: asyncio.AbstractEventLoop) -> list[_Address]:
        try:
            found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except UnicodeError:
            raise OSError(f"{self.host!r:.80} is not a host name") from None
        seen = dict.fromkeys((socket.AddressFamily(info[0]), str(info[4][0]), self.port) for info in found)
        return _alternate(seen)


def _numeric(host: str, port: int) -> _Address | None:
    """Return an address that needs no look-up, or None for a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return family, host, port
    return None


def _alternate(addresses: Iterable[_Address]) -> list[_Address]:
    """Let families take turns, the first one's first: RFC 8305, section 4."""
    groups: dict[socket.AddressFamily, list[_Address]] = {}
    for address in addresses:
        groups.setdefault(address[0], []).append(address)
    turns = chain.from_iterable(zip_longest(*groups.values()))
    return [address for address in turns if address is not None]


async def _connect(
    loop: asyncio.AbstractEventLoop, make: _Make, address: _Address, options: dict[str, Any]
) -> None:
    family, host, port = address
    await loop.create_connection(make, host, port, family=family, **options)


async def _race(
    loop: asyncio.AbstractEventLoop, make: _Make, addresses: list[_Address], options: dict[str, Any]
) -> None:
    """Return when one address has answered; raise the first one's error if none does."""
    errors: list[BaseException] = []
    attempts: set[asyncio.Task[None]] = set()
    left = list(addresses)
    try:
        while left or attempts:
            if left:
                attempts.add(loop.create_task(_connect(loop, make, left.pop(0), options)))
            done, attempts = await asyncio.wait(
                attempts,
                timeout=_NEXT_ADDRESS_S if left else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for attempt in done:
                error = attempt.exception()
                if error is None:
                    return
                errors.append(error)
    finally:
        for attempt in attempts:
            attempt.cancel()
        if attempts:
            await asyncio.wait(attempts)
            for attempt in attempts:
                attempt.cancelled() or attempt.exception()  # told, so that nobody warns of it
    raise errors[0]


def reason_of(error: BaseException) -> str:
    """Return why a connection could not be opened, in the words of the system and not of a loop."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or str(error)).lower().replace('_', ' ')}"
    if isinstance(error, socket.gaierror):
        return f"its name cannot be looked up: {error.strerror}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__

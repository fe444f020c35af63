"""Accepting: how connections get in on a listening socket, one after the other or as a crowd.

It must never know what is served.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable
from typing import Any, Final

__all__ = ["accept_on"]

# asyncio takes its ``backlog`` for the number of accept(2) calls at once as well, and out of
# descriptors it reports each of them, and tries each again after a second.
_AT_ONCE: Final = 32
_HANDLES: Final = 8
"""On a socket from which each handle accepts once a turn; whoever finds nobody costs a failing accept(2)."""


async def accept_on(
    loop: asyncio.AbstractEventLoop,
    factory: Callable[[], asyncio.BaseProtocol],
    sock: socket.socket,
    backlog: int,
    **tls: Any,
) -> list[asyncio.AbstractServer]:
    """Begin to accept; until now connections waited in the backlog.

    libuv (since 1.45) takes one connection a turn from each handle.  Of 50 clients that come at once the
    last would wait for 50 turns, each with more to do: 55 ms, where 8 handles on one socket make it 8.

    Args:
        loop: which; ``accepts_one`` says that it is like libuv.
        factory: makes a protocol for each connection.
        sock: listens already.
        backlog: connections the kernel queues.
        tls: ``ssl`` and ``ssl_handshake_timeout``, as of `asyncio.loop.create_server`.

    Returns:
        Servers, all of which are to be closed.
    """
    if not getattr(loop, "accepts_one", False):
        server = await _serve(loop, factory, sock, _AT_ONCE, tls)
        sock.listen(backlog)  # the loop has set it to the number above
        return [server]
    servers = [await _serve(loop, factory, sock, backlog, tls)]
    with contextlib.suppress(OSError):  # out of descriptors: one handle lets everybody in, too
        while len(servers) < _HANDLES:
            servers.append(await _serve(loop, factory, sock.dup(), backlog, tls))
    return servers


async def _serve(
    loop: asyncio.AbstractEventLoop,
    factory: Callable[[], asyncio.BaseProtocol],
    sock: socket.socket,
    backlog: int,
    more: dict[str, Any],
) -> asyncio.AbstractServer:
    if sock.family != socket.AF_UNIX:
        return await loop.create_server(factory, sock=sock, backlog=backlog, **more)
    # Who has bound it knows whose path it is.
    kept: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
    return await loop.create_unix_server(factory, sock=sock, backlog=backlog, **more, **kept)

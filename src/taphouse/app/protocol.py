"""Protocol: one connection.

asyncio's protocols with a ``factory``, a ``transport`` that is there before the
first callback, and a guard against the classic spellings.  A protocol is never
durable: what outlives a connection belongs to its factory.  This module must
know no loop and no socket.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from taphouse.app.spelling import DATAGRAM_SPELLINGS, PROTOCOL_SPELLINGS, refuse_old_spellings
from taphouse.durable import register

__all__ = ["DatagramProtocol", "Protocol", "begin_connection"]


def _register_by_name(cls: type) -> None:
    # So that a factory may hold the class: a tap names classes, and only a
    # class statement makes a name known.  A class inside of a function has no
    # name that another process could find.
    if "<locals>" not in cls.__qualname__:
        register(cls)


class Protocol(asyncio.Protocol):
    """One stream connection: an :class:`asyncio.Protocol` that knows its factory.

    =========================  ======================================================
    we call                    you write
    =========================  ======================================================
    ``connection_made``        what happens when somebody connects
    ``data_received``          what happens with the bytes (any number at once)
    ``eof_received``           return ``True`` to keep the sending side open
    ``connection_lost``        ``exc`` is ``None`` after an orderly end
    ``pause_writing``          the peer does not read: stop writing
    ``resume_writing``         go on
    =========================  ======================================================

    ``self.factory`` and ``self.transport`` are set before ``connection_made``.
    """

    factory: Any = None
    """The factory that made this protocol; its attributes are durable."""

    transport: asyncio.Transport = cast(asyncio.Transport, None)
    """The connection; set before :meth:`connection_made`."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        refuse_old_spellings(cls, PROTOCOL_SPELLINGS)
        _register_by_name(cls)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called once, when the connection is there."""
        self.transport = cast(asyncio.Transport, transport)


class DatagramProtocol(asyncio.DatagramProtocol):
    """One UDP port: an :class:`asyncio.DatagramProtocol` that knows its factory.

    ``self.factory`` and ``self.transport`` are set before ``connection_made``;
    write ``datagram_received(self, data, addr)`` and answer with
    ``self.transport.sendto(data, addr)``.
    """

    factory: Any = None
    """The factory that made this protocol; its attributes are durable."""

    transport: asyncio.DatagramTransport = cast(asyncio.DatagramTransport, None)
    """The port; set before :meth:`connection_made`."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        refuse_old_spellings(cls, {**PROTOCOL_SPELLINGS, **DATAGRAM_SPELLINGS})
        _register_by_name(cls)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called once, when the port is open."""
        self.transport = cast(asyncio.DatagramTransport, transport)


def begin_connection(protocol: asyncio.BaseProtocol, transport: asyncio.BaseTransport) -> None:
    """Give ``protocol`` its transport, then say so: what a loop does for every connection.

    A protocol of ours finds ``self.transport`` set even if its own
    ``connection_made`` does not call the base class; any other asyncio protocol
    is only told.
    """
    if isinstance(protocol, Protocol | DatagramProtocol):
        protocol.transport = transport  # type: ignore[assignment]
    protocol.connection_made(transport)

"""Factory: makes a protocol for each connection, and remembers.

A factory's attributes are durable; a protocol's die with its connection.  This
module must know neither listeners nor the loop.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, ClassVar, cast

from taphouse.app.declared import Declared
from taphouse.app.protocol import DatagramProtocol
from taphouse.app.spelling import CLIENT_SPELLINGS, FACTORY_SPELLINGS, refuse_old_spellings
from taphouse.app.streams import StreamProtocol
from taphouse.durable import volatile
from taphouse.errors import ConfigurationError

__all__ = ["DatagramFactory", "Factory", "has_serve"]


NO_PROTOCOL_CURE = "set .protocol, or define build_protocol(self, addr) or async serve(self, reader, writer)"


class Factory(Declared, config=("protocol", "datagram_protocol", "stateless", "stream_limit_bytes")):
    """Makes a protocol for each connection; what it remembers is durable.

    =========================================  =======================================
    you write one of                           for
    =========================================  =======================================
    ``protocol = OneTimeKey``                  a protocol class (or any callable)
    ``def build_protocol(self, addr)``         a choice per peer; ``None`` hangs up
    ``async def serve(self, reader, writer)``  a coroutine per connection
    =========================================  =======================================

    =================  ==================================================================
    we call            when
    =================  ==================================================================
    ``started``        at every start, before the first of its listeners accepts
    ``draining``       at a stop, when nobody new is let in: tell connections to end
    ``stopped``        after the last of its listeners has closed
    =================  ==================================================================
    """

    protocol: Callable[[], asyncio.BaseProtocol] | None = None
    """Called without arguments for each connection; usually a :class:`Protocol` subclass."""

    datagram_protocol: Callable[[], asyncio.BaseProtocol] | None = None
    """The same for UDP listeners; where it is ``None``, ``protocol`` serves them."""

    stateless = False
    """A literal ``True`` promises that no reply depends on durable state; then none waits for a commit."""

    stream_limit_bytes = 64 * 1024
    """Longest line a ``serve`` coroutine's reader accepts."""

    connections: volatile[set[asyncio.BaseProtocol]] = volatile(set)
    """The protocols of the live connections: kept by the runtime, never saved."""

    _v_uses: int = 0
    _has_serve: ClassVar[bool] = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        serve = inspect.getattr_static(cls, "serve", None)
        if serve is not None and not inspect.iscoroutinefunction(serve):
            raise TypeError(
                f"{cls.__qualname__}.serve is not a coroutine function; "
                "write async def serve(self, reader, writer)"
            )
        cls._has_serve = serve is not None
        refuse_old_spellings(cls, {**FACTORY_SPELLINGS, **CLIENT_SPELLINGS})

    def build_protocol(self, addr: Any) -> asyncio.BaseProtocol | None:
        """Return the protocol for a new connection.

        Args:
            addr: the peer: ``(host, port)`` or longer for IP, a path or ``""`` for UNIX.

        Returns:
            A fresh protocol with ``.factory`` set, or ``None`` to hang up.
        """
        if self._has_serve:
            return StreamProtocol(cast(Any, self), self.stream_limit_bytes)
        return self._build(self.protocol)

    def build_datagram_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol of a UDP listener; called once for each."""
        return self._build(self.datagram_protocol or self.protocol)

    def _build(self, make: Callable[[], asyncio.BaseProtocol] | None) -> asyncio.BaseProtocol:
        if make is None:
            raise ConfigurationError(f"{type(self).__name__} has no protocol", cure=NO_PROTOCOL_CURE)
        protocol = make()
        protocol.factory = self  # type: ignore[attr-defined]
        return protocol

    def started(self) -> Awaitable[None] | None:
        """Called at every start: the place to make ``_v_`` attributes.  May be a coroutine."""
        return None

    def draining(self) -> None:
        """Called at a stop, when nobody new is let in: the place to ask ``connections`` to end.

        They have until the drain deadline to end by themselves, then they are closed.
        """

    def imports(self) -> Iterable[tuple[str, str]]:
        """Return what :meth:`started` imports by names that are data: (module, folder it lies in or ``""``).

        The plan names them, and whoever starts a tap judges them like the modules of its classes.
        """
        return ()

    def stopped(self) -> Awaitable[None] | None:
        """Called when the last listener has closed.  May be a coroutine."""
        return None


class _FactoryDatagrams(DatagramProtocol):
    """Hands each datagram to the factory and sends back what it answers."""

    def datagram_received(self, data: bytes, addr: Any) -> None:
        answer = self.factory.datagram_received(data, addr)
        if answer is not None:
            self.transport.sendto(answer, addr)


class DatagramFactory(Factory):
    """A UDP server in one class: define ``datagram_received`` on the factory itself."""

    datagram_protocol = _FactoryDatagrams

    def datagram_received(self, data: bytes, addr: Any) -> bytes | None:
        """Called for each datagram.

        Args:
            data: the payload.
            addr: the sender, ``(host, port)`` or longer.

        Returns:
            The answer to send back, or ``None`` for none.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no datagram_received(self, data, addr)")


def has_serve(factory: Factory) -> bool:
    """Say whether the class of ``factory`` defines the coroutine style, ``async def serve``."""
    return factory._has_serve

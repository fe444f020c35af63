"""Wrapping: turns whatever a listen statement was given into a factory.

A protocol class, a callable and a coroutine function become small factories
without state of their own; mistakes are refused at the statement with the
right spelling.  This module must not know what listens.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, cast

from taphouse.app.factory import Factory
from taphouse.app.protocol import DatagramProtocol, Protocol
from taphouse.app.streams import StreamProtocol
from taphouse.durable import check_value
from taphouse.errors import ConfigurationError, NotDurableError

__all__ = ["CallableFactory", "as_factory", "callable_name"]


class CallableFactory(Factory, config=("make",)):
    """A factory without state around a protocol class, a callable, or a coroutine function.

    What another process could find again by name is kept in ``make`` and saved;
    a lambda or closure is kept aside: it runs, and ``save()`` refuses it by name.

    Args:
        make: an asyncio protocol class, a callable that returns one, or ``async def (reader, writer)``.
    """

    make: Callable[..., Any] | None = None
    _v_make: Callable[..., Any] | None = None
    _v_is_handler: bool | None = None

    def __init__(self, make: Callable[..., Any]) -> None:
        if _is_findable(make):
            self.make = make
        else:
            self._v_make = make
        if getattr(make, "stateless", False) is True:
            self.stateless = True

    @property
    def target(self) -> Callable[..., Any]:
        """What was wrapped.

        Raises:
            ConfigurationError: if it was a lambda or closure of another process.
        """
        target = self.target_or_none
        if target is None:
            raise ConfigurationError(
                "a listener was made with a lambda or a function inside of a function, which no tap can hold",
                cure="start its script again, or give a class or a function of a module",
            )
        return target

    @property
    def target_or_none(self) -> Callable[..., Any] | None:
        """What was wrapped, if this process knows it."""
        return self.make if self.make is not None else self._v_make

    @property
    def is_savable(self) -> bool:
        """Whether another process could find the callable by its name."""
        return self.make is not None

    def build_protocol(self, addr: Any) -> asyncio.BaseProtocol | None:
        """Return a fresh protocol; one of ours gets ``.factory``, any other is left as it is."""
        target = self.make or self.target
        if self._v_is_handler is None:
            self._v_is_handler = inspect.iscoroutinefunction(target)
        if self._v_is_handler:
            return StreamProtocol(_Handler(target), self.stream_limit_bytes)
        made = target()
        if isinstance(made, Protocol | DatagramProtocol):
            made.factory = self
        return cast("asyncio.BaseProtocol | None", made)

    def build_datagram_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol of a UDP listener."""
        return cast(asyncio.BaseProtocol, self.build_protocol(None))


def _is_findable(make: Callable[..., Any]) -> bool:
    # Inside of a function nothing has a name that another process could find.
    if "<locals>" in getattr(make, "__qualname__", type(make).__qualname__):
        return False
    try:
        check_value(make, "protocol")
    except NotDurableError:
        return False
    return True


class _Handler:
    """Gives a coroutine function the one method a stream needs."""

    def __init__(self, handler: Callable[..., Awaitable[None]]) -> None:
        self.serve = handler


def callable_name(make: Callable[..., Any]) -> str:
    """Return the short name of a protocol class or function, for labels and log lines."""
    name = getattr(make, "__name__", "") or type(make).__name__
    return "lambda" if name == "<lambda>" else name


def as_factory(given: object, *, datagram: bool = False) -> Factory:
    """Return a factory for what a listen or connect statement was given.

    Args:
        given: a factory, an asyncio protocol class, a callable that returns a protocol,
            or a coroutine function ``(reader, writer)``.
        datagram: whether it shall serve datagrams.

    Raises:
        TypeError: naming the mistake and the right spelling.
    """
    if isinstance(given, Factory):
        protocol = given.datagram_protocol or given.protocol if datagram else given.protocol
        _check_direction(protocol, datagram)
        return given
    if isinstance(given, type):
        if issubclass(given, Factory):
            raise TypeError(f"{given.__qualname__} is a class; pass an instance, {given.__qualname__}()")
        if not issubclass(given, asyncio.BaseProtocol) and not hasattr(given, "connection_made"):
            raise TypeError(f"{given.__qualname__} is neither a Factory nor an asyncio protocol class")
    elif isinstance(given, asyncio.BaseProtocol):
        name = type(given).__qualname__
        raise TypeError(f"a {name} serves one connection; pass the class, {name}, or a Factory")
    elif not callable(given):
        raise TypeError(f"need a Factory, a protocol class or a callable, got {type(given).__qualname__}")
    _check_direction(given, datagram)
    return CallableFactory(cast(Callable[..., Any], given))


def _check_direction(protocol: object, datagram: bool) -> None:
    """Refuse a stream protocol class for datagrams and the reverse; what is no class cannot be told."""
    if not isinstance(protocol, type):
        return
    takes_streams = issubclass(protocol, asyncio.Protocol | asyncio.BufferedProtocol)
    takes_datagrams = issubclass(protocol, asyncio.DatagramProtocol)
    if datagram and takes_streams and not takes_datagrams:
        raise TypeError(f"{protocol.__qualname__} serves connections; UDP needs a DatagramProtocol")
    if not datagram and takes_datagrams and not takes_streams:
        raise TypeError(f"{protocol.__qualname__} serves datagrams; use listenUDP, or a Protocol")

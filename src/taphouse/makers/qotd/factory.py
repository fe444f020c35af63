"""Factory: chooses a quote for everybody who asks.

It must not know where quotes come from.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from taphouse.app import Factory
from taphouse.makers.qotd.fortunes import AUTO, Source
from taphouse.makers.qotd.shelf import Shelf
from taphouse.protocols import AnsweringUDP

__all__ = ["RANDOM", "SEQUENCE", "Quotes"]

RANDOM, SEQUENCE = "random", "sequence"
_DATAGRAM_BYTES = 512  # RFC 865 wants less; and a small question must not make a big answer


class QuoteUDP(AnsweringUDP):
    """The service on UDP: a quote for each datagram, cut at 512 bytes."""

    stateless = False

    def answer(self, data: bytes) -> bytes:
        """Return a quote; the file is looked at for whoever comes next."""
        return bytes(self.factory.next_datagram())


class Quotes(Factory, name="taphouse.qotd.Quotes", config=("file", "separator", "encoding", "order")):
    """Serves the quotes of a file on TCP and UDP.

    Args:
        file: its path.
        separator: see `taphouse.makers.qotd.fortunes.Source`.
        encoding: of the file; what is sent is UTF-8.
        order: ``"random"``, or ``"sequence"``: one after the other.

    Attributes:
        position: how many were given in sequence; durable.
    """

    datagram_protocol = QuoteUDP
    choose: Callable[[tuple[str, ...]], str] = staticmethod(random.choice)
    _v_shelf: Shelf

    def __init__(
        self, file: str, separator: str = AUTO, encoding: str = "utf-8", order: str = RANDOM
    ) -> None:
        self.file = file
        self.separator = separator
        self.encoding = encoding
        self.order = order
        self.stateless = order == RANDOM
        self.position = 0

    async def started(self) -> None:
        """Read the file: a start without quotes fails."""
        self._v_shelf = Shelf(Source(self.file, self.separator, self.encoding))
        await self._v_shelf.fill()

    def stopped(self) -> None:
        """Look at the file no more."""
        self._v_shelf.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say a quote and close; what the client says is not read."""
        await self._v_shelf.look()
        writer.write(_wire(self.next_quote()))

    def next_datagram(self) -> bytes:
        """Return a quote that is not too long for a datagram."""
        if self._v_shelf.is_due:
            self._v_shelf.begin_look()
        return _wire(self.next_quote())[:_DATAGRAM_BYTES].decode("utf-8", "ignore").encode()

    def next_quote(self) -> str:
        """Return a quote."""
        quotes = self._v_shelf.quotes
        if self.order != SEQUENCE:
            return self.choose(quotes)
        place = self.position % len(quotes)
        self.position = place + 1
        return quotes[place]


def _wire(quote: str) -> bytes:
    """Return ``quote`` as it is sent: UTF-8, lines ending in CR LF."""
    return ("\r\n".join(quote.split("\n")) + "\r\n").encode("utf-8", "replace")

"""Quote of the day: RFC 865.  Sends one short text and closes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from taphouse.app import Factory, Protocol
from taphouse.protocols.answering import AnsweringUDP

__all__ = ["QuoteOfTheDay", "QuoteOfTheDayUDP", "Quotes"]

# RFC 865: "limited to the ASCII printing characters, space, carriage return,
# and line feed", "less than 512 characters".
_LONGEST = 511

_OWN = (
    "A server that forgets makes its clients remember.",
    "Draw slowly: the barrel is older than the glass.",
    "What was promised before the crash is owed after it.",
    "A log is a diary that nobody reads in good times.",
)


class QuoteOfTheDay(Protocol):
    """The service on TCP; asks its factory's ``quote()`` if it has one, as :class:`Quotes` has."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the quote and close."""
        super().connection_made(transport)
        self.transport.write(_wire(_quote(self.factory)))
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Throw it away."""


class QuoteOfTheDayUDP(AnsweringUDP):
    """The service on UDP: a quote for each datagram."""

    stateless = False

    def answer(self, data: bytes) -> bytes:
        """Return the quote."""
        return _wire(_quote(self.factory))


class Quotes(Factory, config=("quotes",)):
    """Serves quotes on TCP and UDP, each day the next one.

    Args:
        quotes: one text each, below 512 characters.

    Raises:
        ValueError: if there is none, or one is too long; says which.
    """

    protocol = QuoteOfTheDay
    datagram_protocol = QuoteOfTheDayUDP

    now_s: Callable[[], float] = staticmethod(time.time)
    """The wall clock."""

    def __init__(self, quotes: Iterable[str]) -> None:
        self.quotes = list(quotes)
        if not self.quotes:
            raise ValueError("no quotes given")
        for number, quote in enumerate(self.quotes, 1):
            size = len(_wire(quote))
            if size > _LONGEST:
                raise ValueError(f"quote {number} has {size} characters; at most {_LONGEST} may be sent")

    def quote(self) -> str:
        """Return today's; replace it to choose in another way."""
        return self.quotes[int(self.now_s() // 86_400) % len(self.quotes)]


def _quote(factory: object) -> str:
    quote = getattr(factory, "quote", None)
    if quote is not None:
        return str(quote())
    return _OWN[int(time.time() // 86_400) % len(_OWN)]


def _wire(quote: str) -> bytes:
    """Return ``quote`` as RFC 865 wants it: ASCII, lines ending in CR LF."""
    return ("\r\n".join(quote.strip().splitlines()) + "\r\n").encode("ascii", "replace")

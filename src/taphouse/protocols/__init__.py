"""protocols: speak.  Ready-made protocols, one RFC each, and framing helpers.

Everything here is made of what users have: :mod:`taphouse.app`'s base classes
and asyncio's transports.  This room must not know how anything is run or kept.
"""

from taphouse.protocols.answering import AnsweringUDP
from taphouse.protocols.chargen import Chargen, ChargenUDP
from taphouse.protocols.daytime import Daytime, DaytimeUDP
from taphouse.protocols.deadline import Deadline
from taphouse.protocols.discard import Discard, DiscardUDP
from taphouse.protocols.echo import Echo, EchoUDP
from taphouse.protocols.framed import (
    FramedProtocol,
    Int8Prefixed,
    Int16Prefixed,
    Int32Prefixed,
    LineProtocol,
    Netstring,
)
from taphouse.protocols.framers import Framer, FramingError, LengthFramer, LineFramer, NetstringFramer
from taphouse.protocols.quotes import QuoteOfTheDay, QuoteOfTheDayUDP, Quotes
from taphouse.protocols.resp import answer_requests, split_requests
from taphouse.protocols.timeserver import Time, TimeUDP

__all__ = [
    "AnsweringUDP",
    "Chargen",
    "ChargenUDP",
    "Daytime",
    "DaytimeUDP",
    "Deadline",
    "Discard",
    "DiscardUDP",
    "Echo",
    "EchoUDP",
    "FramedProtocol",
    "Framer",
    "FramingError",
    "Int8Prefixed",
    "Int16Prefixed",
    "Int32Prefixed",
    "LengthFramer",
    "LineFramer",
    "LineProtocol",
    "Netstring",
    "NetstringFramer",
    "QuoteOfTheDay",
    "QuoteOfTheDayUDP",
    "Quotes",
    "Time",
    "TimeUDP",
    "answer_requests",
    "split_requests",
]

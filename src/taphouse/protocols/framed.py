"""Framed protocols: a framer between the transport and a method per message.

Thin shells around :mod:`taphouse.protocols.framers`.  Between two messages
they look whether to go on: not while the peer does not read our answers, not
while the user paused, not after a close.  What has not been delivered then is
one read and one unfinished message at most, because reading is paused too.
"""

from __future__ import annotations

import asyncio
import logging
from typing import cast

from taphouse.app import Protocol
from taphouse.protocols.deadline import Deadline
from taphouse.protocols.framers import Framer, FramingError, LengthFramer, LineFramer, NetstringFramer

__all__ = [
    "FramedProtocol",
    "Int8Prefixed",
    "Int16Prefixed",
    "Int32Prefixed",
    "LineProtocol",
    "Netstring",
]

_log = logging.getLogger("taphouse.protocols")


class FramedProtocol(Protocol):
    """One connection that speaks in messages.

    =====================  ========================================================
    we call                you write
    =====================  ========================================================
    ``message_received``   what happens with a message
    ``raw_received``       what happens with bytes after :meth:`set_raw`
    ``frame_refused``      the peer sent no message; by default it is hung up on
    ``timed_out``          the peer was silent too long; by default it is hung up on
    =====================  ========================================================

    A message that was not finished when the connection ends is dropped.
    """

    max_bytes = 64 * 1024
    """Longest message accepted, and sent."""

    idle_timeout_s: float | None = None
    """Seconds without a byte from the peer; ``None`` is for ever."""

    message_timeout_s: float | None = None
    """Seconds a message may take from its first byte to its last; ``None`` is for ever.
    A peer that sends a byte now and then is never idle, and is caught by this."""

    _transport: asyncio.Transport = cast(asyncio.Transport, None)
    _framer: Framer
    _idle: Deadline | None = None
    _unfinished: Deadline | None = None
    _raw = False
    _paused = False
    _peer_is_slow = False
    _is_reading = True
    _delivering = False

    def make_framer(self) -> Framer:
        """Return the framer of a new connection."""
        raise NotImplementedError

    def message_received(self, message: bytes) -> None:
        """Called for each message."""
        raise NotImplementedError(f"{type(self).__name__} defines no message_received(self, message)")

    def raw_received(self, data: bytes) -> None:
        """Called with bytes as they come, after :meth:`set_raw`."""
        raise NotImplementedError(f"{type(self).__name__} defines no raw_received(self, data)")

    def frame_refused(self, error: FramingError) -> None:
        """Called when the peer sent what is no message; nothing it sends is looked at afterwards."""
        _log.info("hanging up: %s", error)
        self.transport.close()

    def timed_out(self) -> None:
        """Called when ``idle_timeout_s`` or ``message_timeout_s`` has passed."""
        _log.info("hanging up: nothing came for too long")
        # A peer that does not read would keep a close() waiting for ever.
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def send_message(self, message: bytes) -> None:
        """Send one message.

        Raises:
            ValueError: if it is longer than ``max_bytes``, or its form does not allow it.
        """
        self.transport.write(self.framer.frame(message))

    @property
    def framer(self) -> Framer:
        """The connection's framer, made when it is first needed."""
        try:
            return self._framer
        except AttributeError:
            self._framer = self.make_framer()
            return self._framer

    def pause(self) -> None:
        """Deliver and read nothing more until :meth:`resume`; the peer's clocks stand still."""
        self._paused = True
        for clock in (self._idle, self._unfinished):
            if clock is not None:
                clock.pause()
        self._set_reading()

    def resume(self) -> None:
        """Go on where :meth:`pause` stopped."""
        self._paused = False
        self._peer_lives()
        self._go_on()

    def set_raw(self) -> None:
        """Hand over bytes as they come from now on, those that wait included: for bodies and upgrades."""
        self._raw = True
        self._go_on()

    def set_framed(self, rest: bytes = b"") -> None:
        """Go back to messages; ``rest`` is what was received raw and belongs to them."""
        self._raw = False
        self.framer.feed(rest)
        self._go_on()

    @property
    def transport(self) -> asyncio.Transport:
        """The connection; set before ``connection_made``."""
        return self._transport

    @transport.setter
    def transport(self, transport: asyncio.Transport) -> None:
        # The clock starts here and not in connection_made, which users replace
        # without a thought of super(): a timeout that is declared must hold.
        self._transport = transport
        self._set_reading()
        if self.idle_timeout_s is not None and self._idle is None:
            self._idle = Deadline(self.idle_timeout_s, self._ran_out)
            self._idle.restart()

    def _ran_out(self) -> None:
        # A connection_lost that was replaced stops no clocks.
        if not self._transport.is_closing():
            self.timed_out()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        for clock in (self._idle, self._unfinished):
            if clock is not None:
                clock.stop()

    def data_received(self, data: bytes) -> None:
        """Frame what came and deliver the messages that are complete."""
        self._peer_lives()
        self.framer.feed(data)
        self._deliver()

    def pause_writing(self) -> None:
        """The peer does not read: take no more requests from it, so that answers do not pile up."""
        self._peer_is_slow = True
        self._set_reading()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._peer_is_slow = False
        self._peer_lives()
        self._go_on()

    def _may_deliver(self) -> bool:
        return not (self._paused or self._peer_is_slow or self._transport.is_closing())

    def _peer_lives(self) -> None:
        if self._idle is not None and not self._paused:
            self._idle.restart()

    def _go_on(self) -> None:
        # Not before the connection is there: set_raw() in a constructor is fine.
        if self._transport is not None:
            self._deliver()

    def _deliver(self) -> None:
        """Deliver what may be delivered; not reentrant, a message's handler may call anything here."""
        if self._delivering:
            return
        self._delivering = True
        framer = self.framer
        try:
            while self._may_deliver():
                if self._raw:
                    data = framer.take_rest()
                    if not data:
                        break
                    self.raw_received(data)
                    continue
                try:
                    message = framer.next_message()
                except FramingError as error:
                    framer.take_rest()
                    self._paused = True
                    self.frame_refused(error)
                    break
                if message is None:
                    break
                if self._unfinished is not None:
                    self._unfinished.pause()
                self.message_received(message)
        finally:
            self._delivering = False
        self._watch_unfinished()
        self._set_reading()

    def _set_reading(self) -> None:
        if self._transport is None:
            return  # paused in the constructor: kept until there is a connection
        wanted = not (self._paused or self._peer_is_slow)
        if wanted == self._is_reading or (wanted and self._delivering) or self._transport.is_closing():
            return
        self._is_reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _watch_unfinished(self) -> None:
        if self.message_timeout_s is None or self._raw:
            return
        if self._unfinished is None:
            self._unfinished = Deadline(self.message_timeout_s, self._ran_out)
        # Waiting bytes that we do not take are our own delay, not the peer's.
        if self.framer.held_bytes and self._may_deliver():
            if not self._unfinished.is_set:
                self._unfinished.restart()
        else:
            self._unfinished.pause()


class LineProtocol(FramedProtocol):
    """Messages are lines.  Write ``line_received(self, line)``; answer with ``send_line(line)``."""

    max_bytes = 16 * 1024
    delimiter = b"\n"
    """What ends a line; with a line feed, one carriage return before it is taken off too."""

    def make_framer(self) -> Framer:
        """Return a framer for lines."""
        return LineFramer(self.max_bytes, self.delimiter)

    def line_received(self, line: bytes) -> None:
        """Called for each line, without its end."""
        raise NotImplementedError(f"{type(self).__name__} defines no line_received(self, line)")

    def message_received(self, message: bytes) -> None:
        """Hand the line over."""
        self.line_received(message)

    def send_line(self, line: bytes) -> None:
        """Send one line; its end is added."""
        self.send_message(line)


class Int8Prefixed(FramedProtocol):
    """Messages of 0 to 255 bytes after their length in one byte."""

    max_bytes = 255

    def make_framer(self) -> Framer:
        """Return a framer for one-byte lengths."""
        return LengthFramer(self.max_bytes, 1)


class Int16Prefixed(FramedProtocol):
    """Messages of 0 to 65,535 bytes after their length in two bytes, network order."""

    max_bytes = 65_535

    def make_framer(self) -> Framer:
        """Return a framer for two-byte lengths."""
        return LengthFramer(self.max_bytes, 2)


class Int32Prefixed(FramedProtocol):
    """Messages after their length in four bytes, network order; ``max_bytes`` of them at most."""

    max_bytes = 1024 * 1024

    def make_framer(self) -> Framer:
        """Return a framer for four-byte lengths."""
        return LengthFramer(self.max_bytes, 4)


class Netstring(FramedProtocol):
    """Messages are netstrings, ``5:hello,``."""

    def make_framer(self) -> Framer:
        """Return a framer for netstrings."""
        return NetstringFramer(self.max_bytes)

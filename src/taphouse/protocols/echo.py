"""Echo: RFC 862.  Sends back whatever it gets."""

from __future__ import annotations

from taphouse.app import Protocol
from taphouse.protocols.answering import AnsweringUDP

__all__ = ["Echo", "EchoUDP"]


class Echo(Protocol):
    """The echo service on TCP; a peer that does not read is not read from."""

    stateless = True

    def data_received(self, data: bytes) -> None:
        """Send it back."""
        self.transport.write(data)

    def pause_writing(self) -> None:
        """Our answers pile up: read no more."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """The peer took them: read on."""
        self.transport.resume_reading()


class EchoUDP(AnsweringUDP):
    """The echo service on UDP."""

    def answer(self, data: bytes) -> bytes:
        """Return the same."""
        return data

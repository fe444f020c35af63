"""Answering: a datagram in, a datagram out, and no loops.

Two servers that answer every datagram, each other's too, talk for ever; one
forged packet starts them (CERT CA-1996-01, "UDP Port Denial-of-Service
Attack").  inetd refuses datagrams that come from its own simple services for
that reason, and so do we.
"""

from __future__ import annotations

from typing import Any

from taphouse.app import DatagramProtocol

__all__ = ["AnsweringUDP"]

# echo, daytime, quote of the day, chargen, time, where root has them and where mktap puts them; and 0, which
# nobody can answer to.
_SERVERS = frozenset({0} | {base + port for base in (0, 8800) for port in (7, 13, 17, 19, 37)})


class AnsweringUDP(DatagramProtocol):
    """Sends back what :meth:`answer` returns, unless the sender is such a server itself."""

    stateless = True

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer one datagram."""
        if addr[1] in _SERVERS:
            return
        answer = self.answer(data)
        if answer is not None:
            self.transport.sendto(answer, addr)

    def answer(self, data: bytes) -> bytes | None:
        """Return what to send back; ``None`` is nothing."""
        raise NotImplementedError(f"{type(self).__name__} defines no answer(self, data)")

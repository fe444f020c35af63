"""The old spellings, and what to write today.

A method under a name nobody calls is the quietest of bugs, so a class that
defines one of the classic names is refused when it is created.  This module
must know only names: no class of this room, no loop.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "CLIENT_SPELLINGS",
    "DATAGRAM_SPELLINGS",
    "FACTORY_SPELLINGS",
    "PROTOCOL_SPELLINGS",
    "SERVICE_SPELLINGS",
    "refuse_old_spellings",
]

PROTOCOL_SPELLINGS = {
    "makeConnection": "connection_made(self, transport)",
    "connectionMade": "connection_made(self, transport)",
    "dataReceived": "data_received(self, data)",
    "connectionLost": "connection_lost(self, exc)",
    "eofReceived": "eof_received(self)",
    "readConnectionLost": "eof_received(self)",
    "pauseProducing": "pause_writing(self)",
    "resumeProducing": "resume_writing(self)",
    "lineReceived": "line_received(self, line) of taphouse.protocols.LineProtocol",
    "rawDataReceived": "raw_received(self, data) of taphouse.protocols.LineProtocol",
    "lineLengthExceeded": "frame_refused(self, error) of taphouse.protocols.LineProtocol",
    "stringReceived": "message_received(self, message) of taphouse.protocols.Int32Prefixed or Netstring",
    "lengthLimitExceeded": "frame_refused(self, error) of taphouse.protocols.Int32Prefixed or Netstring",
}

DATAGRAM_SPELLINGS = {
    "startProtocol": "connection_made(self, transport)",
    "stopProtocol": "connection_lost(self, exc)",
    "datagramReceived": "datagram_received(self, data, addr)",
    "connectionRefused": "error_received(self, exc)",
}

FACTORY_SPELLINGS = {
    "buildProtocol": "build_protocol(self, addr)",
    "startFactory": "started(self)",
    "stopFactory": "stopped(self)",
    "doStart": "started(self)",
    "doStop": "stopped(self)",
}

CLIENT_SPELLINGS = {
    "startedConnecting": "connecting(self, connector)",
    "clientConnectionFailed": "connect_failed(self, connector, error)",
    "clientConnectionLost": "connect_lost(self, connector, error)",
}

SERVICE_SPELLINGS = {
    "startService": "start(self)",
    "stopService": "stop(self)",
    "privilegedStartService": "start(self)",
    "setServiceParent": "parent.addService(service)",
    "disownServiceParent": "parent.removeService(service)",
}


def refuse_old_spellings(cls: type, spellings: Mapping[str, str]) -> None:
    """Refuse ``cls`` if its own body defines a classic name.

    Args:
        cls: the class being created.
        spellings: classic name -> today's signature.

    Raises:
        TypeError: naming the class, what it defines and what to write.
    """
    for name in cls.__dict__:
        if name in spellings:
            raise TypeError(f"{cls.__qualname__}.{name} is never called; write {spellings[name]}")

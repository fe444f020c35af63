"""Small: what the makers of the small services of RFC 862 to 868 share.

Not a maker itself.  The RFCs' ports are for root; ours are those from 8800 up, as the HOWTO's 8813 for 13.
It must not know a service.
"""

from __future__ import annotations

from taphouse import usage
from taphouse.app import Application, DatagramProtocol, Protocol
from taphouse.makers.listening import ListeningOptions

__all__ = ["SmallOptions", "listen"]


class SmallOptions(ListeningOptions):
    """The options that all small services have."""

    port = 8800
    udp: bool = usage.option(
        False,
        help="listen on the same port of UDP, too: whoever forges its sender makes it answer a third party",
    )


def listen(
    app: Application,
    config: SmallOptions,
    protocol: type[Protocol],
    datagrams: type[DatagramProtocol],
) -> None:
    """Let ``app`` listen with ``protocol``, and on UDP with ``datagrams`` if that was asked for."""
    app.listenTCP(config.port, protocol, interface=config.interface)
    if config.udp:
        app.listenUDP(config.port, datagrams, interface=config.interface)

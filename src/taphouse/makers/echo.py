"""Maker echo: RFC 862.

The protocol is `taphouse.protocols.Echo`'s; nothing is remembered.  It must not know other makers.
"""

from __future__ import annotations

from taphouse.app import Application
from taphouse.makers.small import SmallOptions, listen
from taphouse.protocols import Echo, EchoUDP

__all__ = ["Options", "description", "updateApplication"]

description = "Send back what is sent (RFC 862)"


class Options(SmallOptions):
    """Send back what is sent (RFC 862)."""

    examples = "mktap echo --port 7 --udp"

    port = 8807


def updateApplication(app: Application, config: Options) -> None:
    """Add the server to ``app``."""
    listen(app, config, Echo, EchoUDP)

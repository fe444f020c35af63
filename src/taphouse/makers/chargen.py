"""Maker chargen: RFC 864.

The protocol is `taphouse.protocols.Chargen`'s; nothing is remembered.  It must not know other makers.
"""

from __future__ import annotations

from taphouse.app import Application
from taphouse.makers.small import SmallOptions, listen
from taphouse.protocols import Chargen, ChargenUDP

__all__ = ["Options", "description", "updateApplication"]

description = "Send characters without end (RFC 864)"


class Options(SmallOptions):
    """Send characters without end (RFC 864)."""

    examples = "mktap chargen --interface 127.0.0.1"

    port = 8819


def updateApplication(app: Application, config: Options) -> None:
    """Add the server to ``app``."""
    listen(app, config, Chargen, ChargenUDP)

"""Maker daytime: RFC 867.

The protocol is `taphouse.protocols.Daytime`'s; nothing is remembered.  It must not know other makers.
"""

from __future__ import annotations

from taphouse.app import Application
from taphouse.makers.small import SmallOptions, listen
from taphouse.protocols import Daytime, DaytimeUDP

__all__ = ["Options", "description", "updateApplication"]

description = "Tell date and time to people (RFC 867)"


class Options(SmallOptions):
    """Tell date and time to people (RFC 867)."""

    examples = "mktap daytime --port 13"

    port = 8813


def updateApplication(app: Application, config: Options) -> None:
    """Add the server to ``app``."""
    listen(app, config, Daytime, DaytimeUDP)

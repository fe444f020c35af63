"""Maker time: RFC 868.

The protocol is `taphouse.protocols.Time`'s; nothing is remembered.  It must not know other makers.
"""

from __future__ import annotations

from taphouse.app import Application
from taphouse.makers.small import SmallOptions, listen
from taphouse.protocols import Time, TimeUDP

__all__ = ["Options", "description", "updateApplication"]

description = "Tell the seconds since 1900 (RFC 868)"


class Options(SmallOptions):
    """Tell the seconds since 1900 (RFC 868)."""

    examples = "mktap time --port 37"

    port = 8837


def updateApplication(app: Application, config: Options) -> None:
    """Add the server to ``app``."""
    listen(app, config, Time, TimeUDP)

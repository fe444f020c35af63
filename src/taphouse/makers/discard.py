"""Maker discard: RFC 863.

The protocol is `taphouse.protocols.Discard`'s; nothing is remembered.  It must not know other makers.
"""

from __future__ import annotations

from taphouse.app import Application
from taphouse.makers.small import SmallOptions, listen
from taphouse.protocols import Discard, DiscardUDP

__all__ = ["Options", "description", "updateApplication"]

description = "Throw away what is sent (RFC 863)"


class Options(SmallOptions):
    """Throw away what is sent (RFC 863)."""

    examples = "mktap discard --port 9"

    port = 8809


def updateApplication(app: Application, config: Options) -> None:
    """Add the server to ``app``."""
    listen(app, config, Discard, DiscardUDP)

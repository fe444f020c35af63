"""Maker qotd: RFC 865, a quote for everybody who connects.

The quotes come from a file (``fortunes``) that may change while the server runs (``shelf``); ``factory``
chooses.  This door must not know how.
"""

from __future__ import annotations

from typing import Literal

from taphouse import usage
from taphouse.app import Application
from taphouse.errors import ConfigurationError
from taphouse.makers.qotd.factory import RANDOM, Quotes
from taphouse.makers.qotd.fortunes import AUTO, Source
from taphouse.makers.small import SmallOptions

__all__ = ["Options", "description", "updateApplication"]

description = "Send a quote of a fortune file (RFC 865)"


class Options(SmallOptions):
    """Send a quote of a fortune file (RFC 865)."""

    examples = "mktap qotd --file fortunes --order sequence"

    port = 8817
    file: usage.ExistingFile = usage.option(help="the quotes; read again when it changes")
    separator: str = usage.option(
        AUTO, help="what a line between two quotes is; line: each line is a quote; auto: % if there is one"
    )
    encoding: str = usage.option("utf-8", help="of the file; what is sent is UTF-8")
    order: Literal["random", "sequence"] = usage.option(RANDOM, help="which quote is next")

    def post_options(self) -> None:
        """See that separator and encoding are some."""
        super().post_options()
        if not self.separator or "\n" in self.separator:
            raise usage.UsageError(f"--separator {self.separator!r} is not what a line can be")
        try:
            b"x".decode(self.encoding, "replace")
        except (LookupError, ValueError):
            raise usage.UsageError(
                f"--encoding {self.encoding}: there is no such encoding", cure="utf-8 and latin-1 are two"
            ) from None


def updateApplication(app: Application, config: Options) -> None:
    """Add the server to ``app``.

    Raises:
        UsageError: if there is nothing to serve in the file.
    """
    try:
        Source(str(config.file), config.separator, config.encoding).read()
    except ConfigurationError as error:
        raise usage.UsageError(f"--file {error.message}", cure=error.cure) from None
    quotes = Quotes(str(config.file), config.separator, config.encoding, config.order)
    app.listenTCP(config.port, quotes, interface=config.interface)
    if config.udp:
        app.listenUDP(config.port, quotes, interface=config.interface)

"""Listening: the options of all makers here that listen on one port.

Not a maker itself.  It must not know a service.
"""

from __future__ import annotations

from taphouse import usage

__all__ = ["ListeningOptions"]


class ListeningOptions(usage.Options):
    """A port, and where; each maker has a port of its own by default."""

    port: int = usage.option(0, "-p", help="TCP port to listen on", ge=0, le=65535)
    interface: str = usage.option("", help="address to listen on; without it, all of this machine's")

    def post_options(self) -> None:
        """Refuse what no address can be; whether it is one of this machine a start finds out."""
        interface = self.interface
        if any(letter.isspace() or not letter.isprintable() or letter == "/" for letter in interface):
            raise usage.UsageError(
                f"--interface {interface!r:.80} is neither a name nor an address", cure="give one, or none"
            )

"""The forwarder: a factory whose connections go on to another address.

It remembers how many there were and how much passed.  Output does not wait for
that to be on the disk (``stateless``): the sums are a second old at most, and no
client is told of them.  It must never know options or listeners.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Any

from taphouse.app import Factory
from taphouse.makers.forwarding.passage import Passage
from taphouse.makers.forwarding.target import Target
from taphouse.makers.forwarding.traffic import Sums, Traffic
from taphouse.runtime import make_client_context

__all__ = ["Forwarder"]

_log = logging.getLogger("taphouse.portforward")


class Forwarder(
    Factory,
    config=(
        "to_host",
        "to_port",
        "to_path",
        "to_tls",
        "to_cafile",
        "to_server_name",
        "to_insecure",
        "connect_timeout_s",
        "idle_timeout_s",
    ),
    name="taphouse.portforward.Forwarder",
):
    """Forwards connections.

    Args:
        to_host: the target's name or address; empty for a UNIX socket.
        to_port: its port.
        to_path: the target's UNIX socket; empty for TCP.
        to_tls: whether to speak TLS to the target.
        to_cafile: PEM file of the authorities to trust; None means those of the system.
        to_server_name: name that the target's certificate must carry; None is ``to_host``.
        to_insecure: take any certificate.
        connect_timeout_s: how long connecting to the target may take.
        idle_timeout_s: a connection in which nothing passes for so long is closed; 0 means never.

    Attributes:
        forwarded: connections since the beginning, over all starts.
        failed: those whose target could not be connected to.
        to_target_bytes: passed on from clients to the target.
        to_client_bytes: passed on from the target to clients.
    """

    stateless = True

    _v_traffic: Traffic | None = None

    def __init__(
        self,
        to_host: str = "",
        to_port: int = 0,
        *,
        to_path: str = "",
        to_tls: bool = False,
        to_cafile: str | None = None,
        to_server_name: str | None = None,
        to_insecure: bool = False,
        connect_timeout_s: float = 10.0,
        idle_timeout_s: float = 0.0,
    ) -> None:
        self.to_host = to_host
        self.to_port = to_port
        self.to_path = to_path
        self.to_tls = to_tls
        self.to_cafile = to_cafile
        self.to_server_name = to_server_name
        self.to_insecure = to_insecure
        self.connect_timeout_s = connect_timeout_s
        self.idle_timeout_s = idle_timeout_s
        self.forwarded = 0
        self.failed = 0
        self.to_target_bytes = 0
        self.to_client_bytes = 0

    def started(self) -> None:
        """Make what a running forwarder needs.

        Raises:
            ConfigurationError: if the file of authorities cannot be used.
        """
        target = Target(
            host=self.to_host,
            port=self.to_port,
            path=self.to_path,
            tls=self._make_context() if self.to_tls else None,
            server_name=self.to_server_name or self.to_host,
        )
        self._v_traffic = Traffic(target, self.connect_timeout_s, self.idle_timeout_s, self._count)

    def stopped(self) -> None:
        """Close what is left and count it."""
        if self._v_traffic is not None:
            self._v_traffic.close()
            self._v_traffic = None

    def build_protocol(self, addr: Any) -> asyncio.BaseProtocol | None:
        """Return the client's side of a new passage."""
        if self._v_traffic is None:
            return None
        return Passage(self._v_traffic).client

    def _count(self, sums: Sums) -> None:
        # Plain assignments in one turn: one commit, and none where nothing has passed.
        self.forwarded += sums.connections
        self.failed += sums.failures
        self.to_target_bytes += sums.to_target_bytes
        self.to_client_bytes += sums.to_client_bytes

    def _make_context(self) -> ssl.SSLContext:
        context = make_client_context(self.to_cafile)
        if self.to_insecure:
            _log.warning(
                "the certificate of %s is not checked: whoever answers there is believed (--to-insecure)",
                self.to_host or self.to_path,
            )
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

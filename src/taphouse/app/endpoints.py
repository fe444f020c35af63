"""Endpoints: what an application listens on and connects to.

The statements of the HOWTO's ``listenTCP`` and its family, as records; a
running application's runtime is told.  Nothing is opened here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taphouse.app.addresses import address_label, check_interface, check_path, check_port
from taphouse.app.connector import Connector
from taphouse.app.declared import Declared
from taphouse.app.factory import Factory
from taphouse.app.hooks import RuntimeHooks
from taphouse.app.listener import DEFAULT_BACKLOG, Listener
from taphouse.app.taken import TakenError
from taphouse.app.wrapping import as_factory

__all__ = ["Endpoints"]

Serving = Factory | Callable[..., Any]
"""A factory, a protocol class, a callable that returns a protocol, or ``async def (reader, writer)``."""


class Endpoints(Declared, config=("listeners", "connectors")):
    """The listeners and connectors of an application."""

    listeners: list[Listener]
    """In the order of their statements."""

    connectors: list[Connector]
    """In the order of their statements."""

    _v_runtime: RuntimeHooks | None = None

    @property
    def endpoints(self) -> list[Listener | Connector]:
        """All listeners, then all connectors."""
        return [*self.listeners, *self.connectors]

    def listenTCP(
        self,
        port: int,
        factory: Serving,
        interface: str = "",
        backlog: int = DEFAULT_BACKLOG,
        *,
        name: str | None = None,
    ) -> Listener:
        """Listen on a TCP port.

        Args:
            port: 0 to 65535; 0 lets the system choose at each start.
            factory: what serves it, see :data:`Serving`.
            interface: address of this machine; ``""`` is all of them, IPv4 and IPv6.
            backlog: connections the kernel may queue.
            name: durable identity of the factory, else type and ordinal (``Keys#1``).

        Returns:
            The listener, for :meth:`unlisten`.

        Raises:
            TypeError, ValueError: if an argument cannot be right, or the address was given before.
        """
        made = as_factory(factory)
        return self._listen(
            Listener("tcp", made, interface=interface, port=port, backlog=backlog, name=name),
        )

    def listenTLS(
        self,
        port: int,
        factory: Serving,
        certfile: object,
        keyfile: object = None,
        interface: str = "",
        backlog: int = DEFAULT_BACKLOG,
        *,
        name: str | None = None,
    ) -> Listener:
        """Listen on a TCP port for TLS.

        Args:
            certfile: PEM file with certificate and chain, relative to the run directory.
            keyfile: PEM file with the key, if it is not in ``certfile``.

        The other arguments are those of :meth:`listenTCP`.
        """
        return self._listen(
            Listener(
                "tls",
                as_factory(factory),
                interface=interface,
                port=port,
                backlog=backlog,
                certfile=certfile,
                keyfile=keyfile,
                name=name,
            )
        )

    def listenUDP(
        self, port: int, factory: Serving, interface: str = "", *, name: str | None = None
    ) -> Listener:
        """Receive datagrams on a UDP port; arguments as for :meth:`listenTCP`.

        Args:
            factory: a factory (a :class:`DatagramFactory`, or one with ``datagram_protocol`` or
                ``protocol``) or a datagram protocol class.
        """
        made = as_factory(factory, datagram=True)
        return self._listen(Listener("udp", made, interface=interface, port=port, name=name))

    def listenUNIX(
        self,
        path: object,
        factory: Serving,
        mode: int = 0o666,
        backlog: int = DEFAULT_BACKLOG,
        *,
        name: str | None = None,
    ) -> Listener:
        """Listen on a UNIX socket.

        Args:
            path: relative to the run directory.
            mode: its permission bits; who may not pass its directory may not connect either.

        The other arguments are those of :meth:`listenTCP`.
        """
        return self._listen(
            Listener("unix", as_factory(factory), path=path, mode=mode, backlog=backlog, name=name)
        )

    def unlistenTCP(self, port: int, interface: str = "") -> Listener:
        """Take back :meth:`listenTCP`: a running application closes the port.

        Returns:
            The listener that was removed.

        Raises:
            KeyError: if it does not listen there; the message says where it does.
        """
        return self._unlisten_port("tcp", port, interface)

    def unlistenTLS(self, port: int, interface: str = "") -> Listener:
        """Take back :meth:`listenTLS`, as :meth:`unlistenTCP` does."""
        return self._unlisten_port("tls", port, interface)

    def unlistenUDP(self, port: int, interface: str = "") -> Listener:
        """Take back :meth:`listenUDP`, as :meth:`unlistenTCP` does."""
        return self._unlisten_port("udp", port, interface)

    def unlistenUNIX(self, path: object) -> Listener:
        """Take back :meth:`listenUNIX`, as :meth:`unlistenTCP` does."""
        return self._unlisten_label(address_label("unix", "", None, check_path(path)))

    def unlisten(self, listener: Listener) -> Listener:
        """Take back a listener: the way for port 0, where the address says little.

        Raises:
            KeyError: if it is none of this application's.
        """
        for index, candidate in enumerate(self.listeners):
            if candidate is listener:
                del self.listeners[index]
                if self._v_runtime is not None:
                    self._v_runtime.listener_removed(listener)
                return listener
        raise KeyError(f"{listener.label} is not listened on; {self._where()}")

    def connectTCP(
        self, host: str, port: int, factory: Serving, timeout: float = 30.0, *, name: str | None = None
    ) -> Connector:
        """Connect to a TCP port, and again whenever the connection ends.

        Args:
            host: name or address.
            port: 1 to 65535.
            factory: a :class:`ClientFactory`, which says when to try again, or what :meth:`listenTCP` takes.
            timeout: seconds an attempt may take.
            name: durable identity of the factory, else type and ordinal.

        Returns:
            The connector, for :meth:`disconnect`.
        """
        made = as_factory(factory)
        return self._connect(Connector("tcp", made, host=host, port=port, timeout=timeout, name=name))

    def connectTLS(
        self,
        host: str,
        port: int,
        factory: Serving,
        timeout: float = 30.0,
        *,
        cafile: object = None,
        certfile: object = None,
        keyfile: object = None,
        server_name: str | None = None,
        name: str | None = None,
    ) -> Connector:
        """Connect to a TCP port with TLS; the peer's certificate is checked.

        Args:
            cafile: PEM file of the authorities to trust; ``None`` is the system's.
            certfile: PEM file of our own certificate, if the peer wants one.
            keyfile: PEM file with its key, if it is not in ``certfile``.
            server_name: name the certificate must carry; ``None`` is ``host``.

        The other arguments are those of :meth:`connectTCP`.
        """
        return self._connect(
            Connector(
                "tls",
                as_factory(factory),
                host=host,
                port=port,
                timeout=timeout,
                cafile=cafile,
                certfile=certfile,
                keyfile=keyfile,
                server_name=server_name,
                name=name,
            )
        )

    def connectUNIX(
        self, path: object, factory: Serving, timeout: float = 30.0, *, name: str | None = None
    ) -> Connector:
        """Connect to a UNIX socket; arguments as for :meth:`connectTCP`."""
        made = as_factory(factory)
        return self._connect(Connector("unix", made, path=path, timeout=timeout, name=name))

    def disconnect(self, connector: Connector) -> Connector:
        """Take back a connector: a running application closes its connection and does not try again.

        Raises:
            KeyError: if it is none of this application's.
        """
        for index, candidate in enumerate(self.connectors):
            if candidate is connector:
                del self.connectors[index]
                if self._v_runtime is not None:
                    self._v_runtime.connector_removed(connector)
                return connector
        known = ", ".join(other.label for other in self.connectors) or "none"
        raise KeyError(f"{connector.label} is not connected to; there is {known}")

    def _listen(self, listener: Listener) -> Listener:
        if listener.port != 0 and any(listener.label == other.label for other in self.listeners):
            raise TakenError(
                f"{listener.label} is listened on by an earlier statement",
                kind="address",
                what=listener.label,
            )
        self._check_identity(listener)
        self.listeners.append(listener)
        if self._v_runtime is not None:
            try:
                self._v_runtime.listener_added(listener)
            except BaseException:
                self.listeners.pop()
                raise
        return listener

    def _connect(self, connector: Connector) -> Connector:
        self._check_identity(connector)
        self.connectors.append(connector)
        if self._v_runtime is not None:
            try:
                self._v_runtime.connector_added(connector)
            except BaseException:
                self.connectors.pop()
                raise
        return connector

    def _check_identity(self, new: Listener | Connector) -> None:
        if new.name is None:
            return
        for other in self.endpoints:
            if other.name == new.name and other.factory is not new.factory:
                raise TakenError(
                    f"name {new.name!r} is taken by the factory of {other.label}", kind="name", what=new.name
                )

    def _unlisten_port(self, kind: str, port: int, interface: str) -> Listener:
        checked = check_port(port, ephemeral=True)
        return self._unlisten_label(address_label(kind, check_interface(interface), checked, None))

    def _unlisten_label(self, label: str) -> Listener:
        for listener in self.listeners:
            if listener.label == label:
                return self.unlisten(listener)
        raise KeyError(f"{label} is not listened on; {self._where()}")

    def _where(self) -> str:
        return f"listeners are {', '.join(listener.label for listener in self.listeners) or 'none'}"

"""ClientFactory: makes the protocols of connections we open, and says when to try again.

Must know neither connectors' addresses nor clocks: the runtime reads ``retry``.
"""

from __future__ import annotations

from typing import Any

from taphouse.app.factory import Factory
from taphouse.app.retry import Retry

__all__ = ["ClientFactory", "retry_of"]

_ALWAYS = Retry()


class ClientFactory(Factory, config=("retry",)):
    """A factory for ``connectTCP`` and its family: reconnects with jittered backoff.

    ====================  ==============================================================
    we call               when
    ====================  ==============================================================
    ``connecting``        before each attempt
    ``connect_failed``    an attempt failed; ``error`` says why
    ``connect_lost``      an established connection ended; ``error`` may be ``None``
    ====================  ==============================================================
    """

    retry: Retry | None = _ALWAYS
    """When to try again; ``None`` is one attempt and one connection."""

    def connecting(self, connector: Any) -> None:
        """Called before each attempt."""

    def connect_failed(self, connector: Any, error: Exception) -> None:
        """Called after an attempt that failed."""

    def connect_lost(self, connector: Any, error: Exception | None) -> None:
        """Called after an established connection has ended."""


def retry_of(factory: Factory) -> Retry | None:
    """Return the retry policy of ``factory``; one that is no :class:`ClientFactory` retries for ever."""
    return factory.retry if isinstance(factory, ClientFactory) else _ALWAYS

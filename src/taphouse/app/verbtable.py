"""Verbs: what an application can be told to do, by whoever can do it.

Imports go down, so the application cannot import those who save and run it.
They are installed here by the front door; until then each verb says so.
:meth:`VerbTable.quiet` is held while a script is imported to thaw or run what
it builds: its own ``app.save()`` and ``app.run()`` must do nothing then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Protocol

__all__ = ["VerbTable", "Verbs", "verbs"]


class Verbs(Protocol):
    """Who saves and runs applications."""

    def save(self, app: Any, tag: str | None, filename: str | None) -> str | None:
        """Freeze ``app`` into a tap and return its file name."""

    def run(self, app: Any) -> None:
        """Run ``app`` in the foreground until it is stopped."""

    def running(self, app: Any, **options: Any) -> AbstractAsyncContextManager[Any]:
        """Run ``app`` in the current loop for the length of a block."""

    async def serve(self, app: Any, **options: Any) -> None:
        """Run ``app`` in the current loop until cancelled."""


class VerbTable:
    """Holds the installed verbs and the quiet that silences them."""

    def __init__(self) -> None:
        self._installed: Verbs | None = None
        self._quiet = 0

    def install(self, work: Verbs) -> None:
        """Let ``work`` do the work from now on."""
        self._installed = work

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Make ``save``, ``run`` and ``serve`` silent no-ops inside of the block."""
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    @property
    def is_quiet(self) -> bool:
        """Whether somebody holds the quiet."""
        return self._quiet > 0

    def save(self, app: Any, tag: str | None, filename: str | None) -> str | None:
        """Freeze ``app``; ``None`` if quiet."""
        return None if self._quiet else self._verbs().save(app, tag, filename)

    def run(self, app: Any) -> None:
        """Run ``app``; nothing if quiet."""
        if not self._quiet:
            self._verbs().run(app)

    def running(self, app: Any, **options: Any) -> AbstractAsyncContextManager[Any]:
        """Run ``app`` for the length of a block.

        Raises:
            RuntimeError: if quiet: the block could neither be skipped nor run.
        """
        if self._quiet:
            raise RuntimeError(
                "running() was called by a module that is only being imported; "
                'put it under if __name__ == "__main__":'
            )
        return self._verbs().running(app, **options)

    async def serve(self, app: Any, **options: Any) -> None:
        """Run ``app`` until cancelled; nothing if quiet."""
        if not self._quiet:
            await self._verbs().serve(app, **options)

    def _verbs(self) -> Verbs:
        if self._installed is None:
            raise RuntimeError("nothing is installed that could do this; import Application from taphouse")
        return self._installed


verbs = VerbTable()
"""The one table of the process."""

"""What an Application can be told to do: save, run, running, serve.

The front door hands these to `taphouse.app` and imports this module when one
is said.  It must never hold a rule of its own: every verb is a call.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taphouse.app import Application
    from taphouse.cli.starting.embedding import Server

__all__ = ["run", "running", "save", "serve"]


def save(app: Application, tag: str | None, filename: str | None) -> str:
    """Freeze ``app`` into a tap and return its file name, see `Application.save`."""
    from taphouse.cli.making.asbuilt import built_entries
    from taphouse.cli.output import take_uncaught_errors
    from taphouse.cli.starting.saving import save_application

    take_uncaught_errors()
    return save_application(app, tag, filename, built_entries)


def run(app: Application) -> None:
    """Run ``app`` in the foreground until it is stopped, see `Application.run`."""
    from taphouse.cli.output import take_uncaught_errors
    from taphouse.cli.starting.foreground import run_application

    take_uncaught_errors()
    run_application(app)


def running(app: Application, **options: Any) -> AbstractAsyncContextManager[Server]:
    """Run ``app`` in the current loop for the length of a block, see `Application.running`."""
    from taphouse.cli.starting.embedding import embedded

    return embedded(app, **options)


async def serve(app: Application, **options: Any) -> None:
    """Run ``app`` in the current loop until cancelled, see `Application.serve`."""
    from taphouse.cli.starting.embedding import embedded

    async with embedded(app, **options) as server:
        await server.wait_stopped()

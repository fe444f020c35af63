"""`app.running()` and `app.serve()`: an application inside of somebody else's loop or test.

The start sequence without its process: no daemon, log, pidfile or signals.  It
must never touch what belongs to the program around it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from taphouse.app import check_durability
from taphouse.cli.settings import LIMIT_OPTIONS, Settings
from taphouse.cli.starting.saving import place_of_code
from taphouse.cli.starting.scripts import named_main
from taphouse.cli.starting.sequence import prepare
from taphouse.cli.starting.start import Start
from taphouse.cli.starting.steps_live import start_runtime
from taphouse.cli.starting.steps_state import bind_ports, load_application, open_store, read_plan_and_lock
from taphouse.errors import TaphouseError

if TYPE_CHECKING:
    from taphouse.app import Application

__all__ = ["STEPS", "Server", "embedded"]

STEPS = (
    ("3", "reading the plan, taking the locks", read_plan_and_lock),
    ("5", "binding the ports", bind_ports),
    ("7", "opening the state", open_store),
    ("8", "loading the application", load_application),
)
"""The steps of the sequence that an embedded application takes before its runtime starts."""


class Server:
    """A running application, as seen by the program around it."""

    def __init__(self, start: Start) -> None:
        assert start.runtime is not None
        self._runtime = start.runtime

    @property
    def application(self) -> Application:
        """What runs."""
        return self._runtime.app

    @property
    def addresses(self) -> dict[str, list[Any]]:
        """Label of each listener, ``tcp:8123``, and the addresses it is bound to."""
        return self._runtime.addresses

    def statistics(self) -> Any:
        """Return connections and commits in numbers."""
        return self._runtime.statistics()

    async def wait_stopped(self) -> None:
        """Wait for the end, whoever asked for it.

        Raises:
            TaphouseError: what ended it, if it did not end in order.
        """
        await self._runtime.wait_stopped()
        if self._runtime.failure is not None:
            raise self._runtime.failure

    async def stop(self) -> None:
        """Stop in order; returns when the state is saved."""
        await self._runtime.stop("it was told to")


@asynccontextmanager
async def embedded(
    app: Application,
    *,
    save: bool = True,
    state: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    run_directory: str | os.PathLike[str] | None = None,
    durability: str | None = None,
    drop: Iterable[str] = (),
    **limits: Any,
) -> AsyncIterator[Server]:
    """Run ``app`` in the current loop for the length of a block.

    Args:
        app: an application that does not run.
        save: whether anything is remembered; ``False`` opens no file.
        state: the state tap; default ``<name>-shutdown.tap`` in the run directory.
        fresh: set aside the state that is there, and begin anew.
        run_directory: default the current one; it is not changed to.
        durability: "gate", "interval" or "exit", for this run instead of the application's own.
        drop: names of stored objects that the code no longer builds, to be forgotten.
        limits: fields of `taphouse.runtime.Limits`, such as ``drain_s=1.0``.

    Raises:
        TypeError: for an option that does not exist.
        ValueError: for a durability that does not exist, or one together with ``save=False``.
        TaphouseError: if the start fails, or at the end what ended the application too early.
    """
    unknown = [name for name in limits if name not in LIMIT_OPTIONS]
    if unknown:
        raise TypeError(f"running() has no option {unknown[0]!r}; limits are {', '.join(LIMIT_OPTIONS)}")
    if durability is not None:
        check_durability(durability)
        if not save:
            raise ValueError("save=False keeps no state, durability says when it is saved; give one of them")
    folder = os.path.abspath(run_directory or os.curdir)
    settings = Settings(
        command="app.running()",
        owns_process=False,
        save=save,
        state=os.path.join(folder, state) if state is not None else None,
        fresh=fresh,
        durability=durability,
        drop=tuple(drop),
        launch_directory=os.getcwd(),
        run_directory=folder,
        **limits,
    )
    script = place_of_code(app)
    start = Start(settings, app, script)
    start.loop = asyncio.get_running_loop()
    with start.undo, named_main(script):
        prepare(start, STEPS)
        await start_runtime(start)
        server = Server(start)
        try:
            yield server
        finally:
            assert start.runtime is not None
            await start.runtime.stop()
        failure: TaphouseError | None = start.runtime.failure
        if failure is not None:
            raise failure

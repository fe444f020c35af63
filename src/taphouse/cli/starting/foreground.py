"""`app.run()`: a script that runs the application it has just built.

It must never know more than which settings that means.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING

from taphouse.cli.settings import Settings
from taphouse.cli.starting.saving import place_of_code
from taphouse.cli.starting.scripts import named_main
from taphouse.cli.starting.sequence import run_sequence
from taphouse.cli.starting.start import Start

if TYPE_CHECKING:
    from taphouse.app import Application

__all__ = ["run_application"]


def run_application(app: Application) -> None:
    """Run ``app`` in the foreground until SIGINT or SIGTERM; state is kept in the current directory.

    Raises:
        TaphouseError: the start, or the storage, failed.
        RuntimeError: it runs already, a loop runs in this thread, or this is not the main thread.
    """
    if app.is_running:
        raise RuntimeError(f"application {app.name} is running already")
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("app.run() needs the main thread, for its signals; elsewhere: await app.serve()")
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("app.run() inside of a running event loop; write: await app.serve()")
    script = place_of_code(app)
    settings = Settings(
        command=os.path.basename(sys.argv[0]) or "python",
        launch_directory=os.getcwd(),
        run_directory=os.getcwd(),
        pidfile="",
        logfile="-",
    )
    # An interrupt before the server is ready ends it as one afterwards does: in order.
    with named_main(script), contextlib.suppress(KeyboardInterrupt):
        run_sequence(Start(settings, app, script))

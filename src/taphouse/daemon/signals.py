"""Signals: what each means to a server, as a table, and who is told.

No signal ends the process without saving.  SIGQUIT is answered even by a loop
that hangs in Python code: its handler runs between any two bytecodes.  This
module must never know how a server stops or restarts.
"""

from __future__ import annotations

import contextlib
import enum
import io
import logging
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from taphouse.daemon.system import System
from taphouse.value import Value

if TYPE_CHECKING:
    import asyncio

__all__ = ["SIGNAL_TABLE", "Intention", "Intentions", "Signals", "dump_stacks", "hold_signals"]

_logger = logging.getLogger("taphouse")
_SIGNAL_STACK_FRAMES = 40


class Intention(enum.Enum):
    """What somebody who sends a signal wants."""

    STOP = "stop"
    RESTART = "restart"
    ROTATE = "rotate"
    DUMP = "dump"


SIGNAL_TABLE: dict[signal.Signals, Intention] = {
    signal.SIGTERM: Intention.STOP,
    signal.SIGINT: Intention.STOP,
    signal.SIGHUP: Intention.RESTART,
    signal.SIGUSR1: Intention.ROTATE,
    signal.SIGQUIT: Intention.DUMP,
}
"""Which signal means what."""

_Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers | None
_HELD = {signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT}


class Intentions(Value):
    """Whom to tell; every callable runs on the loop."""

    stop: Callable[[str], None]
    """Begin an orderly stop, for the reason given (``"SIGTERM"``)."""
    hurry: Callable[[], None]
    """Called when a second stop signal comes: shorten the drain, skip nothing else."""
    rotate: Callable[[], None] | None = None
    """Begin a new log file; ``None``: there is none, the signal is noted and nothing more."""
    restart: Callable[[], None] | None = None
    """Restart in place; ``None``: not available."""


def hold_signals(*, system: System | None = None) -> None:
    """Keep HUP, USR1 and QUIT waiting until :meth:`Signals.install`.

    Their default would end a server that is just starting; to be called before the first thread,
    which inherits the mask, so that only the main thread is ever interrupted.  TERM and INT end a
    start at once: nothing has been written yet.
    """
    (system or System()).block_signals(_HELD)


class Signals:
    """The signal handlers of a running server.

    Args:
        loop: the event loop, of the main thread.
        intentions: whom to tell.
        on_terminal: the process runs in the foreground of a terminal, where SIGHUP means that the
            terminal is gone: an orderly stop.
        system: the operating system.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        intentions: Intentions,
        *,
        on_terminal: bool = False,
        system: System | None = None,
    ) -> None:
        self._loop = loop
        self._intentions = intentions
        self._on_terminal = on_terminal
        self._system = system or System()
        self._stop_asked = False
        self._before: dict[signal.Signals, _Handler] = {}

    def install(self) -> None:
        """Handle the signals of :data:`SIGNAL_TABLE`, also those held since :func:`hold_signals`."""
        # Between the loop's handler and ours a signal would be lost.
        self._system.block_signals(set(SIGNAL_TABLE))
        for number, intention in SIGNAL_TABLE.items():
            self._before[number] = signal.getsignal(number)
            # The loop's own handler only makes it wake up, through the wakeup descriptor: without it a
            # signal that comes just before the loop sleeps is not answered until the next event. It is
            # not what acts, because uvloop's may be called twice for one signal if another comes at
            # the same moment (it reads a pipe and a set), and a second SIGTERM means something else.
            self._loop.add_signal_handler(number, _nothing)
            signal.signal(number, self._dump if intention is Intention.DUMP else self._pass_on)
        self._system.unblock_signals(set(SIGNAL_TABLE))

    def retire(self) -> None:
        """Let stop signals mean nothing any more: who takes back pidfile, locks and log is not to be killed.

        The loop may be closed from here on.  Does nothing if not installed.
        """
        # Between the loop's handler, whose removal leaves the default, and ours a signal would kill.
        self._system.block_signals(set(self._before))
        for number in self._before:
            self._loop.remove_signal_handler(number)
            signal.signal(number, self._dump if number == signal.SIGQUIT else _pass_over)
        self._system.unblock_signals(set(self._before))

    def remove(self) -> None:
        """Put back what was before; does nothing if not installed."""
        for number, before in self._before.items():
            if not self._loop.is_closed():
                self._loop.remove_signal_handler(number)
            # None: a handler of C code, which Python cannot put back
            signal.signal(number, signal.SIG_DFL if before is None else before)
        self._before = {}

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has just been closed: it has stopped anyway
            self._loop.call_soon_threadsafe(self.handle, signal.Signals(number))

    def handle(self, number: signal.Signals) -> None:
        """Act on a signal; on the loop."""
        intention = SIGNAL_TABLE[number]
        if intention is Intention.RESTART and self._intentions.restart is None and self._on_terminal:
            intention = Intention.STOP
        if intention is Intention.STOP:
            self._stop(number.name)
        elif intention is Intention.RESTART:
            if self._intentions.restart is None:
                _logger.warning("Received SIGHUP: restart in place is not available yet; nothing was done.")
            else:
                _logger.info("Received SIGHUP: restarting.")
                self._intentions.restart()
        elif intention is Intention.ROTATE:
            if self._intentions.rotate is None:
                _logger.info("Received SIGUSR1: there is no log file to rotate.")
            else:
                self._intentions.rotate()

    def _stop(self, name: str) -> None:
        if self._stop_asked:
            _logger.info("Received %s again: stopping without waiting for connections.", name)
            self._intentions.hurry()
        else:
            self._stop_asked = True
            _logger.info("Received %s, shutting down.", name)
            self._intentions.stop(name)

    def _dump(self, number: int, frame: FrameType | None) -> None:
        _logger.warning("Received SIGQUIT: stacks and tasks follow.\n%s", dump_stacks(self._loop, frame))


def _nothing() -> None:
    """See Signals.install."""


def _pass_over(_number: int, _frame: FrameType | None) -> None:
    """See Signals.retire; no SIG_IGN, which a program that is started now would inherit."""


def dump_stacks(loop: asyncio.AbstractEventLoop | None, frame: FrameType | None = None) -> str:
    """Return the stacks of all threads and of all tasks of ``loop``.

    Args:
        loop: the loop whose tasks to show.
        frame: where the calling thread was interrupted, if this is called by a signal handler.
    """
    import asyncio  # here, so that commands which only look at processes need not load it

    text = io.StringIO()
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, current in sys._current_frames().items():
        shown = frame if frame is not None and ident == threading.get_ident() else current
        text.write(f"thread {names.get(ident, ident)}:\n")
        text.writelines(traceback.format_stack(shown, _SIGNAL_STACK_FRAMES))
    tasks = sorted(asyncio.all_tasks(loop), key=asyncio.Task.get_name) if loop else []
    for task in tasks:
        text.write(f"task {task.get_name()}:\n")
        task.print_stack(limit=_SIGNAL_STACK_FRAMES, file=text)
    text.write(f"{len(names)} threads, {len(tasks)} tasks")
    return text.getvalue()

"""The log's writer: takes records without ever waiting, writes them on a thread.

Before :meth:`LogWriter.start_thread` (while the process is still single-threaded,
as dropping privileges demands) and after the end, records are written at once by
whoever logs.  This module must never know what a record says.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import Protocol

__all__ = ["LogWriter", "Sink"]

_QUEUE_BYTES = 8 << 20
_BATCH_RECORDS = 2000
_STEP_S = 0.1

_writers: weakref.WeakSet[LogWriter] = weakref.WeakSet()


class Sink(Protocol):
    """Where records end."""

    def write(self, records: Sequence[bytes], level: int, /) -> None:
        """Write ``records`` of one level, each with its newline; must not raise OSError."""

    def rotate(self) -> None:
        """Begin a new file."""

    def rebase(self, root: str) -> None:
        """The process has called chroot(2) with ``root``."""

    def close(self) -> None:
        """Let go of everything."""


_Item = tuple[bytes, int] | Callable[[], None]


class LogWriter:
    """A bounded queue before a sink.

    Args:
        sink: used by one thread at a time.
        queue_bytes: records beyond this many waiting bytes are dropped, and counted in the log.
        lost_line: makes the record that tells how many were dropped.
    """

    def __init__(
        self, sink: Sink, *, queue_bytes: int = _QUEUE_BYTES, lost_line: Callable[[int], bytes]
    ) -> None:
        self._sink = sink
        self._queue_bytes = queue_bytes
        self._lost_line = lost_line
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._put_bytes = 0  # changed by those who log, under logging's own lock
        self._taken_bytes = 0  # changed by the writer thread
        self._lost = 0
        _writers.add(self)

    def start_thread(self) -> None:
        """From now on nobody who logs waits for a disk."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="taphouse-log", daemon=True)
            self._thread.start()

    def put(self, record: bytes, level: int) -> None:
        """Take a record with its newline; with a thread running this never waits."""
        if self._thread is None:
            with self._lock:
                self._sink.write([record], level)
        elif self._put_bytes - self._taken_bytes > self._queue_bytes:
            self._lost += 1
        else:
            if self._lost:
                lost, self._lost = self._lost, 0
                self._enqueue(self._lost_line(lost), level)
            self._enqueue(record, level)

    def call_soon(self, action: Callable[[], None]) -> None:
        """Run ``action`` where records are written, after those put before it."""
        if self._thread is None:
            with self._lock:
                action()
        else:
            self._queue.put(action)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what was put so far is written; False if it took longer than ``timeout`` seconds."""
        done = threading.Event()
        self.call_soon(done.set)
        return _wait_in_steps(done.wait, timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Flush, end the thread, close the sink.  A sink that hangs is given up after ``timeout``."""
        thread, finished = self._thread, True
        if thread is not None:
            if self._lost:
                self._enqueue(self._lost_line(self._lost), 0)
                self._lost = 0
            self._queue.put(self._end)
            finished = _wait_in_steps(partial(_has_ended, thread), timeout)
        if finished:
            self._thread = None
            with self._lock:
                self._write(self._left_over())
                self._sink.close()
        _writers.discard(self)

    def reset_in_child(self) -> None:
        """A forked child has our queue's copy but not our thread: it writes for itself."""
        self._thread = None
        self._queue = SimpleQueue()
        self._lock = threading.RLock()
        self._put_bytes = self._taken_bytes = 0

    def _enqueue(self, record: bytes, level: int) -> None:
        self._put_bytes += len(record)
        self._queue.put((record, level))

    def _left_over(self) -> list[_Item]:
        """What other threads put behind the end mark."""
        items: list[_Item] = []
        with contextlib.suppress(Empty):
            while True:
                items.append(self._queue.get_nowait())
        return items

    @staticmethod
    def _end() -> None:
        raise _EndOfLogError

    def _run(self) -> None:
        queue = self._queue
        with contextlib.suppress(_EndOfLogError):
            while True:
                items = [queue.get()]
                with contextlib.suppress(Empty):
                    while len(items) < _BATCH_RECORDS:
                        items.append(queue.get_nowait())
                with self._lock:
                    self._write(items)

    def _write(self, items: list[_Item]) -> None:
        """Write runs of records of one level together; run actions at their place."""
        run: list[bytes] = []
        run_level = 0
        for item in items:
            if callable(item):
                self._write_run(run, run_level)
                run = []
                with contextlib.suppress(OSError):
                    item()
                continue
            record, level = item
            if run and level != run_level:
                self._write_run(run, run_level)
                run = []
            run.append(record)
            run_level = level
        self._write_run(run, run_level)

    def _write_run(self, run: list[bytes], level: int) -> None:
        if run:
            try:
                self._sink.write(run, level)
            except Exception:  # a broken sink must neither end this thread nor fill the memory
                self._lost += len(run)
            self._taken_bytes += sum(map(len, run))


class _EndOfLogError(Exception):
    """Ends the writer thread."""


def _wait_in_steps(wait: Callable[[float], bool], timeout: float) -> bool:
    """Wait for ``timeout`` seconds in which this process could run.

    Where the whole machine stands still, a suspended one say, that takes up one step, not all the time
    there was: else what was logged just before would be lost, though no sink hangs.
    """
    while not wait(min(timeout, _STEP_S)):
        timeout -= _STEP_S
        if timeout <= 0:
            return False
    return True


def _has_ended(thread: threading.Thread, timeout: float) -> bool:
    thread.join(timeout)
    return not thread.is_alive()


def _reset_all_in_child() -> None:
    for writer in list(_writers):
        writer.reset_in_child()


os.register_at_fork(after_in_child=_reset_all_in_child)

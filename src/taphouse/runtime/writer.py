"""The writer: between the epochs and a store, so that a slow disk does not stop the loop.

While a sync takes less than the handoff to another thread is worth, the loop
commits itself; on a slow disk the one thread of this module does, and the epoch
lands later.  Moving the WAL into the main file is the thread's work always:
replies wait for it, everything else goes on.  The store is used by one thread
at a time: what is handed over is done in order, and the loop keeps its hands
off until all of it is back.

The same thread looks after what the loop commits or folds: a sync that is stuck
in the kernel stops the loop itself, and only somebody else can end the process.

Tests force a path with ``Writer(..., path="thread")``, or, for a whole program,
by setting ``taphouse.runtime.writer.FORCED_PATH`` to "inline" or "thread"
before the application starts; "" leaves the choice to the measured syncs.  With
"inline" the WAL is moved by the loop as well, so that nothing runs beside it.

It must never know what a turn holds, or how a store stores.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Final, Protocol

from taphouse.errors import StorageError
from taphouse.runtime.deadline import LookCount, Verdict, end_process
from taphouse.runtime.syncs import DiskJudge, SyncPace

__all__ = ["FORCED_PATH", "Writer", "Writing"]

_log = logging.getLogger("taphouse.runtime")
_SWITCHES_LOGGED_EVERY_S: Final = 60.0
_SHARE_S: Final = 0.0005
"""Python lets another thread wait for 5 ms beside a busy loop, several times in one commit."""

FORCED_PATH = ""
"""Where every commit of this process waits, "inline" or "thread"; for tests."""

_Job = tuple[int, Callable[..., Any], tuple[Any, ...], "asyncio.Future[Any]"]


class Writing(Protocol):
    """What a writer needs of a store."""

    path: Any
    kind: str
    """Of the file system, such as ``ext4``; empty if unknown."""
    probes: tuple[float, ...]
    """Seconds of the syncs with which the store has tried its disk."""
    reserve_refused: str
    """Why there is no reserve; empty if there is one."""

    @property
    def sync_s(self) -> float:
        """Seconds of the last sync."""

    @property
    def needs_tending(self) -> bool:
        """Whether `tend` has something to do that must not wait for much longer."""

    def commit(self, turn: Any) -> Any:
        """Make ``turn`` durable."""

    def fold(self, rows: int = ...) -> bool:
        """Tidy up a little; True if there is more to do."""

    def tend(self) -> None:
        """Move the WAL into the main file."""

    def backup(self, path: Any) -> None:
        """Write the state to a file of its own."""

    def statistics(self) -> Any:
        """Return what was done."""

    def close(self) -> None:
        """Leave one finished file."""

    def abandon(self) -> None:
        """Write nothing more."""


class Writer:
    """Commits on the loop while that is quick, on its own thread while it is not.

    Args:
        store: used by nobody else from now on.
        loop: whose thread calls everything here.
        deadline_s: a commit or tidying on the loop three times as old ends the process with 74; 0: never.
        path: "inline" or "thread" forces that; None means what `FORCED_PATH` says.
        preferred: the path if nothing is forced, where another reason than the disk's speed says it.

    Attributes:
        on_failure: called with the error of work that nobody awaits (moving the WAL).
        on_hand: called when a commit was handed to the thread.
    """

    def __init__(
        self,
        store: Writing,
        loop: asyncio.AbstractEventLoop,
        *,
        deadline_s: float = 0.0,
        path: str | None = None,
        preferred: str = "",
    ) -> None:
        self._store = store
        self._loop = loop
        self._deadline_s = deadline_s
        self._forced = FORCED_PATH or preferred if path is None else path
        self._pace = SyncPace()
        self._pace.is_slow = self._forced == "thread"
        self._judge: DiskJudge | None = None
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ended = False
        self._usual_share_s = 0.0
        self._out = 0  # jobs that are not back
        self._number = 0
        self._inline = 0  # number of the commit or tidying that the loop itself is busy with
        self._working = 0  # number of the commit that the thread makes now
        self._logged_at = -_SWITCHES_LOGGED_EVERY_S
        self.on_failure: Callable[[BaseException], object] = lambda _error: None
        self.on_hand: Callable[[], object] = lambda: None

    @property
    def path(self) -> Any:
        """Where the state is kept."""
        return self._store.path

    @property
    def how(self) -> str:
        """Where the next commit waits: "inline" or "thread"."""
        return "thread" if self._pace.is_slow else "inline"

    @property
    def awaited(self) -> int:
        """Number of the commit or tidying that the thread is busy with; 0 if it is with none."""
        return self._working

    def statistics(self) -> Any:
        """Return what the store has done."""
        return self._store.statistics()

    # -- what epochs ask

    def commit(self, turn: Any) -> Any:
        """Make ``turn`` durable: return the outcome, or a future of it.

        Raises:
            StorageError: if it could not be; a future raises the same.
        """
        if self._ended:
            raise StorageError(f"{self._store.path}: the tap was closed")
        if self._out or (self._pace.is_slow and not self._pace.is_trial):
            future = self._hand(self._store.commit, turn)
            self.on_hand()
            return future
        outcome = self._here(self._store.commit, turn)
        self._note(self._store.sync_s)
        if self._store.needs_tending:
            self._tend()
        return outcome

    def fold(self, *rows: int) -> Any:
        """Tidy up a little: return whether there is more to do, or a future of that.

        Raises:
            StorageError: as `commit`.
        """
        if self._ended:
            return False
        if self._out or self._pace.is_slow:
            return self._hand(self._store.fold, *rows)
        more = self._here(self._store.fold, *rows)
        if self._store.needs_tending:
            self._tend()
        return more

    def backup(self, path: Any) -> asyncio.Future[None]:
        """Write the state as of the last commit to ``path``; commits wait for it, the loop does not.

        Raises:
            CannotCreateError, NotPermittedError: if it cannot be written there.
        """
        return self._hand(self._store.backup, path, is_watched=False)

    def close(self) -> Any:
        """Fold everything and leave one finished file, after what is in flight; return None or a future.

        Raises:
            StorageError: as `commit`.
        """
        if self._out or self._pace.is_slow:
            future = self._hand(self._store.close, is_watched=False)
            self._end_thread()
            return future
        self._end_thread()
        return self._store.close()

    def abandon(self) -> None:
        """Write nothing more and wait for nothing.

        A commit in flight may still reach the disk, or hang there for ever; nobody is told of it.  The
        thread is a daemon, so it does not keep the interpreter from ending, and the store has leaked its
        connection, so ending does not pull it from under SQLite.
        """
        self._end_thread()
        self._store.abandon()

    # -- the loop's side

    def _here(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call what syncs on the loop, with the thread to look after it."""
        if self._thread is None and self._deadline_s:
            self._begin_thread()
        self._inline = self._number = self._number + 1
        try:
            return function(*args)
        finally:
            self._inline = 0

    def _hand(self, function: Callable[..., Any], *args: Any, is_watched: bool = True) -> asyncio.Future[Any]:
        if self._thread is None:
            self._begin_thread()
        future = self._loop.create_future()
        self._number += is_watched
        self._out += 1
        self._jobs.put((self._number if is_watched else 0, function, args, future))
        return future

    def _done(
        self, function: Any, future: asyncio.Future[Any], result: Any, error: BaseException | None
    ) -> None:
        self._out -= 1
        if not future.done():
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        if error is None and function == self._store.commit:
            self._note(self._store.sync_s)
        if error is None and not self._out and not self._ended and self._store.needs_tending:
            self._tend()

    def _tend(self) -> None:
        if self._forced == "inline":
            self._here(self._store.tend)
            return
        self._hand(self._store.tend).add_done_callback(self._tended)

    def _tended(self, future: asyncio.Future[None]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            self.on_failure(error)

    def _note(self, sync_s: float) -> None:
        if self._judge is None:
            self._begin()
        assert self._judge is not None
        if not sync_s:
            return  # the commit that made the file: it has other syncs
        self._say(self._judge.note(sync_s))
        if self._pace.note(sync_s) and not self._forced:
            self._share(often=self._pace.is_slow)
            now = self._loop.time()
            if now - self._logged_at >= _SWITCHES_LOGGED_EVERY_S:
                self._logged_at = now
                where = "on a thread" if self._pace.is_slow else "on the loop"
                _log.debug("a sync takes %.2f ms: commits wait %s", self._pace.average_s * 1e3, where)
        if self._forced:
            self._pace.is_slow = self._forced == "thread"
            self._pace.is_trial = False

    def _share(self, *, often: bool) -> None:
        """Let the loop hand over the interpreter sooner, while the thread needs it for each commit."""
        if often and not self._usual_share_s:
            self._usual_share_s = sys.getswitchinterval()
            sys.setswitchinterval(min(_SHARE_S, self._usual_share_s))
        elif not often and self._usual_share_s:
            sys.setswitchinterval(self._usual_share_s)
            self._usual_share_s = 0.0

    def _begin(self) -> None:
        """Say what the store's first commit has found out about the disk."""
        store = self._store
        self._judge = DiskJudge(str(store.path), store.kind)
        if store.reserve_refused:
            _log.warning("%s", store.reserve_refused)
        for sync_s in store.probes:
            self._say(self._judge.note(sync_s))
            self._forced or self._pace.note(sync_s)

    def _say(self, warning: str) -> None:
        if warning:
            _log.warning("%s", warning)

    # -- the thread's side

    def _begin_thread(self) -> None:
        self._thread = threading.Thread(target=self._work, name="taphouse-writer", daemon=True)
        self._thread.start()

    def _end_thread(self) -> None:
        self._ended = True
        self._share(often=False)
        self._jobs.put(None)

    def _work(self) -> None:
        count = LookCount(self._deadline_s)
        while True:
            try:
                job = self._jobs.get(timeout=count.every_s or None)
            except Empty:
                self._look(count)
                continue
            if job is None:
                return
            self._working, function, args, future = job
            result = error = None
            try:
                result = function(*args)
            except BaseException as raised:
                error = raised
            self._working = 0
            try:
                self._loop.call_soon_threadsafe(self._done, function, future, result, error)
            except RuntimeError:
                return  # the loop was closed: the writer was abandoned, and nobody waits
            del job, function, args, future, result, error  # the next job may be hours away

    def _look(self, count: LookCount) -> None:
        """See to it that a commit or tidying on the loop, which stops it, does not do so for ever."""
        verdict = count.look(self._inline)
        if verdict is Verdict.FINE:
            self._said = False
        elif verdict is Verdict.STUCK:
            what = f"{self._store.path}: the disk has not answered for {3 * self._deadline_s:g} s"
            end_process(f"taphouse[{os.getpid()}]: {what}; nothing was acknowledged since; ending with 74")
        elif not self._said:
            self._said = True
            _log.error("%s: a commit takes longer than %g s", self._store.path, self._deadline_s)

    _said = False

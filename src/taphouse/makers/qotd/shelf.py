"""Shelf: the quotes of a file, which is looked at once a second at most, while somebody asks.

Read in a thread.  When the file is gone, empty or broken, the quotes it had go on being served, and the log
says so once.  It must not know the protocol.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from taphouse.makers.qotd.fortunes import Fortunes, Signature, Source, signature_of

__all__ = ["Shelf"]

LOOK_EVERY_S = 1.0
PATIENCE_S = 5.0  # who comes later while a disk hangs does not wait at all
# A file may change again without a new time within the resolution of its file system's clock.
SETTLED_S = 2.0

R = TypeVar("R")

_log = logging.getLogger("taphouse.makers.qotd")


class Shelf:
    """Holds the quotes that are served.

    Args:
        source: where they come from.
        clock: seconds that only go forward.
    """

    def __init__(self, source: Source, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._fortunes: Fortunes | None = None
        self._seen: Signature | None = None
        self._trouble = ""
        self._looked_s = self._began_s = 0.0
        self._look: asyncio.Task[None] | None = None

    @property
    def quotes(self) -> tuple[str, ...]:
        """The quotes; none before :meth:`fill`."""
        return self._fortunes.quotes if self._fortunes else ()

    async def fill(self) -> None:
        """Read the file for the first time.

        Raises:
            ConfigurationError: if there is no quote to serve.
        """
        self._put(await _aside(self._source.read))
        self._looked_s = self._clock()

    @property
    def is_due(self) -> bool:
        """Whether it is time to look at the file again."""
        return self._clock() - self._looked_s >= LOOK_EVERY_S

    async def look(self) -> None:
        """Return when the file has been looked at, if it is due; never raises."""
        if self.is_due:
            look = self.begin_look()
            await asyncio.wait({look}, timeout=max(0.0, self._began_s + PATIENCE_S - self._clock()))

    def begin_look(self) -> asyncio.Task[None]:
        """Look at the file in the background; who comes meanwhile shares the look."""
        if self._look is None or self._look.done():
            self._began_s = self._clock()
            self._look = asyncio.get_running_loop().create_task(self._look_once())
        return self._look

    def close(self) -> None:
        """Look no more."""
        if self._look is not None:
            self._look.cancel()

    async def _look_once(self) -> None:
        try:
            found = await _aside(self._read_if_changed)
        except Exception as trouble:
            if str(trouble) != self._trouble:
                self._trouble = str(trouble)
                _log.error("%s; going on with the %s from before", trouble, _count(len(self.quotes)))
        else:
            if found is not None:
                self._put(found)
        finally:
            self._looked_s = self._clock()

    def _read_if_changed(self) -> Fortunes | None:
        """Return what the file holds if it may have changed; runs in a thread, and writes nothing else's."""
        try:
            signature = signature_of(os.stat(self._source.path))
        except OSError:
            signature = None  # reading says what is wrong
        if signature is not None and signature == self._seen:
            return None
        self._seen = signature
        return self._source.read()

    def _put(self, found: Fortunes) -> None:
        before, self._fortunes = self._fortunes, found
        if before is None or before.quotes != found.quotes or self._trouble:
            _log.info("%s: %s", self._source.path, ", ".join((_count(len(found.quotes)), *found.notes)))
        self._trouble = ""
        is_settled = time.time() - max(found.signature[3:]) / 1e9 > SETTLED_S
        self._seen = found.signature if is_settled else None


async def _aside(read: Callable[[], R]) -> R:
    """Return what ``read()`` returns in a thread that no stop waits for: a disk may hang for ever.

    `asyncio.to_thread` would have the end of the process wait for it.
    """
    loop = asyncio.get_running_loop()
    came: asyncio.Future[R] = loop.create_future()

    def settle(result: R | None, error: BaseException | None) -> None:
        if came.done():
            return  # cancelled
        if error is not None:
            came.set_exception(error)
        else:
            came.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result, error = None, None
        try:
            result = read()
        except BaseException as caught:
            error = caught
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            pass  # the loop is closed, nobody waits any more

    threading.Thread(target=work, name="quotes", daemon=True).start()
    return await came


def _count(number: int) -> str:
    return "1 quote" if number == 1 else f"{number} quotes"

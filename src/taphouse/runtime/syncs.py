"""What the measured syncs say: whether the loop may wait for the disk, and whether the disk can be true.

A handoff to another thread costs 15 to 30 % of a commit on a fast disk, and on
a slow one waiting on the loop costs everybody's time.  So the seconds of each
sync are averaged, and the answer changes only when it is clear.  This module
must never know threads, stores or files.
"""

from __future__ import annotations

from typing import Final

__all__ = ["DiskJudge", "SyncPace"]

SLOW_S: Final = 0.0006
"""Above this average the loop does not wait for syncs."""
FAST_S: Final = 0.0004
"""Below this average it does."""
_WEIGHT: Final = 1 / 16
_CLIP_S: Final = 0.0012
"""One stall, of the disk or of a busy machine, says little: it counts as this much, so it takes many."""
_SETTLE: Final = 8
"""So many commits wait on the loop, at least, once they do."""
_DWELL: Final = 64
"""So many wait on the thread; twice as many each time that the change back to the loop was a mistake."""
_LONGEST_DWELL: Final = 4096
_JUDGED: Final = 5
_UNTRUE_S: Final = 0.00003
_SLUGGISH_S: Final = 0.01


class SyncPace:
    """Decides where the next commit waits, by what the last ones took.

    On the thread a measured sync includes the wait for the interpreter, so there the fast
    quarter of the last commits decides: what was fast once while the loop was idle, is fast.  Beside a
    loop that is never idle a commit on the loop itself is the only measure, so now and then one is tried.

    Attributes:
        is_slow: the loop must not wait for the disk.
        is_trial: the next commit is to be made on the loop all the same.
        average_s: of the last syncs.
    """

    def __init__(self) -> None:
        self.is_slow = False
        self.is_trial = False
        self.average_s = 0.0
        self._patience = self._until_trial = _DWELL
        self._dwell = _DWELL
        self._since = _LONGEST_DWELL + 1  # commits since the last change: the first may come at once
        self._window: list[float] = []

    def note(self, sync_s: float) -> bool:
        """Note the seconds of one sync; return whether the answer has changed."""
        self._since += 1
        self.average_s += _WEIGHT * (min(sync_s, _CLIP_S) - self.average_s)
        if self.is_slow:
            return self._note_slow(sync_s)
        if self.average_s <= SLOW_S or self._since < _SETTLE:
            return False
        self._dwell = min(2 * self._dwell, _LONGEST_DWELL) if self._since <= self._dwell else _DWELL
        self._since = 0
        self._patience = self._until_trial = self._dwell
        self.is_slow = True
        return True

    def _note_slow(self, sync_s: float) -> bool:
        if self.is_trial:
            self.is_trial = False
            if sync_s < FAST_S:
                return self._quicken(sync_s)
            self._patience = self._until_trial = min(2 * self._patience, _LONGEST_DWELL)
            return False
        self._until_trial -= 1
        self._window.append(sync_s)
        if len(self._window) < _DWELL:
            return False
        quick = sorted(self._window)[_DWELL // 4]
        self._window.clear()
        if self._since < self._dwell:
            return False
        if quick < FAST_S:
            return self._quicken(quick)
        self.is_trial = self._until_trial <= 0
        return False

    def _quicken(self, sync_s: float) -> bool:
        self.average_s = sync_s
        self._since = 0
        self._window.clear()
        self.is_slow = False
        return True


class DiskJudge:
    """Says once what is wrong with the disk, by the first syncs.

    Args:
        path: of the state, for the sentence.
        kind: of its file system, such as ``ext4``; empty if unknown.
    """

    def __init__(self, path: str, kind: str) -> None:
        self._path = path
        self._kind = kind
        self._seen: list[float] = []

    def note(self, sync_s: float) -> str:
        """Take the seconds of one sync; return a warning, or nothing."""
        if len(self._seen) >= _JUDGED:
            return ""
        self._seen.append(sync_s)
        if len(self._seen) < _JUDGED:
            return ""
        median = sorted(self._seen)[_JUDGED // 2]
        if self._kind in ("tmpfs", "ramfs", "devtmpfs"):
            return (
                f"{self._path} lies in memory ({self._kind}): it survives a kill, not a power cut or a reboot"
            )
        if median < _UNTRUE_S:
            return (
                f"{self._path}: a sync takes {median * 1e6:.0f} us, faster than any disk: the disk or the "
                "hypervisor says that it has written what it has not; a power cut can take committed state"
            )
        if median > _SLUGGISH_S:
            return (
                f"{self._path}: a sync takes {median * 1e3:.0f} ms: no reply comes sooner; "
                "a disk with power-loss protection does it in 0.1 ms"
            )
        return ""

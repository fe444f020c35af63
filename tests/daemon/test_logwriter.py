"""Nobody who logs waits for a disk, and no disk ends the log."""

from __future__ import annotations

import threading

from playground import PATIENCE_S
from taphouse.daemon import logwriter
from taphouse.daemon.logwriter import LogWriter


def test_with_a_thread_running_nobody_who_logs_waits_for_the_disk_and_losses_are_counted() -> None:
    class StuckSink:
        """A disk that hangs until it is let go."""

        def __init__(self) -> None:
            self.let_go = threading.Event()
            self.stuck = threading.Event()
            self.records: list[bytes] = []

        def write(self, records: list[bytes], level: int) -> None:
            self.stuck.set()
            assert self.let_go.wait(PATIENCE_S)
            self.records += records

        def rotate(self) -> None:
            pass

        def rebase(self, root: str) -> None:
            pass

        def close(self) -> None:
            pass

    sink = StuckSink()
    writer = LogWriter(sink, queue_bytes=1000, lost_line=lambda lost: b"lost %d\n" % lost)
    writer.start_thread()
    writer.put(b"first\n", 20)
    assert sink.stuck.wait(PATIENCE_S)
    for number in range(1000):
        writer.put(b"%05d\n" % number, 20)
    assert not writer.flush(timeout=0)
    sink.let_go.set()
    assert writer.flush(PATIENCE_S)
    writer.put(b"last\n", 20)
    writer.close(PATIENCE_S)
    kept = len(sink.records) - 3
    assert 100 < kept < 300  # about 1000 bytes of 6 each
    assert sink.records[-2:] == [b"lost %d\n" % (1000 - kept), b"last\n"]


def test_a_sink_that_breaks_does_not_end_the_writer() -> None:
    written: list[bytes] = []

    class BrokenOnce:
        broken = True

        def write(self, records: list[bytes], level: int) -> None:
            if self.broken:
                self.broken = False
                raise RuntimeError("broken")
            written.extend(records)

        def rotate(self) -> None: ...
        def rebase(self, root: str) -> None: ...
        def close(self) -> None: ...

    writer = LogWriter(BrokenOnce(), lost_line=lambda lost: b"lost %d\n" % lost)
    writer.start_thread()
    writer.put(b"1\n", 20)
    assert writer.flush(PATIENCE_S)
    writer.put(b"2\n", 20)
    writer.close(PATIENCE_S)
    assert written == [b"lost 1\n", b"2\n"]


def test_a_machine_that_stands_still_takes_a_step_of_the_wait_and_not_all_of_it() -> None:
    """A step that takes an hour is one step: the thread that was to write could not run either."""
    steps: list[float] = []

    def wait(seconds: float) -> bool:
        steps.append(seconds)
        return len(steps) == 20

    assert logwriter._wait_in_steps(wait, 5.0)
    assert sum(steps) < 2.1
    steps[:] = [0.0] * 20
    assert not logwriter._wait_in_steps(wait, 5.0)
    assert sum(steps) > 4.9
    steps.clear()
    assert not logwriter._wait_in_steps(wait, 0)
    assert steps == [0]

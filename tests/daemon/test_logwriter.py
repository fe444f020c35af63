"""Nobody who logs waits for a disk, and no disk ends the log."""

from __future__ import annotations

import threading

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
            assert self.let_go.wait(30)
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
    assert sink.stuck.wait(30)
    for number in range(1000):
        writer.put(b"%05d\n" % number, 20)
    assert not writer.flush(timeout=0)
    sink.let_go.set()
    assert writer.flush()
    writer.put(b"last\n", 20)
    writer.close()
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
    assert writer.flush()
    writer.put(b"2\n", 20)
    writer.close()
    assert written == [b"lost 1\n", b"2\n"]

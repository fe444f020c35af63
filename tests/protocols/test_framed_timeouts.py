"""Framed protocols hang up on peers that are silent or never finish, and on nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake_wire import FakeLoop, connect, fake_loop

from taphouse.protocols import LineProtocol


class Lines(LineProtocol):
    """Collects lines."""

    max_bytes = 100

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def line_received(self, line: bytes) -> None:
        self.lines.append(line)


@pytest.fixture
def loop() -> Iterator[FakeLoop]:
    with fake_loop() as loop:
        yield loop


def test_an_idle_peer_is_hung_up_on(loop: FakeLoop) -> None:
    """After idle_timeout_s without a byte the connection is closed; every byte begins the count anew."""

    class Impatient(Lines):
        idle_timeout_s = 10.0

    protocol, transport = connect(Impatient())
    for _ in range(5):
        loop.advance(9)
        protocol.data_received(b"x")
    loop.advance(9.9)
    assert not transport.closed
    loop.advance(0.2)
    assert transport.closed
    assert not transport.aborted


def test_a_timeout_holds_although_a_subclass_forgot_super(loop: FakeLoop) -> None:
    """connection_made and connection_lost are the methods users replace most."""

    class Forgetful(Lines):
        idle_timeout_s = 10.0

        def connection_made(self, transport: object) -> None:
            self.send_line(b"hello")

        def connection_lost(self, exc: Exception | None) -> None:
            pass

        def timed_out(self) -> None:
            self.lines.append(b"timed out")
            super().timed_out()

    protocol, transport = connect(Forgetful())
    assert transport.sent == b"hello\n"
    loop.advance(10.1)
    assert transport.closed
    assert protocol.lines == [b"timed out"]
    other, transport = connect(Forgetful())
    transport.close()
    other.connection_lost(None)
    loop.advance(100)
    assert other.lines == []


def test_a_silent_peer_that_does_not_read_either_is_reset(loop: FakeLoop) -> None:
    """close() would wait for it for ever, so the connection is aborted."""

    class Impatient(Lines):
        idle_timeout_s = 10.0

    protocol, transport = connect(Impatient())
    transport.held_bytes = 1
    protocol.pause_writing()
    loop.advance(10.1)
    assert transport.aborted


def test_a_pause_of_our_own_is_not_the_peers_silence(loop: FakeLoop) -> None:
    """While the user has paused, the peer cannot be idle; afterwards it has its whole time again."""

    class Impatient(Lines):
        idle_timeout_s = 10.0
        message_timeout_s = 5.0

    protocol, transport = connect(Impatient())
    protocol.data_received(b"half a li")
    protocol.pause()
    loop.advance(1000)
    assert not transport.closed
    protocol.resume()
    loop.advance(4)
    assert not transport.closed
    loop.advance(2)
    assert transport.closed


def test_a_message_that_never_ends_is_hung_up_on_though_bytes_come(loop: FakeLoop) -> None:
    """A byte now and then is not idleness; message_timeout_s counts from a message's first byte."""

    class Impatient(Lines):
        idle_timeout_s = 10.0
        message_timeout_s = 20.0

    protocol, transport = connect(Impatient())
    protocol.data_received(b"whole\nhal")
    for _ in range(3):
        loop.advance(6)
        protocol.data_received(b"x")
    assert not transport.closed
    loop.advance(2.1)
    assert transport.closed


def test_whole_messages_never_run_into_the_message_timeout(loop: FakeLoop) -> None:
    """The clock of a message stops with its last byte."""

    class Impatient(Lines):
        message_timeout_s = 5.0

    protocol, transport = connect(Impatient())
    for _ in range(10):
        protocol.data_received(b"hal")
        loop.advance(3)
        protocol.data_received(b"f\n")
        loop.advance(3)
    assert len(protocol.lines) == 10
    loop.advance(100)
    assert not transport.closed


def test_a_busy_connection_makes_no_timer_per_read(loop: FakeLoop) -> None:
    """Putting a deadline off costs a note of the time, not a timer."""

    class Impatient(Lines):
        idle_timeout_s = 10.0

    protocol, _ = connect(Impatient())
    for _ in range(1000):
        protocol.data_received(b"x\n")
    assert loop.timers_made == 1


def test_a_lost_connection_leaves_no_timer(loop: FakeLoop) -> None:
    """Nothing fires for a connection that has gone."""

    class Impatient(Lines):
        idle_timeout_s = 10.0
        message_timeout_s = 10.0

    protocol, transport = connect(Impatient())
    protocol.data_received(b"hal")
    protocol.connection_lost(None)
    assert loop.live_timers == 0
    loop.advance(100)
    assert not transport.closed


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_timeout_of_nothing_is_refused(loop: FakeLoop, seconds: float) -> None:
    """It would hang up on everybody; None is the way to have none."""

    class Wrong(Lines):
        idle_timeout_s = seconds

    with pytest.raises(ValueError, match="a deadline needs seconds above 0"):
        connect(Wrong())

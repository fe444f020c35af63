"""A transport and a clock without a network and without time, for the protocols' tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from taphouse.app import begin_connection

P = TypeVar("P", bound=asyncio.BaseProtocol)


class FakeLoop:
    """A loop whose time goes on when told to."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.timers: list[tuple[float, int, FakeHandle]] = []
        self.soon: list[FakeHandle] = []
        self.timers_made = 0

    def time(self) -> float:
        return self.now_s

    def call_at(self, when: float, call: Callable[[], None]) -> FakeHandle:
        self.timers_made += 1
        handle = FakeHandle(call)
        self.timers.append((when, self.timers_made, handle))
        return handle

    def call_soon(self, call: Callable[[], None]) -> FakeHandle:
        handle = FakeHandle(call)
        self.soon.append(handle)
        return handle

    def turn(self) -> None:
        """Run what was asked to be called soon, once."""
        for handle in self.soon[:]:
            self.soon.remove(handle)
            handle.run()

    def advance(self, seconds: float) -> None:
        """Let time pass, firing timers in order."""
        end = self.now_s + seconds
        while due := sorted((t for t in self.timers if t[0] <= end), key=lambda t: t[:2]):
            self.timers.remove(due[0])
            self.now_s = max(self.now_s, due[0][0])
            due[0][2].run()
        self.now_s = end

    @property
    def live_timers(self) -> int:
        return sum(not handle.cancelled for _, _, handle in self.timers)


class FakeHandle:
    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True

    def run(self) -> None:
        if not self.cancelled:
            self._call()


class FakeTransport(asyncio.Transport):
    """Remembers what happened to it; strict where uvloop is."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.held_bytes = 0
        self.closed = False
        self.aborted = False
        self.reading = True

    def write(self, data: Any) -> None:
        assert not self.closed, "written after close"
        self.sent += bytes(data)

    def get_write_buffer_size(self) -> int:
        return self.held_bytes

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        assert self.reading, "paused twice"
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading, "resumed twice"
        self.reading = True


class FakePort(asyncio.DatagramTransport):
    """A UDP port that remembers what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[bytes, Any]] = []

    def sendto(self, data: Any, addr: Any = None) -> None:
        self.sent.append((bytes(data), addr))


@contextmanager
def fake_loop() -> Iterator[FakeLoop]:
    """Let a fake loop be the running one inside of the block."""
    loop = FakeLoop()
    asyncio._set_running_loop(loop)  # type: ignore[arg-type]
    try:
        yield loop
    finally:
        asyncio._set_running_loop(None)


def connect(protocol: P) -> tuple[P, FakeTransport]:
    """Connect ``protocol`` to a fake transport."""
    transport = FakeTransport()
    begin_connection(protocol, transport)
    return protocol, transport

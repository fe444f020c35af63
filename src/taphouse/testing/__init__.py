"""testing: rehearse.  What an application's own tests may use.

Connections in memory, a clock that jumps, a fake operating system, storage that
fails when told to, and a crash followed by a thaw.  It must never be imported
by anything but tests, and imports none of its neighbours: what it fakes it
fakes by shape.
"""

from taphouse.testing.clock import JumpingClock, settle
from taphouse.testing.crash import crash_and_thaw
from taphouse.testing.failing import FailingStore
from taphouse.testing.system import FakeAccount, FakeExit, FakeSystem
from taphouse.testing.transports import (
    MemoryDatagrams,
    MemoryPeer,
    MemoryTransport,
    connect,
    open_datagrams,
)

__all__ = [
    "FailingStore",
    "FakeAccount",
    "FakeExit",
    "FakeSystem",
    "JumpingClock",
    "MemoryDatagrams",
    "MemoryPeer",
    "MemoryTransport",
    "connect",
    "crash_and_thaw",
    "open_datagrams",
    "settle",
]

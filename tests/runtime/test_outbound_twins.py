"""The two twins of an outbound do the same: what is written, kept, taken and let go, in any order."""

from __future__ import annotations

import importlib.util
import random
import sys
from collections.abc import Callable
from typing import Any

import pytest

from taphouse.runtime import outbound
from taphouse.runtime.gate import Gate

PIECES = [
    b"",
    b"reply\r\n",
    bytearray(b"may change"),
    memoryview(b"of another"),
    b"x" * 40_000,
    b"y" * 70_000,
]


@pytest.fixture
def pure(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The same module once more, without its C twin."""
    monkeypatch.setenv("TAPHOUSE_PURE", "1")
    spec = importlib.util.spec_from_file_location("pure_outbound", outbound.__file__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "pure_outbound", module)
    spec.loader.exec_module(module)
    assert module.OUTBOUND == "python"
    return module


class Scene:
    """One outbound of a twin among its neighbours; everything it does to them is noted."""

    def __init__(self, module: Any, chance: random.Random) -> None:
        self.notes: list[Any] = []
        self.chance = chance
        self.gate = Gate()
        self.gate.keep = lambda keeper: self.notes.append("keep")  # type: ignore[method-assign]
        self.watches_activity = chance.random() < 0.3
        self.marks = (16_384, 65_536)
        self.raw_is_closing = False
        self.taken: list[list[Any]] = []

        class Known(module.Outbound):  # type: ignore[misc]
            __slots__ = ()

            def ignore_input(self) -> None:
                self.owner.notes.append("ignore input")

        self.outbound: Any = Known(self, self)
        self.outbound._raw = self

    # As the gate's owner, the protocol and the loop's transport at once.

    def touched(self, who: Any) -> None:
        self.notes.append("touched")

    def pause_writing(self) -> None:
        self.notes.append("pause writing")
        if self.chance.random() < 0.5:
            self.outbound.write(b"said while paused")

    def resume_writing(self) -> None:
        self.notes.append("resume writing")
        if self.chance.random() < 0.5:
            self.outbound.write(b"said when resumed")

    def write(self, data: bytes) -> None:
        self.notes.append(("write", bytes(data)))
        if self.chance.random() < 0.1:
            self.outbound.pause_writing()

    def write_eof(self) -> None:
        self.notes.append("eof")

    def close(self) -> None:
        self.notes.append("close")
        self.raw_is_closing = True

    def is_closing(self) -> bool:
        return self.raw_is_closing

    def pause_reading(self) -> None:
        self.notes.append("pause reading")

    def resume_reading(self) -> None:
        self.notes.append("resume reading")

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self.marks

    def set_write_buffer_limits(self, high: int | None, low: int | None) -> None:
        self.marks = (low or 0, high or 0)

    def get_write_buffer_size(self) -> int:
        return 0

    # What a test does.

    def act(self) -> None:
        actions: list[Callable[[], Any]] = [
            *[self._write] * 6,
            *[self._land] * 2,
            lambda: self.taken.append(self.outbound.take_kept()),
            lambda: setattr(self.gate, "closed", self.chance.random() < 0.8),
            lambda: self.outbound.set_write_buffer_limits(self.chance.choice([0, 10, 100_000]), 0),
            lambda: self.outbound.write_eof(),
            lambda: self.outbound.forget_kept(),
            lambda: self.outbound.resume_writing(),
            lambda: self.outbound.pause_reading(),
            lambda: self.outbound.resume_reading(),
        ]
        if self.chance.random() < 0.05:
            actions = [self.outbound.close]
        self.chance.choice(actions)()
        self.notes.append((self.outbound.get_write_buffer_size(), self.outbound.is_keeping))

    def _write(self) -> None:
        self.outbound.write(self.chance.choice(PIECES))

    def _land(self) -> None:
        if self.taken:
            self.outbound.let_go(self.taken.pop(0))


@pytest.mark.skipif(outbound.OUTBOUND != "c", reason="the C twin is not built here, or TAPHOUSE_PURE is set")
@pytest.mark.parametrize("seed", range(150))
def test_both_twins_do_the_same_in_the_same_order(seed: int, pure: Any) -> None:
    ours, theirs = Scene(outbound, random.Random(seed)), Scene(pure, random.Random(seed))
    for _ in range(60):
        ours.act()
        theirs.act()
        assert ours.notes == theirs.notes


@pytest.mark.skipif(outbound.OUTBOUND != "c", reason="the C twin is not built here, or TAPHOUSE_PURE is set")
def test_what_cannot_be_written_is_the_same_error_and_leaves_nothing_behind(pure: Any) -> None:
    for module in (outbound, pure):
        scene = Scene(module, random.Random(0))
        scene.gate.closed = True
        for nothing_to_send in (None, 17, "text", [1, 2]):
            with pytest.raises(TypeError):
                scene.outbound.write(nothing_to_send)
        assert not scene.outbound.is_keeping
        scene.outbound.write(b"goes on")
        assert scene.outbound.take_kept() == [b"goes on"]

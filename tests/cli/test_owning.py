"""The lock of a tap: who is about to end is waited for, who serves is not."""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from playground import PATIENCE_S
from taphouse.cli.starting import owning
from taphouse.control import Entry
from taphouse.errors import AlreadyRunningError
from taphouse.persist import TapLock

HOLD = """\
import sys
from taphouse.persist import TapLock
lock = TapLock(sys.argv[1])
lock.acquire(wait_s=0)
print("held", flush=True)
sys.stdin.read()
lock.release()
"""


@pytest.fixture
def holder(tmp_path: Path):
    """A process that holds the lock of ``a.tap`` until its standard input is closed."""
    with Popen([sys.executable, "-c", HOLD, str(tmp_path / "a.tap")], stdin=PIPE, stdout=PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.process
def test_a_holder_that_ends_is_waited_for(
    holder: Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owning, "_HOLDER_WAIT_S", PATIENCE_S)
    said = []

    def end(text: str) -> None:
        said.append(text)
        holder.stdin.close()  # type: ignore[union-attr]

    lock = owning.take_lock(str(tmp_path / "a.tap"), on_wait=end)
    assert lock.is_held
    assert said[0] == f"waiting for the server that holds {tmp_path / 'a.tap'} to end"
    lock.release()


@pytest.mark.process
def test_a_tap_that_is_not_there_yet_is_no_other_servers(
    holder: Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owning, "_HOLDER_WAIT_S", PATIENCE_S)
    (tmp_path / "other.tap").touch()
    others = [
        Entry("other", 1, 1, 0.0, str(tmp_path / name), "", "/", "/run/x.sock", "1")
        for name in ("other.tap", "gone.tap")
    ]
    monkeypatch.setattr("taphouse.control.list_servers", lambda: others)
    lock = owning.take_lock(str(tmp_path / "a.tap"), on_wait=lambda _text: holder.stdin.close())  # type: ignore[union-attr]
    assert lock.is_held
    lock.release()


@pytest.mark.process
def test_a_holder_that_does_not_end_is_named(
    holder: Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owning, "_HOLDER_WAIT_S", 0.0)
    with pytest.raises(AlreadyRunningError, match=f"process {holder.pid} uses it"):
        owning.take_lock(str(tmp_path / "a.tap"))


def test_an_owned_tap_is_free_again_behind_the_block(tmp_path: Path) -> None:
    path = tmp_path / "a.tap"
    with pytest.raises(ZeroDivisionError), owning.owned(str(path)):
        1 / 0  # noqa: B018
    lock = TapLock(path)
    lock.acquire(wait_s=0)
    lock.release()

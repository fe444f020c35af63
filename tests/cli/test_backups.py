"""Backups that are kept in a folder, pruned, and put back."""

from __future__ import annotations

import re
import shutil
import signal
import stat
import threading
from pathlib import Path

import pytest

from playground import PATIENCE_S, Playground
from taphouse.cli.inspecting.backups import back_up_into, restore
from taphouse.errors import ConfigurationError, TapError
from taphouse.persist import check_integrity, read_document, read_info

pytestmark = pytest.mark.process

NAME = re.compile(r"otk-\d{8}T\d{6}Z(-\d+)?\.tap")


@pytest.fixture(autouse=True)
def _the_registry_is_the_playgrounds(playground: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPHOUSE_RUNTIME_DIR", str(playground.registry))


def keys_in(path: Path) -> int:
    return int(read_document(path)["objects"]["Keys#1"]["state"]["nextkey"])


class Load:
    """Asks for keys all the time, from another thread, until the server is gone."""

    def __init__(self, place: Playground) -> None:
        self.place = place
        self.given: list[int] = []
        self.thread = threading.Thread(target=self.ask)
        self.thread.start()

    def ask(self) -> None:
        while True:
            try:
                answer = self.place.ask(8123)
            except (OSError, TimeoutError):
                return
            if not answer.endswith(b"\n"):
                return
            self.given.append(int(answer))

    def wait_for(self, count: int) -> None:
        target = len(self.given) + count
        self.place.wait_until(lambda: len(self.given) >= target, "keys")


def test_a_backup_made_under_load_is_put_back_after_a_kill(state: Playground) -> None:
    """The server goes on as of the backup; what it had when it died is kept beside it."""
    backups = state.make_folder("backups")
    state.run("twistd", "-f", "otk-shutdown.tap")
    load = Load(state)
    load.wait_for(20)
    before = len(load.given)
    said = state.run("tap", "backup", "otk", "-o", "backups", "--keep", "2").stdout
    after = len(load.given)
    load.wait_for(20)
    state.kill(signal.SIGKILL)
    load.thread.join(PATIENCE_S)
    [made] = backups.iterdir()
    assert NAME.fullmatch(made.name) and said.startswith(f"backups/{made.name}: otk as of epoch ")
    kept = keys_in(made)
    # Key 0 was given before; who hears of a key gets it counted, and one request may be under way.
    assert 1 + before <= kept <= 1 + after + 2
    said = state.run("tap", "restore", f"backups/{made.name}", "otk-shutdown.tap").stdout
    lineage = read_info(made).lineage
    assert said.startswith(
        f"otk-shutdown.tap: state of otk as of epoch {read_info(made).epoch}, lineage {lineage}."
    )
    assert "otk-shutdown.tap.1: what was there: epoch " in said and f"lineage {lineage}." in said
    assert keys_in(state.folder / "otk-shutdown.tap.1") >= 1 + len(load.given)
    state.run("twistd", "-f", "otk-shutdown.tap")
    assert state.ask(8123) == b"%d\n" % kept


def test_only_the_newest_remain_and_only_what_was_made_here_goes(state: Playground) -> None:
    folder, tap = state.make_folder("backups"), str(state.folder / "otk-shutdown.tap")
    back_up_into(tap, str(folder), 0)
    [first] = folder.iterdir()
    stamps = ["20200101T000000Z", "20200102T000000Z", "20200102T000000Z-2", "20200102T000000Z-10"]
    for stamp in stamps:
        shutil.copy(first, folder / f"otk-{stamp}.tap")
    first.unlink()
    strange = {
        "otk-20200103T000000Z.tap.1": first,  # another name
        "kto-20190101T000000Z.tap": first,  # of another server
        "otk-2019.tap": first,
    }
    for name in strange:
        shutil.copy(folder / f"otk-{stamps[0]}.tap", folder / name)
    (folder / "otk-20190101T000000Z.tap").write_text("mine")
    (folder / "otk-20190102T000000Z.tap").symlink_to(tap)
    # Another lineage: the seed of another day.
    state.run("python", "otk.py")
    shutil.copy(state.folder / "otk-start.tap", folder / "otk-20190103T000000Z.tap")
    said = back_up_into(tap, str(folder), 3)
    left = {path.name for path in folder.iterdir()}
    made = next(
        name for name in left if NAME.fullmatch(name) and not name.startswith(("otk-2019", "otk-2020"))
    )
    assert left == {
        *strange, made, "otk-20190101T000000Z.tap", "otk-20190102T000000Z.tap", "otk-20190103T000000Z.tap",
        "otk-20200102T000000Z-2.tap", "otk-20200102T000000Z-10.tap",
    }  # fmt: skip
    assert sum(line.endswith(": removed, 3 newer ones kept.") for line in said) == 2
    assert any("otk-20190101T000000Z.tap: left alone: is not a tap" in line for line in said)


def test_a_backup_that_somebody_has_run_is_nobodys_to_remove(state: Playground) -> None:
    """It holds newer state than it was made with: running, and stopped too."""
    folder, tap = state.make_folder("backups"), str(state.folder / "otk-shutdown.tap")
    back_up_into(tap, str(folder), 0)
    [made] = folder.iterdir()
    old = folder / "otk-20200101T000000Z.tap"
    made.rename(old)
    state.run("twistd", "-f", f"backups/{old.name}")
    assert state.ask(8123) == b"1\n"
    back_up_into(tap, str(folder), 1)
    assert state.ask(8123) == b"2\n"
    state.kill()
    back_up_into(tap, str(folder), 1)
    assert keys_in(old) == 3
    assert len(list(folder.iterdir())) == 2


def test_the_new_backup_stays_even_if_the_clock_went_back(state: Playground) -> None:
    folder, tap = state.make_folder("backups"), str(state.folder / "otk-shutdown.tap")
    back_up_into(tap, str(folder), 0)
    [made] = folder.iterdir()
    made.rename(folder / "otk-29990101T000000Z.tap")
    back_up_into(tap, str(folder), 1)
    [left] = folder.iterdir()
    assert left.name != "otk-29990101T000000Z.tap"


def test_two_backups_of_one_second_are_two_files(state: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taphouse.cli.inspecting.backups.time.strftime", lambda *_: "20260101T000000Z")
    folder, tap = state.make_folder("backups"), str(state.folder / "otk-shutdown.tap")
    for _ in range(3):
        back_up_into(tap, str(folder), 2)
    left = {path.name for path in folder.iterdir()}
    assert left == {"otk-20260101T000000Z-2.tap", "otk-20260101T000000Z-3.tap"}


def test_restore_refuses_what_would_lose_or_mix_state(state: Playground) -> None:
    tap = state.folder / "otk-shutdown.tap"
    backup = state.folder / "safe.tap"
    state.run("tap", "backup", "otk-shutdown.tap", "safe.tap")
    before = tap.read_bytes()
    with pytest.raises(ConfigurationError, match="is that tap itself"):
        restore(str(tap), str(tap))
    with pytest.raises(ConfigurationError, match="is a seed, and .* holds state"):
        restore(str(state.folder / "otk-start.tap"), str(tap))
    (state.folder / "bad.tap").write_bytes(before[:-4096])
    with pytest.raises(TapError, match="bad.tap"):
        restore(str(state.folder / "bad.tap"), str(tap))
    assert tap.read_bytes() == before
    state.run("twistd", "-f", "otk-shutdown.tap")
    assert (
        f"process {state.pid()} uses it"
        in state.run("tap", "restore", "safe.tap", tap.name, status=75).stderr
    )
    assert state.ask(8123) == b"1\n"
    state.kill()
    assert keys_in(backup) == 1
    assert not [name for name in state.files() if name.endswith(".tmp")]


def test_restore_over_a_damaged_tap_keeps_it_too(state: Playground) -> None:
    """The case in which a backup is needed most."""
    tap = state.folder / "otk-shutdown.tap"
    state.run("tap", "backup", "otk-shutdown.tap", "safe.tap")
    damaged = tap.read_bytes()[:-5000]
    tap.write_bytes(damaged)
    tap.chmod(0o640)
    said = restore(str(state.folder / "safe.tap"), str(tap))
    assert "what was there: damaged, lineage unknown." in said[1]
    assert (state.folder / "otk-shutdown.tap.1").read_bytes() == damaged
    check_integrity(tap)
    assert keys_in(tap) == 1
    assert stat.S_IMODE(tap.stat().st_mode) == 0o640


def test_options_that_contradict_each_other_are_refused(state: Playground) -> None:
    said = state.run("tap", "backup", "otk-shutdown.tap", "x.tap", "--keep", "3", status=64).stderr
    assert said == "tap: --keep does not go with x.tap; leave the name of the copy out, or the option\n"
    said = state.run("tap", "backup", "otk-shutdown.tap", "-o", "none", status=73).stderr
    assert said == "tap: none is no folder; make it, or give another with -o\n"
    assert "no whole number above 0" in state.run("tap", "backup", "otk", "--keep", "0", status=64).stderr

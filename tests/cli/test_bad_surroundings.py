"""Ports, folders, users, pidfiles and disks that do not do: one line, the right status, nothing lost."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from cli.badinput import OTK, refused
from playground import Playground

pytestmark = pytest.mark.process


def test_a_busy_port_is_named(state: Playground) -> None:
    with socket.socket() as busy:
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        busy.bind(("127.0.0.1", state.port(8123)))
        busy.listen()
        line = refused(state, "twistd", "-f", "otk-shutdown.tap", status=69, says=(str(state.port(8123)),))
    assert "in use" in line
    assert line.removeprefix("twistd: ") in state.read("twistd.log").splitlines()[-1]


def test_a_run_directory_that_is_not_there_is_named(state: Playground) -> None:
    refused(
        state, "twistd", "-f", "otk-start.tap", "-d", "nowhere", status=78, says=("nowhere", "does not exist")
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused what others can write")
def test_root_does_not_run_in_a_folder_that_others_can_write(state: Playground) -> None:
    state.make_folder("shared").chmod(0o777)
    refused(
        state, "twistd", "-n", "-f", "otk-start.tap", "-d", "shared", status=77, says=("shared", "writable")
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused what others can write")
def test_root_does_not_start_a_tap_or_code_that_others_can_write(state: Playground) -> None:
    (state.folder / "otk-shutdown.tap").chmod(0o666)
    refused(state, "twistd", "-n", "-f", "otk-shutdown.tap", status=77, says=("otk-shutdown.tap", "writable"))


def test_a_log_file_that_cannot_be_written_is_named(state: Playground) -> None:
    state.make_folder("folder.log")
    refused(state, "twistd", "-f", "otk-shutdown.tap", "-l", "folder.log", status=73, says=("folder.log",))
    refused(state, "twistd", "-f", "otk-shutdown.tap", "-l", "none/x.log", status=73, says=("none/x.log",))


def test_unknown_users_are_usage_errors(state: Playground) -> None:
    for option in ("--uid", "--gid"):
        more = ("--uid", "nobody") if option == "--gid" else ()
        refused(
            state,
            "twistd",
            "-n",
            "-f",
            "otk-start.tap",
            *more,
            option,
            "nosuchone",
            status=64,
            says=("nosuchone",),
        )


@pytest.mark.parametrize("text", ["", "otk\n", "0\n", "-5\n"])
def test_a_pidfile_that_is_none_is_left_alone(state: Playground, text: str) -> None:
    (state.folder / "twistd.pid").write_text(text)
    refused(state, "twistd", "-f", "otk-shutdown.tap", status=78, says=("twistd.pid",))


def test_the_number_of_another_process_in_a_pidfile_stops_nobody(state: Playground) -> None:
    (state.folder / "twistd.pid").write_text(f"{os.getpid()}\n")
    state.run("twistd", "-f", "otk-shutdown.tap")
    assert state.pid() != os.getpid()
    assert state.ask(8123) == b"1\n"


def test_a_pidfile_clash_names_the_option(state: Playground) -> None:
    state.write("two.py", OTK.replace('"otk"', '"two"').replace("8123", "8124"))
    state.run("twistd", "-f", "otk-shutdown.tap")
    refused_by = state.run("twistd", "-y", "two.py", status=75).stderr
    assert str(state.pid()) in refused_by
    assert "--pidfile" in refused_by
    state.run("twistd", "-y", "two.py", "--pidfile", "two.pid", "-l", "two.log")
    assert (state.ask(8123), state.ask(8124)) == (b"1\n", b"0\n")


@pytest.mark.parametrize("link", [os.link, os.symlink], ids=["hardlink", "symlink"])
def test_a_second_start_is_refused_whatever_path_leads_to_the_tap(
    state: Playground, link: Callable[[Path, Path], None]
) -> None:
    elsewhere = state.make_folder("elsewhere")
    state.run("twistd", "-f", "otk-shutdown.tap")
    link(state.folder / "otk-shutdown.tap", elsewhere / "other.tap")
    done = state.run("twistd", "-f", "other.tap", status=75, folder="elsewhere")
    assert str(state.pid()) in done.stderr
    assert state.ask(8123) == b"1\n"


FULL = """\
import sys
from taphouse.cli.twistd import main
from taphouse.persist import SqliteStore

def on_io(step):
    if step == {step!r}:
        full.append(step)
        if len(full) > {after}:
            raise OSError(28, "No space left on device")

full = []
SqliteStore.on_io = staticmethod(on_io)
sys.exit(main(sys.argv[1:]))
"""


def test_a_disk_that_is_full_at_the_first_commit_leaves_nothing_behind(seed: Playground) -> None:
    seed.write("full.py", FULL.format(step="create", after=0))
    line = refused(seed, "python", "full.py", "-f", "otk-start.tap", status=74, says=("No space left",))
    assert "otk-shutdown.tap" in line
    assert not seed.accepts(8123)


def test_a_disk_that_fills_up_while_it_runs_ends_the_server_and_keeps_what_was_committed(
    seed: Playground,
) -> None:
    seed.write("full.py", FULL.format(step="commit", after=2))
    child = seed.start("python", "full.py", "-n", "-f", "otk-start.tap")
    seed.wait_until(lambda: seed.accepts(8123), "the port")  # is given key 0, alone or with the next one
    given = []
    with pytest.raises(ConnectionError):
        while answer := seed.ask(8123):
            given.append(int(answer))
        raise ConnectionResetError
    assert given in ([1], [1, 2])
    said, _ = child.communicate(timeout=30)
    assert child.returncode == 74
    assert b"No space left on device" in said.splitlines()[-1]
    seed.run("twistd", "-f", "otk-shutdown.tap")
    assert int(seed.ask(8123)) == given[-1] + 1


def test_a_disk_that_is_full_while_saving_leaves_the_old_seed(seed: Playground) -> None:
    before = (seed.folder / "otk-start.tap").read_bytes()
    limited = (
        "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)); import signal; "
    )
    limited += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); runpy.run_path('otk.py', run_name='__main__')"
    done = seed.run(sys.executable, "-c", limited, status=None)
    assert done.returncode != 0
    assert "otk-start.tap" in done.stderr
    assert (seed.folder / "otk-start.tap").read_bytes() == before
    assert not [name for name in os.listdir(seed.folder) if name.endswith(".tmp")]


OVER_A_NETWORK = """\
import sys
from taphouse.cli.twistd import main
from taphouse.persist import places

places.place_of = lambda mountinfo, folder: places.Place({kind!r}, "/srv")
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("tap", ["otk-start.tap", "otk-shutdown.tap"])
def test_a_state_over_a_network_is_refused_with_the_reason_before_anything_is_touched(
    state: Playground, tap: str
) -> None:
    state.write("nfs.py", OVER_A_NETWORK.format(kind="nfs4"))
    command = ("python", "nfs.py", "-n", "-f", tap, *(("--fresh",) if "start" in tap else ()))
    refused(state, *command, status=78, says=("/srv is nfs4: its locks", "keep the state on a local disk"))


def test_a_state_behind_an_unknown_program_is_warned_of(state: Playground) -> None:
    state.write("fuse.py", OVER_A_NETWORK.format(kind="fuse.anything"))
    state.run("python", "fuse.py", "-f", "otk-shutdown.tap")
    assert "/srv is fuse.anything: whether a sync reaches a disk" in state.read("twistd.log")


def test_whoever_is_impatient_does_not_cut_the_end_of_a_server_short(state: Playground) -> None:
    """Stop signals come until it has gone: pidfile and lock are given back, the log is whole."""
    for _ in range(3):
        state.run("twistd", "-f", "otk-shutdown.tap")
        process = os.pidfd_open(state.pid())
        gone = select.poll()
        gone.register(process, select.POLLIN)
        while not gone.poll(0):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, signal.SIGTERM)
        os.close(process)
        assert "twistd.pid" not in state.files()
        assert not (state.folder / ".otk-shutdown.tap.lock").exists()
        assert state.read("twistd.log").splitlines()[-1].endswith("Server Shut Down.")

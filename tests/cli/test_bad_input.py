"""Bad input gets one clear line and the right status, and loses nothing: every file is as it was."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from playground import Playground

pytestmark = pytest.mark.process

OTK = """\
from taphouse import Application, Factory, Protocol

class OneTimeKey(Protocol):
    def connection_made(self, transport):
        key = self.factory.nextkey
        self.factory.nextkey += 1
        transport.write(b"%d\\n" % key)
        transport.close()

class Keys(Factory):
    protocol = OneTimeKey

    def __init__(self):
        self.nextkey = 0

app = Application("otk")
app.listenTCP(8123, Keys(), interface="127.0.0.1")

if __name__ == "__main__":
    app.save("start")
"""


@pytest.fixture
def seed(playground: Playground) -> Playground:
    """A folder with otk.py and its seed."""
    playground.write("otk.py", OTK)
    playground.run("python", "otk.py")
    return playground


@pytest.fixture
def state(seed: Playground) -> Playground:
    """The same with a state tap that a server left in order, one key given."""
    seed.run("twistd", "-f", "otk-start.tap")
    assert seed.ask(8123) == b"0\n"
    seed.kill()
    return seed


def contents(playground: Playground) -> dict[str, bytes]:
    """Return every file but logs; hidden ones too, except the locks that live for the time of a start."""
    return {
        str(path.relative_to(playground.folder)): path.read_bytes()
        for path in playground.folder.rglob("*")
        if path.is_file() and not path.name.endswith((".log", ".lock", ".pyc"))
    }


def refused(
    playground: Playground, *command: str, status: int, says: tuple[str, ...], folder: str = "."
) -> str:
    """Run a command that is refused in one line, and see that no file has changed."""
    before = contents(playground)
    done = playground.run(*command, status=status, folder=folder)
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    for text in says:
        assert text in lines[0]
    assert contents(playground) == before
    return lines[0]


# --- taps ---------------------------------------------------------------------------------------


def test_a_missing_tap_is_named(playground: Playground) -> None:
    refused(playground, "twistd", "-f", "nothere.tap", status=78, says=("nothere.tap", "no such file"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = data.index(b"nextkey")
    data[at] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def make_foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (x)")
    database.close()


def make_newer(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[60:64] = (99).to_bytes(4, "big")
    path.write_bytes(data)


def make_text(path: Path) -> None:
    path.write_text("import os\n" * 100)


@pytest.mark.parametrize("tap", ["otk-start.tap", "otk-shutdown.tap"])
@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (cut, "cut off"),
        (flip, ""),
        (empty, "not a tap"),
        (make_foreign, "not a tap"),
        (make_newer, "format 99"),
        (make_text, "not a tap"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_damaged_or_foreign_tap_is_refused_by_name(
    state: Playground, tap: str, damage: Callable[[Path], None], word: str
) -> None:
    damage(state.folder / tap)
    for command in (["twistd", "-n", "-f", tap], ["tap", "show", tap], ["tap", "check", tap]):
        refused(state, *command, status=78, says=(tap, word))


def test_an_open_tap_without_its_wal_is_never_opened_as_older_state(seed: Playground) -> None:
    seed.run("twistd", "-f", "otk-start.tap")
    assert seed.ask(8123) == b"0\n"
    seed.kill(signal.SIGKILL)
    (seed.folder / "otk-shutdown.tap-wal").unlink()
    (seed.folder / "twistd.pid").unlink()
    for tap in ("otk-shutdown.tap", "otk-start.tap"):
        refused(seed, "twistd", "-n", "-f", tap, status=78, says=("otk-shutdown.tap", "-wal"))


def test_a_seed_is_refused_where_newer_state_lies_with_both_cures(state: Playground) -> None:
    line = refused(state, "twistd", "-f", "otk-start.tap", status=78, says=("otk-shutdown.tap",))
    assert "-f otk-shutdown.tap" in line
    assert "--fresh" in line


def test_fresh_begins_anew_and_keeps_what_was(state: Playground) -> None:
    before = (state.folder / "otk-shutdown.tap").read_bytes()
    state.run("twistd", "-f", "otk-start.tap", "--fresh")
    assert state.ask(8123) == b"0\n"
    state.kill()
    assert (state.folder / "otk-shutdown.tap.1").read_bytes() == before


def test_damaged_state_can_be_set_aside_too(state: Playground) -> None:
    flip(state.folder / "otk-shutdown.tap")
    before = (state.folder / "otk-shutdown.tap").read_bytes()
    state.run("twistd", "-f", "otk-start.tap", "--fresh")
    assert state.ask(8123) == b"0\n"
    assert (state.folder / "otk-shutdown.tap.1").read_bytes() == before


def test_state_that_is_to_be_gone_on_from_must_be_there_or_a_seed_named(seed: Playground) -> None:
    refused(
        seed, "twistd", "-n", "--state", "a.tap", status=78, says=("a.tap does not exist", "give -f SEED")
    )
    refused(
        seed, "twistd", "-n", "--state", "otk-start.tap", status=78, says=("otk-start.tap", "only ever read")
    )


# --- code ---------------------------------------------------------------------------------------


def test_a_module_that_is_not_there_is_named_with_where_was_looked(state: Playground) -> None:
    (state.folder / "otk.py").unlink()
    for tap in ("otk-shutdown.tap", "otk-start.tap"):
        line = refused(state, "tap", "check", tap, status=78, says=("module otk is not there",))
        assert str(state.folder) in line
    refused(state, "twistd", "-n", "-f", "otk-shutdown.tap", status=78, says=("module otk is not there",))


def test_a_module_that_is_installed_but_not_allowed_is_refused(state: Playground) -> None:
    elsewhere = state.make_folder("elsewhere")
    (state.folder / "otk.py").rename(elsewhere / "otk.py")
    before = contents(state)
    more = {"PYTHONPATH": str(elsewhere)}
    done = state.run("twistd", "-n", "-f", "otk-shutdown.tap", status=78, environment=more)
    assert "module otk" in done.stderr
    assert "is not allowed" in done.stderr
    assert contents(state) == before
    state.run("twistd", "-f", "otk-shutdown.tap", "--allow-module", "otk", environment=more)
    assert state.ask(8123) == b"1\n"


def test_a_module_that_another_one_shadows_is_refused_with_both(state: Playground) -> None:
    elsewhere = state.make_folder("elsewhere")
    shutil.copy(state.folder / "otk.py", elsewhere)
    done = state.run(
        "twistd", "-n", "-f", "otk-shutdown.tap", status=78, environment={"PYTHONPATH": str(elsewhere)}
    )
    assert f"module otk in {state.folder} is shadowed by {elsewhere / 'otk.py'}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_class_that_is_gone_or_renamed_is_named(state: Playground) -> None:
    text = (
        state.read("otk.py")
        .replace("class Keys(", "class Locks(")
        .replace("Keys(), inter", "Factory(), inter")
    )
    (state.folder / "otk.py").write_text(text)
    refused(state, "twistd", "-n", "-f", "otk-shutdown.tap", status=78, says=("otk.Keys",))


def test_a_protocol_that_is_gone_is_named_with_its_listener(playground: Playground) -> None:
    text = "\n".join(OTK.split("class Keys(Factory)", maxsplit=1)[0].splitlines())
    text += "\nf = Factory()\nf.protocol = OneTimeKey\nf.nextkey = 0\n"
    text += 'app = Application("otk")\napp.listenTCP(8123, f)\napp.save("start")\n'
    playground.write("otk.py", text)
    playground.run("python", "otk.py")
    (playground.folder / "otk.py").write_text(
        playground.with_free_ports(text).replace("OneTimeKey", "AnyKey")
    )
    label = f"tcp:{playground.port(8123)}"
    refused(
        playground, "twistd", "-n", "-f", "otk-start.tap", status=78, says=(label, "needs", "otk.OneTimeKey")
    )


def test_a_class_that_is_newer_in_the_tap_than_in_the_code_is_named(seed: Playground) -> None:
    text = seed.read("otk.py")
    (seed.folder / "otk.py").write_text(text.replace("class Keys(Factory)", "class Keys(Factory, version=3)"))
    seed.run("python", "otk.py")
    (seed.folder / "otk.py").write_text(text)
    refused(seed, "twistd", "-n", "-f", "otk-start.tap", status=78, says=("otk.Keys", "3", "1"))


def test_an_upgrade_step_that_is_missing_is_named(state: Playground) -> None:
    text = state.read("otk.py")
    (state.folder / "otk.py").write_text(
        text.replace("class Keys(Factory)", "class Keys(Factory, version=2)")
    )
    refused(state, "twistd", "-n", "-f", "otk-shutdown.tap", status=78, says=("otk.Keys", "upgrade_from_1"))


def test_a_renamed_class_that_keeps_its_name_goes_on(state: Playground) -> None:
    text = state.read("otk.py")
    renamed = text.replace("class Keys(Factory)", 'class Locks(Factory, name="otk.Keys")').replace(
        "Keys(), inter", "Locks(), inter"
    )
    (state.folder / "otk.py").write_text(renamed)
    state.run("twistd", "-f", "otk-shutdown.tap")
    assert state.ask(8123) == b"1\n"


UNSAVABLE = """\
import socket
from taphouse import Application, Factory, Protocol

class Keys(Factory):
    protocol = Protocol

keys = Keys()
app = Application("otk")
app.listenTCP(8123, keys)
{statement}
app.save("start")
"""


def test_a_value_that_cannot_be_saved_is_refused_at_its_statement(playground: Playground) -> None:
    playground.write("bad.py", UNSAVABLE.format(statement="keys.cache = {'k': [1, socket.socket()]}"))
    done = playground.run("python", "bad.py", status=1)
    assert "line 10" in done.stderr
    assert "cache['k'][1]: a socket cannot be saved" in done.stderr
    assert playground.files() == {"bad.py"}


def test_a_protocol_that_cannot_be_saved_is_refused_at_save_by_its_listener(playground: Playground) -> None:
    playground.write("bad.py", UNSAVABLE.format(statement="app.listenTCP(8124, lambda: Protocol())"))
    done = playground.run("python", "bad.py", status=70)
    assert done.stderr.startswith(f"bad.py: tcp:{playground.port(8124)}: a lambda cannot be saved")
    assert len(done.stderr.splitlines()) == 1
    assert playground.files() == {"bad.py"}


def test_classes_typed_at_a_prompt_are_refused_at_save(playground: Playground) -> None:
    text = playground.with_free_ports(UNSAVABLE.format(statement=""))
    done = playground.run("python", "-", status=78, stdin=text)
    assert done.stderr.splitlines()[-1].startswith("-: classes typed at a prompt cannot be found again")
    assert playground.files() == set()


@pytest.mark.parametrize("name", ["../otk", "a b", "-f", "", "x" * 65, "otk\\n", ".otk", "o/t", "\\u202eotk"])
def test_a_hostile_application_name_is_refused_where_it_is_given(playground: Playground, name: str) -> None:
    playground.write("bad.py", f'from taphouse import Application\nApplication("{name}")\n')
    done = playground.run("python", "bad.py", status=1)
    last = done.stderr.splitlines()[-1]
    assert "application name" in last and "is not allowed" in last
    assert last.isprintable()
    refused(
        playground, "twistd", "-n", "-y", "bad.py", status=78, says=("application name", "is not allowed")
    )


def test_a_seed_never_replaces_state_or_another_file(state: Playground) -> None:
    text = state.read("otk.py")
    (state.folder / "otk.py").write_text(text.replace('app.save("start")', 'app.save("shutdown")'))
    refused(state, "python", "otk.py", status=78, says=("otk-shutdown.tap", "state of otk"))
    (state.folder / "otk.py").write_text(text.replace('app.save("start")', 'app.save(filename="otk.py")'))
    refused(state, "python", "otk.py", status=78, says=("otk.py", "is no tap"))


# --- addresses, files, users --------------------------------------------------------------------


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
    seed.wait_until(lambda: seed.accepts(8123), "the port")  # is given key 0
    assert seed.ask(8123) == b"1\n"
    with pytest.raises((ConnectionError, AssertionError)):
        assert seed.ask(8123) == b"2\n"
        child.wait(0.01)
    said, _ = child.communicate(timeout=30)
    assert child.returncode == 74
    assert b"No space left on device" in said.splitlines()[-1]
    seed.run("twistd", "-f", "otk-shutdown.tap")
    assert seed.ask(8123) in {b"2\n", b"3\n"}


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

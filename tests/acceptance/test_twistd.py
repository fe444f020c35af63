"""twistd, check by check: what its manuals, its tests and twenty years of users ask of it."""

from __future__ import annotations

import os
import pstats
import re
import select
import signal
import socket
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from bench.ports import free_port

from playground import PATIENCE_S

pytestmark = pytest.mark.process

APP3 = "03-one-time-keys/app3.py"
NOBODY, NOGROUP = 65534, 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give privileges away")


@pytest.fixture
def seed(playground):
    """A folder with the seed of the one-time-key server."""
    playground.example(APP3)
    playground.run("python", "app3.py")
    return playground


@pytest.fixture
def keys(seed):
    """The same, running."""
    seed.run("twistd", "-f", "otk-start.tap")
    return seed


def says(done, *words):
    """The command gave its reason in one line on standard error, with all of these words."""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]
    return True


def ids(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: {int(number) for number in fields[name].split()} for name in ("Uid", "Gid", "Groups")}


# --- command line ---------------------------------------------------------------------------------


def test_check_26_nothing_to_run_prints_help_and_ends_with_64(playground):
    done = playground.run("twistd", status=64)
    assert "--pidfile" in done.stdout + done.stderr


def test_check_26_an_unknown_option_is_told_on_standard_error(playground):
    says(playground.run("twistd", "--nodeamon", status=64), "--nodeamon", "--nodaemon")


def test_check_32_a_daemon_cannot_log_to_standard_output(seed):
    says(seed.run("twistd", "-f", "otk-start.tap", "-l", "-", status=64), "-l", "--nodaemon")


def test_check_32_in_the_foreground_the_log_goes_to_standard_output(seed):
    child = seed.start("twistd", "-n", "-l", "-", "-f", "otk-start.tap")
    assert b"Log opened." in child.stdout.readline()
    seed.wait_until(lambda: seed.accepts(8123), "the port")
    seed.ask(8123)  # bound is not yet ready
    child.send_signal(signal.SIGTERM)
    said, _ = child.communicate(timeout=30)
    assert child.returncode == 0
    assert b"Server Shut Down." in said
    assert "twistd.log" not in seed.files()


# --- two at once ------------------------------------------------------------------------------------


def test_check_27_a_second_start_is_refused_with_the_pid_of_the_first(keys):
    done = keys.run("twistd", "-f", "otk-shutdown.tap", status=75)
    says(done, str(keys.pid()))
    assert keys.ask(8123) == b"0\n"


def test_check_28_a_stale_pidfile_is_noticed_and_replaced(keys):
    stale = keys.pid()
    keys.kill(signal.SIGKILL)
    assert keys.pid() == stale
    keys.run("twistd", "-f", "otk-shutdown.tap")
    assert keys.pid() != stale
    assert re.search(rf"stale pidfile.*{stale}", keys.read("twistd.log"))


def test_check_28_quiet_does_not_mention_a_stale_pidfile(keys):
    keys.kill(signal.SIGKILL)
    keys.run("twistd", "--quiet", "-f", "otk-shutdown.tap")
    assert "stale" not in keys.read("twistd.log")
    assert keys.ask(8123) == b"0\n"


@pytest.mark.parametrize("content", ["hello\n", ""], ids=["text", "empty"])
def test_check_29_a_pidfile_that_is_none_is_left_alone(seed, content):
    (seed.folder / "twistd.pid").write_text(content)
    done = seed.run("twistd", "-f", "otk-start.tap", status=78)
    says(done, "twistd.pid", "non-numeric" if content else "empty")
    assert seed.read("twistd.pid") == content
    assert not seed.accepts(8123)
    assert "otk-shutdown.tap" not in seed.files()


def test_check_30_the_number_of_another_program_does_not_stop_a_start(seed):
    (seed.folder / "twistd.pid").write_text(f"{os.getpid()}\n")
    seed.run("twistd", "-f", "otk-start.tap")
    assert seed.ask(8123) == b"0\n"
    assert seed.pid() != os.getpid()


def test_check_31_a_second_server_in_one_run_directory_is_refused(seed):
    seed.make_folder("run")
    seed.run("twistd", "-d", "run", "-f", "otk-start.tap")
    says(seed.run("twistd", "-d", "run", "-f", "otk-start.tap", status=75), "run")
    assert seed.ask(8123) == b"0\n"


# --- the log ----------------------------------------------------------------------------------------


def test_check_33_usr1_begins_a_new_log_with_the_old_mode(keys):
    (keys.folder / "twistd.log").chmod(0o640)
    os.kill(keys.pid(), signal.SIGUSR1)
    keys.wait_until(lambda: "twistd.log.1" in keys.files(), "the rotated log")
    keys.ask(8123)
    new = keys.folder / "twistd.log"  # which may have no name yet
    keys.wait_until(lambda: new.exists() and "giving key 0" in new.read_text(), "the line in the new log")
    assert "Log opened." in keys.read("twistd.log.1")
    assert "giving key" not in keys.read("twistd.log.1")
    assert (keys.folder / "twistd.log").stat().st_mode & 0o777 == 0o640


def test_check_33_usr1_does_not_end_a_server_in_the_foreground(seed):
    child = seed.start("twistd", "-n", "-f", "otk-start.tap")
    seed.wait_until(lambda: seed.accepts(8123), "the port")
    before = int(seed.ask(8123))
    child.send_signal(signal.SIGUSR1)
    assert int(seed.ask(8123)) == before + 1
    assert child.poll() is None


LATE_LOG = """\
import os
import sys
import time

from taphouse.cli.twistd import main
from taphouse.daemon.logwriter import LogWriter

real = LogWriter._run


def late(writer):
    while not os.path.exists("go on"):
        time.sleep(0.01)
    real(writer)


LogWriter._run = late
sys.exit(main())
"""


def test_the_start_is_in_the_log_when_the_command_returns(seed):
    seed.write("late_log.py", LATE_LOG)
    seed.run("python late_log.py -f otk-start.tap >said 2>&1")  # a pipe would end only with the thread's help
    log = seed.read("twistd.log")
    (seed.folder / "go on").touch()
    assert "Starting factory" in log
    seed.kill()
    assert seed.read("twistd.log").splitlines()[-1].endswith("Server Shut Down.")


NOISY = """\
import logging

from taphouse import Application, Factory, Protocol


class Noise(Protocol):
    def connection_made(self, transport):
        try:
            {}["missing"]
        except KeyError:
            logging.exception("noise %d", self.factory.heard)
        self.factory.heard += 1
        transport.write(b"noise\\n")
        transport.close()


f = Factory()
f.protocol = Noise
f.heard = 0
application = Application("noisy")
application.listenTCP(8130, f)
"""


def test_check_34_rotation_splits_no_traceback_and_numbers_by_age(playground):
    playground.write("noisy.py", NOISY)
    (playground.folder / "twistd.log.old").write_text("not one of ours\n")
    playground.run("twistd", "-y", "noisy.py", "--log-size", "2k")
    for _ in range(40):
        assert playground.ask(8130) == b"noise\n"
    playground.kill(signal.SIGTERM)

    numbers = sorted(int(name[11:]) for name in playground.files() if re.fullmatch(r"twistd\.log\.\d+", name))
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 3
    by_age = [*(playground.read(f"twistd.log.{number}") for number in reversed(numbers))]
    by_age.append(playground.read("twistd.log"))
    for text in by_age:
        assert text.endswith("\n")
        assert text.count("Traceback (most recent call last)") == text.count("KeyError: 'missing'")
    noises = re.findall(r"^\d{4}-\S+ .* noise (\d+)$", "".join(by_age), re.MULTILINE)
    assert noises == [str(number) for number in range(40)]
    assert "".join(by_age).count("KeyError: 'missing'") == 40
    assert playground.read("twistd.log.old") == "not one of ours\n"


def test_check_34_a_folder_that_cannot_be_written_stops_rotation_not_the_server(playground):
    playground.write("noisy.py", NOISY)
    logs = playground.make_folder("logs")
    command = ("twistd", "-y", "noisy.py", "--log-size", "2k", "-l", "logs/noisy.log")
    (logs / "noisy.log").touch()
    logs.chmod(0o555)
    playground.run(*playground.without("dac_override"), *command)
    for _ in range(20):
        assert playground.ask(8130) == b"noise\n"
    playground.kill(signal.SIGTERM)
    assert [path.name for path in logs.iterdir()] == ["noisy.log"]
    assert playground.read("logs/noisy.log").count("KeyError: 'missing'") == 20
    logs.chmod(0o755)


SYSLOG_ELSEWHERE = """\
import sys

import taphouse.daemon.logs as logs
import taphouse.daemon.syslog
from taphouse.cli.twistd import main

taphouse.daemon.syslog._TIMEOUT_S = 30.0  # nothing is lost where the reader does not get to run for a while
path, real = sys.argv.pop(1), logs.SyslogSink
logs.SyslogSink = lambda prefix, **_: real(prefix, path=path)
sys.exit(main())
"""


@contextmanager
def syslog_at(path, records):
    """A syslog daemon that keeps what it is sent; its queue is short, so it has to read all the time."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(path))

        def read():
            while record := syslog.recv(65536):
                records.append(record.decode())

        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
                end.sendto(b"", str(path))
            reader.join()


@pytest.mark.parametrize("foreground", [True, False], ids=["foreground", "daemon"])
def test_check_40_syslog_gets_each_line_as_a_record_with_the_prefix(seed, foreground):
    seed.write("to_our_syslog.py", SYSLOG_ELSEWHERE)
    command = ["python", "to_our_syslog.py", str(seed.folder / ".syslog"), "-f", "otk-start.tap"]
    command += ["--syslog", "--prefix", "keys"]
    records = []
    with syslog_at(seed.folder / ".syslog", records):
        if foreground:
            child = seed.start(*command, "-n")
            seed.wait_until(lambda: seed.accepts(8123), "the port")
            seed.ask(8123)
            child.send_signal(signal.SIGTERM)
            child.communicate(timeout=30)
        else:
            seed.run(*command)
            seed.kill(signal.SIGTERM)

    texts = [re.fullmatch(r"<\d+>.*?\bkeys\[\d+\]: (.*)", record) for record in records]
    assert all(texts), records
    assert any("Loaded." in text[1] for text in texts)
    assert any("Server Shut Down." in text[1] for text in texts)
    assert "twistd.log" not in seed.files()


# --- what is run ------------------------------------------------------------------------------------


def test_check_35_no_save_leaves_no_state(seed):
    seed.run("twistd", "-o", "-f", "otk-start.tap")
    assert seed.ask(8123) == b"0\n"
    seed.kill(signal.SIGTERM)
    assert not any("shutdown" in name for name in seed.files())


def test_check_35_a_python_file_is_run_and_keeps_its_state(playground):
    playground.write("counting.py", COUNTING)
    playground.run("twistd", "-y", "counting.py")
    assert playground.ask(8133) == b"1\n"
    playground.kill(signal.SIGTERM)
    assert "counting-shutdown.tap" in playground.files()
    playground.run("twistd", "-y", "counting.py")
    assert playground.ask(8133) == b"2\n"


COUNTING = """\
from taphouse import Application, Factory


class Counting(Factory):
    count = 0

    async def serve(self, reader, writer):
        self.count += 1
        writer.write(b"%d\\n" % self.count)


application = Application("counting")
application.listenTCP(8133, Counting())
"""


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("x = 1\n", "pplication"),
        ("from taphouse import Application\na = Application('a')\nb = Application('b')\n", "two.py"),
        ("def f(:\n", "line 1"),
        (None, "two.py"),
    ],
    ids=["no application", "two applications", "syntax error", "missing"],
)
def test_check_36_a_python_file_that_cannot_be_run_is_told_on_terminal_and_log(playground, text, cause):
    if text is not None:
        playground.write("two.py", text)
    done = playground.run("twistd", "-y", "two.py", status=78)
    says(done, "two.py", cause)
    assert cause in playground.read("twistd.log").splitlines()[-1]
    assert playground.files() <= {"two.py", "twistd.log"}


# --- users ------------------------------------------------------------------------------------------

LOW = """\
from taphouse import Application, Factory
from taphouse.protocols import Daytime

f = Factory()
f.protocol = Daytime
application = Application("low", uid=USER, gid=GROUP)
application.listenTCP(PORT, f)
if __name__ == "__main__":
    application.save("start")
"""


@as_root
def test_check_24_a_low_port_is_opened_and_the_privileges_are_gone(playground):
    port = free_port(range(200, 1024))
    text = LOW.replace("PORT", str(port)).replace("USER", str(NOBODY)).replace("GROUP", str(NOGROUP))
    playground.write("low.py", text)
    playground.run("python", "low.py")
    playground.give_to(NOBODY, NOGROUP)
    playground.run(*playground.for_any_user(), "-f", "low-start.tap")
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        assert connection.recv(100)
    found = ids(playground.pid())
    assert (found["Uid"], found["Gid"]) == ({NOBODY}, {NOGROUP})
    assert found["Groups"] <= {NOGROUP}
    playground.kill(signal.SIGTERM)
    assert "twistd.pid" not in playground.files()
    assert (playground.folder / "low-shutdown.tap").stat().st_uid == NOBODY


@as_root
@pytest.mark.parametrize(("user", "group"), [("nobody", "nogroup"), (str(NOBODY), str(NOGROUP))])
def test_check_38_users_are_given_by_name_or_by_number(seed, user, group):
    seed.give_to(NOBODY, NOGROUP)
    seed.run(*seed.for_any_user(), "-f", "otk-start.tap", "--uid", user, "--gid", group)
    assert seed.ask(8123) == b"0\n"
    assert ids(seed.pid())["Uid"] == {NOBODY}
    assert ids(seed.pid())["Gid"] == {NOGROUP}


@pytest.mark.parametrize("options", [("--uid", "no-such"), ("--uid", "nobody", "--gid", "no-such")])
def test_check_38_an_unknown_user_or_group_is_an_error_of_usage(seed, options):
    says(seed.run("twistd", "-f", "otk-start.tap", *options, status=64), "no-such")
    assert "otk-shutdown.tap" not in seed.files()


def test_check_38_ids_that_cannot_be_changed_end_the_start(seed):
    if os.geteuid() == 0:
        seed.give_to(NOBODY, NOGROUP)
    words = seed.without("setuid")
    done = seed.run(*words, "twistd", "-f", "otk-start.tap", "--uid", str(NOBODY), status=77)
    says(done, str(NOBODY))
    assert not seed.accepts(8123)
    assert seed.files().isdisjoint({"twistd.pid", "otk-shutdown.tap"})


@as_root
def test_check_37_a_chroot_without_a_run_directory_runs_in_its_root(seed):
    jail = seed.make_folder("jail")
    seed.run("mv", "otk-start.tap", "jail")
    seed.run("twistd", "-f", "jail/otk-start.tap", "--chroot", "jail")
    pid = next(pid for pid in seed.running())
    assert os.readlink(f"/proc/{pid}/root") == str(jail)
    assert os.readlink(f"/proc/{pid}/cwd") == str(jail)
    assert seed.ask(8123) == b"0\n"
    os.kill(pid, signal.SIGTERM)
    seed.wait_until(lambda: not seed.running(), "the end of the server")
    assert (jail / "otk-shutdown.tap").exists()


# --- finding faults ---------------------------------------------------------------------------------


def test_check_39_a_profile_is_written_at_the_stop(seed):
    seed.run("twistd", "-f", "otk-start.tap", "--profile", "run.profile")
    seed.ask(8123)
    seed.kill(signal.SIGTERM)
    assert "cumulative" in seed.read("run.profile")
    assert "connection_made" in seed.read("run.profile")


def test_check_39_saved_stats_can_be_loaded(seed):
    seed.run("twistd", "-f", "otk-start.tap", "--profile", "run.stats", "--savestats")
    seed.ask(8123)
    seed.kill(signal.SIGTERM)
    functions = {name for _, _, name in pstats.Stats(str(seed.folder / "run.stats")).stats}
    assert "connection_made" in functions


MELTDOWN = """\
import asyncio
import sys

from taphouse import Application, Factory, Protocol, Service


class Meltdown(Protocol):
    def data_received(self, data):
        WHAT


class Reactor(Service):
    restart = None

    async def run(self):
        self._v_alarm = asyncio.Event()
        await self._v_alarm.wait()
        raise RuntimeError("meltdown")


f = Factory()
f.protocol = Meltdown
application = Application("meltdown")
reactor = application.addService(Reactor())
f.reactor = reactor
application.listenTCP(8131, f)
"""


@pytest.mark.parametrize(
    "what",
    ["asyncio.get_running_loop().call_soon(sys.exit, 'meltdown')", "self.factory.reactor._v_alarm.set()"],
    ids=["out of the loop", "out of a service that nothing may restart"],
)
def test_check_41_an_exception_that_escapes_ends_the_server_with_a_report(playground, what):
    playground.environment["PYTHONWARNINGS"] = "default"  # who crashes leaves things unclosed
    playground.write("meltdown.py", MELTDOWN.replace("WHAT", what))
    child = playground.start("twistd", "-n", "-y", "meltdown.py", "-l", "melting.log")
    playground.wait_until(lambda: playground.accepts(8131), "the port")
    with socket.create_connection(("127.0.0.1", playground.port(8131)), timeout=PATIENCE_S) as connection:
        connection.sendall(b"boom")
        with suppress(ConnectionResetError):
            assert connection.recv(100) == b""
    said, _ = child.communicate(timeout=30)
    assert child.returncode not in {0, None}
    assert "meltdown" in playground.read("melting.log") + said.decode()
    assert "twistd.pid" not in playground.files()
    assert playground.running() == []


SLOW = """\
import asyncio
import os

from taphouse import Application, Factory, Service


class Slow(Service):
    name = "slow"

    def __init__(self):
        self.stops, self.ended = 0, 0

    async def stop(self):
        self.stops += 1
        print("stopping")
        while not os.path.exists("go on"):
            await asyncio.sleep(0.01)
        self.ended += 1


class Told(Factory):
    async def serve(self, reader, writer):
        writer.write(f"{self.slow.stops} {self.slow.ended}\\n".encode())


told = Told()
told.slow = Slow()
application = Application("slow")
application.addService(told.slow)
application.listenTCP(8132, told)
"""


def test_check_42_state_is_saved_after_a_slow_stop_which_happens_once(playground):
    playground.write("slow.py", SLOW)
    playground.run("twistd", "-y", "slow.py")
    assert playground.ask(8132) == b"0 0\n"
    process = os.pidfd_open(playground.pid())
    for line in ("] stopping\n", "Received SIGTERM again"):
        signal.pidfd_send_signal(process, signal.SIGTERM)
        playground.wait_until(lambda line=line: line in playground.read("twistd.log"), line.strip())
    (playground.folder / "go on").touch()
    assert select.select([process], [], [], PATIENCE_S)[0]
    os.close(process)
    assert playground.read("twistd.log").count("stopping\n") == 1
    assert not playground.accepts(8132)
    playground.run("twistd", "-y", "slow.py")
    assert playground.ask(8132) == b"1 1\n"

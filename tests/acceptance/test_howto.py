"""The HOWTO of 2002, check by check, with real processes: what its reader sees must be what happens."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest

from taphouse import Application, Factory
from taphouse.protocols import Daytime

pytestmark = pytest.mark.process

APP1 = "01-daytime/app1.py"
APP2 = "02-daytime-saved/app2.py"
APP3 = "03-one-time-keys/app3.py"

ONE_LINE_OF_TIME = re.compile(rb"[^\r\n]*\d\d:\d\d:\d\d[^\r\n]*\r?\n")


@pytest.fixture
def daytimer(playground):
    """A running daytimer, started from its seed."""
    playground.example(APP2)
    playground.run("python", "app2.py")
    playground.run("twistd", "-f", "daytimer-start.tap")
    return playground


@pytest.fixture
def keys(playground):
    """A running one-time-key server, started from its seed."""
    playground.example(APP3)
    playground.run("python", "app3.py")
    playground.run("twistd", "-f", "otk-start.tap")
    return playground


def run_in_foreground(playground):
    playground.example(APP1)
    child = playground.start("python", "app1.py")
    playground.wait_until(lambda: playground.accepts(8813), "port 8813")
    playground.ask(8813)  # bound is not yet ready
    return child


def test_check_01_a_run_application_answers_with_the_time(playground):
    run_in_foreground(playground)
    before = time.localtime().tm_year
    answer = playground.ask(8813)
    after = time.localtime().tm_year
    assert ONE_LINE_OF_TIME.fullmatch(answer)
    assert any(str(year).encode() in answer for year in (before, after))


def test_check_02_an_interrupt_ends_run_with_status_0_and_a_closed_port(playground):
    child = run_in_foreground(playground)
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=30)
    assert child.returncode == 0, said.decode()
    assert not playground.accepts(8813)


def test_check_03_a_declared_application_listens_on_nothing(playground):
    factory = Factory()
    factory.protocol = Daytime
    Application("daytimer").listenTCP(playground.port(8813), factory)
    assert not playground.accepts(8813)


def test_check_04_save_makes_one_file_and_says_so(playground):
    playground.example(APP2)
    done = playground.run("python", "app2.py")
    assert playground.files() == {"app2.py", "daytimer-start.tap"}
    assert done.stdout == "Saving daytimer application to daytimer-start.tap...\nSaved.\n"
    assert done.stderr == ""


def test_check_05_twistd_returns_when_the_port_is_open(playground):
    playground.example(APP2)
    playground.run("python", "app2.py")
    done = playground.run("twistd", "-f", "daytimer-start.tap")
    assert ONE_LINE_OF_TIME.fullmatch(playground.ask(8813))  # the first attempt
    assert done.stdout + done.stderr == ""


def test_check_06_the_pidfile_names_a_daemon_without_terminal(daytimer):
    pid = daytimer.pid()
    fields = daytimer_stat(pid)
    assert fields["tty"] == 0
    assert os.getsid(pid) != os.getsid(0)
    assert pid in daytimer.running()


def daytimer_stat(pid):
    with open(f"/proc/{pid}/stat") as stat:
        after_name = stat.read().rpartition(")")[2].split()
    return {"parent": int(after_name[1]), "session": int(after_name[3]), "tty": int(after_name[4])}


HEAD_OF_LOG = [
    r"\[-\] Log opened\.",
    r"\[-\] twistd \S+ \(python .*\) starting up",
    r"\[-\] reactor class: .+",
    r"\[-\] Loading daytimer-start\.tap\.\.\.",
    r"\[-\] Loaded\.",
    r"\[\*daytimer\*\] .*Factory.* starting on PORT",
    r"\[\*daytimer\*\] Starting factory .+",
]


def test_check_07_the_log_tells_the_start_in_order(daytimer):
    lines = iter(daytimer.read("twistd.log").splitlines())
    for expected in HEAD_OF_LOG:
        pattern = re.compile(r"\S+ " + expected.replace("PORT", str(daytimer.port(8813))))
        assert any(pattern.fullmatch(line) for line in lines), f"{expected}\n{daytimer.read('twistd.log')}"


def test_check_08_lines_up_to_loaded_have_a_dash_those_after_it_the_name(daytimer):
    contexts = [re.search(r"\[(.*?)\]", line)[1] for line in daytimer.read("twistd.log").splitlines()]
    texts = daytimer.read("twistd.log").splitlines()
    loaded = next(index for index, line in enumerate(texts) if line.endswith("Loaded."))
    assert set(contexts[: loaded + 1]) == {"-"}
    factory = [contexts[index] for index, line in enumerate(texts) if "actory" in line]
    assert factory
    assert set(factory) == {"*daytimer*"}


def test_check_09_kill_closes_the_port_and_removes_the_pidfile(playground):
    """At once: with an hour for connections to end, a server that has none does not wait."""
    playground.example(APP2)
    playground.run("python", "app2.py")
    playground.run("twistd", "-f", "daytimer-start.tap", "--drain", "1h")
    playground.kill(signal.SIGTERM)
    assert not playground.accepts(8813)
    assert "twistd.pid" not in playground.files()
    assert playground.read("twistd.log").splitlines()[-1].endswith("Server Shut Down.")


def test_check_10_the_shutdown_tap_is_the_whole_application(daytimer):
    daytimer.kill(signal.SIGTERM)
    assert "daytimer-shutdown.tap" in daytimer.files()
    (daytimer.folder / "daytimer-start.tap").unlink()
    shown = daytimer.run("tap", "show", "daytimer-shutdown.tap").stdout
    assert "daytimer" in shown
    assert str(daytimer.port(8813)) in shown
    daytimer.run("twistd", "-f", "daytimer-shutdown.tap")
    assert ONE_LINE_OF_TIME.fullmatch(daytimer.ask(8813))


def test_check_11_keys_are_given_in_order(keys):
    assert [keys.ask(8123) for _ in range(3)] == [b"0\n", b"1\n", b"2\n"]


def test_check_12_keys_go_on_after_a_stop_and_a_start(keys):
    assert [keys.ask(8123) for _ in range(3)] == [b"0\n", b"1\n", b"2\n"]
    keys.kill(signal.SIGTERM)
    assert not keys.accepts(8123)
    keys.run("twistd", "-f", "otk-shutdown.tap")
    assert keys.ask(8123) == b"3\n"


def test_the_seed_is_refused_once_its_state_has_gone_on(keys):
    assert keys.ask(8123) == b"0\n"
    keys.kill(signal.SIGTERM)
    before = (keys.folder / "otk-shutdown.tap").read_bytes()
    done = keys.run("twistd", "-f", "otk-start.tap", status=78)
    assert "otk-shutdown.tap" in done.stderr
    assert "--fresh" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not keys.accepts(8123)
    assert (keys.folder / "otk-shutdown.tap").read_bytes() == before


def test_check_13_numbering_never_repeats_and_never_skips(keys):
    given = []
    for _ in range(5):
        given += [keys.ask(8123) for _ in range(2)]
        keys.kill(signal.SIGTERM)
        keys.run("twistd", "-f", "otk-shutdown.tap")
    assert given == [b"%d\n" % number for number in range(10)]


def test_check_14_what_a_protocol_prints_goes_to_the_log(playground):
    playground.example(APP3)
    playground.run("python", "app3.py")
    done = playground.run("twistd", "-f", "otk-start.tap")
    playground.ask(8123)
    playground.wait_until(lambda: "giving key 0" in playground.read("twistd.log"), "the line in the log")
    assert done.stdout + done.stderr == ""
    assert re.search(r"\[Factory\S*,\d+,127\.0\.0\.1\] giving key 0\n", playground.read("twistd.log"))


REMEMBERING = """\
from taphouse import Application, Factory, Service


class Coin:
    def __init__(self, name):
        self.name = name


class Ledger(Service):
    name = "ledger"

    def __init__(self):
        self.entries = 0


class Purse(Factory):
    def __init__(self, ledger):
        self.ledger = ledger

    async def serve(self, reader, writer):
        if not hasattr(self, "coins"):  # attributes that no constructor has made
            self.coins, self.count = [], {}
        coin = Coin((await reader.readline()).decode().strip())
        self.coins.append(coin)
        self.count[coin.name] = self.count.get(coin.name, 0) + 1
        self.ledger.entries += 1
        names = " ".join(coin.name for coin in self.coins)
        writer.write(f"{names} {dict(self.count)} {type(coin).__name__} {self.ledger.entries}\\n".encode())


ledger = Ledger()
app = Application("purse")
app.addService(ledger)
app.listenTCP(8124, Purse(ledger))
if __name__ == "__main__":
    app.save("start")
"""


def test_check_15_and_16_lists_dicts_objects_and_services_are_restored(playground):
    playground.write("purse.py", REMEMBERING)
    playground.run("python", "purse.py")
    playground.run("twistd", "-f", "purse-start.tap")
    assert playground.ask(8124, b"penny\n") == b"penny {'penny': 1} Coin 1\n"
    playground.kill(signal.SIGTERM)
    playground.run("twistd", "-f", "purse-shutdown.tap")
    assert playground.ask(8124, b"penny\n") == b"penny penny {'penny': 2} Coin 2\n"
    playground.kill(signal.SIGKILL)
    playground.run("twistd", "-f", "purse-shutdown.tap")
    assert playground.ask(8124, b"groat\n") == b"penny penny groat {'penny': 2, 'groat': 1} Coin 3\n"


def test_check_17_a_reserved_port_is_refused_with_its_reason(playground):
    playground.example(APP3)
    playground.run("python", "app3.py")
    playground.run("twistd", "-f", "otk-start.tap")
    playground.kill(signal.SIGTERM)
    before = (playground.folder / "otk-shutdown.tap").read_bytes()

    text = playground.read("app3.py").replace(str(playground.port(8123)), "81")
    (playground.folder / "app3.py").write_text(text.replace('"otk"', '"low"'))
    playground.run("python", "app3.py")
    done = playground.run(*playground.without_low_ports(), "twistd", "-f", "low-start.tap", status=77)

    assert "81" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "81" in playground.read("twistd.log").splitlines()[-1]
    assert playground.files() >= {"otk-shutdown.tap", "low-start.tap"}
    assert playground.files().isdisjoint({"twistd.pid", "low-shutdown.tap"})
    assert (playground.folder / "otk-shutdown.tap").read_bytes() == before


@pytest.mark.parametrize("spelling", ["-h", "--help"])
def test_check_18_help_lists_the_pidfile_and_the_logfile(playground, spelling):
    said = playground.run("twistd", spelling).stdout
    assert "--pidfile" in said
    assert "--logfile" in said


def test_check_18_pidfile_and_logfile_move_both_files(playground):
    playground.example(APP2)
    playground.run("python", "app2.py")
    playground.run("twistd", "-f", "daytimer-start.tap", "--pidfile", "day.pid", "--logfile", "day.log")
    assert playground.files() >= {"day.pid", "day.log"}
    assert playground.files().isdisjoint({"twistd.pid", "twistd.log"})
    assert "Log opened." in playground.read("day.log")
    playground.kill(signal.SIGTERM, "day.pid")
    assert "day.pid" not in playground.files()


SCRIPTED = """\
from taphouse import Application, Factory


class Thing(Factory):
    async def serve(self, reader, writer):
        pass


app = Application("thing")
app.listenTCP(8127, Thing())
"""


def test_check_50_a_class_of_the_script_itself_is_loadable(keys):
    """``app3.py`` has its class in ``__main__`` and no guard; its tap needs nothing but the script."""
    assert keys.ask(8123) == b"0\n"
    keys.kill(signal.SIGTERM)
    assert "__main__" not in keys.run("tap", "show", "otk-shutdown.tap").stdout
    keys.run("tap", "check", "otk-shutdown.tap")
    keys.run("twistd", "-f", "otk-shutdown.tap")
    assert keys.ask(8123) == b"1\n"


def test_check_50_a_class_typed_at_a_prompt_is_refused_at_save(playground):
    playground.run("python", "-", stdin=SCRIPTED + "app.save('start')\n", status=78)
    assert playground.files() == set()


def test_check_50_a_script_named_like_another_module_is_refused_at_save(playground):
    playground.write("time.py", SCRIPTED + "app.save('start')\n")
    done = playground.run("python", "-P", "time.py", status=78)
    assert "time" in done.stderr
    assert playground.files() == {"time.py"}


def test_check_50_a_kill_in_the_middle_of_save_leaves_the_old_file(playground):
    """Killed at each step of the replacing: the name always holds a whole tap, the old one or the new."""
    playground.write("thing.py", SCRIPTED + "if __name__ == '__main__':\n    app.save('start')\n")
    playground.run("python", "thing.py")
    old = (playground.folder / "thing-start.tap").read_bytes()
    playground.write("killed.py", KILLED_AT_STEP)
    ends = set()
    for step in range(200):
        (playground.folder / "thing-start.tap").write_bytes(old)
        done = playground.run("python", "killed.py", str(step), status=None)
        ends.add(done.returncode)
        playground.run("tap", "show", "thing-start.tap")
        if done.returncode == 0:
            break
    assert ends == {-signal.SIGKILL, 0}, "some steps were killed, and the last run went through"


# Counts the calls by which files come to be on disk, and dies before the one whose number it was given.
KILLED_AT_STEP = """\
import os
import signal
import sys

steps = int(sys.argv[1])


def dying(call):
    def step(*args, **keywords):
        global steps
        if steps == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        steps -= 1
        return call(*args, **keywords)

    return step


for name in ("fsync", "fdatasync", "rename", "replace", "link", "unlink", "open", "close"):
    setattr(os, name, dying(getattr(os, name)))

import thing

thing.app.save("start")
"""

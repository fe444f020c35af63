"""A server that is started with a new version's seed goes on from its state, or says beforehand why not."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from playground import Playground

pytestmark = pytest.mark.process

SERVER = """
import sys

from taphouse import Application, Factory, Protocol


class Turn(Protocol):
    def connection_made(self, transport):
        self.factory.given += 1
        transport.write(b"%s %d\\n" % (self.factory.greeting.encode(), self.factory.given))
        transport.close()


class Turns(Factory):
    protocol = Turn

    def __init__(self, greeting):
        self.greeting = greeting
        self.given = 0


if __name__ == "__main__":
    greeting, port, name = sys.argv[1:]
    app = Application("turns")
    app.listenTCP(int(port), Turns(greeting), interface="127.0.0.1")
    if greeting == "two":
        app.listenUNIX("more.sock", Turns("more"))
    app.save(filename=name)
"""
STEP = """
    @classmethod
    def upgrade_from_1(cls, state):
        return {**state, "given": state["given"] + 100}
"""
TYPE = """
# taphouse-maker: turns - numbers with a greeting
from taphouse import usage

from turnserver import Turns


class Options(usage.Options):
    port: int = usage.option(8300, help="where")
    greeting: str = usage.option("DEFAULT", help="what is said")
    limit: int = usage.option(10, help="how much")


def updateApplication(app, config):
    turns = Turns(config.greeting)
    turns.limit = config.limit
    app.listenTCP(config.port, turns, interface="127.0.0.1")
"""


@pytest.fixture
def place(playground: Playground) -> Playground:
    playground.write("turnserver.py", SERVER)
    return playground


def save(place: Playground, greeting: str, port: int, name: str) -> None:
    place.run("python", "turnserver.py", greeting, str(port), name)


def start(place: Playground, seed: str, *options: str, status: int = 0) -> str:
    """Start, and return what was said."""
    done = place.run("twistd", "-f", seed, "--state", "state.tap", *options, status=status)
    return done.stderr


def files(place: Playground) -> dict[str, bytes]:
    return {name: (place.folder / name).read_bytes() for name in place.files() if ".tap" in name}


def log(place: Playground) -> str:
    return place.read("twistd.log")


def test_a_server_goes_on_with_what_it_has_learnt_and_the_configuration_of_its_new_version(
    place: Playground,
) -> None:
    save(place, "old", 8300, "old.tap")
    save(place, "new", 8301, "new.tap")
    start(place, "old.tap")
    assert [place.ask(8300), place.ask(8300)] == [b"old 1\n", b"old 2\n"]
    place.kill(signal.SIGKILL)
    start(place, "new.tap")
    assert place.ask(8301) == b"new 3\n"
    assert not place.accepts(8300)
    place.kill(signal.SIGKILL)
    start(place, "new.tap")
    assert place.ask(8301) == b"new 4\n"
    place.kill()
    said = log(place)
    assert said.count("is merged into the state") == 1
    assert "changes: Turns#1.greeting: 'old' -> 'new'" in said
    assert "keeps what changed while it ran: Turns#1.given: 2" in said
    assert "is kept as state.tap.1" in said
    assert {name for name in place.files() if "state" in name} == {"state.tap", "state.tap.1"}
    place.run("tap", "check", "state.tap.1")


def test_a_start_that_fails_after_the_merge_leaves_every_file_as_it_was(place: Playground) -> None:
    save(place, "old", 8300, "old.tap")
    start(place, "old.tap")
    assert place.ask(8300) == b"old 1\n"
    place.kill()
    save(place, "new", 8300, "new.tap")
    code = (place.folder / "turnserver.py").read_text()
    made = "        self.given = 0\n"
    failing = code.replace(made, f"{made}\n    def started(self):\n        raise OSError('not today')\n")
    (place.folder / "turnserver.py").write_text(failing)
    before = files(place)
    assert "not today" in start(place, "new.tap", status=70)
    assert files(place) == before
    (place.folder / "turnserver.py").write_text(code)
    start(place, "new.tap")
    assert place.ask(8300) == b"new 2\n"


def test_what_has_no_place_in_the_new_version_stops_the_start_with_the_cure(place: Playground) -> None:
    save(place, "two", 8300, "old.tap")
    save(place, "new", 8300, "new.tap")
    start(place, "old.tap")
    place.run("nc -N -U more.sock </dev/null")
    place.kill()
    before = files(place)
    said = start(place, "new.tap", status=78)
    assert "Turns#2 (given)" in said
    assert "--drop Turns#2" in said
    done = place.run("tap", "check", "--upgrade-from", "state.tap", "new.tap", status=78)
    assert "--drop Turns#2" in done.stderr
    assert files(place) == before
    place.run("tap", "check", "--upgrade-from", "state.tap", "--drop", "Turns#2", "new.tap")
    start(place, "new.tap", "--drop", "Turns#2")
    assert place.ask(8300) == b"new 1\n"


def test_options_that_an_operator_has_changed_in_the_state_outlive_new_defaults(place: Playground) -> None:
    plugins = place.folder / ".local/share/taphouse/plugins"
    plugins.mkdir(parents=True)
    (place.folder / "turnserver.py").rename(plugins / "turnserver.py")

    def version(default: str) -> None:
        place.write(".local/share/taphouse/plugins/turns.py", TYPE.replace("DEFAULT", default))

    version("one")
    place.run("mktap", "turns", "--allow-module", "turnserver", status=None)
    place.run("mktap", "-o", "old.tap", "turns")
    allowed = ("--allow-module", "turnserver")
    start(place, "old.tap", *allowed)
    assert place.ask(8300) == b"one 1\n"
    place.kill()
    place.run("mktap", *allowed, "--update", "state.tap", "turns", "--port", "8302")
    version("two")
    place.run("mktap", "-o", "new.tap", "turns", "--limit", "20")
    told = place.run("tap", "check", *allowed, "--upgrade-from", "state.tap", "new.tap").stdout
    port = place.port(8302)
    for line in (
        f"ok: keeps what changed while it ran: turns: --port {port}",
        "ok: changes: turns: --greeting 'one' -> 'two'",
        "ok: changes: turns: --limit 10 -> 20",
        "ok: changes: Turns#1.greeting: 'one' -> 'two'",
        "a start would carry the state over",
    ):
        assert line in told.splitlines()
    start(place, "new.tap", *allowed)
    assert place.ask(8302) == b"two 2\n"
    assert not place.accepts(8300)
    place.kill()
    # The options that it has now are those it was built with.
    done = place.run("mktap", *allowed, "--update", "state.tap", "turns", "--greeting", "mine", "--dry-run")
    assert "turns: --greeting 'two' -> 'mine'" in done.stdout
    assert "--port" not in done.stdout


def test_an_upgrade_is_rehearsed_while_the_old_version_serves(place: Playground) -> None:
    save(place, "old", 8300, "old.tap")
    save(place, "new", 8301, "new.tap")
    start(place, "old.tap")
    ended = threading.Event()
    answers: list[bytes] = []

    def ask() -> None:
        while not ended.is_set():
            answers.append(place.ask(8300))

    client = threading.Thread(target=ask)
    client.start()
    try:
        for _ in range(3):
            told = place.run("tap", "check", "--upgrade-from", "state.tap", "new.tap").stdout
    finally:
        ended.set()
        client.join()
    assert "ok: changes: Turns#1.greeting: 'old' -> 'new'" in told
    assert f"ok: tcp:127.0.0.1:{place.port(8301)} for Turns#1: free" in told
    assert answers == [b"old %d\n" % number for number in range(1, len(answers) + 1)]
    assert not list(Path(place.folder).glob("*.1"))


def test_a_class_that_is_gone_is_found_beforehand(place: Playground) -> None:
    save(place, "old", 8300, "old.tap")
    start(place, "old.tap")
    place.kill()
    code = place.read("turnserver.py").replace("Turns", "Rounds")
    (place.folder / "turnserver.py").write_text(code)
    place.run("python", "turnserver.py", "new", "8300", "new.tap")
    before = files(place)
    done = place.run("tap", "check", "--upgrade-from", "state.tap", "new.tap", status=78)
    assert "turnserver.Turns" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "turnserver.Turns" in start(place, "new.tap", status=78)
    assert files(place) == before


def test_a_state_is_kept_before_a_class_goes_on_in_a_newer_version(place: Playground) -> None:
    save(place, "same", 8300, "old.tap")
    start(place, "old.tap")
    assert place.ask(8300) == b"same 1\n"
    place.kill()
    code = place.read("turnserver.py").replace("(Factory):", f"(Factory, version=2):{STEP}")
    (place.folder / "turnserver.py").write_text(code)
    save(place, "same", 8300, "new.tap")
    told = place.run("tap", "check", "--upgrade-from", "state.tap", "new.tap").stdout
    assert told.count("turnserver.Turns: version 1 -> 2") == 1
    start(place, "new.tap")
    assert place.ask(8300) == b"same 102\n"
    place.kill()
    assert "changes: class turnserver.Turns: version 1 -> 2" in log(place)
    assert place.run("tap", "get", "state.tap.1", "Turns#1.given").stdout == "1\n"
    # And an older version again cannot go on from it.
    code = code.replace("version=2", "version=1")
    (place.folder / "turnserver.py").write_text(code)
    before = files(place)
    assert "version 2" in start(place, "old.tap", status=78)
    assert files(place) == before


def test_without_its_seed_a_state_goes_on(place: Playground) -> None:
    save(place, "old", 8300, "old.tap")
    start(place, "old.tap")
    place.kill()
    (place.folder / "old.tap").unlink()
    start(place, "old.tap")
    assert place.ask(8300) == b"old 1\n"


def test_a_damaged_seed_stops_the_start(place: Playground) -> None:
    save(place, "old", 8300, "old.tap")
    start(place, "old.tap")
    place.kill()
    (place.folder / "old.tap").write_bytes(b"no tap")
    assert "old.tap" in start(place, "old.tap", status=78)


def test_what_merges_is_loaded_only_when_there_is_something_to_merge(place: Playground) -> None:
    save(place, "old", 8300, "old.tap")
    save(place, "new", 8300, "new.tap")
    place.environment["PYTHONPROFILEIMPORTTIME"] = "1"
    loaded = []
    for seed in ("old.tap", "old.tap", "new.tap"):
        server = place.start("twistd", "-n", "-f", seed, "--state", "state.tap", "-l", "server.log")
        place.wait_until(lambda: place.accepts(8300), "its port")
        place.ask(8300)
        place.kill()
        said, _ = server.communicate()
        loaded.append({line.rpartition("|")[2].strip() for line in said.decode().splitlines()})
    heavy = {"taphouse.cli.making.threeway", "taphouse.cli.carrying.carrying"}
    assert [heavy & names for names in loaded] == [set(), set(), heavy]

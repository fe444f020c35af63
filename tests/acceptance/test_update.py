"""`mktap --update`, as an operator does it: with a plugin, real servers, and kill -9."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from pathlib import Path

import pytest

from playground import Playground
from taphouse.persist import check_integrity, read_info

pytestmark = pytest.mark.process

PLUGIN = """\
# taphouse-maker: counting - Count clients.
from taphouse import Factory, Protocol, usage
from taphouse.durable import durable


class Count(Protocol):
    def connection_made(self, transport):
        factory = self.factory
        factory.tally.n += 1
        factory.seen.append(factory.tally.n)
        transport.write(f"{factory.greeting} {factory.tally.n} of {factory.limit}\\n".encode())
        transport.close()


@durable
class Tally:
    def __init__(self):
        self.n = 0


class Counting(Factory, config=("greeting",)):
    protocol = Count

    def __init__(self, greeting, limit):
        self.greeting, self.limit = greeting, limit
        self.tally, self.seen = Tally(), []


class Options(usage.Options):
    \"\"\"Count clients.\"\"\"

    port: int = usage.option(8171, "-p", help="where", ge=0, le=65535)
    greeting: str = usage.option("client", help="what is said")
    limit: int = usage.option(10, help="how many there should be")


def updateApplication(app, config):
    app.listenTCP(config.port, Counting(config.greeting, config.limit), interface="127.0.0.1")
"""

STATE = "counting-shutdown.tap"


@pytest.fixture
def place(playground: Playground) -> Playground:
    """A folder with the plugin, and a seed of it."""
    playground.environment["XDG_DATA_HOME"] = str(playground.folder / "data")
    playground.write("data/taphouse/plugins/counting.py", PLUGIN)
    playground.run("mktap", "counting", "-p", "8171")
    return playground


def digests(folder: Path) -> dict[str, tuple[int, str]]:
    """Return inode and content of each file beside the plugin; of the folder, its time."""
    return {
        path.name: (path.stat().st_ino, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.iterdir()
        if path.is_file() and not path.name.endswith(".lock")
    }


def test_a_server_that_was_killed_goes_on_with_another_port_and_its_state(place: Playground) -> None:
    place.run("twistd", "-f", "counting.tap")
    assert [place.ask(8171) for _ in range(2)] == [b"client 1 of 10\n", b"client 2 of 10\n"]
    busy = place.run("mktap", "--update", STATE, "-p", "8172", status=75)
    assert f"process {place.pid()} uses it" in busy.stderr and "tap stop" in busy.stderr
    place.kill(signal.SIGKILL)
    before = digests(place.folder)
    said = place.run(
        "mktap", "--update", STATE, "-p", "8172", "--greeting", "guest", "--limit", "20", "--dry-run"
    )
    assert digests(place.folder) == before
    done = place.run("mktap", "--update", STATE, "-p", "8172", "--greeting", "guest", "--limit", "20")
    ports = f"{place.port(8171)} -> {place.port(8172)}"
    assert done.stdout.splitlines() == [
        "changes:",
        f"  counting: --port {ports}",
        "  counting: --greeting 'client' -> 'guest'",
        "  counting: --limit 10 -> 20",
        f"  Counting#1: listens on tcp:127.0.0.1:{place.port(8171)} -> tcp:127.0.0.1:{place.port(8172)}",
        "  Counting#1.greeting: 'client' -> 'guest'",
        "  Counting#1.limit: 10 -> 20",
        "keeps what changed while it ran:",
        "  Counting#1.seen: [1, 2]",
        "  Counting#1.tally.n: 2",
        f"{STATE}: updated; as it was before it is kept as {STATE}.1",
    ]
    assert said.stdout.splitlines()[1:7] == done.stdout.splitlines()[1:7]
    assert "nothing was written" in said.stdout
    place.run("twistd", "-f", STATE)
    assert place.ask(8172) == b"guest 3 of 20\n"
    assert not place.accepts(8171)
    place.kill()
    # The way back: what was kept is a whole tap.
    place.run("twistd", "-f", f"{STATE}.1")
    assert place.ask(8171) == b"client 3 of 10\n"


def test_two_servers_of_a_type_and_one_that_was_added_later(place: Playground) -> None:
    place.run("mktap", "-a", "counting.tap", "counting", "-p", "8172", "--greeting", "second")
    place.run("twistd", "-f", "counting.tap")
    assert place.ask(8171) == b"client 1 of 10\n"
    assert [place.ask(8172) for _ in range(2)][1] == b"second 2 of 10\n"
    place.kill()
    place.run("mktap", "-a", STATE, "counting", "-p", "8173", "--greeting", "third")
    assert "holds 3 servers" in place.run("mktap", "--update", STATE, "--limit", "5", status=64).stderr
    done = place.run("mktap", "--update", STATE, "counting-2", "--limit", "5")
    assert "  Counting#2.limit: 10 -> 5" in done.stdout.splitlines()
    assert "Counting#1.limit" not in done.stdout and "Counting#3" not in done.stdout
    place.run("twistd", "-f", STATE)
    assert place.ask(8171) == b"client 2 of 10\n"
    assert place.ask(8172) == b"second 3 of 5\n"
    assert place.ask(8173) == b"third 1 of 10\n"


def test_a_seed_is_made_anew_and_started_like_any(place: Playground) -> None:
    done = place.run("mktap", "--update", "counting.tap", "-p", "8172")
    assert f"listens on tcp:127.0.0.1:{place.port(8171)} -> " in done.stdout
    assert place.files() == {"counting.tap", "data"}
    place.run("twistd", "-f", "counting.tap")
    assert place.ask(8172) == b"client 1 of 10\n"


def test_without_the_plugin_the_update_says_what_is_missing_and_nothing_is_written(place: Playground) -> None:
    (place.folder / "data/taphouse/plugins/counting.py").rename(place.folder / "away.py")
    before = digests(place.folder)
    refused = place.run("mktap", "--update", "counting.tap", "-p", "8172", status=78)
    assert "type counting is not installed any more" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert digests(place.folder) == before


def test_contradicting_and_wrong_options_leave_the_tap_as_it_is(place: Playground) -> None:
    place.run("mktap", "-a", "counting.tap", "counting", "-p", "8172")
    before = digests(place.folder)
    assert "--port" in place.run("mktap", "--update", "counting.tap", "counting", "-p", "x", status=64).stderr
    both = place.run("mktap", "--update", "counting.tap", "counting", "-p", "8172", status=64)
    assert "both listen on" in both.stderr
    place.run("mktap", "--update", "counting.tap", "nobody", "-p", "1", status=64)
    assert digests(place.folder) == before


KILLED = """
import os, signal, sys
call, when = sys.argv[1:3]
real = getattr(os, call)
def die(*arguments, **keywords):
    if when == "after":
        real(*arguments, **keywords)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, call, die)
from taphouse.cli.mktap import main
sys.exit(main(sys.argv[3:]))
"""


def test_killed_at_the_exchange_the_tap_is_the_old_one_or_the_new_one(place: Playground) -> None:
    """The two calls that give names: a second one to the old tap, then its name to the new one."""
    place.run("twistd", "-f", "counting.tap")
    assert place.ask(8171) == b"client 1 of 10\n"
    place.kill()
    tap = place.folder / STATE
    for call, when, written in (
        ("link", "before", 8171),
        ("link", "after", 8171),
        ("replace", "before", 8171),
        ("replace", "after", 8172),
    ):
        words = (call, when, "--update", STATE, "-p", "8172")
        assert place.run(sys.executable, "-c", KILLED, *words, status=None).returncode == -signal.SIGKILL
        check_integrity(tap)
        assert read_info(tap).plan["listeners"][0]["port"] == place.port(written)
    place.run("mktap", "--update", STATE, "-p", "8173")
    assert not [name for name in os.listdir(place.folder) if name.endswith((".tmp", ".renewing"))]
    place.run("twistd", "-f", STATE)
    assert place.ask(8173) == b"client 2 of 10\n"

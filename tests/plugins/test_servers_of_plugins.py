"""A maker that was dropped or installed serves, and goes on serving what it made when it is gone."""

from __future__ import annotations

import pytest

from playground import Playground

pytestmark = pytest.mark.process

FACTORY = """\
from taphouse import Factory, Protocol

class Line(Protocol):
    def connection_made(self, transport):
        self.factory.served += 1
        transport.write(f"{self.factory.text} {self.factory.served}\\n".encode())
        transport.close()

class Lines(Factory):
    protocol = Line
    served = 0

    def __init__(self, text):
        self.text = text
"""
MAKER = """\
from taphouse import usage

class Options(usage.Options):
    port: int = usage.option(8717, "-p", help="TCP port")
    text: str = usage.option("hello", help="what is sent")

def updateApplication(app, config):
    app.listenTCP(config.port, Lines(config.text), interface="127.0.0.1")
"""
QUOTES = f"# taphouse-maker: lines - send a line\n{FACTORY}\n{MAKER}"
OWN = ".local/share/taphouse/plugins"


def serve_once(playground: Playground, tap: str, answer: bytes) -> None:
    playground.run("twistd", "-f", tap)
    assert playground.ask(8717) == answer
    playground.kill()


def test_a_module_in_the_users_folder_makes_a_server_that_starts(playground: Playground) -> None:
    playground.write(f"{OWN}/lines.py", QUOTES)
    assert "lines" in playground.run("mktap").stdout
    playground.run("mktap", "lines", "--text", "one", "-p", "8717")
    serve_once(playground, "lines.tap", b"one 1\n")
    serve_once(playground, "lines-shutdown.tap", b"one 2\n")


def test_a_package_on_the_path_makes_a_server_that_starts(
    playground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    playground.write(
        "lib/lines/__init__.py",
        f"# taphouse-maker: lines - send a line\n{MAKER}\nfrom lines.served import Lines\n",
    )
    playground.write("lib/lines/served.py", FACTORY)
    playground.environment["PYTHONPATH"] = str(playground.folder / "lib")
    playground.run("mktap", "lines", "-p", "8717")
    serve_once(playground, "lines.tap", b"hello 1\n")


def test_an_installed_distribution_makes_a_server_that_starts(playground: Playground) -> None:
    playground.write("lib/lines_of/maker.py", MAKER + "\nfrom lines_of import Lines\n")
    playground.write("lib/lines_of/__init__.py", FACTORY)
    playground.write(
        "lib/lines-1.0.dist-info/entry_points.txt", "[taphouse.makers]\nlines = lines_of.maker\n"
    )
    playground.environment["PYTHONPATH"] = str(playground.folder / "lib")
    playground.run("mktap", "lines", "-p", "8717")
    serve_once(playground, "lines.tap", b"hello 1\n")


def test_a_server_starts_though_its_type_is_not_installed_any_more(playground: Playground) -> None:
    maker = playground.write(
        f"{OWN}/lines_maker.py",
        "# taphouse-maker: lines - send a line\n" + MAKER + "\nfrom lines_served import Lines\n",
    )
    playground.write(f"{OWN}/lines_served.py", FACTORY)
    playground.run("mktap", "lines", "-p", "8717")
    serve_once(playground, "lines.tap", b"hello 1\n")
    maker.unlink()
    done = playground.run("mktap", "lines", status=64)
    assert "there is no server type 'lines'" in done.stderr
    serve_once(playground, "lines-shutdown.tap", b"hello 2\n")


def test_a_server_whose_plugin_others_may_write_does_not_start(playground: Playground) -> None:
    file = playground.write(f"{OWN}/lines.py", QUOTES)
    playground.run("mktap", "lines", "-p", "8717")
    file.chmod(0o666)
    done = playground.run("twistd", "-f", "lines.tap", status=77)
    assert done.stderr == (
        f"twistd: {playground.folder}/lines.tap: module lines is {file}, which others may write to;"
        " copy the module into the run directory\n"
    )
    done = playground.run("mktap", "lines", "-p", "8717", "--force", status=78)
    assert f"{file} may be written by anybody" in done.stderr


def test_check_46(playground: Playground) -> None:
    """A broken plugin file: other types are listed and usable, one line names it; doubled names are told."""
    broken = playground.write(f"{OWN}/broken.py", "# taphouse-maker: broken - no\ndef f(:\n")
    lines = playground.write(f"{OWN}/lines.py", QUOTES)
    again = playground.write(f"{OWN}/lines_again.py", QUOTES)
    done = playground.run("mktap")
    said = (done.stdout + done.stderr).splitlines()
    assert (
        len([line for line in said if f"server type broken ({broken}) is broken: SyntaxError" in line]) == 1
    )
    assert f"server type lines is there twice: {lines} is used, {again} is not" in done.stdout + done.stderr
    assert any(line.split()[:1] == ["lines"] and "send a line" in line for line in said)
    playground.run("mktap", "lines", "-p", "8717")
    serve_once(playground, "lines.tap", b"hello 1\n")
    done = playground.run("mktap", "broken", status=78)
    assert str(broken) in done.stderr and "Traceback" not in done.stderr


def test_making_a_server_imports_only_its_own_maker(playground: Playground) -> None:
    playground.write(f"{OWN}/lines.py", QUOTES)
    playground.write(f"{OWN}/other.py", "# taphouse-maker: other - x\nraise AssertionError('it ran')\n")
    code = (
        "import sys; from taphouse.cli.mktap import main; main(['lines', '-q']); "
        "print(*(name for name in sys.modules if name.startswith('taphouse.makers.') or name == 'other'))"
    )
    assert playground.run("python", "-c", code).stdout.split() == []
    code = (
        "import sys; from taphouse.cli.mktap import main; main([]); "
        "print('LOADED', *(name for name in sys.modules if 'makers' in name or name in ('lines', 'other')))"
    )
    assert playground.run("python", "-c", code).stdout.splitlines()[-1].split() == ["LOADED"]

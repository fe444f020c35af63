"""Makers for tests of `mktap`: types of servers that are dropped into a folder, and mktap run on them."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taphouse.cli import mktap
from taphouse.persist import read_info

# A line that began with the marker would make this very module a type.
QUOTES = (
    "# taphouse-maker: quotes - Serve a random fortune\n"
    '''\
"""A server of quotes."""
from typing import Literal

from taphouse import Factory, Protocol, usage

class Options(usage.Options):
    """Serve a random fortune."""
    port: int = usage.option(8717, "-p", help="TCP port to listen on", ge=0, le=65535)
    file: usage.ExistingFile = usage.option(help="the fortunes")
    mode: Literal["loud", "quiet"] = usage.option("quiet", help="how to say it")
    names: list[str] = usage.option([], "-D", "--name", help="whom to greet")
    shout: bool = usage.option(False, help="in capitals")
    password: usage.Secret | None = usage.option(None, help="who knows it may ask")

    def post_options(self):
        if self.shout and self.mode == "quiet":
            raise usage.UsageError("--shout and --mode quiet contradict each other")

class Quote(Protocol):
    def connection_made(self, transport):
        self.factory.asked += 1
        text = self.factory.lines()[0]
        transport.write(text.encode() + b"\\n")
        transport.close()

class Quotes(Factory):
    protocol = Quote
    def __init__(self, file, names, password=None):
        self.file, self.names, self.asked = file, names, 0
        self.password = password

    def lines(self):
        with open(self.file) as file:
            return [part.strip() for part in file.read().split("%")]

def updateApplication(app, config):
    app.listenTCP(
        config.port, Quotes(str(config.file), config.names, config.password), interface="127.0.0.1"
    )
'''
)
"""A whole type, as somebody would write it."""

PLAIN = (
    "# taphouse-maker: {name} - A type of a test\n"
    """\
from taphouse import Factory, Protocol, Service, usage

class Options(usage.Options):
    port: int = usage.option(8718, "-p", help="where to listen")

class Kept(Factory):
    protocol = Protocol

class Clock(Service):
    pass

def updateApplication(app, config):
{body}
"""
)
"""A type whose ``updateApplication`` is of one's choice."""


class Shop:
    """A folder to make taps in, and one with types of servers."""

    def __init__(self, folder: Path, plugins: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self.plugins, self._capture = folder, plugins, capture

    def add(self, name: str, text: str) -> Path:
        """Drop a module."""
        path = self.plugins / f"{name}.py"
        path.write_text(text)
        importlib.invalidate_caches()
        return path

    def add_plain(self, name: str, *body: str) -> Path:
        """Drop a type whose ``updateApplication`` has these lines."""
        return self.add(name, PLAIN.format(name=name, body="\n".join(f"    {line}" for line in body)))

    def run(self, *words: str, status: int = 0, command: Callable[..., int] = mktap.main) -> tuple[str, str]:
        """Run mktap, here and now; returns what it printed and what it complained of."""
        code = command(list(words))
        said = self._capture.readouterr()
        assert code == status, f"status {code}, not {status}\n{said.out}{said.err}"
        return said.out, said.err

    def refused(self, *words: str, status: int = 64, says: tuple[str, ...] = ()) -> str:
        """Run mktap, which refuses in one line and changes no file."""
        before = self.contents()
        out, err = self.run(*words, status=status)
        assert out == ""
        (line,) = err.splitlines()
        assert line.startswith("mktap: ")
        for text in says:
            assert text in line
        assert self.contents() == before
        return line

    def contents(self) -> dict[str, bytes]:
        """Return every file that there is, hidden ones too."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    def plan(self, tap: str) -> dict[str, Any]:
        """Return the plan of a tap."""
        return dict(read_info(self.folder / tap).plan)

    def servers(self, tap: str) -> list[tuple[str, str]]:
        """Return name and type of the servers in a tap."""
        return [(entry["name"], entry["type"]) for entry in self.plan(tap)["servers"]]

    def ports(self, tap: str) -> list[str]:
        """Return where a tap listens."""
        return [entry["label"] for entry in self.plan(tap)["listeners"]]


def without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the variables of options that the surroundings may have."""
    for name in list(os.environ):
        if name.startswith("TAPHOUSE_") and name.count("_") > 1 and "RUNTIME" not in name:
            monkeypatch.delenv(name)

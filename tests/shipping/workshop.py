"""A folder in which somebody writes servers, saves them, and makes packages of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from playground import free_port
from shipyard import Shipyard
from taphouse.packaging import control_text
from taphouse.packaging.debreading import open_data

PORT = free_port()
"""Of the server whose package is made once for many tests."""

KEYS = """\
from taphouse import Application, Factory, Protocol

class Key(Protocol):
    def connection_made(self, transport):
        transport.write(b"%d\\n" % self.factory.nextkey)
        self.factory.nextkey += 1
        transport.close()

class Keys(Factory):
    protocol = Key

    def __init__(self):
        self.nextkey = 0

app = Application("otk")
app.listenTCP(8123, Keys())
if __name__ == "__main__":
    app.save("start")
"""


class Workshop:
    """A folder, and the commands of a shipyard typed in it.

    Args:
        folder: where.
        yard: whose commands.
    """

    def __init__(self, folder: Path, yard: Shipyard) -> None:
        self.folder = folder
        self.yard = yard

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def save(self, text: str = KEYS, module: str = "otk") -> str:
        """Write a server and save it; returns the name of its tap."""
        self.write(f"{module}.py", text)
        said = self.run("python", f"{module}.py").stdout
        return said.partition(" to ")[2].partition("...")[0]

    def run(
        self, *command: str, status: int | None = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return self.yard.run(*command, cwd=self.folder, status=status, environment=environment)

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    def refused(self, *command: str, status: int, **environment: str) -> str:
        """Run what must be refused in one line, and leave every file as it is; return the line."""
        before = self.files()
        done = self.run(*command, status=status, **environment)
        assert (done.stdout, done.stderr.count("\n")) == ("", 1), done.stdout + done.stderr
        assert self.files() == before
        return done.stderr


def control(deb: Path) -> dict[str, str]:
    """Return the fields of a package."""
    lines = [line for line in control_text(str(deb)).splitlines() if not line.startswith(" ")]
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def contents(deb: Path) -> dict[str, bytes]:
    """Return path -> bytes of the files of a package."""
    with open_data(str(deb)) as archive:
        return {
            member.name.removeprefix("."): archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.isreg()
        }


def unpack(deb: Path, folder: Path) -> Path:
    """Put the files of a package below a folder, as dpkg would below /."""
    for path, content in contents(deb).items():
        place = folder / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        if "/sbin/" in path:
            os.chmod(place, 0o755)
    return folder

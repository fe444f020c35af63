"""The packages that the tests install: made by the commands of an installed taphouse, once each."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from debianroots import debian_root, not_run, run_in_root
from shipyard import TOP, open_shipyard

PORT = 8123
TALLY = """\
import time

from taphouse import Application, Factory, Protocol

EDITION = 1


class Turn(Protocol):
    def data_received(self, data):
        if data == b"hang\\n":
            time.sleep(1_000_000)
        self.factory.given += 1
        self.transport.write(b"%d %d\\n" % (EDITION, self.factory.given))
        self.transport.close()


class Turns(Factory):
    protocol = Turn
    given = 0


app = Application("tally")
app.listenTCP(8123, Turns())

if __name__ == "__main__":
    app.save("start")
"""
"""A server that says its edition and a number that nobody got before."""

SHOP = """\
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("open"))])
"""

_Run = Callable[[Path, tuple[str, ...]], None]


class Packages(NamedTuple):
    """Where packages are made for one release of Debian."""

    folder: Path
    run: _Run

    def tally(
        self,
        version: str,
        *options: str,
        edition: int = 1,
        port: int = PORT,
        change: tuple[str, str] = ("", ""),
    ) -> Path:
        """Return a package of ``TALLY``.

        Args:
            version: of the package.
            options: of ``tap2deb``.
            edition: what its code says that it is.
            port: where it listens.
            change: a text in its code, and what to write instead.
        """
        source = TALLY.replace("EDITION = 1", f"EDITION = {edition}").replace("8123", str(port))
        assert change[0] in source
        return _make(self, "tally", source.replace(*change) if change[0] else source, version, options)

    def made(self, maker: str, *options: str, source: str = "") -> Path:
        """Return a package of a built-in server.

        Args:
            maker: its type, ``otk``, which is its name, too.
            options: of ``mktap``.
            source: of the module ``shop``, for servers that import one.
        """
        return _make(self, maker, source, "1.0", (), options)

    def otk(self) -> Path:
        """Return a package of the built-in server of one-time keys."""
        return self.made("otk")


@functools.cache
def _make(
    here: Packages,
    name: str,
    source: str,
    version: str,
    options: tuple[str, ...],
    making: tuple[str, ...] | None = None,
) -> Path:
    place = Path(tempfile.mkdtemp(dir=here.folder))
    if making is None:
        (place / f"{name}.py").write_text(source)
        here.run(place, ("python", f"{name}.py"))
        tap = f"{name}-start.tap"
    else:
        (place / "shop.py").write_text(source)
        here.run(place, ("mktap", name, *making))
        tap = f"{name}.tap"
    here.run(place, ("tap2deb", "--set-version", version, *options, "-o", f"{name}.deb", tap))
    return place / f"{name}.deb"


@functools.cache
def packages_for(suite: str) -> Packages:
    """Return where packages for a release are made: here, or in that release itself for its own Python."""
    folder = Path(tempfile.mkdtemp(prefix="taphouse-packages-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if suite == "bookworm":
        if sys.version_info[:2] != (3, 11):
            not_run(f"Debian 12 has Python 3.11, and the tests run with {sys.version.split()[0]}")
        yard = open_shipyard("kv")

        def run(place: Path, words: tuple[str, ...]) -> None:
            yard.run(*words, cwd=place)

        return Packages(folder, run)
    return Packages(folder, _yard_of(suite, folder))


def _yard_of(suite: str, folder: Path) -> _Run:
    """Return how commands run in a release where taphouse is installed in an environment of its own."""
    root = folder / "root"
    # Not copytree, which would read /dev/full to its end, and it has none.
    subprocess.run(["cp", "-a", str(debian_root(suite)), str(root)], check=True)
    _download(folder / "wheels")
    copied = folder / "taphouse"
    copied.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(TOP / name, copied)
    unwanted = shutil.ignore_patterns("*.so", "*.egg-info", "__pycache__")
    shutil.copytree(TOP / "src", copied / "src", ignore=unwanted)
    shutil.copytree(TOP / "docs/man", copied / "docs/man")

    def run(place: Path, words: tuple[str, ...]) -> None:
        path = ("env", "PATH=/opt/yard/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        done = run_in_root(root, place, *path, *words, change=True)
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"

    run(folder, ("python3", "-m", "venv", "/opt/yard"))
    run(folder, ("pip", "install", "--no-index", "--find-links", "wheels", "./taphouse[kv,web]"))
    return run


def _download(folder: Path) -> None:
    """Get what taphouse depends on, for the release's Python."""
    command = [
        *(
            sys.executable,
            "-m",
            "pip",
            "-q",
            "--disable-pip-version-check",
            "download",
            "--dest",
            str(folder),
        ),
        *("--only-binary", ":all:", "--python-version", "3.13", "--implementation", "cp"),
        *("--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64"),
        # What setup.py asks for, and then what taphouse and its extras do.
        *("setuptools", "wheel", "click", "msgspec", "uvloop"),
        *("hiredis", "httptools", "starlette", "uvicorn", "websockets"),
    ]
    said = ""
    for _ in range(3):
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode == 0:
            return
        said = f"{done.stdout}{done.stderr}".strip()
    not_run(f"pip gets no wheels for Python 3.13: {said[-300:]}")

"""Packers: what makes a Debian package of a server, and the server that each of them is given.

The same server, its tap and the same wheels for all.  The wheels, and an environment that has them installed
as users have them, are made once before anything is measured; nothing measured asks a network.  Knows the
recipes; not what is measured of them.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.contestant import BenchError, Unavailable
from bench.workshop import HERE, Workshop

TOP = HERE.parent
SYSTEM_PYTHON = "/usr/bin/python3"
VERSION = "1.0"
MAINTAINER = "Ann Author <ann@example.org>"

SHOP = """\
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def visit(request):
    memory = request.state.memory
    memory["visits"] = memory.get("visits", 0) + 1
    return PlainTextResponse(f"visit {memory['visits']}\\n")


app = Starlette(routes=[Route("/", visit)])
"""


@dataclass(frozen=True)
class Server:
    """A server to be packaged: how its tap is made, what it requires, and what has to be in the package."""

    name: str
    making: tuple[str, ...]
    requirement: str
    parts: tuple[str, ...]
    files: tuple[tuple[str, str], ...] = ()

    def write(self, folder: Path) -> None:
        """Write its code, if it has any of its own."""
        for name, text in self.files:
            (folder / name).write_text(text)


OTK = Server(
    "otk", ("mktap", "otk", "-p", "8123", "-o", "otk.tap"), "taphouse", ("taphouse/", "uvloop/", ".tap")
)
WEB = Server(
    "shop",
    ("mktap", "web", "--app", "shop:app", "-n", "shop", "-o", "shop.tap"),
    "taphouse[web]",
    ("taphouse/", "uvloop/", "uvicorn/", "starlette/", "shop.py", ".tap"),
    (("shop.py", SHOP),),
)


@dataclass(frozen=True)
class Stock:
    """What packages are made from: wheels, and an environment in which they are installed."""

    folder: Path

    @property
    def wheels(self) -> Path:
        """All wheels, taphouse's own as well."""
        return self.folder / "wheels"

    @property
    def bin(self) -> Path:
        """The commands of taphouse, installed whole."""
        return self.folder / "environment" / "bin"

    @property
    def nfpm(self) -> Path:
        """The command ``nfpm``."""
        return self.folder / "nfpm" / "bin" / "nfpm"


def environment() -> dict[str, str]:
    """Return the environment of all packers: no switches of Python, one locale, the same author."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DEB_"))}
    return {**kept, "LC_ALL": "C.UTF-8", "DEBFULLNAME": "Ann Author", "DEBEMAIL": "ann@example.org"}


@functools.cache
def make_stock(workshop: Workshop) -> Stock:
    """Return the stock, made anew if taphouse has changed. Raises Unavailable if pip cannot get something."""
    stock = Stock(workshop.folder / "packaging")
    complete, wanted = stock.folder / "complete", _sum_of_sources()
    if not complete.exists() or complete.read_text() != wanted:
        print(f"bench: wheels and an environment to make packages from, in {stock.folder}", flush=True)
        shutil.rmtree(stock.folder, ignore_errors=True)
        stage = stock.folder / "stage"
        stage.mkdir(parents=True)
        for source in _sources():
            (stage / source.relative_to(TOP)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, stage / source.relative_to(TOP))
        _pip("wheel", "-w", str(stock.wheels), f"{stage}[web]")
        _must([sys.executable, "-m", "venv", "--without-pip", str(stock.folder / "environment")])
        python = str(stock.bin / "python")
        _pip("--python", python, "install", *offline(stock), WEB.requirement)
        complete.write_text(wanted)
    return stock


def pip_command() -> list[str]:
    """Return the words of pip; the environment of taphouse may itself have none, then it is the machine's."""
    has_pip = importlib.util.find_spec("pip") is not None
    return [sys.executable if has_pip else SYSTEM_PYTHON, "-m", "pip", "-q", "--disable-pip-version-check"]


def offline(stock: Stock) -> list[str]:
    """Return what tells pip to take wheels of the stock and nothing else."""
    return ["--no-index", f"--find-links={stock.wheels}"]


def require_nfpm(stock: Stock) -> str:
    """Return its version. Raises Unavailable if it cannot be had."""
    if not stock.nfpm.exists():
        _pip("install", "--target", str(stock.folder / "nfpm"), "nfpm")
    metadata = next((stock.folder / "nfpm").glob("nfpm-*.dist-info")).name
    return metadata.split("-")[1].removesuffix(".dist")


def require_dh_virtualenv() -> str:
    """Return its version. Raises Unavailable if it is missing, or the system's Python another than ours."""
    for command, package in (("dh_virtualenv", "dh-virtualenv"), ("dpkg-buildpackage", "dpkg-dev")):
        if shutil.which(command) is None:
            raise Unavailable(f"no {command}: apt-get install {package}")
    code = "import sys, venv, ensurepip; print(*sys.version_info[:2], sep='.')"
    asked = subprocess.run([SYSTEM_PYTHON, "-c", code], capture_output=True, text=True, check=False)
    if asked.returncode:
        raise Unavailable(f"{SYSTEM_PYTHON} makes no virtual environments: apt-get install python3-venv")
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if asked.stdout.strip() != ours:
        raise Unavailable(
            f"dh-virtualenv builds for Python {asked.stdout.strip()}, the wheels are for {ours}"
        )
    said = subprocess.run(["dh_virtualenv", "--version"], capture_output=True, text=True, check=False)
    return said.stdout.split()[-1]


def write_dh_virtualenv(server: Server, stock: Stock, folder: Path) -> None:
    """Write a source package as its manual has it: requirements, a project, and debian/."""
    debian = folder / "debian"
    debian.mkdir()
    server.write(folder)
    skip = "" if server.files else " --skip-install"
    texts = {
        "requirements.txt": f"{server.requirement}\n",
        "setup.py": f"from setuptools import setup\nsetup(name='{server.name}', version='{VERSION}', "
        f"py_modules={[name.removesuffix('.py') for name, _ in server.files]})\n",
        "debian/control": f"""\
Source: {server.name}
Section: net
Priority: optional
Maintainer: {MAINTAINER}
Build-Depends: debhelper-compat (= 13), dh-virtualenv
Standards-Version: 4.6.2

Package: {server.name}
Architecture: any
Depends: ${{shlibs:Depends}}, ${{misc:Depends}}, python3
Description: server that was built from a tap
 Packaged by dh-virtualenv.
""",
        "debian/rules": f"""\
#!/usr/bin/make -f
%:
	dh $@ --with python-virtualenv --buildsystem=none
override_dh_virtualenv:
	dh_virtualenv --builtin-venv --python {SYSTEM_PYTHON}{skip} \\
		{" ".join(f"--extra-pip-arg={word}" for word in offline(stock))}
""",
        "debian/changelog": f"""\
{server.name} ({VERSION}) stable; urgency=medium

  * Built from a tap.

 -- {MAINTAINER}  Mon, 23 Nov 2026 00:00:00 +0000
""",
        "debian/install": f"{server.name}.tap usr/share/{server.name}\n",
        f"debian/{server.name}.service": unit(
            server, f"/opt/venvs/{server.name}/bin/tap", f"/usr/share/{server.name}/{server.name}.tap"
        ),
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (debian / "rules").chmod(0o755)


def write_nfpm(server: Server, folder: Path) -> None:
    """Write the description that nfpm follows; ``vendor`` is still to be filled by pip."""
    server.write(folder)
    home = f"/usr/lib/{server.name}"
    path = f"Environment=PYTHONPATH={home}/vendor:{home}/app\n"
    (folder / "server.service").write_text(unit(server, f"{home}/vendor/bin/tap", f"{home}/server.tap", path))
    files = "".join(f"  - src: {name}\n    dst: {home}/app/{name}\n" for name, _ in server.files)
    (folder / "nfpm.yaml").write_text(f"""\
name: {server.name}
arch: amd64
version: "{VERSION}"
maintainer: {MAINTAINER}
description: server that was built from a tap
depends:
  - {Path(os.path.realpath(SYSTEM_PYTHON)).name}
contents:
  - src: vendor
    dst: {home}/vendor
    type: tree
  - src: {server.name}.tap
    dst: {home}/server.tap
  - src: server.service
    dst: /usr/lib/systemd/system/{server.name}.service
{files}""")


def unit(server: Server, command: str, seed: str, more: str = "") -> str:
    """Return a unit as somebody writes it who has no tap2deb."""
    return f"""\
[Service]
Type=notify
DynamicUser=yes
StateDirectory={server.name}
{more}ExecStart={command} run {seed}

[Install]
WantedBy=multi-user.target
"""


def find_package(folder: Path, server: Server) -> Path:
    """Return the package below ``folder``. Raises BenchError if something the server needs is not in it."""
    found = sorted(folder.rglob(f"{server.name}_*.deb"))
    if len(found) != 1:
        raise BenchError(f"made {len(found)} packages, not one")
    listed = subprocess.run(["dpkg-deb", "-c", found[0]], capture_output=True, text=True, check=False).stdout
    if missing := [part for part in server.parts if part not in listed]:
        raise BenchError(f"{found[0].name} is without {', '.join(missing)}")
    return found[0]


def lintian_counts(package: Path) -> str:
    """Return what lintian finds, in numbers; nothing without lintian."""
    if shutil.which("lintian") is None:
        return ""
    command = ["lintian", "--allow-root", "--show-overrides", "--tag-display-limit", "0", str(package)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, env=environment()).stdout
    return say_tags(said)


def say_tags(said: str) -> str:
    """Return what lintian has said, in numbers."""
    errors, warnings, overridden = (
        sum(line.startswith(letter) for line in said.splitlines()) for letter in ("E: ", "W: ", "O: ")
    )
    return f"lintian: {errors} errors, {warnings} warnings, {overridden} overridden"


def _pip(*words: str) -> None:
    _must([*pip_command(), *words])


def _must(command: Sequence[str]) -> None:
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        said = (made.stderr.strip() or made.stdout.strip()).splitlines()
        raise Unavailable(f"packages cannot be made: {said[-1] if said else ' '.join(command)}")


def _sources() -> list[Path]:
    found = [TOP / name for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE")]
    found += (TOP / "docs" / "man").glob("*.1")
    found += (path for path in (TOP / "src").rglob("*") if path.suffix in {".py", ".c", ".h", ".1", ".typed"})
    return sorted(found)


def _sum_of_sources() -> str:
    total = hashlib.sha256(sys.version.encode())
    for path in _sources():
        total.update(f"{path.relative_to(TOP)} {path.stat().st_size}\n".encode())
        total.update(path.read_bytes())
    return total.hexdigest()

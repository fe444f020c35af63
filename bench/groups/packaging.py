"""A package of a server: how long it takes to make one, and how big it is, beside dh-virtualenv and nfpm.

A sample begins with a folder that holds the server's code and its tap, and ends when the package is there.
What has to be written by hand for the others (a unit, a description, debian/) is there as well; that nobody
has to write it for tap2deb is in no figure.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.comparison import Comparison, Goal, Metric
from bench.contestant import BenchError, Contestant, Sample, Unavailable, afresh
from bench.group import Group
from bench.packers import (
    MAINTAINER,
    OTK,
    WEB,
    Server,
    Stock,
    environment,
    find_package,
    lintian_counts,
    make_stock,
    offline,
    pip_command,
    require_dh_virtualenv,
    require_nfpm,
    write_dh_virtualenv,
    write_nfpm,
)
from bench.programs import require_command
from bench.workshop import Workshop

TAP2DEB, DH_VIRTUALENV, NFPM = "tap2deb", "dh-virtualenv", "pip and nfpm"
PACKED = {OTK: "otk", WEB: "web"}
TIME = Metric("took_s", "s", "lower")
CPU = Metric("cpu_s", "s of CPU", "lower")
SIZE = Metric("package_mb", "MB", "lower")
PACKER_LIMIT_S = 300.0

Step = tuple[Sequence[str], dict[str, str]]
"""A command, and what its environment has more."""


@dataclass(frozen=True)
class Packer:
    """Takes samples of one way to make a package: ``prepare`` fills a folder, ``steps`` make the package."""

    workshop: Workshop
    server: Server
    stock: Stock
    prepare: Callable[[Path], None]
    steps: tuple[Step, ...]

    def measure(self) -> Sample:
        """Make the package once in a fresh folder."""
        with self.workshop.run_folder() as folder:
            sample, _ = self._make(folder)
        return sample

    def say_lintian(self) -> str:
        """Make it once for nobody, so that files are in the cache, and return what lintian finds in it."""
        with self.workshop.run_folder() as folder:
            _, package = self._make(folder)
            return lintian_counts(package)

    def _make(self, folder: Path) -> tuple[Sample, Path]:
        # A folder of its own inside: dpkg-buildpackage puts its package beside the source.
        inner = folder / self.server.name
        inner.mkdir()
        self.server.write(inner)
        _run([str(self.stock.bin / self.server.making[0]), *self.server.making[1:]], inner, {})
        self.prepare(inner)
        begin, cpu_before_s = time.perf_counter(), _children_cpu_s()
        for command, more in self.steps:
            _run(command, inner, more)
        took_s, cpu_s = time.perf_counter() - begin, _children_cpu_s() - cpu_before_s
        package = find_package(folder, self.server)
        return {"took_s": took_s, "cpu_s": cpu_s, "package_mb": package.stat().st_size / 1e6}, package


def tap2deb(server: Server, workshop: Workshop) -> Contestant:
    """Make it by taphouse's own command, of what is installed in its environment."""
    stock = make_stock(workshop)
    require_command("dpkg-deb", "dpkg")
    command = [str(stock.bin / "tap2deb"), "-m", MAINTAINER, f"{server.name}.tap"]
    packer = Packer(workshop, server, stock, lambda _folder: None, ((command, {}),))
    return _contestant(TAP2DEB, packer)


def dh_virtualenv(server: Server, workshop: Workshop) -> Contestant:
    """dpkg-buildpackage with dh-virtualenv, told to leave out what makes it slower and us not."""
    version = require_dh_virtualenv()
    stock = make_stock(workshop)
    command = (["dpkg-buildpackage", "-us", "-uc", "-b"], {"DEB_BUILD_OPTIONS": "nostrip noautodbgsym"})
    packer = Packer(workshop, server, stock, partial(write_dh_virtualenv, server, stock), (command,))
    how = (
        f"dh-virtualenv {version} --builtin-venv, --buildsystem=none, "
        "DEB_BUILD_OPTIONS='nostrip noautodbgsym', local wheels"
    )
    return _contestant(DH_VIRTUALENV, packer, how)


def pip_and_nfpm(server: Server, workshop: Workshop) -> Contestant:
    """Make a tree with pip --target, then the package of it with nfpm."""
    stock = make_stock(workshop)
    version = require_nfpm(stock)
    pip = [*pip_command(), "install", *offline(stock)]
    steps: tuple[Step, ...] = (
        ([*pip, "--no-compile", "--target", "vendor", server.requirement], {}),
        ([str(stock.nfpm), "package", "-p", "deb", "-t", ".."], {}),
    )
    packer = Packer(workshop, server, stock, partial(write_nfpm, server), steps)
    return _contestant(NFPM, packer, f"nfpm {version}, its defaults (gzip), local wheels")


def _contestant(packer_name: str, packer: Packer, how: str = "") -> Contestant:
    detail = "; ".join(part for part in (how, packer.say_lintian()) if part)
    return Contestant(_named(packer_name, packer.server), afresh(packer.measure), detail)


def _named(packer: str, server: Server) -> str:
    return f"{packer}, {PACKED[server]}"


def _run(command: Sequence[str], folder: Path, more: dict[str, str]) -> None:
    if not shutil.which(command[0]):
        raise Unavailable(f"no {command[0]}")
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environment(), **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PACKER_LIMIT_S,
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise BenchError(f"{Path(command[0]).name} ended with {done.returncode}: {said[-1] if said else ''}")


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _comparisons() -> Iterator[Comparison]:
    goals = {(TIME, DH_VIRTUALENV): Goal(0.2)}
    for server, packed in PACKED.items():
        for metric in (TIME, CPU, SIZE):
            for peer in (DH_VIRTUALENV, NFPM):
                goal = goals.get((metric, peer))
                subject = _named(TAP2DEB, server)
                yield Comparison(f"package of {packed}", metric, subject, _named(peer, server), goal)


PACKAGING = Group(
    name="packaging",
    title="Debian packages",
    method="From a folder with a tap (and the application's code, for web: starlette under uvicorn) to a "
    "package of it, everything it depends on inside; the wheels lie on this machine for all. What others "
    "need written by hand is there beforehand.",
    rounds=6,
    entries=[
        partial(packer, server) for server in PACKED for packer in (tap2deb, dh_virtualenv, pip_and_nfpm)
    ],
    comparisons=tuple(_comparisons()),
)

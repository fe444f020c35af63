"""The workshop: where the harness builds and runs things, and with which tools.

Compiled load generators, the peers' virtual environment and the run folders of measured servers live under
one work folder, outside the source tree's tracked files. Knows how to make tools; not what is measured.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.contestant import BenchError, Unavailable
from bench.cores import Cores, available_cores, divide_cores

HERE = Path(__file__).resolve().parent
SERVERS = HERE / "servers"
WORKERS = HERE / "workers"
PEERS = ("ZODB", "asyncpg", "gunicorn", "hiredis", "pproxy", "proxy.py", "twisted", "uvloop")


@dataclass(frozen=True)
class Workshop:
    """The place and the effort of one run.

    ``rounds`` and ``seconds`` bound what is spent; None leaves each group its own number.
    """

    folder: Path
    rounds: int | None = None
    seconds: float | None = None
    cores: Cores = field(default_factory=lambda: divide_cores(available_cores()))

    @property
    def python(self) -> str:
        """The interpreter that taphouse is installed for: the one that runs the harness."""
        return sys.executable

    @property
    def twistd(self) -> Path:
        """The ``twistd`` of taphouse beside that interpreter. Raises Unavailable if it is not installed."""
        command = Path(sys.executable).parent / "twistd"
        if not command.exists():
            raise Unavailable(f"{command} does not exist: install the package with pip install -e .")
        return command

    @property
    def environment(self) -> dict[str, str]:
        """The environment of everything measured: this one without Python's switches, byte code kept.

        An installed package has its byte code beside it. A checkout, or a shell with PYTHONDONTWRITEBYTECODE,
        would compile every module at every start; so all byte code is kept in the work folder, for all sides.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return {**kept, "PYTHONPYCACHEPREFIX": str(self.folder / "bytecode")}

    def compiled(self, source: Path) -> Path:
        """Compile one C file (again only if it is newer) and return the program.

        Raises Unavailable without a compiler and BenchError if it does not compile.
        """
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise Unavailable("no C compiler: install gcc or clang")
        program = self.folder / "bin" / source.stem
        newest_s = max(path.stat().st_mtime for path in (source, *source.parent.glob("*.h")))
        if program.exists() and program.stat().st_mtime >= newest_s:
            return program
        program.parent.mkdir(parents=True, exist_ok=True)
        made = subprocess.run(
            [compiler, "-O2", "-o", program, source], capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise BenchError(f"{source} does not compile: {made.stderr.strip()}")
        return program

    def load_generator(self, name: str) -> list[str]:
        """Return the command of the load generator ``name``: compiled C, else its Python twin, said aloud."""
        try:
            return [str(self.compiled(HERE / "load" / f"{name}.c"))]
        except Unavailable as reason:
            print(
                f"bench: {name}: {reason}; the Python twin loads instead and may be the bottleneck",
                flush=True,
            )
            return [sys.executable, str(HERE / "load" / f"{name}.py")]

    def peers(self) -> Path:
        """Return the ``bin`` folder of the peers' own virtual environment, made at first use.

        Never the environment of taphouse: Twisted installs a ``twistd`` too. Raises Unavailable if pip fails.
        """
        place = self.folder / "peers"
        complete = place / "complete"
        if not complete.exists() or complete.read_text().split() != list(PEERS):
            print(f"bench: installing {', '.join(PEERS)} into {place}", flush=True)
            _must([sys.executable, "-m", "venv", "--clear", "--without-pip", str(place)])
            # The environment of taphouse may itself have no pip; then the machine's serves both.
            has_pip = importlib.util.find_spec("pip") is not None
            pip = [
                sys.executable if has_pip else "python3",
                "-m",
                "pip",
                "--python",
                str(place / "bin" / "python"),
            ]
            _must([*pip, "install", "-q", *PEERS])
            complete.write_text("\n".join(PEERS))
        return place / "bin"

    def peer_version(self, name: str) -> str:
        """Return the version of a distribution in the peers' environment."""
        code = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
        command = [str(self.peers() / "python"), "-c", code, name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    @contextmanager
    def run_folder(self) -> Iterator[Path]:
        """Give a fresh folder for one sample and remove it afterwards."""
        (self.folder / "runs").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder / "runs") as folder:
            yield Path(folder)


def _must(command: list[str]) -> None:
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        said = (made.stderr.strip() or made.stdout.strip()).splitlines()
        raise Unavailable(f"the peers cannot be installed: {said[-1] if said else ' '.join(command)}")

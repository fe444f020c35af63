"""Two deaths: the process alone, and the machine with it.

After ``kill -9`` the kernel still has everything that was written. A power cut leaves only what was synced:
`powercut.c`, loaded into the server, keeps that apart, and `Disk.cut` puts it in place of the files. It must
never know what is in them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from bench.contestant import BenchError, Unavailable

__all__ = ["DEATHS", "Disk", "build_shim"]

DEATHS = ("kill -9", "power cut")
_SOURCE = Path(__file__).with_name("powercut.c")


def build_shim(folder: Path) -> Path:
    """Compile `powercut.c` and return the library.

    Raises:
        Unavailable: without a compiler.
        BenchError: if it does not compile.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise Unavailable("no C compiler: install gcc or clang")
    made = folder / "powercut.so"
    flags = [
        "-std=gnu11",
        "-O1",
        "-Wall",
        "-shared",
        "-fPIC",
        "-o",
        str(made),
        str(_SOURCE),
        "-ldl",
        "-pthread",
    ]
    done = subprocess.run([compiler, *flags], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{_SOURCE} does not compile: {done.stderr.strip()}")
    return made


class Disk:
    """The folder of one server, and what of it is on the disk.

    Args:
        folder: where the server keeps its files.
        copies: where the shim keeps what was synced.
        shim: the library.
    """

    def __init__(self, folder: Path, copies: Path, shim: Path) -> None:
        self.folder = folder.resolve()
        self._copies = copies.resolve()
        self._shim = shim.resolve()
        self._copies.mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        """What a server's environment needs, whichever death it will die."""
        return {
            "LD_PRELOAD": str(self._shim),
            "POWERCUT_FOLDER": str(self.folder),
            "POWERCUT_DISK": str(self._copies),
        }

    def settle(self) -> None:
        """Take everything as written to the disk: what was there long before the cut."""
        for file in self._files():
            shutil.copyfile(file, self._copy_of(file))

    def cut(self) -> None:
        """Leave of each file what was synced; a file that never was is empty."""
        for file in self._files():
            copy = self._copy_of(file)
            # In place: the file stays the same one for those who have its inode.
            file.write_bytes(copy.read_bytes() if copy.exists() else b"")

    def _files(self) -> list[Path]:
        return [file for file in self.folder.rglob("*") if file.is_file() and not file.is_symlink()]

    def _copy_of(self, file: Path) -> Path:
        # statx(2) has the time of birth, which os.stat does not tell before Python 3.15; stat(1) does.
        names = subprocess.run(
            ["stat", "--format", "%i %W %.9W", str(file)], capture_output=True, text=True, check=True
        ).stdout.split()
        _, _, fraction = names[2].partition(".")
        return self._copies / f"{os.stat(file).st_ino}-{names[1]}{fraction or '000000000'}"

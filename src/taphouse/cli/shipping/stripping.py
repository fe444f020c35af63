"""Stripping: compiled files of distributions without their symbols, where that leaves them whole.

Tools that strip break some libraries that auditwheel has patched, so each file is
read again and kept as it was if the loader could not map it.  The same files and the
same binutils give the same bytes.  This module must never touch the application's own code.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Final

from taphouse.cli.shipping.sizes import megabytes
from taphouse.errors import ConfigurationError
from taphouse.packaging import Elf, Part, PartsSource, Tree, architecture_of, compiled_files, read_elf

__all__ = ["Stripping"]

_PATIENCE_S: Final = 300.0
_TRIPLETS: Final = {
    "amd64": "x86_64-linux-gnu",
    "arm64": "aarch64-linux-gnu",
    "armhf": "arm-linux-gnueabihf",
    "i386": "i686-linux-gnu",
    "ppc64el": "powerpc64le-linux-gnu",
    "riscv64": "riscv64-linux-gnu",
    "s390x": "s390x-linux-gnu",
}


class Stripping:
    """Distributions of another source, stripped.

    Args:
        source: where they come from.
    """

    def __init__(self, source: PartsSource) -> None:
        self._source = source
        self.saved_bytes = 0
        """How much less the files have, after `add_parts`."""
        self.stripped: list[str] = []
        """Paths of the files that lost their symbols."""
        self.kept: dict[str, str] = {}
        """Paths of the files that were left as they are, and why."""

    def add_parts(self, tree: Tree, folder: str, modules: Sequence[str]) -> list[Part]:
        """Add the distributions, as `PartsSource` has it, and strip what is compiled.

        Raises:
            ConfigurationError: as the source, or binutils are missing.
        """
        parts = self._source.add_parts(tree, folder, modules)
        for path, elf in sorted(compiled_files(tree).items()):
            if elf.has_symbols and path.startswith(f"{folder.strip('/')}/"):
                self._strip(tree, path, elf)
        return parts

    def report(self) -> list[str]:
        """Return lines that say what was saved, and which files were kept as they were."""
        if not self.stripped and not self.kept:
            return ["nothing was stripped: no compiled file has symbols"]
        lines = [f"stripped {len(self.stripped)} files, {megabytes(self.saved_bytes)} less"]
        return lines + [f"kept {path} with its symbols: {why}" for path, why in self.kept.items()]

    def _strip(self, tree: Tree, path: str, elf: Elf) -> None:
        node = tree[path]
        before = b"".join(node.read())
        with tempfile.TemporaryDirectory() as scratch:
            file = os.path.join(scratch, "file")
            with open(file, "wb") as out:
                out.write(before)
            done = subprocess.run(
                [_command(path, elf), "--strip-unneeded", "--enable-deterministic-archives", file],
                env={**os.environ, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_PATIENCE_S,
            )
            with open(file, "rb") as out:
                after = out.read()
        why = _fault(elf, after, done)
        if why:
            self.kept[path] = why
            return
        tree.replace_file(path, after)
        self.saved_bytes += len(before) - len(after)
        self.stripped.append(path)


def _command(path: str, elf: Elf) -> str:
    """Return the command that strips files of a machine."""
    machine = architecture_of({path: elf})
    triplet = _TRIPLETS[machine]
    native = triplet.partition("-")[0] in {
        platform.machine(),
        platform.machine().replace("ppc64", "powerpc64"),
    }
    found = shutil.which(f"{triplet}-strip") or (shutil.which("strip") if native else None)
    if found is None:
        package = "binutils" if native else f"binutils-{triplet.replace('_', '-')}"
        raise ConfigurationError(
            f"there is no strip here for files of {machine}",
            cure=f"apt-get install {package}, or leave out --strip",
        )
    return found


def _fault(before: Elf, content: bytes, done: subprocess.CompletedProcess[str]) -> str:
    """Return why a file must not be shipped as it was stripped, "" if it may."""
    if done.returncode or done.stderr.strip():
        told = done.stderr.strip().splitlines()
        return f"strip says: {told[-1].rpartition(': ')[2] if told else done.returncode}"
    try:
        after = read_elf(content)
    except ConfigurationError:
        return "strip breaks it"
    if not after.is_page_aligned:
        return "strip moves its segments off their pages, and the loader would refuse it"
    if (after.needed, after.soname, after.versions) != (before.needed, before.soname, before.versions):
        return "strip changes what it is linked with"
    return ""

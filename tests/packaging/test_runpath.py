"""Folders of the building machine are taken out of compiled files, and nothing else is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from taphouse.packaging import read_elf
from taphouse.packaging.runpath import without_runpath

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="NOT RUN: there is no C compiler")


def compiled(folder: Path, *options: str) -> bytes:
    source, made = folder / "a.c", folder / "a.so"
    source.write_text("int answer(void) { return 42; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", made, source, *options], check=True)
    return made.read_bytes()


def dynamic(content: bytes, folder: Path) -> list[str]:
    """What readelf says of the dynamic section."""
    (folder / "b.so").write_bytes(content)
    command = ["readelf", "-d", "-W", str(folder / "b.so")]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [" ".join(line.split()[1:]) for line in text.splitlines() if line.startswith(" 0x")]


@needs_cc
@pytest.mark.parametrize("kind", ["--enable-new-dtags", "--disable-new-dtags"], ids=["RUNPATH", "RPATH"])
def test_an_absolute_path_goes_and_the_rest_stays(kind: str, tmp_path: Path) -> None:
    content = compiled(tmp_path, f"-Wl,{kind},-rpath,/home/ann/lib:/opt/lib")
    made = without_runpath(content)
    before, after = dynamic(content, tmp_path), dynamic(made, tmp_path)
    assert [line for line in before if "/home/ann" in line] != []
    assert after == [line for line in before if "/home/ann" not in line]
    assert len(made) == len(content)
    assert read_elf(made) == read_elf(content)
    assert without_runpath(made) == made


@needs_cc
@pytest.mark.parametrize("path", ["$ORIGIN/../x.libs", "/home/ann/lib:$ORIGIN"])
def test_a_path_that_begins_at_the_file_stays(path: str, tmp_path: Path) -> None:
    content = compiled(tmp_path, f"-Wl,-rpath,{path}")
    assert without_runpath(content) is content


@pytest.mark.parametrize(
    "content",
    [b"", b"text", b"\x7fELF", b"\x7fELF\x02\x01" + b"\xff" * 80, b"\x7fELF\x01\x02" + b"\x7f" * 300],
    ids=["nothing", "text", "a beginning", "offsets behind its end", "another class"],
)
def test_what_is_not_whole_stays_as_it_is(content: bytes) -> None:
    assert without_runpath(content) == content

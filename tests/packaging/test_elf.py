"""What compiled files need is read from them, and nothing in them is believed."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from taphouse.errors import ConfigurationError
from taphouse.packaging import (
    Elf,
    architecture_of,
    library_dependencies,
    python_dependency,
    read_elf,
    standard_dependencies,
)
from taphouse.value import replace

compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="NOT RUN: there is no C compiler")
binutils = pytest.mark.skipif(shutil.which("readelf") is None, reason="NOT RUN: there is no readelf")

ELF = Elf(
    bits=64,
    is_little_endian=True,
    machine=62,
    flags=0,
    needed=("libc.so.6",),
    soname="",
    versions={"libc.so.6": frozenset({"GLIBC_2.2.5", "GLIBC_2.14"})},
    has_symbols=False,
    is_page_aligned=True,
)


def installed(module: str) -> list[Path]:
    """The compiled files of an installed package."""
    spec = find_spec(module)
    assert spec is not None and spec.submodule_search_locations
    return sorted(Path(spec.submodule_search_locations[0]).rglob("*.so"))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that needs libm and the C library."""
    folder = tmp_path_factory.mktemp("elf")
    (folder / "x.c").write_text("#include <math.h>\ndouble f(double x) { return pow(x, x); }\n")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-Wl,--no-as-needed", "-Wl,-soname,libx.so.3", "x.c", "-lm", "-o", "x.so"],
        cwd=folder,
        check=True,
    )
    return folder / "x.so"


@compiler
def test_a_library_that_was_just_compiled(compiled: Path) -> None:
    elf = read_elf(compiled.read_bytes())
    assert (elf.bits, elf.soname, elf.has_symbols, elf.is_page_aligned) == (64, "libx.so.3", True, True)
    assert elf.needed == ("libm.so.6", "libc.so.6")
    assert "GLIBC_2.29" in elf.versions["libm.so.6"]  # pow


@binutils
@pytest.mark.parametrize("module", ["uvloop", "msgspec", "httptools"])
def test_wheels_are_read_as_readelf_reads_them(module: str) -> None:
    for file in installed(module):
        elf = read_elf(file.read_bytes())
        listed = subprocess.run(["readelf", "-dVW", file], capture_output=True, text=True).stdout
        needed = [line.split("[")[1].rstrip("]") for line in listed.splitlines() if "(NEEDED)" in line]
        assert list(elf.needed) == needed
        part = listed.split("Version needs section")[1] if "Version needs section" in listed else ""
        names = {word.split()[0] for word in part.split("Name: ")[1:]}
        assert {name for names_of in elf.versions.values() for name in names_of} == names
        assert elf.is_page_aligned


@pytest.mark.parametrize("module", ["uvloop", "msgspec", "httptools"])
def test_wheels_depend_on_the_c_library_of_their_symbols(module: str) -> None:
    files = {str(file): read_elf(file.read_bytes()) for file in installed(module)}
    (libc,) = [word for word in library_dependencies(files) if word.startswith("libc6")]
    major, minor = libc.removeprefix("libc6 (>= ").removesuffix(")").split(".")
    assert (2, 2) <= (int(major), int(minor)) <= (2, 39)
    assert architecture_of(files) in {"amd64", "arm64"}


@compiler
def test_a_segment_off_its_page_is_noticed(compiled: Path) -> None:
    content = bytearray(compiled.read_bytes())
    at, count = struct.unpack_from("<Q", content, 32)[0], struct.unpack_from("<H", content, 56)[0]
    for number in range(count):
        entry = at + 56 * number
        if struct.unpack_from("<I", content, entry)[0] == 1:
            offset = struct.unpack_from("<Q", content, entry + 8)[0]
            struct.pack_into("<Q", content, entry + 8, offset + 64)
    assert not read_elf(bytes(content)).is_page_aligned


# --- what is broken or hostile ------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"MZ", b"\x7fELF", b"\x7fELF\x02\x01" + bytes(30), b"\x7fELF\x03\x01" + bytes(100)]
)
def test_what_is_not_elf_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(ConfigurationError, match=r"^x\.so: is no whole compiled file: "):
        read_elf(content, "x.so")


@compiler
def test_no_damage_leads_to_anything_but_a_refusal(compiled: Path) -> None:
    whole = compiled.read_bytes()
    chance = random.Random(1)
    for _ in range(1500):
        content = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            # Headers lie at both ends.
            place = chance.choice([chance.randrange(1024), len(content) - 1 - chance.randrange(3000)])
            content[place] = chance.choice([0, 1, 0x7F, 0xFF, chance.randrange(256)])
        if chance.random() < 0.2:
            del content[chance.randrange(len(content)) :]
        try:
            read_elf(bytes(content))
        except ConfigurationError:
            pass


def sections(content: bytearray) -> list[tuple[int, int]]:
    """Kind and place of each section header of a 64-bit file."""
    at, size, count = struct.unpack_from("<Q", content, 40)[0], *struct.unpack_from("<HH", content, 58)
    places = range(at, at + size * count, size)
    return [(struct.unpack_from("<I", content, place + 4)[0], place) for place in places]


@compiler
def test_versions_without_end_are_refused(compiled: Path) -> None:
    content = bytearray(compiled.read_bytes())
    (place,) = [place for kind, place in sections(content) if kind == 0x6FFFFFFE]
    name = struct.unpack_from("<I", content, struct.unpack_from("<Q", content, place + 24)[0] + 4)[0]
    struct.pack_into("<Q", content, place + 24, len(content))
    most = 0xFFFF  # what one entry can say that it has; a second entry has one more
    version = struct.pack("<IHHII", 0, 0, 0, name, 16)
    content += struct.pack("<HHIII", 1, most, name, 16, 16 + 16 * most) + version * most
    content += struct.pack("<HHIII", 1, 1, name, 16, 0) + version
    with pytest.raises(ConfigurationError, match="versions do not end"):
        read_elf(bytes(content))


@compiler
def test_names_outside_of_the_names_are_refused(compiled: Path) -> None:
    content = bytearray(compiled.read_bytes())
    for kind, place in sections(content):
        if kind == 3:  # the names
            struct.pack_into("<Q", content, place + 32, 1)
    with pytest.raises(ConfigurationError, match="lies outside of the names"):
        read_elf(bytes(content))


# --- what Debian calls it -----------------------------------------------------------------------


def test_the_newest_symbol_of_all_files_decides_on_the_c_library() -> None:
    newer = replace(ELF, versions={"libc.so.6": frozenset({"GLIBC_2.34", "GLIBC_PRIVATE"})})
    assert library_dependencies({"a.so": ELF, "b.so": newer, "c.so": ELF}) == ["libc6 (>= 2.34)"]
    packed = replace(ELF, versions={"libc.so.6": frozenset({"GLIBC_ABI_DT_RELR", "GLIBC_2.9"})})
    assert library_dependencies({"a.so": packed}) == ["libc6 (>= 2.36)"]
    assert library_dependencies({"a.so": replace(ELF, versions={})}) == ["libc6"]
    assert library_dependencies({}) == []


def test_libraries_are_named_as_debian_names_their_packages() -> None:
    elf = replace(
        ELF,
        needed=("libstdc++.so.6", "libgcc_s.so.1", "libz.so.1", "libpthread.so.0", "ld-linux-x86-64.so.2"),
        versions={"libstdc++.so.6": frozenset({"GLIBCXX_3.4.9", "GLIBCXX_3.4.30", "CXXABI_1.3"})},
    )
    assert library_dependencies({"a.so": elf}) == ["libc6", "libgcc-s1", "libstdc++6 (>= 12)", "zlib1g"]


def test_what_a_wheel_brings_along_needs_no_package() -> None:
    user = replace(ELF, needed=("libgfortran-1a2b.so.5", "libquad.so.0"))
    brought = {"x.libs/libgfortran-1a2b.so.5": ELF, "x.libs/quad": replace(ELF, soname="libquad.so.0")}
    assert library_dependencies({"a.so": user, **brought}) == ["libc6 (>= 2.14)"]


@pytest.mark.parametrize("library", ["libc.musl-x86_64.so.1", "libcuda.so.1"])
def test_a_library_that_debian_does_not_have_is_named(library: str) -> None:
    elf = replace(ELF, needed=(library,))
    with pytest.raises(ConfigurationError, match=rf"^a\.so: needs {library}.*manylinux"):
        library_dependencies({"a.so": elf})


def test_one_package_is_for_one_machine() -> None:
    assert architecture_of({}) == "all"
    arm = replace(ELF, machine=183)
    assert architecture_of({"b.so": arm}) == "arm64"
    with pytest.raises(ConfigurationError, match=r"a\.so is compiled for amd64, b\.so for arm64"):
        architecture_of({"a.so": ELF, "b.so": arm})
    with pytest.raises(ConfigurationError, match=r"a\.so: is compiled for machine 8, 64 bits"):
        architecture_of({"a.so": replace(ELF, machine=8)})


@pytest.mark.parametrize(
    ("tags", "dependency", "interpreter"),
    [
        ([], "python3 (>= 3.11~)", "/usr/bin/python3"),
        (["py3-none-any", "py2-none-any", "py37-none-any"], "python3 (>= 3.11~)", "/usr/bin/python3"),
        (["cp37-abi3-manylinux_2_17_x86_64"], "python3 (>= 3.11~)", "/usr/bin/python3"),
        (["cp312-abi3-manylinux_2_17_x86_64", "py3-none-any"], "python3 (>= 3.12~)", "/usr/bin/python3"),
        (["cp311-cp311-linux_x86_64", "py3-none-any", "cp39-abi3-any"], "python3.11", "/usr/bin/python3.11"),
        (["py3-none-manylinux_2_17_x86_64"], "python3 (>= 3.11~)", "/usr/bin/python3"),
    ],
)
def test_the_python_that_all_wheels_can_live_with(tags: list[str], dependency: str, interpreter: str) -> None:
    assert python_dependency(tags) == (dependency, interpreter)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (["cp311-cp311-x", "cp313-cp313-x"], "cp311-cp311-x and for cp313-cp313-x cannot be loaded by one"),
        (["cp311-cp311-x", "cp313-abi3-x"], r"need Python 3\.11, others 3\.13"),
        (["cp313-cp313t-x"], "another ABI"),
        (["pp310-pypy310_pp73-x"], "CPython 3"),
        (["nonsense"], "CPython 3"),
    ],
)
def test_wheels_that_no_python_of_debian_takes_are_refused(tags: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        python_dependency(tags)


def test_what_debian_has_split_off_from_python_is_a_dependency() -> None:
    assert standard_dependencies(["json", "tkinter.ttk", "_tkinter", "_gdbm", "otk"]) == [
        "python3-gdbm",
        "python3-tk",
    ]

"""Debian: which of its packages compiled files need, and what it calls machines.

Names and versions as in Debian 12 and 13; where 13 has renamed a library for
64-bit time, its package still provides the old name.  This module must never
read a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from taphouse.errors import ConfigurationError
from taphouse.packaging.elf import Elf

__all__ = ["architecture_of", "library_dependencies", "python_dependency", "standard_dependencies"]

# e_machine, bits and little-endian -> Debian's name; elf(5) and https://wiki.debian.org/SupportedArchitectures
_ARCHITECTURES: Final = {
    (3, 32, True): "i386",
    (21, 64, True): "ppc64el",
    (22, 64, False): "s390x",
    (40, 32, True): "armhf",
    (62, 64, True): "amd64",
    (183, 64, True): "arm64",
    (243, 64, True): "riscv64",
}

_LIBC: Final = re.compile(
    r"(?:ld-linux.*|ld64|lib(?:c|m|dl|rt|pthread|util|resolv|anl|mvec|BrokenLocale|nss_\w+|thread_db))\.so\.\d+"
)

_PACKAGES: Final = {
    "libGL.so.1": "libgl1",
    "libICE.so.6": "libice6",
    "libSM.so.6": "libsm6",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
    "libatomic.so.1": "libatomic1",
    "libbz2.so.1.0": "libbz2-1.0",
    "libcrypt.so.1": "libcrypt1",
    "libcrypto.so.3": "libssl3",
    "libexpat.so.1": "libexpat1",
    "libffi.so.8": "libffi8",
    "libgcc_s.so.1": "libgcc-s1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgobject-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "liblz4.so.1": "liblz4-1",
    "liblzma.so.5": "liblzma5",
    "libncursesw.so.6": "libncursesw6",
    "libnsl.so.2": "libnsl2",
    "libpq.so.5": "libpq5",
    "libreadline.so.8": "libreadline8",
    "libsqlite3.so.0": "libsqlite3-0",
    "libssl.so.3": "libssl3",
    "libstdc++.so.6": "libstdc++6",
    "libtinfo.so.6": "libtinfo6",
    "libuuid.so.1": "libuuid1",
    "libz.so.1": "zlib1g",
    "libzstd.so.1": "libzstd1",
}

# GLIBCXX_3.4.N -> the first GCC that has it: https://gcc.gnu.org/onlinedocs/libstdc++/manual/abi.html
_GCC: Final = {
    22: "6", 23: "7", 24: "7.2", 25: "8", 26: "9", 27: "9.2", 28: "9.3", 29: "11", 30: "12", 31: "13.1",
    32: "13.2", 33: "14", 34: "15",
}  # fmt: skip

# Modules of Python's own library that are not in Debian's python3.N.
_SPLIT_OFF: Final = {
    "_gdbm": "python3-gdbm",
    "_tkinter": "python3-tk",
    "distutils": "python3-distutils",
    "ensurepip": "python3-venv",
    "lib2to3": "python3-lib2to3",
    "tkinter": "python3-tk",
}

_DT_RELR: Final = (2, 36)  # the C library that first understood GLIBC_ABI_DT_RELR
_OLDEST_PYTHON: Final = (3, 11)
_TAG: Final = re.compile(r"(?P<python>[a-z]+)(?P<major>\d)(?P<minor>\d*)(?P<threads>t?)")


def architecture_of(files: Mapping[str, Elf]) -> str:
    """Return Debian's name of the machine that compiled files are for, ``all`` if there are none.

    Raises:
        ConfigurationError: they are for several machines, or for one that Debian has no name for.
    """
    found: dict[str, str] = {}
    for path, elf in sorted(files.items()):
        key = (elf.machine, elf.bits, elf.is_little_endian)
        if key not in _ARCHITECTURES:
            raise ConfigurationError(
                f"{path}: is compiled for machine {elf.machine}, {elf.bits} bits; Debian has no such one"
            )
        found.setdefault(_ARCHITECTURES[key], path)
    if len(found) > 1:
        (one, first), (other, second) = list(found.items())[:2]
        raise ConfigurationError(
            f"{first} is compiled for {one}, {second} for {other}", cure="a package is for one machine"
        )
    return next(iter(found), "all")


def library_dependencies(files: Mapping[str, Elf]) -> list[str]:
    """Return what ``Depends`` has to say of libraries, sorted.

    Args:
        files: path -> what was read; a library that is one of them needs no package.

    Raises:
        ConfigurationError: a library is not in Debian, as far as is known here.
    """
    own = {path.rpartition("/")[2] for path in files} | {elf.soname for elf in files.values()}
    libc: tuple[int, ...] | None = None
    found: set[str] = set()
    gcc = 0
    for path, elf in sorted(files.items()):
        for library in elf.needed:
            if library in own:
                continue
            if _LIBC.fullmatch(library):
                libc = libc or ()
                continue
            if library not in _PACKAGES:
                raise ConfigurationError(
                    f"{path}: needs {library}, and no Debian package is known that has it",
                    cure="install the manylinux wheel of its distribution, which brings its libraries along",
                )
            found.add(_PACKAGES[library])
        for library, versions in elf.versions.items():
            if library in own:
                continue
            for version in versions:
                if version == "GLIBC_ABI_DT_RELR":
                    libc = max(libc or (), _DT_RELR)
                elif match := re.fullmatch(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?", version):
                    libc = max(libc or (), (int(match[1]), int(match[2])))
                elif match := re.fullmatch(r"GLIBCXX_3\.4\.(\d+)", version):
                    gcc = max(gcc, int(match[1]))
    if gcc > max(_GCC):
        raise ConfigurationError(
            f"a compiled file needs GLIBCXX_3.4.{gcc}, and it is not known which libstdc++6 has that"
        )
    if gcc in _GCC and "libstdc++6" in found:
        found.remove("libstdc++6")
        found.add(f"libstdc++6 (>= {_GCC[gcc]})")
    if libc is not None:
        found.add(f"libc6 (>= {libc[0]}.{libc[1]})" if libc else "libc6")
    return sorted(found)


def python_dependency(tags: Iterable[str]) -> tuple[str, str]:
    """Return what ``Depends`` has to say of Python, and the interpreter to start.

    Args:
        tags: those of the wheels, ``cp311-cp311-manylinux_2_17_x86_64`` or ``py3-none-any``; of several
            joined in one wheel, all.

    Raises:
        ConfigurationError: they need different Pythons, or one that Debian does not have.
    """
    exact: dict[tuple[int, int], str] = {}
    oldest = _OLDEST_PYTHON
    for tag in sorted(set(tags)):
        python, abi, _ = (*tag.split("-"), "", "")[:3]
        match = _TAG.fullmatch(python)
        if match is None or match["python"] not in {"cp", "py"} or match["major"] not in {"2", "3"}:
            raise ConfigurationError(f"wheels for {tag} cannot be used: Debian's Python is CPython 3")
        if match["major"] != "3" or not match["minor"]:
            continue
        version = (3, int(match["minor"]))
        if abi == "abi3" or (abi == "none" and match["python"] == "py"):
            oldest = max(oldest, version)
            continue
        if abi.endswith("t") or "d" in abi.removeprefix("cp"):
            raise ConfigurationError(
                f"wheels for {tag} cannot be used: Debian's Python has another ABI",
                cure="make the package with a usual build of Python",
            )
        exact.setdefault(version, tag)
    if len(exact) > 1:
        one, other = list(exact.values())[:2]
        raise ConfigurationError(f"wheels for {one} and for {other} cannot be loaded by one Python")
    if exact:
        ((version, tag),) = exact.items()
        if version < oldest:
            raise ConfigurationError(
                f"wheels for {tag} need Python 3.{version[1]}, others 3.{oldest[1]} or newer"
            )
        return f"python3.{version[1]}", f"/usr/bin/python3.{version[1]}"
    return f"python3 (>= 3.{oldest[1]}~)", "/usr/bin/python3"


def standard_dependencies(modules: Iterable[str]) -> list[str]:
    """Return what ``Depends`` has to say of modules that Debian has split off from Python, sorted.

    Args:
        modules: names, ``tkinter.ttk``; others than Python's own are passed over.
    """
    tops = {name.partition(".")[0] for name in modules}
    return sorted({package for top, package in _SPLIT_OFF.items() if top in tops})

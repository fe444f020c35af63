"""Preloads: what a process would look for later, and not find in a chroot.

Modules that are imported where they are used, codecs, name service, time zones,
trusted certificates.  This module must never know who asks for what: it reads
the names from the code itself.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import CodeType

__all__ = ["preload"]

_OWN_PACKAGE = __name__.partition(".")[0]
# What the standard library itself imports where it is used, and a server may come to.
_LAZY = ("_strptime", "asyncio", "concurrent.futures.thread", "ctypes", "email.parser", "locale", "zoneinfo")


def preload(*packages: str) -> None:
    """Load what Python and the C library load at first use.

    Measured in an empty chroot: without the idna codec even ``getaddrinfo("127.0.0.1")`` raises
    LookupError; time zones, name service modules, trusted certificates and every module that
    is imported inside of a function are missing.

    Args:
        packages: names of packages to load whole, besides this one; what cannot be imported is
            passed over, as it would have been missing anyway.
    """
    for package in (_OWN_PACKAGE, *packages):
        _load_package(package)
    for name in _LAZY:
        _try_import(name)
    import socket
    import time
    import traceback
    import zoneinfo

    for codec in ("idna", "latin-1", "ascii", "unicode_escape", "punycode"):
        "x".encode(codec)
    with contextlib.suppress(OSError):
        socket.getaddrinfo("localhost", 80)  # loads the modules nsswitch.conf(5) names
    time.tzset()
    with contextlib.suppress(zoneinfo.ZoneInfoNotFoundError, OSError):
        zoneinfo.ZoneInfo("UTC")
    traceback.format_list([])
    with contextlib.suppress(ImportError):
        import ssl

        ssl.create_default_context()


def _load_package(package: str) -> None:
    """Import a package with all its modules, and what their functions import."""
    import pkgutil

    _try_import(package)
    found = sys.modules.get(package)
    names = [package]
    if found is not None and hasattr(found, "__path__"):
        names += [
            info.name for info in pkgutil.walk_packages(found.__path__, package + ".", onerror=lambda _: None)
        ]
    for name in names:
        if not name.endswith("__main__"):  # importing it would run it
            _try_import(name)
            for wanted in sorted(set(_imports_of(name))):
                _try_import(wanted)


def _imports_of(name: str) -> Iterator[str]:
    """Absolute names that a module's code imports, at any depth of its functions."""
    import dis

    spec = getattr(sys.modules.get(name), "__spec__", None)
    get_code = getattr(getattr(spec, "loader", None), "get_code", None)
    if get_code is None:  # built in, or an extension
        return
    codes: list[CodeType | None] = [get_code(name)]
    while codes:
        code = codes.pop()
        if code is not None:
            codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
            instructions = dis.get_instructions(code)
            yield from (step.argval for step in instructions if step.opname == "IMPORT_NAME" and step.argval)


def _try_import(name: str) -> None:
    with contextlib.suppress(Exception):  # an optional extra that is not there; a module for tests
        importlib.import_module(name)

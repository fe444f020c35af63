"""Launcher: the few lines with which a package starts, and finds its own code.

It must never do more: what a package can do is in `taphouse.cli.packaged`.
"""

from __future__ import annotations

__all__ = ["command_text", "command_words", "launcher_text"]


def launcher_text(package: str) -> str:
    """Return ``__main__.py`` of ``/usr/lib/PACKAGE``, which `command_words` call.

    Python's own modules come first on the path, so that nothing in the package takes their place.
    """
    return f'''"""{package}: a server that was built from a tap; see {package}(8)."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:1] = []
sys.path += [os.path.join(HERE, "app"), os.path.join(HERE, "vendor")]

from taphouse.cli.packaged import main

sys.exit(main(HERE, "{package}"))
'''


def command_text(package: str, interpreter: str) -> str:
    """Return ``/usr/sbin/PACKAGE``; nothing in the caller's environment changes what it imports."""
    return f'#!/bin/sh\nexec {" ".join(command_words(package, interpreter))} "$@"\n'


def command_words(package: str, interpreter: str) -> tuple[str, ...]:
    """Return how the server of a package is called, before its verb.

    ``-I`` and ``-S``: nothing of the caller's or the machine's gets on the path; ``-B``: no byte code is
    written where the package manager knows each file.
    """
    return (interpreter, "-ISB", f"/usr/lib/{package}")

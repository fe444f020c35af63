"""Launcher: the few lines with which a package starts, and finds its own code.

It must never do more: what a package can do is in `taphouse.cli.packaged`.
"""

from __future__ import annotations

__all__ = ["command_text", "launcher_text"]


def launcher_text(package: str) -> str:
    """Return ``__main__.py`` of ``/usr/lib/PACKAGE``, for ``python3 -ISB /usr/lib/PACKAGE``.

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
    return f'#!/bin/sh\nexec {interpreter} -ISB /usr/lib/{package} "$@"\n'

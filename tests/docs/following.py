"""Following a document with what it speaks of: commands, packages made of them, a server to install on."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from docs.walkthrough import Walkthrough, blocks_of
from nspawn import Machine, machine
from playground import Playground
from shipyard import bare_environment, open_shipyard

_MAKES_PACKAGES = re.compile(r"^\$ (tap2deb|tap deb|tap oci|tap tree)\b", re.MULTILINE)


def follow(document: Path, playground: Playground) -> None:
    """Do everything that a document says, and see that it says what is.

    Where no server can be had, the rest is done, and then the test is skipped loudly.
    """
    text = document.read_text()
    if _MAKES_PACKAGES.search(text):
        _install_whole(playground)
    not_run = ""
    with ExitStack() as stack:
        server = None
        if any(block.kind == "server" for block in blocks_of(text)):
            try:
                server = stack.enter_context(machine("bookworm"))
                _settle(server)
            except pytest.skip.Exception as refused:
                not_run = str(refused)
        walkthrough = Walkthrough(document, playground, server)
        walkthrough.follow()
    assert walkthrough.typed > 0
    if not_run:
        pytest.skip(not_run)


def _install_whole(playground: Playground) -> None:
    """Let the commands be those of an installed taphouse: of an editable one no packages are made."""
    bare = bare_environment()
    for name in ("DEBFULLNAME", "DEBEMAIL"):
        playground.environment[name] = bare[name]
    path = playground.environment["PATH"]
    playground.environment["PATH"] = f"{open_shipyard().bin}:{path}"


def _settle(server: Machine) -> None:
    """Give a fresh machine what any other has: its own name, and archives that answer (here: none)."""
    server.write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
    server.write("/etc/apt/sources.list", "")

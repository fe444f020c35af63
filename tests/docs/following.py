"""Following a document with what it speaks of: commands, packages made of them, a server to install on."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from docs.walkthrough import Walkthrough, blocks_of
from imageyard import CACHE, is_of_apt, one_asks_apt
from nspawn import Machine, machine
from playground import Playground
from shipyard import bare_environment, open_shipyard

_MAKES_PACKAGES = re.compile(r"^\$ (tap2deb|tap deb|tap oci|tap tree)\b", re.MULTILINE)
_INSTALLED = "/opt/taphouse"
"""Where taphouse is on the server, if the document needs it there."""
_TRIES = 3


def follow(document: Path, playground: Playground) -> None:
    """Do everything that a document says, but for its images, and see that it says what is.

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
            except pytest.skip.Exception as refused:
                not_run = str(refused)
            else:
                _settle(server, with_taphouse=f"{_INSTALLED}/" in text)
        walkthrough = Walkthrough(document, playground, server)
        walkthrough.follow()
    assert walkthrough.typed > 0
    if not_run:
        pytest.skip(not_run)


def follow_image(document: Path, playground: Playground, *, with_engine: bool = False) -> None:
    """Make the images that a document speaks of; run them as it says, if anything here can."""
    if with_engine and (reason := _why_no_engine()):
        pytest.skip(f"NOT RUN: {reason}")
    _install_whole(playground)
    playground.environment["XDG_CACHE_HOME"] = str(CACHE)
    kinds = {"file", "image", "engine"} if with_engine else {"file", "image"}
    for tries_left in reversed(range(_TRIES)):
        walkthrough = Walkthrough(document, playground)
        with one_asks_apt():
            try:
                walkthrough.follow(kinds)
            except AssertionError as error:
                if not is_of_apt(str(error)):
                    raise
                if not tries_left:
                    pytest.skip(f"NOT RUN: Debian's packages cannot be had: {error}")
            else:
                break
    assert walkthrough.typed > 0


def _why_no_engine() -> str:
    """Return why no container can be run by an engine here; empty if it can."""
    if not shutil.which("podman"):
        return "there is no podman to run the image with; tests/shipping run one without an engine"
    command = ["podman", "run", "--rm", "--rootfs", "/", "true"]
    tried = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return f"podman runs no container here: {tried.stderr.strip()[-300:]}" if tried.returncode else ""


def _install_whole(playground: Playground) -> None:
    """Let the commands be those of an installed taphouse: of an editable one no packages are made."""
    bare = bare_environment()
    for name in ("DEBFULLNAME", "DEBEMAIL"):
        playground.environment[name] = bare[name]
    commands = open_shipyard("kv").bin
    playground.environment["PATH"] = f"{commands}:{playground.environment['PATH']}"


def _settle(server: Machine, *, with_taphouse: bool) -> None:
    """Give a fresh machine what any other has: its own name, and archives that answer (here: none)."""
    server.write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
    server.write("/etc/apt/sources.list", "")
    if not with_taphouse:
        return
    server.run("python3", "-m", "venv", "--without-pip", _INSTALLED)
    here = next(open_shipyard("kv").folder.glob("lib/python3*/site-packages"))
    there = server.run("sh", "-c", f"echo {_INSTALLED}/lib/python3*/site-packages").stdout.strip()
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        subprocess.run(["tar", "-C", str(here), "-cf", archive.name, "."], check=True)
        server.copy_in(Path(archive.name), "/opt/packages.tar")
    server.run("tar", "-C", there, "--no-same-owner", "-xf", "/opt/packages.tar")
    server.write(
        f"{_INSTALLED}/bin/tap",
        f"#!{_INSTALLED}/bin/python\nimport sys\nfrom taphouse.cli.tap import main\nsys.exit(main())\n",
    )
    server.run("chmod", "755", f"{_INSTALLED}/bin/tap")

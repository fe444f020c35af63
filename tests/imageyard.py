"""Where images are made and unpacked: one for a state of the sources, shared by all workers.

In a folder that every user of the machine can read, as an ordinary user runs what is in it.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import pytest

from shipyard import Shipyard, _locked, _open_locked, open_shipyard

CACHE = Path(sys.prefix) / "image-cache"
"""What Debian's packages were made into stays here from one run to the next."""

OTK = """\
from taphouse import Application, Factory, Protocol

class OneTimeKey(Protocol):
    def connection_made(self, transport):
        key = self.factory.nextkey
        self.factory.nextkey += 1
        print("giving key", key)
        transport.write(b"%d\\n" % key)
        transport.close()

class Keys(Factory):
    protocol = OneTimeKey

    def __init__(self):
        self.nextkey = 0

app = Application("otk")
app.listenTCP(8123, Keys())

if __name__ == "__main__":
    app.save("start")
"""
_ABOVE = Path(tempfile.gettempdir()) / f"taphouse-images-{os.geteuid()}"
_held: list[int] = []  # descriptors whose locks last as long as this process
_TRIES = 3


class ImageYard(NamedTuple):
    """A folder with otk-start.tap and its image: archive, layout, unpacked; nobody changes it."""

    folder: Path
    yard: Shipyard

    @property
    def seed(self) -> Path:
        """The tap."""
        return self.folder / "otk-start.tap"

    @property
    def archive(self) -> Path:
        """The image."""
        return self.folder / "otk.oci.tar"

    @property
    def layout(self) -> Path:
        """The same as skopeo copies it; its tag is ``1.0``."""
        return self.folder / "layout"

    @property
    def bundle(self) -> Path:
        """The same as umoci unpacks it for an ordinary user."""
        return self.folder / "home/bundle"


def require(*tools: str) -> None:
    """Skip the test loudly where tools are missing."""
    missing = [tool for tool in tools if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if missing:
        pytest.skip(f"NOT RUN: this machine has no {' and no '.join(missing)}")


def as_ordinary_user() -> list[str]:
    """Return the words before a command that make whoever runs the tests an ordinary user."""
    if os.geteuid():
        return []
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]


@functools.cache
def why_no_containers() -> str:
    """Return why an ordinary user can have no container here; empty if he can."""
    if shutil.which("bwrap") is None:
        return "this machine has no bwrap"
    trial = ["bwrap", "--dev-bind", "/", "/", "--unshare-net", "--"]
    inner = ["bwrap", "--ro-bind", "/", "/", "--proc", "/proc", "--unshare-all", "true"]
    done = subprocess.run(
        [*as_ordinary_user(), *trial, *inner], cwd="/", capture_output=True, text=True, check=False
    )
    return f"an ordinary user can have no namespaces here: {done.stderr.strip()}" if done.returncode else ""


@functools.cache
def open_image_yard() -> ImageYard:
    """Return the image of a server, made of what taphouse is now.

    Skips the test loudly where a tool is missing or Debian's packages cannot be had.
    """
    require("apt-get", "skopeo", "umoci")
    yard = open_shipyard()
    wanted = _sum_of_origins(yard)
    _ABOVE.mkdir(exist_ok=True)
    assert _ABOVE.lstat().st_uid == os.geteuid(), f"{_ABOVE} is somebody else's"
    _ABOVE.chmod(0o755)  # whatever the umask
    with _locked(_ABOVE / "lock", fcntl.LOCK_EX):
        folder = _ABOVE / wanted
        if not (folder / "whole").exists():
            _remove_old(wanted)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            folder.chmod(0o755)
            _fill(ImageYard(folder, yard))
            (folder / "whole").touch()
        _held.append(_open_locked(folder / "used.lock", fcntl.LOCK_SH))
    return ImageYard(folder, yard)


def make_image(yard: Shipyard, *words: str, cwd: Path, **more: str) -> str:
    """Type ``tap oci``, again if the packages cannot be fetched, and return what it prints."""
    environment = {"XDG_CACHE_HOME": str(CACHE), **more}
    for _ in range(_TRIES):
        with one_asks_apt():
            done = yard.run("tap", "oci", *words, cwd=cwd, status=None, environment=environment)
            if done.returncode == 0:
                return done.stdout
            if not is_of_apt(done.stderr):
                raise AssertionError(done.stdout + done.stderr)
    pytest.skip(f"NOT RUN: Debian's packages cannot be had: {done.stderr.strip()}")


def one_asks_apt() -> AbstractContextManager[None]:
    """Let one process at a time ask apt: its lists must not change while another reads them."""
    CACHE.mkdir(exist_ok=True)
    return _locked(CACHE / "apt.lock", fcntl.LOCK_EX)


def is_of_apt(said: str) -> bool:
    """Say whether what ``tap oci`` has said is no fault of its own; get apt's lists if they are missing."""
    if "Unable to locate package" in said and os.geteuid() == 0:
        subprocess.run(["apt-get", "-qq", "update"], capture_output=True, check=False)
    return "apt-get: " in said or "lists of packages have changed" in said


def _fill(made: ImageYard) -> None:
    folder = made.folder
    (folder / "otk.py").write_text(OTK)
    made.yard.run("python", "otk.py", cwd=folder)
    make_image(made.yard, "-o", "otk.oci.tar", "otk-start.tap", cwd=folder)
    subprocess.run(
        ["skopeo", "copy", "--quiet", f"oci-archive:{made.archive}", f"oci:{made.layout}:1.0"], check=True
    )
    for path in (made.layout, *made.layout.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    home = folder / "home"
    home.mkdir()
    if os.geteuid() == 0:
        os.chown(home, 65534, 65534)
    unpacking = ["umoci", "unpack", "--rootless", "--image", f"{made.layout}:1.0", str(home / "bundle")]
    subprocess.run([*as_ordinary_user(), "env", f"HOME={home}", *unpacking], cwd="/", check=True)


def _sum_of_origins(yard: Shipyard) -> str:
    """Return a name for what an image is made of.

    Not of the sources alone: compiled again, in another folder, they give other bytes, and so does
    Debian when its lists change.
    """
    whole = (yard.folder / "whole").stat()
    total = hashlib.sha256(f"{yard.folder} {whole.st_ino} {whole.st_mtime_ns}".encode())
    total.update(Path(__file__).read_bytes())
    for path in sorted(Path("/var/lib/apt/lists").glob("*InRelease")):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


def _remove_old(wanted: str) -> None:
    """Remove what was made of other sources, unless a process uses it."""
    for path in _ABOVE.iterdir():
        if not path.is_dir() or path.name == wanted:
            continue
        if (path / "used.lock").exists():
            try:
                os.close(_open_locked(path / "used.lock", fcntl.LOCK_EX | fcntl.LOCK_NB))
            except OSError:
                continue
        shutil.rmtree(path, ignore_errors=True)

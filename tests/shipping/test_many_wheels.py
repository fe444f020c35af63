"""A package with dozens of wheels, most of them compiled: clean to both lintians, whole where it is put.

Downloads some 100 MB once; what was fetched stays beside the environment that runs the tests.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from repacking import repack
from workshop import Workshop, contents, control

from debianroots import debian_root, not_run, run_in_root
from shipyard import Shipyard, open_shipyard
from wheelmaking import locked

pytestmark = [pytest.mark.process, pytest.mark.soak]

WANTED = re.findall(
    r"\S+",
    """
aiohttp asyncpg async-timeout bcrypt cryptography jinja2 lxml lz4 msgpack numpy orjson pillow protobuf
psycopg[binary] pydantic pyyaml redis[hiredis] regex requests sqlalchemy starlette uvicorn[standard] zstandard
""",
)
SERVER = """\
import aiohttp, asyncpg, bcrypt, cryptography.hazmat.primitives.ciphers.aead, cryptography.x509
import google.protobuf.struct_pb2, hiredis, httptools, jinja2, lxml.etree, lz4.frame, msgpack, numpy.linalg
import orjson, PIL.Image, psycopg, pydantic, redis, regex, requests, sqlalchemy, starlette.applications
import uvicorn, uvloop, watchfiles, websockets, yaml, zstandard
from taphouse import Application, Factory, Protocol

class Sum(Protocol):
    def connection_made(self, transport):
        transport.write(orjson.dumps(float(numpy.linalg.det(numpy.eye(3)))))
        transport.close()

class Sums(Factory):
    protocol = Sum

app = Application("sums")
app.listenTCP(8123, Sums())
if __name__ == "__main__":
    app.save("start")
"""
TRY = """\
import json, importlib, sys
sys.path[:1] = []
sys.path += ["/usr/lib/sums/app", "/usr/lib/sums/vendor"]
names = json.load(open("/usr/lib/sums/manifest.json"))["modules"]
tops = {name.partition(".")[0] for name in names}
for name in names:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Extensions make up modules when they are loaded, and nobody finds those in files.
        assert error.name == name and "." in name or "cython" in name.lower(), (name, error)
print(len(tops), "imported,", sum(module.__file__.endswith(".so") for module in list(sys.modules.values())
    if getattr(module, "__file__", None)), "compiled")
"""


@pytest.fixture(scope="module")
def wheels() -> Path:
    """Wheels of everything that is wanted."""
    folder = Path(sys.prefix) / "cache/many-wheels"
    if not (folder / "whole").exists():
        command = [sys.executable, "-m", "pip", "-q", "download", "--only-binary", ":all:", "-d", str(folder)]
        done = subprocess.run([*command, *WANTED], capture_output=True, text=True, check=False)
        if done.returncode:
            not_run(f"pip does not get the wheels: {done.stderr[-300:]}")
        (folder / "whole").touch()
    return folder


@pytest.fixture(scope="module")
def place(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A workshop in whose environment they are installed, and the folder of all wheels, and their lock."""
    folder = tmp_path_factory.mktemp("many")
    shutil.copytree(wheels, folder / "wheels", ignore=shutil.ignore_patterns("whole"))
    for wheel in repack(open_shipyard(), folder / "own", "taphouse"):
        name = wheel.name.partition("-")[0]
        if not any(path.name.partition("-")[0] == name for path in (folder / "wheels").iterdir()):
            shutil.copy(wheel, folder / "wheels")
    files = sorted(map(str, (folder / "wheels").iterdir()))
    yard = Shipyard(folder / "venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(yard.folder)], check=True)
    command = [sys.executable, "-m", "pip", "-q", "--python", str(yard.python), "install", "--no-index"]
    subprocess.run([*command, "--no-deps", *files], check=True)
    (folder / "req.txt").write_text(locked(*(Path(path) for path in files if "/taphouse-" not in path)))
    made = Workshop(folder, yard)
    made.save(SERVER, "sums")
    return made


@pytest.fixture(scope="module", params=["", "--strip"])
def deb(request: pytest.FixtureRequest, place: Workshop) -> Path:
    words = ("--requirements", "req.txt", "--wheels", "wheels", "-o", f"sums{request.param}.deb")
    done = place.run(
        *("tap2deb", *words, *filter(None, [request.param]), "sums-start.tap"),
        XDG_CACHE_HOME=str(place.folder / "cache"),
    )
    path = place.folder / f"sums{request.param}.deb"
    print(f"\n{done.stderr}{done.stdout.partition('  brings')[0]}{len(contents(path))} files")
    return path


def test_both_lintians_find_nothing(deb: Path) -> None:
    if shutil.which("lintian") is None:
        not_run("as root: apt-get install -y lintian")
    command = ["lintian", "--pedantic", "--allow-root", "--fail-on", "error,warning"]
    older = subprocess.run([*command, str(deb)], capture_output=True, text=True, check=False)
    root = debian_root("trixie-lintian")
    newer = run_in_root(root, deb.parent, *command, deb.name)
    versions = [
        subprocess.run(["lintian", "--version"], capture_output=True, text=True, check=False).stdout.strip(),
        run_in_root(root, deb.parent, "lintian", "--version").stdout.strip(),
    ]
    print(f"\n{deb.name}: {versions[0]}: {older.stdout!r}; {versions[1]}: {newer.stdout!r}")
    assert (older.returncode, older.stdout) == (0, ""), older.stdout + older.stderr
    assert (newer.returncode, newer.stdout) == (0, ""), newer.stdout + newer.stderr


def test_everything_is_imported_where_it_is_installed(deb: Path) -> None:
    root = debian_root("bookworm")
    (deb.parent / "try.py").write_text(TRY)
    script = f"dpkg --force-depends -i {deb.name} >/dev/null && /usr/bin/python3.11 -ISB try.py"
    done = run_in_root(root, deb.parent, "sh", "-c", script)
    assert done.returncode == 0, done.stdout + done.stderr
    match = re.search(r"(\d+) imported, (\d+) compiled", done.stdout)
    print(f"\n{deb.name}: needs {control(deb)['Depends']}\n{done.stdout}")
    assert match is not None
    assert int(match[1]) >= 30
    assert int(match[2]) >= 60

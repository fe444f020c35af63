"""What a package brings along comes out of wheels as well: locked, fetched, for other machines, stripped."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from repacking import repack
from workshop import Workshop, contents, control

from taphouse.cli.shipping.sourceoptions import SourceOptions, source_options
from taphouse.cli.shipping.sourcing import choose_source
from taphouse.cli.shipping.stripping import Stripping
from taphouse.cli.tap2deb import make_parser
from taphouse.errors import ConfigurationError, TaphouseError
from taphouse.packaging import Part, Tree, read_elf
from wheelmaking import locked, make_wheel

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture(scope="module")
def wheels(otk: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels of all that the yard of otk has."""
    folder = tmp_path_factory.mktemp("wheels")
    repack(otk.yard, folder, "taphouse")
    return folder


# --- packages -----------------------------------------------------------------------------------


def test_wheels_and_the_environment_give_the_same_package(
    otk: Workshop, wheels: Path, tmp_path: Path
) -> None:
    (same,) = otk.folder.glob("otk_1.0_*.deb")
    lock = tmp_path / "req.txt"
    lock.write_text(locked(*(path for path in wheels.iterdir() if not path.name.startswith("taphouse"))))
    words = ("--requirements", str(lock), "--wheels", str(wheels), "-o", str(tmp_path / "otk.deb"))
    otk.run("tap2deb", *words, "otk-start.tap", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert (tmp_path / "otk.deb").read_bytes() == same.read_bytes()
    assert list((tmp_path / "cache/taphouse/wheels").iterdir()) == []


def test_a_package_can_be_made_for_another_python_and_machine(otk: Workshop, tmp_path: Path) -> None:
    repack(otk.yard, tmp_path / "arm", "taphouse", foreign="cp313-aarch64")
    words = ("--wheels", str(tmp_path / "arm"), "--python", "3.13", "--platform", "arm64")
    otk.run("tap2deb", *words, "-o", f"{tmp_path}/", "otk-start.tap")
    (deb,) = tmp_path.glob("*.deb")
    found = contents(deb)
    manifest = json.loads(found["/usr/lib/otk/manifest.json"])
    if not any(path.endswith(".so") for path in found):
        pytest.skip("NOT RUN: nothing that taphouse needs is compiled here")
    assert deb.name == "otk_1.0_arm64.deb"
    assert control(deb)["Architecture"] == "arm64"
    assert "python3.13" in control(deb)["Depends"]
    assert b"exec /usr/bin/python3.13 -ISB" in found["/usr/sbin/otk"]
    assert manifest["interpreter"] == "/usr/bin/python3.13"
    assert "/usr/lib/otk/app/otk.py" in found


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("--platform arm64", 64, "what is installed here is for "),
        ("--python 3.99", 64, "what is installed here is for Python 3."),
        ("--platform vax", 64, "--platform 'vax' is none that Debian has; say a machine (arm64)"),
        ("--platform musllinux_1_2_x86_64", 64, "is none that Debian has"),
        ("--python 2.7", 64, "--python '2.7' is no Python that servers run on; say 3.11 or newer"),
        ("--from-env --wheels .", 64, "--from-env takes what is installed here"),
        ("--wheels nowhere", 64, "nowhere: is no folder; name a folder of wheels (--wheels)"),
        ("--wheels .", 78, "taphouse itself is not among the wheels"),
        ("--requirements none.txt", 78, "none.txt: cannot be read: No such file or directory"),
        ("--requirements open.txt", 78, "open.txt, line 2: uvloop>=0.21 is not one version; pin it"),
        (
            "--requirements lone.txt",
            78,
            "taphouse itself is not among the wheels, and nothing runs without it",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, status: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "open.txt").write_text("# what it needs\nuvloop>=0.21\n")
    (tmp_path / "lone.txt").write_text(f"uvloop==0.21 --hash=sha256:{'0' * 64}\n")
    options = source_options(make_parser().parse(words.split()))
    with pytest.raises(TaphouseError) as refused:
        choose_source(options).source.add_parts(Tree(), "vendor", ["taphouse"])
    assert said in str(refused.value)
    assert refused.value.exit_code == status


def test_a_refusal_is_one_line_and_leaves_nothing(otk: Workshop) -> None:
    line = otk.refused("tap2deb", "--wheels", ".", "otk-start.tap", status=78)
    assert line.startswith("tap2deb: taphouse itself is not among the wheels, and nothing runs without it; ")


# --- fetching -----------------------------------------------------------------------------------


class Index:
    """A folder of wheels that pip takes for all there is, and a cache."""

    def __init__(self, folder: Path) -> None:
        self.wheels = folder / "index"
        self.cache = folder / "cache"
        self._lock = folder / "req.txt"
        make_wheel(self.wheels, "taphouse", {"taphouse.py": ""})

    def lock(self, *lines: str) -> None:
        options = f"--no-index\n--find-links {self.wheels.name}\n"
        self._lock.write_text(options + "".join(lines))

    def take(self, **more: str) -> list[str]:
        """Fetch what is locked, and return the paths that it brings."""
        options = SourceOptions(
            requirements=str(self._lock), **{"python": "3.13", "platform": "arm64", **more}
        )
        tree = Tree()
        choose_source(options, stream=io.StringIO()).source.add_parts(tree, "vendor", ["taphouse"])
        return [path for path, node in tree if node.is_file and ".dist-info" not in path]

    def fetched(self) -> list[str]:
        folder = self.cache / "taphouse/wheels"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    pytest.importorskip("pip", reason="NOT RUN: there is no pip in the environment of the tests")
    made = Index(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(made.cache))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    return made


def test_what_is_locked_is_fetched_once(index: Index) -> None:
    fast = make_wheel(index.wheels, "fast", tags="cp313-cp313-manylinux_2_28_aarch64")
    make_wheel(index.wheels, "fast", tags="cp311-cp311-manylinux_2_17_x86_64")
    index.lock(locked(fast, *index.wheels.glob("taphouse*")))
    assert index.take() == ["vendor/fast.py", "vendor/taphouse.py"]
    assert index.fetched() == [fast.name, "taphouse-1.0-py3-none-any.whl"]
    index.wheels.rename(index.wheels.with_name("away"))  # whoever fetched again would miss it
    assert index.take() == ["vendor/fast.py", "vendor/taphouse.py"]
    # What was damaged is fetched again.
    index.wheels.with_name("away").rename(index.wheels)
    (index.cache / "taphouse/wheels" / fast.name).write_bytes(b"half")
    assert index.take() == ["vendor/fast.py", "vendor/taphouse.py"]


def test_what_has_no_wheel_for_the_platform_is_told_with_what_there_is(index: Index) -> None:
    fast = make_wheel(index.wheels, "fast", tags="cp313-cp313-manylinux_2_17_x86_64")
    make_wheel(index.wheels, "fast", tags="cp313-cp313-musllinux_1_2_aarch64")
    index.lock(locked(*index.wheels.glob("taphouse*"), fast))
    with pytest.raises(ConfigurationError) as refused:
        index.take()
    said = str(refused.value)
    assert (
        "req.txt, line 4: fast 1.0 has no wheel for CPython 3.13 on aarch64 with glibc 2.41; there is "
        in said
    )
    assert "fast-1.0-cp313-cp313-manylinux_2_17_x86_64.whl (for x86_64)" in said
    assert "fast-1.0-cp313-cp313-musllinux_1_2_aarch64.whl (for musl, not glibc)" in said
    assert "\n" not in said
    assert index.fetched() == []


def test_a_wheel_with_another_sum_is_not_taken(index: Index) -> None:
    fast = make_wheel(index.wheels, "fast")
    lines = locked(*index.wheels.glob("taphouse*"), fast)
    make_wheel(index.wheels, "fast", {"fast.py": "evil"})
    index.lock(lines)
    with pytest.raises(
        ConfigurationError, match=r"line 4: the wheel of fast 1.0 for .* has none of its sums"
    ):
        index.take()
    assert index.fetched() == []


def test_an_environment_without_pip_says_so(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.lock(locked(*index.wheels.glob("taphouse*")))
    bare = index.cache.parent / "bin/python"
    bare.parent.mkdir()
    bare.write_text("#!/bin/sh\necho /usr/bin/python3: No module named pip >&2\nexit 1\n")
    bare.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(bare))
    with pytest.raises(ConfigurationError, match=r"there is no pip in .*; python -m ensurepip, or fetch it"):
        index.take()


def test_a_wheel_comes_from_the_index_that_pip_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pip", reason="NOT RUN: there is no pip in the environment of the tests")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    make_wheel(tmp_path / "own", "taphouse")
    lock = tmp_path / "req.txt"
    sums = "946d195a0d259cbba61165e88e65941f16e9b36ea6ddb97f00452bae8b1287d3"
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "30")  # where there is no way to it, that is soon known
    lock.write_text(f"idna==3.10 --hash=sha256:{sums}\n")
    options = SourceOptions(requirements=str(lock), wheels=str(tmp_path / "own"))
    try:
        parts = choose_source(options, stream=io.StringIO()).source.add_parts(Tree(), "vendor", ["taphouse"])
    except ConfigurationError as error:
        if "pip cannot fetch" not in str(error) and "there is none at all" not in str(error):
            raise
        pytest.skip(f"NOT RUN: pip reaches no index with idna 3.10: {error}")
    assert [(part.name, part.version) for part in parts] == [("idna", "3.10"), ("taphouse", "1.0")]


# --- stripping ----------------------------------------------------------------------------------


# Moves the first segment off the page of its offset, as strip does with files that were patched.
MOVES = """\
python3 - "$3" <<'END'
import struct, sys
data = bytearray(open(sys.argv[1], 'rb').read())
at = struct.unpack_from('<Q', data, 32)[0] + 16
struct.pack_into('<Q', data, at, struct.unpack_from('<Q', data, at)[0] + 8)
open(sys.argv[1], 'wb').write(data)
END
"""


class Compiled:
    """A source with two compiled files."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def add_parts(self, tree: Tree, folder: str, modules: object) -> list[Part]:
        tree.add_file(f"{folder}/a.so", self.content, 0o755)
        tree.add_file(f"{folder}/b.py", "b = 1\n")
        return [Part("a", "1")]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small library with all its symbols."""
    folder = tmp_path_factory.mktemp("compiled")
    if shutil.which("cc") is None or shutil.which("strip") is None:
        pytest.skip("NOT RUN: as root: apt-get install -y gcc libc6-dev binutils")
    (folder / "a.c").write_text(
        "static int hidden(int x) { return x + 1; }\nint seen(int x) { return hidden(x); }\n"
    )
    command = ["cc", "-g", "-shared", "-fPIC", "-o", "a.so", "a.c"]
    subprocess.run(command, cwd=folder, check=True)
    return (folder / "a.so").read_bytes()


def stripped(content: bytes) -> tuple[Stripping, Tree]:
    tree = Tree()
    tree.add_file("usr/lib/otk/app/own.so", content)
    stripping = Stripping(Compiled(content))
    assert stripping.add_parts(tree, "usr/lib/otk/vendor", []) == [Part("a", "1")]
    assert tree["usr/lib/otk/app/own.so"].content == content
    return stripping, tree


def test_what_is_compiled_loses_its_symbols(compiled: bytes) -> None:
    stripping, tree = stripped(compiled)
    after = tree["usr/lib/otk/vendor/a.so"].content or b""
    assert read_elf(compiled).has_symbols
    assert not read_elf(after).has_symbols
    assert tree["usr/lib/otk/vendor/a.so"].mode == 0o755
    assert stripping.saved_bytes == len(compiled) - len(after) > 0
    (line,) = stripping.report()
    assert re.match(r"stripped 1 files, \d\.\d kB less", line)
    assert stripped(compiled)[1]["usr/lib/otk/vendor/a.so"].content == after


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (MOVES, "strip moves its segments off their pages"),
        ("echo nothing >$3", "strip breaks it"),
        ("exit 1", "strip says: 1"),
        ("echo strip: a.so: no room for it >&2", "strip says: no room for it"),
    ],
)
def test_what_strip_would_break_stays_as_it_was(
    compiled: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str
) -> None:
    tool = tmp_path / "strip"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setattr("taphouse.cli.shipping.stripping.shutil.which", lambda _name: str(tool))
    stripping, tree = stripped(compiled)
    assert tree["usr/lib/otk/vendor/a.so"].content == compiled
    assert stripping.saved_bytes == 0
    assert why in stripping.kept["usr/lib/otk/vendor/a.so"]
    assert any(why in line for line in stripping.report())


def test_without_strip_the_package_to_install_is_told(
    compiled: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(
        ConfigurationError, match="there is no strip here .*; apt-get install binutils, or leave"
    ):
        stripped(compiled)

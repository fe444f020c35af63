"""``./run`` sets itself up on any machine, or says in one line what an administrator has to type.

A bare machine is played by a folder of small scripts that is all of the PATH: a Python that can do
what a scenario says it can, an ``apt-get`` that is only there for root.  What they were asked to do
is written down.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
REAL_TOOLS = ["sh", "cat", "cksum", "dirname", "mktemp", "rm", "mkdir", "cp", "printf", "chmod"]

PYTHON = """\
#!/bin/sh
# A Python with the abilities that the files beside it stand for.
here=$MACHINE
case "$*" in
"-c import sys; sys.exit"*) [ ! -e "$here/is_old" ] ;;
*getaddrinfo*) [ ! -e "$here/lacks_localhost" ] ;;
*"import pip"*) [ -e "$here/has_pip" ] ;;
*"import sys; print(sys.version)"*) echo 3.11 ;;
"-m venv"*)
    echo "python $*" >>"$here/asked"
    case "$*" in *--without-pip*) ;; *) [ -e "$here/has_venv" ] || exit 1 ;; esac
    for folder; do :; done
    mkdir -p "$folder/bin" && cp "$here/python3" "$folder/bin/python" && chmod +x "$folder/bin/python"
    ;;
*"pip"*"install"*) echo "python $*" >>"$here/asked" ;;
*scripts/demo.py*) echo "demo" ;;
*) : ;;
esac
"""

APT = """\
#!/bin/sh
echo "apt-get $*" >>"$MACHINE/asked"
case "$*" in *install*python3-venv*) : >"$MACHINE/has_venv" ;; esac
[ ! -e "$MACHINE/apt_fails" ]
"""


class Machine:
    """A machine with nothing on it but a shell, and what is added."""

    def __init__(self, folder: Path) -> None:
        self.tools = folder / "tools"
        self.checkout = folder / "checkout"
        self.tools.mkdir()
        (self.checkout / "src" / "taphouse").mkdir(parents=True)
        for name in ("run", "pyproject.toml"):
            shutil.copy(TOP / name, self.checkout)
        for name in REAL_TOOLS:
            (self.tools / name).symlink_to(shutil.which(name))
        self.add("id", "#!/bin/sh\necho 1000\n")

    def add(self, name: str, script: str) -> None:
        (self.tools / name).write_text(script)
        (self.tools / name).chmod(0o755)

    def can(self, *abilities: str) -> Machine:
        for ability in abilities:
            (self.tools / ability).touch()
        return self

    def with_python(self) -> Machine:
        self.add("python3", PYTHON)
        return self

    def with_root(self) -> Machine:
        self.add("id", "#!/bin/sh\necho 0\n")
        self.add("apt-get", APT)
        return self

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.checkout / "run", *arguments],
            env={"PATH": str(self.tools), "MACHINE": str(self.tools)},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def asked(self) -> list[str]:
        file = self.tools / "asked"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"]], ids=["nothing", "help", "--help"])
def test_help_lists_every_verb_and_needs_nothing(machine, arguments):
    done = machine.run(*arguments)
    assert done.returncode == 0
    for verb in ("demo", "test", "check", "bench", "losses", "soak"):
        assert f"./run {verb}" in done.stdout


def test_an_unknown_verb_is_an_error_of_usage(machine):
    done = machine.run("dmeo")
    assert done.returncode == 64
    assert "dmeo" in done.stderr


def test_the_plain_way_makes_an_environment_and_installs_into_it(machine):
    done = machine.with_python().can("has_venv", "has_pip").run("demo")
    assert (done.returncode, done.stdout) == (0, "demo\n"), done.stderr
    assert [command.split(" -q ")[0] for command in machine.asked] == [
        "python -m venv --clear .venv",
        "python -m pip --disable-pip-version-check",
    ]


def test_a_second_run_sets_nothing_up_again_until_the_project_changes(machine):
    machine.with_python().can("has_venv", "has_pip").run("demo")
    before = machine.asked
    assert machine.run("demo").stdout == "demo\n"
    assert machine.asked == before
    with (machine.checkout / "pyproject.toml").open("a") as project:
        project.write("\n# changed\n")
    machine.run("demo")
    assert len(machine.asked) == len(before) + 1


def test_root_without_ensurepip_installs_it_with_fresh_package_lists(machine):
    done = machine.with_python().with_root().can("has_pip").run("demo")
    assert (done.returncode, done.stdout) == (0, "demo\n"), done.stderr
    assert machine.asked[:4] == [
        "python -m venv --clear .venv",
        "apt-get -qq update",
        "apt-get -qq -y --no-install-recommends install python3-venv",
        "python -m venv --clear .venv",
    ]


def test_a_user_without_ensurepip_uses_the_machines_pip(machine):
    done = machine.with_python().can("has_pip").run("demo")
    assert (done.returncode, done.stdout) == (0, "demo\n"), done.stderr
    assert "python -m venv --clear --without-pip .venv" in machine.asked


def test_a_user_with_only_python_is_told_what_to_type(machine):
    done = machine.with_python().run("demo")
    assert done.returncode == 69
    assert done.stderr.splitlines()[-1].endswith("as root: apt-get install -y python3-venv")
    assert not (machine.checkout / ".venv").exists()


def test_root_whose_apt_fails_is_told_what_to_type(machine):
    done = machine.with_python().with_root().can("apt_fails").run("demo")
    assert done.returncode == 69
    assert "apt-get install -y python3-venv" in done.stderr


def test_a_machine_without_python_is_told_what_to_type(machine):
    done = machine.run("demo")
    assert done.returncode == 69
    assert "apt-get install -y python3" in done.stderr


def test_an_old_python_is_refused(machine):
    done = machine.with_python().can("is_old").run("demo")
    assert done.returncode == 69
    assert "3.11" in done.stderr


def test_missing_tools_of_the_tests_are_named_and_nothing_is_skipped(machine):
    done = machine.with_python().can("has_venv", "has_pip").run("test")
    assert done.returncode == 69
    for package in ("netcat-openbsd", "openssl", "gcc"):
        assert package in done.stderr


def test_a_machine_that_does_not_know_localhost_is_told_before_any_test(machine):
    for tool in ["initdb", *re.findall(r"(?<=[ (])([a-z-]+):[a-z0-9-]+", (TOP / "run").read_text())]:
        machine.add(tool, "#!/bin/sh\n")
    done = machine.with_python().can("has_venv", "has_pip", "lacks_localhost").run("test")
    assert done.returncode == 69
    assert "127.0.0.1 localhost" in done.stderr


def test_the_systems_own_packages_are_never_touched():
    text = (TOP / "run").read_text()
    assert "--break-system-packages" not in text
    assert "sudo" not in text

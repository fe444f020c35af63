"""What tap2deb refuses: in one line with its cure, by its status, with every file as it was."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from workshop import KEYS, Workshop

from taphouse.packaging import Tree, write_deb

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def tap(otk: Workshop) -> str:
    return str(otk.folder / "otk-start.tap")


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--name", "Otk_1"), 64, "'Otk_1' cannot name a package"),
        (("-d", "a", "--name", "b"), 64, "--name and -d contradict each other"),
        (("--set-version", "one"), 64, "'one' cannot be the version of a package"),
        (("-m", "Ann"), 64, "maintainer 'Ann' is not of the form 'Name <name@example.org>'"),
        (("--user", "root"), 64, "does not run as root"),
        (("--user", "Not Me"), 64, "'Not Me' cannot name an account"),
        (("--profile", "sealed", "--no-socket"), 64, "with profile sealed the server would have no network"),
        (("--license", "no/such.txt"), 64, "no/such.txt: there is no such file"),
        (("--epoch", "12"), 64, "12 cannot be the time of a package's files"),
        (("--epoch", "noon"), 64, "'noon' is no number of seconds since 1970"),
        (("-o", "no/such/folder/otk.deb"), 73, "no/such/folder: is no folder; name one that is there (-o)"),
        (("-o", "no/such/folder/"), 73, "no/such/folder/: is no folder"),
        (("--colour",), 64, "unknown option --colour"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_options_that_cannot_be(
    options: tuple[str, ...], status: int, words: str, tap: str, workshop: Workshop
) -> None:
    assert words in workshop.refused("tap2deb", *options, tap, status=status)


def test_nobody_to_answer_for_it_is_told_with_the_cure(tap: str, workshop: Workshop) -> None:
    said = workshop.refused("tap2deb", tap, status=64, DEBFULLNAME="", DEBEMAIL="ann@localhost")
    assert "who maintains the package is not known here; give -m 'Name <name@example.org>'" in said


def test_a_time_of_the_environment_that_is_none(tap: str, workshop: Workshop) -> None:
    assert "SOURCE_DATE_EPOCH is 'now'" in workshop.refused(
        "tap2deb", tap, status=64, SOURCE_DATE_EPOCH="now"
    )


def test_what_is_no_tap_and_what_is_no_seed(tap: str, workshop: Workshop) -> None:
    workshop.write("text.tap", "not a tap at all")
    assert "text.tap: " in workshop.refused("tap2deb", "text.tap", status=78)
    assert "none.tap: " in workshop.refused("tap2deb", "none.tap", status=78)
    (workshop.folder / "seed.tap").write_bytes(Path(tap).read_bytes())
    workshop.run("tapconvert", "-i", "seed.tap", "-o", "s.json")
    text = (workshop.folder / "s.json").read_text()
    assert '"role": "seed"' in text
    (workshop.folder / "s.json").write_text(text.replace('"role": "seed"', '"role": "state"'))
    workshop.run("tapconvert", "-i", "s.json", "-o", "s.tap")
    said = workshop.refused("tap2deb", "s.tap", status=78)
    assert "s.tap is the state of a server, and a package ships what a server begins with" in said
    done = workshop.run("tap2deb", status=64)
    assert done.stderr.startswith("usage: tap2deb [options] FILE.tap") and done.stdout == ""


def test_the_seed_is_not_replaced_by_its_package(tap: str, workshop: Workshop) -> None:
    (workshop.folder / "mine.tap").write_bytes(Path(tap).read_bytes())
    said = workshop.refused("tap2deb", "-o", "mine.tap", "mine.tap", status=64)
    assert "mine.tap is what it would be made of; name another file (-o)" in said


def test_an_existing_package_stays_when_the_disk_is_full(tap: str, workshop: Workshop) -> None:
    name = "otk.deb"
    workshop.write(name, "the old one")
    before = workshop.files()
    script = f"ulimit -f 600; exec {workshop.yard.bin}/tap2deb -o {name} {tap}"
    environment = {"PATH": "/usr/bin:/bin", "DEBFULLNAME": "Ann Author", "DEBEMAIL": "ann@example.org"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=workshop.folder, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (73, "")
    assert done.stderr == (
        "tap2deb: otk.deb: File too large; choose a folder that is there and has space (-o)\n"
    )
    assert workshop.files() == before


# --- the tap and its code -----------------------------------------------------------------------


def test_a_class_that_is_gone_is_named(workshop: Workshop) -> None:
    tap = workshop.save()
    workshop.write("otk.py", KEYS.replace("class Keys(", "class Locks(").replace("Keys()", "Locks()"))
    said = workshop.refused("tap2deb", tap, status=78)
    assert "otk.Keys" in said and "install the code that made the tap" in said


def test_a_module_that_is_gone_or_broken_is_named(workshop: Workshop) -> None:
    tap = workshop.save()
    source = workshop.folder / "otk.py"
    source.write_text(f"import chairs\n{KEYS}")
    assert "module otk needs module chairs, which is not there" in workshop.refused("tap2deb", tap, status=78)
    source.write_text("1 / 0\n")
    said = workshop.refused("tap2deb", tap, status=78)
    assert "module otk cannot be imported: ZeroDivisionError" in said
    source.write_text("import os; os._exit(3)\n")
    assert "importing its code ended Python with status 3" in workshop.refused("tap2deb", tap, status=78)
    source.unlink()
    assert "module otk is not there" in workshop.refused("tap2deb", tap, status=78)


def test_what_a_nameless_script_has_left_is_refused(workshop: Workshop) -> None:
    workshop.save()
    workshop.run("tapconvert", "-i", "otk-start.tap", "-o", "otk.json")
    text = (workshop.folder / "otk.json").read_text()
    assert '"otk"' in text
    document = json.loads(text)
    for entry in document["classes"].values():
        if entry.get("module") == "otk":
            entry["module"] = "__main__"
    (workshop.folder / "otk.json").write_text(json.dumps(document))
    workshop.run("tapconvert", "-i", "otk.json", "-o", "main.tap")
    said = workshop.refused("tap2deb", "main.tap", status=78)
    assert "names what is in __main__, a script without a name of its own; save it from a file" in said


def test_a_secret_that_the_tap_holds_is_refused_and_one_that_it_names_is_not(workshop: Workshop) -> None:
    secret = "open sesame, please"
    keeping = KEYS.replace("self.nextkey = 0", "self.password = Secret('open sesame, please')")
    tap = workshop.save(f"from taphouse.usage import Secret\n{keeping}")
    said = workshop.refused("tap2deb", tap, status=78)
    assert "Keys#1.password is a secret, and what a package holds can be read by everybody" in said
    assert "make the tap with --password-credential NAME" in said and secret not in said
    source = (workshop.folder / "otk.py").read_text()
    tap = workshop.save(source.replace("Secret('open sesame, please')", "Secret.from_credential('word')"))
    said = workshop.run("tap2deb", "--dry-run", tap).stdout
    assert "sudo install -D -m 600 FILE /etc/credstore/otk.word " in said


def test_an_application_that_wants_to_be_another_user_is_refused(workshop: Workshop) -> None:
    tap = workshop.save(KEYS.replace('Application("otk")', 'Application("otk", uid="daemon")'))
    assert "runs as user daemon, and a package gives it an account" in workshop.refused(
        "tap2deb", tap, status=78
    )


def test_a_text_that_names_the_folder_it_was_made_in_is_refused(workshop: Workshop) -> None:
    tap = workshop.save(f"HERE = {str(workshop.folder)!r}\n{KEYS}")
    said = workshop.refused("tap2deb", tap, status=78)
    assert f"/usr/lib/otk/app/otk.py: names {workshop.folder}" in said


def test_what_was_installed_as_editable_is_refused(workshop: Workshop) -> None:
    workshop.write("site/shop-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: shop\nVersion: 1\n")
    workshop.write("site/shop-1.dist-info/RECORD", "shop-1.dist-info/METADATA,,\n__editable__.shop.pth,,\n")
    project = workshop.folder / "project"
    workshop.write(
        "site/shop-1.dist-info/direct_url.json",
        json.dumps({"url": project.as_uri(), "dir_info": {"editable": True}}),
    )
    workshop.write("project/src/shop/__init__.py", "")
    paths = {"PYTHONPATH": f"{workshop.folder}/site:{project}/src"}
    workshop.write("otk.py", f"import shop\n{KEYS}")
    workshop.run("python", "otk.py", **paths)
    said = workshop.refused("tap2deb", "otk-start.tap", status=78, **paths)
    assert f"shop is installed as editable: its code is in {project}; install it whole: pip install ." in said


def test_what_was_installed_by_nobody_knows_whom_is_refused(workshop: Workshop) -> None:
    workshop.write("dist-packages/shop.py", "")
    workshop.write("otk.py", f"import shop\n{KEYS}")
    paths = {"PYTHONPATH": f"{workshop.folder}/dist-packages"}
    workshop.run("python", "otk.py", **paths)
    said = workshop.refused("tap2deb", "otk-start.tap", status=78, **paths)
    assert "module shop (" in said and "was installed without a list of its files" in said


def test_a_module_with_the_name_of_a_distributions_is_refused(workshop: Workshop) -> None:
    workshop.write("site/shop-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: shop\nVersion: 1\n")
    workshop.write("site/shop-1.dist-info/RECORD", "shop-1.dist-info/METADATA,,\nshop.py,,\n")
    workshop.write("site/shop.py", "")
    own = workshop.write("own/shop.py", "")
    workshop.write("otk.py", f"import shop\n{KEYS}")
    paths = {"PYTHONPATH": f"{workshop.folder}/own:{workshop.folder}/site"}
    workshop.run("python", "otk.py", **paths)
    said = workshop.refused("tap2deb", "otk-start.tap", status=78, **paths)
    assert f"module shop ({own}) has the name of one that shop brings; rename it" in said


# --- what is there already ----------------------------------------------------------------------


@pytest.fixture
def debian(workshop: Workshop) -> dict[str, str]:
    """A PATH with a dpkg that has otk 1.5 installed, and an apt that knows an otk of Debian's."""
    tools = workshop.folder.parent / "tools"
    tools.mkdir(exist_ok=True)
    for name, text in (
        ("dpkg-query", 'printf "ii  1.5"'),
        ("apt-cache", 'printf "Package: otk\\nVersion: 3\\nMaintainer: Debian <d@example.org>\\n"'),
    ):
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    return {"PATH": f"{tools}:{os.environ['PATH']}"}


def test_a_version_that_is_older_than_the_installed_one_is_refused(
    tap: str, workshop: Workshop, debian: dict[str, str]
) -> None:
    said = workshop.refused("tap2deb", "--set-version", "1.4", tap, status=64, **debian)
    assert said == (
        "tap2deb: otk 1.5 is installed here, which is newer than 1.4;"
        " give a higher version, such as --set-version 1.6; or another name with --name,"
        " if that is another program\n"
    )


def old_package(path: Path, version: str) -> None:
    """Write a package of another day, with nothing in it."""
    fields = {"Package": "otk", "Version": version, "Architecture": "all", "Description": "old"}
    write_deb(path, fields, Tree(), epoch=1_700_000_000)


def test_a_newer_package_is_not_written_over(tap: str, workshop: Workshop) -> None:
    old_package(workshop.folder / "otk.deb", "2.0")
    said = workshop.refused("tap2deb", "-o", "otk.deb", "--set-version", "1.9", tap, status=64)
    assert "otk 2.0 is in otk.deb, which is newer than 1.9; give a higher version" in said


@pytest.mark.slow
def test_a_name_of_debians_and_the_same_version_are_told_and_the_package_is_made(
    tap: str, workshop: Workshop, debian: dict[str, str]
) -> None:
    old_package(workshop.folder / "otk.deb", "1.5")
    said = workshop.run("tap2deb", "-o", "otk.deb", "--set-version", "1.5", tap, **debian).stderr
    assert "otk 1.5 is installed here: machines that have it see no upgrade" in said
    assert "apt knows another package otk (3)" in said and "choose another name with --name" in said
    assert "otk 1.5 is in otk.deb: machines that have it see no upgrade in this one" in said
    assert said.count("\n") == 3
    assert (workshop.folder / "otk.deb").stat().st_size > 1_000_000

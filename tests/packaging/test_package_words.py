"""What a package says of itself is what Debian reads, whatever somebody has typed."""

from __future__ import annotations

import json
import shutil
import subprocess
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packagereading import tried

from taphouse.errors import UsageError
from taphouse.packaging import (
    About,
    Part,
    changelog_text,
    conffile_text,
    control_fields,
    copyright_text,
    format_paragraph,
    man_page,
    sbom_text,
)
from taphouse.value import replace

APACHE = """ Apache License
  Version 2.0, January 2004
  1. Definitions.
  accepting any such warranty or additional liability.
"""
ABOUT = About(
    name="otk",
    version="1.0",
    maintainer="Ann Author <ann@example.org>",
    epoch=1790000000,
    synopsis="A one-time key server.",
    description="It gives everybody a number.\n\nNobody gets one twice.",
    license="MIT",
    license_text="Do what you want.\n\nNo warranty.",
    parts=(
        Part(
            "uvloop", "0.23.0", "MIT OR Apache-2.0", (("LICENSE", "Copyright (C) 2016 MagicStack\n\nYes."),)
        ),
        Part("Click_Thing", "8.0", "", (("LICENSE", APACHE),)),
        Part("bare", "1"),
    ),
)
PLAN = {
    "name": "otk",
    "listeners": [{"label": "tcp:8123", "factory": "Keys#1"}, {"label": "unix:/run/otk.sock"}],
    "connectors": [{"label": "tcp:db.example:5432", "factory": "Pool#1"}],
}
UNITS = ("otk.service", "otk.socket")

dpkg = pytest.mark.skipif(shutil.which("dpkg") is None, reason="NOT RUN: there is no dpkg to read it with")
mandoc = pytest.mark.skipif(
    shutil.which("mandoc") is None, reason="NOT RUN: there is no mandoc to read it with"
)


def fields(text: str) -> dict[str, str]:
    """Read a paragraph as deb822(5) says."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        assert line.strip(), text
        if line[0] in " \t":
            found[name] += "\n" + line
        else:
            name, _, value = line.partition(":")
            assert name not in found
            found[name] = value.strip()
    return found


# --- control ------------------------------------------------------------------------------------


def test_a_description_is_wrapped_and_has_no_article() -> None:
    value = control_fields(ABOUT, "all", ["python3"])["Description"]
    assert value.splitlines() == [
        "one-time key server",
        " It gives everybody a number.",
        " .",
        " Nobody gets one twice.",
        " .",
        " It runs under systemd, with an account of its own, and keeps its state in",
        " /var/lib/otk.",
    ]


def test_fields_without_value_are_left_out() -> None:
    text = format_paragraph(control_fields(ABOUT, "amd64", ["python3.11", "libc6 (>= 2.34)", "python3.11"]))
    found = fields(text)
    assert list(found)[:4] == ["Package", "Version", "Architecture", "Maintainer"]
    assert found["Depends"] == "python3.11, libc6 (>= 2.34)"
    assert "Homepage" not in found
    assert "Depends" not in fields(format_paragraph(control_fields(ABOUT, "all", [])))


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=60))
@tried(40)
def test_nothing_that_is_typed_becomes_a_field_or_a_paragraph(short: str, long: str, change: str) -> None:
    about = replace(
        ABOUT,
        synopsis=short,
        description=long,
        changes=(change, "X"),
        license=short,
        license_text=long,
        parts=(Part("p", "1", long, ((short, long),)),),
    )
    control = fields(format_paragraph(control_fields(about, "all", ["python3"])))
    assert set(control) == {
        "Package", "Version", "Architecture", "Maintainer", "Pre-Depends", "Depends", "Section", "Priority",
        "Description",
    }  # fmt: skip
    assert len(control["Description"].splitlines()[0]) <= 80
    first, *paragraphs = [fields(part) for part in copyright_text(about).split("\n\n")]
    assert first["Format"].endswith("/1.0/")
    assert all(set(part) <= {"Files", "Copyright", "License", "Comment"} for part in paragraphs)
    assert [line for line in changelog_text(about).splitlines() if line[:1] not in {"", " "}] == [
        "otk (1.0) stable; urgency=medium"
    ]
    man = man_page(about, PLAN, UNITS)
    assert not [char for char in man if unicodedata.category(char) in {"Cc", "Cs"} and char != "\n"]
    assert {line.split()[0] for line in man.split("\n")[:-1] if line[0] in ".'"} <= {
        ".TH", ".SH", ".TP", ".B", ".BR", ".PP"
    }  # fmt: skip


@pytest.mark.parametrize("value", ["a\nb", "a\n\n b", "a\n  ", "a\x07", "a\x85b"])
def test_a_value_that_would_break_its_paragraph_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="Field"):
        format_paragraph({"Field": value})
    with pytest.raises(ValueError, match="cannot name a field"):
        format_paragraph({"A B": "x"})


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Otk"}, {"version": "x"}, {"maintainer": "me"}, {"epoch": 0}, {"homepage": "ftp://x"},
        {"homepage": "https://x\nDepends: y"},
    ],
)  # fmt: skip
def test_a_package_that_says_nonsense_of_itself_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        replace(ABOUT, **change)


# --- changelog and copyright --------------------------------------------------------------------


def test_the_changelog_names_version_maintainer_and_day() -> None:
    assert changelog_text(ABOUT) == (
        "otk (1.0) stable; urgency=medium\n\n  * Built from its tap.\n\n"
        " -- Ann Author <ann@example.org>  Mon, 21 Sep 2026 14:13:20 +0000\n"
    )


@dpkg
def test_dpkg_reads_the_changelog() -> None:
    if shutil.which("dpkg-parsechangelog") is None:
        pytest.skip("NOT RUN: dpkg-parsechangelog is not installed")
    text = changelog_text(replace(ABOUT, changes=("word " * 60, "Other.")))
    done = subprocess.run(["dpkg-parsechangelog", "-l", "-"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, text.splitlines())) <= 80


def test_the_licences_of_all_parts_are_in_the_copyright() -> None:
    head, own, uvloop, click, bare = (fields(part) for part in copyright_text(ABOUT).split("\n\n"))
    assert "uvloop 0.23.0 (MIT OR Apache-2.0)" in head["Comment"]
    assert "bare 1 (licence not told)" in head["Comment"]
    assert own["License"] == "MIT\n Do what you want.\n .\n No warranty."
    assert uvloop["Copyright"] == "Copyright (C) 2016 MagicStack"
    assert uvloop["License"].splitlines()[:2] == ["uvloop-0.23.0", " --- LICENSE ---"]
    assert "/usr/share/common-licenses/Apache-2.0" in click["License"]
    assert "Definitions" not in click["License"]
    assert click["License"].startswith("Click-Thing-8.0\n")
    assert bare["License"] == "bare-1\n No text of its licence came with it."


def test_an_application_without_licence_says_so() -> None:
    own = fields(copyright_text(replace(ABOUT, license="", license_text="")).split("\n\n")[1])
    assert own["License"].startswith("not-told\n The text of this licence did not come")


def test_the_parts_are_listed_for_programs() -> None:
    document = json.loads(sbom_text(ABOUT))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    assert document["metadata"]["timestamp"] == "2026-09-21T14:13:20Z"
    assert [part["purl"] for part in document["components"]] == [
        "pkg:pypi/bare@1",
        "pkg:pypi/click-thing@8.0",
        "pkg:pypi/uvloop@0.23.0",
    ]
    assert sbom_text(ABOUT) == sbom_text(replace(ABOUT, parts=ABOUT.parts[::-1]))


# --- man page and conffile ----------------------------------------------------------------------


@mandoc
def test_the_manual_page_has_nothing_that_mandoc_minds() -> None:
    nasty = replace(ABOUT, synopsis=".so \\fB'x", description="'tis\n\n.de x\n\n\\")
    for about in (ABOUT, nasty):
        done = subprocess.run(
            ["mandoc", "-T", "lint", "-W", "warning"],
            input=man_page(about, PLAN, UNITS),
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (0, "")


@mandoc
def test_the_manual_page_says_what_the_server_does() -> None:
    done = subprocess.run(
        ["mandoc", "-T", "ascii"], input=man_page(ABOUT, PLAN, UNITS), capture_output=True, text=True
    )
    text = "".join(c for n, c in enumerate(done.stdout) if done.stdout[n + 1 : n + 2] != "\b" and c != "\b")
    for words in (
        "otk - A one-time key server",
        "tcp:8123\n              served by Keys#1",
        "unix:/run/otk.sock",
        "tcp:db.example:5432",
        "journalctl -u otk.service",
        "systemctl disable --now otk.service otk.socket",
        "/var/lib/otk/server.tap",
    ):
        assert words in text, text


def test_the_file_to_be_edited_is_the_same_in_every_version() -> None:
    text = conffile_text("otk")
    assert text.startswith("# otk(8): ")
    assert text.count("\n") == 1

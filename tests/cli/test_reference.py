"""Help, manual and reference list the same options: what one says, all say."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from playground import TOP
from taphouse.cli import mktap, tap, tap2deb, tapconvert, twistd
from taphouse.cli.guide.manual import PAGES, page
from taphouse.cli.parsing import Parser
from taphouse.errors import UsageError
from taphouse.plugins import find_makers

DOCS = TOP / "docs"
_OPTION = re.compile(r"(?<![\w-])(--?[a-zA-Z][a-z0-9-]*)")


def options_of(parser: Parser) -> set[str]:
    return set(parser.option_names())


def section(text: str, title: str, mark: str) -> str:
    """Return what stands under a heading, up to the next one of its rank."""
    _, _, after = text.partition(f"{mark} {title}\n")
    assert after, f"there is no heading {mark} {title}"
    return re.split(rf"^{re.escape(mark)} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def options_in_table(text: str) -> set[str]:
    cells = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `-")]
    return {option for cell in cells for option in _OPTION.findall(cell)}


def options_in_man(text: str) -> set[str]:
    """Return the options that stand as tags, the line after ``.TP``."""
    lines = text.splitlines()
    tags = [lines[at + 1] for at, line in enumerate(lines) if line == ".TP"]
    plain = [re.sub(r"\\f[BIR]", "", tag).replace("\\-", "-") for tag in tags]
    return {
        option for tag in plain if tag.startswith("-") for option in _OPTION.findall(tag.split(" FILE.py")[0])
    }


def test_the_reference_of_twistd_lists_its_options() -> None:
    text = (DOCS / "twistd.md").read_text()
    assert options_in_table(section(text, "Options", "##")) == options_of(twistd.make_parser())


@pytest.mark.parametrize("name", PAGES)
def test_a_manual_page_is_what_its_prose_and_the_parsers_say_now(name: str) -> None:
    kept = (DOCS / "man" / f"{name}.1").read_text()
    assert kept == page(name), "python scripts/manpages.py writes the pages anew"


@pytest.mark.parametrize(
    "command", [twistd, mktap, tap2deb, tapconvert], ids=lambda command: command.__name__
)
def test_the_man_page_of_a_command_lists_its_options(command: object) -> None:
    parser = command.make_parser()  # type: ignore[attr-defined]
    text = (DOCS / "man" / f"{parser.prog}.1").read_text()
    assert options_in_man(section(text, "OPTIONS", ".SH")) == options_of(parser)


def judged(text: str, tmp_path: Path) -> str:
    """Return what mandoc has to say against a page, but for the names of pages that are not installed."""
    file = tmp_path / "page.1"
    file.write_text(text)
    command = ["mandoc", "-T", "lint", "-W", "warning", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(
    "name", [*PAGES, *(entry.name for entry in find_makers() if entry.distribution == "taphouse")]
)
def test_a_manual_page_is_written_in_the_language_of_man(name: str, tmp_path: Path) -> None:
    assert judged(page(name), tmp_path) == ""


def test_a_page_in_another_language_is_noticed(tmp_path: Path) -> None:
    assert "unknown macro: .XX" in judged(page("twistd") + ".XX what\n", tmp_path)


def test_the_page_of_a_type_has_its_options_and_those_of_its_source() -> None:
    text = page("echo")
    assert text == page("mktap-echo")
    assert {"--port", "-p", "--interface", "--help"} <= options_in_man(section(text, "OPTIONS", ".SH"))
    assert ".SH NAME\nmktap\\-echo \\- make a tap: " in text
    assert "(from 0 to 65535; default: " in text and "; $TAPHOUSE_ECHO_PORT)." in text


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("ecko", "did you mean echo?"),
        ("twisted", "did you mean twistd?"),
        ("xyz", "there are tap, twistd, mktap, tap2deb, tapconvert, and what mktap lists"),
    ],
)
def test_there_is_no_page_of_what_there_is_not(name: str, cure: str) -> None:
    with pytest.raises(UsageError) as caught:
        page(name)
    assert str(caught.value) == f"there is no command or server type {name!r}; {cure}"


@pytest.mark.parametrize("verb", tap.VERBS)
def test_the_reference_of_tap_lists_the_options_of_each_verb(verb: str) -> None:
    text = (DOCS / "tap.md").read_text()
    assert options_in_table(section(text, f"tap {verb}", "##")) == options_of(tap.verb_parser(verb))


@pytest.mark.parametrize("verb", tap.VERBS)
def test_the_man_page_of_tap_lists_the_options_of_each_verb(verb: str) -> None:
    text = (DOCS / "man" / "tap.1").read_text()
    assert options_in_man(section(text, f'"TAP {verb.upper()}"', ".SH")) == options_of(tap.verb_parser(verb))


def test_every_verb_stands_in_help_man_page_and_reference() -> None:
    shown = tap.make_parser().format_help()
    reference = (DOCS / "tap.md").read_text()
    for verb, summary in tap.VERBS.items():
        assert f"{verb:<10} {summary}" in shown
        assert f"| [`tap {verb}`](#tap-{verb}) | {summary} |" in reference


def test_every_exit_code_of_an_error_is_explained() -> None:
    from taphouse import errors

    codes = {getattr(errors, name).exit_code for name in errors.__all__}
    text = (DOCS / "exit-codes.md").read_text()
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", text, flags=re.MULTILINE)}
    assert codes | {0, 130} == listed
    for name in PAGES:
        status = section((DOCS / "man" / f"{name}.1").read_text(), "EXIT STATUS", ".SH")
        assert {int(code) for code in re.findall(r"^\.B (\d+)$", status, flags=re.MULTILINE)} == codes | {0}

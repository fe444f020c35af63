"""Help, man page and reference list the same options: what one says, all say."""

from __future__ import annotations

import re

import pytest

from playground import TOP
from taphouse.cli import tap, twistd
from taphouse.cli.parsing import Parser

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


def test_the_man_page_of_twistd_lists_its_options() -> None:
    text = (DOCS / "man" / "twistd.1").read_text()
    assert options_in_man(section(text, "OPTIONS", ".SH")) == options_of(twistd.make_parser())


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
        assert f"{verb:<8} {summary}" in shown
        assert f"| [`tap {verb}`](#tap-{verb}) | {summary} |" in reference


def test_every_exit_code_of_an_error_is_explained() -> None:
    from taphouse import errors

    codes = {getattr(errors, name).exit_code for name in errors.__all__}
    text = (DOCS / "exit-codes.md").read_text()
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", text, flags=re.MULTILINE)}
    assert codes | {0, 130} == listed
    for page in ("twistd.1", "tap.1"):
        status = section((DOCS / "man" / page).read_text(), "EXIT STATUS", ".SH")
        assert {int(code) for code in re.findall(r"^\.B (\d+)$", status, flags=re.MULTILINE)} == codes | {0}

"""The page of each built-in type: its options are those that are declared, its commands do what they show."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from typing import Any

import pytest

from docs.walkthrough import Walkthrough
from playground import TOP
from taphouse.makers.kv.commands import TABLE
from taphouse.usage.declaring import REQUIRED
from taphouse.usage.fields import Field
from taphouse.usage.schema import schema_of

PAGES = TOP / "docs" / "makers"
REGISTERED: dict[str, str] = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["entry-points"][
    "taphouse.makers"
]


def row(field: Field) -> str:
    """Return the line of an option in the table of its page."""
    flags = [*field.short, *field.long, *field.opposites]
    if field.is_secret:
        flags += [f"{field.long[0]}-file", f"{field.long[0]}-credential"]
    return f"| {', '.join(f'`{flag}`' for flag in flags)} | {default(field.default)} | {field.help} |"


def default(value: Any) -> str:
    """Return what a table says of a default."""
    if isinstance(value, (list, tuple)) and value:
        return ", ".join(default(each) for each in value)
    words = {True: "on", False: "off", None: "none", REQUIRED: "required", "": "`''`"}
    for known, word in words.items():
        if value is known or (known == "" and value == ""):
            return word
    return f"`{value}`"


@pytest.mark.parametrize("name", REGISTERED)
def test_a_page_lists_the_options_that_are_declared(name):
    schema = schema_of(import_module(REGISTERED[name]).Options)
    text = (PAGES / f"{name}.md").read_text()
    shown = [line for line in text.splitlines() if line.startswith(("| `-", "| `--"))]
    assert shown == [row(field) for field in schema.options]


@pytest.mark.parametrize("name", REGISTERED)
def test_the_examples_of_the_help_name_options_that_there_are(name):
    schema = schema_of(import_module(REGISTERED[name]).Options)
    flags = {flag.strip("`") for field in schema.options for flag in re.findall(r"`-.*?`", row(field))}
    assert schema.examples
    for example in schema.examples:
        command, named, *words = example.split()
        assert (command, named) == ("mktap", name)
        assert {word for word in words if word.startswith("-")} <= flags


@pytest.mark.parametrize("name", REGISTERED)
def test_a_page_says_what_is_durable_and_where_the_limits_are(name):
    text = (PAGES / f"{name}.md").read_text()
    for title in ("Options", "What is durable, and what is not", "Limits"):
        assert f"\n## {title}\n" in text


def test_every_type_has_a_page_that_names_its_options_and_is_in_the_list_with_its_port():
    text = (PAGES / "index.md").read_text()
    assert re.findall(r"^\| \[(\w+)\]", text, re.MULTILINE) == sorted(REGISTERED)
    for name, module in REGISTERED.items():
        page = (PAGES / f"{name}.md").read_text()
        fields = schema_of(import_module(module).Options).fields
        assert [flag for field in fields.values() for flag in field.long if f"`{flag}" not in page] == []
        port = fields["port"].default
        assert re.search(rf"^\| \[{name}\]\({name}\.md\) \|.*\| {port} \|", text, re.MULTILINE), name


def test_the_page_of_kv_names_each_command():
    text = (PAGES / "kv.md").read_text()
    listed = text.partition("## Commands")[2].partition("## Limits")[0]
    assert re.findall(r"`([A-Z]+)`", listed) == sorted(TABLE)


@pytest.mark.parametrize("name", ["index", *REGISTERED])
def test_links_of_a_page_lead_somewhere(name):
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", (PAGES / f"{name}.md").read_text())
    assert [link for link in links if not (PAGES / link).exists()] == []


@pytest.mark.process
@pytest.mark.parametrize("name", ["index", *REGISTERED])
def test_a_page_does_what_it_says(name, playground):
    walkthrough = Walkthrough(PAGES / f"{name}.md", playground)
    walkthrough.follow()
    assert walkthrough.typed > 3

"""Every document does what it says: its programs and commands are run as written."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from docs.following import follow, follow_image
from docs.walkthrough import blocks_of
from playground import TOP

DOCUMENTS = [
    document
    for document in [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]
    if any(block.kind != "text" for block in blocks_of(document.read_text()))
]


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_the_document_does_what_it_says(document, playground):
    follow(document, playground)


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("with_engine", [False, True], ids=["made", "run by an engine"])
def test_the_image_of_the_guide_is_as_it_says(playground, with_engine):
    follow_image(TOP / "docs" / "production.md", playground, with_engine=with_engine)


def test_the_first_documents_a_user_meets_are_among_those_run():
    assert {"README.md", "tutorial.md"} <= {document.name for document in DOCUMENTS}


@pytest.mark.parametrize(
    "document", [*sorted(TOP.glob("*.md")), *sorted((TOP / "docs").glob("*.md"))], ids=lambda path: path.name
)
def test_links_between_documents_lead_somewhere(document):
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", document.read_text())
    missing = [link for link in links if not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("room", ["taphouse", "taphouse.protocols", "taphouse.testing"])
def test_the_reference_names_everything_that_is_promised(room):
    text = (TOP / "docs" / "api.md").read_text()
    offered = {name for name in import_module(room).__all__ if not name.startswith("__") and name != "errors"}
    assert {name for name in offered if not re.search(rf"\b{name}\b", text)} == set()

"""The text of a licence that every Debian machine has is referred to; what is around it stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from taphouse.packaging import About, Part, copyright_text

HERE = Path("/usr/share/common-licenses")
NAMES = ["Apache-2.0", "GPL-2", "GPL-3", "LGPL-2", "LGPL-2.1", "LGPL-3", "MPL-2.0"]


def copyright_of(text: str) -> str:
    about = About(
        name="otk",
        version="1.0",
        maintainer="Ann Author <ann@example.org>",
        epoch=1790000000,
        parts=(Part("bundle", "1", "", (("LICENSE", text),)),),
    )
    return copyright_text(about)


@pytest.mark.parametrize("name", NAMES)
def test_a_common_licence_in_a_bundle_becomes_a_reference(name: str) -> None:
    whole = HERE / name
    if not whole.is_file():
        pytest.skip(f"NOT RUN: this is no Debian, it has no {whole}")
    said = copyright_of(f"Licence of the bundle.\n\n{whole.read_text()}\n\nLicence of its neighbour.\n")
    assert f"On Debian systems the whole text is in {whole}." in said
    assert "Licence of the bundle." in said
    assert "Licence of its neighbour." in said
    assert len(said) < 1500


@pytest.mark.parametrize("name", NAMES)
def test_however_it_is_wrapped(name: str) -> None:
    whole = HERE / name
    if not whole.is_file():
        pytest.skip(f"NOT RUN: this is no Debian, it has no {whole}")
    text = "\n".join(
        f"   {line.strip()}" for line in whole.read_text().replace(" the ", "\nthe ").split("\n")
    )
    assert len(copyright_of(text)) < 1500


def test_a_licence_that_debian_does_not_have_stays_whole() -> None:
    text = "GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3\n\nTERMS\n\nEND OF TERMS AND CONDITIONS"
    assert "TERMS\n .\n END OF TERMS" in copyright_of(text)


def test_words_about_a_licence_are_none() -> None:
    text = (
        "It may be used by the Apache License Version 2.0, or the GNU General Public License\nVersion 2, too."
    )
    assert "too." in copyright_of(text)
    assert "common-licenses" not in copyright_of(text)


def test_a_title_whose_text_never_ends_costs_nothing() -> None:
    text = "GNU GENERAL PUBLIC LICENSE Version 3, " * 20_000
    assert copyright_of(text).count("Version 3,") == 20_000

"""Who answers for a package: what was given, what the environment says, what git was told."""

from __future__ import annotations

import pytest

from taphouse.cli.shipping import maintaining
from taphouse.cli.shipping.maintaining import find_maintainer
from taphouse.errors import UsageError


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    told: dict[str, str] = {}
    monkeypatch.setattr(maintaining, "_git", lambda key: told.get(key, ""))
    monkeypatch.setattr(maintaining, "_own_name", lambda: "root")
    monkeypatch.setattr(maintaining, "_own_address", lambda: "root@builder")
    return told


def test_what_was_given_comes_first() -> None:
    environment = {"DEBFULLNAME": "Bob", "DEBEMAIL": "bob@example.org"}
    assert find_maintainer("Ann <ann@example.org>", environment) == "Ann <ann@example.org>"
    assert find_maintainer(None, environment) == "Bob <bob@example.org>"


def test_an_address_with_a_name_has_both() -> None:
    assert find_maintainer("", {"EMAIL": "Cid Who <cid@example.org>"}) == "Cid Who <cid@example.org>"
    assert find_maintainer("", {"NAME": "Cid", "EMAIL": "cid@example.org"}) == "Cid <cid@example.org>"


def test_git_is_asked_next(nobody_else: dict[str, str]) -> None:
    nobody_else |= {"user.name": "Dee", "user.email": "dee@example.org"}
    assert find_maintainer("", {}) == "Dee <dee@example.org>"


def test_a_machine_without_a_name_of_its_own_is_no_address() -> None:
    with pytest.raises(UsageError, match="who maintains the package is not known here; give -m"):
        find_maintainer("", {})

"""Names and versions are those that dpkg, systemd and lintian take."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packagereading import tried

from taphouse.errors import UsageError
from taphouse.packaging import (
    account_name,
    check_maintainer,
    check_package_name,
    check_version,
    compare_versions,
    package_name,
)

dpkg = pytest.mark.skipif(shutil.which("dpkg") is None, reason="NOT RUN: there is no dpkg to compare with")


@pytest.mark.parametrize("name", ["otk", "0ad", "web-1.2", "x" * 64])
def test_names_that_a_package_can_have(name: str) -> None:
    assert check_package_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "x", "Otk", "a_b", "-a", ".a", "a b", "a/b", "a+b", "a\n", "é1", "x" * 65, "a-", "a."]
)
def test_names_that_a_package_cannot_have(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a package.*--name"):
        check_package_name(name)


def test_an_application_gives_the_package_its_name() -> None:
    assert package_name("My_Server.v2") == "my-server.v2"
    assert package_name("otk-") == "otk"
    with pytest.raises(UsageError, match="cannot name a package"):
        package_name("X")


@given(st.from_regex(r"[a-z0-9][a-z0-9.-]{0,61}[a-z0-9]", fullmatch=True))
@tried(50)
def test_every_package_gets_an_account(package: str) -> None:
    assert re.fullmatch(r"_[a-z0-9-]{1,30}", account_name(package))


def test_accounts_differ_where_packages_do() -> None:
    packages = ["otk", "a.b", "a-b", "x" * 31, "x" * 32, "x" * 33]
    assert len({account_name(package) for package in packages}) == len(packages)
    assert account_name("otk") == "_otk"


@pytest.mark.parametrize(
    "text",
    ["Ann", "ann@example.org", "Ann <ann>", "Ann <a@b>", "Ann <a@b.localdomain>", "A\n <a@b.c>", " <a@b.c>"],
)
def test_a_maintainer_has_a_name_and_an_address(text: str) -> None:
    with pytest.raises(UsageError, match="-m"):
        check_maintainer(text)
    assert check_maintainer("Ann O'Nym <ann@example.org>")


@pytest.mark.parametrize(
    "version", ["", "a1", "1 2", "1_2", "1:", ":1", "1.0-", "1/2", "-1", "1é", "1:2:3", "9" * 200]
)
def test_strings_that_are_no_versions(version: str) -> None:
    with pytest.raises(UsageError, match="cannot be the version.*--set-version"):
        check_version(version)


# Every string here, in this order, is older than the next: deb-version(7) and policy 5.6.12.
ORDER = [
    "0~~", "0~~a", "0~", "0", "0-1", "0a", "0+1", "0.1~rc1", "0.1", "0.1-1", "0.1-1+b1", "0.1-1.1", "0.1a",
    "0.1+dfsg", "0.9", "0.10", "1.0~beta1~svn1245", "1.0~beta1", "1.0", "1:0.1", "1:0.1-1", "10:0",
]  # fmt: skip


@dpkg
def test_the_list_above_is_what_dpkg_thinks() -> None:
    for older, newer in pairwise(ORDER):
        assert subprocess.run(["dpkg", "--compare-versions", older, "lt", newer]).returncode == 0, (
            older,
            newer,
        )


def test_versions_are_in_the_order_that_dpkg_has() -> None:
    for place, one in enumerate(ORDER):
        for other_place, other in enumerate(ORDER):
            found = compare_versions(one, other)
            assert (found > 0) - (found < 0) == (place > other_place) - (place < other_place), (one, other)
    assert compare_versions("0:1.0-0", "1.00") == 0


parts = st.text("0019aZ.+~", min_size=0, max_size=6)
versions = st.builds(
    lambda epoch, first, rest, revision: epoch + first + rest + revision,
    st.sampled_from(["", "", "0:", "1:"]),
    st.sampled_from("019"),
    parts,
    st.one_of(st.just(""), parts.filter(bool).map("-".__add__)),
)


@dpkg
@given(versions, versions)
@tried(80)
def test_any_two_versions_compare_as_dpkg_compares_them(one: str, other: str) -> None:
    found = compare_versions(one, other)
    word = "lt" if found < 0 else "gt" if found else "eq"
    done = subprocess.run(["dpkg", "--compare-versions", one, word, other], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")

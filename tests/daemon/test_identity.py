"""Whom to run as: names and numbers mean the same, and nonsense is said in one line."""

from __future__ import annotations

import pytest

from taphouse.daemon import (
    Account,
    System,
    resolve_identity,
)
from taphouse.errors import (
    ConfigurationError,
    UsageError,
)


class Machine(System):
    """A machine with two accounts."""

    def find_account(self, user: str | int) -> Account | None:
        accounts = [Account("otk", 500, 600, "/home/otk"), Account("root", 0, 0, "/root")]
        return next((account for account in accounts if user in (account.name, account.uid)), None)

    def find_group(self, group: str) -> int | None:
        return {"keys": 700, "root": 0}.get(group)

    def group_list(self, user: str, gid: int) -> list[int]:
        return [gid, 701]


@pytest.mark.parametrize(
    ("user", "group", "uid", "gid", "groups"),
    [
        ("otk", None, 500, 600, (600, 701)),
        ("500", None, 500, 600, (600, 701)),
        (500, None, 500, 600, (600, 701)),
        ("otk", "keys", 500, 700, (700, 701)),
        ("otk:keys", None, 500, 700, (700, 701)),
        ("500:700", None, 500, 700, (700, 701)),
        ("4711", "700", 4711, 700, (700,)),
    ],
)
def test_names_and_numbers_mean_the_same(
    user: str | int, group: str | None, uid: int, gid: int, groups: tuple[int, ...]
) -> None:
    identity = resolve_identity(user, group, system=Machine())
    assert identity is not None
    assert (identity.uid, identity.gid, identity.groups) == (uid, gid, groups)


def test_no_wish_is_no_change() -> None:
    assert resolve_identity(None, None, system=Machine()) is None
    assert resolve_identity("", "", system=Machine()) is None


@pytest.mark.parametrize(
    ("user", "group", "words"),
    [
        ("nosuch", None, "no user 'nosuch'"),
        ("otk", "nosuch", "no group 'nosuch'"),
        ("4711", None, "no account"),
        ("root", None, "user 0 is root's"),
        ("0", None, "user 0 is root's"),
        ("otk", "root", "group 0 is root's"),
        ("otk:keys", "keys", "and so does --gid"),
        (None, "keys", "a group without a user"),
        ("-1", None, "no user '-1'"),
        ("4294967295", "700", "no user"),
        ("99999999999999", "700", "no user"),
    ],
)
def test_an_unknown_user_or_group_or_root_is_an_error_of_one_line(
    user: str | None, group: str | None, words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_identity(user, group, system=Machine())
    assert words in str(caught.value)
    assert caught.value.exit_code == 64


def test_what_a_tap_asks_for_in_vain_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="otk.tap: there is no user"):
        resolve_identity("nosuch", source="otk.tap", error=ConfigurationError, system=Machine())

"""Whom to run as: user and group, by name or number, looked up once.

To be resolved while the account database can still be read (before chroot).
This module must never change an id.
"""

from __future__ import annotations

from taphouse.daemon.system import System
from taphouse.errors import TaphouseError, UsageError
from taphouse.value import Value

__all__ = ["Identity", "resolve_identity"]


class Identity(Value):
    """A user to become."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    """Every group the process will have, ``gid`` among them."""
    name: str
    """The account's name, empty if the number has no account."""
    home: str


def resolve_identity(
    user: str | int | None,
    group: str | int | None = None,
    *,
    source: str = "--uid",
    error: type[TaphouseError] = UsageError,
    system: System | None = None,
) -> Identity | None:
    """Look up whom to run as.

    Args:
        user: a name, a number, ``user:group``, or ``None`` for no change.
        group: a name or a number; by default the account's own.
        source: where the wish comes from, for the message: an option, or a tap.
        error: what to raise; an option is misused (64), a tap is wrongly configured (78).
        system: the operating system.

    Returns:
        The identity, or ``None`` if there is nothing to change.

    Raises:
        TaphouseError: of class ``error``, if there is no such user or group, or it is root.
    """
    system = system or System()
    if isinstance(user, str) and ":" in user:
        if group is not None:
            raise error(f"{source} {user} names a group, and so does --gid", cure="use one of them")
        user, _, group = user.partition(":")
    if user is None or user == "":
        if group is not None and group != "":
            raise error("a group without a user to run as", cure="give --uid too")
        return None
    number, account = _number(user), None
    account = system.find_account(user if number is None else number)
    if number is None and account is None:
        raise error(f"{source}: there is no user {user!r:.60}", cure="use a name or number of passwd(5)")
    uid = account.uid if account else number or 0
    gid = _group(group, source, error, system)
    if gid is None:
        if account is None:
            raise error(
                f"{source}: user {uid} has no account, so its group is unknown", cure="give --gid too"
            )
        gid = account.gid
    if uid == 0 or gid == 0:
        who = "user" if uid == 0 else "group"
        raise error(
            f"{source}: {who} 0 is root's, and not what to drop privileges to", cure="use an own account"
        )
    groups = system.group_list(account.name, gid) if account else [gid]
    return Identity(
        uid,
        gid,
        tuple(sorted({gid, *groups})),
        account.name if account else "",
        account.home if account else "/",
    )


def _group(group: str | int | None, source: str, error: type[TaphouseError], system: System) -> int | None:
    if group is None or group == "":
        return None
    gid = _number(group)
    if gid is None:
        gid = system.find_group(str(group))
    if gid is None:
        raise error(f"{source}: there is no group {group!r:.60}", cure="use a name or number of group(5)")
    return gid


def _number(text: str | int) -> int | None:
    """A number below the reserved (uid_t) -1, or ``None`` if it is a name."""
    if isinstance(text, str):
        if not (text.isascii() and text.isdigit()):
            return None
        text = int(text)
    return text if 0 <= text < 2**32 - 1 else None

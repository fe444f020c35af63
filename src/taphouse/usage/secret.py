"""Secrets: values that are used but never shown.

A secret that was typed, or came by the environment, is kept in the state of the
tap and nowhere else.  Of one in a file, or a credential of the service manager,
only the name is kept, and it is read when it is needed.  This module must never
write a secret anywhere.
"""

from __future__ import annotations

import os
from typing import Any

from taphouse.durable import register
from taphouse.errors import ConfigurationError
from taphouse.usage.kinds import Kind, named, shown

__all__ = ["SECRET", "Secret"]

_LONGEST_BYTES = 1 << 20


class Secret:
    """A password, a key, a token.

    Args:
        text: the secret itself; see also `from_file` and `from_credential`.
    """

    __slots__ = ("_kind", "_name", "_text")

    def __init__(self, text: str) -> None:
        self._kind, self._name, self._text = "tap", "", text

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Secret:
        """Return the secret that is all of a file, without the newline at its end."""
        return cls._referring("file", os.path.abspath(os.fspath(path)))

    @classmethod
    def from_credential(cls, name: str) -> Secret:
        """Return the secret in ``$CREDENTIALS_DIRECTORY/NAME``, see systemd.exec(5)."""
        return cls._referring("credential", name)

    @classmethod
    def kept(cls) -> Secret:
        """Return what a plan knows of a secret that only the state of the tap holds."""
        return cls._referring("tap", "")

    @classmethod
    def _referring(cls, kind: str, name: str) -> Secret:
        secret = cls("")
        secret._kind, secret._name, secret._text = kind, name, None  # type: ignore[assignment]
        return secret

    @property
    def kind(self) -> str:
        """Where it is: "tap" (in the state), "file" or "credential"."""
        return self._kind

    @property
    def name(self) -> str:
        """Of a file its path, of a credential its name; else empty."""
        return self._name

    @property
    def is_known(self) -> bool:
        """Whether `reveal` has a place to take it from: not so if only a plan told of it."""
        return self._kind != "tap" or self._text is not None

    def reveal(self) -> str:
        """Return the secret; of a file or a credential what it is now.

        Raises:
            ConfigurationError: if it cannot be read.
        """
        if self._kind == "tap":
            if self._text is None:
                raise ConfigurationError(
                    "the secret is kept in the state of the tap, not in its plan", cure="give it anew"
                )
            return self._text
        path = self._name
        if self._kind == "credential":
            folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
            if not folder:
                raise ConfigurationError(
                    f"no credential {self._name!r}: $CREDENTIALS_DIRECTORY is not set",
                    cure=f"give the service LoadCredential={self._name}:FILE",
                )
            path = os.path.join(folder, self._name)
            if not os.path.exists(path):
                raise ConfigurationError(
                    f"no credential {self._name!r}: there is no {named(path)}",
                    cure=f"give the service LoadCredential={self._name}:FILE;"
                    f" that of a package is /etc/credstore/PACKAGE.{self._name}",
                )
        return _read(path)

    def __repr__(self) -> str:
        return f"<Secret of {self._kind}{f' {self._name!r}' if self._name else ''}>"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine = (self._kind, self._name, self._text)
        return mine == (other._kind, other._name, other._text)

    def __hash__(self) -> int:
        return hash((self._kind, self._name))


register(Secret, "taphouse.usage.Secret")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_LONGEST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"secret file {named(path)}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"secret file {named(path)}: no text in UTF-8") from None
    if len(text) > _LONGEST_BYTES:
        raise ConfigurationError(f"secret file {named(path)}: longer than a secret can be")
    return text.removesuffix("\n").removesuffix("\r")


def _check_credential_name(name: str) -> str:
    if not name or "/" in name or "\0" in name or name in {".", ".."}:
        raise ValueError(f"{shown(name)} is no name of a credential")
    return name


class _SecretKind(Kind):
    what = "secret"
    metavar = ""
    limits = frozenset()

    def parse(self, text: str) -> Secret:
        if not text:
            raise ValueError("an empty text is no secret")
        return Secret(text)

    def accept(self, value: object) -> Secret:
        if isinstance(value, Secret):
            return value
        if isinstance(value, dict) and len(value) == 1:
            [(key, name)] = value.items()
            if key == "secret" and name == "tap":
                return Secret.kept()
            if key == "file" and isinstance(name, str) and name:
                return Secret.from_file(os.path.expanduser(name))
            if key == "credential" and isinstance(name, str):
                return Secret.from_credential(_check_credential_name(name))
        # Whatever it is, it may be a secret: it is not shown.
        raise ValueError('a secret is not written here; give { file = "PATH" } or { credential = "NAME" }')

    def check(self, value: Secret) -> None:
        if value.kind == "file":
            try:
                value.reveal()
            except ConfigurationError as error:
                raise ValueError(error.message) from None

    def text(self, value: Secret) -> str:
        return "***"

    def plain(self, value: Secret) -> Any:
        return {"secret": "tap"} if value.kind == "tap" else {value.kind: value.name}


SECRET = _SecretKind()

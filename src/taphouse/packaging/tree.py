"""Tree: the files that a package puts on a machine.

Paths, contents, modes: nothing of who owns them and when they were made, which
would differ from one building to the next.  This module must never write a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from taphouse.errors import ConfigurationError
from taphouse.value import Value

__all__ = ["Node", "Tree"]

_BLOCK: Final = 1 << 16
_LONGEST_NAME: Final = 255  # of every file system that Debian installs on


class Node(Value):
    """A file, a folder or a link.

    Args:
        mode: permission bits.
        content: of a file: its bytes.
        source: of a file: where its bytes are read from, if not in ``content``.
        size: of a file, in bytes.
        target: of a link: where it leads.
    """

    mode: int
    content: bytes | None = None
    source: str = ""
    size: int = 0
    target: str = ""

    @property
    def is_file(self) -> bool:
        """Whether it has bytes."""
        return self.content is not None or bool(self.source)

    def read(self) -> Iterator[bytes]:
        """Yield the bytes of a file, by blocks; as many as ``size`` says.

        Raises:
            ConfigurationError: the file it is read from is gone, or has changed since it was added.
        """
        if self.content is not None:
            for start in range(0, self.size, _BLOCK):
                yield self.content[start : start + _BLOCK]
            return
        left = self.size
        try:
            with open(self.source, "rb") as file:
                while block := file.read(_BLOCK):
                    left -= len(block)
                    if left < 0:
                        break
                    yield block
        except OSError as error:
            raise ConfigurationError(f"{self.source}: cannot be read: {error.strerror}") from error
        if left:
            raise _changed(self.source)


class Tree:
    """Files by path; every folder on the way to one is there."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def add_file(self, path: str, content: bytes | str, mode: int = 0o644) -> None:
        """Add a file whose content is at hand; text is written as UTF-8.

        Raises:
            ConfigurationError: the path is not allowed, or something else is there.
        """
        data = content.encode() if isinstance(content, str) else content
        self._add(path, Node(mode, content=data, size=len(data)))

    def copy_file(self, path: str, source: str | os.PathLike[str], mode: int = 0o644) -> None:
        """Add a file that is read from ``source`` when the package is written.

        Raises:
            ConfigurationError: the path is not allowed, something else is there, or ``source`` is no file.
        """
        name = os.fspath(source)
        try:
            status = os.stat(name)
        except OSError as error:
            raise ConfigurationError(f"{name}: cannot be read: {error.strerror}") from error
        if not os.path.isfile(name):
            raise ConfigurationError(f"{name}: is not a regular file")
        self._add(path, Node(mode, source=name, size=status.st_size))

    def add_folder(self, path: str, mode: int = 0o755) -> None:
        """Add a folder, which may be empty; of one that is there, only the mode changes.

        Raises:
            ConfigurationError: the path is not allowed, or a file is there.
        """
        self._add(path, Node(mode))

    def add_link(self, path: str, target: str) -> None:
        """Add a symbolic link.

        Raises:
            ConfigurationError: the path is not allowed, or something else is there.
        """
        if not target or "\0" in target:
            raise ConfigurationError(f"/{path}: cannot be a link to {target!r:.100}")
        self._add(path, Node(0o777, target=target))

    def add_node(self, path: str, node: Node) -> None:
        """Add what is in another tree.

        Raises:
            ConfigurationError: the path is not allowed, or something else is there.
        """
        self._add(path, node)

    def replace_file(self, path: str, content: bytes) -> None:
        """Give a file that is there other bytes.

        Raises:
            KeyError: no file is there.
        """
        name = path.strip("/")
        if not self._nodes[name].is_file:
            raise KeyError(path)
        self._nodes[name] = Node(self._nodes[name].mode, content=content, size=len(content))

    def _add(self, path: str, node: Node) -> None:
        parts = _parts(path)
        name = "/".join(parts)
        there = self._nodes.get(name)
        if there is not None and (_is_folder(there) is not True or not _is_folder(node)):
            raise ConfigurationError(f"/{name}: two things of a package have this path")
        for count in range(1, len(parts)):
            above = "/".join(parts[:count])
            if not _is_folder(self._nodes.setdefault(above, Node(0o755))):
                raise ConfigurationError(f"/{name}: lies in /{above}, which is not a folder")
        self._nodes[name] = node

    def __iter__(self) -> Iterator[tuple[str, Node]]:
        """Yield relative paths and what is there, in the order of the bytes of the path, folders first."""
        return iter(sorted(self._nodes.items(), key=lambda item: os.fsencode(item[0])))

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and path.strip("/") in self._nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def __getitem__(self, path: str) -> Node:
        return self._nodes[path.strip("/")]


def _is_folder(node: Node) -> bool:
    return not node.is_file and not node.target


def _parts(path: str) -> list[str]:
    """Return the names in an absolute or relative path.

    A control character would break the lists of names that dpkg reads by lines.
    """
    parts = path.strip("/").split("/")
    for part in parts:
        if part in {"", ".", ".."} or any(character < " " or character == "\x7f" for character in part):
            raise ConfigurationError(f"{path!r:.200}: cannot be a path in a package")
        if len(os.fsencode(part)) > _LONGEST_NAME:
            raise ConfigurationError(f"{path!r:.400}: has a name of more than {_LONGEST_NAME} bytes")
    return parts


def _changed(source: str) -> ConfigurationError:
    return ConfigurationError(f"{source}: changed while it was read", cure="build the package again")

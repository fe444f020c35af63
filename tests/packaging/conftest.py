"""Small trees, and the packages they make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from packagereading import EPOCH, FIELDS

from taphouse.packaging import Tree, write_deb


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Some of everything that a package has."""
    (tmp_path / "big").write_bytes(bytes(range(256)) * 1000)
    made = Tree()
    made.add_file("/usr/lib/otk/__main__.py", "print('é')\n")
    made.add_file("usr/sbin/otk", "#!/bin/sh\n", 0o755)
    made.copy_file("usr/lib/otk/vendor/big.so", tmp_path / "big")
    made.add_file("etc/otk/otk.conf", "# nothing\n")
    made.add_folder("usr/lib/otk/empty")
    made.add_link("usr/lib/otk/tap", "server.tap")
    return made


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Path]:
    """Write a package called otk.deb."""

    def write(tree: Tree, **more: object) -> Path:
        path = tmp_path / "otk.deb"
        write_deb(path, FIELDS, tree, **{"epoch": EPOCH, **more})  # type: ignore[arg-type]
        return path

    return write

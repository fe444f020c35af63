"""Places to drop makers in, and to install them in, that are undone after each test."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.shelf import Shelf


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """A folder on the path, the user's own folder for makers, and nothing else that has makers."""
    made = Shelf(tmp_path / "path", tmp_path / "data" / "taphouse" / "plugins")
    made.path.mkdir()
    made.own.mkdir(parents=True)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(sys, "path", [str(made.path), str(Path(importlib.__file__).parents[1])])
    importlib.invalidate_caches()
    yield made
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]

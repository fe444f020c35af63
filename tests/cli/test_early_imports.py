"""Modules are imported before a server is ready, and none of them keeps it from being so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from taphouse.cli.starting.early import import_early


def test_what_cannot_be_imported_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "early_broken.py").write_text("1 / 0\n")
    (tmp_path / "early_ending.py").write_text("import sys\nsys.exit(3)\n")
    (tmp_path / "early_whole.py").write_text(
        "from taphouse import Application\nApplication('x').save()\nApplication('x').run()\ndone = True\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))  # behind them: who looked before may not see them yet
    import_early(["early_broken", "early_none", "early_ending", "early_whole"])
    assert sys.modules.pop("early_whole").done is True  # type: ignore[attr-defined]
    assert list(tmp_path.glob("*.tap")) == []

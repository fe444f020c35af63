"""What a tap needs is found out while its code may do what it likes."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from taphouse.cli.shipping import probing


def test_a_module_that_a_thread_imports_meanwhile_does_not_end_the_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def imported_meanwhile(name: str, roots: set[str]) -> bool:
        if not name.startswith("came_with_"):
            monkeypatch.setitem(sys.modules, f"came_with_{name}", ModuleType("came"))
        return False

    monkeypatch.setattr(probing, "_is_ours", imported_meanwhile)
    probing._import_late([])
    assert "came_with_sys" in sys.modules

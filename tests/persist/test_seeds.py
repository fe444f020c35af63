"""A seed has its name only once what was written was read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tapwork import PLAN, root_with, thaw_seed

from taphouse.errors import CannotCreateError
from taphouse.persist import building, read_info, write_seed


def test_a_seed_that_reads_back_wrong_never_replaces_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that gives back something else is found while the older seed is still there."""
    path = tmp_path / "tested-start.tap"
    write_seed(path, root_with(n=1), PLAN)
    true_sum = building.row_sum

    def of_another_content(table: str, *columns: Any) -> bytes:
        return (
            true_sum(table, *columns[:-1], columns[-1] + b"\0")
            if table == "page"
            else true_sum(table, *columns)
        )

    monkeypatch.setattr(building, "row_sum", of_another_content)
    with pytest.raises(CannotCreateError) as refusal:
        write_seed(path, root_with(n=2), PLAN)
    message = str(refusal.value)
    assert message.startswith(
        f"{path}: what was written cannot be read back: page row 0: the sum does not fit"
    )
    assert "\n" not in message
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert thaw_seed(path).root.n == 1


def test_what_writing_a_seed_says_is_what_reading_it_says(tmp_path: Path) -> None:
    path = tmp_path / "tested-start.tap"
    assert write_seed(path, root_with(n=[1], big=list(range(3000))), PLAN) == read_info(path)

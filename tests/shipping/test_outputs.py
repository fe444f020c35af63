"""Where what is made is to lie, and what may not be lost there."""

from __future__ import annotations

from pathlib import Path

import pytest

from taphouse.cli.shipping.outputs import check_output, output_path
from taphouse.errors import CannotCreateError, UsageError

NAME = "otk_1.0_all.deb"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("otk-start.tap", NAME):
        Path(name).write_text(name)
    Path("made").mkdir()
    Path("link").symlink_to("otk-start.tap")


@pytest.mark.parametrize(
    ("given", "path"),
    [(".", NAME), ("made", f"made/{NAME}"), ("new/", f"new/{NAME}"), ("made/x.deb", "made/x.deb")],
)
def test_a_folder_gets_a_file_of_the_usual_name(given: str, path: str) -> None:
    assert output_path(given, NAME, ["otk-start.tap", ""]) == path


@pytest.mark.parametrize("given", ["otk-start.tap", "./otk-start.tap", "made/../otk-start.tap", "link"])
def test_what_it_is_made_of_is_never_replaced(given: str) -> None:
    with pytest.raises(UsageError, match=r"is what it would be made of; name another file \(-o\)"):
        check_output(given, ["", "gone.tap", "otk-start.tap"])


def test_nor_is_it_by_its_usual_name() -> None:
    check_output(".", [NAME])
    with pytest.raises(UsageError, match="is what it would be made of"):
        output_path(".", NAME, [NAME])


@pytest.mark.parametrize("given", ["gone/otk.deb", "gone/", "otk-start.tap/otk.deb"])
def test_a_folder_that_is_none_is_told_before_the_work(given: str) -> None:
    with pytest.raises(CannotCreateError, match="is no folder; name one that is there"):
        check_output(given, [])

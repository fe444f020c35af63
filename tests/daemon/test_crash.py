"""A program that dies leaves a report; a profile is written however the run ends."""

from __future__ import annotations

import pstats
import stat
from pathlib import Path

import pytest

from taphouse.daemon import Profile, write_crash_report
from taphouse.errors import CannotCreateError, StorageError


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_a_report_names_program_error_and_place_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    code, path = write_crash_report(
        raised(RuntimeError("lost")), program="twistd", folder=str(tmp_path), about="taphouse 1, otk.tap"
    )
    assert (code, path) == (70, str(tmp_path / "twistd-crash.log"))
    text = Path(path).read_text()
    assert "twistd (PID" in text
    assert "taphouse 1, otk.tap\nTraceback" in text
    assert "in raised" in text
    assert "RuntimeError: lost" in text
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


def test_reports_are_appended_until_the_file_is_too_big(tmp_path: Path) -> None:
    for word in ("one", "two"):
        _, path = write_crash_report(raised(RuntimeError(word)), program="twistd", folder=str(tmp_path))
    text = Path(path).read_text()
    assert text.index("RuntimeError: one") < text.index("RuntimeError: two")
    Path(path).write_bytes(b"x" * 1_000_001)
    write_crash_report(raised(RuntimeError("three")), program="twistd", folder=str(tmp_path))
    assert "x" * 10 not in Path(path).read_text()


def test_an_error_with_an_exit_code_of_its_own_keeps_it(tmp_path: Path) -> None:
    assert write_crash_report(raised(StorageError("disk")), program="t", folder=str(tmp_path))[0] == 74


def test_where_no_file_can_be_written_the_report_goes_to_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = write_crash_report(
        raised(RuntimeError("lost")), program="twistd", folder=str(tmp_path / "missing")
    )
    assert result == (70, "")
    assert "RuntimeError: lost" in capsys.readouterr().err


def test_a_link_planted_for_root_is_not_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "twistd-crash.log").symlink_to("precious")
    assert write_crash_report(raised(RuntimeError("lost")), program="twistd", folder=str(tmp_path))[1] == ""
    assert (tmp_path / "precious").read_text() == "precious"


def count_to(number: int) -> int:
    return sum(range(number))


def test_a_profile_is_text_an_operator_can_read(tmp_path: Path) -> None:
    with Profile(str(tmp_path / "profile")):
        count_to(10)
    text = (tmp_path / "profile").read_text()
    assert "count_to" in text
    assert "cumulative" in text


def test_a_profile_can_be_loaded_as_statistics(tmp_path: Path) -> None:
    with Profile(str(tmp_path / "profile"), stats=True):
        count_to(10)
    names = {function[2] for function in pstats.Stats(str(tmp_path / "profile")).stats}  # type: ignore[attr-defined]
    assert "count_to" in names


def test_a_run_that_fails_has_a_profile_too(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Profile(str(tmp_path / "profile")):
        count_to(1 // 0)
    assert "function calls" in (tmp_path / "profile").read_text()


def test_a_profile_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(CannotCreateError, match="missing/profile"):
        Profile(str(tmp_path / "missing" / "profile"))

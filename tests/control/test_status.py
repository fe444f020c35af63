"""Status reads well without any field being known by heart."""

from __future__ import annotations

import json
import time

import pytest

from taphouse.control import format_list, format_status, to_json

STATUS = {
    "name": "otk",
    "pid": 4711,
    "since": time.mktime((2026, 11, 22, 17, 0, 0, 0, 0, -1)),
    "uptime_s": 7980.0,
    "version": "0.1",
    "tap": "/srv/otk-shutdown.tap",
    "source": "",
    "listening": ["tcp:8123", "unix:/x"],
    "connections": {"now": 3, "accepted": 120},
    "commit_p99_s": 0.00123,
    "journal_bytes": 1_500_000,
    "ready": True,
}


def test_a_status_is_a_title_and_a_line_a_fact() -> None:
    assert format_status(STATUS).splitlines() == [
        "otk: running, PID 4711, since 2026-11-22 17:00:00 (2 h 13 min), taphouse 0.1",
        "  tap          /srv/otk-shutdown.tap",
        "  listening    tcp:8123, unix:/x",
        "  connections  now 3, accepted 120",
        "  commit p99   1.23 ms",
        "  journal      1.431 MiB",
        "  ready        yes",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (4.25, "4.25 s"),
        (59.96, "60 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (90061, "1 d 1 h"),
        (86460, "1 d 1 min"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert format_status({"for_s": seconds}).endswith(f"for  {text}")


def test_a_servers_words_cannot_drive_the_terminal() -> None:
    assert "\x1b" not in format_status({"name": "\x1b[2J", "tap": "a\nb\x1b"})
    assert format_status({"tap": "a\nb"}).count("\n") == 1
    assert "\x1b" not in format_list([{"name": "\x1b[2J"}])


def test_a_list_has_aligned_columns_and_shows_who_does_not_answer() -> None:
    assert format_list([]) == "no server of this user is running"
    rows = [STATUS, {"name": "longer-name", "pid": 1, "error": "no answer", "rundir": "/srv"}]
    assert format_list(rows).splitlines() == [
        "NAME         PID   UP           TAP",
        "otk          4711  2 h 13 min   /srv/otk-shutdown.tap",
        "longer-name  1     (no answer)  /srv",
    ]


def test_json_is_for_programs() -> None:
    assert json.loads(to_json(STATUS)) == STATUS

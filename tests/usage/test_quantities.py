"""Durations, sizes and addresses: as people write them, and back."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taphouse import usage


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5.0), ("1.5s", 1.5), ("2m", 120.0), ("1h30m", 5400.0), ("1h 30m 5s", 5405.0), ("150ms", 0.15),
     ("1d", 86400.0), ("1e-05s", 1e-05), (".5s", 0.5), (" 5 s ", 5.0), ("0", 0.0)],
)  # fmt: skip
def test_durations_have_units_and_may_be_added_up(text, seconds):
    assert usage.duration_s(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "size"),
    [("10", 10), ("64k", 64000), ("10MiB", 10 << 20), ("1 GB", 10**9), ("0", 0), ("1.5KiB", 1536),
     ("12345678901234567890", 12345678901234567890), ("9007199254740993KiB", 9007199254740993 << 10)],
)  # fmt: skip
def test_sizes_have_units_and_lose_no_digit(text, size):
    assert usage.size_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["", " ", "s", "-1", "5x", "nan", "inf", "1e999", "5 s s", "1h30", "s5", "٣s", "1_0", "5s\0"]
)
def test_nonsense_is_no_duration(text):
    with pytest.raises(ValueError, match="is no duration such as 30s, 5m or 2h"):
        usage.duration_s(text)


@pytest.mark.parametrize("text", ["", "k", "-1", "5x", "nan", "1e999", "1k1k", "٣", "10 Mi B"])
def test_nonsense_is_no_size(text):
    with pytest.raises(ValueError, match="is no size such as 64k, 10MiB or 1GB"):
        usage.size_bytes(text)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.floats(0, allow_nan=False, allow_infinity=False))
def test_every_duration_is_written_exactly(seconds):
    assert usage.duration_s(usage.duration_text(seconds)) == seconds


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 100))
def test_every_size_is_written_exactly(size):
    assert usage.size_bytes(usage.size_text(size)) == size


def test_the_shortest_spelling_is_taken():
    spelled = [usage.duration_text(seconds) for seconds in (0.0, 0.5, 30.0, 90.0, 120.0, 7200.0, 86400.0)]
    assert spelled == ["0s", "0.5s", "30s", "90s", "2m", "2h", "1d"]
    assert [usage.size_text(size) for size in (0, 1000, 1024, 10 << 20, 3 << 40)] == (
        ["0", "1000", "1KiB", "10MiB", "3TiB"]
    )


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost:80", ("localhost", 80, "")),
        (":80", ("", 80, "")),
        ("[::1]:80", ("::1", 80, "")),
        ("10.0.0.1:0", ("10.0.0.1", 0, "")),
        ("unix:/run/x.sock", ("", 0, "/run/x.sock")),
        ("unix:/a:b", ("", 0, "/a:b")),
    ],
)
def test_an_address_is_one_word(text, address):
    parsed = usage.Address.of(text)
    assert (parsed.host, parsed.port, parsed.path) == address
    assert str(parsed) == text
    assert parsed.is_unix == bool(parsed.path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "80",
        "host",
        "host:",
        "host:http",
        "host:-1",
        "::1:80",
        "[::1]",
        "a b:80",
        "unix:",
        "x:70000",
        "x:80\n",
    ],
)
def test_nonsense_is_no_address(text):
    with pytest.raises(ValueError, match=r"is no address such as|names no path|ports end at"):
        usage.Address.of(text)

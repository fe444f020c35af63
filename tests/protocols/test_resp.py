"""Requests of the Redis protocol: both twins take the same ones, and never another than hiredis would."""

from __future__ import annotations

import importlib.util
import random
from typing import Any

import hiredis
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taphouse.protocols import resp


def load_pure(patch: pytest.MonkeyPatch) -> Any:
    """Return the module once more, without its C twin."""
    patch.setenv("TAPHOUSE_PURE", "1")
    spec = importlib.util.spec_from_file_location("pure_resp", resp.__file__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.RESP == "python"
    return module


with pytest.MonkeyPatch.context() as _patch:
    PURE = load_pure(_patch)
TWINS = [resp, PURE]


@pytest.fixture(params=TWINS, ids=lambda module: str(module.RESP))
def twin(request: pytest.FixtureRequest) -> Any:
    return request.param


def encoded(words: list[bytes]) -> bytes:
    """Return a request as programs write it."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


words_of_requests = st.lists(st.lists(st.binary(max_size=20), min_size=1, max_size=6), max_size=8)
noise = st.text("*$>0123456789\r\n-+:a", max_size=30).map(str.encode)


@given(words_of_requests, st.integers(0, 400))
def test_whole_requests_are_taken_and_one_that_is_cut_is_left(requests: list[list[bytes]], cut: int) -> None:
    data = b"".join(map(encoded, requests))
    cut = min(cut, len(data))
    whole, end = [], 0
    for words in requests:
        if end + len(encoded(words)) > cut:
            break
        whole.append(words)
        end += len(encoded(words))
    for twin in TWINS:
        found: list[list[bytes]] = []
        assert twin.split_requests(data[:cut], found, 100) == end
        assert found == whole


@given(words_of_requests, noise, st.integers(0, 200), st.integers(1, 5))
@example([], b"*1\r\n$-1\r\n", 0, 5)
@example([], b"*01\r\n$1\r\na\r\n", 0, 5)
@example([], b"*1\r\n$1\r\nabc", 0, 5)
@example([], b"*9999999999\r\n", 0, 5)
@example([[b"a"]], b"*0\r\n", 0, 5)
def test_twins_agree_on_anything_and_take_nothing_that_hiredis_reads_otherwise(
    requests: list[list[bytes]], dirt: bytes, at: int, most_words: int
) -> None:
    clean = b"".join(map(encoded, requests))
    at = min(at, len(clean))
    data = clean[:at] + dirt + clean[at:]
    results = []
    for twin in TWINS:
        found: list[list[bytes]] = []
        taken = twin.split_requests(data, found, most_words)
        results.append((taken, found))
    assert results[0] == results[1]
    taken, found = results[0]
    reader = hiredis.Reader(notEnoughData=None)
    reader.feed(data[:taken])
    assert found == list(iter(reader.gets, None))
    assert all(1 <= len(words) <= most_words for words in found)


def test_an_announced_array_makes_no_room_before_its_words_are_there(twin: Any) -> None:
    found: list[list[bytes]] = []
    assert twin.split_requests(b"*999999999\r\n$1\r\na\r\n", found, 1 << 40) == 0
    assert found == []


def echo(session: list[Any], words: list[bytes]) -> bytes:
    session.append(words)
    if words[0] == b"fail":
        raise LookupError(words[1])
    return words[-1]


TABLE = {b"say": (echo, 2, 3), b"fail": (echo, 2, 2), b"bad": (lambda session, words: "text", 1, 1)}


def test_requests_are_answered_in_a_row(twin: Any) -> None:
    session: list[Any] = []
    replies: list[bytes] = [b"before"]
    requests = [[b"old"], [b"say", b"one"], [b"say", b"to", b"two"]]
    assert twin.answer_requests(session, requests, TABLE, replies, 100) == 94
    assert replies == [b"before", b"one", b"two"]
    assert session == requests[1:]


@pytest.mark.parametrize("stranger", [[b"other", b"x"], [b"say"], [b"say", b"a", b"b", b"c"], []])
def test_what_is_not_in_the_table_is_left_and_nothing_after_it_is_done(twin: Any, stranger: Any) -> None:
    replies: list[bytes] = []
    assert twin.answer_requests([], [[b"say", b"a"], stranger, [b"say", b"b"]], TABLE, replies, 100) == 99
    assert replies == [b"a"]


def test_an_error_of_a_handler_leaves_the_replies_before_it(twin: Any) -> None:
    replies: list[bytes] = []
    with pytest.raises(LookupError, match="why"):
        twin.answer_requests([], [[b"say", b"a"], [b"fail", b"why"], [b"say", b"b"]], TABLE, replies, 100)
    assert replies == [b"a"]


def test_it_stops_when_the_replies_are_more_than_was_allowed(twin: Any) -> None:
    replies: list[bytes] = []
    requests = [[b"say", b"12345"]] * 5
    assert twin.answer_requests([], requests, TABLE, replies, 10) == -5
    assert len(replies) == 3
    assert twin.answer_requests([], requests, TABLE, replies, 0) == -5
    assert len(replies) == 4


def test_a_reply_that_is_not_bytes_is_a_type_error(twin: Any) -> None:
    with pytest.raises(TypeError, match="str"):
        twin.answer_requests([], [[b"bad"]], TABLE, [], 10)


def test_a_handler_may_change_the_list_of_requests_under_way(twin: Any) -> None:
    requests: list[list[bytes]] = [[b"clear", b"x" * 100] for _ in range(50)]

    def clear(session: Any, words: list[bytes]) -> bytes:
        requests.clear()
        words.clear()
        random.randbytes(1000)
        return b"done"

    replies: list[bytes] = []
    twin.answer_requests(None, requests, {b"clear": (clear, 1, 2)}, replies, 10_000)
    assert replies == [b"done"]

"""What is no message is refused with a reason, whatever it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taphouse.control.wire import REQUEST_BYTES, Reply, Request, WireError


@given(st.text(), st.dictionaries(st.text(), st.text(), max_size=5))
def test_a_request_survives_the_wire_on_one_line(verb: str, arguments: dict[str, object]) -> None:
    line = Request(verb, arguments).encode()
    assert line.count(b"\n") == 1
    assert Request.decode(line) == Request(verb, arguments)


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.none()), max_size=5))
def test_a_reply_survives_the_wire(result: dict[str, object]) -> None:
    assert Reply.decode(Reply(result).encode()) == Reply(result)
    refusal = Reply(error="no\nway", code=78)
    assert Reply.decode(refusal.encode()) == refusal


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"ping\n",
        b"[]\n",
        b'"ping"\n',
        b'{"verb": 1}\n',
        b'{"verb": "ping", "arguments": []}\n',
        b'{"verb": "ping", "more": 1}\n',
        b"\xff\xfe\n",
        b"[" * 50_000,
        b'{"a":' * 10_000,
    ],
)
def test_what_is_no_request_is_refused(line: bytes) -> None:
    with pytest.raises(WireError):
        Request.decode(line)


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b'{"ok": true}', b'{"ok": false, "error": "x"}', b'{"ok": false, "error": "x", "code": 0}'],
)
def test_what_is_no_reply_is_refused(line: bytes) -> None:
    with pytest.raises(WireError):
        Reply.decode(line)


def test_a_request_that_is_too_long_is_not_even_sent() -> None:
    with pytest.raises(WireError, match="too long"):
        Request("backup", {"path": "x" * REQUEST_BYTES}).encode()


def test_a_value_json_does_not_know_is_shown_as_text() -> None:
    assert json.loads(Reply({"path": {1}}).encode())["result"] == {"path": "{1}"}

"""RESP: requests of the Redis protocol, found in bytes and answered in a row.

Only what programs send: whole arrays of bulk strings, written the one usual way.
What is unfinished or unusual is left to a full parser, such as hiredis.
https://redis.io/docs/latest/develop/reference/protocol-spec/

Both functions have C twins (``_resp.c``); ``TAPHOUSE_PURE=1`` leaves them out.
It must never know what a command means.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["RESP", "answer_requests", "split_requests"]

_Table = Mapping[bytes, tuple[Callable[[Any, list[bytes]], bytes], int, int]]

_array = re.compile(rb"\*([1-9]\d{0,8}|0)\r\n")
_bulk = re.compile(rb"\$([1-9]\d{0,8}|0)\r\n")
_LEAST_WORD_BYTES = 6


def split_requests(data: bytes, requests: list[list[bytes]], most_words: int, /) -> int:
    """Append the requests that ``data`` begins with to ``requests``, each as a list of words.

    It stops before the first that is not all there, has more words, or is written in another way.

    Args:
        data: as it came.
        requests: is appended to.
        most_words: that a request may have.

    Returns:
        How many bytes were taken.
    """
    taken = 0
    while (request := _read_request(data, taken, most_words)) is not None:
        words, taken = request
        requests.append(words)
    return taken


def _read_request(data: bytes, at: int, most_words: int) -> tuple[list[bytes], int] | None:
    head = _array.match(data, at)
    if head is None:
        return None
    count, at = int(head[1]), head.end()
    if not 1 <= count <= most_words or count > (len(data) - at) // _LEAST_WORD_BYTES:
        return None
    words = []
    for _ in range(count):
        head = _bulk.match(data, at)
        if head is None:
            return None
        start = head.end()
        end = start + int(head[1])
        if data[end : end + 2] != b"\r\n":
            return None
        words.append(data[start:end])
        at = end + 2
    return words, at


def answer_requests(
    session: Any, requests: list[list[bytes]], table: _Table, replies: list[bytes], most_bytes: int, /
) -> int:
    """Answer ``requests`` from the first that has no reply yet, appending to ``replies``.

    It stops before the first whose command is not in the table or has another number of words,
    and when the replies of this call are more than ``most_bytes``.

    Args:
        session: handed to the handlers.
        requests: lists of words, the command first.
        table: command -> (handler, least words, most words); a handler gets the session and the words,
            and returns the reply.
        replies: one for each request that was answered before.
        most_bytes: from 0.

    Returns:
        ``most_bytes`` less what the replies of this call take; negative if they take more.

    Raises:
        TypeError: if a handler does not return bytes.
        Exception: what a handler raises; its request has no reply then.
    """
    while most_bytes >= 0 and len(replies) < len(requests):
        words = requests[len(replies)]
        row = table.get(words[0]) if words else None
        if row is None or not row[1] <= len(words) <= row[2]:
            break
        reply = row[0](session, words)
        if not isinstance(reply, bytes):
            raise TypeError(f"a reply is bytes, not {type(reply).__name__}")
        most_bytes -= len(reply)
        replies.append(reply)
    return most_bytes


RESP = "python"
"""Which twin is in use, ``c`` or ``python``."""

if os.environ.get("TAPHOUSE_PURE", "") in ("", "0"):
    try:
        from taphouse.protocols._resp import answer_requests, split_requests

        RESP = "c"
    except ImportError:
        pass

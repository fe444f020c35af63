from collections.abc import Callable, Mapping
from typing import Any

def split_requests(data: bytes, requests: list[list[bytes]], most_words: int, /) -> int: ...
def answer_requests(
    session: Any,
    requests: list[list[bytes]],
    table: Mapping[bytes, tuple[Callable[[Any, list[bytes]], bytes], int, int]],
    replies: list[bytes],
    most_bytes: int,
    /,
) -> int: ...

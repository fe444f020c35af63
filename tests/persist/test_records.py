"""The tap's own records: an epoch or a page is what was written, or it is refused."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tapforge import damage_state

from taphouse.durable import ClassRecord
from taphouse.persist.codec import pack_plain, unpack_plain
from taphouse.persist.codes import CodecError
from taphouse.persist.records import Epoch, Page

KEYS = ClassRecord(name="otk.Keys", module="otk", qualname="Keys", version=2, kind="durable")
EPOCH = Epoch(
    classes={16: KEYS},
    rows={1: (16, b"\x80"), 70: (1, b"\x90")},
    chunks={70: {0: b"\x91\x01", 1: b"\x90"}},
    deltas={71: b"\x90"},
    bases={70: (0, 2, 5)},
    freed=[5, 6],
    next_oid=72,
    plan="{}",
)
SHAPE: list[Any] = unpack_plain(EPOCH.pack())


def test_an_epoch_comes_back_as_it_was() -> None:
    assert Epoch.unpack(EPOCH.pack()) == EPOCH
    assert not EPOCH.is_empty() and Epoch(next_oid=5).is_empty()


WRONG: dict[str, list[Any]] = {
    "not eight parts": SHAPE[:7],
    "a number for a list": [*SHAPE[:4], 5, *SHAPE[5:]],
    "a plan that is no text": [*SHAPE[:7], 5],
    "a class of five columns": [[[16, "a", "b", "c", 1]], *SHAPE[1:]],
    "a class of version 0": [[[16, "a", "b", "c", 0, "durable"]], *SHAPE[1:]],
    "a class without a name": [[[16, "", "b", "c", 1, "durable"]], *SHAPE[1:]],
    "a class with a number for a name": [[[16, 5, "b", "c", 1, "durable"]], *SHAPE[1:]],
    "half a row": [SHAPE[0], [1, 16], *SHAPE[2:]],
    "a row of number 0": [SHAPE[0], [0, 16, b""], *SHAPE[2:]],
    "a row of a number beyond all": [SHAPE[0], [1 << 60, 16, b""], *SHAPE[2:]],
    "a row of a negative class": [SHAPE[0], [1, -16, b""], *SHAPE[2:]],
    "a row without bytes": [SHAPE[0], [1, 16, "text"], *SHAPE[2:]],
    "the same row twice": [SHAPE[0], [1, 16, b"", 1, 16, b""], *SHAPE[2:]],
    "chunks that are no bytes": [*SHAPE[:2], [70, 0, "x"], *SHAPE[3:]],
    "a chunk of a number beyond all": [*SHAPE[:2], [70, 1 << 20, b""], *SHAPE[3:]],
    "the same chunk twice": [*SHAPE[:2], [70, 0, b"", 70, 0, b""], *SHAPE[3:]],
    "a base of chunks beyond all": [*SHAPE[:4], [70, 1 << 19, 1 << 20, 0], *SHAPE[5:]],
    "a base that is no numbers": [*SHAPE[:4], [70, 0, "x", 0], *SHAPE[5:]],
    "operations that are no bytes": [*SHAPE[:3], [71, 5], *SHAPE[4:]],
    "a freed row that is none": [*SHAPE[:5], ["x"], *SHAPE[6:]],
}


@pytest.mark.parametrize("name", WRONG)
def test_an_epoch_of_a_wrong_shape_is_refused(name: str) -> None:
    with pytest.raises(CodecError) as caught:
        Epoch.unpack(pack_plain(WRONG[name]))
    assert "\n" not in str(caught.value)


def test_a_damaged_epoch_is_refused_or_reads_as_some_epoch() -> None:
    """Nothing else is raised, and what is read can be written again."""
    rng = random.Random(2)
    data = EPOCH.pack()
    refused = 0
    for _ in range(2000):
        try:
            found = Epoch.unpack(damage_state(rng, data))
        except CodecError:
            refused += 1
        else:
            assert Epoch.unpack(found.pack()) == found
    assert refused > 1000


PAGES: dict[str, tuple[list[Any], list[Any]]] = {
    "of two lengths": ([16, 16], [b""]),
    "of no length": ([], []),
    "of 65 rows": ([16] * 65, [b""] * 65),
    "with a row without state": ([16], [None]),
    "with a state without class": ([None], [b""]),
    "with text for a state": ([16], ["x"]),
    "with a negative class": ([-1], [b""]),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_refused(name: str) -> None:
    cids, states = PAGES[name]
    with pytest.raises(CodecError, match="index and data do not fit"):
        Page.from_columns(1, pack_plain(cids), pack_plain(states))


def test_a_page_gives_its_rows_with_their_numbers() -> None:
    page = Page(epoch=3)
    page.put(5, (16, b"a"))
    page.put(0, (17, b"b"))
    page.put(2, None)
    again = Page.from_columns(3, *page.columns())
    assert list(again.rows(2)) == [(128, 17, b"b"), (133, 16, b"a")]
    again.put(0, None)
    again.put(5, None)
    assert again.is_empty()

"""The two twins of the codec write the same bytes and refuse the same ones, in the same words."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapforge import BOMBS, damage_state
from tapwork import equal

from taphouse.persist import walfile
from taphouse.persist.codes import CodecError, Defer
from taphouse.persist.filling import _extend, operate
from taphouse.persist.leaves import PackFailure
from taphouse.persist.live import LiveReader
from taphouse.persist.packer import AS_BUILTIN, Ext, Packer, Tagged
from taphouse.persist.unpacker import Unpacker

_codec = pytest.importorskip("taphouse.persist._codec", reason="no compiler was there to build the C twin")


class Custom:
    """Something the packer does not know."""


class MyList(list[Any]):
    pass


class MyDict(dict[Any, Any]):
    pass


def hook(value: Any) -> Any:
    """Answer in each of the ways a hook can."""
    if isinstance(value, MyList):
        return AS_BUILTIN
    if isinstance(value, MyDict):
        return Tagged(36, b"\7", (len(value),), value)
    if isinstance(value, complex):
        return Ext(4, struct.pack(">dd", value.real, value.imag))
    if isinstance(value, range):
        return value.stop
    raise PackFailure(f"a {type(value).__name__} here")


def scalar(code: int, payload: bytes) -> Any:
    if code == 2:
        return int.from_bytes(payload, "big", signed=True)
    if code == 3:
        try:
            return payload.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise CodecError("no text") from error
    return ("scalar", code, payload)


def tagged(code: int, payload: bytes, items: list[Any]) -> Any:
    return ("tagged", code, payload, items)


ROWS = {1: "one", 300: "three hundred", 2**40: "far"}
PURE = Unpacker(ROWS, scalar, tagged)
TWIN = _codec.Unpacker(ROWS, scalar, tagged)


def outcome(function: Any, *args: Any) -> tuple[str, Any]:
    """Return what a function returns, or what it says when it refuses."""
    try:
        return "made", function(*args)
    except PackFailure as failure:
        return "failed", (failure.why, failure.path)
    except CodecError as error:
        return "refused", str(error)


def same(a: Any, b: Any) -> bool:
    """Compare deeply, NaN and signs of zero too."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a.items(), b.items(), strict=True))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return equal(a, b)


WIDTHS = (4, 5, 7, 8, 15, 16, 31, 32, 63, 64, 127)
EDGES = [
    *(sign * (2**bits + off) for bits in WIDTHS for off in (-1, 0, 1) for sign in (1, -1)),
    *("x" * n for n in (0, 31, 32, 255, 256, 65535, 65536)),
    *(b"b" * n for n in (0, 255, 256, 65535, 65536)),
    *([None] * n for n in (15, 16, 65535, 65536)),
    *(dict.fromkeys(range(n)) for n in (15, 16, 65536)),
    *((0,) * n for n in (0, 14, 15)),
    "é", "\ud800", "a\U0001f600", 1.5, float("nan"), -0.0, True, None, 1 + 2j,
    range(1), range(300), range(2**40),
    {(1, 2): 3}, {1.5: 1, None: 2, b"x": 3, False: 4}, {frozenset({1}): 1}, {1, 2}, frozenset({"a"}),
    MyList([1, MyDict(a=[1])]), OrderedDict(a=1),
]  # fmt: skip


def test_values_at_every_edge_of_the_format_are_written_alike() -> None:
    """All widths of numbers, text, bytes, arrays and maps; and they come back."""
    pure, twin = Packer(hook), _codec.Packer(hook)
    for value in EDGES:
        expected = outcome(pure.pack, value)
        assert outcome(twin.pack, value) == expected
        if expected[0] == "made":
            assert same(PURE.unpack(expected[1]), TWIN.unpack(expected[1]))


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.complex_numbers(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.lists(inner).map(MyList)
        | st.dictionaries(st.integers() | st.text() | st.tuples(st.integers()), inner)
        | st.dictionaries(st.text(), inner).map(MyDict)
        | st.builds(Custom)
    ),
    max_leaves=20,
)


@settings(max_examples=50, deadline=None)
@given(value=plain)
def test_any_value_is_written_alike_and_failures_have_the_same_path(value: Any) -> None:
    pure, twin = Packer(hook), _codec.Packer(hook)
    expected = outcome(pure.pack, value)
    assert outcome(twin.pack, value) == expected
    state = {"name": value, "_v_name": Custom(), "é": [value], "": 1}
    assert outcome(twin.pack_state, state) == outcome(pure.pack_state, state)
    if expected[0] == "made":
        assert same(PURE.unpack(expected[1]), TWIN.unpack(expected[1]))


def test_any_damage_is_refused_alike() -> None:
    """Thousands of damaged values, read by both twins: same value or same words."""
    rng = random.Random(7)
    packer = Packer(hook)
    seeds = [
        packer.pack(value)
        for value in (
            {"a": [1, (2, "three"), {"b": None}], "c": 1.5, "d": b"xyz", "é": [range(1), range(300)]},
            [[[[]]], {"k" * 40: -5, "_x": 2**70}, {1, 2}, {(1,): 2}, 1 + 1j],
            MyDict(a=MyList([2**31, -(2**40), "\ud800"])),
        )
    ]
    for number in range(4000):
        data = damage_state(rng, rng.choice(seeds))
        for name in ("unpack", "unpack_state"):
            expected, found = outcome(getattr(PURE, name), data), outcome(getattr(TWIN, name), data)
            assert expected[0] == found[0], (number, data, expected, found)
            assert same(expected[1], found[1]), (number, data, expected, found)


def test_operations_are_written_alike() -> None:
    """Arrays, not tuples; what cannot be written is named by its place."""
    ops = [("s", "key", (1, 2)), ("d", b"key"), ("p", 0, 1, [1, [2]]), ("c",)] * 7
    pure, twin = Packer(hook), _codec.Packer(hook)
    assert twin.pack_operations(ops) == pure.pack_operations(ops) == pure.pack([list(op) for op in ops])
    assert twin.pack_operations([]) == pure.pack_operations([])
    broken = [("s", 1, 2), ("s", 3, [Custom()])]
    expected, found = outcome(pure.pack_operations, broken), outcome(twin.pack_operations, broken)
    assert expected[0] == found[0] and same(expected[1], found[1])
    with pytest.raises(TypeError):
        twin.pack_operations([["s", 1, 2]])


def _poured(unpacker: Any, chunk: bytes, ops: bytes) -> Any:
    """Fill a dict as a thaw does: what the twin leaves is put in by Python."""
    reader = LiveReader({}, {})
    made: dict[Any, Any] = {}
    try:
        rest = unpacker.pour(made, chunk)
        if rest is not None:
            if type(rest) is not list:
                return "refused"
            _extend(made, rest, reader)
        rest = unpacker.operate(made, ops)
        for op in () if rest is None else rest if type(rest) is list else [0]:
            operate(made, op, reader)
    except (CodecError, Defer, TypeError):
        return "refused"
    return [*made.items()]


def test_what_is_poured_into_a_dict_is_the_same_in_both_twins() -> None:
    """Whole and damaged chunks and operations; keys that C puts in, and those it leaves to Python."""
    rng = random.Random(11)
    packer = Packer(hook)
    keys = ["a", "b", 1, b"c", None, 2.5, True, 2**70, "long" * 20]
    chosen = 0
    for number in range(3000):
        pairs = rng.sample(keys, rng.randrange(len(keys) + 1)) + [(1, "x")] * (rng.random() < 0.3)
        chunk = packer.pack([part for key in pairs for part in (key, rng.choice([1, "v", [2], (3,)]))])
        ops = packer.pack(
            [
                rng.choice(
                    [["s", rng.choice([*keys, (1, "x")]), number], ["d", rng.choice(keys)], ["c"], ["e"]]
                )
                for _ in range(rng.randrange(4))
            ]
        )
        if rng.random() < 0.4:
            chunk = damage_state(rng, chunk)
        elif rng.random() < 0.3:
            ops = damage_state(rng, ops)
        expected, found = _poured(PURE, chunk, ops), _poured(TWIN, chunk, ops)
        assert same(expected, found), (number, chunk, ops, expected, found)
        chosen += expected != "refused"
    assert chosen > 500


def test_a_twin_says_whether_what_it_poured_may_own_containers() -> None:
    packer = Packer(hook)
    for values, parts in ([1, "v", b"w", None, 0.5], False), ([1, [2]], True), ([(1,)], True):
        twin = _codec.Unpacker(ROWS, scalar, tagged)
        assert twin.pour({}, packer.pack([x for n, value in enumerate(values) for x in (n, value)])) is None
        assert twin.has_parts is parts
        twin = _codec.Unpacker(ROWS, scalar, tagged)
        assert twin.operate({}, packer.pack([["s", n, value] for n, value in enumerate(values)])) is None
        assert twin.has_parts is parts


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_alike(name: str) -> None:
    expected, found = outcome(PURE.unpack, BOMBS[name]), outcome(TWIN.unpack, BOMBS[name])
    assert expected[0] == found[0] and same(expected[1], found[1])


def test_deep_values_are_refused_by_the_writer_too() -> None:
    deep: list[Any] = []
    for _ in range(250):
        deep = [deep]
    for packer in (Packer(hook), _codec.Packer(hook)):
        with pytest.raises(PackFailure, match="nested more than 200 levels deep"):
            packer.pack(deep)


def test_what_a_hook_raises_passes_through() -> None:
    def broken(_value: object) -> None:
        raise ZeroDivisionError

    for packer in (Packer(broken), _codec.Packer(broken)):  # type: ignore[arg-type]
        with pytest.raises(ZeroDivisionError):
            packer.pack({"a": [Custom()]})


def test_another_implementation_reads_the_plain_part() -> None:
    """It is MessagePack: an independent reader makes the same of it."""
    value = {"a": [1, -5, 2**40, "é", b"x", None, True, 1.5, {"k" * 300: [0] * 70000}]}
    for packer in (Packer(hook), _codec.Packer(hook)):
        assert msgspec.msgpack.decode(packer.pack(value)) == value
    assert PURE.unpack(msgspec.msgpack.encode(value)) == value


def test_the_checksum_of_the_wal_is_the_same_in_both_twins() -> None:
    rng = random.Random(3)
    for little in (True, False):
        data = rng.randbytes(4096 + 8)
        assert _codec.wal_checksum(data, little, 5, 2**32 - 1) == walfile.wal_checksum(
            data, little, 5, 2**32 - 1
        )


@pytest.mark.process
def test_python_alone_is_used_if_asked(tmp_path: Path) -> None:
    """And a tap written by one twin is read by the other."""
    program = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "import tapmodels, tapwork, pathlib, zlib\n"
        "from taphouse.persist import CODEC, write_seed, NullStore, thaw\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "if not path.exists():\n"
        "    write_seed(path, tapwork.root_with(x=[1, {'k': (2, 'é')}], n=tapmodels.Node()), tapwork.PLAN)\n"
        "root = thaw(NullStore(path), tapwork.find).root\n"
        "print(CODEC, root.x, type(root.n).__name__)\n"
    )
    said = []
    for pure in ("1", ""):
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "x.tap"), str(Path(__file__).parent)],
            capture_output=True,
            text=True,
            env={**os.environ, "TAPHOUSE_PURE": pure},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said == ["python [1, {'k': (2, 'é')}] Node\n", "c [1, {'k': (2, 'é')}] Node\n"]

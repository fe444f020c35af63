"""Values of every kind that a tap may hold, and strategies that make more of them."""

from __future__ import annotations

import datetime
import decimal
import fractions
import ipaddress
import pathlib
import uuid
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

import tapmodels
from hypothesis import strategies as st

UTC = datetime.UTC
NAMED = datetime.timezone(datetime.timedelta(hours=1, minutes=30, microseconds=5), "odd")
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")

VALUES: dict[str, Any] = {
    "none": None,
    "booleans": [True, False],
    "small integers": [0, 1, -1, 127, 128, -32, -33, 255, 256, -128, -129, 65535, 65536, -32768, -32769],
    "wide integers": [2**31, -(2**31), 2**32, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 2**64, -(2**63) - 1],
    "huge integers": [10**400, -(10**400), 2**127, -(2**127), 2**128 - 1],
    "floats": [0.0, -0.0, 1.5, float("inf"), float("-inf"), float("nan"), 5e-324, 1.7976931348623157e308],
    "complex": [1 + 2j, complex("nan"), complex(-0.0, 0.0)],
    "text": ["", "a", "é" * 20, "x" * 31, "x" * 32, "y" * 255, "z" * 256, "w" * 70000, "\0", "\U0001f600"],
    "lone surrogates": ["\ud800", "a\udfffb", "\udcff" * 300],
    "bytes": [b"", b"\0\xff", b"b" * 255, b"b" * 256, b"b" * 70000],
    "tuples": [(), (1,), (1, (2, [3])), tuple(range(20))],
    "sets": [set(), {1, "a", b"b", None, (1, 2)}, frozenset(), frozenset({frozenset({1}), (2,)})],
    "dicts": [
        {},
        {"a": 1, 2: "b", None: 3, b"c": 4, 1.5: 5, False: 6},
        {(1, 2): "tuple", frozenset({1}): "set"},
    ],
    "dates": [datetime.date.min, datetime.date.max, datetime.date(2026, 11, 22)],
    "times": [
        datetime.time(1, 2, 3, 4, fold=1),
        datetime.time(1, tzinfo=UTC),
        datetime.time(2, tzinfo=BERLIN),
    ],
    "datetimes": [
        datetime.datetime.min,
        datetime.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN),
        datetime.datetime(2026, 1, 1, tzinfo=UTC),
        datetime.datetime(2026, 1, 1, tzinfo=NAMED),
    ],
    "time spans": [datetime.timedelta.min, datetime.timedelta.max, datetime.timedelta(-1, 5, 7)],
    "zones": [UTC, NAMED, BERLIN, zoneinfo.ZoneInfo("UTC"), datetime.timezone(-datetime.timedelta(hours=5))],
    "decimals": [
        decimal.Decimal(text) for text in ("0", "-0.00", "1E+30", "NaN", "sNaN12", "-Infinity", "1" * 99)
    ],
    "fractions": [fractions.Fraction(0), fractions.Fraction(-22, 7), fractions.Fraction(10**50, 3)],
    "uuid": uuid.UUID(int=2**128 - 1),
    "paths": [
        pathlib.Path("/etc/x"),
        pathlib.Path(),
        pathlib.PurePosixPath("a/\udcff"),
        pathlib.PureWindowsPath("C:\\x"),
    ],
    "addresses": [
        ipaddress.ip_address("127.0.0.1"),
        ipaddress.ip_address("fe80::1%eth0"),
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("::/0"),
        ipaddress.ip_interface("192.168.1.5/24"),
        ipaddress.ip_interface("::1/64"),
    ],
    "ranges": [range(5), range(-(10**30), 10**30, 7), range(5, 0, -1)],
    "deques": [deque(), deque([1, [2]], maxlen=5), deque([1, 2, 3], maxlen=3), deque(maxlen=0)],
    "ordered dicts": [OrderedDict(), OrderedDict([("z", 1), ("a", [2])])],
    "default dicts": [
        defaultdict(list, {"a": [1]}),
        defaultdict(None, {1: 2}),
        defaultdict(tapmodels.module_function),
    ],
    "counters": [Counter(), Counter("abracadabra"), Counter({"x": -5})],
    "enumerations": [
        tapmodels.Colour.RED,
        tapmodels.Colour.GREEN,
        tapmodels.Colour.ALSO_RED,
        tapmodels.Level.HIGH,
    ],
    "flags": [tapmodels.Rights.READ, tapmodels.Rights.READ | tapmodels.Rights.RUN, tapmodels.Rights(0)],
    "named tuples": [tapmodels.Point(1, [2]), tapmodels.Pair("l", tapmodels.Point(0, None))],
    "classes and functions": [tapmodels.Node, tapmodels.Account, tapmodels.module_function],
    "deep": [[[[[[[[{"a": [[[(1, [2])]]]}]]]]]]]],
}

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.decimals()
    | st.fractions()
    | st.datetimes(timezones=st.none() | st.just(UTC) | st.just(BERLIN))
    | st.timedeltas()
    | st.uuids()
    | st.sampled_from([*tapmodels.Colour, *tapmodels.Level, tapmodels.Rights.READ])
    | st.ip_addresses()
)
keys = st.integers() | st.text() | st.binary() | st.none() | st.tuples(st.integers(), st.text())
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(keys, inner)
        | st.frozensets(keys)
        | st.sets(keys)
        | st.builds(tapmodels.Account, st.text(), st.lists(inner))
        | st.lists(inner).map(deque)
        | st.builds(tapmodels.Point, st.integers(), inner)
    ),
    max_leaves=30,
)

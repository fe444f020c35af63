"""A digest tells whether a value has changed: the same for the same content, whoever asks and when."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from pathlib import Path
from typing import Any

import pytest
import tapmodels
from hypothesis import HealthCheck, given, settings
from tapwork import PLAN, begin, difference, go_on, root_with, round_trip, thaw_seed
from test_fidelity import VALUES, values

from taphouse.durable import Durable
from taphouse.persist import digest_states, find_durables, write_seed


def digests(root: Durable) -> dict[str, str]:
    return digest_states({"root": root})["root"]


def digest(value: Any) -> str:
    return digests(root_with(value=value))["value"]


@pytest.mark.parametrize("name", VALUES)
def test_a_value_has_the_same_digest_after_a_save_and_a_thaw(tmp_path: Path, name: str) -> None:
    assert digests(round_trip(tmp_path, value=VALUES[name])) == digests(root_with(value=VALUES[name]))


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(value=values)
def test_any_value_has_the_same_digest_after_a_save_and_a_thaw(tmp_path: Path, value: Any) -> None:
    assert digests(round_trip(tmp_path, value=value)) == digests(root_with(value=value))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(one=values, other=values)
def test_what_differs_has_another_digest(one: Any, other: Any) -> None:
    if digest(one) == digest(other):
        assert "shared" in (difference(root_with(value=one), root_with(value=other)) or "shared")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0, False),
        (1, 1.0),
        (0.0, -0.0),
        ("1", b"1"),
        ([1, 2], [2, 1]),
        ([1], (1,)),
        ({1}, frozenset({1})),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": 1}, OrderedDict(a=1)),
        (Counter(a=1), {"a": 1}),
        (defaultdict(list), defaultdict(int)),
        (deque([1]), deque([1], maxlen=1)),
        ([[1], 2], [[1, 2]]),
        (["a", "b"], ["ab"]),
        ({1: {2}}, {1: {3}}),
        (tapmodels.Colour.RED, tapmodels.Colour.GREEN),
        (tapmodels.Point(1, 2), (1, 2)),
        (tapmodels.Account("ann", [1]), tapmodels.Account("ann", [2])),
        (bytearray(b"a"), b"a"),
    ],
)
def test_kinds_and_orders_that_are_state_count(one: Any, other: Any) -> None:
    assert digest(one) != digest(other)


def test_the_order_of_a_set_and_of_attributes_is_no_state() -> None:
    assert digest({1, 1001, "a", (1, 2)}) == digest({(1, 2), "a", 1001, 1})
    one, other = tapmodels.Node(), tapmodels.Node()
    one.a, one.b = 1, 2
    other.b, other.a = 2, 1
    assert digest([one]) == digest([other])


def test_another_process_with_another_hash_seed_says_the_same() -> None:
    program = (
        "import tapmodels, test_digests as t\n"
        "print(t.digest({'x': {str(n) for n in range(50)}, 'y': frozenset({('a', 1), b'b', None})}))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.path.dirname(__file__)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    here = digest({"x": {str(n) for n in range(50)}, "y": frozenset({("a", 1), b"b", None})})
    assert said == {f"{here}\n"}


def test_a_digest_never_changes_between_versions() -> None:
    """Taps keep digests: whoever changes how they are made has to think of those."""
    node = tapmodels.Node()
    node.parent, node.names = node, {"b", "a"}
    assert digest(["x", 1, {2.5: (None, node)}]) == "1aa8d87a38907862972eda55"


def test_named_objects_count_by_name_and_class_and_others_by_what_is_in_them() -> None:
    def build(n: int) -> dict[str, dict[str, str]]:
        named, inner = tapmodels.Node(), tapmodels.Node()
        named.n = inner.n = n
        root = root_with(to=named, via=[named], inner=inner)
        return digest_states({"root": root, "named": named})

    one, other = build(1), build(2)
    assert one["root"]["to"] == other["root"]["to"]
    assert one["root"]["via"] == other["root"]["via"]
    assert one["root"]["inner"] != other["root"]["inner"]
    assert one["named"] != other["named"]
    node, counter = tapmodels.Node(), tapmodels.Counter2()
    assert digest_states({"root": root_with(to=node)}, {"it": node}) != digest_states(
        {"root": root_with(to=counter)}, {"it": counter}
    )


def circle(length: int, *, mark: int = -1) -> list[Any]:
    nodes = [tapmodels.Node() for _ in range(length)]
    for n, node in enumerate(nodes):
        node.next, node.before = nodes[(n + 1) % length], {nodes[n - 1]}
        node.marked = n == mark
    return nodes


def test_circles_have_digests_and_a_change_at_their_far_end_is_seen(tmp_path: Path) -> None:
    plain = digest(circle(200)[0])
    assert plain == digest(circle(200)[0])
    assert plain != digest(circle(200, mark=100)[0])
    assert plain != digest(circle(201)[0])
    write_seed(tmp_path / "circle.tap", root_with(value=circle(200, mark=7)[0]), PLAN)
    assert digests(thaw_seed(tmp_path / "circle.tap").root)["value"] == digest(circle(200, mark=7)[0])


def test_lists_that_hold_themselves_have_digests() -> None:
    root = root_with(ring=[1], other=[1])
    root.ring.append(root.ring)
    root.other.append([1])
    found = digests(root)
    assert found["ring"] != found["other"]
    again = root_with(ring=[1])
    again.ring.append(again.ring)
    assert digests(again)["ring"] == found["ring"]


def test_a_long_chain_needs_no_deep_stack() -> None:
    def chain(last: int) -> Any:
        head: Any = None
        for n in range(20_000):
            node = tapmodels.Node()
            node.next, node.n = head, n or last
            head = node
        return head

    assert digest(chain(0)) == digest(chain(0))
    assert digest(chain(0)) != digest(chain(5))
    assert sum(1 for _ in find_durables(root_with(value=[chain(0)]))) == 20_001


def test_operations_and_chunks_lead_to_the_digest_of_the_value(tmp_path: Path) -> None:
    """A big dict that was changed in many epochs is the same as one that was built so."""
    running = begin(tmp_path, table={n: str(n) for n in range(3000)})
    for n in range(50):
        running.root.table[n * 100] = [n]
        running.commit()
    running.stop()
    built = {n: str(n) for n in range(3000)}
    built.update({n * 100: [n] for n in range(50)})
    assert digests(go_on(tmp_path / "tested-shutdown.tap").root)["table"] == digest(built)


def test_methods_count_by_owner_and_name() -> None:
    counter = tapmodels.Counter2()
    names = {"it": counter}
    bump = digest_states({"root": root_with(call=counter.bump)}, names)
    assert bump != digest_states({"root": root_with(call=tapmodels.module_function)}, names)


def test_volatile_attributes_have_no_digest() -> None:
    assert list(digests(root_with(_v_cache=1, kept=2))) == ["kept"]

"""A tap becomes JSON and a tap again, and nothing is lost on the way."""

from __future__ import annotations

import json
import math
import struct
from collections import Counter, OrderedDict, defaultdict, deque
from pathlib import Path
from typing import Any

import pytest
import tapmodels
from hypothesis import HealthCheck, given, settings
from tapvalues import VALUES, values
from tapwork import PLAN, Running, begin, difference, find, go_on, root_with, thaw_seed

from taphouse.durable import ClassRecord
from taphouse.persist import (
    NullStore,
    check_integrity,
    open_state,
    parse_document,
    read_document,
    read_info,
    render_document,
    thaw,
    write_document,
    write_seed,
)


def text_of(path: Path) -> str:
    return render_document(read_document(path))


def back(text: str, path: Path) -> Path:
    """Make a tap of a document's text."""
    path.unlink(missing_ok=True)
    write_document(parse_document(text.encode(), "edited.json"), path, name="edited.json")
    return path


def through_json(path: Path) -> Path:
    """Take a tap to JSON and back; the JSON of the new one must be the same to the byte."""
    text = text_of(path)
    made = back(text, path.with_name("back.tap"))
    check_integrity(made)
    assert text_of(made) == text
    return made


def saved(folder: Path, **attributes: Any) -> Path:
    path = folder / "saved.tap"
    write_seed(path, root_with(**attributes), PLAN)
    return path


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back_through_json_as_it_was(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, value=VALUES[name])
    assert difference(root_with(value=VALUES[name]), thaw_seed(through_json(path)).root) == ""


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(value=values)
def test_any_structure_of_values_comes_back_through_json(tmp_path: Path, value: Any) -> None:
    path = saved(tmp_path, value=value)
    assert difference(root_with(value=value), thaw_seed(through_json(path)).root) == ""


def test_instances_and_circles_come_back_through_json(tmp_path: Path) -> None:
    """Durable objects, plain instances, shared containers, bound methods, each referring to the others."""
    root = root_with(node=tapmodels.Node(), ring=[], counter=tapmodels.Counter2(), raw=bytearray(b"\0raw"))
    root.ring.append(root.ring)
    root.node.parent = root
    root.account = tapmodels.Account("ann", [])
    root.account.entries += [root.account, root.raw, root.node]
    root.slotted = tapmodels.Slotted(root.account)
    root.table = {tapmodels.Named("key"): 1, tapmodels.Colour.RED: 2}
    root.call = root.counter.bump
    write_seed(tmp_path / "a.tap", root, PLAN)
    thawed = thaw_seed(through_json(tmp_path / "a.tap")).root
    assert thawed.node.parent is thawed and thawed.ring[0] is thawed.ring
    assert thawed.account.entries[0] is thawed.account and thawed.account.entries[1] is thawed.raw
    assert thawed.slotted.left is thawed.account
    assert thawed.table[tapmodels.Named("key")] == 1 and thawed.table[tapmodels.Colour.RED] == 2
    thawed.call()
    assert thawed.counter.n == 1


def test_numbers_that_json_does_not_have_keep_every_bit(tmp_path: Path) -> None:
    """A NaN with a payload, minus zero, an integer that other readers of JSON would round."""
    (odd,) = struct.unpack(">d", bytes.fromhex("fff8000000000123"))
    thawed = thaw_seed(through_json(saved(tmp_path, value=[odd, -0.0, 2**53 + 1, 10**5000]))).root
    assert struct.pack(">d", thawed.value[0]).hex() == "fff8000000000123"
    assert math.copysign(1, thawed.value[1]) == -1
    assert thawed.value[2:] == [2**53 + 1, 10**5000]
    shown = read_document(tmp_path / "saved.tap")["objects"]["Root@1"]["state"]["value"]
    assert shown[2] == {"$int": str(2**53 + 1)} and shown[3]["$int"].startswith("0x")


def test_keys_that_look_like_tags_or_pairs_of_surrogates_are_not_mistaken(tmp_path: Path) -> None:
    attributes = {"$ref": 1, "a": {"$int": "1", "x": {"$": 2}}, "\ud83d\ude00": "\ud83d\ude00", "b": "\udcff"}
    path = saved(tmp_path, **attributes)
    assert difference(root_with(**attributes), thaw_seed(through_json(path)).root) == ""


def test_a_document_does_not_paint_the_terminal_nor_turn_the_text_of_an_editor(tmp_path: Path) -> None:
    text = "\x1b[2J \x9b31m \x7f \u202e\u2066 \u2028 \ufeff é \U0001f600"
    path = saved(tmp_path, value={text: text}, **{text: 1})
    shown = text_of(path)
    assert {character for character in shown if not character.isprintable()} == {"\n"}
    assert "é \U0001f600" in shown
    assert thaw_seed(through_json(path)).root.value == {text: text}


def test_what_the_tap_is_stays_and_it_goes_on(tmp_path: Path) -> None:
    """Role, lineage, epochs, numbers and plan of a state; the next commit follows the last one."""
    running = begin(tmp_path, list=[1])
    for number in range(3):
        running.root.list.append(number)
        running.commit()
    running.stop()
    path = tmp_path / "tested-shutdown.tap"
    made = through_json(path)
    before, after = read_info(path), read_info(made)
    for name in (
        "role",
        "name",
        "lineage",
        "epoch",
        "base_epoch",
        "created",
        "plan_text",
        "classes",
        "versions",
    ):
        assert getattr(before, name) == getattr(after, name), name
    other = go_on(made)
    other.root.list.append("more")
    assert other.commit() == before.epoch + 1
    other.stop()
    again = go_on(made)
    assert list(again.root.list) == [1, 0, 1, 2, "more"]
    again.stop()


def test_big_containers_of_every_kind_come_back_in_chunks(tmp_path: Path) -> None:
    big: dict[str, Any] = {
        "list": list(range(2001)),
        "dict": {(n, "tuple"): n for n in range(1001)},
        "set": set(range(1500)),
        "deque": deque(range(1500), maxlen=2000),
        "ordered": OrderedDict((n, n) for n in reversed(range(1200))),
        "default": defaultdict(list, {n: [n] for n in range(1001)}),
        "counter": Counter({n: n for n in range(1001)}),
    }
    path = saved(tmp_path, **big)
    made = through_json(path)
    assert read_info(made).counts == read_info(path).counts
    assert difference(root_with(**big), thaw_seed(made).root) == ""


BIG: dict[str, Any] = {
    "list": [[n] for n in range(1500)],
    "dict": {f"key {n}": (n,) for n in range(1200)},
    "set": set(range(100)),
    "deque": deque(range(90), maxlen=100),
    "ordered": OrderedDict((n, n) for n in range(70)),
}


def change(root: Any) -> None:
    """Change big containers in each way that is kept as an operation."""
    root.list[3:5] = ["new", root]
    root.list.pop()
    root.dict["key 7"] = "seven"
    root.dict["another"] = root
    root.dict.popitem()
    del root.dict[next(iter(root.dict))]
    root.set.add("element")
    root.set.discard(5)
    root.deque.extend(range(20))
    root.deque.popleft()
    root.ordered.move_to_end(3)
    root.ordered.move_to_end(60, last=False)


def test_chunks_and_operations_of_a_killed_server_become_plain_containers(tmp_path: Path) -> None:
    """Read from tap and WAL as they lie there, while the server still has them."""
    running = begin(tmp_path, **BIG)
    change(running.root)
    running.commit()
    change(running.root)
    running.commit()
    path = tmp_path / "tested-shutdown.tap"
    assert read_info(path).is_open
    text = text_of(path)
    assert '"operations"' not in text
    made = back(text, tmp_path / "back.tap")
    assert text_of(made) == text
    assert not read_info(made).is_open
    whole = go_on(made)
    assert difference(running.root, whole.root) == ""
    whole.stop()
    running.stop()
    assert json.loads(text_of(path))["objects"] == json.loads(text)["objects"]


def test_operations_beside_keys_that_the_application_compares_wait_for_it(tmp_path: Path) -> None:
    """Level.LOW is 1, and a Named may be equal to anything: without the classes nobody can say."""
    table: dict[Any, Any] = {tapmodels.Named(f"key {n}"): n for n in range(80)}
    running = begin(tmp_path, table={**table, tapmodels.Level.LOW: "low"})
    running.root.table[1] = [running.root, tapmodels.Node()]
    running.commit()
    running.root.table[1] = "changed"
    running.commit()
    path = tmp_path / "tested-shutdown.tap"
    text = text_of(path)
    assert '"operations"' in text and '"$gone"' in text
    made = back(text, tmp_path / "back.tap")
    assert text_of(made) == text
    other = go_on(made)
    assert other.root.table[tapmodels.Level.LOW] == "changed" and len(other.root.table) == 81
    other.stop()
    running.stop()


def test_objects_of_classes_that_are_gone_are_kept(tmp_path: Path) -> None:
    """Rows of a class that nobody has any more, and enum members and named tuples of such."""
    node = tapmodels.Node()
    node.colour, node.point = tapmodels.Colour.RED, tapmodels.Point(1, [2])
    path = saved(tmp_path, node=node, kinds={tapmodels.Colour.GREEN: tapmodels.Pair(1, 2)})
    made = through_json(path)

    def forgets(record: ClassRecord) -> Any:
        return None if record.name != "tapmodels.Root" else find(record)

    for tap in (path, made):
        thawed = thaw(NullStore(tap), forgets)
        assert thawed.unknown == ["tapmodels.Colour", "tapmodels.Node", "tapmodels.Pair"]
    assert difference(thaw_seed(path).root, thaw_seed(made).root) == ""


def test_two_versions_of_a_class_are_two_classes_of_the_document(tmp_path: Path) -> None:
    """As an upgraded tap has them: objects that were not written since keep the old one."""
    document = read_document(saved(tmp_path, first=tapmodels.Node(), second=tapmodels.Node()))
    document["classes"]["tapmodels.Node (2)"] = {
        "name": "tapmodels.Node", "kind": "durable", "version": 2, "module": "tapmodels", "qualname": "Node",
    }  # fmt: skip
    document["objects"]["Node@3"]["class"] = "tapmodels.Node (2)"
    made = back(render_document(document), tmp_path / "two.tap")
    through_json(made)
    assert [(record.name, record.version) for record in read_info(made).classes] == [
        ("tapmodels.Root", 1),
        ("tapmodels.Node", 1),
        ("tapmodels.Node", 2),
    ]


def test_an_object_that_a_person_adds_gets_a_number_that_nobody_had(tmp_path: Path) -> None:
    document = read_document(saved(tmp_path, first=tapmodels.Node()))
    document["next_number"] = 9
    document["objects"]["spare"] = {"class": "tapmodels.Node", "state": {"n": 1}}
    document["objects"]["Root@1"]["state"]["second"] = {"$ref": "spare"}
    made = back(render_document(document), tmp_path / "more.tap")
    assert thaw_seed(made).root.second.n == 1
    assert list(read_document(made)["objects"]) == ["Root@1", "Node@2", "Node@9"]
    assert read_document(made)["next_number"] == 10


def test_short_values_stand_on_one_line_and_long_ones_do_not(tmp_path: Path) -> None:
    path = saved(tmp_path, few=[1, 2, {"a": (3,)}], many=list(range(40)))
    lines = text_of(path).splitlines()
    assert '        "few": [1, 2, {"a": {"$tuple": [3]}}],' in lines
    assert "          39" in lines


def test_a_state_of_a_document_is_locked_and_closed_like_any(tmp_path: Path) -> None:
    running: Running = begin(tmp_path, n=1)
    running.stop()
    made = through_json(tmp_path / "tested-shutdown.tap")
    store = open_state(made)
    assert store.epoch == read_info(made).epoch
    store.close()
    assert not made.with_name(made.name + "-wal").exists()

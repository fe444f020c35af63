"""A document that somebody edited is checked before it becomes a tap; what is wrong is told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tapmodels
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tapwork import PLAN, begin, root_with

from playground import TOP
from taphouse.errors import CannotCreateError, StateExistsError, TapError
from taphouse.persist import (
    check_integrity,
    parse_document,
    read_document,
    read_info,
    render_document,
    write_document,
    write_seed,
)
from taphouse.persist.undocumenting import TAGS

Document = dict[str, Any]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The document of a tap with a bit of everything."""
    path = tmp_path_factory.mktemp("whole") / "whole.tap"
    root = root_with(
        node=tapmodels.Node(),
        account=tapmodels.Account("ann", []),
        big={str(n): n for n in range(70)},
        colour=tapmodels.Colour.RED,
        point=tapmodels.Point(1, [2]),
        raw=bytearray(b"x"),
    )
    write_seed(path, root, lambda numbers: {**PLAN, "objects": {"the-node": numbers[id(root.node)]}})
    return render_document(read_document(path))


def state(document: Document) -> Document:
    return document["objects"]["Root@1"]["state"]


def put(value: Any) -> Callable[[Document], None]:
    return lambda document: state(document).update(x=value)


def entry(key: str, **changes: Any) -> Callable[[Document], None]:
    return lambda document: document["objects"][key].update(changes)


def top(**changes: Any) -> Callable[[Document], None]:
    return lambda document: document.update(changes)


def without(*place: str) -> Callable[[Document], None]:
    def remove(document: Any) -> None:
        *way, last = place
        for key in way:
            document = document[key]
        del document[last]

    return remove


X = "objects.Root@1.state.x"
WRONG: dict[str, tuple[Callable[[Document], None], str]] = {
    "an unknown tag": (put({"$byte": "x"}), f"{X}: there is no tap tag"),
    "an unknown tag deep inside": (put([1, {"a": {"$t": []}}]), f"{X}[1].a: there is no tag '$t'"),
    "something beside a tag": (put({"$set": [], "a": 1}), f"{X}: $set has no 'a' beside it"),
    "something missing beside a tag": (put({"$enum": "RED"}), f"{X}: $enum needs 'class' beside it"),
    "a dangling reference": (put({"$ref": "Node@77"}), f"{X}.$ref: there is no object 'Node@77' in objects"),
    "a reference that is none": (put({"$ref": 2}), f"{X}.$ref: there is no object 2 in objects"),
    "an object that is gone": (put({"$gone": 77}), f"{X}.$gone: only a container with operations"),
    "an unknown class": (put({"$class": "x.Y"}), f"{X}.$class: there is no class 'x.Y' in classes"),
    "an enum of a class that is none": (
        put({"$enum": "RED", "class": "tapmodels.Node"}),
        f"{X}.class: 'tapmodels.Node' is a class of kind durable; enum is needed",
    ),
    "bytes beyond ASCII": (put({"$bytes": "é"}), f"{X}.$bytes: has characters beyond ASCII"),
    "no base64": (put({"$base64": "!"}), f"{X}.$base64: is no base64"),
    "an integer that is none": (put({"$int": "12a"}), f"{X}.$int: is no whole number"),
    "an integer that is a number": (
        put({"$int": 12}),
        f"{X}.$int: text is expected, a whole number is there",
    ),
    "a float that is none": (put({"$float": "1.5"}), f'{X}.$float: is none of "nan"'),
    "a date that is none": (put({"$date": "2026-02-30"}), f"{X}.$date: day is out of range for month"),
    "a zone that is nowhere": (put({"$zone": "Nowhere/At"}), f"{X}.$zone: time zone Nowhere/At is not"),
    "a zone that walks": (put({"$zone": "../../etc/passwd"}), f"{X}.$zone: '../../etc/passwd' is no time"),
    "a time with two zones": (
        put({"$datetime": "2026-01-01T00:00:00Z", "zone": {"$zone": "UTC"}}),
        f"{X}.zone: one ",
    ),
    "an offset that is none": (put({"$timezone": "UTC"}), f"{X}.$timezone: is no offset"),
    "a span out of range": (put({"$timedelta": [0, 90000, 0]}), f"{X}.$timedelta: a time span with too"),
    "a decimal that is none": (put({"$decimal": "1,5"}), f"{X}.$decimal: '1,5' is no decimal number"),
    "a fraction not reduced": (put({"$fraction": [2, 4]}), f"{X}.$fraction: a fraction that is not reduced"),
    "a fraction over zero": (put({"$fraction": [2, 0]}), f"{X}.$fraction: a fraction over zero"),
    "an address that is none": (put({"$address": "1.2.3"}), f"{X}.$address: '1.2.3' does not appear"),
    "a network with host bits": (put({"$network": "10.0.0.1/8"}), f"{X}.$network: 10.0.0.1/8 has host bits"),
    "an UUID that is none": (put({"$uuid": "x"}), f"{X}.$uuid: badly formed"),
    "complex of texts": (put({"$complex": ["1", "2"]}), f"{X}.$complex: two floats are expected"),
    "a range of nothing": (put({"$range": [1, 2, 0]}), f"{X}.$range: three whole numbers"),
    "a set with an element twice": (put({"$set": [1, 1.0]}), f"{X}.$set: an element is there twice: 1.0"),
    "a dict with a key twice": (put({"$dict": [[1, 2], [True, 3]]}), f"{X}.$dict: a key is there twice"),
    "a pair that is none": (put({"$dict": [[1, 2], [3]]}), f"{X}.$dict[1]: a key and a value"),
    "a deque that is too long": (
        put({"$deque": [1, 2], "maxlen": 1}),
        f"{X}.$deque: 2 items where maxlen is 1",
    ),
    "a deque without end": (put({"$deque": [], "maxlen": 2**63}), f"{X}.maxlen: is out of range"),
    "a deque of no size": (put({"$deque": [], "maxlen": -1}), f"{X}.maxlen: is out of range"),
    "a factory that is none": (
        put({"$defaultdict": [], "factory": 7}),
        f"{X}.factory: is no class, function or method",
    ),
    "a builtin that is none": (put({"$builtin": "eval"}), f"{X}.$builtin: 'eval' is no built-in type"),
    "an escape that is none": (put({"$text": "\\ud8"}), f"{X}.$text: 'unicodeescape' codec can't decode"),
    "a volatile attribute": (
        lambda document: state(document).update(_v_x=1),
        "objects.Root@1.state._v_x: an attribute of such a name is never stored",
    ),
    "attributes without names": (entry("Root@1", state={"$dict": [[1, 2]]}), "objects.Root@1.state: attr"),
    "a state that is a list": (
        entry("Root@1", state=[]),
        "objects.Root@1.state: an object is expected, a list",
    ),
    "an entry too many": (entry("the-node", x=1), "objects.the-node.x: an object with 'class' has no such"),
    "an object without class": (
        without("objects", "the-node", "class"),
        "objects.the-node: 'class' is missing",
    ),
    "a container of another kind": (
        entry("dict@4", value=[]),
        "objects.dict@4.value: {...} is expected, since the kind is dict",
    ),
    "a kind that is none": (
        entry("dict@4", kind="tree"),
        "objects.dict@4.kind: 'tree' is none of list, dict",
    ),
    "operations in a seed": (
        entry("dict@4", operations=[["c"]]),
        "objects.dict@4.operations: only a tracked container of a state",
    ),
    "an operation that is none": (
        entry("dict@4", operations=[["run"]]),
        "objects.dict@4.operations[0]: is no operation",
    ),
    "an object of an enum": (
        entry("the-node", **{"class": "tapmodels.Colour"}),
        "objects.the-node.class: 'tapmodels.Colour' is a class of kind enum; durable or plain is needed",
    ),
    "no application": (without("objects", "Root@1"), "objects: there is no object of number 1"),
    "two objects of one number": (
        lambda document: document["objects"].update({"Node@1": {}}),
        "objects.Node@1: has the number of 'Root@1'",
    ),
    "an object that the plan names": (
        lambda document: document["plan"]["objects"].update(another=77),
        "plan.objects.another: there is no object 'another' in objects",
    ),
    "a number that is none": (
        lambda document: document["plan"]["objects"].update(another="x"),
        "plan.objects.another: a whole number is expected, text is there",
    ),
    "a class of version 0": (
        lambda document: document["classes"]["tapmodels.Node"].update(version=0),
        'classes["tapmodels.Node"]: a class of version 0',
    ),
    "a class of version text": (
        lambda document: document["classes"]["tapmodels.Node"].update(version="2"),
        'classes["tapmodels.Node"].version: a whole number is expected, text is there',
    ),
    "a class of an unknown kind": (
        lambda document: document["classes"]["tapmodels.Node"].update(kind="module"),
        "classes[\"tapmodels.Node\"].kind: 'module' is none of durable",
    ),
    "a class twice": (
        lambda document: document["classes"].update(
            again={"name": "tapmodels.Node", **document["classes"]["tapmodels.Node"]}
        ),
        "classes.again: is there twice",
    ),
    "a class with code": (
        lambda document: document["classes"]["tapmodels.Node"].update(code="x"),
        'classes["tapmodels.Node"].code: no class has that',
    ),
    "a role that is none": (top(role="boss"), "role: 'boss' is neither 'seed' nor 'state'"),
    "a name that is none": (top(name="../x"), "name: application name '../x' is not allowed"),
    "another name in the plan": (top(name="other"), "plan.name: 'tested' is not the name above, 'other'"),
    "a lineage that is none": (top(lineage="x"), "lineage: is not 32 digits of base 16"),
    "a date of making that is none": (top(created="today"), "created: is no date and time"),
    "a writer that is none": (
        top(written_by={"perl": "5"}),
        "written_by.perl: is neither taphouse nor python",
    ),
    "an epoch in a seed": (top(epoch=3), "epoch: only a state has that"),
    "a begin after the epoch": (top(role="state", epoch=3, begin=4), "begin: is after epoch 3"),
    "an entry that no tap has": (top(obejcts={}), "obejcts: no tap has that; did you mean objects?"),
    "no plan": (without("plan"), "plan is missing"),
    "a plan that is text": (top(plan="x"), "plan: an object is expected, text is there"),
    "a newer form": (top(document=2), "document: has form 2; this taphouse reads up to 1"),
    "another form": (top(document="x"), "is no tap as a document"),
}
WRONG["an unknown tag"] = (
    WRONG["an unknown tag"][0],
    f"{X}: there is no tag '$byte'; a dict with such a key",
)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_its_place_and_nothing_is_written(
    tmp_path: Path, text: str, name: str
) -> None:
    edit, says = WRONG[name]
    document = json.loads(text)
    edit(document)
    with pytest.raises(TapError) as refused:
        write_document(document, tmp_path / "made.tap", name="edited.json")
    assert refused.value.message.startswith(f"edited.json: {says}")
    assert "\n" not in str(refused.value) and refused.value.exit_code == 78
    assert list(tmp_path.iterdir()) == []


NO_JSON = {
    "a comma too many": (b'{\n  "a": [1,]\n}', "line 2, column 11: "),
    "nothing": (b"", "line 1, column 1: Expecting value"),
    "no UTF-8": (b'{\n"a": "\xff"}', "line 2: is not UTF-8"),
    "a key twice": (b'{"a": {"b": 1, "c": 2, "b": 3}}', "a: the key 'b' is there twice"),
    "NaN": (b'{"a": [1, NaN]}', 'a[1]: NaN is no JSON; it is written {"$float": "nan"}'),
    "minus infinity": (b'{"a": -Infinity}', 'a: -Infinity is no JSON; it is written {"$float": "-inf"}'),
    "a float that is too big": (b"[1e999]", "[0]: 1e999 is too big for a float"),
    "a number of a million digits": (b"[" + b"9" * 1_000_000 + b"]", "[0]: a number of 1000000 digits"),
    "a million brackets": (b"[" * 1_000_000, "is nested too deep"),
    "a million braces": (b'{"a":' * 1_000_000, "is nested too deep"),
}


@pytest.mark.parametrize("name", NO_JSON)
def test_text_that_is_no_json_is_told_with_line_and_column(name: str) -> None:
    data, says = NO_JSON[name]
    with pytest.raises(TapError) as refused:
        parse_document(data, "edited.json")
    assert refused.value.message.startswith(f"edited.json: {says}")
    assert refused.value.exit_code == 78


@pytest.mark.parametrize("levels", [150, 300, 3000])
def test_nesting_that_no_tap_can_hold_is_refused(tmp_path: Path, text: str, levels: int) -> None:
    value: Any = []
    for _ in range(levels):
        value = [value]
    document = json.loads(text)
    state(document)["x"] = value
    if levels == 150:
        write_document(document, tmp_path / "made.tap", name="edited.json")
        again = render_document(read_document(tmp_path / "made.tap"))
        assert parse_document(again.encode(), "again.json") is not None
        return
    with pytest.raises(TapError, match="nested"):
        write_document(document, tmp_path / "made.tap", name="edited.json")
    assert list(tmp_path.iterdir()) == []


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["$ref", "$set", "$int", "$enum", "class", "$deque", "maxlen", "$dict", "$text"])
            | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
PLACES = st.sampled_from(
    [
        ("role",), ("name",), ("lineage",), ("created",), ("next_number",), ("plan",), ("plan", "objects"),
        ("classes",), ("classes", "tapmodels.Node"), ("classes", "tapmodels.Node", "version"), ("objects",),
        ("objects", "Root@1"), ("objects", "Root@1", "class"), ("objects", "Root@1", "state"),
        ("objects", "Root@1", "state", "x"), ("objects", "dict@4", "kind"), ("objects", "dict@4", "value"),
        ("objects", "dict@4", "operations"),
    ]
)  # fmt: skip


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(place=PLACES, value=anything)
def test_whatever_stands_anywhere_is_refused_in_one_line_or_makes_a_whole_tap(
    tmp_path: Path, text: str, place: tuple[str, ...], value: Any
) -> None:
    document = json.loads(text)
    part = document
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    path = tmp_path / "made.tap"
    path.unlink(missing_ok=True)
    refused = ""
    try:
        write_document(document, path, name="edited.json")
    except TapError as error:
        refused = str(error)
    if refused:
        assert "\n" not in refused
        assert not path.exists()
    else:
        check_integrity(path)
        again = render_document(read_document(path))
        path.unlink()
        write_document(parse_document(again.encode(), "again"), path, name="again")
        assert render_document(read_document(path)) == again


def test_every_tag_is_explained() -> None:
    """In the reference, and no others."""
    told = set(re.findall(r'["`](\$[a-z0-9]+)["`]', (TOP / "docs" / "tapconvert.md").read_text()))
    assert told - {"$key"} == set(TAGS)


def test_a_state_is_written_over_only_if_that_is_said_and_kept_then(tmp_path: Path, text: str) -> None:
    begin(tmp_path, n=1).stop()
    path = tmp_path / "tested-shutdown.tap"
    before = path.read_bytes()
    with pytest.raises(StateExistsError, match="holds state of tested, epoch 1"):
        write_document(json.loads(text), path, name="edited.json")
    assert path.read_bytes() == before
    kept = write_document(json.loads(text), path, name="edited.json", force=True)
    assert kept == tmp_path / "tested-shutdown.tap.1"
    assert kept.read_bytes() == before
    assert read_info(path).role == "seed"
    assert write_document(json.loads(text), path, name="edited.json") is None


def test_what_is_no_tap_is_not_written_over(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.tap"
    path.write_text("mine")
    with pytest.raises(CannotCreateError, match="is no intact tap"):
        write_document(json.loads(text), path, name="edited.json")
    assert path.read_text() == "mine"

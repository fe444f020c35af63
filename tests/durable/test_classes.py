"""What a class statement says and must not do: names, versions, decorators, refusals."""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections import deque
from typing import Any, NamedTuple

import pytest

from taphouse.errors import ClassIdentityError, NotDurableError


class Shade(enum.Enum):
    DARK = 1


class Pair(NamedTuple):
    a: int


def helper() -> None:
    pass


def test_a_class_is_known_by_its_qualified_name_and_version_1(room: Any) -> None:
    class Keys(room.Durable):
        pass

    record = room.class_record(Keys)
    assert record.name == f"{__name__}.{Keys.__qualname__}"
    assert (record.module, record.qualname, record.version, record.kind) == (
        __name__,
        Keys.__qualname__,
        1,
        "durable",
    )
    assert room.find_registered(record.name) is Keys


def test_a_class_statement_gives_name_and_version_and_they_are_not_inherited(room: Any) -> None:
    class Keys(room.Durable, version=2, name="otk.Keys.given"):
        pass

    class MoreKeys(Keys):
        pass

    assert room.class_record(Keys).version == 2
    assert room.find_registered("otk.Keys.given") is Keys
    assert room.class_record(MoreKeys).version == 1
    assert room.class_record(MoreKeys).name.endswith("MoreKeys")


def test_two_classes_do_not_share_a_name_but_a_class_made_again_takes_its_own(room: Any) -> None:
    def make() -> Any:
        class Again(room.Durable, name="again"):
            pass

        return Again

    make()
    second = make()
    assert room.find_registered("again") is second
    with pytest.raises(ClassIdentityError, match="two classes"):

        class Other(room.Durable, name="again"):
            pass


@pytest.mark.parametrize(
    "given", [{"version": 0}, {"version": "1"}, {"version": True}, {"name": ""}, {"name": "\x00"}]
)
def test_nonsense_in_a_class_statement_is_refused(room: Any, given: dict[str, Any]) -> None:
    with pytest.raises(ClassIdentityError):

        class Wrong(room.Durable, **given):
            pass


@pytest.mark.parametrize("value", [[], {}, set(), deque(), bytearray()], ids=lambda v: type(v).__name__)
def test_mutable_class_attributes_are_refused_by_name(room: Any, value: Any) -> None:
    with pytest.raises(TypeError, match=r"Keys\.cache: a .* as a class attribute is shared"):
        type("Keys", (room.Durable,), {"cache": value})

    class Mixin:
        cache = value

    with pytest.raises(TypeError, match="cache"):

        class Mixed(Mixin, room.Durable):
            pass


def test_constants_and_annotations_in_a_class_are_no_defaults(room: Any) -> None:
    class Keys(room.Durable):
        limit: int = 5
        names = ("a", "b")
        kinds = frozenset({1})

    assert Keys().limit == 5


def test_slots_are_refused(room: Any) -> None:
    with pytest.raises(TypeError, match="cannot have __slots__"):
        type("Slotted", (room.Durable,), {"__slots__": ("x",)})


def test_decorating_a_class_makes_it_durable_and_leaves_its_face(room: Any) -> None:
    @room.durable(version=3, name="shop.Account")
    class Account:
        """Money."""

        def __init__(self, owner: str) -> None:
            super().__init__()
            self.owner = owner
            self.moves = [1]

        def add(self, n: int) -> int:
            self.moves.append(n)
            return len(self.moves)

    account = Account("me")
    assert isinstance(account, room.Durable)
    assert account.add(2) == 2
    assert room.is_tracked(account.moves)
    assert (Account.__name__, Account.__doc__, Account.__module__) == ("Account", "Money.", __name__)
    assert Account.__qualname__.endswith("<locals>.Account")
    assert room.class_record(Account).version == 3
    assert room.find_registered("shop.Account") is Account


def test_decorating_a_dataclass_keeps_it_one(room: Any) -> None:
    @room.durable
    @dataclasses.dataclass
    class Address:
        street: str
        tags: list[str] = dataclasses.field(default_factory=list)

    address = Address("x", ["y"])
    assert room.is_tracked(address.tags)
    assert address == Address("x", ["y"])
    assert dataclasses.asdict(address) == {"street": "x", "tags": ["y"]}
    assert dataclasses.replace(address, street="z").street == "z"
    assert repr(address).endswith("Address(street='x', tags=['y'])")


def test_what_cannot_be_tracked_is_not_decorated(room: Any) -> None:
    @dataclasses.dataclass(frozen=True)
    class Frozen:
        x: int

    @dataclasses.dataclass(slots=True)
    class Slotted:
        x: int

    class Durable(room.Durable):
        pass

    for cls, words in (
        (Frozen, "frozen"),
        (Slotted, "__slots__"),
        (Durable, "durable already"),
        (5, "decorates"),
    ):
        with pytest.raises(TypeError, match=words):
            room.durable(cls)


def test_cached_properties_say_that_they_cannot_write(room: Any) -> None:
    class Keys(room.Durable):
        @functools.cached_property
        def total(self) -> int:
            return 1

    with pytest.raises(TypeError):
        assert Keys().total


def test_registering_allows_classes_and_functions_by_name(room: Any) -> None:
    assert room.register(Shade, "shade") is Shade
    assert room.register(Pair) is Pair
    assert room.register(helper, version=2) is helper
    assert room.find_registered("shade") is Shade
    assert room.class_record(Shade).kind == "enum"
    assert room.class_record(Pair).kind == "namedtuple"
    assert (room.class_record(helper).kind, room.class_record(helper).version) == ("function", 2)
    assert room.is_registered(Pair)
    assert room.find_registered("nobody") is None


@pytest.mark.parametrize("thing", [5, "x", lambda: 1, len])
def test_registering_anything_else_is_refused(room: Any, thing: Any) -> None:
    with pytest.raises(NotDurableError):
        room.register(thing)


def test_a_class_that_is_not_recorded_is_described_by_its_definition(room: Any) -> None:
    class Plain:
        pass

    assert not room.is_registered(Plain)
    assert room.class_record(Plain).kind == "plain"
    assert room.class_record(dataclasses.dataclass(Plain)).qualname == Plain.__qualname__


def test_durable_is_one_name_for_all_that_belongs_to_it(room: Any) -> None:
    assert room.durable.atomic is room.atomic
    assert room.durable.register is room.register
    assert room.durable.volatile is room.volatile
    with pytest.raises(RuntimeError, match="needs an application"):
        room.durable.call(print)


def test_call_and_committed_go_to_the_running_application(room: Any) -> None:
    import asyncio

    class Committer:
        waited = 0

        async def committed(self) -> None:
            self.waited += 1

        def call(self, function: Any) -> Any:
            return function()

    ledger = room.Ledger()
    ledger.committer = committer = Committer()
    room.Ledger.current = ledger
    try:
        asyncio.run(room.durable.committed())
        assert committer.waited == 1
        assert room.durable.call(lambda a: a + 1, 2) == 3
    finally:
        ledger.close()

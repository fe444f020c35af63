"""Values behave as frozen dataclasses do."""

from __future__ import annotations

import pytest

from taphouse.value import Value, field, replace


class Place(Value):
    city: str
    country: str = "NL"
    streets: list[str] = field(default_factory=list)


class Home(Place):
    number: int = 0


class Open(Value, frozen=False):
    doors: int = 1


class Named(Value, kw_only=True):
    size: int = 1

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("a size below nothing")


def test_fields_are_given_by_place_or_name_and_the_rest_have_defaults():
    assert Place("Delft").as_dict() == {"city": "Delft", "country": "NL", "streets": []}
    assert Place("Ghent", country="BE", streets=["Veldstraat"]).streets == ["Veldstraat"]
    assert Home("Delft", number=3).as_dict() == {"city": "Delft", "country": "NL", "streets": [], "number": 3}


def test_each_value_has_a_made_default_of_its_own():
    first, second = Place("Delft"), Place("Delft")
    first.streets.append("Markt")
    assert second.streets == []


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Place(), "needs 'city'"),
        (lambda: Place("a", "b", [], 1), "takes 3 arguments, not 4"),
        (lambda: Place("a", city="b"), "two values for 'city'"),
        (lambda: Place("a", town="b"), "an unexpected argument 'town'"),
        (lambda: Named(3), "takes 0 arguments, not 1"),
    ],
)
def test_what_does_not_fit_the_fields_is_refused(make, said):
    with pytest.raises(TypeError, match=said):
        make()


def test_values_are_equal_field_by_field_and_only_within_a_class():
    assert Place("Delft") == Place("Delft") != Place("Ghent")
    assert Place("Delft") != Home("Delft")
    assert Place("Delft") != "Delft"
    assert hash(Named(size=2)) == hash(Named(size=2))
    assert len({Named(size=2), Named(size=2), Named(size=3)}) == 2


def test_a_value_never_changes():
    place = Place("Delft")
    with pytest.raises(AttributeError, match=r"Place\.city cannot be set"):
        place.city = "Ghent"
    with pytest.raises(AttributeError, match=r"Place\.city cannot be deleted"):
        del place.city
    assert place.city == "Delft"


def test_one_that_may_change_has_no_hash():
    door = Open()
    door.doors += 1
    assert door == Open(2)
    with pytest.raises(TypeError, match="unhashable"):
        hash(door)


def test_a_copy_with_changes_is_checked_as_a_new_value_is():
    assert replace(Home("Delft", number=3), city="Ghent") == Home("Ghent", number=3)
    with pytest.raises(ValueError, match="below nothing"):
        replace(Named(), size=-1)


def test_a_value_shows_its_fields():
    assert repr(Home("Delft", number=3)) == "Home(city='Delft', country='NL', streets=[], number=3)"
    assert Home.field_names() == ("city", "country", "streets", "number")

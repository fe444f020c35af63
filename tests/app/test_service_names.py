"""Services have names and one parent; a tree of them stays one."""

from __future__ import annotations

from typing import Any

import pytest

from taphouse.app import Application, MultiService, Service, iter_services


class Noted(Service):
    """A service like any other."""


def tree() -> MultiService:
    """A pool of two, one of them a pool."""
    pool = MultiService("pool")
    pool.addService(Noted("a"))
    inner = MultiService("inner")
    inner.addService(Noted("b"))
    pool.addService(inner)
    pool.addService(Noted("c"))
    return pool


def test_services_are_found_by_name() -> None:
    """An unknown name is a KeyError that says which there are."""
    app = Application("otk")
    with pytest.raises(KeyError, match="no service 'clock'; there is none"):
        app.getServiceNamed("clock")
    clock = app.addService(Noted("clock"))
    app.addService(Noted("other"))
    assert app.getServiceNamed("clock") is clock
    assert list(app.services) == ["clock", "other"]
    with pytest.raises(KeyError, match="no service 'clocks'; there is clock, other"):
        app.getServiceNamed("clocks")


def test_a_name_comes_from_statement_constructor_class_or_ordinal() -> None:
    """In that order."""

    class Named(Service):
        name = "of the class".replace(" ", "-")

    app = Application("otk")
    assert app.addService(Noted("own"), "given").name == "given"
    assert app.addService(Noted("own")).name == "own"
    assert app.addService(Named()).name == "of-the-class"
    assert [app.addService(Noted()).name for _ in range(2)] == ["Noted#1", "Noted#2"]


def test_a_taken_name_is_refused_and_nothing_changes() -> None:
    """2002 replaced the older one in silence."""
    app = Application("otk")
    first = app.addService(Noted("clock"))
    second = Noted("clock")
    with pytest.raises(ValueError, match="a service named 'clock' is there already"):
        app.addService(second)
    assert app.getServiceNamed("clock") is first
    assert second.parent is None


@pytest.mark.parametrize(
    ("given", "error", "reason"),
    [
        (Noted, TypeError, r"Noted is a class; pass an instance, Noted\(\)"),
        (3, TypeError, "need a Service, got int"),
        (None, TypeError, "need a Service, got NoneType"),
    ],
)
def test_what_is_no_service_is_not_added(given: Any, error: type[Exception], reason: str) -> None:
    """With the mistake named."""
    with pytest.raises(error, match=reason):
        Application("otk").addService(given)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "x" * 101, "a\n"])
def test_a_service_name_that_would_break_a_path_or_a_log_line_is_refused(name: str) -> None:
    """In the constructor and in addService."""
    with pytest.raises(ValueError, match="is not allowed"):
        Service(name)
    with pytest.raises(ValueError, match="is not allowed"):
        Application("otk").addService(Service(), name)
    with pytest.raises(TypeError, match="a service's name is a str"):
        Service(7)  # type: ignore[arg-type]


def test_a_service_has_one_parent_and_no_circle() -> None:
    """It is moved by removing it first; a tree stays a tree."""
    app, pool, inner = Application("otk"), MultiService("pool"), MultiService("inner")
    app.addService(pool)
    pool.addService(inner)
    with pytest.raises(RuntimeError, match="pool/inner already has a parent"):
        app.addService(inner)
    lone = MultiService("lone")
    with pytest.raises(RuntimeError, match="cannot be added below itself"):
        lone.addService(lone)
    leaf = MultiService("leaf")
    lone.addService(leaf)
    with pytest.raises(RuntimeError, match="cannot be added below itself"):
        leaf.addService(lone)
    assert inner.application is app
    assert leaf.application is None
    pool.removeService(inner)
    assert app.addService(inner) is inner


def test_a_removed_service_is_gone_from_its_parent() -> None:
    """By itself or by name; a stranger is refused with the names there are."""
    app = Application("otk")
    one, two = app.addService(Noted("one")), app.addService(Noted("two"))
    assert app.removeService("one") is one
    assert one.parent is None
    with pytest.raises(KeyError, match="no service 'one'; there is two"):
        app.removeService(one)
    with pytest.raises(KeyError, match="no service 'one'"):
        app.removeService("one")
    assert app.removeService(two) is two
    assert app.services == {}


def test_a_tree_is_walked_parents_first() -> None:
    """Of a service with itself, of an application without."""
    app = Application("otk")
    app.addService(tree())
    app.addService(Noted("last"))
    paths = ["pool", "pool/a", "pool/inner", "pool/inner/b", "pool/c", "last"]
    assert [service.path for service in iter_services(app)] == paths
    assert [service.path for service in iter_services(app.getServiceNamed("pool"))] == paths[:-1]

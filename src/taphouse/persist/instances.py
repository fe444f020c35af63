"""Instances of plain classes: their attributes and slots, without running their code.

Attributes are read and set through the descriptors that CPython itself put into
the class, so no ``__getattr__``, property, ``__setattr__`` or ``__setstate__`` of
the application runs.  This module must never know rows or bytes.
"""

from __future__ import annotations

import types
from typing import Any

from taphouse.persist.codes import CodecError

__all__ = ["fill_instance", "instance_state"]


def _dict_of(value: object) -> dict[str, Any] | None:
    for base in type(value).__mro__:
        found = base.__dict__.get("__dict__")
        if isinstance(found, types.GetSetDescriptorType):
            return found.__get__(value)  # type: ignore[no-any-return]
    return None


def _members(cls: type) -> dict[str, types.MemberDescriptorType]:
    """Return the slots of ``cls`` by name, those of the most derived class winning."""
    found: dict[str, types.MemberDescriptorType] = {}
    for base in cls.__mro__:
        for name, member in base.__dict__.items():
            if isinstance(member, types.MemberDescriptorType):
                found.setdefault(name, member)
    return found


def instance_state(value: object) -> dict[str, Any]:
    """Return the attributes and filled slots of ``value`` by name.

    An instance without slots gives its own dict: the caller must not change it.
    """
    attributes = _dict_of(value)
    members = _members(type(value))
    if not members:
        return attributes if attributes is not None else {}
    state = dict(attributes or {})
    for name, member in members.items():
        try:
            state[name] = member.__get__(value)
        except AttributeError:
            continue
    return state


def fill_instance(value: object, state: dict[str, Any]) -> None:
    """Set attributes and slots of a blank instance.

    Raises:
        CodecError: if it has no place for one of them.
    """
    members = _members(type(value))
    attributes = _dict_of(value)
    for name, part in state.items():
        if name in members:
            members[name].__set__(value, part)
        elif attributes is not None and not (name.startswith("__") and name.endswith("__")):
            attributes[name] = part
        else:
            raise CodecError(f"{type(value).__qualname__} has no attribute {name!r:.60}")

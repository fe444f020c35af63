"""Values: small classes that are made of named fields and nothing else.

What `dataclasses` does, for our own classes, without its price: writing and compiling the methods of one
dataclass takes a millisecond of every start, and there are dozens.  Here they are written once, for all.
This module must never know what a value is about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar, dataclass_transform

__all__ = ["Value", "field", "replace"]

_V = TypeVar("_V", bound="Value")


class _Made:
    """Stands in a class body for a default that is made anew for every value."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def field(*, default_factory: Callable[[], Any]) -> Any:
    """Return the default of a field that every value needs one of its own of, as `dataclasses.field` does."""
    return _Made(default_factory)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Value:
    """A value: equal to another of its class if all fields are, and never changed once it is made.

    A subclass annotates its fields, and gives defaults, as a dataclass would; ``__post_init__`` is called if
    there is one.

    Args:
        frozen: in the class statement: ``False`` for one whose fields may be set; it has no hash then.
        kw_only: in the class statement: ``True`` if fields may only be given by name.
    """

    _names: ClassVar[tuple[str, ...]] = ()
    _made: ClassVar[dict[str, Callable[[], Any]]] = {}
    _positional: ClassVar[int] = 0

    def __init_subclass__(cls, *, frozen: bool = True, kw_only: bool = False) -> None:
        annotated = cls.__dict__.get("__annotations__", ())  # noqa: RUF063 - inspect costs 10 ms of a command
        own = [name for name in annotated if name not in cls._names]
        cls._names = (*cls._names, *own)
        cls._positional = 0 if kw_only else len(cls._names)
        made = {name: value.make for name, value in cls.__dict__.items() if isinstance(value, _Made)}
        if made:
            cls._made = {**cls._made, **made}
            for name in made:
                delattr(cls, name)
        if not frozen:
            cls.__setattr__ = object.__setattr__  # type: ignore[method-assign,assignment]
            cls.__delattr__ = object.__delattr__  # type: ignore[method-assign]
            cls.__hash__ = None  # type: ignore[assignment]

    def __init__(self, *args: Any, **given: Any) -> None:
        fields = self.__dict__
        names = self._names
        if len(args) > self._positional:
            raise TypeError(f"{type(self).__name__}() takes {self._positional} arguments, not {len(args)}")
        fields.update(zip(names, args, strict=False))
        for name, value in given.items():
            if name not in names or name in fields:
                wrong = "two values for" if name in fields else "an unexpected argument"
                raise TypeError(f"{type(self).__name__}() got {wrong} {name!r}")
            fields[name] = value
        if len(fields) < len(names):
            self._fill()
        self.__post_init__()

    def _fill(self) -> None:
        """Give the fields that were left out their defaults."""
        fields, cls = self.__dict__, type(self)
        for name in self._names:
            if name in fields:
                continue
            if name in self._made:
                fields[name] = self._made[name]()
            elif hasattr(cls, name):
                fields[name] = getattr(cls, name)
            else:
                raise TypeError(f"{cls.__name__}() needs {name!r}")

    def __post_init__(self) -> None:
        """Check the fields; called when all are set."""

    @classmethod
    def field_names(cls) -> tuple[str, ...]:
        """Return the names of the fields, in the order they were declared."""
        return cls._names

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {name: getattr(self, name) for name in self._names}

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be set: a value never changes")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be deleted: a value never changes")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(tuple(self.as_dict().values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.as_dict().items())
        return f"{type(self).__qualname__}({fields})"


def replace(value: _V, **changes: Any) -> _V:
    """Return a value like ``value`` with some fields changed; it is checked anew."""
    return type(value)(**{**value.as_dict(), **changes})

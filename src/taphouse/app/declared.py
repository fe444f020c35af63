"""Declared: what Application, Factory and Service have in common.

They are durable, and a class statement may say which of their attributes are
configuration rather than state: ``class Quotes(Factory, config=("quotes",))``.
When code builds an application that has state already, a stored attribute wins
over the code, except those: they take the code's value every time.  A class
keyword, like ``version=`` and ``name=``, so that ``self.config`` stays free.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from taphouse.durable import Durable

__all__ = ["Declared", "config_attributes"]

_CONFIG = "__taphouse_config__"


class Declared(Durable):
    """A durable object that an application is declared with.

    Args:
        config: class keyword; names of the attributes that take the code's value.
        version: class keyword, see :class:`taphouse.durable.Durable`.
        name: class keyword, see :class:`taphouse.durable.Durable`.
    """

    def __init_subclass__(cls, *, config: Iterable[str] = (), **keywords: Any) -> None:
        # A string is an iterable of strings: config="quotes" would declare q, u, o, ...
        names = None if isinstance(config, str) else tuple(config)
        if names is None or not all(isinstance(name, str) and name.isidentifier() for name in names):
            raise TypeError(f'{cls.__qualname__}: config takes attribute names, config=("quotes",)')
        super().__init_subclass__(**keywords)
        setattr(cls, _CONFIG, frozenset(names))


def config_attributes(cls: type) -> frozenset[str]:
    """Return the attributes that ``cls`` or a base of it declared as configuration."""
    return frozenset().union(*(base.__dict__.get(_CONFIG, ()) for base in cls.__mro__))

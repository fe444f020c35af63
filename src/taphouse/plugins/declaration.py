"""What was said of a maker where it was found, before anybody looked at its code.

It must never import or read the module that it names.
"""

from __future__ import annotations

import re

from taphouse.value import Value

__all__ = ["MAKERS_GROUP", "Declaration", "is_type_name"]

MAKERS_GROUP = "taphouse.makers"
"""The group of entry points that makers are declared in."""

# A type names an application unless `mktap -n` does, so what names one may name the other.
_TYPE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def is_type_name(name: str) -> bool:
    """Say whether ``name`` may name a type of server: what may name an application."""
    return _TYPE_NAME.fullmatch(name) is not None


class Declaration(Value):
    """One maker, as declared.

    Args:
        name: the type of server, as typed after ``mktap``.
        module: the module's importable name, ``""`` if the declaration has none.
        attribute: the dotted name of the object in it, ``""`` for the module itself.
        origin: where it was declared, for people: ``"quotes 1.0"`` or a file.
        distribution: the name of the distribution that declares it, ``""`` for a dropped module.
        file: the file that carries the marker, ``""`` for an entry point.
        folder: the folder that must be on ``sys.path`` to import it, ``""`` for an entry point.
        said: the description in the marker line.
        fault: what is wrong with the declaration itself, ``""`` if nothing.
    """

    name: str
    module: str
    origin: str
    attribute: str = ""
    distribution: str = ""
    file: str = ""
    folder: str = ""
    said: str = ""
    fault: str = ""

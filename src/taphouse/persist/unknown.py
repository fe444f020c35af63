"""Objects whose class the code no longer has: they keep their row, byte for byte.

This module must never try to understand what they hold.
"""

from __future__ import annotations

from typing import Any

from taphouse.durable import ClassRecord, Durable, make_blank, raw_state

__all__ = ["Unknown", "make_unknown"]


class Unknown(Durable, name="taphouse.persist.Unknown"):
    """Stands where an object of an unknown class stood; its row is never written again."""

    _tap_is_unknown = True

    def __repr__(self) -> str:
        record = raw_state(self).get("_v_record")
        return f"<object of the unknown class {record.name if record else '?'}>"


def make_unknown(record: ClassRecord) -> Unknown:
    """Return a stand-in for an object of the class that ``record`` names."""
    made: Any = make_blank(Unknown)
    raw_state(made)["_v_record"] = record
    return made  # type: ignore[no-any-return]

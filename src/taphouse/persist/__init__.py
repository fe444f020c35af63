"""Room ``persist``: objects become bytes on a disk, and come back.

Codec, tap files, the store that commits epochs, freezing and thawing, locks, and
the one function that replaces taps.  Reading a tap runs nothing: classes are
found by a function that is handed in.  This room knows ``durable``; it must never
know what an application, a listener or an event loop is.
"""

from taphouse.persist.beginning import create_state, open_state
from taphouse.persist.codec import CODEC
from taphouse.persist.codes import CodecError, Ref
from taphouse.persist.freezer import Freezer
from taphouse.persist.inert import Inert
from taphouse.persist.locks import TapLock
from taphouse.persist.null import NullStore
from taphouse.persist.reading import TapInfo, copy_tap_files, read_info
from taphouse.persist.replacing import replace_tap, set_aside
from taphouse.persist.seeding import write_seed
from taphouse.persist.showing import InertObject, check_integrity, read_objects
from taphouse.persist.store import SqliteStore
from taphouse.persist.thawing import Thawed, thaw
from taphouse.persist.turns import Outcome, Store, StoreStatistics, Turn

__all__ = [
    "CODEC",
    "CodecError",
    "Freezer",
    "Inert",
    "InertObject",
    "NullStore",
    "Outcome",
    "Ref",
    "SqliteStore",
    "Store",
    "StoreStatistics",
    "TapInfo",
    "TapLock",
    "Thawed",
    "Turn",
    "check_integrity",
    "copy_tap_files",
    "create_state",
    "open_state",
    "read_info",
    "read_objects",
    "replace_tap",
    "set_aside",
    "thaw",
    "write_seed",
]

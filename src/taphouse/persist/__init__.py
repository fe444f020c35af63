"""Room ``persist``: objects become bytes on a disk, and come back.

Codec, tap files, the store that commits epochs, freezing and thawing, locks, and
the one function that replaces taps.  Reading a tap runs nothing: classes are
found by a function that is handed in.  This room knows ``durable``; it must never
know what an application, a listener or an event loop is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taphouse.lazy import lazy_door

if TYPE_CHECKING:
    from taphouse.persist.beginning import create_state as create_state
    from taphouse.persist.beginning import open_state as open_state
    from taphouse.persist.codec import CODEC as CODEC
    from taphouse.persist.codes import CodecError as CodecError
    from taphouse.persist.codes import Ref as Ref
    from taphouse.persist.digesting import digest_states as digest_states
    from taphouse.persist.digesting import find_durables as find_durables
    from taphouse.persist.document import read_document as read_document
    from taphouse.persist.document import render_document as render_document
    from taphouse.persist.editing import TapEditor as TapEditor
    from taphouse.persist.exchanging import check_document as check_document
    from taphouse.persist.exchanging import parse_document as parse_document
    from taphouse.persist.exchanging import put_in_place as put_in_place
    from taphouse.persist.exchanging import refuse_state as refuse_state
    from taphouse.persist.exchanging import write_document as write_document
    from taphouse.persist.freezer import Freezer as Freezer
    from taphouse.persist.inert import Inert as Inert
    from taphouse.persist.instances import instance_state as instance_state
    from taphouse.persist.locks import TapLock as TapLock
    from taphouse.persist.null import NullStore as NullStore
    from taphouse.persist.opening import is_tap as is_tap
    from taphouse.persist.places import check_place as check_place
    from taphouse.persist.reading import TapInfo as TapInfo
    from taphouse.persist.reading import copy_tap_files as copy_tap_files
    from taphouse.persist.reading import find_info as find_info
    from taphouse.persist.reading import read_info as read_info
    from taphouse.persist.reading import read_unused as read_unused
    from taphouse.persist.renewing import Renewal as Renewal
    from taphouse.persist.renewing import RenewedStore as RenewedStore
    from taphouse.persist.renewing import rehearse_state as rehearse_state
    from taphouse.persist.renewing import renew_state as renew_state
    from taphouse.persist.replacing import remove_tap as remove_tap
    from taphouse.persist.replacing import replace_tap as replace_tap
    from taphouse.persist.replacing import set_aside as set_aside
    from taphouse.persist.seeding import write_seed as write_seed
    from taphouse.persist.showing import InertObject as InertObject
    from taphouse.persist.showing import check_integrity as check_integrity
    from taphouse.persist.showing import read_objects as read_objects
    from taphouse.persist.store import SqliteStore as SqliteStore
    from taphouse.persist.thawing import Thawed as Thawed
    from taphouse.persist.thawing import thaw as thaw
    from taphouse.persist.thawing import thaw_loose as thaw_loose
    from taphouse.persist.turns import Outcome as Outcome
    from taphouse.persist.turns import Store as Store
    from taphouse.persist.turns import StoreStatistics as StoreStatistics
    from taphouse.persist.turns import Turn as Turn

__all__ = [
    "CODEC",
    "CodecError",
    "Freezer",
    "Inert",
    "InertObject",
    "NullStore",
    "Outcome",
    "Ref",
    "Renewal",
    "RenewedStore",
    "SqliteStore",
    "Store",
    "StoreStatistics",
    "TapEditor",
    "TapInfo",
    "TapLock",
    "Thawed",
    "Turn",
    "check_document",
    "check_integrity",
    "check_place",
    "copy_tap_files",
    "create_state",
    "digest_states",
    "find_durables",
    "find_info",
    "instance_state",
    "is_tap",
    "open_state",
    "parse_document",
    "put_in_place",
    "read_document",
    "read_info",
    "read_objects",
    "read_unused",
    "refuse_state",
    "rehearse_state",
    "render_document",
    "renew_state",
    "remove_tap",
    "replace_tap",
    "set_aside",
    "thaw",
    "thaw_loose",
    "write_document",
    "write_seed",
]

if not TYPE_CHECKING:  # a type checker knows every name; it should miss the others
    __getattr__ = lazy_door(
        __name__,
        {
            "beginning": ["create_state", "open_state"],
            "codec": ["CODEC"],
            "codes": ["CodecError", "Ref"],
            "digesting": ["digest_states", "find_durables"],
            "document": ["read_document", "render_document"],
            "editing": ["TapEditor"],
            "exchanging": [
                "advance",
                "check_document",
                "parse_document",
                "put_in_place",
                "refuse_state",
                "write_document",
            ],
            "freezer": ["Freezer"],
            "inert": ["Inert"],
            "instances": ["instance_state"],
            "locks": ["TapLock"],
            "null": ["NullStore"],
            "opening": ["is_tap"],
            "places": ["check_place"],
            "reading": ["TapInfo", "copy_tap_files", "find_info", "read_info", "read_unused"],
            "renewing": ["Renewal", "RenewedStore", "rehearse_state", "renew_state"],
            "replacing": ["remove_tap", "replace_tap", "set_aside"],
            "seeding": ["write_seed"],
            "showing": ["InertObject", "check_integrity", "read_objects"],
            "store": ["SqliteStore"],
            "thawing": ["Thawed", "thaw", "thaw_loose"],
            "turns": ["Outcome", "Store", "StoreStatistics", "Turn"],
        },
    )

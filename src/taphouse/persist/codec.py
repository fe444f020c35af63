"""The codec in use: the C twin if it was built and is wanted, else the Python one.

``TAPHOUSE_PURE=1`` in the environment asks for Python.  Both write the same
bytes and refuse the same ones.
"""

from __future__ import annotations

import os
from typing import Any, Final, NoReturn

from taphouse.durable import Durable, TrackedDict, TrackedList
from taphouse.persist.codes import CodecError
from taphouse.persist.containers import EMBEDDED_ENTRIES
from taphouse.persist.leaves import PackFailure
from taphouse.persist.packer import Packer as PurePacker
from taphouse.persist.unpacker import Unpacker as PureUnpacker

__all__ = ["CODEC", "Packer", "Unpacker", "pack_plain", "unpack_plain"]

Packer: Any = PurePacker
Unpacker: Any = PureUnpacker
CODEC: str = "python"

if os.environ.get("TAPHOUSE_PURE", "") in ("", "0"):
    try:
        from taphouse.persist import _codec

        _codec.install(Durable, TrackedList, TrackedDict, EMBEDDED_ENTRIES)
        Packer, Unpacker, CODEC = _codec.Packer, _codec.Unpacker, "c"
    except ImportError:
        pass


def _no_hook(value: object) -> NoReturn:
    raise PackFailure(f"a {type(value).__qualname__} in a record")


def _no_extension(code: int, _payload: bytes, _items: object = None) -> NoReturn:
    raise CodecError(f"extension code {code} in a record")


_PLAIN_PACKER: Final = Packer(_no_hook)


def pack_plain(value: Any) -> bytes:
    """Return numbers, text, bytes and lists of them as bytes: the tap's own records."""
    return _PLAIN_PACKER.pack(value)  # type: ignore[no-any-return]


def unpack_plain(data: bytes) -> Any:
    """Return what :func:`pack_plain` wrote.

    Raises:
        CodecError: if it is anything else, extensions too.
    """
    return Unpacker({}, _no_extension, _no_extension).unpack(data)

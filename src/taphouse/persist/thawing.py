"""Thawing: what a tap holds becomes the objects of a running application.

First every row gets a blank object, so that rows may refer to each other in
circles; then states are decoded and put in, without running code of the
application; what must be hashed comes last; upgrade steps run at the end.

This module must never import a module by itself: *resolve* is handed in.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from taphouse.durable import (
    ClassRecord,
    Durable,
    Ledger,
    attach,
    class_record,
    detach,
    make_blank,
    raw_state,
    restore_state,
    take_ops,
)
from taphouse.errors import ClassIdentityError, TapError
from taphouse.persist.blanks import disarm
from taphouse.persist.codec import Unpacker
from taphouse.persist.codes import CodecError, Defer
from taphouse.persist.containers import BYTEARRAY_CID, FIRST_CLASS, MADE_BY_CID
from taphouse.persist.filling import ContainerFiller
from taphouse.persist.image import Image
from taphouse.persist.inert import InertReader
from taphouse.persist.instances import fill_instance
from taphouse.persist.live import LiveReader
from taphouse.persist.opaque import OpaqueEntry
from taphouse.persist.opening import damage_as_tap_error
from taphouse.persist.turns import Store
from taphouse.persist.unknown import Unknown, make_unknown
from taphouse.persist.unpacker import Unpacker as PureUnpacker
from taphouse.persist.upgrades import check_version, upgrade_state
from taphouse.value import Value, field

__all__ = ["Resolve", "Thawed", "thaw", "thaw_loose"]

Resolve = Callable[[ClassRecord], Any]
"""Finds the class or function of a record, or None if it is gone; what it raises passes through."""


class Thawed(Value, frozen=False):
    """A thawed application.

    Args:
        root: the application.
        ledger: everything is attached to it, and it has begun.
        unknown: names of classes that were not found; their objects are kept as they are.
        chunk_bytes: number of each container whose changes are written as operations -> bytes of what they
            are done on, bytes of the operations, and the number of its first chunk.
    """

    root: Any
    ledger: Ledger
    unknown: list[str] = field(default_factory=list)
    chunk_bytes: dict[int, tuple[int, int, int]] = field(default_factory=dict)


class _Resolved(dict[int, Any]):
    """Class number -> class, found when it is first asked for; None is an unknown one."""

    def __init__(self, records: dict[int, ClassRecord], resolve: Resolve, path: str) -> None:
        super().__init__()
        self._records, self._resolve, self._path = records, resolve, path
        self.outdated: set[int] = set()
        self.unknown: set[str] = set()

    def get(self, cid: int, default: Any = None) -> Any:
        if cid not in self:
            record = self._records[cid]
            found = self._resolve(record)
            if found is None:
                self.unknown.add(record.name)
            elif check_version(found, record, self._path):
                self.outdated.add(cid)
            self[cid] = found
        return self[cid]


class _Thaw:
    """One thaw."""

    def __init__(self, image: Image, path: str, resolve: Resolve, existing: Mapping[int, Durable]) -> None:
        self.image = image
        self.path = path
        self.existing = existing
        self.classes = _Resolved(image.classes, resolve, path)
        self.objects: dict[int, Any] = {}
        self.rows: dict[int, tuple[int, bytes]] = {}
        self.reader = LiveReader(self.classes, image.classes)
        self.unpacker = Unpacker(self.objects, self.reader.scalar, self.reader.tagged)
        self.pending: dict[int, int] = {}
        self.makers: dict[int, type] = {}
        self.outdated: list[tuple[int, dict[str, Any]]] = []
        self.at = 0
        """Number of the row that is being read, for messages."""
        self.filler = ContainerFiller(image, self.reader, self.objects)

    def run(self) -> Thawed:
        with self._damage():
            for oid, cid, state in self.image.rows():
                self.at = oid
                self.rows[oid] = (cid, state)
                self.objects[oid] = self._existing(oid, cid) if oid in self.existing else self._blank(cid)
        root = self.objects.get(1)
        if not isinstance(root, Durable):
            raise TapError("there is no root object", path=self.path, where="page row 0")
        if isinstance(root, Unknown):
            root_class = self.image.classes[self.rows[1][0]].name
            raise ClassIdentityError(
                f"the application's class {root_class} is not installed",
                path=self.path,
                cure="install it, or allow its module",
            )
        self._fill_all()
        ledger = Ledger()
        ledger.begin(root, self.image.next_oid)
        thawed = Thawed(root, ledger, sorted(self.classes.unknown), self.filler.sizes)
        self._attach(ledger)
        self._upgrade(ledger)
        return thawed

    def run_loose(self) -> Thawed:
        thawed = self.run()
        for oid, obj in self.objects.items():
            if isinstance(obj, Durable) or self.rows[oid][0] < BYTEARRAY_CID:
                detach(obj)
        return thawed

    def _damage(self) -> AbstractContextManager[None]:
        """Turn what decoding a row raises into one line that names it."""
        return damage_as_tap_error(Path(self.path), lambda: f"row {self.at}")

    def _existing(self, oid: int, cid: int) -> Any:
        """Return the object that takes the state of a row.

        Raises:
            ClassIdentityError: if it is of another class.
        """
        obj = self.existing[oid]
        if cid not in self.image.classes or self.classes.get(cid) is not type(obj):
            name = class_record(type(obj)).name
            old = self.image.classes[cid].name if cid in self.image.classes else "none"
            raise ClassIdentityError(
                f"row {oid} is of class {old}, and {name} is to take its state",
                path=self.path,
                cure=f'give the new class the old name: class New(..., name="{old}")',
            )
        return obj

    def _blank(self, cid: int) -> Any:
        maker = self.makers.get(cid)
        if maker is not None:
            return make_blank(maker)
        if cid < FIRST_CLASS:
            kind = MADE_BY_CID.get(cid)
            if kind is None:
                raise CodecError(f"class {cid} does not exist")
            return kind()
        record = self.image.classes.get(cid)
        if record is None:
            raise CodecError(f"class {cid} does not exist")
        found = self.classes.get(cid)
        if found is None:
            return make_unknown(record)
        if record.kind not in ("durable", "plain") or not isinstance(found, type):
            raise CodecError(f"{record.name} is a {record.kind}, which has no rows")
        try:
            made = make_blank(found)
        except TypeError as error:
            raise CodecError(f"{record.name} is a class that cannot be made blank") from error
        self.makers[cid] = found
        return made

    def _fill_all(self) -> None:
        deferred: list[int] = []
        objects, outdated, unpack_state = self.objects, self.classes.outdated, self.unpacker.unpack_state
        with self._damage():
            for oid, (cid, state) in self.rows.items():
                self.at = oid
                obj = objects[oid]
                try:
                    # Nearly every row is such a one: no call but the two that do the work.
                    if cid >= FIRST_CLASS and cid not in outdated and is_known(obj):
                        attributes = unpack_state(state)
                        if self.reader.nested:
                            self.filler.check_nested()
                        restore_state(obj, attributes)
                    else:
                        self._fill(oid, self.unpacker)
                except Defer:
                    deferred.append(oid)
        if deferred:
            # Only the Python twin can stop in the middle to complete an object that is to be hashed.
            self.unpacker = PureUnpacker(self.objects, self.reader.scalar, self.reader.tagged)
            self.pending = {id(self.objects[oid]): oid for oid in deferred}
            self.reader.settle = self._settle
            for oid in deferred:
                self._settle(self.objects[oid])
            self.reader.settle = None

    def _settle(self, obj: Any) -> None:
        oid = self.pending.pop(id(obj), None)
        if oid is None:
            return
        before, self.at = self.at, oid
        try:
            with self._damage():
                self._fill(oid, self.unpacker)
        except (TapError, Defer):
            raise
        except Exception as error:
            raise TapError(
                f"hashing what it holds failed: {type(error).__name__}: {error!s:.100}",
                path=self.path,
                where=f"row {oid}",
            ) from error
        self.at = before

    def _fill(self, oid: int, unpacker: Any) -> None:
        cid, state = self.rows[oid]
        obj = self.objects[oid]
        if cid < FIRST_CLASS:
            self.filler.fill(oid, cid, obj, state, unpacker)
        elif isinstance(obj, Unknown):
            inert = InertReader(self.image.classes)
            # Decoded only to hold on to what it refers to.
            raw_state(obj)["_v_parts"] = PureUnpacker(self.objects, inert.scalar, inert.tagged).unpack(state)
        else:
            attributes = unpacker.unpack_state(state)
            self.filler.check_nested()
            if not isinstance(obj, Durable):
                fill_instance(obj, attributes)
            elif cid in self.classes.outdated:
                self.outdated.append((oid, attributes))
            else:
                restore_state(obj, attributes)

    def _attach(self, ledger: Ledger) -> None:
        sizes, limit = self.filler.sizes, ledger.next_oid
        for oid, obj in self.objects.items():
            if not 0 < oid < limit:
                raise TapError(f"row {oid} has a number never given", path=self.path)
            if isinstance(obj, Durable):
                attach(obj, ledger, oid)
                continue
            cid, state = self.rows[oid]
            if cid < BYTEARRAY_CID:
                attach(obj, ledger, oid)
                if oid in sizes:
                    take_ops(obj)
            else:
                ledger.opaque[id(obj)] = OpaqueEntry(oid, obj, cid, state)

    def _upgrade(self, ledger: Ledger) -> None:
        for oid, attributes in self.outdated:
            obj = self.objects[oid]
            record = self.image.classes[self.rows[oid][0]]
            restore_state(obj, upgrade_state(obj, attributes, record, self.path))
            ledger.mark(obj)


def is_known(obj: object) -> bool:
    """Say whether ``obj`` is a durable object of a class that was found."""
    return isinstance(obj, Durable) and type(obj) is not Unknown


def thaw(store: Store, resolve: Resolve, *, existing: Mapping[int, Durable] | None = None) -> Thawed:
    """Make objects of what ``store`` holds.

    Args:
        store: just opened, not thawed yet.
        resolve: finds the class or function of a record; None keeps its objects as they are.
        existing: number of a row -> the durable object, attached nowhere, that takes its state.

    Raises:
        TapError: if a row does not hold what it must; named by its number.
        ClassIdentityError, UpgradeError: if a class does not fit.
    """
    return _run(store, resolve, existing or {}, _Thaw.run)


def thaw_loose(store: Store, resolve: Resolve) -> Thawed:
    """Make objects of what ``store`` holds that are attached nowhere, as if they had just been built.

    Arguments and errors as of `thaw`; the ledger of what is returned is of no use.
    """
    return _run(store, resolve, {}, _Thaw.run_loose)


def _run(
    store: Store, resolve: Resolve, existing: Mapping[int, Durable], run: Callable[[_Thaw], Thawed]
) -> Thawed:
    image = store.take_image()
    name = str(store.info.path if store.info else store.path)
    if image is None:
        raise TapError("holds no application", path=name, cure="it was thawed already, or never saved")
    # Hundreds of thousands of live objects are made: the cyclic collector would visit each again and again.
    was_enabled = gc.isenabled()
    gc.disable()
    work = _Thaw(image, name, resolve, existing)
    try:
        return run(work)
    except BaseException:
        disarm(obj for oid, obj in work.objects.items() if oid not in work.existing)
        raise
    finally:
        if was_enabled:
            if not gc.get_freeze_count():
                # What was made joins the old objects at once; as young ones the first few allocations
                # would visit them all, twice.
                gc.freeze()
                gc.unfreeze()
            gc.enable()

"""Editing a tap: one object of it as a document, changed, and the tap written anew with it.

All other rows stay the bytes that they are, so that a big tap costs no more than
its copy.  This module must never look a class up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from taphouse.durable import ClassRecord
from taphouse.errors import TapError
from taphouse.persist.building import build_tap, make_pages, temporary_beside
from taphouse.persist.composing import Content, compose_object
from taphouse.persist.document import class_keys, document_object, object_ids
from taphouse.persist.documenting import Documenter
from taphouse.persist.image import Image
from taphouse.persist.opening import damage_as_tap_error
from taphouse.persist.reading import info_of, load_image
from taphouse.persist.renewing import keep_owner
from taphouse.persist.replacing import replace_tap
from taphouse.persist.schema import Mark, chain_sum
from taphouse.persist.showing import check_integrity, object_of

__all__ = ["TapEditor"]


class _Objects(Mapping[str, Any]):
    """The objects of a tap by their ids, made documents as they are asked for."""

    def __init__(self, image: Image, name: Path, keys: dict[int, str]) -> None:
        self._image, self._name, self._keys = image, name, keys
        self.rows = {oid: (cid, state) for oid, cid, state in sorted(image.rows())}
        kinds = {oid: cid for oid, (cid, _state) in self.rows.items()}
        ids = object_ids(kinds, image.classes, info_of(image, name).plan)
        self.numbers = {key: oid for oid, key in ids.items()}
        self._documenter = Documenter({image.classes[cid]: key for cid, key in keys.items()}, ids)
        self._made: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        entry = self._made.get(key)
        if entry is None:
            oid = self.numbers[key]
            found = object_of(self._image, self._name, oid, *self.rows[oid])
            with damage_as_tap_error(self._name, f"row {oid}"):
                entry = self._made[key] = document_object(found, self._documenter, self._keys)
        return entry

    def __iter__(self) -> Iterator[str]:
        return iter(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)


class TapEditor:
    """A tap that is looked into and perhaps changed in one place.

    Args:
        path: the tap; who is to call :meth:`write` holds its lock.

    Attributes:
        objects: id -> entry of the document, made when it is asked for; an entry may be changed.
        plan: what was built; not to be changed.
        classes: key in the document -> what the tap says about the class.

    Raises:
        TapError: if it is damaged, foreign, newer, or its WAL is missing or not its own.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._name = Path(path)
        self._image = load_image(self._name)
        self._keys = class_keys(self._image.classes)
        self._objects = _Objects(self._image, self._name, self._keys)
        self.objects: Mapping[str, Any] = self._objects
        self.plan: Mapping[str, Any] = MappingProxyType(dict(info_of(self._image, self._name).plan))
        self.classes: Mapping[str, ClassRecord] = {
            key: self._image.classes[cid] for cid, key in self._keys.items()
        }

    def check(self, key: str) -> Content:
        """Return the rows of one entry as it is now.

        Raises:
            TapError: with the place of what no tap can hold.
        """
        cids = {record: cid for cid, record in self._image.classes.items()}
        return compose_object(
            key,
            self.objects[key],
            name=str(self._name),
            classes=self.classes,
            cids=cids,
            numbers=self._objects.numbers,
            meta=self._image.meta.with_(epoch=self._image.epoch),
        )

    def write(self, key: str, change: bytes) -> None:
        """Put a tap in the place of this one in which one entry is as it is now: one commit more.

        Args:
            key: of the entry.
            change: what the journal's chain remembers of it.

        Raises:
            TapError: with the place of what no tap can hold; nothing is written.
            AlreadyRunningError: if a server runs on it.
            CannotCreateError, NotPermittedError, StorageError: if it cannot be written.
        """
        changed, image, oid = self.check(key), self._image, self._objects.numbers[key]
        meta = image.meta.with_(
            epoch=image.epoch, chain=image.chain, next_oid=image.next_oid, plan=image.plan
        )
        if meta.role == "state":
            number = meta.epoch + 1
            meta = meta.with_(epoch=number, chain=chain_sum(meta.chain, number, change))
        rows = {**self._objects.rows, **changed.rows}
        chunks = {other: parts for other in rows if (parts := image.all_chunks(other))}
        deltas = [(other, epoch, ops) for other in rows for epoch, ops in image.all_deltas(other)]
        chunks.pop(oid, None)
        target = Path(os.path.realpath(self._name))
        with temporary_beside(target) as temporary:
            build_tap(
                temporary,
                meta,
                Mark(os.urandom(8).hex(), image.mark.session) if meta.role == "state" else Mark(),
                image.classes,
                make_pages(rows.items(), meta.epoch),
                {**chunks, **changed.chunks},
                [delta for delta in deltas if delta[0] != oid] + changed.deltas,
                wal=meta.role == "state",
            )
            self._read_back(temporary)
            keep_owner(temporary, target)
            replace_tap(temporary, target)

    def _read_back(self, path: Path) -> None:
        try:
            check_integrity(path)
        except TapError as error:
            reason = error.message.removeprefix(f"{path}: ")
            raise TapError(
                f"would be a tap that cannot be read: {reason}",
                path=str(self._name),
                cure="nothing was written",
            ) from error

"""Making the file of a state tap: the seed's content and the first turn, folded, in one piece.

This module must never know objects.
"""

from __future__ import annotations

import os
from pathlib import Path

from taphouse.persist.building import build_tap, make_pages, publish, temporary_beside
from taphouse.persist.image import Image
from taphouse.persist.locks import hold_inode, release_inode, rename_held
from taphouse.persist.origin import fresh_meta
from taphouse.persist.replacing import bring_back, set_aside, settle_tap
from taphouse.persist.schema import Mark, Meta
from taphouse.persist.turns import Turn

__all__ = ["create_file"]


def create_file(path: Path, base: Image, turn: Turn, link: bytes, *, sets_aside: bool) -> tuple[Meta, Mark]:
    """Build a closed state tap under a temporary name, lock it and give it its name.

    Args:
        path: its name; an old tap of that name, without commits of its own, is replaced.
        base: what it begins with.
        turn: the first one.
        link: of the journal's chain after that turn.
        sets_aside: give a tap of that name another one first, instead of replacing it.

    Returns:
        Meta and mark as written.

    Raises:
        CannotCreateError, NotPermittedError: if it cannot be made.
    """
    epoch = turn.epoch
    rows = {oid: (cid, state) for oid, cid, state in base.rows()}
    rows.update(epoch.rows)
    for oid in epoch.freed:
        rows.pop(oid, None)
    chunks = {oid: dict(parts) for oid, parts in base.chunks.items()}
    for oid, parts in epoch.chunks.items():
        chunks.setdefault(oid, {}).update(parts)
    for oid, (first, count, _since) in epoch.bases.items():
        chunks[oid] = {n: data for n, data in chunks.get(oid, {}).items() if first <= n < first + count}
    plan = epoch.plan if epoch.plan is not None else base.plan
    meta = base.meta.with_(
        role="state", epoch=turn.number, begin=turn.number, chain=link, next_oid=epoch.next_oid, plan=plan
    )
    mark = Mark(session=os.urandom(8).hex())
    with temporary_beside(path) as temporary:
        meta = build_tap(
            temporary,
            fresh_meta(meta),
            mark,
            {**base.classes, **epoch.classes},
            make_pages(rows.items(), turn.number),
            {oid: parts for oid, parts in chunks.items() if oid in rows},
            [(oid, turn.number, ops) for oid, ops in epoch.deltas.items() if oid in rows],
            wal=True,
        )
        hold_inode(temporary)
        aside: Path | None = None
        try:
            if sets_aside and path.exists():
                aside = set_aside(path)
            settle_tap(path)
            publish(temporary, path)
        except BaseException:
            release_inode(temporary)
            if aside is not None:
                bring_back(aside, path)
            raise
        rename_held(temporary, path)
    return meta, mark

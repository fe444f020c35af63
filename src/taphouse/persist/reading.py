"""Reading a tap without touching it: a private copy is opened, never the original.

A tap and its WAL belong together; which WAL is a tap's own is decided here, by
the marks in both.  This module must never write to the files it reads, import a
module that a tap names, or decode a state.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from taphouse.durable import ClassRecord
from taphouse.errors import CannotCreateError, NotPermittedError, TapError
from taphouse.persist.codes import CodecError
from taphouse.persist.image import Image, read_image, read_mark
from taphouse.persist.opening import check_header, check_size, connect, damage_as_tap_error, wal_path
from taphouse.persist.schema import FORMAT, PAGE_SIZE, Mark
from taphouse.persist.walfile import WalScan, count_frames, scan_wal
from taphouse.value import Value, field

__all__ = [
    "TapInfo",
    "copy_tap_files",
    "find_info",
    "info_of",
    "load_image",
    "private_folder",
    "read_info",
    "read_unused",
]

_WAL_HEADER_BYTES: Final = 32
_CURE_WAL: Final = (
    "put the -wal file that lay beside it back, or restore a backup: without it the tap is older than it was"
)


class TapInfo(Value):
    """What a tap says about itself; reading it runs nothing.

    Args:
        path: the file.
        role: ``seed`` or ``state``.
        name: of the application.
        lineage: 32 hex digits shared by a seed and every state that came from it.
        epoch: number of the last commit.
        format: of the file.
        created: ISO 8601, UTC.
        versions: of ``taphouse`` and ``python`` that made it.
        plan: what was built: listeners, modules, services.
        classes: every class, enum and function that a state names.
        is_open: a server runs on it, or was killed.
        base_epoch: epoch at which the state began; ``epoch > base_epoch`` means there are commits beyond.
        plan_text: the plan as it is stored, JSON.
        counts: rows by kind: ``objects``, ``chunks``, ``deltas``, ``classes``, ``journal``.
    """

    path: Path
    role: str
    name: str
    lineage: str
    epoch: int
    format: int
    created: str
    versions: Mapping[str, str]
    plan: Mapping[str, Any]
    classes: tuple[ClassRecord, ...]
    is_open: bool
    base_epoch: int
    plan_text: str = "{}"
    counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


def copy_tap_files(path: Path, folder: Path) -> Path:
    """Copy a tap and its WAL, as they lie on the disk now, into ``folder``; a server may be writing them.

    The WAL is copied first and both are looked at again afterwards, so that a
    checkpoint in between is noticed and the copying repeated.  A commit in between
    does no harm: it is appended to the WAL, and of that the copy has a beginning.

    Returns:
        The copy of the tap.

    Raises:
        TapError: if a server keeps writing while it is copied.
    """
    target = folder / path.name
    real = Path(os.path.realpath(path))  # SQLite keeps the WAL where the file is, not where a link to it is
    wal, copied_wal = wal_path(real), wal_path(target)
    pairs = [(wal, copied_wal), (real, target)]
    for _attempt in range(20):
        before, length = (_begin_of(wal), _look(real)), _length_of(wal)
        for source, copy in pairs:
            copy.unlink(missing_ok=True)
            try:
                _copy(source, copy)
            except FileNotFoundError:
                continue
            except PermissionError as error:
                raise NotPermittedError(
                    f"{source}: {error.strerror}", cure="run as a user who may read it"
                ) from error
            except OSError as error:
                raise CannotCreateError(
                    f"{copy}: {error.strerror}", cure="free space, or set TMPDIR"
                ) from error
        if (_begin_of(wal), _look(real)) == before and (_length_of(wal) == length or _is_whole(copied_wal)):
            return target
    raise TapError("is being written", path=str(path), cure="ask the running server: tap backup, tap status")


def _copy(source: Path, copy: Path) -> None:
    with open(source, "rb") as wanted, open(copy, "xb") as made:
        size = os.fstat(wanted.fileno()).st_size
        while os.sendfile(made.fileno(), wanted.fileno(), None, max(size, 1 << 20)):
            pass


def _begin_of(wal: Path) -> tuple[int, bytes] | None:
    """Return what changes as soon as a WAL is written from its beginning again: its header has a salt."""
    try:
        with open(wal, "rb", buffering=0) as file:
            return os.fstat(file.fileno()).st_ino, file.read(_WAL_HEADER_BYTES)
    except OSError:
        return None


def _length_of(wal: Path) -> int:
    # Its time of change would not do: two commits may come within a tick of the clock.
    try:
        return count_frames(wal)
    except OSError:
        return -1


def _is_whole(wal: Path) -> bool:
    """Say whether a WAL that was copied while it grew has no gap, older bytes before newer ones."""
    try:
        scan_wal(wal)
    except (CodecError, OSError):
        return False
    return True


def _look(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def load_image(path: Path, *, in_place: bool = False) -> Image:
    """Read and check a whole tap.

    Args:
        path: the tap, or a link to it; its WAL is looked for beside the file itself.
        in_place: the caller holds the lock: without a WAL the file itself is read
            (opened immutable), not a copy.

    Raises:
        TapError: if it is damaged, foreign, newer, or its WAL is missing or not its own.
        NotPermittedError: if it may not be read.
    """
    size, given = check_header(path)
    real = Path(os.path.realpath(path))
    if in_place and _scan(real, path).frames == 0:
        return _load(real, path, size, given)
    with private_folder() as folder:
        copy = copy_tap_files(path, folder)
        return _load(copy, path, *check_header(copy))


@contextmanager
def private_folder() -> Iterator[Path]:
    """Give a folder of our own for copies, and remove it afterwards.

    Raises:
        CannotCreateError: if there is no place for one.
    """
    # As tempfile.mkdtemp does; that and shutil cost every start 5 ms.
    places = [place for place in (os.environ.get("TMPDIR"), "/tmp", "/var/tmp") if place]  # noqa: S108
    for place in places:
        folder = Path(place, f"taphouse-{os.urandom(8).hex()}")
        try:
            folder.mkdir(0o700)
            break
        except OSError as error:
            problem = error
    else:
        raise CannotCreateError(f"{places[0]}: {problem.strerror}", cure="set TMPDIR") from problem
    try:
        yield folder
    finally:
        with suppress(OSError):  # what others have put there stays
            for copy in folder.iterdir():
                copy.unlink()
            folder.rmdir()


def _scan(file: Path, name: Path) -> WalScan:
    with damage_as_tap_error(name):
        try:
            return scan_wal(wal_path(file))
        except OSError as error:
            raise NotPermittedError(f"{wal_path(name)}: {error.strerror}") from error


def _load(file: Path, name: Path, size: int, given: int) -> Image:
    scan = _scan(file, name)
    if scan.frames == 0:
        check_size(size, given, name)
        with damage_as_tap_error(name), closing(connect(file, mode="immutable", longest=size)) as db:
            image = read_image(db, name, size)
        _check_without_wal(image.mark, scan, name)
        return image
    limit = size + os.path.getsize(wal_path(file))
    main = _mark_of_main(file, name, size, given, scan)
    with damage_as_tap_error(name), closing(connect(file, mode="rw", longest=limit)) as db:
        # Whose WAL it is comes first: laid over a foreign file it makes no sense anyway.
        if main is not None:
            _check_pair(main, read_mark(db, name), name)
        return read_image(db, name, limit)


def _mark_of_main(copy: Path, name: Path, size: int, given: int, scan: WalScan) -> Mark | None:
    """Read the mark in the main file alone; ``copy`` is ours and has a WAL.

    A death while the WAL is moved leaves the main file with any part of the pages that the WAL
    holds: shorter than its first page says, and with pages of which half is old.  The WAL then has
    all of them, and whether it fits shows in the seal of what both give together.

    Returns:
        None if it cannot be read because of that.
    """
    missing = max(given, size + -size % PAGE_SIZE) - size
    if missing > scan.frames * PAGE_SIZE:
        check_size(size, given, name)
    os.truncate(copy, size + missing)
    try:
        with damage_as_tap_error(name), closing(connect(copy, mode="immutable", longest=size)) as db:
            return read_mark(db, name)
    except TapError:
        return None


def _check_without_wal(mark: Mark, scan: WalScan, name: Path) -> None:
    # A header without frames is what a kill leaves just after a checkpoint: the main file is whole then.
    if mark.is_open and (not scan.exists or scan.is_blank):
        raise TapError(
            f"was not closed, and its {wal_path(name).name} is missing or empty",
            path=str(name),
            cure=_CURE_WAL,
        )


def _check_pair(main: Mark, whole: Mark, name: Path) -> None:
    """Refuse a WAL that was not written for this file in this or the next session."""
    same = whole.session == main.session and whole.generation - main.generation in (0, 1)
    next_one = whole.previous == main.session and whole.session != main.session and whole.generation == 0
    if not (same or next_one) or (same and whole.is_open and not main.is_open):
        raise TapError(
            f"the {wal_path(name).name} beside it belongs to another tap or another time",
            path=str(name),
            cure=_CURE_WAL,
        )


def info_of(image: Image, path: Path) -> TapInfo:
    """Return what ``image`` says about the tap at ``path``."""
    meta = image.meta
    with damage_as_tap_error(path, "meta"):
        plan = meta.with_(plan=image.plan).plan_dict()
    return TapInfo(
        path=path,
        role=meta.role,
        name=meta.name,
        lineage=meta.lineage,
        epoch=image.epoch,
        format=FORMAT,
        created=meta.created,
        versions=MappingProxyType({"taphouse": meta.taphouse, "python": meta.python}),
        plan=MappingProxyType(plan),
        classes=tuple(image.classes[cid] for cid in sorted(image.classes)),
        is_open=image.mark.is_open,
        base_epoch=meta.begin,
        plan_text=image.plan,
        counts=MappingProxyType(
            {
                "objects": image.count_rows(),
                "chunks": meta.counts.chunk,
                "deltas": meta.counts.delta,
                "classes": len(image.classes),
                "journal": len(image.journal),
            }
        ),
    )


def read_info(path: str | os.PathLike[str]) -> TapInfo:
    """Read what a tap says about itself, from a private copy, running nothing.

    Args:
        path: a seed or state tap, of a running server too.

    Raises:
        TapError: if it is damaged, foreign, newer, or its WAL is missing or not its own.
        NotPermittedError: if it may not be read.
    """
    name = Path(path)
    image = load_image(name)
    with damage_as_tap_error(name):
        if 1 not in {oid for oid, _cid, _state in image.rows()} and image.meta.next_oid > 1:
            raise CodecError("there is no root object")
    return info_of(image, name)


def find_info(path: str | os.PathLike[str]) -> TapInfo | None:
    """Read what a tap says about itself, as :func:`read_info`; None if there is none or it is damaged."""
    if not os.path.lexists(path):
        return None
    try:
        return read_info(path)
    except TapError:
        return None


def read_unused(path: str | os.PathLike[str]) -> TapInfo | None:
    """Read what a backup says about itself; None if a server has run on it since it was made.

    Raises:
        TapError: if it is damaged, foreign or newer.
        NotPermittedError: if it may not be read.
    """
    name = Path(path)
    image = load_image(name)
    # What opens a tap for writing leaves the session that was there before as the one before.
    if image.mark.is_open or image.mark.previous:
        return None
    return info_of(image, name)

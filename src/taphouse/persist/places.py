"""Places: which file systems a state tap may lie on, and what to do when one fails.

A state needs two things of its file system: a lock that keeps every other
process out, and a sync that comes back only when the disk has the data.  Over a
network neither can be trusted: NFS locks vanish when a server or a lease does,
and then two servers write one tap (https://sqlite.org/faq.html#q5); SMB and 9p
keep flock(2) on one machine; WebDAV, S3 and their like answer a sync before
anything is stored.  Those are refused.

FUSE is a protocol, not a file system: one that is known to lead to a network is
refused by its name, any other (ntfs-3g, gocryptfs, bindfs) gets a warning,
since its syncs are as good as its daemon.  Overlays and tmpfs do what they say.

This module must never open a tap.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Final

from taphouse.errors import CannotCreateError, ConfigurationError, StorageError
from taphouse.persist.opening import reason_of
from taphouse.value import Value

__all__ = ["Place", "check_place", "failure_of", "judge", "place_of"]

_LOCKS: Final = (
    "its locks do not hold between machines or are lost unseen, so two servers could write one tap"
)
_SYNCS: Final = "its syncs return before the data is safe"

_UNFIT: Final = {
    **dict.fromkeys(("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "coda", "9p", "drvfs"), _LOCKS),
    **dict.fromkeys(("ceph", "lustre", "beegfs", "orangefs", "pvfs2", "vboxsf", "prl_fs", "vmhgfs"), _LOCKS),
    **dict.fromkeys(
        (
            "fuse.sshfs",
            "fuse.glusterfs",
            "fuse.ceph",
            "fuse.ceph-fuse",
            "fuse.mfs",
            "fuse.moosefs",
            "fuse.juicefs",
            "fuse.seaweedfs",
            "fuse.vmhgfs-fuse",
        ),
        _LOCKS,
    ),
    **dict.fromkeys(
        (
            "davfs",
            "fuse.davfs",
            "fuse.s3fs",
            "fuse.goofys",
            "fuse.mount-s3",
            "fuse.gcsfuse",
            "fuse.blobfuse",
            "fuse.blobfuse2",
            "fuse.rclone",
            "fuse.curlftpfs",
            "fuse.gvfsd-fuse",
            "fuse.google-drive-ocamlfuse",
        ),
        _SYNCS,
    ),
}
"""Type of a file system, as mountinfo has it -> why no state lies there."""

_CURES: Final = {
    errno.ENOSPC: "free space on its disk",
    errno.EDQUOT: "raise the quota of its user, or free space",
    errno.EROFS: "mount its disk for writing again; the kernel's log says why it is not",
    errno.ESTALE: "bring its files back under their names, and leave those of a running server alone",
}
_LOOK: Final = "the kernel's log says what is wrong with its disk"


class Place(Value):
    """Where a folder lies.

    Args:
        kind: type of the file system, such as ``ext4`` or ``fuse.sshfs``; empty if unknown.
        mount: where it is mounted.
    """

    kind: str = ""
    mount: str = ""


def place_of(mountinfo: str, folder: str) -> Place:
    """Find ``folder``, a real path, in the text of a mountinfo file, see proc(5)."""
    found = Place()
    for line in mountinfo.splitlines():
        # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
        fields, _, rest = line.partition(" - ")
        words, kind = fields.split(" "), rest.partition(" ")[0]
        if len(words) < 6 or not kind:
            continue
        mount = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), words[4])
        inside = folder == mount or folder.startswith(mount.rstrip("/") + "/")
        # Of two mounts on one another, the later one is seen.
        if inside and len(mount) >= len(found.mount):
            found = Place(kind, mount)
    return found


def judge(place: Place) -> str:
    """Return a warning if nobody knows what the file system is worth, else nothing.

    Raises:
        ConfigurationError: if it is known not to do.
    """
    why = _UNFIT.get(place.kind)
    if why is not None:
        raise ConfigurationError(
            f"{place.mount} is {place.kind}: {why}",
            cure="keep the state on a local disk (--state, -d)",
        )
    if place.kind.startswith("fuse") or place.kind == "virtiofs":
        return (
            f"{place.mount} is {place.kind}: whether a sync reaches a disk is up to the program behind it;"
            " a power cut may take what clients were told"
        )
    return ""


def check_place(folder: Path) -> str:
    """See that a state may lie in ``folder``, before anything is touched there.

    Returns:
        A warning for the log, or "".

    Raises:
        ConfigurationError: if it lies where neither locks nor syncs can be trusted.
        CannotCreateError: if it may only be read.
    """
    try:
        mountinfo = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
        read_only = bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    except OSError:
        return ""  # in a chroot, or the folder is missing, which others say better
    place = place_of(mountinfo, os.path.realpath(folder))
    warning = judge(place)
    if read_only:
        raise CannotCreateError(
            f"{folder} is mounted read-only",
            cure="mount it for writing, or keep the state elsewhere (--state, -d)",
        )
    return warning


def failure_of(path: Path, step: str, error: Exception) -> StorageError:
    """Return what to tell the operator about a failure of the storage: what, and what to do.

    Args:
        path: of the tap.
        step: what was being done.
        error: as SQLite or the system gave it; SQLite keeps the system's reason for itself.
    """
    reason, code = reason_of(error), getattr(error, "errno", None)
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_FULL":
        code = errno.ENOSPC
    elif name == "SQLITE_READONLY_DBMOVED":
        code, reason = errno.ESTALE, f"{path.name} was moved, removed or replaced by somebody else"
    elif code is None and (code := _try(path.parent)):
        reason = f"{reason}: {os.strerror(code)}"
    cure = _CURES.get(code or 0, _LOOK)
    return StorageError(f"{path}: {step}: {reason}", cure=f"the tap is intact as of the last commit; {cure}")


def _try(folder: Path) -> int:
    """Write a little into a file without a name, no sync; return the errno of what fails, or 0."""
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, bytes(4096))
        finally:
            os.close(descriptor)
    except OSError as error:
        known = error.errno in _CURES
        return error.errno or 0 if known else 0
    return 0

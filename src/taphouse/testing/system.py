"""A fake operating system: what a daemon asks of Linux, answered from memory.

Has the methods of the daemon room's ``System`` and behaves as fork(2), setsid(2),
setresuid(2), umask(2), flock(2) and their kin do, with nothing real behind it:
ids change in the object, files are entries in a dict, time passes when somebody
sleeps, and every call is written down in ``calls``.  It must never import what
it is handed to, nor touch the machine.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FakeAccount", "FakeExit", "FakeSystem"]

_FIRST_FD = 3
_ALL_CAPABILITIES = frozenset(range(41))


class FakeExit(BaseException):
    """``exit_now`` was called: the process would be gone.  Not an Exception, as nothing may catch it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class FakeAccount:
    """A line of the fake account database, see passwd(5)."""

    name: str
    uid: int
    gid: int
    home: str = "/"


@dataclass
class _Pipe:
    content: bytearray = field(default_factory=bytearray)
    writers: int = 1


class FakeSystem:
    """An operating system in memory.

    Args:
        uid: user id at the beginning; 0 is root.
        gid: group id at the beginning.
        accounts: the account database.
        groups: the group database, name -> number.
        forks: what each call of ``fork`` returns: 0 goes on as the child, a number as its parent.

    Attributes:
        calls: (name, arguments) of every call that changes something.
        files: path -> mode (see stat(2)) and owner of what ``lstat`` finds.
        held: paths or descriptors that another process has locked.
    """

    def __init__(
        self,
        *,
        uid: int = 1000,
        gid: int = 1000,
        accounts: Iterable[FakeAccount] = (),
        groups: dict[str, int] | None = None,
        forks: Iterable[int] = (),
    ) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.files: dict[str, tuple[int, int]] = {"/": (stat.S_IFDIR | 0o755, 0)}
        self.held: set[int] = set()
        self.ended: set[int] = set()
        self.threads = 1
        self.pid = 100
        self.session = 1
        self.mask = 0o022
        self.directory = "/"
        self.root = "/"
        self.blocked: set[Any] = set()
        self.capabilities = _ALL_CAPABILITIES if uid == 0 else frozenset()
        self.bounding_set = _ALL_CAPABILITIES
        self.is_subreaper = False
        self._ids = (uid, uid, uid)
        self._group_ids = (gid, gid, gid)
        self._groups = [gid]
        self._accounts = list(accounts)
        self._group_names = dict(groups or {})
        self._forks = list(forks)
        self._next_fd = _FIRST_FD
        self._pipes: dict[int, _Pipe] = {}
        self._open: set[int] = {0, 1, 2}
        self._locked: set[int] = set()
        self._now = 0.0
        self._keep_capabilities = False
        self._no_new_privileges = False

    def _note(self, name: str, *arguments: Any) -> None:
        self.calls.append((name, arguments))

    def called(self, name: str) -> list[tuple[Any, ...]]:
        """Return the arguments of every call of ``name``, in order."""
        return [arguments for called, arguments in self.calls if called == name]

    # -- processes

    def getpid(self) -> int:
        return self.pid

    def fork(self) -> int:
        self._note("fork")
        if not self._forks:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        answer = self._forks.pop(0)
        if answer == 0:
            self.pid += 1
        return answer

    def setsid(self) -> None:
        if self.session == self.pid:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        self._note("setsid")
        self.session = self.pid

    def exit_now(self, code: int) -> None:
        self._note("exit_now", code)
        raise FakeExit(code)

    def waitpid(self, pid: int, *, block: bool = True) -> tuple[int, int]:
        self._note("waitpid", pid)
        if pid in self.ended or block:
            return pid, 0
        return 0, 0

    def wait_end(self, pid: int, timeout: float) -> bool:
        if pid not in self.ended:
            self._now += timeout
        return pid in self.ended

    def killpg(self, group: int, number: int) -> None:
        self._note("killpg", group, number)
        self.ended.add(group)

    def become_subreaper(self) -> None:
        self._note("become_subreaper")
        self.is_subreaper = True

    def thread_count(self) -> int:
        return self.threads

    # -- descriptors and files

    def _new_fd(self) -> int:
        fd, self._next_fd = self._next_fd, self._next_fd + 1
        self._open.add(fd)
        return fd

    def _check_open(self, fd: int) -> None:
        if fd not in self._open:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def pipe(self) -> tuple[int, int]:
        pipe = _Pipe()
        ends = self._new_fd(), self._new_fd()
        self._pipes[ends[0]] = self._pipes[ends[1]] = pipe
        return ends

    def read(self, fd: int, size: int) -> bytes:
        self._check_open(fd)
        pipe = self._pipes[fd]
        data = bytes(pipe.content[:size])
        del pipe.content[:size]
        return data

    def write(self, fd: int, data: bytes) -> int:
        self._check_open(fd)
        if fd in self._pipes:
            self._pipes[fd].content += data
        else:
            self._note("write", fd, bytes(data))
        return len(data)

    def close(self, fd: int) -> None:
        self._check_open(fd)
        self._open.discard(fd)
        self._locked.discard(fd)  # the kernel lets go of a lock with its last descriptor
        pipe = self._pipes.pop(fd, None)
        if pipe is not None:
            pipe.writers = 0

    def wait_readable(self, fd: int, timeout: float) -> bool:
        self._check_open(fd)
        pipe = self._pipes[fd]
        if pipe.content or not pipe.writers:
            return True
        self._now += timeout
        return False

    def open_null(self) -> int:
        return self._new_fd()

    def dup2(self, fd: int, target: int) -> None:
        self._check_open(fd)
        self._note("dup2", fd, target)
        self._open.add(target)

    def flock(self, fd: int, operation: int) -> bool:
        if operation & fcntl.LOCK_UN:
            self._locked.discard(fd)
            return True
        if fd in self.held:
            return False
        self._locked.add(fd)
        return True

    def lstat(self, path: str) -> os.stat_result:
        try:
            mode, owner = self.files[path]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
        return os.stat_result((mode, 1, 1, 1, owner, owner, 0, 0, 0, 0))

    def chdir(self, path: str) -> None:
        self._note("chdir", path)
        self.directory = path

    def chroot(self, path: str) -> None:
        self._check_root()
        self._note("chroot", path)
        self.root = path

    def umask(self, mask: int) -> int:
        self._note("umask", mask)
        before, self.mask = self.mask, mask
        return before

    # -- time

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds

    # -- who we are

    def _check_root(self) -> None:
        if self._ids[1] != 0:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    def geteuid(self) -> int:
        return self._ids[1]

    def getresuid(self) -> tuple[int, int, int]:
        return self._ids

    def getresgid(self) -> tuple[int, int, int]:
        return self._group_ids

    def getgroups(self) -> list[int]:
        return list(self._groups)

    def setgroups(self, groups: list[int]) -> None:
        self._check_root()
        self._note("setgroups", tuple(groups))
        self._groups = list(groups)

    def setresgid(self, gid: int) -> None:
        self._check_root()
        self._note("setresgid", gid)
        self._group_ids = (gid, gid, gid)

    def setresuid(self, uid: int) -> None:
        self._check_root()
        self._note("setresuid", uid)
        self._ids = (uid, uid, uid)
        if uid != 0 and not self._keep_capabilities:
            self.capabilities = frozenset()

    def try_become_root(self) -> str:
        return "setuid" if 0 in self._ids else ""

    def find_account(self, user: str | int) -> FakeAccount | None:
        for account in self._accounts:
            if user in (account.name, account.uid):
                return account
        return None

    def find_group(self, group: str) -> int | None:
        return self._group_names.get(group)

    def group_list(self, user: str, gid: int) -> list[int]:
        return [gid]

    # -- capabilities (7)

    def permitted_capabilities(self) -> int:
        return sum(1 << number for number in self.capabilities)

    def drop_bounding_set(self, keep: frozenset[int]) -> None:
        self._note("drop_bounding_set", keep)
        self.bounding_set &= keep

    def keep_capabilities(self) -> None:
        self._note("keep_capabilities")
        self._keep_capabilities = True

    def set_capabilities(self, keep: frozenset[int]) -> None:
        if not keep <= self.capabilities:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        self._note("set_capabilities", keep)
        self.capabilities = frozenset(keep)

    def set_no_new_privileges(self) -> None:
        self._note("set_no_new_privileges")
        self._no_new_privileges = True

    def has_no_new_privileges(self) -> bool:
        return self._no_new_privileges

    # -- signals

    def block_signals(self, numbers: set[Any]) -> None:
        self.blocked |= numbers

    def unblock_signals(self, numbers: set[Any]) -> None:
        self.blocked -= numbers

"""The operating system as one object, so that a test can hand in another.

Every call of the daemon room that changes the process for good (fork, setsid,
chroot, ids, capabilities) goes through here; what only reads or writes a file
does not need to.  This module must never decide anything: one method, one call.
"""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import select
import signal
import time
from collections.abc import Callable

from taphouse.daemon.process import count_threads, wait_gone
from taphouse.value import Value

__all__ = ["Account", "System"]

# prctl(2), <linux/prctl.h>; ctypes passes them unchecked, so they stand here by name.
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_GET_NO_NEW_PRIVS = 39
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_LINUX_CAPABILITY_VERSION_3 = 0x20080522


class Account(Value):
    """A line of the account database, see passwd(5)."""

    name: str
    uid: int
    gid: int
    home: str


class System:
    """What a daemon asks of Linux; each method is the call of the same name unless it says more."""

    # -- processes ---------------------------------------------------------

    def getpid(self) -> int:
        """Return our process id."""
        return os.getpid()

    def fork(self) -> int:
        """Fork: 0 in the child, its process id in the parent."""
        return os.fork()

    def setsid(self) -> None:
        """Make a new session: leave the terminal and the process group."""
        os.setsid()

    def exit_now(self, code: int) -> None:
        """_exit(2): no atexit, no finalizers, no flush; the only safe end of a forked half."""
        os._exit(code)

    def waitpid(self, pid: int, *, block: bool = True) -> tuple[int, int]:
        """Reap a child; without ``block`` it returns ``(0, 0)`` when nobody has ended."""
        return os.waitpid(pid, 0 if block else os.WNOHANG)

    def wait_end(self, pid: int, timeout: float) -> bool:
        """Say whether process ``pid`` has ended within ``timeout`` seconds; a zombie has."""
        return wait_gone(pid, timeout=timeout)

    def killpg(self, group: int, number: int) -> None:
        """Send signal ``number`` to every process of ``group``; nobody there is no error."""
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            pass

    def become_subreaper(self) -> None:
        """prctl(PR_SET_CHILD_SUBREAPER): grandchildren whose parent ends become our children."""
        self._prctl(_PR_SET_CHILD_SUBREAPER, 1)

    def thread_count(self) -> int:
        """Return how many threads this process has, Python's and others'."""
        try:
            return count_threads()
        except OSError:  # no /proc: macOS, an empty chroot
            import threading

            return threading.active_count()

    # -- descriptors and files ---------------------------------------------

    def pipe(self) -> tuple[int, int]:
        """pipe2(2) with O_CLOEXEC: read end, write end."""
        return os.pipe()

    def read(self, fd: int, size: int) -> bytes:
        """Read at most ``size`` bytes; none at the end."""
        return os.read(fd, size)

    def write(self, fd: int, data: bytes) -> int:
        """Write some of ``data``; return how much."""
        return os.write(fd, data)

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)

    def wait_readable(self, fd: int, timeout: float) -> bool:
        """poll(2): say whether ``fd`` has bytes or its end within ``timeout`` seconds."""
        poll = select.poll()
        poll.register(fd, select.POLLIN | select.POLLHUP)
        return bool(poll.poll(max(0, round(timeout * 1000))))

    def open_null(self) -> int:
        """Open /dev/null for reading and writing."""
        return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)

    def dup2(self, fd: int, target: int) -> None:
        """Make ``target`` the same open file as ``fd``; programs we execute inherit it."""
        os.dup2(fd, target, inheritable=True)

    def flock(self, fd: int, operation: int) -> bool:
        """Lock or unlock without waiting; say whether we have the lock now."""
        try:
            fcntl.flock(fd, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def lstat(self, path: str) -> os.stat_result:
        """Look at a file, not at what a link points to."""
        return os.lstat(path)

    def chdir(self, path: str) -> None:
        """Change the working directory."""
        os.chdir(path)

    def chroot(self, path: str) -> None:
        """Make ``path`` the root directory."""
        os.chroot(path)

    def umask(self, mask: int) -> int:
        """Set the file mode mask, return the one before."""
        return os.umask(mask)

    # -- time --------------------------------------------------------------

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait ``seconds``."""
        time.sleep(seconds)

    # -- who we are --------------------------------------------------------

    def geteuid(self) -> int:
        """Effective user id."""
        return os.geteuid()

    def getresuid(self) -> tuple[int, int, int]:
        """Real, effective and saved user id."""
        return os.getresuid()

    def getresgid(self) -> tuple[int, int, int]:
        """Real, effective and saved group id."""
        return os.getresgid()

    def getgroups(self) -> list[int]:
        """Supplementary group ids."""
        return os.getgroups()

    def setgroups(self, groups: list[int]) -> None:
        """Replace the supplementary groups."""
        os.setgroups(groups)

    def setresgid(self, gid: int) -> None:
        """Make ``gid`` the real, effective and saved group id."""
        os.setresgid(gid, gid, gid)

    def setresuid(self, uid: int) -> None:
        """Make ``uid`` the real, effective and saved user id."""
        os.setresuid(uid, uid, uid)

    def try_become_root(self) -> str:
        """Try every way back to root; return the name of one that worked, or ``""``."""
        ways: tuple[tuple[str, Callable[[], None]], ...] = (
            ("setuid", lambda: os.setuid(0)),
            ("seteuid", lambda: os.seteuid(0)),
            ("setgid", lambda: os.setgid(0)),
            ("setegid", lambda: os.setegid(0)),
            ("setgroups", lambda: os.setgroups([0])),
        )
        for name, attempt in ways:
            try:
                attempt()
            except PermissionError:
                continue
            return name
        return ""

    def find_account(self, user: str | int) -> Account | None:
        """Look an account up by name or number, see getpwnam(3)."""
        try:
            found = pwd.getpwnam(user) if isinstance(user, str) else pwd.getpwuid(user)
        except (KeyError, OverflowError):
            return None
        return Account(found.pw_name, found.pw_uid, found.pw_gid, found.pw_dir)

    def find_group(self, group: str) -> int | None:
        """Look a group's number up, see getgrnam(3)."""
        try:
            return grp.getgrnam(group).gr_gid
        except KeyError:
            return None

    def group_list(self, user: str, gid: int) -> list[int]:
        """Every group of ``user`` and ``gid``, see getgrouplist(3)."""
        return os.getgrouplist(user, gid)

    # -- capabilities (7) ----------------------------------------------------

    def permitted_capabilities(self) -> int:
        """Return the bit mask of permitted capabilities of this thread; needs no /proc."""
        words = self._capability_call("capget", [0] * 6)
        return words[1] | words[4] << 32

    def drop_bounding_set(self, keep: frozenset[int]) -> None:
        """Remove every capability not in ``keep`` from what exec(2) may ever give us again."""
        for number in range(64):
            try:
                is_there = self._prctl(_PR_CAPBSET_READ, number)
            except OSError:  # EINVAL: this kernel has no more
                return
            if is_there and number not in keep:
                self._prctl(_PR_CAPBSET_DROP, number)

    def keep_capabilities(self) -> None:
        """prctl(PR_SET_KEEPCAPS): let permitted capabilities survive the next setresuid."""
        self._prctl(_PR_SET_KEEPCAPS, 1)

    def set_capabilities(self, keep: frozenset[int]) -> None:
        """capset(2): hold exactly ``keep``, and hand them to programs we execute (ambient)."""
        mask = sum(1 << number for number in keep)
        low, high = mask & 0xFFFFFFFF, mask >> 32
        # effective, permitted, inheritable; first the low halves, then the high ones
        self._capability_call("capset", [low, low, low, high, high, high])
        self._prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
        for number in keep:
            self._prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number)

    def set_no_new_privileges(self) -> None:
        """prctl(PR_SET_NO_NEW_PRIVS): set-uid programs give nothing to us or our children."""
        self._prctl(_PR_SET_NO_NEW_PRIVS, 1)

    def has_no_new_privileges(self) -> bool:
        """Say whether :meth:`set_no_new_privileges` holds."""
        return self._prctl(_PR_GET_NO_NEW_PRIVS, 0) == 1

    def _prctl(self, option: int, value: int, third: int = 0) -> int:
        # Imported here: most servers never drop anything, and ctypes costs milliseconds of every start.
        import ctypes

        words = [ctypes.c_ulong(word) for word in (value, third, 0, 0)]
        library = ctypes.CDLL(None, use_errno=True)
        return self._check(library.prctl(ctypes.c_int(option), *words), ctypes.get_errno(), f"prctl {option}")

    def _capability_call(self, name: str, words: list[int]) -> list[int]:
        import ctypes

        header = (ctypes.c_uint32 * 2)(_LINUX_CAPABILITY_VERSION_3, 0)
        data = (ctypes.c_uint32 * 6)(*words)
        call = getattr(ctypes.CDLL(None, use_errno=True), name)
        self._check(call(ctypes.byref(header), ctypes.byref(data)), ctypes.get_errno(), name)
        return list(data)

    @staticmethod
    def _check(result: int, number: int, call: str) -> int:
        if result < 0:
            raise OSError(number, f"{call}: {os.strerror(number)}")
        return result

    # -- signals -----------------------------------------------------------

    def block_signals(self, numbers: set[signal.Signals]) -> None:
        """pthread_sigmask(3): hold these signals back until they are unblocked."""
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def unblock_signals(self, numbers: set[signal.Signals]) -> None:
        """Deliver these signals again, and those that waited."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)

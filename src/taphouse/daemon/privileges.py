"""Privileges: give them up for good, in the one order that works, and prove it.

The order and what each step prevents is measured: groups before user (else root's
groups stay), the bounding set while still root, capabilities and prctl(2) while
there is one thread (they are per thread).  This module must never bind, open or
import anything for the server.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Callable, Sequence

from taphouse.daemon.identity import Identity
from taphouse.daemon.paths import check_trusted
from taphouse.daemon.pidfile import rebase_pidfiles
from taphouse.daemon.preload import preload
from taphouse.daemon.system import System
from taphouse.errors import ConfigurationError, InternalError, NotPermittedError, UsageError

__all__ = ["CAP_NET_BIND_SERVICE", "DROP_STEPS", "drop_privileges", "enter_chroot", "parse_umask"]

CAP_NET_BIND_SERVICE = 10
"""capabilities(7): bind ports below 1024 after the drop."""

_logger = logging.getLogger("taphouse")
_Step = Callable[[System, Identity, frozenset[int]], None]


def drop_privileges(
    identity: Identity, *, keep: frozenset[int] = frozenset(), system: System | None = None
) -> bool:
    """Become ``identity``, with no way back.

    Args:
        identity: whom to become.
        keep: numbers of capabilities to keep, see :data:`CAP_NET_BIND_SERVICE`.
        system: the operating system.

    Returns:
        True if ids were changed, False if we were that user already.

    Raises:
        NotPermittedError: we are not root, or the check afterwards found a way back (77).
        InternalError: there is a second thread, which would keep its privileges.
    """
    system = system or System()
    if system.geteuid() != 0:
        if set(system.getresuid()) == {identity.uid} and set(system.getresgid()) == {identity.gid}:
            return False
        raise NotPermittedError(
            f"only root can become user {identity.uid}", cure="start it as root, or leave --uid out"
        )
    for step in DROP_STEPS:
        try:
            step(system, identity, keep)
        except OSError as problem:
            name = step.__name__.strip("_").replace("_", " ")
            raise NotPermittedError(
                f"cannot become user {identity.uid}: {name}: {os.strerror(problem.errno or 0)}",
                cure="check the limits of this container or unit",
            ) from None
    _warn_of_unreadable_python(identity)
    return True


def _warn_of_unreadable_python(identity: Identity) -> None:
    """A Python in root's home is common, and a module that cannot be found later is a riddle."""
    library = os.path.dirname(os.__file__)
    try:
        os.stat(os.path.join(library, "os.py"))
    except PermissionError:
        _logger.warning(
            "user %s cannot read Python's own library in %s: what is imported from now on will not be found; "
            "use a Python that this user can read",
            identity.name or identity.uid,
            library,
        )
    except OSError:
        pass  # in a chroot it is not there at all, as is documented


def _check_single_thread(system: System, identity: Identity, keep: frozenset[int]) -> None:
    if system.thread_count() > 1:
        raise InternalError(
            f"privileges cannot be dropped to user {identity.uid}: there is a second thread already",
            cure="start no thread while a module is imported",
        )


def _drop_bounding_set(system: System, identity: Identity, keep: frozenset[int]) -> None:
    system.drop_bounding_set(keep)
    if keep:
        system.keep_capabilities()


def _set_groups(system: System, identity: Identity, keep: frozenset[int]) -> None:
    system.setgroups(list(identity.groups))


def _set_group_id(system: System, identity: Identity, keep: frozenset[int]) -> None:
    system.setresgid(identity.gid)


def _set_user_id(system: System, identity: Identity, keep: frozenset[int]) -> None:
    system.setresuid(identity.uid)


def _set_capabilities(system: System, identity: Identity, keep: frozenset[int]) -> None:
    system.set_capabilities(keep)


def _set_no_new_privileges(system: System, identity: Identity, keep: frozenset[int]) -> None:
    system.set_no_new_privileges()


def _set_environment(system: System, identity: Identity, keep: frozenset[int]) -> None:
    os.environ["HOME"] = identity.home
    for variable in ("USER", "LOGNAME"):
        os.environ[variable] = identity.name or str(identity.uid)


def _verify(system: System, identity: Identity, keep: frozenset[int]) -> None:
    mask = sum(1 << number for number in keep)
    found = {
        "user ids": (set(system.getresuid()), {identity.uid}),
        "group ids": (set(system.getresgid()), {identity.gid}),
        "supplementary groups": (set(system.getgroups()) | {identity.gid}, set(identity.groups)),
        "capabilities": (system.permitted_capabilities(), mask),
        "no_new_privs": (system.has_no_new_privileges(), True),
        "ways back to root": (system.try_become_root(), ""),
    }
    for what, (is_, wanted) in found.items():
        if is_ != wanted:
            raise NotPermittedError(
                f"dropping privileges to user {identity.uid} failed: "
                f"{what} are {is_!r} instead of {wanted!r}",
                cure="nothing was served; check the limits of this container or unit",
            )


DROP_STEPS: tuple[_Step, ...] = (
    _check_single_thread,
    _drop_bounding_set,
    _set_groups,
    _set_group_id,
    _set_user_id,
    _set_capabilities,
    _set_no_new_privileges,
    _set_environment,
    _verify,
)
"""What :func:`drop_privileges` does, in order."""


def enter_chroot(path: str, *, packages: Sequence[str] = (), system: System | None = None) -> str:
    """Make ``path`` the root directory, and the working directory.

    What the application imports must have been imported; :func:`preload` does that for taphouse,
    for Python's own lazy parts and for ``packages``.  Alone it is no boundary for root: drop
    privileges right after.

    Args:
        path: the directory.
        packages: more packages to load whole.
        system: the operating system.

    Returns:
        The absolute path it had before.

    Raises:
        ConfigurationError: there is no such directory (78).
        NotPermittedError: we are not root, others can write it, or a descriptor leads out of it (77).
    """
    system = system or System()
    full = os.path.realpath(path)
    if not os.path.isdir(full):
        raise ConfigurationError(f"--chroot {full} is not a directory", cure="create it, owned by root")
    if system.geteuid() != 0:
        raise NotPermittedError("only root can use --chroot", cure="start it as root, or leave it out")
    check_trusted(full, "--chroot", trusted=frozenset(), system=system)
    for fd in _open_directories():
        raise NotPermittedError(
            f"--chroot {full}: the open directory {fd} would lead out of it",
            cure="close directories that modules open on import",
        )
    preload(*packages)
    system.chroot(full)
    system.chdir("/")
    rebase_pidfiles(full)
    return full


def _open_directories() -> list[str]:
    """Names of directories we hold open: with one, fchdir(2) leaves any chroot."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one listdir itself had
            if stat.S_ISDIR(os.fstat(int(name)).st_mode):
                found.append(os.readlink(f"/proc/self/fd/{name}"))
    return found


def parse_umask(text: str) -> int:
    """Read an octal file mode mask, ``"027"``.

    Raises:
        UsageError: it is none.
    """
    try:
        mask = int(text, 8)
    except ValueError:
        mask = -1
    if not 0 <= mask <= 0o777:
        raise UsageError(f"--umask {text!r:.20} is no octal mask", cure="use for example 027")
    return mask

"""Every error a caller may catch, sorted by who must act.

Each class carries the sysexits(3) code a command ends with when the error
reaches it, so that no command needs a table of its own.  An error is one line:
what is wrong, with its file, option or port named, then the cure.  This module
must never know anything else of taphouse.
"""

from __future__ import annotations

__all__ = [
    "AddressError",
    "AlreadyRunningError",
    "CannotCreateError",
    "ClassIdentityError",
    "ConfigurationError",
    "InternalError",
    "ModuleRefusedError",
    "NotDurableError",
    "NotPermittedError",
    "StateExistsError",
    "StorageError",
    "TapError",
    "TaphouseError",
    "UpgradeError",
    "UsageError",
    "WrongThreadError",
]


class TaphouseError(Exception):
    """The root of all errors taphouse raises on purpose.

    Args:
        message: one line that names what is wrong (file, option, port, path).
        cure: one phrase that says what to do about it, or empty.
    """

    exit_code = 70
    """The sysexits(3) code of a command that ends with this error."""

    def __init__(self, message: str, *, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.message}; {self.cure}" if self.cure else self.message


class UsageError(TaphouseError):
    """The command line asks for something that does not exist (64, EX_USAGE)."""

    exit_code = 64


class AddressError(TaphouseError):
    """An address cannot be listened on: busy, or not of this machine (69, EX_UNAVAILABLE)."""

    exit_code = 69


class InternalError(TaphouseError):
    """The program, not the operator, is at fault (70, EX_SOFTWARE)."""


class NotDurableError(TaphouseError, TypeError):
    """A value that no tap can hold was put into durable state (70).

    The message starts with the path of the value, ``otk.Keys#1.cache``.
    """


class WrongThreadError(TaphouseError, RuntimeError):
    """Durable state was written from a thread that does not own it (70)."""


class CannotCreateError(TaphouseError):
    """A file that has to be made cannot be made (73, EX_CANTCREAT)."""

    exit_code = 73


class StorageError(TaphouseError):
    """The storage failed while state was being written (74, EX_IOERR)."""

    exit_code = 74


class AlreadyRunningError(TaphouseError):
    """Another process holds the tap, the pidfile or the name (75, EX_TEMPFAIL)."""

    exit_code = 75


class NotPermittedError(TaphouseError):
    """The system does not allow it, or allowing it would be unsafe (77, EX_NOPERM)."""

    exit_code = 77


class ConfigurationError(TaphouseError):
    """What was configured cannot be run (78, EX_CONFIG)."""

    exit_code = 78


class ModuleRefusedError(ConfigurationError):
    """A module that a tap names is missing, not allowed, or shadows another."""


class TapError(ConfigurationError):
    """A tap is damaged, foreign, from a newer version, or not whole.

    Args:
        message: what is wrong.
        path: the tap's file name.
        where: table and row, or byte offset, of the damage; empty if it is the whole file.
        cure: what to do.
    """

    def __init__(self, message: str, *, path: str = "", where: str = "", cure: str = "") -> None:
        place = f"{path}: " if path else ""
        place += f"{where}: " if where else ""
        super().__init__(place + message, cure=cure)
        self.path = path
        self.where = where


class StateExistsError(TapError):
    """A seed was started where newer state of the same application lies."""


class ClassIdentityError(TapError):
    """A class that a tap names is gone, renamed, or newer than the code installed."""


class UpgradeError(ClassIdentityError):
    """A step from an older version of a class to the installed one is missing or failed."""


def where(error: BaseException, *, skip: str = "") -> str:
    """Return ``ZeroDivisionError: division by zero (/x/otk.py line 3)``: an error and the line it came from.

    Args:
        error: what somebody's code has raised.
        skip: files whose path begins so are not to blame: who called that code.
    """
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename} line {error.lineno})"
    trace = error.__traceback__
    place = ""
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if "importlib" not in filename and not (skip and filename.startswith(skip)):
            place = f" ({filename} line {trace.tb_lineno})"
        trace = trace.tb_next
    return text + place

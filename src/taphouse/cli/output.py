"""What a command says when it cannot go on, and the status it ends with.

Turns every error into one line on standard error and a sysexits(3) code.  It
must never know what a command does, and it must never print a traceback unless
the operator asked for one.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import TextIO

from taphouse.errors import StorageError, TaphouseError

__all__ = ["EX_OK", "describe_error", "end_with", "one_line", "run_command", "say", "take_uncaught_errors"]

EX_OK = 0
_EX_SOFTWARE = 70
_FULL_OR_FAILING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
_EX_INTERRUPTED = 130  # what a shell reports for a command that SIGINT ended


def one_line(text: str) -> str:
    """Return ``text`` on one line: no line breaks, no control characters a terminal would obey.

    File names and values of a hostile tap end up in messages; an escape
    sequence in them must not repaint the operator's terminal.
    """
    return "".join(
        character if character.isprintable() else " " if character.isspace() else _escaped(character)
        for character in " ".join(text.split("\n"))
    ).strip()


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def describe_error(error: BaseException, *, hint: str = "") -> tuple[str, int]:
    """Return the line that tells ``error`` and the exit code that goes with it.

    Args:
        error: what ended the command.
        hint: where to find more about an error that is not ours, such as
            ``"run with --debug for the traceback"``.
    """
    if isinstance(error, TaphouseError):
        return one_line(str(error)), error.exit_code
    if isinstance(error, OSError) and error.errno in _FULL_OR_FAILING:
        # What rooms write, they tell of themselves: this is the command's own output, or a scratch file.
        place = f"{error.filename}" if error.filename else "writing the output"
        return one_line(f"{place}: {error.strerror}"), StorageError.exit_code
    text = one_line(f"internal error: {type(error).__name__}: {error}"[:2000])
    return (f"{text}; {hint}" if hint else text), _EX_SOFTWARE


def say(command: str, line: str, *, stream: TextIO | None = None) -> None:
    """Write ``command: line`` to standard error (or ``stream``), never failing if nobody reads it."""
    out = sys.stderr if stream is None else stream
    try:
        print(f"{command}: {line}", file=out, flush=True)
    except (OSError, ValueError, AttributeError):
        # A closed or missing stderr (a daemon's parent gone, 2>&-) must not
        # change the exit code, which is all that is left to tell the reason.
        pass


def run_command(command: str, function: Callable[[], int | None], *, debug: bool | None = None) -> int:
    """Call ``function`` and return the exit code for what happened.

    Args:
        command: the name errors are prefixed with.
        function: the command; returns its exit code, ``None`` for 0.
        debug: print tracebacks; default: if ``--debug`` or ``-b`` was given.
    """
    wants_traceback = debug if debug is not None else bool({"--debug", "-b"} & set(sys.argv[1:]))
    try:
        code = function()
        _flush_output()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else EX_OK if stop.code is None else _EX_SOFTWARE
    except KeyboardInterrupt:
        code = _EX_INTERRUPTED
    except BrokenPipeError:
        # `tap show x.tap | head`: the reader has seen enough.
        _point_output_away()
        code = EX_OK
    except BaseException as error:
        if wants_traceback:
            traceback.print_exc()
        line, code = describe_error(error, hint="run with --debug for the traceback")
        say(command, line)
        if isinstance(error, OSError) and error.filename is None and code == StorageError.exit_code:
            _point_output_away()
    return EX_OK if code is None else code


def end_with(code: int) -> int:
    """Return the exit code of this process; after a failure of the storage, end it right here.

    The interpreter waits for every thread of the application at its end, and one of them may wait for
    an answer that will not come.  A server that failed has to go, or nobody starts it anew.
    """
    if code == StorageError.exit_code and threading.active_count() > 1:
        try:
            _flush_output()
        finally:
            os._exit(code)
    return code


def _flush_output() -> None:
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def _point_output_away() -> None:
    # What is still in the buffer cannot be written; the interpreter tries once more at its end, and would
    # say so in its own words and with a status of its own, 120.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def take_uncaught_errors() -> None:
    """From now on let an uncaught taphouse error end a script in one line with its exit code.

    ``python otk.py`` that cannot save should end as ``twistd`` would: a line
    that names the path and status 70, not a traceback and status 1.  The
    errors stay ordinary exceptions for whoever catches them, and an
    interactive interpreter keeps its own hook.
    """
    if hasattr(sys, "ps1") or sys.flags.interactive or getattr(sys.excepthook, "taphouse", False):
        return
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, tb: object) -> None:
        if not isinstance(error, TaphouseError):
            before(kind, error, tb)  # type: ignore[arg-type]
            return
        line, code = describe_error(error)
        say(os.path.basename(sys.argv[0]) or "python", line)
        # CPython ends with this status when the hook itself raises SystemExit
        # (_PyErr_PrintEx handles it as at top level).
        raise SystemExit(code)

    hook.taphouse = True  # type: ignore[attr-defined]
    sys.excepthook = hook

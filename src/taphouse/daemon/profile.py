"""A profile of a run: ``-p FILE``.

Text, sorted by cumulative time, or with ``stats`` what :mod:`pstats` can load.
This module must never know what is profiled.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from taphouse.errors import CannotCreateError

__all__ = ["Profile"]


class Profile:
    """Profiles a ``with`` block on this thread, and writes the file when it ends, however it ends.

    Args:
        path: the file; made absolute at once and opened at once, so that a run is not made in vain.
        stats: write what :mod:`pstats` loads instead of text.

    Raises:
        CannotCreateError: the file cannot be written.
    """

    def __init__(self, path: str, *, stats: bool = False) -> None:
        # Imported here: nobody who does not ask for a profile pays for it.
        import cProfile
        import io
        import pstats

        self.path = os.path.abspath(path)
        self._stats = stats
        try:
            self._file = open(self.path, "wb")  # noqa: SIM115  closed by __exit__
        except OSError as problem:
            raise CannotCreateError(
                f"profile {self.path} cannot be written: {os.strerror(problem.errno or 0)}",
                cure="choose another --profile",
            ) from None
        self._profile = cProfile.Profile()
        self._text = io.StringIO()
        self._make_stats = pstats.Stats

    def __enter__(self) -> Self:
        self._profile.enable()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._profile.disable()
        with self._file as file:
            if self._stats:
                # A descriptor, because the path may be out of reach by now; dump_stats closes it.
                self._profile.dump_stats(os.dup(file.fileno()))  # type: ignore[arg-type]
            else:
                self._make_stats(self._profile, stream=self._text).sort_stats("cumulative").print_stats()
                file.write(self._text.getvalue().encode("utf-8", "backslashreplace"))

"""What takes part in a comparison: a name and a way to take one sample. Knows not how samples compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

Sample = Mapping[str, float]
"""The figures of one sample by metric name, for example ``{"requests_per_s": 71000.0, "cpu_us": 13.9}``."""


class BenchError(Exception):
    """A measurement that cannot be trusted: the run stops, nothing is written."""


class Unavailable(Exception):
    """This contestant cannot take part here; the text says why and what would help."""


Measure = Callable[[], Sample]


@dataclass(frozen=True, slots=True)
class Contestant:
    """One side of a comparison.

    ``standing`` is a context in which samples can be taken; it gives what takes one. A server stands for a
    few rounds, so that samples can be short and pairs close in time, which is what noise of a shared machine
    cancels in; whatever must start from nothing for every sample is made with :func:`afresh`. Everything is
    gone when the context ends. ``detail`` says what exactly ran (versions, options).
    """

    name: str
    standing: Callable[[], AbstractContextManager[Measure]]
    detail: str = ""


def afresh(measure: Measure) -> Callable[[], AbstractContextManager[Measure]]:
    """Return the ``standing`` of a contestant whose every sample starts from nothing and leaves nothing."""
    return lambda: nullcontext(measure)

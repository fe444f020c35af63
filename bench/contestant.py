"""What takes part in a comparison: a name and a way to take one sample. Knows not how samples compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Sample = Mapping[str, float]
"""The figures of one sample by metric name, for example ``{"requests_per_s": 71000.0, "cpu_us": 13.9}``."""


class BenchError(Exception):
    """A measurement that cannot be trusted: the run stops, nothing is written."""


class Unavailable(Exception):
    """This contestant cannot take part here; the text says why and what would help."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One side of a comparison.

    ``measure`` takes one sample: it starts from nothing (a fresh process) and leaves nothing behind, so that
    samples are independent of each other. ``detail`` says what exactly ran (versions, options).
    """

    name: str
    measure: Callable[[], Sample]
    detail: str = ""

"""Running one of our own load generators: C programs that say "warm", then their figures as JSON.

Knows that much of their manner; not what they ask.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence

from bench.contestant import BenchError, Sample
from bench.process import Running

LIMIT_S = 120.0


def generate(command: Sequence[str], server: Running, counted: str) -> tuple[Sample, dict[str, float]]:
    """Run a generator; return the figures of a sample, and all that it said.

    ``counted`` is the name of what it counts, "requests" or "connections". The processor time of the server
    counts from the end of the warm-up. A server_share near 1 means that the server was what was measured.
    Raises BenchError if a reply was wrong or missing.
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as generator:
        assert generator.stdout is not None
        try:
            first = generator.stdout.readline()
            cpu_before_s = server.cpu_s()
            figures, complaint = generator.communicate(timeout=LIMIT_S)
            cpu_s = server.cpu_s() - cpu_before_s
        except BaseException:
            generator.kill()
            raise
    if generator.returncode or first != "warm\n":
        raise BenchError(complaint.strip() or f"the generator ended with {generator.returncode}")
    found = json.loads(figures)
    if not found[counted]:
        raise BenchError(f"no {counted} in {found['seconds']:g} s")
    return {
        f"{counted}_per_s": found[counted] / found["seconds"],
        "server_cpu_us": cpu_s / found[counted] * 1e6,
        "server_share": cpu_s / found["seconds"],
        "load_share": found["load_cpu_s"] / found["seconds"],
        **{key: found[key] for key in found if key.endswith("_us")},
    }, found

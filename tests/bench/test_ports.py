"""A port that was promised stays promised: to nobody else, bound or not, while its process lives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import ports
from playground import TOP

pytestmark = pytest.mark.process


def running(code: str, temporary: Path | None = None) -> subprocess.Popen[str]:
    """Start a process that says something of ports, and waits for the end of its input."""
    return subprocess.Popen(
        [sys.executable, "-c", f"import sys; from bench import ports; {code}; sys.stdin.read()"],
        cwd=TOP,
        env={**os.environ, **({"TMPDIR": str(temporary)} if temporary else {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_a_port_that_one_process_was_given_is_given_to_no_other_though_nobody_has_bound_it() -> None:
    port = ports.free_port()
    with running(f"print(ports._is_promised({port}), flush=True)") as other:
        assert said(other) == "True"
        other.communicate()


def test_a_process_is_never_given_a_port_twice() -> None:
    assert ports._is_promised(ports.free_port())


def test_a_port_is_free_again_when_its_process_has_ended(tmp_path: Path) -> None:
    asking = "print(ports._is_promised({port}), flush=True)"
    with running("print(ports.free_port(), flush=True)", tmp_path) as first:
        port = said(first)
        with running(asking.format(port=port), tmp_path) as second:
            assert said(second) == "True"
            second.communicate()
        first.kill()
    with running(asking.format(port=port), tmp_path) as third:
        assert said(third) == "False"
        third.communicate()

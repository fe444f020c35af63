"""The playground that all tests with real processes use keeps its own promises."""

from __future__ import annotations

import sys

import pytest

from bench import ports
from playground import Playground

pytestmark = pytest.mark.process


def test_a_written_port_is_promised_once_however_often_it_is_asked_for(playground: Playground) -> None:
    port = playground.port(8123)
    before = len(ports._ours)
    assert [playground.port(8123) for _ in range(100)] == [port] * 100
    assert len(ports._ours) == before


def test_ports_are_replaced_in_text_and_numbers_stay_what_they_are(playground: Playground) -> None:
    say = (sys.executable, "-c", "import sys; print(*sys.argv[1:])")
    said = playground.run(*say, "--port=8123", "8123", 8123).stdout.split()
    port = str(playground.port(8123))
    assert said == [f"--port={port}", port, "8123"]


def test_what_is_started_while_the_playground_ends_is_ended_too() -> None:
    place = Playground()
    generations = """
import os, signal
for _ in range(3):
    if os.fork():
        signal.pause()
print("all here", flush=True)
signal.pause()
"""
    child = place.start(sys.executable, "-c", generations)
    assert child.stdout
    assert child.stdout.readline() == b"all here\n"
    assert len(place.running()) == 4
    listed, place.running = place.running, lambda: listed()[:1]  # type: ignore[method-assign]
    place.close()
    assert listed() == []


def test_what_a_command_says_of_a_slow_machine_is_nobodys_answer(playground: Playground) -> None:
    lines = ("twistd: not ready after 1 s, becoming a daemon; waiting", "twistd: a.tap: no such file")
    said = playground.run(
        sys.executable, "-c", "import sys; sys.exit('\\n'.join(sys.argv[1:]))", *lines, status=1
    )
    assert said.stderr == f"{lines[1]}\n"

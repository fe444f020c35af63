"""Processes are waited for without polling and ended by their own number."""

import subprocess
import sys

import pytest
from bench.contestant import BenchError
from bench.groups.idle import greeted
from bench.groups.startup import wait_detached
from bench.process import Running, end_process, wait_ended

pytestmark = pytest.mark.process

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


GROWING = """
print(flush=True)
input()
grown = bytearray(b"x" * 2**24)
sum(grown)
print(flush=True)
input()
"""


def test_the_status_of_an_ended_process_is_returned():
    assert wait_ended(subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"]), 20) == 7


def test_a_process_that_does_not_end_in_time_is_told():
    with subprocess.Popen(SLEEPER) as process:
        try:
            with pytest.raises(BenchError, match=r"has not ended after 0\.01 s"):
                wait_ended(process, 0.01)
        finally:
            process.kill()


def test_a_process_is_ended_by_its_number_and_gone_afterwards():
    with subprocess.Popen(SLEEPER) as process:
        end_process(process.pid)
        assert process.poll() == -15


def test_processor_time_and_memory_of_a_process_grow_with_its_work():
    with subprocess.Popen(
        [sys.executable, "-c", GROWING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        running = Running(process.pid)
        cpu_s, memory = running.cpu_s(), running.private_bytes()
        process.stdin.write("go\n")
        process.stdin.flush()
        process.stdout.readline()
        assert running.cpu_s() > cpu_s
        assert running.private_bytes() - memory >= 2**24
        process.stdin.write("end\n")


def test_a_daemon_whose_parent_fails_is_told_with_its_last_words(tmp_path):
    (tmp_path / "output").write_text("twistd: port 80: permission denied\n")
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(77)"])
    with pytest.raises(BenchError, match="ended with 77: twistd: port 80: permission denied"):
        wait_detached(process, 1, tmp_path)


def test_a_client_that_nobody_answers_is_told():
    with pytest.raises(BenchError, match="connection 0 got no reply: .*refused"):
        greeted(1, 0)

"""Clients of a server, on the machine that it runs on.

Each question is a connection of its own, and none is tried a second time.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from packages import PORT

from nspawn import PATIENCE_S, Machine

_ASK = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60) as connection:
    connection.sendall(b"next\\n")
    answer = b""
    while more := connection.recv(4096):
        answer += more
    print(answer.decode().strip())
"""
_LOAD = """
import json, os, socket, sys, threading, time
port, wanted, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
answers, failures, worst, late = [], [], 0.0, 0

def ask():
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"next\\n")
        answer = b""
        while more := connection.recv(4096):
            answer += more
    edition, number = answer.split()
    return int(edition), int(number)

def client():
    global worst, late
    while True:
        last = os.path.exists(folder + "/last")
        began = time.monotonic()
        try:
            answers.append(ask())
        except Exception as error:
            failures.append(f"after {time.monotonic() - began:.3f} s: {error!r}")
        worst = max(worst, time.monotonic() - began)
        late += last
        if len(answers) >= wanted // 4:  # of two that come at once neither may see itself as the last
            open(folder + "/warm", "w").close()
        if last and len(answers) + len(failures) >= wanted and late >= wanted // 4 or len(failures) > 100:
            return

began = time.monotonic()
clients = [threading.Thread(target=client) for _ in range(4)]
for each in clients:
    each.start()
for each in clients:
    each.join()
took = time.monotonic() - began
print(json.dumps({"answers": answers, "failures": failures, "worst_s": worst, "seconds": took}))
"""


class Load(NamedTuple):
    """What four clients saw.

    Args:
        answers: edition and number, in the order in which they came.
        failures: what went wrong instead of an answer.
        worst_s: the longest time that one waited.
        seconds: how long it all took.
    """

    answers: list[tuple[int, int]]
    failures: list[str]
    worst_s: float
    seconds: float

    def summary(self) -> str:
        """Return the figures on one line."""
        editions = sorted(Counter(edition for edition, _ in self.answers).items())
        return (
            f"{len(self.answers) + len(self.failures)} requests in {self.seconds:.1f} s, "
            f"{len(self.failures)} failed, the longest took {self.worst_s:.3f} s; "
            + ", ".join(f"{count} answers of edition {edition}" for edition, count in editions)
        )


def ask(host: Machine, port: int = PORT) -> str:
    """Connect, ask once, return the answer."""
    return host.run("python3", "-c", _ASK, str(port)).stdout.strip()


def number(host: Machine, port: int = PORT) -> int:
    """Return the number that the server gives away next."""
    return int(ask(host, port).split()[-1])


@contextmanager
def under_load(host: Machine, requests: int, seen: list[Load], port: int = PORT) -> Iterator[None]:
    """Let clients ask before, during and after a block; put what they saw into ``seen``."""
    folder = "/run/load"
    host.run("mkdir", "-p", folder)
    with host.start("python3", "-c", _LOAD, str(port), str(requests), folder) as clients:

        def are_warm() -> bool:
            there = host.run("test", "-e", f"{folder}/warm", status=None).returncode == 0
            return there or clients.poll() is not None

        host.wait_until(are_warm, "the first answers")
        try:
            yield
        finally:
            host.run("touch", f"{folder}/last")
            output, _ = clients.communicate(timeout=4 * PATIENCE_S)
    try:
        said = json.loads(output)
    except ValueError:
        raise AssertionError(f"{output}{host.story()}") from None
    answers = [(edition, given) for edition, given in said["answers"]]
    seen.append(Load(answers, said["failures"], said["worst_s"], said["seconds"]))

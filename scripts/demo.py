"""The demo: a server is killed with -9 in the middle of its work, again and again, and goes on where it was.

Builds the one-time-key server of the examples, starts it with twistd, lets counting clients hammer
it, kills it, thaws it.  The last line is counted by the clients, not by the server.  Everything
happens in .run/demo, on a free port, and ends within a minute with nothing left running.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
EXAMPLE = TOP / "examples" / "03-one-time-keys" / "app3.py"
BIN = Path(sys.executable).parent

ROUNDS = 6
CLIENTS = 8
ROUND_S = (0.5, 2.5)
KEYS_A_ROUND = 20  # at least: a kill before there is anything to lose proves nothing
PATIENCE_S = 60.0


class Clients:
    """Threads that take key after key, and know every key they were given."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.keys: set[int] = set()
        self.repeated = 0
        self.lost = 0
        self._this_round: list[int] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin_round(self) -> None:
        """Take one key, which says how much the server remembers; then start hammering."""
        first = self._take_key()
        if first is None:
            raise SystemExit("the server accepts, but gives no key")
        # Every key from here on will be given out anew: those that somebody holds already are lost.
        self.lost += sum(1 for key in self.keys if key >= first)
        self._this_round = []
        self._count(first)
        self._over.clear()
        self._threads = [threading.Thread(target=self._hammer) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def wait_for_keys(self) -> None:
        """Return when this round has given some keys, however slowly, or nobody asks any more."""
        while len(self._this_round) < KEYS_A_ROUND and any(thread.is_alive() for thread in self._threads):
            time.sleep(0.01)

    def end_round(self) -> tuple[int, int, int]:
        """Stop hammering; return how many keys this round gave, the lowest and the highest."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        return len(self._this_round), min(self._this_round), max(self._this_round)

    def _hammer(self) -> None:
        while not self._over.is_set():
            key = self._take_key()
            if key is None:
                return  # killed
            self._count(key)

    def _count(self, key: int) -> None:
        with self._lock:
            self.repeated += key in self.keys
            self.keys.add(key)
            self._this_round.append(key)

    def _take_key(self) -> int | None:
        """Connect and read; only a whole line is a reply."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as connection:
                reply = b""
                while more := connection.recv(100):
                    reply += more
        except OSError:
            return None
        return int(reply) if reply.endswith(b"\n") else None


def free_port() -> int:
    """Return a port nobody listens on, outside of the range that outgoing connections use."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port


def say(text: str = "") -> None:
    print(text, flush=True)


def run(folder: Path, *command: str, only: tuple[str, ...] = ("",)) -> None:
    """Run one command of the session where the server lives, as a user would type it.

    Args:
        folder: where.
        command: its words.
        only: show the lines of its output that contain one of these.
    """
    say(f"  $ {' '.join(command)}")
    argv = [str(BIN / command[0]), *command[1:]]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    for line in (done.stdout + done.stderr).splitlines():
        if any(part in line for part in only):
            say(f"  {line}")
    if done.returncode:
        raise SystemExit(f"{command[0]} ended with status {done.returncode}")


def server_pid(folder: Path) -> int | None:
    """Return the process id of the server, if it runs."""
    try:
        pid = int((folder / "twistd.pid").read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


def end_server(folder: Path, how: signal.Signals) -> None:
    """Send a signal and wait for the end."""
    pid = server_pid(folder)
    if pid is None:
        raise SystemExit(f"the server has died by itself; see {folder / 'twistd.log'}")
    process = os.pidfd_open(pid)
    signal.pidfd_send_signal(process, how)
    # The descriptor of a process becomes readable when the process has ended.
    if not select.select([process], [], [], PATIENCE_S)[0]:
        raise SystemExit(f"the server does not end; see {folder / 'twistd.log'}")
    os.close(process)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, default=TOP / ".run" / "demo", help="where; emptied first")
    parser.add_argument("--port", type=int, help="of the server; any free one if not given")
    options = parser.parse_args()
    folder = options.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port = options.port or free_port()
    shown = os.path.relpath(folder)
    example = os.path.relpath(EXAMPLE)

    say(f"Building the one-time-key server, {example}, here on port {port}:")
    (folder / "app3.py").write_text(EXAMPLE.read_text().replace("8123", str(port)))
    run(folder, "python", "app3.py")

    clients = Clients(port)
    say(f"\nStarting it; {CLIENTS} clients take keys as fast as they can; kill -9; {ROUNDS} rounds:")
    tap = "otk-start.tap"
    try:
        for _ in range(ROUNDS):
            began = time.monotonic()
            run(folder, "twistd", "-f", tap)
            ready_s = time.monotonic() - began
            clients.begin_round()
            time.sleep(random.uniform(*ROUND_S))
            clients.wait_for_keys()
            end_server(folder, signal.SIGKILL)
            count, lowest, highest = clients.end_round()
            say(f"  serving after {ready_s:.2f} s: {count} keys, {lowest} to {highest}; killed with -9")
            tap = "otk-shutdown.tap"

        say("\nOnce more, and an orderly end:")
        run(folder, "twistd", "-f", tap)
        clients.begin_round()
        clients.end_round()
        end_server(folder, signal.SIGTERM)
    finally:
        left = server_pid(folder)
        if left is not None:
            os.kill(left, signal.SIGKILL)

    run(folder, "tap", "show", "otk-shutdown.tap", only=("  role", "  epoch", "  nextkey"))
    say(f"""
Look at:
  {example}   the server: no line in it saves anything
  {shown}/twistd.log   what it logged
  {shown}/otk-shutdown.tap   what it remembers
  docs/durability.md   what a reply promises, and how that is proved
  ./run losses   the same for Redis, Twisted and gunicorn, and power cuts besides

A reply leaves the server when what it depends on is on disk, not before. So, counted by the clients:
""")
    say(f"keys acknowledged {len(clients.keys)}, repeated {clients.repeated}, lost {clients.lost}")
    return int(bool(clients.repeated or clients.lost))


if __name__ == "__main__":
    sys.exit(main())

"""A server that kills itself before the Nth time that it touches a tap; it must never know which that is.

    dyingserver.py N options of twistd...     N is 0: it lives, and writes how often it has touched one

What counts are Python's own calls: SQLite's are tried with a tracer elsewhere.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from taphouse.cli.twistd import main

COUNTED = ("open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "sqlite3.connect")
OUTPUT = "touched.txt"


class Death:
    """Counts, and comes."""

    def __init__(self, number: int) -> None:
        self.number, self.count = number, 0
        self.lines: list[str] = []

    def touch(self, what: str) -> None:
        """Count one call; the Nth is not made."""
        self.count += 1
        self.lines.append(what)
        if self.count == self.number:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """See what Python is about to do."""
        if event in COUNTED:
            name = str(arguments[0])
            if ".tap" in name and not name.endswith(".lock"):
                self.touch(f"{event} {os.path.basename(name)}")


def run(number: int, arguments: list[str]) -> int:
    """Run the server."""
    death = Death(number)
    sync = os.fsync

    def counted(descriptor: int) -> None:
        death.touch("fsync")
        sync(descriptor)

    os.fsync = counted
    sys.addaudithook(death.hook)
    code = main(arguments)
    # Opened by its descriptor: nothing of ours counts.
    with open(OUTPUT, "w", encoding="utf-8") as out:
        out.write("\n".join(death.lines))
    return code


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]), sys.argv[2:]))

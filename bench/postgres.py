"""A PostgreSQL of its own for a measurement: made by initdb, run as nobody's administrator, gone afterwards.

It listens on a UNIX socket only. Everything that makes a commit durable is on, as it is by default. Knows
Debian's place for its programs; not who asks it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.contestant import BenchError, Unavailable
from bench.process import last_words, started
from bench.programs import TRACE, tracer

PROGRAMS = Path("/usr/lib/postgresql")
ACCOUNT = "postgres"
SETTINGS = ("synchronous_commit=on", "fsync=on", "full_page_writes=on", "max_connections=100")
START_LIMIT_S, POLL_S = 30.0, 0.05


def postgres_programs() -> Path:
    """Return the folder of the newest PostgreSQL. Raises Unavailable if there is none."""
    places = sorted(PROGRAMS.glob("*/bin/initdb"), key=lambda place: int(place.parts[-3]))
    if not places:
        raise Unavailable("no PostgreSQL: apt-get install postgresql")
    return places[-1].parent


def say_postgres() -> str:
    """Return which PostgreSQL runs, with which settings."""
    command = [str(postgres_programs() / "postgres"), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return f"PostgreSQL {said.split()[2]}: {', '.join(SETTINGS)}, UNIX socket"


@contextmanager
def postgres(folder: Path, is_traced: bool, cores: frozenset[int]) -> Iterator[str]:
    """Run a fresh PostgreSQL on ``cores`` whose files lie in ``folder`` and give the folder of its socket.

    It refuses to run as root, so root runs it as the account that Debian made for it. Raises Unavailable if
    that account cannot reach ``folder``.
    """
    programs = postgres_programs()
    place = folder / "postgres"
    place.mkdir()
    # The path of a socket may have 107 bytes, and a work folder lies deep.
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as sockets:
        user = _hand_over(folder, place, Path(sockets))
        cluster = str(place / "cluster")
        _must(
            [*user, str(programs / "initdb"), "-U", "bench", "-A", "trust", "-E", "UTF8", "-D", cluster],
            place,
        )
        options = [word for setting in SETTINGS for word in ("-c", setting)]
        command = [
            str(programs / "postgres"),
            "-D",
            cluster,
            "-k",
            sockets,
            "-c",
            "listen_addresses=",
            *options,
        ]
        if is_traced:
            command = [*tracer(place / TRACE), *command]
        with started([*user, *command], cores, place, dict(os.environ)) as process:
            try:
                _wait_ready([str(programs / "pg_isready"), "-q", "-h", sockets], process, place)
                if is_traced:
                    (folder / TRACE).symlink_to(place / TRACE)
                yield sockets
            finally:
                process.send_signal(2)  # SIGINT: a fast shutdown; SIGTERM would wait for the clients
                process.wait(START_LIMIT_S)


def _hand_over(folder: Path, *places: Path) -> list[str]:
    """Give ``places`` to the account that PostgreSQL runs as; return what stands before its commands."""
    if os.geteuid() != 0:
        return []
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise Unavailable(f"no account {ACCOUNT} for PostgreSQL, which refuses to run as root") from None
    for place in places:
        os.chown(place, account.pw_uid, account.pw_gid)
    folder.chmod(0o711)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise Unavailable("no setpriv to run PostgreSQL as its own account: apt-get install util-linux")
    user = [setpriv, f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    if subprocess.run([*user, "test", "-w", str(places[0])], check=False).returncode:
        raise Unavailable(f"the account {ACCOUNT} cannot reach {folder}: name another folder with --work")
    return user


def _must(command: list[str], place: Path) -> None:
    made = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if made.returncode:
        raise BenchError(f"initdb: {(made.stderr.strip() or 'no reason given').splitlines()[-1]}")


def _wait_ready(question: list[str], process: subprocess.Popen[bytes], place: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while subprocess.run(question, cwd=place, check=False).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchError(f"PostgreSQL does not answer: {last_words(place)}")
        time.sleep(POLL_S)

"""A machine to install packages on: a real systemd, in a container over a system that stays as it is.

What it writes is in memory and gone at its end.  It has a network of its own with nothing but localhost.
Its processes end with it, and it ends with the process that made it.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from debianroots import debian_root, not_run

PATIENCE_S = 120.0
"""How long anything may take on a busy machine before a test gives up; passing tests never wait for it."""
_BOOTS, _BOOT_S = 3, 40.0
_refused: list[str] = []  # why no machine boots here, once it is known
_UP = ("running", "degraded")
_BOOT = """
    set -e
    folder=$1 root=$2 name=$3; shift 3
    # Where machines share a control group, one's services are the other's.
    for group; do
        { mkdir -p "$group" && echo $$ >"$group/cgroup.procs"; } 2>/dev/null || true
    done
    mount -t tmpfs -o mode=755 tmpfs "$folder"
    mkdir "$folder/up" "$folder/work" "$folder/root"
    mount -t overlay overlay -o "lowerdir=$root,upperdir=$folder/up,workdir=$folder/work" "$folder/root"
    # A systemd of today wants one hierarchy of groups, whatever this machine's own uses.
    export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
    status=133  # says that the machine wants to be booted again
    while [ "$status" = 133 ]; do
        status=0
        systemd-nspawn --quiet --boot --directory="$folder/root" --machine="$name" \\
            --register=no --keep-unit --console=pipe --private-network --link-journal=no || status=$?
    done
    exit "$status"
"""
_ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LC_ALL=C.UTF-8",
    "DEBIAN_FRONTEND=noninteractive",
    "SYSTEMD_PAGER=",
    "SYSTEMD_COLORS=0",
)


class Machine:
    """A Debian system that has booted.

    Args:
        suite: of `debian_root`; skips the test if there is none, or the kernel does not let it boot.
    """

    def __init__(self, suite: str) -> None:
        self._root = debian_root(suite)
        if _refused:
            not_run(_refused[0])
        self.name = f"taphouse-{os.getpid()}-{secrets.token_hex(3)}"
        self._folder = Path(tempfile.mkdtemp(prefix="taphouse-nspawn-"))
        (self._folder / "layer").mkdir()
        self._groups = _control_groups(self.name)
        for group in self._groups:
            for old in group.parent.glob("taphouse-*-*"):
                # One whose maker was killed; of one that is in use nothing can be removed.
                if not Path(f"/proc/{old.name.split('-')[1]}").exists():
                    _remove_groups(old)
        self._leader = 0
        try:
            for last in range(1 - _BOOTS, 1):
                with (self._folder / "console").open("wb") as console:
                    self._holder = self._boot(console.fileno())
                if self._is_up():
                    self._stop_timers()
                    return
                self._end()
                if not last:
                    _refused.append(f"systemd does not boot in a container here: {self._console()[-500:]}")
                    not_run(_refused[0])
        except BaseException:
            self.close()
            raise

    def _boot(self, console: int) -> subprocess.Popen[bytes]:
        words = (str(self._folder / "layer"), str(self._root), self.name, *map(str, self._groups))
        return subprocess.Popen(
            [
                # The signal comes when the process that is us ends, however it does; and with the first
                # process of their namespace all others of it are killed.
                *("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--mount-proc", "--fork"),
                *("--kill-child", "sh", "-c", _BOOT, "sh", *words),
            ],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
        )

    def _is_up(self) -> bool:
        """Wait until the system has started all that it starts; return whether it has."""
        try:
            self.wait_until(self._has_booted, "the boot", _BOOT_S)
        except AssertionError:
            return False
        return self._holder.poll() is None

    def _has_booted(self) -> bool:
        if self._holder.poll() is not None:
            return True
        self._leader = _find_init(self._holder.pid)
        if not self._leader:
            return False
        state = self.run("systemctl", "is-system-running", status=None).stdout.strip()
        return state in _UP

    def _stop_timers(self) -> None:
        """Let nothing happen there by itself: what midnight writes is taken for a test's, and apt is busy."""
        of_the_system = ("*.timer", "apt-daily*.service", "dpkg-db-backup*.service")
        self.run("systemctl", "stop", *of_the_system, status=None)

    def _console(self) -> str:
        return (self._folder / "console").read_text(errors="replace").strip()

    # --- commands ------------------------------------------------------------------------------

    def _words(self, command: tuple[str, ...]) -> list[str]:
        return ["nsenter", "-t", str(self._leader), "-a", "--", "env", "-i", *_ENVIRONMENT, *command]

    def run(self, *command: str, status: int | None = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command as root, to its end.

        Args:
            command: its words; one word with blanks is a line for the shell.
            status: the exit status it has to have; ``None`` for any.
            stdin: what it reads.
        """
        words = ("sh", "-c", command[0]) if len(command) == 1 and " " in command[0] else command
        done = subprocess.run(
            self._words(words), input=stdin, capture_output=True, text=True, timeout=2 * PATIENCE_S
        )
        if status is not None and done.returncode != status:
            raise AssertionError(
                f"{' '.join(words)}: status {done.returncode}, not {status}\n"
                f"{done.stdout}{done.stderr}{self.story()}"
            )
        return done

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command; its output goes to one pipe."""
        return subprocess.Popen(
            self._words(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def write(self, path: str, text: str) -> None:
        """Write a file, with the folders on the way to it."""
        self.run(f"mkdir -p $(dirname {shlex.quote(path)}) && cat >{shlex.quote(path)}", stdin=text)

    def copy_in(self, source: Path, path: str) -> None:
        """Copy a file of ours to a path of the machine's."""
        with source.open("rb") as file:
            subprocess.run(
                self._words(("sh", "-c", 'cat >"$0"', path)), stdin=file, check=True, timeout=PATIENCE_S
            )

    def copy_out(self, path: str, target: Path) -> None:
        """Copy a file of the machine's to a path of ours."""
        with target.open("wb") as file:
            subprocess.run(self._words(("cat", path)), stdout=file, check=True, timeout=PATIENCE_S)

    def install(self, package: Path, status: int = 0) -> str:
        """Let dpkg install a package of ours; return all that it said."""
        # Where nothing is kept, so that it is not among the files that a package leaves behind.
        place = f"/run/{package.name}"
        self.copy_in(package, place)
        done = self.run("dpkg", "-i", place, status=status)
        return done.stdout + done.stderr

    # --- services ------------------------------------------------------------------------------

    def show(self, unit: str, name: str) -> str:
        """Return one property of a unit."""
        return self.run("systemctl", "show", "--value", "--property", name, unit).stdout.strip()

    def main_pid(self, unit: str) -> int:
        """Return the process id of a service, as the machine counts; 0 if it does not run."""
        return int(self.show(unit, "MainPID"))

    def journal(self, unit: str = "", *options: str) -> str:
        """Return what has been logged so far, by one unit or by all, as text if no option says otherwise."""
        wanted = ("--unit", unit) if unit else ()
        # Who logs does not wait for the journal: it is to take in all that was sent to it.
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--no-pager", "-o", "cat", *wanted, *options).stdout

    def story(self) -> str:
        """Return what helps to understand a failure."""
        said = self._words(("journalctl", "--no-pager", "-o", "short-monotonic", "-n", "60"))
        done = subprocess.run(said, capture_output=True, text=True, timeout=PATIENCE_S)
        return f"\n--- the journal of {self.name}\n{done.stdout}"

    def files(self) -> set[str]:
        """Return the paths of all files and folders that are kept."""
        return set(self.run("find", "/", "-xdev").stdout.splitlines())

    # --- the life of a machine -----------------------------------------------------------------

    def wait_until(
        self, condition: Callable[[], object], what: str = "the condition", patience_s: float = PATIENCE_S
    ) -> None:
        """Return as soon as ``condition()`` is true."""
        never, step_s, waited_s = threading.Event(), 0.05, 0.0
        while not condition():
            if waited_s > patience_s:
                raise AssertionError(f"waited in vain for {what}{self.story() if self._leader else ''}")
            never.wait(step_s)
            waited_s += step_s

    def reboot(self) -> None:
        """Shut down in order and boot again; files are kept."""
        before = self._leader
        # All that runs there is told to end, and this may be among it.
        self.run("systemctl", "reboot", status=None)
        self._leader = 0
        self.wait_until(lambda: _find_init(self._holder.pid) not in {0, before}, "the reboot")
        assert self._is_up(), self._console()

    def _end(self) -> None:
        """End all its processes, and wait until they have."""
        # The first process takes all others of the machine with it, and nspawn cleans up and ends.
        with suppress(ProcessLookupError):
            os.kill(_find_init(self._holder.pid) or self._holder.pid, signal.SIGKILL)
        try:
            self._holder.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._holder.kill()
            self._holder.wait()

    def close(self) -> None:
        """End it, and remove what is left on the outside."""
        if hasattr(self, "_holder"):
            self._end()
        for group in self._groups:
            _remove_groups(group)
        with suppress(OSError):
            os.rmdir(f"/run/systemd/nspawn/propagate/{self.name}")
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def machine(suite: str) -> Iterator[Machine]:
    """A machine that is there as long as it is used."""
    made = Machine(suite)
    try:
        yield made
    finally:
        made.close()


def _find_init(holder: int) -> int:
    """Return the process id of a container's first process, 0 if it has not come that far."""
    for shell in _children(holder):
        for nspawn in _children(shell):
            for child in _children(nspawn):
                with suppress(OSError):
                    if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                        return child
    return 0


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _control_groups(name: str) -> list[Path]:
    """Return where a group for a machine can be made, in each hierarchy that systemd uses."""
    mounts = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        words, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        if kind == "cgroup2":
            mounts[""] = words.split()[4]
        elif kind == "cgroup" and "name=systemd" in options.split(","):
            mounts["name=systemd"] = words.split()[4]
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, hierarchy, path = line.split(":", 2)
        if hierarchy in mounts:
            found.append(Path(mounts[hierarchy]) / path.lstrip("/") / name)
    return found


def _remove_groups(group: Path) -> None:
    """Remove a control group in which nothing runs any more, and those inside of it."""
    for folder, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):
            os.rmdir(folder)

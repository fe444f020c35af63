"""A document as a program: its files are written, its commands typed, its output compared.

In a Markdown file

* a block ```` ```python NAME.py ```` (any language, with a file name) is a file, written as it stands;
* a block ```` ```console ```` is a session: lines after ``$ `` are typed, what follows is what they print.
  A line ``...`` stands for any number of lines, ``...`` within a line for anything;
* a session whose last command stays in the foreground is ```` ```console foreground ````; a later
  session that begins with ``^C`` interrupts it and shows how it ends;
* a session ```` ```console server ```` is root's on another machine, one with systemd: there the lines
  after ``# `` are typed. ``$ scp FILE ... root@server:`` on this one copies files into root's home there.
  Where no such machine can be had, all else is done, and then the document counts as not run;
* sessions ```` ```console image ```` need Debian's archive, sessions ```` ```console engine ```` podman; they
  are followed by themselves;
* any other block is only read.

A command that only reads a log is typed again until it prints what is shown: what a server has said is there
a moment later, since nobody who logs waits for a disk.

Times, versions, process ids and addresses in memory may differ from what is written.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import signal
import subprocess
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nspawn import Machine
from playground import PATIENCE_S, Playground

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>.*)\n(?P<body>(?:.*\n)*?)(?P=indent)```$", re.MULTILINE)

_KINDS = {"foreground", "server", "image", "engine"}
EVERYWHERE = frozenset({"file", "session", "foreground"})
"""What can be followed on any machine."""

# What differs from run to run, on both sides of the comparison.
_VOLATILE = [
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? [A-Z0-9].*\b\d\d:\d\d:\d\d\b.*"), "<time>"),
    (re.compile(r"python \d[\w.+]*"), "python <version>"),
    (re.compile(r"uvloop \d[\w.]*"), "uvloop <version>"),
    (re.compile(r"\b(pid|PID|process) \d+"), "<pid>"),
    (re.compile(r",(127\.0\.0\.1|::1)\]"), ",<client>]"),
    (re.compile(r" at 0x[0-9a-f]+"), " at <address>"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
    # A start that takes more than a second says so, and a busy machine may make any start one of those.
    (re.compile(r"^\w+: not ready after .*; waiting\n", re.MULTILINE), ""),
    # What the server thinks of this machine's disk.
    (re.compile(r"^.*(: a sync takes| lies in memory \().*\n", re.MULTILINE), ""),
]


@dataclass
class Command:
    """One line typed, and the output that the document shows for it."""

    line: str
    output: list[str] = field(default_factory=list)


@dataclass
class Block:
    """One fenced block: ``kind`` is "file", "session", "foreground", "server", "image",
    "engine" or "text"."""

    kind: str
    line: int
    body: str
    name: str = ""

    def commands(self) -> list[Command]:
        """Return what is typed in this session."""
        found: list[Command] = []
        prompt = "# " if self.kind == "server" else "$ "
        for line in self.body.splitlines():
            if line.startswith(prompt) or (line.startswith("^C") and not found):
                found.append(Command(line.removeprefix(prompt)))
            elif line != "$":
                found[-1].output.append(line)
        return found


def blocks_of(text: str) -> list[Block]:
    """Return the fenced blocks of a Markdown text."""
    found = []
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        indent = len(match["indent"])
        body = "".join(part[indent:] for part in match["body"].splitlines(keepends=True))
        words = match["info"].split()
        if words[:1] == ["console"]:
            kind = next((word for word in words if word in _KINDS), "session")
            found.append(Block(kind, line, body))
        elif len(words) > 1:
            found.append(Block("file", line, body, name=words[1]))
        else:
            found.append(Block("text", line, body))
    return found


def same_output(shown: str, real: str) -> bool:
    """Say whether ``real`` is what the document shows."""
    for pattern, stand_in in _VOLATILE:
        shown, real = pattern.sub(stand_in, shown), pattern.sub(stand_in, real)
    pattern_text = ""
    for line in shown.splitlines():
        if line == "...":
            pattern_text += r"(?:.*\n)*?"
        else:
            pattern_text += ".*".join(re.escape(part) for part in line.split("...")) + r"\n"
    return re.fullmatch(pattern_text, real if real.endswith("\n") or not real else real + "\n") is not None


def reads_a_log(line: str) -> bool:
    """Say whether a command looks into a log, and does nothing else."""
    if not line.startswith(("cat ", "grep ", "journalctl ", "tail ")):
        return False
    words = list(shlex.shlex(line, posix=True, punctuation_chars=True))
    is_one_command = not any(set(word) <= set("();<>|&") for word in words)
    return is_one_command and (words[0] == "journalctl" or line.endswith(".log"))


def _first_lines(child: subprocess.Popen[bytes], count: int) -> str:
    """Read that many lines of what a command in the foreground says, or what there is when patience ends."""
    assert child.stdout is not None
    said = b""
    while said.count(b"\n") < count and select.select([child.stdout], [], [], PATIENCE_S)[0]:
        more = os.read(child.stdout.fileno(), 65536)
        if not more:
            break
        said += more
    return said.decode()


class Walkthrough:
    """Follows one document in a playground.

    Args:
        document: the Markdown file.
        playground: where to type.
        server: the machine that sessions of root's are typed on, if there is one.
    """

    def __init__(self, document: Path, playground: Playground, server: Machine | None = None) -> None:
        self.document = document
        self.playground = playground
        self.server = server
        self.typed = 0
        self._folder = "."
        self._foreground: subprocess.Popen[bytes] | None = None

    def follow(self, kinds: Container[str] = EVERYWHERE) -> None:
        """Do what blocks of some kinds say, in order; and, if there is a server, what is for that."""
        for block in blocks_of(self.document.read_text()):
            if block.kind == "server" and self.server is not None:
                for command in block.commands():
                    self._type_on_server(self.server, command, block)
            elif block.kind not in kinds:
                continue
            elif block.kind == "file":
                self.playground.write(f"{self._folder}/{block.name}", block.body)
            else:
                commands = block.commands()
                last = commands.pop() if block.kind == "foreground" else None
                for command in commands:
                    self._type(command, block)
                if last:
                    self._leave_running(last, block)
        assert self._foreground is None, f"{self.document.name} leaves a command running in the foreground"

    def _type_on_server(self, server: Machine, command: Command, block: Block) -> None:
        self.typed += 1
        line = self.playground.with_free_ports(command.line)

        def printed() -> str:
            return server.run("bash", "-c", "cd; exec 2>&1; " + line, status=None).stdout

        self._compare(command, self._settled(command, printed, server), block)

    def _settled(self, command: Command, printed: Callable[[], str], place: Machine | Playground) -> str:
        """Return what a command prints; of one that reads a log, as soon as that has what is shown."""
        if not reads_a_log(command.line):
            return printed()
        shown, real = self._shown(command), ""

        def says_it() -> bool:
            nonlocal real
            real = printed()
            return same_output(shown, real)

        with suppress(AssertionError):  # whoever called compares it, and tells more
            place.wait_until(says_it, "the log")
        return real

    def _copy_to_server(self, line: str) -> None:
        *files, target = line.split()[1:]
        assert target == "root@server:", line
        for name in files if self.server else ():
            source = self.playground.folder / self._folder / name
            self.server.copy_in(source, f"/root/{source.name}")

    def _type(self, command: Command, block: Block) -> None:
        self.typed += 1
        if command.line == "^C":
            real = self._interrupt()
        elif command.line.startswith("scp "):
            self._copy_to_server(command.line)
            real = ""
        elif command.line.startswith("cd "):
            self._folder = str(Path(self._folder) / command.line.removeprefix("cd ").strip())
            real = ""
        else:
            words = ("bash", "-c", "exec 2>&1; " + command.line)

            def printed() -> str:
                return self.playground.run(*words, status=None, folder=self._folder).stdout

            real = self._settled(command, printed, self.playground)
        self._compare(command, real, block)

    def _leave_running(self, command: Command, block: Block) -> None:
        self.typed += 1
        assert self._foreground is None, "one command in the foreground at a time"
        # Whoever started the tests in the background had a shell that ignores SIGINT for them.
        at_a_terminal = ("env", "--default-signal=INT,QUIT")
        child = self.playground.start(
            *at_a_terminal, "bash", "-c", f"exec {command.line}", folder=self._folder
        )
        self._foreground = child
        self._compare(command, _first_lines(child, len(command.output)), block)

    def _interrupt(self) -> str:
        assert self._foreground is not None, "^C, but nothing runs in the foreground"
        child, self._foreground = self._foreground, None
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=60)
        assert child.returncode == 0, f"status {child.returncode} after ^C\n{said.decode()}"
        return said.decode()

    def _shown(self, command: Command) -> str:
        return self.playground.with_free_ports("\n".join(command.output))

    def _compare(self, command: Command, real: str, block: Block) -> None:
        shown = self._shown(command)
        place = f"{self.document.name}, block at line {block.line}"
        assert same_output(shown, real), (
            f"{place}: $ {command.line}\n--- the document shows\n{shown}\n--- it prints\n{real}"
            f"--- log\n{self.playground._log()}{self.server.story() if self.server else ''}"
        )

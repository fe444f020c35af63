"""A shell at a terminal, and somebody who types: bash and zsh complete only there."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from pathlib import Path

from playground import PATIENCE_S, Playground

_PROMPT = b"READY>"
_RC = {
    "bash": """\
PS1='READY>'
source <(tap completion bash)
bind 'set bell-style none' 'set completion-query-items 0' 'set enable-bracketed-paste off'
bind 'set page-completions off' 'set show-all-if-ambiguous on'
bind -x '"\\C-xd": printf %s "$READLINE_LINE" >line.new; mv line.new line'
""",
    "zsh": """\
PS1='READY>'
unsetopt beep prompt_sp
autoload -Uz compinit && compinit -u -D
source <(tap completion zsh)
dump() { print -rn -- "$BUFFER" >line.new; command mv line.new line }
zle -N dump
bindkey -e
bindkey '^Xd' dump
""",
}


class Terminal:
    """An interactive shell with our completion.

    Args:
        shell: ``"bash"`` or ``"zsh"``.
        playground: where it runs; the file ``line`` in it is used.
    """

    def __init__(self, shell: str, playground: Playground) -> None:
        home = playground.make_folder(f".{shell}")
        (home / ".zshrc").write_text(_RC[shell])
        (home / "bashrc").write_text(_RC[shell])
        words = {
            "bash": ["bash", "--noprofile", "--rcfile", str(home / "bashrc"), "-i"],
            "zsh": ["zsh", "-d", "-i"],
        }
        environment = {**playground.environment, "TERM": "xterm", "ZDOTDIR": str(home), "COLUMNS": "200"}
        self._line = Path(playground.folder) / "line"
        self.shown = b""
        self._terminal, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        # Not pty.fork(): a process with threads should not go on in Python after a fork.
        self._shell = subprocess.Popen(
            ["setsid", "--ctty", *words[shell]],
            cwd=playground.folder,
            env=environment,
            stdin=inside,
            stdout=inside,
            stderr=inside,
        )
        os.close(inside)
        self._wait(lambda: _PROMPT in self.shown, "a prompt")

    def after_tab(self, typed: str) -> str:
        """Return the line that a TAB behind ``typed`` leaves, and clear it."""
        self._line.unlink(missing_ok=True)
        os.write(self._terminal, typed.encode() + b"\t\x18d")
        self._wait(self._line.exists, f"the line after {typed!r}")
        os.write(self._terminal, b"\x15")
        return self._line.read_text()

    def listed(self, typed: str, last: str) -> str:
        """Return what the shell shows after two TABs behind ``typed``, up to ``last`` at least."""
        before = len(self.shown)
        os.write(self._terminal, typed.encode() + b"\t\t")
        self._wait(lambda: last.encode() in self.shown[before:], f"{last} after {typed!r}")
        os.write(self._terminal, b"\x15")
        return self.shown[before:].decode(errors="replace")

    def _wait(self, condition, what: str) -> None:
        """Read what is shown until ``condition()``."""
        quiet_s = 0.0
        while not condition():
            if select.select([self._terminal], [], [], 0.05)[0]:
                try:
                    self.shown += os.read(self._terminal, 65536)
                except OSError:  # EIO: the shell has ended
                    raise AssertionError(f"the shell ended: {self.shown!r}") from None
            else:
                quiet_s += 0.05
            if quiet_s > PATIENCE_S:
                raise AssertionError(f"waited in vain for {what}: {self.shown!r}")

    def close(self) -> None:
        """End the shell."""
        with self._shell:
            self._shell.kill()
        os.close(self._terminal)

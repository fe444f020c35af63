"""The shells that complete our commands: what each is told at its start, and how it asks and is answered.

click knows how bash, zsh and fish hand a line over and want to be answered; our own scripts are for several
commands at once, for files of one suffix, and for names with blanks.  This module must never know what can
be typed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

from taphouse.cli.guide.completing import Offer

__all__ = ["ASKED_BY", "SHELLS", "answer", "script"]

ASKED_BY = "_TAPHOUSE_COMPLETE"
"""The environment variable that tells `tap completion` that a shell asks, and which."""

# A function with what to offer: of the words before, and the word begun.
Offers = Callable[[list[str], str], Sequence[Offer]]

_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' tap=tap cur=$2 kind value response completion files=
    [[ $cur == '=' ]] && cur=
    [[ $1 == */* ]] && tap=${1%%/*}/tap && tap=${tap/#\\~\\//$HOME/}
    COMPREPLY=()
    response=$(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \\
        %(complete_var)s=bash_complete "$tap" completion 2>/dev/null)
    while IFS=, read -r kind value; do
        case $kind in
        plain) COMPREPLY+=("$value") ;;
        dir) files=1 ;;
        file) files=1; mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -X "!$value" -- "$cur") ;;
        esac
    done <<< "$response"
    if [[ $files ]]; then
        mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -d -- "$cur")
        compopt -o filenames 2>/dev/null
        [[ ${COMPREPLY[*]} ]] || compopt -o default 2>/dev/null
    fi
    return 0
}
complete -o nosort -F %(complete_func)s %(commands)s 2>/dev/null ||
    complete -F %(complete_func)s %(commands)s
"""

_ZSH = """\
#compdef %(commands)s

%(complete_func)s() {
    local -a response plain described files
    local tap=tap kind value help folders
    [[ $words[1] == */* ]] && tap=${~${words[1]:h}}/tap
    [[ -x $tap ]] || tap=tap
    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \\
        %(complete_var)s=zsh_complete $tap completion 2>/dev/null)}")
    for kind value help in "${response[@]}"; do
        case $kind in
        plain) if [[ $help == _ ]]; then plain+=("$value"); else described+=("$value:$help"); fi ;;
        dir) folders=1 ;;
        file) files+=("$value") ;;
        esac
    done
    (( $#described )) && _describe -V taphouse described
    (( $#plain )) && compadd -V taphouse -a plain
    [[ $PREFIX == --*=* ]] && compset -P 1 '*='
    [[ -n $folders ]] && _files -/
    (( $#files )) && _files -g "${files[*]}"
    return 0
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(commands)s
fi
"""

_FISH = """\
function %(complete_func)s
    set -l words (commandline -opc)
    set -l tap tap
    string match -q '*/*' -- $words[1]; and set tap (string replace -r '[^/]*$' tap -- $words[1])
    test -x $tap; or set tap tap
    set -l token (commandline -ct)
    set -l before (string match -r -- '^--[^=]*=' $token; or echo '')
    set -l begun (string replace -r -- '^--[^=]*=' '' $token)
    for line in (env COMP_WORDS=(commandline -cp | string collect) COMP_CWORD=$token \\
            %(complete_var)s=fish_complete $tap completion 2>/dev/null)
        set -l offer (string split -m 1 , -- $line)
        switch $offer[1]
            case plain
                echo $offer[2]
            case dir
                printf '%%s\\n' $before(__fish_complete_directories $begun '')
            case file
                printf '%%s\\n' $before(__fish_complete_suffix $begun (string replace '*' '' -- $offer[2]))
        end
    end
end
for command in %(commands)s
    complete --command $command --no-files --keep-order --arguments '(%(complete_func)s)'
end
"""


class _Shell(ShellComplete):
    """A shell, with our script and our offers.

    Args:
        commands: the names of the commands.
        offers: what could be typed.
    """

    def __init__(self, commands: Sequence[str], offers: Offers) -> None:
        super().__init__(click.Command("tap"), {}, "taphouse", ASKED_BY)
        self._commands = commands
        self._offers = offers

    def source(self) -> str:
        return self.source_template % {**self.source_vars(), "commands": " ".join(self._commands)}

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        return [self._item(offer) for offer in self._offers(args, incomplete)]

    def _item(self, offer: Offer) -> CompletionItem:
        if offer.kind == "plain":
            return CompletionItem(offer.text, help=" ".join(offer.help.split()) or None)
        return CompletionItem(f"*{offer.text}", type=offer.kind)


class _Bash(_Shell, BashComplete):
    source_template = _BASH

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Put together what bash takes apart at ``=`` and ``:``, and offer the last part only."""
        words = [*args, incomplete]
        joined: list[str] = []
        for word in words:
            if (
                joined
                and (word in ("=", ":") or joined[-1].endswith(("=", ":")))
                and _may_join(joined[-1], word)
            ):
                joined[-1] += word
            else:
                joined.append(word)
        *before, begun = joined
        split_off = len(begun) - (0 if incomplete in ("=", ":") else len(incomplete))
        offers = [
            Offer(offer.text[split_off:], offer.help) if offer.kind == "plain" else offer
            for offer in self._offers(before, begun)
        ]
        return [self._item(offer) for offer in offers]


def _may_join(left: str, right: str) -> bool:
    """Say whether two words of bash's may be one: an option and its value, a module and its attribute."""
    return left.startswith("--") if "=" in (left[-1:], right) else True


class _Zsh(_Shell, ZshComplete):
    source_template = _ZSH

    def format_completion(self, item: CompletionItem) -> str:
        """Return three lines; a colon ends the value where a help follows it."""
        value = item.value.replace("\\", "\\\\").replace(":", "\\:") if item.help else item.value
        return f"{item.type}\n{value}\n{item.help or '_'}"


class _Fish(_Shell, FishComplete):
    source_template = _FISH


SHELLS: dict[str, type[_Shell]] = {"bash": _Bash, "zsh": _Zsh, "fish": _Fish}


def script(shell: str, commands: Sequence[str]) -> str:
    """Return the script that makes ``shell``, one of `SHELLS`, complete ``commands``."""
    return SHELLS[shell](commands, _nothing).source()


def _nothing(before: list[str], begun: str) -> Sequence[Offer]:
    return ()


def answer(asked: str, offers: Callable[[str, list[str], str], Sequence[Offer]]) -> str:
    """Return what a shell is told that asks.

    Args:
        asked: what stood in `ASKED_BY`: ``"zsh_complete"``.
        offers: what could be typed, of the command's name, the words behind it, and the word begun.
    """
    shell = SHELLS[asked.partition("_")[0]]
    words: Any = os.environ.get("COMP_WORDS", "").split()
    # Assignments may stand before the command.
    name = next((os.path.basename(word) for word in words if "=" not in word), "")
    return shell((), lambda before, begun: offers(name, before, begun)).complete()

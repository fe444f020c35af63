"""Commands complete themselves in bash, zsh and fish, from what reads the command line."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from cli.terminal import Terminal
from playground import BIN, Playground
from taphouse.cli import tap
from taphouse.cli.guide.commands import NAMES, command_named
from taphouse.cli.guide.completing import complete
from taphouse.cli.guide.mapping import EXPECTED
from taphouse.cli.guide.shells import SHELLS, script
from taphouse.cli.guide.tree import Argument, Command, Expected, Group, Option

QUOTES = """\
# taphouse-maker: quotes - serve a quote
from typing import Literal
from taphouse import usage

print("a maker that talks")

class Options(usage.Options):
    port: int = usage.option(1717, "-p", help="TCP port")
    file: usage.ExistingFile = usage.option(help="the quotes")
    mode: Literal["slow", "fast"] = usage.option("slow", help="how: soon, or later")
    colour: bool = usage.option(False, help="in colour")

def updateApplication(app, config):
    pass
"""


# --- what could be typed, from a tree -----------------------------------------------------------

FILE = Option(("-f", "--file"), "a file", "FILE", Expected(suffixes=(".tap",)))
MODE = Option(("-m", "--mode"), "a mode", "MODE", Expected(words=("slow", "fast")))
DEEP = Option(("--deep",), "more", "", None)
MANY = Option(("-D", "--define"), "again", "X", Expected(words=("a",)), repeatable=True)
LEAF = Command(
    "top leaf",
    groups=(Group("options", (MODE, DEEP, MANY)),),
    arguments=(
        Argument("ONE", expected=Expected(words=("first",))),
        Argument("REST", expected=Expected(folders=True), repeatable=True),
    ),
)
TOP = Command(
    "top",
    groups=(Group("options", (FILE,)),),
    children={"leaf": "a leaf", "lean": ""},
    child=lambda name: LEAF,
)
SHARING = Command(
    "top",
    groups=(Group("options", (FILE, Option(("-m", "--more"), "more"))),),
    children={"leaf": "a leaf"},
    child=lambda name: LEAF,
    shares_options=True,
)


@pytest.mark.parametrize(
    ("command", "typed", "offered"),
    [
        (TOP, "", "leaf lean"),
        (TOP, "leaf", "leaf"),
        (TOP, "x", ""),
        (TOP, "-", "--file -f"),
        (TOP, "-f ", "file:.tap"),
        (TOP, "--file=", "file:.tap"),
        (TOP, "-f x le", "leaf lean"),
        (TOP, "-fx le", "leaf lean"),
        (TOP, "--fil x le", "leaf lean"),
        (TOP, "leaf ", "first"),
        (TOP, "leaf --", "--mode --deep --define"),
        (TOP, "leaf --mode=slow --deep --", "--define"),
        (TOP, "leaf -D a --d", "--deep --define"),
        (TOP, "leaf --mode ", "slow fast"),
        (TOP, "leaf --mode=f", "--mode=fast"),
        (TOP, "leaf --mo=f", "--mo=fast"),
        (TOP, "leaf --nothing=f", ""),
        (TOP, "leaf -m s", "slow"),
        (TOP, "leaf first ", "dir:"),
        (TOP, "leaf first x y ", "dir:"),
        (TOP, "leaf -- --m", ""),
        (TOP, "leaf -- fi", "first"),
        (TOP, "leaf --file", ""),
        (SHARING, "leaf -", "--mode -m --deep --define -D --file -f --more"),
        (SHARING, "-f x leaf --f", ""),
        (SHARING, "leaf -f ", "file:.tap"),
    ],
)
def test_what_could_be_typed_is_offered(command: Command, typed: str, offered: str) -> None:
    *words, begun = typed.split(" ")
    offers = complete(command, words, begun)
    assert (
        " ".join(one.text if one.kind == "plain" else f"{one.kind}:{one.text}" for one in offers) == offered
    )


def test_a_command_without_arguments_offers_its_options_unasked() -> None:
    assert [offer.text for offer in complete(Command("x", groups=TOP.groups), [], "")] == ["--file", "-f"]


# --- our own commands ---------------------------------------------------------------------------


def all_commands() -> Iterator[Command]:
    for name in NAMES:
        yield command_named(name)
    for verb in tap.VERBS:
        child = command_named("tap").child
        assert child is not None
        yield child(verb)


def test_every_value_of_our_commands_is_known_to_be_a_file_a_name_or_anything() -> None:
    unknown = {
        (command.name, one.metavar)
        for command in all_commands()
        for one in (*command.options, *command.arguments)
        if one.metavar and one.metavar not in EXPECTED and not (one.expected and one.expected.words)
    }
    assert unknown == set()


def test_every_option_and_verb_is_offered() -> None:
    assert {offer.text for offer in complete(command_named("tap"), [], "")} == {*tap.VERBS, "help"}
    for verb in tap.VERBS:
        offered = {offer.text for offer in complete(command_named("tap"), [verb], "-")}
        if verb != "make":
            assert offered == set(tap.verb_parser(verb).option_names())


def test_help_completes_verbs() -> None:
    assert [offer.text for offer in complete(command_named("tap"), ["help"], "sto")] == ["stop"]


# --- in real shells -----------------------------------------------------------------------------


@pytest.fixture
def place(playground: Playground) -> Playground:
    """A folder with files to choose from, and a maker of one's own."""
    for name in ("only.tap", "other.py", "with blank.tap", "inner/deep.tap"):
        playground.write(name, "")
    playground.write(".local/share/taphouse/plugins/quotes.py", QUOTES)
    return playground


LINES = {
    "tap statu": "tap status ",
    "mktap quo": "mktap quotes ",
    "mktap quotes --mode f": "mktap quotes --mode fast ",
    "mktap quotes --colo": "mktap quotes --colour ",
    "twistd -f wi": "twistd -f with\\ blank.tap ",
    "twistd --file=onl": "twistd --file=only.tap ",
    "tap run --durability=g": "tap run --durability=gate ",
    "tap start -d inn": "tap start -d inner/",
    "mktap nosuchtype --mo": "mktap nosuchtype --mo",
    f"{BIN}/tapconvert --typei": f"{BIN}/tapconvert --typein ",
}


@pytest.mark.process
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_tab_completes_the_line(place: Playground, shell: str) -> None:
    terminal = Terminal(shell, place)
    try:
        assert {typed: terminal.after_tab(typed) for typed in LINES} == LINES
        described = "say which servers run"  # behind the last word, by the shell that shows it
        shown = terminal.listed("tap st", described if shell == "zsh" else "status")
        assert "start" in shown and "stop" in shown and "status" in shown
        assert (described in shown) == (shell == "zsh")
    finally:
        terminal.close()
    assert b"rror" not in terminal.shown and b"Traceback" not in terminal.shown


@pytest.mark.process
def test_fish_completes_with_descriptions(place: Playground) -> None:
    asked = "\n".join(f"echo '[{typed}]'; complete -C '{typed}'" for typed in LINES)
    place.write("ask.fish", f"tap completion fish | source\n{asked}\n")
    done = place.run("fish", "--no-config", "ask.fish")
    answers = dict(part.split("]\n", 1) for part in done.stdout.split("[")[1:])
    assert done.stderr == ""
    assert {
        typed: [line.split("\t")[0] for line in answer.splitlines()] for typed, answer in answers.items()
    } == {
        typed: [] if line == typed else [line.split(" ", typed.count(" "))[-1].strip().replace("\\", "")]
        for typed, line in LINES.items()
    }
    assert answers["mktap quo"] == "quotes\tserve a quote\n"


@pytest.mark.process
def test_bash_is_told_by_a_function_of_its_own(place: Playground) -> None:
    place.write(
        "ask.bash",
        "source <(tap completion bash)\ncomplete -p twistd\n"
        "COMP_WORDS=(tap st) COMP_CWORD=1\n_taphouse_completion tap st tap\n"
        "printf '%s\\n' \"${COMPREPLY[@]}\"\n",
    )
    done = place.run("bash", "--norc", "ask.bash")
    assert done.stdout == "complete -o nosort -F _taphouse_completion twistd\nstart\nstop\nstatus\n"
    assert done.stderr == ""


@pytest.mark.process
def test_running_servers_are_completed(seed: Playground) -> None:
    seed.run("twistd", "-f", "otk-start.tap")
    seed.write("ask.fish", "tap completion fish | source\ncomplete -C 'tap stop o'\n")
    lines = seed.run("fish", "--no-config", "ask.fish").stdout.splitlines()
    assert lines[0] == f"otk\tPID {seed.pid()} in {seed.folder}"
    assert "otk-start.tap" in lines


@pytest.mark.process
def test_what_a_tap_holds_is_completed(seed: Playground) -> None:
    seed.write(".local/share/taphouse/plugins/quotes.py", QUOTES)
    seed.write("quotes.txt", "")
    seed.run("mktap", "quotes", "--file", "quotes.txt")
    seed.write(
        "ask.fish",
        "tap completion fish | source\n"
        "complete -C 'tap get otk-start.tap '\n"
        "complete -C 'mktap --update quotes.tap '\n"
        "complete -C 'mktap --update=quotes.tap --mod'\n"
        "complete -C 'mktap --update quotes.tap quotes --mode '\n"
        "complete -C 'mktap --update nosuch.tap x'\n",
    )
    lines = seed.run("fish", "--no-config", "ask.fish").stdout.splitlines()
    assert lines == [
        "Keys#1.nextkey", "quotes\tthe server of type quotes", "--mode\thow: soon, or later", "slow", "fast",
    ]  # fmt: skip


def answer(place: Playground, shell: str, words: str, at: str) -> subprocess.CompletedProcess[str]:
    asking = {"_TAPHOUSE_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": at}
    return place.run("tap", "completion", environment=asking)


@pytest.mark.process
@pytest.mark.parametrize(
    ("words", "at"),
    [
        ("", ""), ("tap", "x"), ("tap", "99"), ("tap 'unclosed", "1"), ("tap nosuch --", "2"),
        ("mktap broken --", "2"), ("mktap leaving --", "2"), ("unknown x", "1"),
    ],
)  # fmt: skip
def test_a_shell_that_asks_never_sees_an_error(playground: Playground, words: str, at: str) -> None:
    for name, source in (("broken", "1 / 0"), ("leaving", "print('x')\nraise SystemExit(3)")):
        playground.write(
            f".local/share/taphouse/plugins/{name}.py", f"# taphouse-maker: {name} - x\n{source}\n"
        )
    done = answer(playground, "zsh", words, at)
    assert done.stderr == "" and "Error" not in done.stdout


@pytest.mark.process
def test_an_unknown_shell_is_a_usage_error(playground: Playground) -> None:
    done = playground.run("tap", "completion", "tcsh", status=64)
    assert "bash" in done.stderr and "fish" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.process
def test_completing_loads_nothing_that_serves(playground: Playground) -> None:
    playground.write(
        "asked.py",
        "import sys\nfrom taphouse.cli.tap import main\nmain(['completion'])\nprint(*sys.modules)\n",
    )
    for words in ("tap st", "twistd --fi", "mktap ec"):
        asking = {"_TAPHOUSE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "1"}
        loaded = set(playground.run("python", "asked.py", environment=asking).stdout.split())
        assert "click" in loaded
        heavy = {
            "asyncio",
            "uvloop",
            "sqlite3",
            "msgspec",
            "taphouse.runtime",
            "taphouse.app",
            "taphouse.persist",
        }
        assert loaded & heavy == set()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_names_every_command(shell: str) -> None:
    text = script(shell, NAMES)
    assert " ".join(NAMES) in text and "%(" not in text

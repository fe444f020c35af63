"""Whatever is typed, exported or written is understood, or refused in one line with status 64."""

from __future__ import annotations

import os
from contextlib import redirect_stdout
from io import StringIO

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optionmodels import Copy, Everything, Quotes, Tool, parse

from taphouse import usage

ROUNDS = 3000 if os.environ.get("TAPHOUSE_KILL_ROUNDS") else 80
CLASSES = st.sampled_from([Everything, Quotes, Copy, Tool])
FLAGS = [
    "-p",
    "--port",
    "-v",
    "-vvp",
    "--no-colour",
    "--name",
    "-D",
    "--pass",
    "--password-file",
    "--",
    "-",
    "--=",
    "log",
    "--timeout",
    "-l",
    "--level",
    "--hue",
    "--target",
    "--limit",
    "--folder",
    "--file",
    "-f",
    "--numbers=",
    "-c=1",
]
TEXT = st.text(max_size=10)
WORDS = (
    st.sampled_from(FLAGS)
    | TEXT
    | st.builds("{}={}".format, st.sampled_from(FLAGS), TEXT)
    | st.sampled_from(["1", "--a\nb", "-\n", "--file=a\nb", "--folder=\x1b[2J"])
)
NAMES = [
    "port",
    "names",
    "numbers",
    "verbose",
    "colour",
    "hue",
    "weight",
    "mode",
    "timeout",
    "limit",
    "target",
    "file",
    "password",
    "source",
    "targets",
    "sub_command",
    "sub_options",
    "log_file",
    "ratio",
    "greeting",
    "prot",
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXT
    | st.sampled_from(["log", "quotes", "1s", b""])
)
DATA = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "file"]), inner, max_size=3)
    ),
    max_leaves=5,
)
MAPPINGS = st.dictionaries(st.sampled_from(NAMES), DATA, max_size=3)
ENVIRONMENTS = st.dictionaries(
    st.sampled_from([f"TAPHOUSE_QUOTES_{name.upper()}" for name in NAMES]), TEXT, max_size=3
)


def one_line(error):
    """Say whether a refusal is what is promised."""
    return str(error).isprintable() and error.exit_code == 64


@settings(max_examples=ROUNDS, deadline=None, suppress_health_check=list(HealthCheck))
@given(CLASSES, st.lists(WORDS, max_size=6), ENVIRONMENTS, MAPPINGS, MAPPINGS)
def test_any_input_is_understood_or_refused_in_one_line(cls, words, environ, config, stored):
    printed, refused = StringIO(), None
    try:
        with redirect_stdout(printed):
            parsed = parse(cls, *words, environ=environ, config=config, stored=stored)
    except usage.UsageError as error:
        refused = error
    except SystemExit as ended:
        refused = ended
    if isinstance(refused, SystemExit):
        assert refused.code == 0 and printed.getvalue().startswith("usage: ")
    elif refused:
        assert one_line(refused), refused
    else:
        plan = usage.to_plan(parsed.options)
        assert usage.to_plan(usage.from_plan(cls, plan)) == plan
        assert usage.print_config(parsed).replace("\n", "").isprintable()


@settings(max_examples=ROUNDS, deadline=None, suppress_health_check=list(HealthCheck))
@given(CLASSES, MAPPINGS)
def test_any_plan_is_understood_or_refused_in_one_line(cls, plan):
    options = refused = None
    try:
        options = usage.from_plan(cls, plan)
    except usage.UsageError as error:
        refused = error
    assert one_line(refused) if refused else usage.from_plan(cls, usage.to_plan(options)) == options

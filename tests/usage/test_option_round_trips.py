"""Any values of any options survive plan, JSON, TOML, argv and environment, and come back."""

from __future__ import annotations

import enum
import json
import os
import tomllib
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optionmodels import Everything, Tool, options, parse

from taphouse import usage

ROUNDS = 3000 if os.environ.get("TAPHOUSE_KILL_ROUNDS") else 60


class Suit(enum.Enum):
    HEARTS = 1
    SPADES = ("any", "value")


class Word(enum.StrEnum):
    ONE = "one"
    MINUS = "-minus"
    BLANK = "with a blank, and more"


# What argv and the environment can carry: no NUL, and nothing that is not UTF-8.
TEXT = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12
) | st.sampled_from(
    [
        "",
        "-",
        "--",
        "-5",
        "--port=1",
        "a,b",
        " a",
        "a ",
        "[",
        "[1]",
        '["a"]',
        "\n",
        "\x7f",
        '"',
        "\\",
        "***",
        ",",
    ]
)
NAME = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=8)
PATHS = st.lists(NAME, min_size=1, max_size=3).map(lambda parts: Path(os.path.abspath("/" + "/".join(parts))))
HOSTS = st.sampled_from(["", "localhost", "127.0.0.1", "::1", "fe80::1%eth0", "münchen.example"])
ADDRESSES = st.tuples(HOSTS, st.integers(0, 65535)).map(lambda pair: usage.Address(*pair)) | PATHS.map(
    lambda path: usage.Address(path=str(path))
)
SECRETS = PATHS.map(usage.Secret.from_file) | NAME.filter(lambda n: n not in {".", ".."}).map(
    usage.Secret.from_credential
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
INTEGERS = st.integers() | st.integers(-(10**30), 10**30)

KINDS: dict[Any, st.SearchStrategy[Any]] = {
    int: INTEGERS,
    float: FLOATS,
    str: TEXT,
    bool: st.booleans(),
    usage.Count: st.integers(0, 12),
    usage.Duration: FLOATS.map(abs),
    usage.Size: st.integers(0, 1 << 70) | st.integers(0, 4000).map(lambda n: n << 10),
    usage.Address: ADDRESSES,
    Path: PATHS,
    Suit: st.sampled_from(Suit),
    Word: st.sampled_from(Word),
    Literal["a", -1, ""[:0] or "b"]: st.sampled_from(["a", -1, "b"]),
    usage.Secret: SECRETS,
}
LISTS = [kind for kind in KINDS if kind not in (bool, usage.Count, usage.Secret)]


@st.composite
def declared(draw: st.DrawFn) -> usage.Options:
    """An instance of a class that was made for it."""
    names = draw(
        st.lists(
            st.sampled_from(
                ["a", "bee", "c_d", "port", "name", "verbose", "e2", "mode", "under_score_", "x"]
            ),
            max_size=6,
            unique=True,
        )
    )
    body: dict[str, Any] = {"__annotations__": {}, "__module__": __name__}
    values: dict[str, Any] = {}
    for name in names:
        kind = draw(st.sampled_from(list(KINDS)))
        one = KINDS[kind]
        form = draw(st.sampled_from(["required", "default", "optional", "list"]))
        if form == "list" and kind in LISTS:
            body["__annotations__"][name] = list[kind]
            body[name] = usage.option(draw(st.lists(one, max_size=2)))
            values[name] = draw(st.lists(one, max_size=3))
        elif form == "optional" or kind is usage.Secret:
            body["__annotations__"][name] = kind | None if kind is not Literal else kind
            body[name] = usage.option()
            values[name] = draw(one | st.none())
        else:
            body["__annotations__"][name] = kind
            body[name] = usage.option(draw(one)) if form == "default" else usage.option()
            values[name] = draw(one)
    positional = draw(st.sampled_from([k for k in LISTS if k is not bool]))
    for name, annotation, strategy in draw(
        st.sampled_from(
            [
                [],
                [("word", positional, KINDS[positional])],
                [
                    ("word", str, TEXT),
                    ("words", list[positional], st.lists(KINDS[positional], min_size=1, max_size=3)),
                ],
                [("words", list[positional], st.lists(KINDS[positional], max_size=3))],
            ]
        )
    ):
        body["__annotations__"][name] = annotation
        body[name] = usage.argument([]) if name == "words" else usage.argument()
        values[name] = draw(strategy)
    return type("Generated", (usage.Options,), body)._of(values)


@settings(max_examples=ROUNDS, deadline=None, suppress_health_check=list(HealthCheck))
@given(declared())
def test_any_options_survive_plan_json_toml_argv_and_environment(config):
    cls = type(config)
    plan = usage.to_plan(config)
    assert usage.from_plan(cls, plan) == config
    assert usage.from_plan(cls, json.loads(json.dumps(plan))) == config

    text = usage.write_toml({"server": {"it": plan}})
    table = tomllib.loads(text)["server"]["it"] if plan else {}
    assert table == {key: value for key, value in plan.items() if value is not None}
    assert usage.write_toml({"server": {"it": table}}) == text or any(
        isinstance(value, dict) for value in plan.values()
    )

    unchecked = unchecked_twin(cls)
    assert vars(options(unchecked, config=table)) == vars(config)
    assert vars(options(unchecked, stored=plan)) == vars(config)
    assert vars(options(unchecked, *usage.to_argv(config))) == vars(config)

    environ = usage.to_environment(config, "quotes")
    assert all(isinstance(text, str) and "\0" not in text for text in environ.values())
    secrets = [word for word in usage.to_argv(config) if "-file=" in word or "-credential=" in word]
    secrets = [word for word in secrets if any(isinstance(v, usage.Secret) for v in vars(config).values())]
    flags = {
        f"--{n.strip('_').replace('_', '-')}-" for n, v in vars(config).items() if isinstance(v, usage.Secret)
    }
    words = [word for word in secrets if any(word.startswith(flag) for flag in flags)]
    assert vars(options(unchecked, *words, environ=environ)) == vars(config)


def unchecked_twin(cls: Any) -> Any:
    """The same options, of which no file has to be there: those of the tests never are."""
    return type("Twin", (cls,), {"__module__": __name__})


@pytest.fixture(autouse=True)
def _secret_files_are_there(monkeypatch):
    """Words are checked against the world; the files of these tests are not in it."""
    from taphouse.usage.secret import SECRET

    monkeypatch.setattr(type(SECRET), "check", lambda self, value: None)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["-vvvc", "-p", "0", "--ratio=1e-300", "-Da,b", "-D", "", "--no-numbers", "--mode=fast"],
        ["--weight=very-heavy", "--timeout=1m30s", "--target=unix:/x y", "--greeting=-\n", "--limit=1025"],
    ],
)
def test_the_words_and_variables_of_options_mean_them(argv):
    config = options(Everything, *argv)
    assert options(Everything, *usage.to_argv(config)) == config
    assert options(Everything, environ=usage.to_environment(config, "quotes")) == config


def test_the_words_of_a_sub_command_follow_it():
    config = options(Tool, "-v", "log", "--level", "2")
    assert usage.to_argv(config) == ["--verbose", "log", "--level=2"]
    assert options(Tool, *usage.to_argv(config)) == config
    assert usage.from_plan(Tool, json.loads(json.dumps(usage.to_plan(config)))) == config
    assert parse(Tool, "log", environ=usage.to_environment(config, "quotes")).options == config
    table = tomllib.loads(usage.write_toml(usage.to_plan(config)))
    assert parse(Tool, config=table).options == config


def test_a_plan_does_not_ask_whether_files_are_still_there(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    plan = usage.to_plan(options(Everything, "--folder", str(folder)))
    folder.rmdir()
    assert usage.from_plan(Everything, plan).folder == folder


def test_a_plan_is_readable(tmp_path):
    plan = usage.to_plan(options(Everything, f"--log-file={tmp_path}/x", "--hue=dark-blue", "--timeout=90s"))
    assert {key: plan[key] for key in ("log_file", "hue", "weight", "timeout", "limit", "target")} == {
        "log_file": f"{tmp_path}/x",
        "hue": "dark-blue",
        "weight": "light",
        "timeout": "90s",
        "limit": "10MiB",
        "target": "localhost:80",
    }


@pytest.mark.parametrize(
    ("plan", "line"),
    [
        ({"prot": 1}, r"the plan has an unknown option 'prot'; did you mean port\?"),
        ({"port": "x"}, "the plan's port: 'x' is no whole number"),
    ],
)
def test_a_plan_of_other_options_is_refused(plan, line):
    with pytest.raises(usage.UsageError, match=line):
        usage.from_plan(Everything, plan)


def test_a_plan_that_lacks_what_is_required_is_refused():
    from optionmodels import Quotes

    with pytest.raises(usage.UsageError, match="the plan's file: is missing"):
        usage.from_plan(Quotes, {})
    with pytest.raises(usage.UsageError, match=r"the plan has an unknown command 'lug'; did you mean log\?"):
        usage.from_plan(Tool, {"sub_command": "lug"})

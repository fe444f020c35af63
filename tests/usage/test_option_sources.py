"""Where values come from: words, then the environment, then a file, then what is stored, then the default."""

from __future__ import annotations

import pytest
from optionmodels import Copy, Everything, LogOptions, Quotes, Tool, options, parse, refusal

from taphouse import usage


def test_each_source_wins_over_those_after_it():
    environ, config, stored = {"TAPHOUSE_QUOTES_PORT": "2"}, {"port": 3}, {"port": 4}
    world = {"environ": environ, "config": config, "config_name": "server.toml", "stored": stored}
    seen = []
    for argv, without in (["-p1"], ""), ([], ""), ([], "environ"), ([], "config"), ([], "stored"):
        world[without] = {}
        parsed = parse(Everything, *argv, **{k: v for k, v in world.items() if k})
        seen.append((parsed.options.port, parsed.sources["port"].kind, str(parsed.sources["port"])))
    assert seen == [
        (1, "argument", "-p/--port"),
        (2, "environment", "$TAPHOUSE_QUOTES_PORT"),
        (3, "config", "server.toml: port"),
        (4, "stored", "stored"),
        (1717, "default", "default"),
    ]


def test_every_option_and_argument_can_be_a_variable(tmp_path):
    environ = {
        "TAPHOUSE_QUOTES_SOURCE": "a",
        "TAPHOUSE_QUOTES_TARGETS": "b, c",
        "TAPHOUSE_QUOTES_FORCE": "yes",
    }
    assert vars(options(Copy, environ=environ)) == {"force": True, "source": "a", "targets": ["b", "c"]}
    assert options(Everything, environ={"TAPHOUSE_QUOTES_LOG_FILE": f"{tmp_path}/x"}).log_file.name == "x"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("a", ["a"]),
        (" a , b c ,", ["a", "b c", ""]),
        ('["a,b", "", " "]', ["a,b", "", " "]),
        ("[]", []),
    ],
)
def test_lists_in_the_environment_have_commas_or_are_json(text, names):
    assert options(Everything, environ={"TAPHOUSE_QUOTES_NAMES": text}).names == names


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("PORT", "x", "TAPHOUSE_QUOTES_PORT: 'x' is no whole number"),
        ("PORT", "", "TAPHOUSE_QUOTES_PORT: '' is no whole number"),
        ("PORT", "70000", "TAPHOUSE_QUOTES_PORT: 70000 is not from 0 to 65535"),
        (
            "COLOUR",
            "maybe",
            "TAPHOUSE_QUOTES_COLOUR: 'maybe' is neither yes nor no (1, 0, true, false, on, off)",
        ),
        ("NUMBERS", "1,x", "TAPHOUSE_QUOTES_NUMBERS: 'x' is no whole number"),
        ("NUMBERS", "[1, null]", "TAPHOUSE_QUOTES_NUMBERS: None is no whole number"),
        ("NAMES", "[1", "TAPHOUSE_QUOTES_NAMES: '[1' begins like a JSON list, but: Expecting ',' delimiter"),
        ("VERBOSE", "999", "TAPHOUSE_QUOTES_VERBOSE: 999 is no count from 0 to 255"),
        ("PASSWORD", "", "TAPHOUSE_QUOTES_PASSWORD: an empty text is no secret"),
    ],
)
def test_what_is_wrong_in_the_environment_names_the_variable(name, text, line):
    assert refusal(Everything, environ={f"TAPHOUSE_QUOTES_{name}": text}).startswith(line)


def test_the_prefix_of_variables_is_made_of_the_servers_name():
    got = usage.parse(Everything, [], name="web-2.x", prog="p", environ={"TAPHOUSE_WEB_2_X_PORT": "7"})
    assert got.options.port == 7


def test_a_file_may_spell_keys_with_hyphens(tmp_path):
    config = {"log-file": str(tmp_path / "x"), "timeout": "1m", "limit": 2048, "ratio": 2, "names": ["a"]}
    got = options(Everything, config=config)
    assert (got.log_file, got.timeout, got.limit, got.ratio) == (tmp_path / "x", 60.0, 2048, 2.0)


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"prot": 1}, "server.toml: unknown key 'prot'; did you mean port?"),
        ({"zzz": 1}, "server.toml: unknown key 'zzz'; see mktap quotes --help"),
        ({"log-file": "/x", "log_file": "/x"}, "server.toml: log_file is there twice, once with a hyphen"),
        ({"port": "80"}, "server.toml: port: '80' is no whole number"),
        ({"port": True}, "server.toml: port: True is no whole number"),
        ({"port": 70000}, "server.toml: port: 70000 is not from 0 to 65535"),
        ({"colour": "yes"}, "server.toml: colour: 'yes' is no true or false"),
        ({"names": "a"}, "server.toml: names: 'a' is no list"),
        ({"names": [1]}, "server.toml: names: 1 is no text"),
        ({"mode": 1}, "server.toml: mode: 1 is not one of fast, safe"),
        ({"ratio": float("inf")}, "server.toml: ratio: inf is no finite number"),
        ({"timeout": -1}, "server.toml: timeout: -1 is no duration"),
        ({"limit": 1.5}, "server.toml: limit: 1.5 is no size"),
        ({"password": "sesame"}, "server.toml: password: a secret is not written here; give { file ="),
        ({"sub_command": "log"}, "server.toml: unknown key 'sub_command'"),
    ],
)
def test_what_is_wrong_in_a_file_names_file_and_key(config, line):
    said = refusal(Everything, config=config, config_name="server.toml")
    assert said.startswith(line), said
    assert "sesame" not in said


def test_what_is_stored_and_is_no_option_any_more_is_left_out_and_told():
    parsed = parse(Everything, stored={"port": 5, "old": 1, "password": None})
    assert (parsed.options.port, parsed.forgotten) == (5, ("old",))


def test_a_stored_value_that_is_not_allowed_any_more_says_what_to_give():
    said = refusal(Everything, stored={"port": 70000})
    assert said == "the stored port: 70000 is not from 0 to 65535; give --port INTEGER"


def test_a_sub_command_has_variables_tables_and_stored_options_of_its_own():
    environ = {"TAPHOUSE_QUOTES_LOG_LEVEL": "7"}
    assert options(Tool, "log", environ=environ).sub_options == LogOptions(level=7)
    table = {"sub_command": "log", "sub_options": {"level": 8}}
    for source in ({"config": table}, {"stored": table}):
        got = parse(Tool, **source)
        assert (got.options.sub_command, got.options.sub_options.level) == ("log", 8)
        assert got.sources["log.level"].kind == next(iter(source))
    # Another command than the one that is stored: its options say nothing.
    assert options(Tool, "log", stored={"sub_command": "quotes", "sub_options": {"port": 1}}).sub_options == (
        LogOptions()
    )
    other = {"sub_command": "quotes", "sub_options": {"port": 1}}
    assert options(Tool, "log", config=other).sub_options == LogOptions()
    assert refusal(Tool, config={"sub_command": "lug"}) == (
        "configuration: sub_command: unknown command 'lug'; did you mean log?"
    )
    assert refusal(Tool, config={"sub_command": "log", "sub_options": {"levle": 1}}) == (
        "configuration: sub_options: unknown key 'levle'; did you mean level?"
    )
    assert refusal(Tool, config={"sub_command": "log", "sub_options": 1}) == (
        "configuration: sub_options is no table"
    )
    assert refusal(Tool, config={"sub_command": ["log"]}).startswith("configuration: sub_command: unknown")


def test_the_configuration_is_printed_with_its_sources(tmp_path):
    fortunes = tmp_path / "fortunes"
    fortunes.touch()
    parsed = parse(Quotes, "--file", str(fortunes), config={"port": 1}, config_name="server.toml")
    assert usage.print_config(parsed).splitlines() == [
        f"port  1{' ' * (len(str(fortunes)) - 1)}  server.toml: port",
        f"file  {fortunes}  --file",
    ]


def test_what_is_printed_cannot_be_mistaken():
    parsed = parse(Everything, "--greeting", "two\nlines", "--name", "a", "--name", "b")
    table = {line.split()[0]: line for line in usage.print_config(parsed).splitlines()}
    assert r"'two\nlines'" in table["greeting"]
    assert "a, b" in table["names"] and table["names"].endswith("-D/--name")
    assert table["log_file"].split() == ["log_file", "-", "default"]
    assert table["timeout"].split() == ["timeout", "30s", "default"]


def test_the_commands_options_are_printed_below_it():
    parsed = parse(Tool, "log", "--level", "4")
    assert [line.split() for line in usage.print_config(parsed).splitlines()] == [
        ["verbose", "0", "default"],
        ["sub_command", "log", "log"],
        ["log.level", "4", "-l/--level"],
        ["log.to", "-", "default"],
    ]


def test_the_environment_is_the_process_own_if_none_is_given(monkeypatch):
    monkeypatch.setenv("TAPHOUSE_QUOTES_PORT", "12")
    assert usage.parse(Everything, [], name="quotes", prog="mktap quotes").options.port == 12

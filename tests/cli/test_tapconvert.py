"""tapconvert, tap get and tap set, as they are typed."""

from __future__ import annotations

import itertools
import json
import os
import signal
import stat

import pytest

from playground import Playground
from taphouse.cli.inspecting.backups import back_up_into, restore
from taphouse.cli.inspecting.changing import get_value, set_value
from taphouse.cli.inspecting.converting import convert
from taphouse.errors import TapError, TaphouseError, UsageError
from taphouse.persist import read_info

pytestmark = pytest.mark.process


def as_json(place: Playground, tap: str) -> dict:
    return json.loads(place.run("tapconvert", "-i", tap, "-o", "-").stdout)


def refused(place: Playground, *command: str, status: int) -> str:
    """Run what must be refused, in one line that changes no file; return that line."""
    before = {name: (place.folder / name).read_bytes() for name in place.files()}
    done = place.run(*command, status=status)
    assert done.stdout == "" and done.stderr.count("\n") == 1
    assert {name: (place.folder / name).read_bytes() for name in place.files()} == before
    return done.stderr


def test_check_45_taps_of_each_format_and_back_run_alike(state: Playground) -> None:
    """A seed and a state: to JSON, to a tap, to JSON, each the same; what comes out serves on the port."""
    for tap in ("otk-start.tap", "otk-shutdown.tap"):
        json_name, made = tap.replace(".tap", ".json"), f"made-{tap}"
        state.run(f"tapconvert -i {tap} -o {json_name} && tapconvert -i {json_name} -o {made}")
        convert(str(state.folder / made), str(state.folder / "again.json"))
        assert state.read("again.json") == state.read(json_name)
    assert state.run("tap", "check", "made-otk-start.tap").returncode == 0
    (state.folder / "otk-shutdown.tap").unlink()
    state.run("twistd", "-f", "made-otk-start.tap")
    assert [state.ask(8123), state.ask(8123)] == [b"0\n", b"1\n"]
    state.kill()
    state.run("twistd", "-f", "made-otk-shutdown.tap")
    assert state.ask(8123) == b"1\n"
    state.kill()


def test_check_45_a_tap_of_mktap_runs_after_a_way_through_json(playground: Playground) -> None:
    playground.run("mktap", "otk", "-p", "8123", "--first", "7")
    convert(str(playground.folder / "otk.tap"), str(playground.folder / "otk.json"))
    convert(str(playground.folder / "otk.json"), str(playground.folder / "made.tap"))
    playground.run("twistd", "-f", "made.tap")
    assert [playground.ask(8123).split() for _ in range(2)] == [[b"7"], [b"8"]]


def test_documents_are_utf_8_in_every_locale(state: Playground) -> None:
    state.run("tap", "set", "otk-start.tap", "Keys#1.nextkey", "--type", "text", "é")
    for command in (
        ["tap", "get", "otk-start.tap", "Keys#1.nextkey"],
        ["tapconvert", "-i", "otk-start.tap", "-o", "-"],
    ):
        done = state.run(*command, environment={"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"})
        assert '"é"' in done.stdout


def test_the_port_can_be_edited_if_plan_and_state_agree(state: Playground) -> None:
    old, new = str(state.port(8123)), str(state.port(8124))
    source, target = str(state.folder / "otk.json"), str(state.folder / "new.tap")
    convert(str(state.folder / "otk-start.tap"), source)
    text = state.read("otk.json")
    in_plan = text.replace(f'"port": {old}', f'"port": {new}', 1)
    for edited, says in (
        (in_plan, f"plan.listeners[0].label: 'tcp:127.0.0.1:{old}', but its address is tcp:127.0.0.1:{new}"),
        (
            in_plan.replace(f":{old}", f":{new}"),
            f"plan.listeners[0].port: {new}, but objects.Listener@2.state.port is {old}; both must be",
        ),
    ):
        (state.folder / "otk.json").write_text(edited)
        with pytest.raises(TapError) as wrong:
            convert(source, target)
        assert says in str(wrong.value)
    (state.folder / "otk.json").write_text(text.replace(old, new))
    convert(source, target)
    (state.folder / "otk-shutdown.tap").unlink()
    state.run("twistd", "-f", "new.tap")
    assert state.ask(8124) == b"0\n"


WRONG_PLANS = {
    "a factory that is nowhere": ('"factory": "Keys#1"', '"factory": "Keys#2"', "plan.listeners[0].f"),
    "a kind that is none": ('"kind": "tcp",\n        "la', '"kind": "x",\n        "la', "plan.listeners[0]"),
    "a module that is none": ('"modules": ["', '"modules": ["no module", "', "plan.modules[0]"),
    "a server without name": ('"modules": [', '"servers": [{}], "modules": [', "plan.servers[0].name"),
    "no listener": ('"listeners": [{"$ref": "Listener@2"}]', '"listeners": []', "plan.listeners"),
    "another name in the state": ('"name": "otk",\n        "uid"', '"name": "x",\n        "uid"', "plan.n"),
    "another factory": ('{"$ref": "Keys#1"}', '{"$ref": "Application@1"}', "plan.listeners[0].f"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_PLANS)
def test_a_plan_that_does_not_fit_is_refused(state: Playground, name: str) -> None:
    old, new, where = WRONG_PLANS[name]
    source, target = state.folder / "otk.json", state.folder / "new.tap"
    convert(str(state.folder / "otk-start.tap"), str(source))
    text = source.read_text()
    assert old in text
    source.write_text(text.replace(old, new))
    with pytest.raises(TapError) as wrong:
        convert(str(source), str(target))
    assert str(wrong.value).startswith(f"{source}: {where}")
    assert not target.exists()


def test_json_that_is_none_is_told_with_line_and_column(state: Playground) -> None:
    (state.folder / "otk.json").write_text('{\n  "document": 1,,\n}')
    assert refused(state, "tapconvert", "-i", "otk.json", "-o", "new.tap", status=78).startswith(
        "tapconvert: otk.json: line 2, column 17: "
    )


def test_formats_are_told_by_suffix_or_by_option(state: Playground) -> None:
    (state.folder / "otk-start.tap").rename(state.folder / "otk")
    state.run("tapconvert", "-f", "tap", "-i", "otk", "-t", "json", "-o", "text")
    state.run("tap convert --typein json --typeout tap -i - -o made < text")
    assert read_info(state.folder / "made").lineage == read_info(state.folder / "otk").lineage
    assert "-o OUT is missing" in refused(state, "tapconvert", "-i", "otk", status=64)
    source, target = str(state.folder / "otk"), str(state.folder / "new.json")
    with pytest.raises(UsageError, match="neither .tap nor .json; say its format with -f tap or -f json"):
        convert(source, target)
    with pytest.raises(UsageError, match="a tap is a file, not a stream"):
        convert(source, "-", typein="tap", typeout="tap")
    with pytest.raises(TapError, match="nothere.json: cannot be read: No such file"):
        convert("nothere.json", str(state.folder / "new.tap"))


def test_json_goes_into_a_pipe_and_replaces_none(state: Playground) -> None:
    pipe = state.folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        convert(str(state.folder / "otk-start.tap"), str(pipe), typeout="json")
        assert json.loads(os.read(reader, 1 << 20))["name"] == "otk"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    document = state.folder / "otk.json"
    convert(str(state.folder / "otk-start.tap"), str(document))
    for make in (
        lambda: convert(str(document), str(pipe), typeout="tap", force=True),
        lambda: restore(str(state.folder / "otk-shutdown.tap"), str(pipe), force=True),
    ):
        with pytest.raises(TaphouseError, match="no regular file"):
            make()
        assert pipe.is_fifo()


def test_state_is_written_over_only_by_force_and_kept(state: Playground) -> None:
    state.run("tapconvert", "-i", "otk-shutdown.tap", "-o", "otk.json")
    said = refused(state, "tapconvert", "-i", "otk.json", "-o", "otk-shutdown.tap", status=78)
    assert "otk-shutdown.tap: holds state of otk" in said and "--force" in said
    before = (state.folder / "otk-shutdown.tap").read_bytes()
    said = state.run("tapconvert", "--force", "-i", "otk.json", "-o", "otk-shutdown.tap").stdout
    assert "What was there is otk-shutdown.tap.1 now." in said
    assert (state.folder / "otk-shutdown.tap.1").read_bytes() == before
    said = refused(state, "tapconvert", "-i", "otk.json", "-t", "json", "-o", "otk-shutdown.tap", status=73)
    assert "is a tap, and JSON was to be written" in said


def test_what_is_made_is_as_private_as_what_it_is_made_of(state: Playground) -> None:
    names = ["otk-start.tap", "otk.json", "new.tap", "newer.tap"]
    tap, *rest = (state.folder / name for name in names)
    tap.chmod(0o640)
    for source, target in itertools.pairwise([tap, *rest]):
        convert(str(source), str(target))
        assert stat.S_IMODE(target.stat().st_mode) == 0o640
    (state.folder / "otk-shutdown.tap").chmod(0o600)
    back_up_into(str(state.folder / "otk-shutdown.tap"), str(state.make_folder("backups")), 0)
    [made] = (state.folder / "backups").iterdir()
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    restore(str(made), str(state.folder / "back.tap"))
    assert stat.S_IMODE((state.folder / "back.tap").stat().st_mode) == 0o600


def test_the_tap_of_a_running_server_is_converted_as_of_its_last_commit_and_not_replaced(
    state: Playground,
) -> None:
    state.run("twistd", "-f", "otk-shutdown.tap")
    assert state.ask(8123) == b"1\n"
    assert as_json(state, "otk-shutdown.tap")["objects"]["Keys#1"]["state"]["nextkey"] == 2
    assert state.run("tap", "get", "otk-shutdown.tap", "Keys#1.nextkey").stdout == "2\n"
    state.run("tapconvert", "-i", "otk-shutdown.tap", "-o", "otk.json")
    for command in (
        ["tapconvert", "--force", "-i", "otk.json", "-o", "otk-shutdown.tap"],
        ["tap", "set", "otk-shutdown.tap", "Keys#1.nextkey", "7"],
    ):
        said = state.run(*command, status=75).stderr
        assert said.count("\n") == 1 and str(state.pid()) in said
    assert state.ask(8123) == b"2\n"


def test_set_changes_one_value_of_a_killed_server_and_keeps_the_rest(state: Playground) -> None:
    state.run("twistd", "-f", "otk-shutdown.tap")
    assert state.ask(8123) == b"1\n"
    state.kill(signal.SIGKILL)
    before = read_info(state.folder / "otk-shutdown.tap")
    assert before.is_open
    (state.folder / "otk.py").rename(state.folder / "away.py")
    said = state.run("tap", "set", "otk-shutdown.tap", "Keys#1.nextkey", "--dry-run", "70").stdout
    assert said == "Keys#1.nextkey: 2 -> 70; nothing was written\n"
    assert (
        state.run("tap", "set", "otk-shutdown.tap", "Keys#1.nextkey", "70").stdout
        == "Keys#1.nextkey: 2 -> 70\n"
    )
    after = read_info(state.folder / "otk-shutdown.tap")
    assert (after.epoch, after.lineage, after.is_open) == (before.epoch + 1, before.lineage, False)
    assert "otk-shutdown.tap-wal" not in state.files() and "otk-shutdown.tap.1" not in state.files()
    (state.folder / "away.py").rename(state.folder / "otk.py")
    state.run("twistd", "-f", "otk-shutdown.tap")
    assert state.ask(8123) == b"70\n"


def test_a_seed_is_refused_over_a_state_that_was_only_set(state: Playground) -> None:
    """A change by hand is a commit: no start from the seed throws it away."""
    state.run("tap", "set", "otk-shutdown.tap", "Keys#1.nextkey", "70")
    assert "holds newer state" in state.run("twistd", "-f", "otk-start.tap", status=78).stderr


NOT_SET = [
    (["Keys#1.nextkey", "7.5"], 64, "Keys#1.nextkey is a whole number (1), and the new value a float"),
    (["Keys#1.nextkey", "seven"], 64, "Keys#1.nextkey: the new value is no JSON: column 1: Expecting value"),
    (["Keys#1.nxtkey", "7"], 64, "Keys#1 has no attribute 'nxtkey'; there is nextkey"),
    (["Keys1.nextkey", "7"], 64, "there is no object 'Keys1'; there is Keys#1"),
    (["Keys#1", "7"], 64, "Keys#1 is a whole object; name one of its values"),
    (["Keys#1.nextkey[0]", "7"], 64, "Keys#1.nextkey is a whole number, which has no entries to name"),
    (["Keys#1.nextkey.x", "7"], 64, "Keys#1.nextkey is a whole number, which has no attributes"),
    (["Keys#1[0", "7"], 64, "'[0' is no step; write [0] or [\"key\"], in JSON"),
    (["Keys#1.nextkey", "[]", "dict"], 64, "the new value is a list, not a dict"),
    (["Keys#1.nextkey", '{"$ref": "Keys#2"}', "dict"], 64, "the new value is a ref, not a dict"),
    (["Keys#1.nextkey", '{"$int": "x"}'], 78, "objects.Keys#1.state.nextkey.$int: is no whole number"),
    (
        ["Listener@2.port", "7"],
        78,
        "Listener@2.port is configuration, which the plan owns; use mktap --update",
    ),
    (
        ["Application@1.uid", "7"],
        78,
        "Application@1.uid is configuration, which the plan owns; use mktap --update",
    ),
]


@pytest.mark.parametrize(("arguments", "status", "says"), NOT_SET)
def test_what_cannot_be_set_is_told(state: Playground, arguments: list[str], status: int, says: str) -> None:
    path = state.folder / "otk-shutdown.tap"
    before = path.read_bytes()
    where, value, *kind = arguments
    with pytest.raises(TaphouseError) as wrong:
        set_value(str(path), where, value, kind=kind[0] if kind else "")
    assert says in str(wrong.value)
    assert wrong.value.exit_code == status
    assert path.read_bytes() == before


WORDS = """\
from taphouse import Application, Factory, Protocol, durable

@durable
class User:
    pass

class Quotes(Factory):
    protocol = Protocol

quotes = Quotes()
quotes.words = ["a", "b", ["c", "d"]]
quotes.motto = "hello"
quotes.rate = 1.5
quotes.pair = (1, 2)
quotes.users = {"ann": User(), 7: "seven"}
quotes.users["ann"].age = 30
quotes.big = {f"key {n}": n for n in range(100)}
app = Application("quotes")
app.listenTCP(8123, quotes)
app.save("start")
"""


def test_paths_lead_through_containers_objects_and_references(playground: Playground) -> None:
    playground.write("quotes.py", WORDS)
    playground.run("python", "quotes.py")
    tap = str(playground.folder / "quotes-start.tap")
    changes = [
        ("Quotes#1.words[1]", '"B"', '"b" -> "B"'),
        ("Quotes#1.words[2][-1]", '"D"', '"d" -> "D"'),
        ("Quotes#1.rate", "2", "1.5 -> 2.0"),
        ("Quotes#1.pair[0]", "-5", "1 -> -5"),
        ('Quotes#1.users["ann"].age', "31", "30 -> 31"),
        ("Quotes#1.users[7]", '"VII"', '"seven" -> "VII"'),
        ('Quotes#1.big["key 7"]', "77", "7 -> 77"),
        ("Quotes#1.big", '{"one": 1}', None),
    ]
    for path, value, says in changes:
        said = set_value(tap, path, value)
        assert says is None or said == f"{path}: {says}"
        assert get_value(tap, path).strip() == ("2.0" if path.endswith("rate") else value)
    for path, says in (
        ('Quotes#1.users["bob"]', 'Quotes#1.users has no key "bob"; there is "ann"'),
        ("Quotes#1.words[3]", "Quotes#1.words has 3 items, and no 3; count from 0"),
    ):
        with pytest.raises(UsageError) as wrong:
            set_value(tap, path, "1")
        assert says in str(wrong.value)
    playground.run("tap", "set", "quotes-start.tap", "Quotes#1.motto", "--type", "text", "as it [is")
    assert playground.run("tap", "get", "quotes-start.tap", "Quotes#1.motto").stdout == '"as it [is"\n'
    assert playground.run("tap", "check", "quotes-start.tap").returncode == 0

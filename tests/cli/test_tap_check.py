"""`tap check` looks around: ports, users, certificates, installed types of servers and their options."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

from playground import Playground
from taphouse.cli.inspecting.surroundings import look_around
from taphouse.persist import read_document, read_info, write_document
from taphouse.value import replace

pytestmark = pytest.mark.process

PLUGIN = """\
# taphouse-maker: quotes - a random quote
from taphouse import usage

class Options(usage.Options):
    port: int = usage.option(1717, "-p", help="port", ge=0, le=65535)

def updateApplication(app, config):
    raise AssertionError("nothing is made by a check")
"""


def edited(place: Playground, edit: Callable[[dict[str, Any]], None]) -> str:
    """Write the seed anew with another plan, and return its name."""
    document = read_document(place.folder / "otk-start.tap")
    edit(document["plan"])
    write_document(document, place.folder / "edited.tap", name="edited")
    return "edited.tap"


def check(place: Playground, tap: str, status: int, *before: str) -> list[str]:
    """Run `tap check`, which leaves every file alone, and return its lines."""
    files = {name: (place.folder / name).read_bytes() for name in place.files()}
    done = place.run(*before, "tap", "check", tap, status=status)
    assert {name: (place.folder / name).read_bytes() for name in place.files()} == files
    assert done.stderr.count("\n") == (1 if status else 0)
    return [*done.stdout.splitlines(), *done.stderr.splitlines()]


def test_a_free_port_is_ok_one_of_another_process_a_problem_that_names_it(state: Playground) -> None:
    label = f"tcp:127.0.0.1:{state.port(8123)} for Keys#1"
    assert f"ok: {label}: free" in check(state, "otk-shutdown.tap", 0)
    with socket.create_server(("127.0.0.1", state.port(8123))):
        lines = check(state, "otk-shutdown.tap", 78)
    [line] = [line for line in lines if line.startswith("problem: ")]
    assert re.search(
        rf"port {state.port(8123)} on 127.0.0.1: address already in use by pid {os.getpid()} ", line
    )
    assert lines[-1].startswith(f"tap: otk-shutdown.tap: port {state.port(8123)} ")


def test_the_port_of_its_own_server_is_no_problem(state: Playground) -> None:
    """For the state that it runs on, and for the seed that it came of."""
    state.run("twistd", "-f", "otk-shutdown.tap")
    own = f"held by this application's own server, PID {state.pid()}"
    for tap in ("otk-shutdown.tap", "otk-start.tap"):
        assert any(line.endswith(own) for line in state.run("tap", "check", tap).stdout.splitlines())
    assert state.ask(8123) == b"1\n"


def test_everything_that_is_wrong_is_told_a_line_each(state: Playground) -> None:
    plugins = state.folder / ".local/share/taphouse/plugins"
    plugins.mkdir(parents=True)
    (plugins / "quotes.py").write_text(PLUGIN)
    (state.folder / "sock").write_text("mine")
    listener = {"kind": "tls", "interface": "", "port": 0, "path": None, "factory": "Keys#1"}

    def edit(plan: dict[str, Any]) -> None:
        plan["uid"] = "nobody-of-this-name"
        plan["servers"] = [
            {"name": "quotes", "type": "quotes", "options": {"port": 1717}},
            {"name": "bad", "type": "quotes", "options": {"port": 70000}},
            {"name": "old", "type": "gopher", "options": {}, "distribution": "gopher-server"},
        ]
        plan["listeners"] += [
            {**listener, "label": "tls:0", "certfile": "none.pem", "keyfile": None},
            {**listener, "kind": "unix", "label": "unix:sock", "path": "sock"},
            {**listener, "kind": "unix", "label": "unix:no/sock", "path": "no/sock"},
            {**listener, "kind": "udp", "label": "udp:192.0.2.1:9", "interface": "192.0.2.1", "port": 9999},
            {**listener, "kind": "ftp", "label": "ftp:21", "port": 21},
        ]

    lines = check(state, edited(state, edit), 78)
    problems = [line.removeprefix("problem: ") for line in lines if line.startswith("problem: ")]
    wanted = [
        "server bad: ",
        "server old: type gopher is not installed; it came with gopher-server; it starts",
        "application otk: there is no user 'nobody-of-this-name'",
        f"certfile {state.folder}/none.pem: ",
        f"{state.folder}/sock is there, and is no socket",
        f"{state.folder}/no/sock: there is no folder {state.folder}/no",
        "port 9999 on 192.0.2.1 (udp): not an address of this machine",
        "listener ftp:21: kind 'ftp' is not known",
    ]
    assert [text for text, line in zip(wanted, problems, strict=True) if not line.startswith(text)] == []
    assert "port" in problems[0] and "70000" in problems[0]
    assert any(line.startswith("ok: server quotes: type quotes is ") for line in lines)
    assert lines[-1].endswith("; 7 more problems above")


def test_a_low_port_is_a_problem_without_the_right_to_it(state: Playground) -> None:
    def edit(plan: dict[str, Any]) -> None:
        plan["listeners"][0] |= {"port": 81, "interface": "", "label": "tcp:81"}

    lines = check(state, edited(state, edit), 78, *state.without_low_ports())
    assert any(line.startswith("problem: port 81 needs root or CAP_NET_BIND_SERVICE") for line in lines)


def test_code_that_is_gone_is_one_problem_among_others(state: Playground) -> None:
    (state.folder / "otk.py").unlink()
    with socket.create_server(("127.0.0.1", state.port(8123))):
        lines = check(state, "otk-shutdown.tap", 78)
    problems = [line for line in lines if line.startswith("problem: ")]
    assert len(problems) == 2 and "module otk is not there" in problems[0]
    assert "module otk is not there" in lines[-1] and lines[-1].endswith("; 1 more problem above")


@pytest.mark.parametrize("user", [0, 1, 4711])
def test_another_user_is_a_problem_for_all_but_root(
    state: Playground, monkeypatch: pytest.MonkeyPatch, user: int
) -> None:
    info = read_info(state.folder / "otk-start.tap")
    info = replace(info, plan={**info.plan, "uid": 1, "gid": 1, "listeners": []})
    monkeypatch.setattr(os, "geteuid", lambda: user)
    [finding] = look_around(info, str(state.folder), None)
    assert finding.is_ok is (user != 4711)
    assert (finding.text.startswith("runs as user ")) is finding.is_ok


@pytest.mark.parametrize(
    "plan", [{"uid": [1]}, {"gid": {}, "uid": 1}, {"servers": 7}, {"listeners": [7, {}]}]
)
def test_a_plan_that_is_none_is_a_problem_and_no_bug(state: Playground, plan: dict[str, Any]) -> None:
    info = replace(read_info(state.folder / "otk-start.tap"), plan=plan)
    findings = list(look_around(info, str(state.folder), None))
    assert all(not finding.is_ok for finding in findings)
    assert bool(findings) is ("servers" not in plan)

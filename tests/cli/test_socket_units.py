"""A port that systemd holds for a server is found by its unit, and nobody else's is taken for it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from bench.ports import free_port

from taphouse.cli.inspecting import surroundings
from taphouse.cli.inspecting.socketunits import find_socket_unit, is_systemds
from taphouse.cli.inspecting.surroundings import look_around
from taphouse.packaging import UnitSettings, make_units
from taphouse.persist import TapInfo


def listener(label: str, **more: Any) -> dict[str, Any]:
    kind, _, rest = label.partition(":")
    host, _, port = rest.rpartition(":")
    where = {"path": rest} if kind == "unix" else {"port": int(port), "interface": host, "path": None}
    return {"label": label, "kind": kind, "factory": "Keys#1", "backlog": 1024, **where, **more}


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units of a package with several listeners, as tap2deb makes them."""
    settings = UnitSettings(package="otk", description="keys", start=("/bin/true",))
    plan = {
        "name": "otk",
        "listeners": [listener("tcp:8123"), listener("udp:127.0.0.1:5353"), listener("unix:/run/otk.sock")],
        "connectors": [],
    }
    for name, text in make_units(settings, plan).items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("label", ["tcp:8123", "udp:127.0.0.1:5353", "unix:/run/otk.sock"])
def test_each_listener_of_a_package_is_found_in_its_unit(units: Path, label: str) -> None:
    unit = find_socket_unit(listener(label), ("/nowhere", str(units)))
    assert unit.startswith("otk-")
    assert unit.endswith(".socket")


@pytest.mark.parametrize(
    "label", ["tcp:8124", "tcp:127.0.0.1:8123", "udp:127.0.0.1:5354", "unix:/run/other.sock"]
)
def test_what_no_unit_listens_on_for_us_is_not(units: Path, label: str) -> None:
    assert find_socket_unit(listener(label), (str(units),)) == ""


def test_a_unit_of_somebody_else_at_the_same_port_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "ssh.socket").write_text("[Socket]\nListenStream=8123\n")
    (tmp_path / "named.socket").write_text("[Socket]\nListenStream=0.0.0.0:8123\nFileDescriptorName=web\n")
    assert find_socket_unit(listener("tcp:8123"), (str(tmp_path),)) == ""
    assert find_socket_unit(listener("tcp:8123", name="web"), (str(tmp_path),)) == "named.socket"


def test_an_administrators_unit_of_the_same_name_wins(units: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for unit in units.glob("*.socket"):
        (own / unit.name).write_text("[Socket]\nListenStream=1\n")
    assert find_socket_unit(listener("tcp:8123"), (str(own), str(units))) == ""


def test_only_what_systemd_may_hold_is_looked_for() -> None:
    assert is_systemds("port 1: address already in use by pid 1 (systemd)")
    assert is_systemds("port 1: address already in use")  # root's processes are hidden from us
    assert not is_systemds("port 1: address already in use by pid 12 (nginx)")
    assert not is_systemds("port 1: address already in use by pid 1 (init)")


def test_a_check_calls_it_held_by_systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    port = free_port()
    entry = listener(f"tcp:127.0.0.1:{port}")
    info = TapInfo(
        tmp_path, "seed", "otk", "", 1, 1, "", {}, {"name": "otk", "listeners": [entry]}, (), False, 1
    )
    with socket.create_server(("127.0.0.1", port)):
        [found] = look_around(info, str(tmp_path), None)
        assert not found.is_ok
        monkeypatch.setattr(surroundings, "is_systemds", lambda _holder: True)
        monkeypatch.setattr(surroundings, "find_socket_unit", lambda _entry: "otk.socket")
        [found] = look_around(info, str(tmp_path), None)
    assert found.is_ok
    assert found.text.endswith("held by systemd for otk.socket")

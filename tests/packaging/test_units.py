"""Units that systemd takes without a word, and that let a server do what it has to and no more."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packagereading import tried

from taphouse.errors import UsageError
from taphouse.names import descriptor_name
from taphouse.packaging import PROFILES, UnitSettings, choose_profile, make_units
from taphouse.value import replace

analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="NOT RUN: systemd-analyze is not installed; as root: apt-get install -y systemd",
)

SETTINGS = UnitSettings(
    package="otk",
    description="One-time keys",
    start=("/bin/true", "-ISB", "/usr/lib/otk", "run", "--state", "/var/lib/otk/server.tap"),
    backup=("/bin/true", "backup", "--keep", "7"),
    check=("/bin/true", "check-upgrade"),
    options_file="/etc/otk/otk.conf",
)


def listener(label: str, **more: Any) -> dict[str, Any]:
    kind, _, rest = label.partition(":")
    host, _, port = rest.rpartition(":")
    where = {"path": rest} if kind == "unix" else {"port": int(port), "interface": host.strip("[]")}
    return {"label": label, "kind": kind, "backlog": None if kind == "udp" else 1024, **where, **more}


def plan(*labels: str, connects: str = "") -> dict[str, Any]:
    connectors = [{"label": f"tcp:{connects}:5432", "host": connects, "port": 5432}] if connects else []
    return {"name": "otk", "listeners": [listener(label) for label in labels], "connectors": connectors}


EVERYTHING = plan("tcp:8123", "tls:[::1]:8443", "udp:127.0.0.1:5353", "unix:/run/otk x.sock", "unix:rel.sock")


def settings_of(unit: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in unit.splitlines() if line.startswith(f"{key}=")]


# --- systemd reads them -------------------------------------------------------------------------


@analyze
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("account", ["", "daemon"])
def test_systemd_has_nothing_to_say_of_any_unit(profile: str, account: str, tmp_path: Path) -> None:
    what = plan("tcp:127.0.0.1:8123") if profile == "local" else EVERYTHING
    units = make_units(replace(SETTINGS, profile=profile, account=account), what)
    for name, text in units.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in units)],
        capture_output=True,
        text=True,
    )
    # An unknown key is only a warning to it: anything it says is a failure.
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@analyze
@pytest.mark.parametrize(
    ("profile", "account", "most"),
    [
        ("lowport", "", 1.5),
        ("lowport", "daemon", 1.5),
        ("highport", "", 1.2),
        ("highport", "daemon", 1.2),
        ("local", "", 1.0),
        ("sealed", "", 0.5),
    ],
)
def test_what_a_server_is_exposed_to(profile: str, account: str, most: float, tmp_path: Path) -> None:
    for name, text in make_units(replace(SETTINGS, profile=profile, account=account), plan()).items():
        if name.endswith(".service"):
            (tmp_path / name).write_text(text)
            limit = most if name == "otk.service" else 0.5
            done = subprocess.run(
                ["systemd-analyze", "security", "--offline=true", "--no-pager", str(tmp_path / name)],
                capture_output=True,
                text=True,
            )
            found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
            assert found, done.stderr
            assert float(found[1]) <= limit, done.stdout


# --- sockets ------------------------------------------------------------------------------------


def test_each_listener_has_a_socket_that_is_known_by_its_label() -> None:
    units = make_units(SETTINGS, EVERYTHING)
    sockets = {name: text for name, text in units.items() if name.endswith(".socket")}
    found = {
        settings_of(text, "FileDescriptorName")[0]: (
            settings_of(text, "ListenStream") + settings_of(text, "ListenDatagram")
        )
        for text in sockets.values()
    }
    assert found == {
        "tcp-8123": ["8123"],
        "tls-+5b+--1+5d+-8443": ["[::1]:8443"],
        "udp-127.0.0.1-5353": ["127.0.0.1:5353"],
        "unix-_run_otk+20+x.sock": ["/run/otk x.sock"],
        "unix-rel.sock": ["/run/otk-sockets/rel.sock"],
    }
    for text in sockets.values():
        assert settings_of(text, "Service") == ["otk.service"]
    assert settings_of(units["otk.service"], "Requires") == [" ".join(sockets)]
    assert settings_of(units["otk.service"], "Also") == [" ".join(sockets)]


def test_one_listener_has_the_socket_of_the_service() -> None:
    assert list(make_units(SETTINGS, plan("tcp:8123")))[:2] == ["otk.service", "otk.socket"]


@pytest.mark.parametrize("label", ["tcp:0", "tcp:db.example:80"])
def test_what_systemd_cannot_listen_on_is_left_to_the_server(label: str) -> None:
    units = make_units(SETTINGS, plan(label))
    assert not [name for name in units if name.endswith(".socket")]
    assert "Requires" not in units["otk.service"]


def test_without_sockets_there_are_none() -> None:
    units = make_units(replace(SETTINGS, sockets=False, backup=(), check=()), EVERYTHING)
    assert list(units) == ["otk.service"]


def test_a_unix_socket_keeps_its_permissions() -> None:
    for mode, said in ((None, "0666"), (0o600, "0600"), (0, "0000")):
        what = {"listeners": [listener("unix:/run/x", mode=mode)]}
        assert settings_of(make_units(SETTINGS, what)["otk.socket"], "SocketMode") == [said]


@given(st.lists(st.text(max_size=120), max_size=20, unique=True))
@tried(60)
def test_no_two_labels_have_one_name_and_systemd_takes_each(labels: list[str]) -> None:
    names = [descriptor_name(f"unix:{label}") for label in labels]
    assert len(set(names)) == len(names)
    for name in names:
        assert 0 < len(name) <= 255
        assert name.isascii() and name.isprintable() and ":" not in name


def test_addresses_that_look_alike_get_units_of_their_own() -> None:
    long = [f"unix:/{'x' * 98}{number}" for number in "12"]
    units = make_units(replace(SETTINGS, package="y" * 64), plan("unix:/a~", "unix:/a/7e/", *long))
    assert len([name for name in units if name.endswith(".socket")]) == 4


# --- profiles -----------------------------------------------------------------------------------


def test_auto_takes_what_the_server_needs() -> None:
    assert choose_profile("auto", plan("tcp:80"), ["tcp:80"]) == "highport"
    assert choose_profile("auto", plan("tcp:80"), []) == "lowport"
    assert choose_profile("auto", plan("tcp:8080", "tcp:0", "unix:/x"), []) == "highport"


@pytest.mark.parametrize(
    ("profile", "what", "opened", "message"),
    [
        ("highport", plan("tcp:80"), [], "could not open tcp:80.*lowport"),
        ("sealed", plan("tcp:8080"), [], "no network for tcp:8080"),
        ("sealed", plan(connects="127.0.0.1"), [], "no network for tcp:127.0.0.1:5432"),
        ("local", plan("tcp:8080"), ["tcp:8080"], "could not use tcp:8080, which is not on this machine"),
        ("local", plan(connects="db.example"), [], "could not use tcp:db.example:5432"),
        ("tight", plan(), [], "there is no profile 'tight'; use one of auto, lowport"),
    ],
)
def test_a_profile_that_would_stop_the_server_is_refused(
    profile: str, what: dict[str, Any], opened: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        choose_profile(profile, what, opened)


def test_local_takes_what_is_on_this_machine() -> None:
    what = plan("tcp:127.0.0.1:1", "tcp:[::1]:8080", "unix:/x", "tcp:localhost:8081", connects="::1")
    assert choose_profile("local", what, ["tcp:127.0.0.1:1"]) == "local"


def test_only_what_compiles_itself_may_make_memory_executable() -> None:
    assert "MemoryDenyWriteExecute=yes" in make_units(SETTINGS, plan())["otk.service"]
    assert "MemoryDeny" not in make_units(replace(SETTINGS, allow_jit=True), plan())["otk.service"]


def test_the_low_port_is_the_only_thing_that_needs_a_capability() -> None:
    low = make_units(replace(SETTINGS, sockets=False), plan("tcp:80"))["otk.service"]
    assert settings_of(low, "AmbientCapabilities") == ["CAP_NET_BIND_SERVICE"]
    assert "PrivateUsers" not in low
    assert settings_of(make_units(SETTINGS, plan("tcp:80"))["otk.service"], "AmbientCapabilities") == [""]


# --- the account, and words ---------------------------------------------------------------------


def test_the_backup_runs_with_the_account_of_the_server() -> None:
    for account, said in (("", "_otk"), ("www-data", "www-data")):
        units = make_units(replace(SETTINGS, account=account), plan())
        for name in ("otk.service", "otk-backup.service"):
            assert settings_of(units[name], "User") == [said]
            assert settings_of(units[name], "DynamicUser") == ([] if account else ["yes"])


def test_the_check_before_an_upgrade_is_nobody_and_sees_a_copy_that_root_has_made() -> None:
    """A state's folder that it named as its own would change hands if the new version has another account."""
    for account in ("", "www-data"):
        unit = make_units(replace(SETTINGS, account=account), plan("tcp:80"))["otk-check.service"]
        assert settings_of(unit, "DynamicUser") == ["yes"]
        assert not settings_of(unit, "User")
        assert not settings_of(unit, "StateDirectory")
        assert settings_of(unit, "ExecStartPre") == ["+/bin/true check-upgrade --copy"]
        assert settings_of(unit, "ExecStart") == ["/bin/true check-upgrade $TAP_OPTIONS"]
        assert settings_of(unit, "PrivateNetwork") == ["yes"]
        assert "[Install]" not in unit


@pytest.mark.parametrize("account", ["Root", "a b", "1a", "x" * 32, "a\nb", "-a"])
def test_an_account_that_cannot_be_is_refused(account: str) -> None:
    with pytest.raises(UsageError, match=r"cannot name an account.*--user"):
        replace(SETTINGS, account=account)


@analyze
@pytest.mark.parametrize(
    "word", ["a b", "100%", "$HOME", 'quo"te', "back\\slash", "ta\tb", "semi;", "'", "", "é"]
)
def test_a_word_of_the_command_is_what_it_was(word: str, tmp_path: Path) -> None:
    units = make_units(replace(SETTINGS, start=("/bin/echo", word), options_file="", backup=()), plan())
    (tmp_path / "otk.service").write_text(units["otk.service"])
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "otk.service")],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_replaces_nothing_in_a_word() -> None:
    start = ("/bin/echo", "100%h", "$HOME", 'a "b" \\c')
    unit = make_units(replace(SETTINGS, start=start, options_file=""), plan())["otk.service"]
    assert settings_of(unit, "ExecStart") == [r'/bin/echo 100%%h $$HOME "a \"b\" \\c"']


def test_nothing_that_is_typed_becomes_a_line_of_a_unit() -> None:
    units = make_units(replace(SETTINGS, description="x\n[Service]\nUser=root\\"), plan("tcp:8123"))
    for text in units.values():
        assert text.count("User=root") == text.count("Description=x [Service] User=root")
        assert not re.search(r"\\$", text, re.MULTILINE)
    with pytest.raises(UsageError, match="cannot be an address in a unit"):
        make_units(SETTINGS, plan("unix:/run/a\nUser=root"))
    with pytest.raises(ValueError, match="absolute path"):
        replace(SETTINGS, start=("true",))


def test_secrets_are_handed_over_from_where_the_administrator_puts_them() -> None:
    settings = replace(SETTINGS, credentials=("password", "50%"))
    unit = make_units(settings, plan())["otk.service"]
    assert settings_of(unit, "LoadCredential") == ["password:otk.password", "50%%:otk.50%%"]
    assert "LoadCredential" not in make_units(SETTINGS, plan())["otk.service"]
    with pytest.raises(UsageError, match="cannot be"):
        make_units(replace(SETTINGS, credentials=("a\nUser=root",)), plan())

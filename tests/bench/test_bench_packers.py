"""A package counts as made only if what the server needs is in it; whoever cannot take part says why."""

import subprocess
from pathlib import Path

import pytest
from bench.contestant import BenchError, Unavailable
from bench.packers import (
    OTK,
    WEB,
    find_package,
    require_dh_virtualenv,
    say_tags,
    write_dh_virtualenv,
    write_nfpm,
)

from bench import packers

LISTING = "./usr/lib/otk/vendor/taphouse/\n./usr/lib/otk/vendor/uvloop/\n"


def test_a_package_without_what_the_server_needs_spoils_the_sample(tmp_path, monkeypatch):
    (tmp_path / "otk_1.0_amd64.deb").touch()
    listed = subprocess.CompletedProcess([], 0, stdout=LISTING)
    monkeypatch.setattr(packers.subprocess, "run", lambda *_, **__: listed)
    with pytest.raises(BenchError, match=r"otk_1\.0_amd64\.deb is without \.tap"):
        find_package(tmp_path, OTK)
    listed.stdout += "./usr/lib/otk/server.tap\n"
    assert find_package(tmp_path, OTK) == tmp_path / "otk_1.0_amd64.deb"


def test_two_packages_or_none_spoil_the_sample(tmp_path):
    with pytest.raises(BenchError, match="made 0 packages"):
        find_package(tmp_path, OTK)
    for number in (1, 2):
        (tmp_path / f"otk_{number}.0_amd64.deb").touch()
    with pytest.raises(BenchError, match="made 2 packages"):
        find_package(tmp_path, OTK)


def test_what_lintian_says_is_counted_by_its_weight():
    said = "E: otk: a\nE: otk: b\nW: otk: c\nN: overridden because\nO: otk: d\nI: otk: e\n"
    assert say_tags(said) == "lintian: 2 errors, 1 warnings, 1 overridden"


def test_peers_get_the_code_the_tap_and_a_unit_that_they_do_not_make_themselves(tmp_path):
    stock = packers.Stock(tmp_path / "stock")
    for name, write in (
        ("dh", lambda folder: write_dh_virtualenv(WEB, stock, folder)),
        ("nfpm", lambda folder: write_nfpm(WEB, folder)),
    ):
        (tmp_path / name).mkdir()
        write(tmp_path / name)
        assert (tmp_path / name / "shop.py").exists()
        written = "".join(path.read_text() for path in (tmp_path / name).rglob("*") if path.is_file())
        assert "shop.tap" in written
        assert "ExecStart=" in written
    assert "--no-index" in (tmp_path / "dh" / "debian" / "rules").read_text()


def test_a_peer_that_is_not_installed_is_named_with_its_package(monkeypatch):
    monkeypatch.setattr(packers.shutil, "which", lambda _name: None)
    with pytest.raises(Unavailable, match="no dh_virtualenv: apt-get install dh-virtualenv"):
        require_dh_virtualenv()


def test_a_peer_for_another_python_takes_no_part(monkeypatch):
    monkeypatch.setattr(packers.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(
        packers.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, stdout="3.9\n")
    )
    with pytest.raises(Unavailable, match=r"builds for Python 3\.9"):
        require_dh_virtualenv()


def test_the_sources_that_are_built_are_those_of_this_checkout():
    assert Path(packers.__file__).parents[1] / "src" / "taphouse" / "__init__.py" in packers._sources()

"""Debian's own critic has nothing to say of a package that we wrote."""

from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packagereading import EPOCH

from taphouse.packaging import (
    About,
    Part,
    Tree,
    UnitSettings,
    Upkeep,
    architecture_of,
    changelog_text,
    conffile_text,
    control_fields,
    copyright_text,
    gzipped,
    library_dependencies,
    lintian_overrides,
    maintainer_scripts,
    make_units,
    man_page,
    python_dependency,
    read_elf,
    sbom_text,
    sysusers_text,
    write_deb,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("lintian") is None,
        reason="NOT RUN: lintian is not installed; as root: apt-get install -y lintian",
    ),
]

PLAN = {
    "name": "otk",
    "listeners": [
        {"label": "tcp:80", "kind": "tcp", "port": 80, "interface": "", "backlog": 1024, "factory": "Keys#1"},
        {
            "label": "unix:/run/otk.sock",
            "kind": "unix",
            "path": "/run/otk.sock",
            "mode": 0o660,
            "backlog": 16,
        },
    ],
    "connectors": [],
}


def make_package(folder: Path, *wheels: str, account: str = "") -> Path:
    """Build a package of all that the room makes, with installed compiled wheels in it."""
    tree, files, parts, tags = Tree(), {}, [], []
    for name in wheels:
        found = distribution(name)
        tags += [line.split()[1] for line in (found.read_text("WHEEL") or "").splitlines() if "Tag:" in line]
        texts = []
        for file in found.files or ():
            path = Path(str(found.locate_file(file)))
            if "licenses" in file.parts:
                texts.append((path.name, path.read_text()))
            elif path.suffix == ".so":
                place = f"usr/lib/otk/vendor/{file}"
                files[place] = read_elf(path.read_bytes(), str(path))
                tree.copy_file(place, path)
        parts.append(Part(name, found.version, found.metadata["License-Expression"] or "", tuple(texts)))
    about = About(
        name="otk",
        version="1.0",
        maintainer="Ann Author <ann@example.org>",
        epoch=EPOCH,
        synopsis="One-time keys.",
        description="Gives everybody a number that nobody got before.\n\n* and\n.remembers it",
        license="MIT",
        license_text="Permission is hereby granted to everybody.",
        parts=tuple(parts),
    )
    dependency, interpreter = python_dependency(tags)
    command = (interpreter, "-ISB", "/usr/lib/otk")
    settings = UnitSettings(
        package="otk",
        description="One-time keys",
        start=(*command, "run"),
        backup=(*command, "backup"),
        account=account,
        options_file="/etc/otk/otk.conf",
    )
    units = make_units(settings, PLAN)
    enabled = tuple(name for name, text in units.items() if "[Install]" in text)
    upkeep = Upkeep(
        package="otk", units=enabled, python=dependency.removeprefix("python3")[1:5], account=account
    )
    upkeep = upkeep if files else Upkeep(package="otk", units=enabled, account=account)
    for name, text in units.items():
        tree.add_file(f"usr/lib/systemd/system/{name}", text)
    tree.add_file("usr/lib/otk/__main__.py", "print('served')\n")
    tree.add_file("usr/lib/otk/sbom.json", sbom_text(about))
    tree.add_file("usr/sbin/otk", f'#!/bin/sh\nexec {" ".join(command)} "$@"\n', 0o755)
    tree.add_file("etc/otk/otk.conf", conffile_text("otk"))
    tree.add_file("usr/share/man/man8/otk.8.gz", gzipped(man_page(about, PLAN, enabled)))
    tree.add_file("usr/share/doc/otk/changelog.gz", gzipped(changelog_text(about)))
    tree.add_file("usr/share/doc/otk/copyright", copyright_text(about))
    depends = [dependency, *library_dependencies(files)]
    if account:
        tree.add_file("usr/lib/sysusers.d/otk.conf", sysusers_text(upkeep))
        depends.append("systemd | systemd-standalone-sysusers | systemd-sysusers")
    if overrides := lintian_overrides("otk", files):
        tree.add_file("usr/share/lintian/overrides/otk", overrides)
    path = folder / "otk.deb"
    write_deb(
        path,
        control_fields(about, architecture_of(files), depends),
        tree,
        epoch=EPOCH,
        scripts=maintainer_scripts(upkeep),
        conffiles=["/etc/otk/otk.conf"],
    )
    return path


@pytest.mark.parametrize(
    ("wheels", "account"),
    [
        (("httptools",), "_otk"),
        pytest.param((), "", marks=pytest.mark.soak),
        pytest.param(("uvloop", "msgspec", "hiredis"), "", marks=pytest.mark.soak),
    ],
)
def test_lintian_has_neither_errors_nor_warnings(wheels: Any, account: str, tmp_path: Path) -> None:
    package = make_package(tmp_path, *wheels, account=account)
    done = subprocess.run(
        ["lintian", "--pedantic", "--fail-on", "error,warning", "--allow-root", str(package)],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr

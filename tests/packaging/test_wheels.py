"""Distributions come out of wheels as an installer would unpack them, and only what fits and is whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taphouse.errors import ConfigurationError
from taphouse.packaging import (
    Environment,
    Part,
    Target,
    Tree,
    Wheelhouse,
    Wheels,
    parse_lock,
    python_dependency,
)
from wheelmaking import locked, make_wheel

TARGET = Target((3, 11), "x86_64", (2, 36))
ARM13 = Target((3, 13), "aarch64", (2, 41))
HERE = "usr/lib/otk/vendor"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder of wheels that has one of taphouse."""
    folder = tmp_path / "wheels"
    make_wheel(folder, "taphouse", {"taphouse/__init__.py": ""}, requires=["click>=8"])
    make_wheel(folder, "click", {"click/__init__.py": "", "click/types.py": ""})
    return folder


def taken(
    folder: Path, *modules: str, lock: str = "", target: Target = TARGET, here: Path | None = None
) -> tuple[list[Part], Tree]:
    tree = Tree()
    wheels = Wheels(
        Wheelhouse([folder]),
        target,
        parse_lock(lock, "req.txt") if lock else None,
        here=Environment([str(here)]) if here else None,
    )
    return wheels.add_parts(tree, HERE, ["taphouse", *modules]), tree


def files(tree: Tree) -> set[str]:
    return {path.removeprefix(f"{HERE}/") for path, node in tree if node.is_file}


def refusal(folder: Path, *modules: str, **more: object) -> str:
    with pytest.raises(ConfigurationError) as refused:
        taken(folder, *modules, **more)  # type: ignore[arg-type]
    return str(refused.value)


# --- what goes in -------------------------------------------------------------------------------


def test_what_the_code_needs_is_taken_with_what_that_needs(house: Path) -> None:
    make_wheel(house, "unwanted")
    make_wheel(house, "web", requires=["h11; python_version >= '3'", "win32; sys_platform == 'win32'"])
    make_wheel(house, "h11")
    parts, tree = taken(house, "web.routing", "sys", "own")
    assert [part.name for part in parts] == ["click", "h11", "taphouse", "web"]
    assert files(tree) >= {"web.py", "h11.py", "taphouse/__init__.py", "click/types.py"}
    assert parts[0] == Part("click", "1.0", "MIT", (("LICENSE", "Do what you want.\n"),), ("py3-none-any",))


def test_a_lock_is_taken_whole_and_nothing_else(house: Path) -> None:
    extra = make_wheel(house, "extra")
    make_wheel(house, "unwanted")
    lock = locked(*house.glob("click*"), *house.glob("taphouse*"), extra)
    parts, _ = taken(house, "unwanted", lock=lock)
    assert [part.name for part in parts] == ["click", "extra", "taphouse"]


def test_taphouse_itself_may_lie_in_the_folder_without_being_locked(house: Path) -> None:
    parts, _ = taken(house, lock=locked(*house.glob("click*")))
    assert [part.name for part in parts] == ["click", "taphouse"]


def test_extras_bring_what_they_need(house: Path) -> None:
    make_wheel(house, "uvicorn", requires=["fast; extra == 'standard'", "slow; extra == 'other'"])
    make_wheel(house, "fast")
    make_wheel(house, "slow")
    make_wheel(house, "web", requires=["uvicorn[standard]"])
    parts, _ = taken(house, "web")
    assert [part.name for part in parts] == ["click", "fast", "taphouse", "uvicorn", "web"]


def test_a_wheel_is_unpacked_as_an_installer_does(house: Path) -> None:
    path = "big-1.0.data"
    make_wheel(
        house,
        "big",
        {
            "big/__init__.py": "#!/home/ann/bin/python\nX = 1\n",
            f"{path}/purelib/pure.py": "",
            f"{path}/platlib/plat/__init__.py": "",
            f"{path}/scripts/big": "#!python\n",
            f"{path}/headers/big.h": "",
            f"{path}/data/share/man/man1/big.1": "",
            "big/helper.sh": "#!/bin/sh\n",
            "big/words.txt": "",
            "big/fast.pyx": "",
            "big/types.pyi": "",
            "big/__pycache__/x.cpython-311.pyc": "",
            "big-1.0.dist-info/entry_points.txt": "[x]\n",
            "big-1.0.dist-info/top_level.txt": "big\n",
        },
        modes={"big/helper.sh": 0o755, "big/words.txt": 0o755, "big/__init__.py": 0o775},
    )
    _, tree = taken(house, "big")
    mine = {name for name in files(tree) if name.startswith(("big", "pure", "plat"))}
    assert mine == {
        "big/__init__.py",
        "big/helper.sh",
        "big/words.txt",
        "pure.py",
        "plat/__init__.py",
        "big-1.0.dist-info/METADATA",
        "big-1.0.dist-info/WHEEL",
        "big-1.0.dist-info/entry_points.txt",
    }
    assert tree[f"{HERE}/big/__init__.py"].content == b"#\nX = 1\n"
    modes = {name: tree[f"{HERE}/big/{name}"].mode for name in ("__init__.py", "helper.sh", "words.txt")}
    assert modes == {"__init__.py": 0o644, "helper.sh": 0o755, "words.txt": 0o644}


def test_a_namespace_may_have_parts_in_several_wheels(house: Path) -> None:
    make_wheel(house, "ns_a", {"ns/__init__.py": "shared", "ns/a.py": ""})
    make_wheel(house, "ns_b", {"ns/__init__.py": "shared", "ns/b.py": ""})
    make_wheel(house, "bare_c", {"bare/c.py": ""})
    make_wheel(house, "bare_d", {"bare/d.py": ""})
    parts, tree = taken(house, "ns.a", "bare.c")
    assert {"ns/a.py", "ns/b.py", "bare/c.py", "bare/d.py"} < files(tree)
    assert len(parts) == 6


def test_a_pth_file_is_left_out_and_that_is_told(house: Path) -> None:
    make_wheel(house, "old", {"old.py": "", "old-nspkg.pth": "import sys\n"})
    wheels = Wheels(Wheelhouse([house]), TARGET)
    tree = Tree()
    wheels.add_parts(tree, HERE, ["taphouse", "old"])
    assert "old-nspkg.pth" not in files(tree)
    assert wheels.notes == ["old: leaves out old-nspkg.pth, which nothing reads there"]


# --- which wheel --------------------------------------------------------------------------------


def test_the_wheel_that_fits_the_target_is_taken(house: Path) -> None:
    tags = [
        "cp311-cp311-manylinux_2_17_x86_64",
        "cp313-cp313-manylinux_2_28_aarch64",
        "cp311-cp311-musllinux_1_2_x86_64",
    ]
    for tag in tags:
        make_wheel(house, "fast", {"fast.py": tag}, tags=tag)
    for target, tag in ((TARGET, tags[0]), (ARM13, tags[1])):
        parts, tree = taken(house, "fast", target=target)
        assert tree[f"{HERE}/fast.py"].content == tag.encode()
        assert python_dependency(tag for part in parts for tag in part.tags)[0] == target.interpreter


def test_abi3_and_pure_wheels_ask_for_no_certain_python(house: Path) -> None:
    make_wheel(house, "stable", tags="cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64")
    make_wheel(house, "both", tags="py2.py3-none-any")
    parts, _ = taken(house, "stable", "both")
    by_name = {part.name: part.tags for part in parts}
    assert by_name["both"] == ("py3-none-any",)
    assert len(by_name["stable"]) == 2
    tags = [tag for part in parts for tag in part.tags]
    assert python_dependency(tags) == ("python3 (>= 3.11~)", "/usr/bin/python3")


def test_of_two_builds_the_higher_is_taken(house: Path) -> None:
    make_wheel(house, "fast", {"fast.py": "first"}, tags="py3-none-any")
    make_wheel(house, "fast", {"fast.py": "third"}).rename(house / "fast-1.0-10-py3-none-any.whl")
    make_wheel(house, "fast", {"fast.py": "second"}).rename(house / "fast-1.0-2-py3-none-any.whl")
    _, tree = taken(house, "fast")
    assert tree[f"{HERE}/fast.py"].content == b"third"


def test_what_does_not_fit_is_refused_with_what_there_is(house: Path) -> None:
    make_wheel(house, "fast", tags="cp312-cp312-manylinux_2_17_x86_64")
    make_wheel(house, "fast", tags="cp311-cp311-musllinux_1_2_x86_64", version="1.1")
    make_wheel(house, "web", requires=["fast"])
    assert refusal(house, "web") == (
        "fast has no wheel for CPython 3.11 on x86_64 with glibc 2.36; there is"
        " fast-1.0-cp312-cp312-manylinux_2_17_x86_64.whl (for cp312-cp312),"
        " fast-1.1-cp311-cp311-musllinux_1_2_x86_64.whl (for musl, not glibc);"
        " take another version of it, or another --platform or --python"
    )


def test_a_locked_wheel_that_is_another_one_is_refused(house: Path) -> None:
    make_wheel(house, "fast")
    lock = f"fast==1.0 --hash=sha256:{'0' * 64}\n{locked(*house.glob('click*'))}"
    said = refusal(house, lock=lock)
    assert "there is fast-1.0-py3-none-any.whl (has another sum than the requirements allow)" in said


def test_a_wheel_for_another_python_is_refused(house: Path) -> None:
    make_wheel(house, "new", python=">=3.12")
    assert "is for Python >=3.12, and the package is for CPython 3.11" in refusal(house, "new")


def test_two_versions_without_a_lock_are_refused(house: Path) -> None:
    make_wheel(house, "two", version="1.0")
    make_wheel(house, "two", version="2.0")
    assert "has two in versions 1.0, 2.0; remove all but one, or say which by --requirements" in refusal(
        house, "two"
    )


# --- what is missing ----------------------------------------------------------------------------


def test_without_taphouse_nothing_would_run(tmp_path: Path) -> None:
    lone = make_wheel(tmp_path / "wheels", "lone")
    for lock in ("", locked(lone)):
        said = refusal(lone.parent, lock=lock)
        assert said.startswith("taphouse itself is not among the wheels")
        assert "add it to --requirements, or put its wheel into a folder" in said


def test_what_a_wheel_needs_has_to_be_there(house: Path) -> None:
    make_wheel(house, "web", requires=["h11"])
    assert refusal(house, "web").startswith("web needs h11, and there is no wheel of it")


def test_a_lock_that_is_not_for_the_releases_python_is_refused(house: Path) -> None:
    redis = make_wheel(house, "redis", requires=['async-timeout; python_full_version < "3.11.3"'])
    said = refusal(house, lock=locked(redis, *house.glob("click*")))
    assert said.startswith(
        "req.txt: has no async-timeout, which redis needs with Python 3.11.2; lock it for that"
    )


def test_what_runs_here_with_an_extra_has_to_be_among_the_wheels(house: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    for name, needs in (("redis", "hiredis; extra == 'fast'"), ("hiredis", ""), ("chance", "")):
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"{name}/__init__.py,,\n")
        make_wheel(house if name == "redis" else tmp_path / "else", name, requires=filter(None, [needs]))
    # What another version of them imports here by chance is not missed.
    parts, _ = taken(house, "redis", "chance", here=site)
    assert "redis" in [part.name for part in parts]
    said = refusal(house, "redis.asyncio", "hiredis", here=site)
    assert "module hiredis is imported here, by redis[fast], and no wheel brings it; add hiredis" in said


def test_two_wheels_that_bring_the_same_file_are_refused(house: Path) -> None:
    make_wheel(house, "one", {"one.py": "", "tests/__init__.py": "1"}, requires=["other"])
    make_wheel(house, "other", {"tests/__init__.py": "2"})
    said = refusal(house, "one")
    assert "one-1.0-py3-none-any.whl and " in said
    assert "both bring tests/__init__.py, and not the same" in said


def test_an_editable_wheel_is_refused(house: Path) -> None:
    make_wheel(house, "mine", {"mine.py": "", "__editable__.mine-1.0.pth": "/home/ann/mine\n"})
    assert "is editable: its code is somewhere else" in refusal(house, "mine")


def test_a_folder_with_something_called_a_wheel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.whl").write_text("")
    with pytest.raises(ConfigurationError, match="'notes.whl' is no name of a wheel"):
        Wheelhouse([tmp_path])


def test_the_same_wheels_give_the_same_tree(house: Path) -> None:
    make_wheel(house, "ns_a", {"ns/__init__.py": "", "ns/a.py": ""})
    make_wheel(house, "ns_b", {"ns/__init__.py": "", "ns/b.py": ""})
    trees = [
        json.dumps([(path, node.mode, str(node.content)) for path, node in taken(house, *modules)[1]])
        for modules in (("ns.a", "own"), ("own", "ns.a"))
    ]
    assert trees[0] == trees[1]

"""A target knows which wheels fit it, and says what the others are for."""

from __future__ import annotations

import platform
import sys

import pytest

from taphouse.errors import UsageError
from taphouse.packaging import Target, make_target

BOOKWORM = Target((3, 11), "x86_64", (2, 36))
TRIXIE_ARM = Target((3, 13), "aarch64", (2, 41))


def test_without_a_word_it_is_the_python_that_runs() -> None:
    target = make_target()
    assert target.python == sys.version_info[:2]
    assert target.machine == platform.machine()


@pytest.mark.parametrize(
    ("python", "asked", "target"),
    [
        ("3.11", "amd64", BOOKWORM),
        ("3.11", "x86_64", BOOKWORM),
        ("python3.13", "arm64", TRIXIE_ARM),
        ("313", "aarch64", TRIXIE_ARM),
        ("3.11", "manylinux_2_28_x86_64", Target((3, 11), "x86_64", (2, 28))),
        ("3.11", "x86_64-manylinux_2_28", Target((3, 11), "x86_64", (2, 28))),
        ("3.11", "x86_64-manylinux2014", Target((3, 11), "x86_64", (2, 17))),
        ("3.12", "manylinux2014_aarch64", Target((3, 12), "aarch64", (2, 17))),
        ("3.13", "linux_riscv64", Target((3, 13), "riscv64", (2, 41))),
        ("3.13", "s390x", Target((3, 13), "s390x", (2, 41))),
    ],
)
def test_a_python_and_a_machine_can_be_asked_for(python: str, asked: str, target: Target) -> None:
    assert make_target(python, asked) == target


@pytest.mark.parametrize(
    "asked", ["musllinux_1_2_x86_64", "win_amd64", "macosx_11_0_arm64", "vax", "", "any"]
)
def test_a_platform_that_debian_is_not_is_refused(asked: str) -> None:
    with pytest.raises(UsageError, match="--platform .* is none that Debian has"):
        make_target("3.11", asked)


@pytest.mark.parametrize("asked", ["2.7", "3.10", "4.0", "pypy3.11", "3", "3.11.2", "3.111"])
def test_a_python_that_servers_do_not_run_on_is_refused(asked: str) -> None:
    with pytest.raises(UsageError, match="--python .* is no Python that servers run on"):
        make_target(asked)


@pytest.mark.parametrize(
    "tag",
    [
        "cp311-cp311-manylinux_2_17_x86_64",
        "cp311-cp311-manylinux_2_36_x86_64",
        "cp311-cp311-manylinux2014_x86_64",
        "cp311-cp311-manylinux1_x86_64",
        "cp311-cp311-linux_x86_64",
        "cp311-none-any",
        "cp39-abi3-manylinux_2_5_x86_64",
        "cp311-abi3-manylinux_2_34_x86_64",
        "py3-none-any",
        "py311-none-any",
        "py37-none-manylinux_2_17_x86_64",
    ],
)
def test_wheels_that_fit(tag: str) -> None:
    assert BOOKWORM.rank(tag) is not None


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("cp311-cp311-musllinux_1_2_x86_64", "musl, not glibc"),
        ("cp311-cp311-manylinux_2_39_x86_64", "glibc 2.39 or newer"),
        ("cp311-cp311-manylinux_2_17_aarch64", "aarch64"),
        ("cp311-cp311-win_amd64", "win_amd64"),
        ("cp311-cp311-macosx_11_0_arm64", "macosx_11_0_arm64"),
        ("cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312"),
        ("cp312-abi3-manylinux_2_17_x86_64", "cp312-abi3"),
        ("cp310-cp310-manylinux_2_17_x86_64", "cp310-cp310"),
        ("cp311-cp311t-manylinux_2_17_x86_64", "cp311-cp311t"),
        ("cp311-cp311d-manylinux_2_17_x86_64", "cp311-cp311d"),
        ("cp310-none-any", "cp310-none"),
        ("pp310-pypy310_pp73-manylinux_2_17_x86_64", "pp310-pypy310_pp73"),
        ("py2-none-any", "py2-none"),
        ("py312-none-any", "py312-none"),
        ("cp311-cp311-manylinux_3_1_x86_64", "glibc 3.1 or newer"),
    ],
)
def test_wheels_that_do_not_and_what_they_are_for(tag: str, reason: str) -> None:
    assert BOOKWORM.rank(tag) is None
    assert BOOKWORM.misfit([tag]) == reason


def test_the_most_specific_wheel_is_the_best() -> None:
    tags = [
        "cp311-cp311-manylinux_2_34_x86_64",
        "cp311-cp311-manylinux_2_17_x86_64",
        "cp311-cp311-linux_x86_64",
        "cp311-abi3-manylinux_2_17_x86_64",
        "cp39-abi3-manylinux_2_17_x86_64",
        "cp311-none-any",
        "py311-none-any",
        "py3-none-manylinux_2_17_x86_64",
        "py3-none-any",
    ]
    backwards = tags[::-1]
    assert sorted(backwards, key=lambda tag: BOOKWORM.rank(tag) or ()) == tags


def test_every_platform_tag_that_fits_is_spelled_out() -> None:
    tags = TRIXIE_ARM.platforms()
    assert tags[0] == "manylinux_2_41_aarch64"
    assert tags[-3:] == ["manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64"]
    assert len(tags) == 41 - 17 + 3
    old = BOOKWORM.platforms()
    assert {"manylinux1_x86_64", "manylinux2010_x86_64", "manylinux_2_5_x86_64"} < set(old)
    assert all(BOOKWORM.rank(f"cp311-cp311-{tag}") for tag in old)


def test_markers_are_asked_of_the_python_that_the_release_has() -> None:
    values = BOOKWORM.markers()
    assert (values["python_version"], values["python_full_version"]) == ("3.11", "3.11.2")
    assert TRIXIE_ARM.markers()["platform_machine"] == "aarch64"
    assert Target((3, 19), "x86_64", (2, 41)).markers()["python_full_version"] == "3.19.0"


@pytest.mark.parametrize(
    ("requires", "fits"),
    [
        ("", True),
        (">=3.8", True),
        (">= 3.8, !=3.9.*, <4", True),
        (">=3.12", False),
        ("<3.11", False),
        ("~=3.10", True),
        ("!=3.11.*", False),
        (">=3.11.3", False),
        ("==3.11.*", True),
    ],
)
def test_a_wheel_says_which_pythons_it_takes(requires: str, fits: bool) -> None:
    assert BOOKWORM.has_python(requires) is fits

"""What Debian's critic and systemd say of packages that tap2deb made: nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from workshop import Workshop

from shipyard import Shipyard, open_shipyard

pytestmark = [
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("lintian") is None or shutil.which("systemd-analyze") is None,
        reason="NOT RUN: as root: apt-get install -y lintian systemd",
    ),
]

APP = """\
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("here"))])
"""


def judged(place: Workshop, tap: str, *options: str) -> str:
    """Make a package; whatever is said against it ends the command with 78."""
    return place.run("tap2deb", "--lint", *options, tap).stdout


def is_praised(said: str) -> bool:
    return "lintian: nothing to complain of\nsystemd-analyze verify: nothing to complain of\n" in said


def test_nothing_is_wrong_with_a_package_of_our_own_code(workshop: Workshop) -> None:
    tap = workshop.save()
    assert is_praised(judged(workshop, tap, "--user", "_otk", "--license", "MIT"))


def test_nothing_is_wrong_with_a_package_of_a_web_application(tmp_path: Path) -> None:
    yard: Shipyard = open_shipyard("web")
    place = Workshop(tmp_path, yard)
    place.write("shop.py", APP)
    place.run("mktap", "-o", "shop.tap", "-n", "shop", "web", "--app", "shop:app", "--port", "8200")
    said = judged(place, "shop.tap")
    assert is_praised(said)
    for name in ("httptools", "starlette", "uvicorn", "websockets"):
        assert f"{name} " in said


def test_what_they_find_is_told_and_ends_with_78(workshop: Workshop) -> None:
    tap = workshop.save()
    tools = workshop.folder / "tools"
    tools.mkdir()
    (tools / "lintian").write_text("#!/bin/sh\necho E: otk: something-is-wrong\n")
    (tools / "lintian").chmod(0o755)
    done = workshop.run("tap2deb", "--lint", tap, status=78, PATH=str(tools))
    assert "lintian: 1 lines\n  E: otk: something-is-wrong\n" in done.stdout
    assert "systemd-analyze verify: is not installed here" in done.stdout
    assert done.stderr.count("\n") == 1 and "lint has 1 complaints" in done.stderr

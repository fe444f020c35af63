"""What the tests of the runtime share: loops of both kinds, and files for TLS."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from certificates import CERTIFICATE, KEY

from taphouse.runtime import make_loop

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def run_on(kind: str, main: Coroutine[Any, Any, Any]) -> Any:
    """Run ``main`` on a loop of ``kind``, at most 20 seconds; "plain" is asyncio's own loop."""

    async def bounded() -> Any:
        async with asyncio.timeout(20):
            return await main

    factory = None if kind == "plain" else lambda: make_loop(kind)
    with warnings.catch_warnings(), asyncio.Runner(loop_factory=factory) as runner:
        try:
            return runner.run(bounded())
        except BaseException:
            # A test that fails leaves transports open; uvloop warns of each while it closes, and
            # a warning that is an error there keeps it from closing, for ever.
            warnings.simplefilter("ignore", ResourceWarning)
            raise


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine on each of our loops."""
    return lambda main: run_on(request.param, main)


@pytest.fixture(params=["uvloop", "asyncio", "plain"])
def run_anywhere(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine on each of our loops, and on one that is not ours."""
    return lambda main: run_on(request.param, main)


@pytest.fixture
def run_fast() -> Run:
    """Run a coroutine that touches no transport, on asyncio's loop."""
    return lambda main: run_on("plain", main)


@pytest.fixture
def certfile(tmp_path: Path) -> str:
    path = tmp_path / "cert.pem"
    path.write_text(CERTIFICATE)
    return str(path)


@pytest.fixture
def keyfile(tmp_path: Path) -> str:
    path = tmp_path / "key.pem"
    path.write_text(KEY)
    return str(path)

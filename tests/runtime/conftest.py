"""What the tests of the runtime share: loops of both kinds, and files for TLS."""

from __future__ import annotations

import asyncio
import gc
import os
import warnings
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from certificates import CERTIFICATE, KEY

from playground import PATIENCE_S
from taphouse.runtime import make_loop

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def run_on(kind: str, main: Coroutine[Any, Any, Any]) -> Any:
    """Run ``main`` on a loop of ``kind``, with patience; "plain" is asyncio's own loop.

    What ``main`` has closed is gone when it ends: the end of a stream comes by way of the kernel, TLS says
    goodbye several times, and a loop that is closed earlier leaves a transport open that complains of it
    in whatever test runs when it is collected.
    """

    async def bounded() -> Any:
        loop: Any = asyncio.get_running_loop()
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # by now a loop of libuv has asked for its own descriptors
        before = _polled_sockets(loop)
        async with asyncio.timeout(2 * PATIENCE_S):
            result = await main
            while _polled_sockets(loop) - before:
                await asyncio.sleep(0.001)
        return result

    factory = None if kind == "plain" else lambda: make_loop(kind)
    with warnings.catch_warnings(), asyncio.Runner(loop_factory=factory) as runner:
        try:
            return runner.run(bounded())
        except BaseException:
            # A test that fails leaves transports open; uvloop warns of each while it closes, and
            # a warning that is an error there keeps it from closing, for ever.
            warnings.simplefilter("ignore", ResourceWarning)
            raise


def _polled_sockets(loop: Any) -> set[str]:
    """Return the open sockets at which the loop looks, as the kernel calls them (proc(5), fdinfo)."""
    polling = loop._get_backend_id() if hasattr(loop, "_get_backend_id") else loop._selector.fileno()
    lines = Path(f"/proc/self/fdinfo/{polling}").read_text().splitlines()
    found = set()
    for line in lines:
        if line.startswith("tfd:"):
            with suppress(OSError):
                found.add(os.readlink(f"/proc/self/fd/{line.split()[1]}"))
    return {name for name in found if name.startswith("socket:")}


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged in this test: garbage of others, which asyncio logs when it is collected, goes first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()
    caplog.clear()
    return caplog


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

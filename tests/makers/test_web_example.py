"""Example 09, a web application that remembers, does what its first lines say."""

from __future__ import annotations

import asyncio
import signal

import pytest

from makers.webbing import talk_websocket

pytestmark = pytest.mark.process


def test_09_a_guest_book_forgets_nobody_after_kill_9(playground):
    playground.example("09-web/guests.py")
    playground.run("mktap", "web", "--app", "guests:app", "--port", "8209")
    playground.run("twistd", "-f", "web.tap")
    url = "http://localhost:8209/"
    assert playground.run("curl", "-sS", "-d", "Ann", url).stdout == "thank you, Ann, guest 1\n"
    assert playground.run("curl", "-sS", "-d", "Bob", url).stdout == "thank you, Bob, guest 2\n"
    playground.kill(signal.SIGKILL)
    playground.run("twistd", "-f", "web-shutdown.tap")
    assert playground.run("curl", "-sS", url).stdout == "Ann\nBob\n"

    async def ask(*names):
        async with talk_websocket(f"ws://localhost:{playground.port(8209)}/was-here") as socket:
            for name in names:
                await socket.send(name)
            return [await socket.recv() for _ in names]

    assert asyncio.run(ask("Ann", "Cid")) == ["was here", "never"]

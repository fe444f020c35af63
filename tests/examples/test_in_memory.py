"""The same examples without a process: how a user tests a server with ``taphouse.testing``."""

from __future__ import annotations

import asyncio
import importlib.util
import sys

import pytest

from playground import TOP
from taphouse.testing import connect, crash_and_thaw, settle


def load(name: str, monkeypatch):
    """Import an example under its own name, whatever another test has imported by it, for this test alone."""
    path = TOP / "examples" / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


async def talk(factory, question: bytes = b"") -> bytes:
    """Connect, say something, return all that is answered."""
    peer = connect(factory)
    if question:
        peer.send(question)
    peer.end()
    await settle()
    return peer.receive()


def test_a_refused_transfer_leaves_no_trace(monkeypatch):
    bank = load("07-transfers/bank.py", monkeypatch).Bank()
    with pytest.raises(ValueError, match="does not have 300"):
        bank.transfer("alice", "bob", 300)
    assert bank.accounts == {"alice": 100, "bob": 50}


def test_a_transfer_is_there_after_a_crash(monkeypatch):
    module = load("07-transfers/bank.py", monkeypatch)
    app = module.Application("bank")
    app.listenTCP(0, module.Bank())

    async def before():
        return await talk(app.listeners[0].factory, b"alice bob 30\n")

    assert asyncio.run(before()) == b"alice 70, bob 80\n"
    thawed = crash_and_thaw(app)
    assert thawed.listeners[0].factory.accounts == {"alice": 70, "bob": 80}


def test_the_last_ten_lines_of_a_chat_are_kept(monkeypatch):
    chat = load("04-chat/chat.py", monkeypatch).Chat()

    async def life():
        await talk(chat, b"".join(b"line %d\n" % number for number in range(12)))
        return await talk(chat)

    assert asyncio.run(life()) == b"".join(b"line %d\n" % number for number in range(2, 12))

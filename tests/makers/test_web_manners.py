"""Manners of web connections: what is too slow, long or odd is refused, and a stop lets requests finish."""

from __future__ import annotations

import asyncio
import math
import re
import sys
from contextlib import contextmanager, suppress

import pytest
from websockets.exceptions import ConnectionClosed

from makers.making import run
from makers.webbing import site, talk_websocket, until
from taphouse.makers.web import engine as engines
from taphouse.makers.web import http

pytestmark = pytest.mark.process

SHOP = """
import asyncio

going = asyncio.Event()
waiting = []
done = []

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for _ in range(2):
            done.append((await receive())["type"])
            await send({"type": done[-1] + ".complete"})
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        waiting.append("websocket")
        done.append(await receive())
        return
    if scope["path"] == "/later":
        waiting.append("later")
        await going.wait()
    body = scope["path"].encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    if scope["path"] == "/task":
        waiting.append("task")
        await going.wait()
        done.append("task")
"""
GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


def module_of(server):
    return sys.modules[server.factory.target.partition(":")[0]]


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """What a server waits for a moment comes in time, however busy the machine is."""
    monkeypatch.setattr(http, "_LINGER_S", 60.0)
    monkeypatch.setattr(http, "_NEW_GRACE_S", 60.0)
    monkeypatch.setattr(engines, "_TASKS_S", 60.0)


@contextmanager
def nobody_is_late(server):
    """Let the limits of connections count afterwards only, when all is there that should be in time."""
    engine = server.factory._v_engine
    limits = engine._header_timeout_s, engine._keep_alive_s
    engine._header_timeout_s = engine._keep_alive_s = math.inf
    yield
    engine._header_timeout_s, engine._keep_alive_s = limits


async def connected(server, said=b""):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    if said:
        writer.write(said)
    return reader, writer


async def answered(reader, path):
    """Read the answer to a GET of ``path`` and return its head."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(len(path)) == path
    return head


@pytest.mark.parametrize(
    "said",
    [
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnot a number\r\n",
        b"GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(web_app, said):
    async def main():
        async with site(**web_app(SHOP)) as server:
            answer = await server.say(said)
            if b"Transfer-Encoding" not in said:
                assert answer.startswith(b"HTTP/1.1 400 ")
            assert b"connection: close" in answer
            assert (await server.curl("/x")).body == b"/x"

    run(main())


def test_a_head_without_end_is_refused(web_app):
    async def main():
        async with site(**web_app(SHOP)) as server:
            too_long = b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
            fields = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1000) for number in range(300))
            assert (await server.say(b"GET / HTTP/1.1\r\n" + fields)).startswith(too_long)
            assert (await server.say(b"GET /" + b"x" * 300_000)).startswith(too_long)
            assert (await server.say(GET % b"/x" + b"GET / HTTP/1.1\r\nX: " + b"x" * 300_000)).count(
                too_long
            ) == 1
            assert (await server.curl("/x", "-H", "X-Long: " + "x" * 60_000)).body == b"/x"

    run(main())


TRAILED = """
import json

async def app(scope, receive, send):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    body = json.dumps([len(body), [name.decode() for name, _ in scope["headers"]]]).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""
CHUNKED = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_trailers_without_end_are_refused_and_no_trailer_is_a_header(web_app):
    async def main():
        async with site(**web_app(TRAILED)) as server:
            short = CHUNKED + b"3\r\nabc\r\n0\r\nX-Real: me\r\n\r\n"
            reader, writer = await connected(server, short)
            await reader.readuntil(b'[3, ["host", "transfer-encoding"]]')
            writer.close()
            reader, writer = await connected(server, CHUNKED + b"3\r\nabc\r\n")
            await until(lambda: server.factory._v_engine.shared.tasks)
            writer.write(b"0\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 1000) for n in range(1000)))
            with pytest.raises(ConnectionError):
                assert await reader.read() == b""
                raise ConnectionResetError  # it may also end without
            writer.close()

    run(main())


def test_a_body_in_the_smallest_chunks_is_taken(web_app):
    async def main():
        async with site(**web_app(TRAILED)) as server:
            reader, writer = await connected(server, CHUNKED)
            for _ in range(100):
                writer.write(b"1\r\nx\r\n" * 1000)
                await writer.drain()
            writer.write(b"0\r\n\r\n")
            await reader.readuntil(b"[100000, [")
            writer.close()

    run(main())


def test_what_is_refused_does_not_get_into_a_response(web_app):
    async def main():
        async with site(**web_app(SHOP, header_timeout="0.01s")) as server:
            module = module_of(server)
            with nobody_is_late(server):
                reader, writer = await connected(server, GET % b"/later" + b"GET / HTTP/1.1\r\n")
                await until(lambda: module.waiting)
            for _ in range(3):
                server.factory._v_engine._tick()
            module.going.set()
            await answered(reader, b"/later")
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
            writer.close()
            module.going.clear()
            with nobody_is_late(server):
                too_long = GET % b"/later" + b"GET / HTTP/1.1\r\nX: " + b"x" * 300_000
                reader, writer = await connected(server, too_long)
                await until(lambda: len(module.waiting) == 2)
            module.going.set()
            assert b"connection: close" in await answered(reader, b"/later")
            with suppress(ConnectionResetError):  # what the server has not read when it closes is answered so
                assert await reader.read() == b""
            writer.close()

    run(main())


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", GET % b"/x" + b"GET /y"])
def test_a_head_that_does_not_come_is_not_waited_for(web_app, said):
    async def main():
        async with site(**web_app(SHOP, header_timeout="0.2s", keep_alive="1h")) as server:
            with nobody_is_late(server):
                reader, writer = await connected(server, said)
                if b"/x" in said:
                    await answered(reader, b"/x")
            answer = await reader.read()
            assert answer == b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            writer.close()

    run(main())


def test_a_connection_without_requests_is_closed(web_app):
    async def main():
        async with site(**web_app(SHOP, keep_alive="0.2s")) as server:
            answer = await server.say(GET % b"/x" + GET % b"/y")
            assert answer.count(b"200 OK") == 2

    run(main())


def test_a_request_that_takes_longer_than_both_limits_is_served(web_app):
    async def main():
        async with site(**web_app(SHOP, keep_alive="0.01s", header_timeout="0.01s")) as server:
            module = module_of(server)
            with nobody_is_late(server):
                reader, writer = await connected(server, GET % b"/later")
                await until(lambda: module.waiting)
            for _ in range(3):
                server.factory._v_engine._tick()
            module.going.set()
            await answered(reader, b"/later")
            writer.close()

    run(main())


def test_the_clock_stands_still_when_nobody_is_there(web_app):
    async def main():
        async with site(**web_app(SHOP)) as server:
            engine = server.factory._v_engine
            assert engine._ticking is None
            await server.curl("/x")
            await until(lambda: not engine.shared.connections)
            engine._tick()
            engine._tick()
            await until(lambda: engine._ticking is None)
            await server.curl("/x")

    run(main())


def test_pipelined_requests_are_answered_in_order(web_app):
    async def main():
        async with site(**web_app(SHOP)) as server:
            paths = [b"/%d" % number for number in range(30)]
            reader, writer = await connected(server, GET % b"/later" + b"".join(GET % path for path in paths))
            module = module_of(server)
            await until(lambda: module.waiting)
            module.going.set()
            for path in [b"/later", *paths]:
                await answered(reader, path)
            writer.close()

    run(main())


def test_a_stop_lets_requests_finish_and_tells_who_keeps_the_connection(web_app):
    async def main():
        async with site({"save": False, "drain_s": 30.0}, **web_app(SHOP)) as server:
            module = module_of(server)
            slow_reader, slow = await connected(server, GET % b"/later" + GET % b"/next")
            idle_reader, idle = await connected(server, GET % b"/x")
            assert b"connection: close" not in await answered(idle_reader, b"/x")
            new_reader, new = await connected(server)
            await until(lambda: module.waiting and len(server.factory.connections) == 3)
            stop = asyncio.create_task(server.server.stop())
            await until(lambda: all(each.is_draining for each in server.factory.connections))
            new.write(GET % b"/new")
            assert b"connection: close" in await answered(new_reader, b"/new")
            assert await new_reader.read() == b""
            assert await idle_reader.read() == b""
            module.going.set()
            await answered(slow_reader, b"/later")
            assert b"connection: close" in await answered(slow_reader, b"/next")
            assert await slow_reader.read() == b""
            await stop
            assert module.done[-1] == "lifespan.shutdown"
            for writer in (slow, idle, new):
                writer.close()

    run(main())


def test_a_stop_closes_websockets_with_service_restart(web_app):
    async def main():
        async with site({"save": False, "drain_s": 30.0}, **web_app(SHOP)) as server:
            module = module_of(server)
            async with talk_websocket(f"ws://127.0.0.1:{server.port}/") as client:
                await until(lambda: module.waiting)
                stop = asyncio.create_task(server.server.stop())
                with pytest.raises(ConnectionClosed) as closed:
                    await client.recv()
            assert closed.value.rcvd.code == 1012
            await stop
            assert module.done[1:] == [{"type": "websocket.disconnect", "code": 1012}, "lifespan.shutdown"]

    run(main())


def test_what_a_request_leaves_running_ends_before_the_application_does(web_app):
    async def main():
        async with site(**web_app(SHOP)) as server:
            module = module_of(server)
            reader, writer = await connected(server, GET % b"/task")
            await answered(reader, b"/task")
            await until(lambda: "task" in module.waiting)
            stop = asyncio.create_task(server.server.stop())
            assert await reader.read() == b""
            module.going.set()
            await stop
            assert module.done[1:] == ["task", "lifespan.shutdown"]
            writer.close()

    run(main())


def test_a_request_that_does_not_end_is_given_up_at_the_stop(web_app, monkeypatch):
    monkeypatch.setattr(engines, "_TASKS_S", 0.05)

    async def main():
        async with site({"save": False, "drain_s": 0.05}, **web_app(SHOP)) as server:
            module = module_of(server)
            reader, writer = await connected(server, GET % b"/later")
            await until(lambda: module.waiting)
            await server.server.stop()
            assert not re.match(rb"HTTP/1.1 200", await reader.read())
            assert module.done[-1] == "lifespan.shutdown"
            writer.close()

    run(main())


def test_a_slow_reader_holds_nobody_up(web_app):
    text = """
async def app(scope, receive, send):
    if scope["path"] == "/long":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(400):
            await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
        await send({"type": "http.response.body"})
    else:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
"""

    async def main():
        async with site(**web_app(text)) as server:
            reader, writer = await connected(server, GET % b"/long")
            await until(lambda: server.factory.connections)
            (connection,) = server.factory.connections
            await until(lambda: connection.flow is not None and connection.flow.write_paused)
            assert (await server.curl("/x")).status == 204
            length = 0
            while length < 400 * 65536:
                part = await reader.read(1 << 20)
                assert part
                length += len(part)
            writer.close()

    run(main())

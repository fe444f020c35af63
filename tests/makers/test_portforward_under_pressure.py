"""Clients that flood or stall cost others nothing, and the server a bounded amount of memory."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from makers.forwards import hear
from playground import PATIENCE_S

pytestmark = pytest.mark.process

FLOODERS, SILENT = 30, 100
MOST_PER_DIRECTION = 2**16 + 2**18  # the loop's mark and one read
MARGIN = 24_000_000


@contextmanager
def echoing(port):
    """Echo in a thread: who does not read is not read from."""

    async def echo(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def serve():
        server = await asyncio.start_server(echo, "127.0.0.1", port, backlog=1000)
        listening.set()
        await stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    loop, listening = asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    try:
        assert listening.wait(PATIENCE_S)
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE_S)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def flood(client, data):
    """Send without reading until nothing more is taken."""
    never, waited = threading.Event(), 0
    client.setblocking(False)
    while waited < 10:
        try:
            client.send(data)
            waited = 0
        except BlockingIOError:
            never.wait(0.01)
            waited += 1


def peak_bytes(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def talk(port):
    """Be a client as it should be; return what came back."""
    heard = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
        for number in range(20):
            client.sendall(b"%03d" % number)
            heard += hear(client, 3)
    return heard


def descriptors(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_who_floods_and_who_stalls_is_alone_with_it(playground):
    there = ("--port", "8123", "--to", "127.0.0.1:8124", "--connect-timeout", "1m")
    playground.run("mktap", "portforward", *there)
    playground.run("twistd", "-f", "portforward.tap")
    pid, port = playground.pid(), playground.port(8123)
    spoken = b"".join(b"%03d" % number for number in range(20))
    with echoing(playground.port(8124)):
        assert talk(port) == spoken
        before_bytes, before_descriptors = peak_bytes(pid), descriptors(pid)
        with ExitStack() as clients:
            for _ in range(SILENT):
                clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S))
            flooders = [
                clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S))
                for _ in range(FLOODERS)
            ]
            threads = [threading.Thread(target=flood, args=[client, bytes(10**6)]) for client in flooders]
            for thread in threads:
                thread.start()
            assert talk(port) == spoken  # beside the flood
            for thread in threads:
                thread.join()
            assert talk(port) == spoken  # when all of it is stuck
            assert peak_bytes(pid) - before_bytes < 2 * FLOODERS * MOST_PER_DIRECTION + MARGIN
        # They are gone without a word, with their connections to the target.
        playground.wait_until(lambda: descriptors(pid) <= before_descriptors, "closed connections")
        assert talk(port) == spoken
    playground.kill()
    shown = playground.run("tap", "show", "portforward-shutdown.tap").stdout
    assert re.search(rf"^ +forwarded +{SILENT + FLOODERS + 4}$", shown, re.MULTILINE)


def test_who_waits_for_a_target_that_does_not_answer_is_bounded_too(playground):
    """The target's backlog is full: connecting hangs, and what clients say meanwhile waits with them."""
    playground.run(
        "mktap", "portforward", "--port", "8123", "--to", "127.0.0.1:8124", "--connect-timeout", "2s"
    )
    playground.run("twistd", "-f", "portforward.tap")
    pid, port = playground.pid(), playground.port(8123)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", playground.port(8124)))
        listener.listen(0)
        full = socket.create_connection(("127.0.0.1", playground.port(8124)), timeout=PATIENCE_S)
        stack.enter_context(full)  # nobody accepts it
        before = peak_bytes(pid)
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S))
            for _ in range(FLOODERS)
        ]
        threads = [threading.Thread(target=flood_until_reset, args=[client]) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        assert peak_bytes(pid) - before < FLOODERS * MOST_PER_DIRECTION + MARGIN
    playground.wait_until(
        lambda: "no answer within 2 s" in playground.read("twistd.log"), "a line of the log"
    )


def flood_until_reset(client):
    try:
        while True:
            client.sendall(bytes(10**6))
    except ConnectionError:
        pass

"""How a crowd gets in: a few turns of the loop, whichever loop it is."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator

import pytest
from backlogs import wait_queued
from bench.ports import free_port

from playground import PATIENCE_S
from taphouse.runtime.accepting import accept_on
from taphouse.runtime.loop import make_loop

CROWD = 64
TURNS = 20
"""Most turns that may pass before all are in; one in a turn would be as many turns as clients."""


@pytest.fixture(params=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    made = make_loop(request.param)
    yield made
    made.close()


@pytest.fixture
def waiting() -> Iterator[tuple[socket.socket, list[socket.socket]]]:
    """A socket that listens, and clients that wait in its backlog."""
    with socket.create_server(("127.0.0.1", 0), backlog=CROWD) as listening:
        listening.setblocking(False)
        clients = [socket.create_connection(listening.getsockname()) for _ in range(CROWD)]
        wait_queued(listening, CROWD)
        yield listening, clients
        for client in clients:
            client.close()


class Guest(asyncio.Protocol):
    inside = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Guest.inside += 1
        transport.close()


@pytest.fixture(autouse=True)
def _nobody_is_inside() -> None:
    Guest.inside = 0


async def turns_until_all_are_in() -> int:
    turns = 0
    while Guest.inside < CROWD:
        turns += 1
        await asyncio.sleep(0)
    return turns


def test_a_crowd_that_waits_is_in_within_a_few_turns(loop, waiting) -> None:
    listening, _ = waiting

    async def run() -> int:
        servers = await accept_on(loop, Guest, listening, CROWD)
        turns = await asyncio.wait_for(turns_until_all_are_in(), PATIENCE_S)
        for server in servers:
            server.close()
        return turns

    assert loop.run_until_complete(run()) <= TURNS


def test_nobody_is_accepted_once_it_is_closed(loop) -> None:
    address = ("127.0.0.1", free_port())
    with socket.create_server(address) as listening:
        listening.setblocking(False)

        async def run() -> None:
            for server in await accept_on(loop, Guest, listening.dup(), CROWD):
                server.close()
            await asyncio.sleep(0.0)

        loop.run_until_complete(run())
        listening.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)


def test_without_descriptors_to_spare_everybody_gets_in_all_the_same(loop, waiting) -> None:
    listening, _ = waiting

    class Single(socket.socket):
        def dup(self) -> socket.socket:
            raise OSError(errno.EMFILE, "Too many open files")

    single = Single(fileno=listening.detach())

    async def run() -> int:
        servers = await accept_on(loop, Guest, single, CROWD)
        await asyncio.wait_for(turns_until_all_are_in(), PATIENCE_S)
        for server in servers:
            server.close()
        return len(servers)

    assert loop.run_until_complete(run()) == 1
    single.close()

"""What passes through a forwarder arrives, whole, in order, and ends as it ended."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import random
import socket
import tempfile
import weakref

import pytest
from bench.ports import free_port

from makers import forwards
from makers.forwards import forwarding, run_on, until
from playground import PATIENCE_S
from taphouse.makers.forwarding import target as targets
from taphouse.makers.forwarding import traffic
from taphouse.makers.forwarding.target import Target
from taphouse.runtime import Epochs

pytestmark = pytest.mark.process


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request):
    return lambda main: run_on(request.param, main)


@pytest.fixture
def run_fast():
    return lambda main: run_on("uvloop", main)


@pytest.fixture
def quick_ticks(monkeypatch):
    monkeypatch.setattr(traffic, "_TICK_S", 0.02)


def random_bytes(size):
    return random.Random(size).randbytes(size)


# --- bytes and ends -----------------------------------------------------------------------------


def test_bytes_pass_in_both_directions(run):
    async def main():
        async with forwards.target() as target, forwarding(target.port) as forward:
            client = await forward.client()
            peer = await target.peer()
            for said in (b"one", b"two", random_bytes(300_000)):
                await asyncio.gather(client.say(said), peer.say(said[::-1]))
                assert await peer.hear(len(said)) == said
                assert await client.hear(len(said)) == said[::-1]
            client.close()
            peer.close()
            await forward.wait_idle()

    run(main())


def test_a_target_that_speaks_first_is_heard(run):
    async def main():
        async with forwards.target() as target, forwarding(target.port) as forward:
            client = await forward.client()
            peer = await target.peer()
            await peer.say(b"220 ready\r\n")
            peer.close()
            assert await client.hear_all() == b"220 ready\r\n"
            client.close()
            await forward.wait_idle()

    run(main())


@pytest.mark.parametrize("first", ["client", "target"])
def test_an_end_of_one_direction_is_passed_on_and_the_other_goes_on(run, first):
    async def main():
        async with forwards.target() as target, forwarding(target.port) as forward:
            client = await forward.client()
            peer = await target.peer()
            one, other = (client, peer) if first == "client" else (peer, client)
            await one.say(b"question")
            one.finish()
            assert await other.hear_all() == b"question"
            for part in (b"a long ", random_bytes(1_000_000), b" answer"):
                await asyncio.gather(other.say(part), hear_and_check(one, part))
            other.close()
            assert await one.hear_all() == b""
            one.close()
            await forward.wait_idle()

    async def hear_and_check(peer, part):
        assert await peer.hear(len(part)) == part

    run(main())


@pytest.mark.parametrize("first", ["client", "target"])
def test_a_reset_is_passed_on_as_a_reset(run, first):
    async def main():
        async with forwards.target() as target, forwarding(target.port) as forward:
            client = await forward.client()
            peer = await target.peer()
            await client.say(b"hello")
            assert await peer.hear(5) == b"hello"
            one, other = (client, peer) if first == "client" else (peer, client)
            one.reset()
            with pytest.raises(ConnectionResetError):
                await other.hear_all()
            await forward.wait_idle()
            other.close()

    run(main())


def test_what_a_client_says_before_the_target_is_there_waits_for_it(run, monkeypatch):
    """The first read of it, and its end; more than that stays with the client."""
    go = asyncio.Event()

    async def look_up(self, loop):
        await go.wait()
        return [(socket.AF_INET, "127.0.0.1", self.port)]

    monkeypatch.setattr(Target, "_look_up", look_up)
    said = random_bytes(2_000_000)

    async def main():
        async with forwards.target() as target, forwarding(f"slow.test:{target.port}") as forward:
            client = await forward.client()
            client.writer.write(said)
            client.finish()
            (passage,) = await passages(forward)
            await until(lambda: passage.client.other._size > 0)
            assert passage.client.other._size <= 2**16 + 2**18
            go.set()
            peer = await target.peer()
            assert await peer.hear_all() == said
            peer.close()
            assert await client.hear_all() == b""
            client.close()
            await forward.wait_idle()

    run(main())


def test_a_client_may_have_said_all_before_the_target_is_there(run, monkeypatch):
    go = asyncio.Event()

    async def look_up(self, loop):
        await go.wait()
        return [(socket.AF_INET, "127.0.0.1", self.port)]

    monkeypatch.setattr(Target, "_look_up", look_up)

    async def main():
        async with forwards.target() as target, forwarding(f"slow.test:{target.port}") as forward:
            client = await forward.client()
            await client.say(b"question")
            client.finish()
            (passage,) = await passages(forward)
            await until(lambda: passage.client.has_ended)
            go.set()
            peer = await target.peer()
            assert await peer.hear_all() == b"question"
            await peer.say(b"answer")
            peer.close()
            assert await client.hear_all() == b"answer"
            client.close()
            await forward.wait_idle()

    run(main())


def test_a_client_that_leaves_while_its_target_is_looked_up_costs_nothing_more(run, monkeypatch):
    asked = asyncio.Event()

    async def look_up(self, loop):
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Target, "_look_up", look_up)

    async def main():
        async with forwards.target() as target, forwarding(f"slow.test:{target.port}") as forward:
            client = await forward.client()
            await asked.wait()
            client.reset()
            await forward.wait_idle()
            assert target.came.empty()
            assert forward.forwarder._v_traffic._sums.failures + forward.forwarder.failed == 0

    run(main())


@pytest.fixture
def short_folder():
    """Not pytest's tmp_path: the path of a UNIX socket must stay under 108 bytes."""
    with tempfile.TemporaryDirectory(prefix="taphouse-forward-") as folder:
        yield folder


def test_a_unix_socket_may_be_the_target(run, short_folder):
    async def main():
        path = f"{short_folder}/target"
        async with forwards.target(path) as target, forwarding(f"unix:{path}") as forward:
            client = await forward.client()
            await client.say(b"hello")
            client.finish()
            peer = await target.peer()
            assert await peer.hear_all() == b"hello"
            await peer.say(b"world")
            peer.close()
            assert await client.hear_all() == b"world"
            client.close()
            await forward.wait_idle()

    run(main())


@pytest.mark.parametrize("host", ["localhost", "[::1]"])
def test_a_target_has_a_name_or_an_address_of_either_family(run, host):
    async def main():
        target = forwards.Target()
        port = free_port()  # at all addresses that the name stands for
        try:
            server = await asyncio.start_server(target.take, host.strip("[]"), port)
        except OSError as reason:
            pytest.skip(f"no {host} here: {reason}")
        async with forwarding(f"{host}:{port}") as forward:
            client = await forward.client()
            await client.say(b"hello")
            client.finish()
            peer = await target.peer()
            assert await peer.hear_all() == b"hello"
            peer.close()
            assert await client.hear_all() == b""
            client.close()
            await forward.wait_idle()
        server.close()
        target.close()

    run(main())


# --- memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize("slow", ["client", "target"])
def test_who_does_not_read_stops_the_other_one(run, slow):
    size = 24_000_000
    said = random_bytes(size)

    async def main():
        async with forwards.target() as target, forwarding(target.port) as forward:
            client = await forward.client()
            peer = await target.peer()
            one, other = (peer, client) if slow == "client" else (client, peer)
            (passage,) = await passages(forward)
            giver, taker = (
                (passage.target, passage.client) if slow == "client" else (passage.client, passage.target)
            )
            saying = asyncio.ensure_future(one.say(said))
            await until(lambda: not giver.transport.is_reading())
            # The mark of the loop and one read: that is all there may be in memory.
            assert taker.transport.get_write_buffer_size() <= 2**16 + 2**18
            assert giver.passed_bytes < size / 2
            assert hashlib.sha256(await other.hear(size)).digest() == hashlib.sha256(said).digest()
            await saying
            client.close()
            peer.close()
            await forward.wait_idle()

    run(main())


def test_a_passage_that_ended_leaves_nothing_to_the_cycle_collector(run):
    async def main():
        async with forwards.target() as target, forwarding(target.port) as forward:
            client = await forward.client()
            peer = await target.peer()
            (passage,) = await passages(forward)
            left = [weakref.ref(passage.client), weakref.ref(passage.target)]
            del passage
            client.close()
            assert await peer.hear_all() == b""
            peer.close()
            await forward.wait_idle()
            await until(lambda: not any(reference() for reference in left))

    gc.disable()
    try:
        run(main())
    finally:
        gc.enable()


async def passages(forward):
    """Return the passages there are, once one is whole."""
    live = forward.forwarder._v_traffic._live
    await until(lambda: live)
    return list(live)


# --- targets that are not there -----------------------------------------------------------------


def test_a_target_that_refuses_resets_its_clients_and_is_named_once_for_all_of_them(run, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(traffic, "_FAILURES_LOGGED_EVERY_S", 3600.0)  # however long thirty clients take

    async def main():
        async with forwarding(free_port()) as forward:
            for _ in range(30):
                client = await forward.client()
                with pytest.raises(ConnectionResetError):
                    await client.hear_all()
                client.close()
            await forward.wait_idle()
        return forward.forwarder.forwarded, forward.forwarder.failed

    assert run(main()) == (30, 30)
    lines = [record.getMessage() for record in caplog.records if "turned away" in record.getMessage()]
    assert len(lines) == 2  # the first at once, the others together
    assert lines[0].startswith("1 client turned away: 127.0.0.1:")
    assert lines[1].startswith("29 clients turned away: 127.0.0.1:")
    assert {line.rpartition(": ")[2] for line in lines} == {"Connection refused"}


def test_a_name_that_nobody_knows_is_told(run, caplog, monkeypatch):
    async def main():
        async def fail(*_arguments, **_options):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", fail, raising=False)
        async with forwarding("nobody.invalid:80") as forward:
            client = await forward.client()
            with pytest.raises(ConnectionResetError):
                await client.hear_all()
            client.close()
            await forward.wait_idle()

    run(main())
    assert "nobody.invalid:80: its name cannot be looked up: Name or service not known" in caplog.text


def test_a_target_that_never_answers_is_given_up(run, caplog, tmp_path, quick_ticks):
    """Here it accepts, and then says nothing to a TLS handshake: that is part of connecting."""
    certificates = forwards.Certificates(tmp_path)

    async def main():
        async with (
            forwards.target() as target,
            forwarding(
                target.port, to_tls=True, to_cafile=str(certificates.certfile), connect_timeout=0.1
            ) as forward,
        ):
            client = await forward.client()
            with pytest.raises(ConnectionResetError):
                await client.hear_all()
            client.close()
            await forward.wait_idle()
            await until(lambda: forward.forwarder.failed == 1)

    run(main())
    assert "no answer within 0.1 s" in caplog.text


def test_of_several_addresses_the_one_that_answers_is_taken(run):
    """The first one refuses, as ::1 does where a server listens on 127.0.0.1 alone."""

    async def main():
        async with forwards.target() as target:
            addresses = [
                (socket.AF_INET, "127.0.0.2", target.port),
                (socket.AF_INET, "127.0.0.1", target.port),
            ]
            came = asyncio.get_running_loop().create_future()

            class Client(asyncio.Protocol):
                def connection_made(self, transport):
                    came.set_result(transport)

            await targets._race(asyncio.get_running_loop(), Client, addresses, {})
            assert (await came).get_extra_info("peername")[0] == "127.0.0.1"
            (await came).close()

    run(main())


def test_an_address_that_hangs_does_not_keep_the_next_one_waiting(run_fast, monkeypatch):
    monkeypatch.setattr(targets, "_NEXT_ADDRESS_S", 0.01)
    ended = []

    async def connect(_loop, _make, address, _options):
        monkeypatch.setattr(targets, "_NEXT_ADDRESS_S", 3600.0)  # who answers has all the time to
        try:
            await asyncio.Event().wait() if address == "hangs" else await asyncio.sleep(0)
        finally:
            ended.append(address)

    monkeypatch.setattr(targets, "_connect", connect)

    async def main():
        await targets._race(asyncio.get_running_loop(), None, ["hangs", "answers", "never asked"], {})

    run_fast(main())
    assert ended == ["answers", "hangs"]


def test_an_address_that_answers_too_late_is_let_go(run, monkeypatch):
    async def connect_all(loop, make, addresses, options):
        for address in addresses:
            await targets._connect(loop, make, address, options)

    async def look_up(self, loop):
        return [(socket.AF_INET, "127.0.0.1", port) for port in ports]

    ports = []
    monkeypatch.setattr(targets, "_race", connect_all)
    monkeypatch.setattr(Target, "_look_up", look_up)

    async def main():
        async with forwards.target() as first, forwards.target() as second:
            ports.extend([first.port, second.port])
            async with forwarding("two.test:80") as forward:
                client = await forward.client()
                peer, late = await first.peer(), await second.peer()
                assert await late.hear_all() == b""
                await client.say(b"hello")
                assert await peer.hear(5) == b"hello"
                for end in (client, peer, late):
                    end.close()
                await forward.wait_idle()

    run(main())


def test_where_no_address_answers_the_first_one_says_why(run_fast, monkeypatch):
    async def connect(_loop, _make, address, _options):
        raise OSError(address)

    monkeypatch.setattr(targets, "_connect", connect)

    async def main():
        with pytest.raises(OSError, match="one"):
            await targets._race(asyncio.get_running_loop(), None, ["one", "two"], {})

    run_fast(main())


def test_addresses_take_turns_by_family():
    four, six = socket.AF_INET, socket.AF_INET6
    found = [(six, "a", 1), (six, "b", 1), (six, "c", 1), (four, "d", 1)]
    assert [address for _, address, _ in targets._alternate(found)] == ["a", "d", "b", "c"]


# --- silence ------------------------------------------------------------------------------------


def test_silence_ends_a_passage_and_traffic_in_either_direction_does_not(run, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(traffic, "_TICK_S", 3600.0)

    async def main():
        async with forwards.target() as target, forwarding(target.port, idle_timeout=300.0) as forward:
            client = await forward.client()
            peer = await target.peer()
            (passage,) = await passages(forward)
            for one, other in ((client, peer), (peer, client)):
                await one.say(b"still here")
                assert await other.hear(10) == b"still here"
                passage.look(has_passed=any(passage.new_bytes()), now=1000.0)
                assert passage.silent_since == 1000.0
                passage.silent_since = 0.0
            passage.look(has_passed=False, now=299.9)
            await client.say(b"still here")
            assert await peer.hear(10) == b"still here"
            passage.look(has_passed=False, now=300.0)
            assert await asyncio.gather(client.hear_all(), peer.hear_all()) == [b"", b""]
            client.close()
            peer.close()
            await forward.wait_idle()

    run(main())
    assert "nothing has passed for 300 s; closed" in caplog.text


def test_silence_ends_what_a_peer_does_not_take(run, monkeypatch):
    monkeypatch.setattr(traffic, "_TICK_S", 3600.0)

    async def main():
        async with forwards.target() as target, forwarding(target.port, idle_timeout=300.0) as forward:
            client = await forward.client()
            peer = await target.peer()
            (passage,) = await passages(forward)
            saying = asyncio.ensure_future(client.say(bytes(24_000_000)))
            await until(lambda: not passage.client.transport.is_reading())
            passage.look(has_passed=False, now=passage.silent_since + 300.0)
            await forward.wait_idle()
            with pytest.raises(ConnectionError):
                await saying
            client.close()
            peer.close()

    run(main())


# --- what is counted ----------------------------------------------------------------------------


def test_connections_and_bytes_are_counted_and_told(run, caplog, quick_ticks):
    caplog.set_level(logging.INFO)

    async def main():
        async with forwards.target() as target, forwarding(target.port) as forward:
            client = await forward.client()
            peer = await target.peer()
            await client.say(b"12345")
            await peer.hear(5)
            await peer.say(b"123")
            await client.hear(3)
            forwarder = forward.forwarder
            # While it lasts, too.
            await until(lambda: (forwarder.to_target_bytes, forwarder.to_client_bytes) == (5, 3))
            client.finish()
            await peer.hear_all()
            await peer.say(b"4567")
            peer.close()
            await client.hear_all()
            client.close()
            await forward.wait_idle()
        assert (forwarder.forwarded, forwarder.failed) == (1, 0)
        assert (forwarder.to_target_bytes, forwarder.to_client_bytes) == (5, 7)

    run(main())
    (record,) = [record for record in caplog.records if "bytes there" in record.getMessage()]
    assert record.getMessage().endswith(" s: 5 bytes there, 7 bytes back")
    assert record.context == "Forwarder,1,127.0.0.1"


def test_what_passes_commits_nothing(run, tmp_path, monkeypatch):
    """Sums are committed by the clock; between its ticks no number of segments commits anything."""
    monkeypatch.setattr(traffic, "_TICK_S", 3600.0)

    async def main():
        async with (
            forwards.target() as target,
            forwarding(target.port, running={"state": str(tmp_path / "forward.tap")}) as forward,
        ):
            client = await forward.client()
            peer = await target.peer()
            before = forward.app.statistics().epochs.commits
            await ping(client, peer, 50)
            assert forward.app.statistics().epochs.commits == before
            client.close()
            peer.close()
            await forward.wait_idle()
        return forward.forwarder.to_target_bytes, forward.forwarder.to_client_bytes

    assert run(main()) == (200, 200)


def test_what_passes_waits_for_no_commit(run, tmp_path):
    """The state has changed, and its commit takes for ever: a reply of this application would wait.

    Both ends are on a thread of their own: the gate of this loop would keep what they say.
    """

    def talk(port, listener):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(PATIENCE_S)
                for one, other in ((client, peer), (peer, client)) * 3:
                    one.sendall(b"hello")
                    assert forwards.hear(other, 5) == b"hello"

    async def main():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(PATIENCE_S)
            running = {"state": str(tmp_path / "forward.tap")}
            async with forwarding(listener.getsockname()[1], running=running) as forward:
                gate = asyncio.get_running_loop().guests.gate
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(Epochs, "_commit", lambda self: None)
                    forward.forwarder.failed += 1
                    assert gate.closed
                    await asyncio.to_thread(talk, forward.port, listener)
                    assert gate.closed
                await forward.wait_idle()

    run(main())


async def ping(client, peer, times):
    for _ in range(times):
        await client.say(b"ping")
        assert await peer.hear(4) == b"ping"
        await peer.say(b"pong")
        assert await client.hear(4) == b"pong"


def test_connections_go_on_when_their_port_is_closed(run, monkeypatch):
    monkeypatch.setattr(traffic, "_TICK_S", 3600.0)

    async def main():
        async with forwards.target() as target:
            app = forwards.declare(target.port)
            async with app.running(save=False) as server:
                (listener,) = app.listeners
                forwarder = listener.factory
                client = await forwards.Forward(app, server, forwarder).client()
                peer = await target.peer()
                await client.say(b"before")
                assert await peer.hear(6) == b"before"
                app.unlisten(listener)
                await until(lambda: forwarder._v_traffic is None)
                assert forwarder.to_target_bytes == 6
                await client.say(b"after")
                assert await peer.hear(5) == b"after"
                client.close()
                assert await peer.hear_all() == b""
                peer.close()

    run(main())

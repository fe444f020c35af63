"""TLS on either side of a forwarder, or on both; and what becomes of ends that TLS cannot tell."""

from __future__ import annotations

import logging
import random
import ssl

import pytest

from makers import forwards
from makers.forwards import forwarding, run_on, until
from taphouse.makers.forwarding import passage as passages
from taphouse.makers.forwarding import traffic

pytestmark = pytest.mark.process

SAID = random.Random(7).randbytes(1_000_000)


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request):
    return lambda main: run_on(request.param, main)


@pytest.fixture
def certificates(tmp_path):
    return forwards.Certificates(tmp_path)


@pytest.fixture
def of_clients(certificates):
    """Options for TLS with clients."""
    return {"certfile": str(certificates.certfile), "keyfile": str(certificates.keyfile)}


@pytest.fixture
def of_target(certificates):
    """Options for TLS with the target."""
    return {"to_tls": True, "to_cafile": str(certificates.certfile), "to_server_name": "localhost"}


@pytest.mark.parametrize("sides", ["clients", "target", "clients and target"])
def test_tls_is_spoken_where_it_was_asked_for(run, certificates, of_clients, of_target, sides):
    with_clients, with_target = "clients" in sides, "target" in sides
    options = {**(of_clients if with_clients else {}), **(of_target if with_target else {})}

    async def main():
        async with (
            forwards.target(tls=certificates.of_server() if with_target else None) as target,
            forwarding(target.port, **options) as forward,
        ):
            client = await forward.client(certificates.of_client() if with_clients else None)
            peer = await target.peer()
            await client.say(SAID)
            assert await peer.hear(len(SAID)) == SAID
            await peer.say(SAID[::-1])
            assert await client.hear(len(SAID)) == SAID[::-1]
            peer.close()
            assert await client.hear_all() == b""
            client.close()
            await forward.wait_idle()

    run(main())


def test_a_client_that_sends_no_more_gets_the_whole_answer_of_a_target_with_tls(run, certificates, of_target):
    async def main():
        async with (
            forwards.target(tls=certificates.of_server()) as target,
            forwarding(target.port, **of_target) as forward,
        ):
            client = await forward.client()
            await client.say(b"question")
            client.finish()
            peer = await target.peer()
            assert await peer.hear(8) == b"question"
            await peer.say(SAID)
            peer.close()
            assert await client.hear_all() == SAID
            client.close()
            await forward.wait_idle()

    run(main())


def test_a_target_with_tls_that_waits_for_an_end_it_cannot_be_told_is_closed_in_the_end(
    run, certificates, of_target, monkeypatch
):
    monkeypatch.setattr(passages, "_UNTOLD_SILENCE_S", 0.1)
    monkeypatch.setattr(traffic, "_TICK_S", 0.02)

    async def main():
        async with (
            forwards.target(tls=certificates.of_server()) as target,
            forwarding(target.port, **of_target) as forward,
        ):
            client = await forward.client()
            await client.say(b"all")
            client.finish()
            peer = await target.peer()
            assert await peer.hear_all() == b"all"  # in order: close_notify, and no reset
            peer.close()
            assert await client.hear_all() == b""
            client.close()
            await forward.wait_idle()

    run(main())


def test_a_client_with_tls_is_closed_when_its_target_has_said_all(run, certificates, of_clients):
    async def main():
        async with forwards.target() as target, forwarding(target.port, **of_clients) as forward:
            client = await forward.client(certificates.of_client())
            peer = await target.peer()
            await peer.say(SAID)
            peer.finish()
            assert await client.hear_all() == SAID
            client.close()
            assert await peer.hear_all() == b""
            peer.close()
            await forward.wait_idle()

    run(main())


def test_what_a_client_with_tls_says_before_it_closes_reaches_the_target(run, certificates, of_clients):
    """Though it is gone before the target is connected: TLS ends both directions at once."""

    async def main():
        async with forwards.target() as target, forwarding(target.port, **of_clients) as forward:
            for _ in range(20):
                client = await forward.client(certificates.of_client())
                client.writer.write(SAID[:1000])
                client.close()
                peer = await target.peer()
                assert await peer.hear_all() == SAID[:1000]
                peer.close()
            await forward.wait_idle()

    run(main())


def test_a_certificate_that_is_not_trusted_is_refused_and_named(run, certificates, caplog):
    async def main():
        async with (
            forwards.target(tls=certificates.of_server()) as target,
            forwarding(target.port, to_tls=True) as forward,
        ):
            client = await forward.client()
            with pytest.raises(ConnectionResetError):
                await client.hear_all()
            client.close()
            await forward.wait_idle()

    run(main())
    assert "its certificate is not trusted: self-signed certificate" in caplog.text


def test_a_name_that_the_certificate_does_not_carry_is_refused(run, certificates, of_target, caplog):
    async def main():
        async with (
            forwards.target(tls=certificates.of_server()) as target,
            forwarding(target.port, **{**of_target, "to_server_name": "other.test"}) as forward,
        ):
            client = await forward.client()
            with pytest.raises(ConnectionResetError):
                await client.hear_all()
            client.close()
            await forward.wait_idle()

    run(main())
    assert "its certificate is not trusted: Hostname mismatch" in caplog.text


def test_any_certificate_is_taken_if_that_was_asked_for_with_a_warning(run, certificates, caplog):
    caplog.set_level(logging.WARNING)

    async def main():
        async with (
            forwards.target(tls=certificates.of_server()) as target,
            forwarding(target.port, to_tls=True, to_insecure=True) as forward,
        ):
            client = await forward.client()
            peer = await target.peer()
            await client.say(b"secret")
            assert await peer.hear(6) == b"secret"
            client.close()
            peer.close()
            await forward.wait_idle()

    run(main())
    assert "the certificate of 127.0.0.1 is not checked" in caplog.text


def test_a_client_that_speaks_no_tls_gets_no_further(run, of_clients):
    async def main():
        async with forwards.target() as target, forwarding(target.port, **of_clients) as forward:
            client = await forward.client()
            await client.say(b"GET / HTTP/1.0\r\n\r\n")
            client.finish()
            try:
                heard = await client.hear_all()
            except ConnectionResetError:
                heard = b""
            assert b"HTTP" not in heard  # an alert of TLS at most
            client.close()
            good = await forward.client(certificates_of(of_clients))
            peer = await target.peer()  # the first one that came through
            await good.say(b"hello")
            assert await peer.hear(5) == b"hello"
            good.close()
            peer.close()
            await forward.wait_idle()

    def certificates_of(options):
        return ssl.create_default_context(cafile=options["certfile"])

    run(main())


def test_an_untold_end_is_only_where_tls_is(run, certificates, of_target):
    async def main():
        async with (
            forwards.target(tls=certificates.of_server()) as target,
            forwarding(target.port, **of_target) as forward,
        ):
            client = await forward.client()
            peer = await target.peer()
            (passage,) = forward.forwarder._v_traffic._live
            assert not passage._is_untold
            client.finish()
            await until(lambda: passage.client.has_ended)
            assert passage._is_untold
            peer.close()
            assert await client.hear_all() == b""
            client.close()
            await forward.wait_idle()

    run(main())

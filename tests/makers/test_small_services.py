"""The small services as mktap makes them, over real sockets."""

from __future__ import annotations

import asyncio
import struct
import time

import pytest

from makers.making import ask, ask_udp, build, port_of, run, serving
from taphouse.errors import UsageError
from taphouse.makers import chargen, daytime, discard, echo, kv, otk, qotd, timeserver

SMALL = [chargen, daytime, discard, echo, timeserver]
IDS = [maker.__name__.rpartition(".")[2] for maker in SMALL]


async def served(maker, talk, **options):
    async with serving(build(maker, **options)) as server:
        return await talk(server)


def test_echo_answers_the_same_on_both_transports():
    async def talk(server):
        return await ask(port_of(server), b"one\ntwo"), await ask_udp(port_of(server, "udp"), b"three")

    assert run(served(echo, talk, udp=True)) == (b"one\ntwo", b"three")


def test_discard_answers_nothing():
    async def talk(server):
        return await ask(port_of(server), b"x" * 100_000)

    assert run(served(discard, talk)) == b""


def test_chargen_goes_on_as_long_as_somebody_reads():
    async def talk(server):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        lines = [await reader.readline() for _ in range(1000)]
        writer.transport.abort()
        return lines, await ask_udp(port_of(server, "udp"))

    lines, datagram = run(served(chargen, talk, udp=True))
    assert {len(line) for line in lines} == {74}
    assert lines[0] == lines[95] != lines[1]
    assert len(datagram) <= 512


def test_daytime_and_time_tell_what_the_clock_says():
    async def talk(server):
        return await ask(port_of(server)), await ask_udp(port_of(server, "udp"))

    before, year = int(time.time()), time.strftime("%Y")
    for line in run(served(daytime, talk, udp=True)):
        assert any(each.encode() in line for each in (year, time.strftime("%Y")))
        assert line.endswith(b"\r\n")
    for four_bytes in run(served(timeserver, talk, udp=True)):
        assert before <= struct.unpack("!I", four_bytes)[0] - 2_208_988_800 <= int(time.time())


def test_one_time_keys_are_never_the_same(tmp_path):
    async def two_lives():
        given = []
        for _ in range(2):
            app = build(otk, first=41)
            async with serving(app, state=str(tmp_path / "keys.tap")) as server:
                given += [await ask(port_of(server)) for _ in range(2)]
        return given

    assert run(two_lives()) == [b"41\n", b"42\n", b"43\n", b"44\n"]


@pytest.mark.parametrize("maker", SMALL, ids=IDS)
def test_no_datagram_is_answered_unless_that_was_asked_for(maker):
    app = build(maker)
    assert [listener.kind for listener in app.listeners] == ["tcp"]
    assert [listener.kind for listener in build(maker, udp=True).listeners] == ["tcp", "udp"]


@pytest.mark.parametrize("maker", [*SMALL, otk], ids=[*IDS, "otk"])
@pytest.mark.parametrize("port", [-1, 65536, "http"])
def test_a_port_that_is_none_is_refused_by_name(maker, port):
    with pytest.raises(UsageError, match="port"):
        maker.Options(port=port)


@pytest.mark.parametrize("maker", [*SMALL, otk, kv, qotd], ids=[*IDS, "otk", "kv", "qotd"])
def test_an_interface_that_can_be_none_is_refused_by_name(maker):
    more = {"file": __file__} if maker is qotd else {}
    for interface in ("a b", "a/b", "\n"):
        with pytest.raises(UsageError, match="--interface .* is neither a name nor an address"):
            maker.Options(interface=interface, **more)


def test_a_key_cannot_be_below_zero():
    with pytest.raises(UsageError, match="first"):
        otk.Options(first=-1)


@pytest.mark.parametrize("maker", SMALL, ids=IDS)
def test_what_remembers_nothing_waits_for_no_commit(maker):
    assert [listener.factory.stateless for listener in build(maker, udp=True).listeners] == [True, True]


def test_each_small_service_has_a_port_of_its_own():
    ports = [maker.Options().port for maker in SMALL]
    assert sorted(ports) == [8807, 8809, 8813, 8819, 8837]

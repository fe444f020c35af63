"""A running application tells how its commits go, what it holds back, and what lies on its disk."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest
from gatebench import GateBench

from taphouse.app import Application, Factory, Protocol
from taphouse.durable import Ledger, durable
from taphouse.persist import Freezer, create_state
from taphouse.runtime import EpochStatistics, Runtime, RuntimeStatistics, writer
from taphouse.runtime.gate import Gathering
from taphouse.runtime.statistics import EpochMeter
from taphouse.testing import settle


class Counting(Factory, name="tests.runtime.statistics.Counting"):
    protocol = Protocol

    def __init__(self):
        self.count = 0


def runtime_of(app, path, **more):
    ledger = Ledger()
    ledger.begin(app)
    store = create_state(path, seed=None)
    return Runtime(app, ledger, Freezer(ledger, store), store, **more)


@pytest.mark.process
def test_what_is_held_counts_until_it_has_left(run):
    async def main():
        loop = asyncio.get_running_loop()
        bench = GateBench()
        loop.use_gate(bench.epochs)
        ours, theirs = socket.socketpair()
        stream, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
        datagrams, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )

        def held():
            return bench.epochs.statistics().held_bytes

        assert held() == 0
        bench.counter.n = 1
        stream.write(b"12345")
        datagrams.sendto(b"678", datagrams.get_extra_info("sockname"))
        assert held() == 8
        await settle()
        assert len(bench.landings) == 1
        bench.counter.n = 2
        stream.write(b"90")
        stream.close()
        assert held() == 10
        bench.land()
        await settle()
        assert held() == 2
        bench.land()
        await settle()
        assert held() == 0
        assert bench.epochs.statistics().held_most_bytes == 10
        datagrams.close()
        theirs.close()
        await settle()

    run(main())


def test_the_most_that_was_held_is_seen_without_anybody_asking(run_fast):
    class Reply:
        def take_kept(self):
            return [b"x" * 100]

        def let_go(self, kept):
            pass

    async def main():
        bench = GateBench()
        bench.is_inline = True
        for n in range(1, 17):
            bench.counter.n = n
            bench.epochs.keep(Reply())
            while bench.epochs.commits < n:
                await asyncio.sleep(0)
        assert bench.epochs.statistics().held_most_bytes == 100

    run_fast(main())


def test_the_middle_and_the_tail_are_those_of_the_last_thousand():
    meter = EpochMeter()
    meter.durations.extend([9.0] * 50 + [n / 1000 for n in range(1, 1001)])
    numbers = meter.statistics(Gathering(), [])
    assert (numbers.p50_s, numbers.p99_s, numbers.max_s) == (0.5, 0.99, 1.0)
    assert EpochMeter().statistics(Gathering(), []).max_s == 0.0
    meter = EpochMeter()
    meter.durations.extend([2.0, 1.0])
    numbers = meter.statistics(Gathering(), [])
    assert (numbers.p50_s, numbers.p99_s) == (1.0, 2.0)


def test_what_the_store_knows_is_told_as_well(run_fast):
    async def main():
        numbers = GateBench().epochs.statistics()
        assert (numbers.mode, numbers.path) == ("gate", "inline")
        assert (numbers.journal_bytes, numbers.wal_bytes, numbers.sync_p50_s) == (70, 4096, 0.002)

    run_fast(main())


def test_an_application_has_statistics_while_it_runs(run_fast, tmp_path):
    async def main():
        app = Application("counted", durability="exit")
        app.listenTCP(0, Counting(), "127.0.0.1")
        with pytest.raises(RuntimeError, match="application counted does not run"):
            app.statistics()
        runtime = runtime_of(app, tmp_path / "counted.tap")
        await runtime.start()
        app.listeners[0].factory.count = 1
        await durable.committed()
        numbers = app.statistics()
        assert isinstance(numbers, RuntimeStatistics)
        assert (numbers.epochs.mode, numbers.epochs.commits, numbers.connections) == ("exit", 2, 0)
        assert numbers.epochs.sync_p50_s > 0
        assert numbers.epochs.wal_bytes > 0
        await runtime.stop()
        with pytest.raises(RuntimeError, match="does not run"):
            app.statistics()

    run_fast(main())


@pytest.mark.parametrize(
    ("durability", "said"),
    [
        ("gate", None),
        ("interval", "durability interval: a reply may be up to 1 s ahead of the disk"),
        (
            "exit",
            "durability exit: what changes is saved at an orderly stop; a crash goes back to the last one",
        ),
    ],
)
def test_the_log_says_a_durability_that_promises_less_and_at_the_end_how_it_went(
    run_fast, tmp_path, caplog, monkeypatch, durability, said
):
    monkeypatch.setattr(writer, "FORCED_PATH", "inline")
    caplog.set_level(logging.INFO)

    async def main():
        runtime = runtime_of(Application("told"), tmp_path / "told.tap", durability=durability)
        await runtime.start()
        await runtime.stop()

    run_fast(main())
    assert [line for line in caplog.messages if line.startswith("durability")] == ([said] if said else [])
    assert caplog.messages[-1].startswith(f"1 commit ({durability}, inline): median ")


def test_the_line_at_the_end_has_the_numbers_of_the_run():
    numbers = EpochStatistics(1234, 0.00014, 0.00061, 0.0231, "gate", "thread", 0.00009, 0, 5000)
    assert numbers.summary() == (
        "1234 commits (gate, thread): median 0.14 ms, 99 % within 0.61 ms, longest 23.1 ms;"
        " disk 0.09 ms; at most 5000 bytes held back"
    )

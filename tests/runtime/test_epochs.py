"""A turn of the loop that changed something is one commit, and a commit that fails is the last."""

from __future__ import annotations

import asyncio

import pytest
from gatebench import GateBench

from taphouse.durable import Durable, Ledger, atomic, attach, durable
from taphouse.errors import InternalError, StorageError
from taphouse.persist import StoreStatistics
from taphouse.runtime import Epochs
from taphouse.testing import JumpingClock, settle


class Counter(Durable, name="tests.runtime.Counter"):
    def __init__(self):
        self.n = 0


class CountingFreezer:
    """Turns what changed into the value ``n`` had at that moment."""

    def __init__(self, ledger, counter):
        self.ledger, self.counter = ledger, counter
        self.plans = []
        self.compared = 0
        self.error = None

    def freeze(self, plan=None):
        if self.error:
            raise self.error
        drained = self.ledger.drain()
        self.compared += 1
        if plan is not None:
            self.plans.append(plan)
        return self.counter.n if drained.dirty or plan is not None else None


class ListStore:
    """Keeps what was committed in a list; lands at once, or when it is told to."""

    def __init__(self):
        self.committed = []
        self.flights = None
        self.error = None
        self.folds = 0
        self.to_fold = 0

    def commit(self, turn):
        if self.error:
            raise self.error
        if self.flights is None:
            self.committed.append(turn)
            return "ok"
        flight = asyncio.get_running_loop().create_future()
        self.flights.append((turn, flight))
        return flight

    def land(self):
        turn, flight = self.flights.pop(0)
        self.committed.append(turn)
        flight.set_result("ok")

    def fold(self, rows=200):
        self.folds += 1
        self.to_fold -= 1
        return self.to_fold > 0

    def statistics(self):
        return StoreStatistics(epochs=len(self.committed), journal_bytes=70, wal_bytes=4096, sync_p50_s=0.002)


class Bench:
    def __init__(self):
        self.counter = Counter()
        self.ledger = Ledger()
        self.ledger.begin(self.counter)
        attach(self.counter, self.ledger, self.ledger.new_oid())
        self.freezer = CountingFreezer(self.ledger, self.counter)
        self.store = ListStore()
        self.clock = JumpingClock()
        self.failures = []
        self.epochs = Epochs(
            asyncio.get_running_loop(),
            self.ledger,
            self.freezer,
            self.store,
            self.clock,
            self.failures.append,
        )
        self.ledger.on_dirty = self.epochs.changed
        self.ledger.committer = self.epochs
        Ledger.current = self.ledger


@pytest.fixture(autouse=True)
def _no_ledger_left():
    yield
    Ledger.current = None


def test_all_changes_of_a_turn_are_one_commit(run_fast):
    async def main():
        bench = Bench()
        bench.counter.n = 1
        bench.counter.n = 2
        assert bench.store.committed == []
        await settle(2)
        bench.counter.n = 3
        await settle(2)
        assert bench.store.committed == [2, 3]
        assert bench.epochs.statistics().commits == 2

    run_fast(main())


def test_a_turn_that_changed_nothing_is_no_commit(run_fast):
    async def main():
        bench = Bench()
        await bench.epochs.commit_now()
        assert bench.store.committed == []
        assert bench.epochs.commits == 0

    run_fast(main())


def test_while_a_commit_is_in_flight_the_next_epoch_gathers(run_fast):
    async def main():
        bench = Bench()
        bench.store.flights = []
        for n in (1, 2, 3):
            bench.counter.n = n
            await settle(3)
        assert [turn for turn, _ in bench.store.flights] == [1]
        bench.store.land()
        await settle(3)
        assert [turn for turn, _ in bench.store.flights] == [3]
        bench.store.land()
        await settle(3)
        assert bench.store.committed == [1, 3]

    run_fast(main())


def test_committed_returns_when_what_changed_before_it_is_durable_and_not_earlier(run_fast):
    async def main():
        bench = Bench()
        bench.store.flights = []
        bench.counter.n = 1
        await settle(2)
        bench.counter.n = 2
        waiting = asyncio.ensure_future(durable.committed())
        await settle(2)
        bench.store.land()  # the epoch before: not ours
        await settle(2)
        assert not waiting.done()
        bench.store.land()
        await waiting
        assert bench.store.committed == [1, 2]

    run_fast(main())


def test_committed_inside_of_atomic_is_an_error(run_fast):
    async def main():
        bench = Bench()
        with pytest.raises(RuntimeError, match="inside of atomic"), atomic():
            await bench.epochs.committed()

    run_fast(main())


def test_without_a_store_nobody_waits(run_fast):
    async def main():
        bench = Bench()
        bench.epochs.is_kept = False
        bench.store.flights = []
        bench.counter.n = 1
        async with asyncio.timeout(1):
            await durable.committed()

    run_fast(main())


def test_a_thread_runs_a_function_on_the_loop_and_returns_after_the_commit(run_fast):
    async def main():
        bench = Bench()
        seen = []

        def add(amount):
            bench.counter.n += amount
            return bench.counter.n

        def thread():
            result = durable.call(add, 5)
            seen.append(list(bench.store.committed))
            return result

        assert await asyncio.get_running_loop().run_in_executor(None, thread) == 5
        assert seen == [[5]]

    run_fast(main())


def test_what_a_called_function_raises_reaches_the_thread(run_fast):
    async def main():
        Bench()

        def fail():
            raise LookupError("no")

        with pytest.raises(LookupError):
            await asyncio.get_running_loop().run_in_executor(None, durable.call, fail)

    run_fast(main())


def test_calling_from_the_loop_itself_is_refused_instead_of_hanging(run_fast):
    async def main():
        Bench()
        with pytest.raises(RuntimeError, match="for other threads"):
            durable.call(lambda: None)

    run_fast(main())


@pytest.mark.parametrize(
    ("raised", "expected", "code"),
    [
        (StorageError("disk: no space"), StorageError, 74),
        (OSError("pulled out"), StorageError, 74),
        (InternalError("a.b: a socket"), InternalError, 70),
        (ZeroDivisionError("bug"), InternalError, 70),
    ],
)
def test_a_commit_that_fails_is_the_last_one(run_fast, raised, expected, code):
    async def main():
        bench = Bench()
        bench.store.error = raised
        bench.counter.n = 1
        waiting = asyncio.ensure_future(durable.committed())
        await settle()
        with pytest.raises(expected):
            await waiting
        assert [failure.exit_code for failure in bench.failures] == [code]
        bench.store.error = None
        bench.counter.n = 2
        await settle()
        assert bench.store.committed == []
        with pytest.raises(expected):
            await durable.committed()
        assert len(bench.failures) == 1

    run_fast(main())


def test_a_commit_that_fails_in_flight_fails_those_who_wait_for_the_next_one_too(run_fast):
    async def main():
        bench = Bench()
        bench.store.flights = []
        bench.counter.n = 1
        first = asyncio.ensure_future(durable.committed())
        await settle(2)
        bench.counter.n = 2
        second = asyncio.ensure_future(durable.committed())
        await settle(2)
        bench.store.flights[0][1].set_exception(StorageError("gone"))
        for waiting in (first, second):
            with pytest.raises(StorageError):
                await waiting
        assert bench.store.committed == []

    run_fast(main())


def test_a_value_that_cannot_be_encoded_is_fatal_with_its_own_words(run_fast):
    async def main():
        bench = Bench()
        bench.freezer.error = InternalError("otk.Keys#1.cache: a socket cannot be saved")
        bench.counter.n = 1
        await settle()
        assert str(bench.failures[0]) == "otk.Keys#1.cache: a socket cannot be saved"

    run_fast(main())


def test_folding_waits_until_nothing_happens_and_goes_on_in_slices(run_fast):
    async def main():
        bench = Bench()
        bench.store.to_fold = 3
        bench.counter.n = 1
        await bench.clock.jump(0.2)
        assert bench.store.folds == 0
        await bench.clock.jump(0.1)
        assert bench.store.folds >= 1
        await bench.clock.jump(1)
        assert bench.store.folds == 3
        assert bench.clock.waiting == 0

    run_fast(main())


class KeepsNothing:
    def __init__(self):
        self.let_go_of = []

    def take_kept(self):
        return ["output"]

    def let_go(self, kept):
        self.let_go_of += kept


def test_values_that_can_change_unseen_are_compared_ten_times_a_second_and_before_every_output(run_fast):
    async def main():
        bench = Bench()
        assert not bench.epochs.closed
        bench.ledger.opaque[1] = object()
        bench.counter.n = 1
        await settle()
        assert bench.epochs.closed
        before = bench.freezer.compared
        await bench.clock.jump(1.05)
        assert bench.freezer.compared - before == 10
        before = bench.freezer.compared
        keeper = KeepsNothing()
        bench.epochs.keep(keeper)
        bench.epochs.keep(keeper)
        await settle()
        assert bench.freezer.compared - before == 1
        assert keeper.let_go_of == ["output"]
        bench.ledger.opaque.clear()
        await bench.clock.jump(1)
        assert not bench.epochs.closed
        assert bench.clock.waiting == 0

    run_fast(main())


def test_a_plan_goes_with_the_next_commit_once(run_fast):
    async def main():
        bench = Bench()
        bench.epochs.plan_changed(lambda: {"name": "x"})
        await settle()
        bench.counter.n = 1
        await settle()
        assert bench.freezer.plans == [{"name": "x"}]

    run_fast(main())


def test_the_end_commits_what_is_left_and_leaves_no_timer(run_fast):
    async def main():
        bench = Bench()
        bench.store.to_fold = 100
        bench.counter.n = 7
        await bench.epochs.finish()
        assert bench.store.committed == [7]
        assert bench.clock.waiting == 0

    run_fast(main())


def test_a_commit_that_lands_after_the_store_was_given_up_lets_nothing_go_and_tells_nobody(run_fast):
    async def main():
        bench = Bench()
        bench.store.flights = []
        keeper = KeepsNothing()
        bench.counter.n = 1
        bench.epochs.keep(keeper)
        waiting = asyncio.ensure_future(durable.committed())
        await settle(3)
        bench.epochs.fail(StorageError("it does not answer"))
        bench.store.land()
        await settle(3)
        assert keeper.let_go_of == []
        assert bench.epochs.commits == 0
        with pytest.raises(StorageError, match="does not answer"):
            await waiting

    run_fast(main())


def test_the_final_commit_takes_along_what_changed_while_it_was_in_flight_but_does_not_wait_for_ever(
    run_fast,
):
    async def main():
        bench = Bench()
        bench.store.flights = []
        finishing = asyncio.ensure_future(bench.epochs.finish())
        for n in range(1, 10):
            bench.counter.n = n
            await settle(3)
            if bench.store.flights:
                bench.store.land()
        await finishing
        assert 2 <= len(bench.store.committed) <= 4
        bench.counter.n = 100
        await settle(3)
        assert bench.store.committed[-1] < 100
        with pytest.raises(StorageError, match="final commit"):
            await durable.committed()

    run_fast(main())


def test_the_end_waits_for_a_commit_that_somebody_else_began(run_fast):
    async def main():
        bench = Bench()
        bench.store.flights = []

        async def early():
            await durable.committed()
            bench.counter.n = 2
            bench.epochs.end_turn()

        bench.counter.n = 1
        beginning = asyncio.ensure_future(early())
        await settle(1)
        finishing = asyncio.ensure_future(bench.epochs.finish())
        await settle(3)
        bench.store.land()
        await settle(3)
        assert not finishing.done()
        bench.store.land()
        await finishing
        await beginning
        assert bench.store.committed == [1, 2]

    run_fast(main())


class Client:
    """Output that is kept; let go where a commit has landed."""

    def __init__(self):
        self.answered = False

    def take_kept(self):
        return [b"reply"]

    def let_go(self, kept):
        self.answered = True


@pytest.mark.parametrize(("turns", "commits"), [(1, 1), (2, 1), (8, 1), (9, 2), (17, 3)])
def test_clients_who_come_turn_after_turn_share_commits_but_wait_for_a_few_turns_only(
    run_fast, turns, commits
):
    async def main():
        bench = GateBench()
        bench.is_inline = True
        clients = [Client() for _ in range(turns)]
        for n, client in enumerate(clients, 1):
            bench.counter.n = n
            bench.epochs.keep(client)
            await asyncio.sleep(0)
        await settle()
        assert all(client.answered for client in clients)
        assert bench.epochs.commits == commits

    run_fast(main())


def test_who_awaits_the_commit_is_not_kept_waiting_for_more_clients(run_fast):
    async def main():
        bench = GateBench()
        bench.is_inline = True
        bench.counter.n = 1
        bench.epochs.keep(Client())
        committed = asyncio.ensure_future(bench.epochs.committed())
        await asyncio.sleep(0)
        bench.epochs.keep(Client())
        await asyncio.sleep(0)
        assert bench.epochs.commits == 1
        await committed

    run_fast(main())

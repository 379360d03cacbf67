"""The worker without a host: what is in the queue is taken once, and what goes wrong with one message is that one's."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest

from drift.healing.draining import Drained, drain
from drift.healing.worker import Fate
from records.errors import DiedTooOftenError, LeaseLostError, SettingsError, StoreUnavailableError, UnreadableRowError
from records.heal_ledger import HealRow, HealStep
from records.heals import MOST_TRIES, HealJob
from tests.fakes_healing import MemoryHealInbox, MemoryLease
from tests.unit.healing_bench import PATH, HealBench
from tests.unit.healing_cloud import SSH
from tests.unit.observation_samples import CrashError
from tests.unit.planner_fake import CLICK, Breaks

DOWN: Final = StoreUnavailableError("heals", "503 ServerBusy")
SECRET: Final = "planted-secret"
A_MINUTE: Final = timedelta(seconds=61)


@pytest.fixture
def bench() -> HealBench:
    return HealBench()


async def test_an_empty_queue_has_nothing_to_heal(bench: HealBench) -> None:
    assert await bench.drain() == []


async def test_a_heal_is_done_with_its_message(bench: HealBench) -> None:
    bench.queue.put(await bench.clicked())
    assert await bench.drain() == [None]
    await bench.assert_verified()
    assert (bench.queue.messages, bench.queue.poison) == ([], [])


async def test_a_message_that_is_there_three_times_heals_once(bench: HealBench) -> None:
    message = await bench.clicked()
    for _ in range(3):
        bench.queue.put(message)
    assert await bench.drain() == [None] * 3
    await bench.assert_verified()


async def test_what_is_refused_is_done_with(bench: HealBench) -> None:
    bench.queue.put(b"{")
    assert await bench.drain() == [None]
    assert bench.queue.messages == []
    assert bench.telemetry.refused == ["it is no heal job of schema 1: JSON"]


async def test_a_stack_that_another_worker_has_comes_again(bench: HealBench) -> None:
    bench.queue.put(await bench.clicked())
    bench.leases.taken[PATH] = MemoryLease()
    for _ in range(MOST_TRIES + 1):
        assert await bench.drain() == [None]
        assert await bench.drain() == [], "not before a minute has passed"
        bench.now += A_MINUTE
    assert [message.tries for message in bench.queue.messages] == [0]
    assert bench.row.step is HealStep.QUEUED
    bench.leases.taken.clear()
    assert await bench.drain() == [None]
    await bench.assert_verified()


def lose_the_lease(bench: HealBench) -> None:
    def lose(row: HealRow) -> None:
        if row.step is HealStep.JUDGED:
            bench.leases.taken[PATH].is_lost = True

    bench.ledger.on_put = lose


def break_the_planner(bench: HealBench) -> None:
    bench.world.planner.usual = Breaks(RuntimeError(SECRET))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param(lose_the_lease, LeaseLostError, id="is lost"),
        pytest.param(break_the_planner, RuntimeError, id="breaks"),
    ],
)
async def test_a_heal_is_a_persons_after_five_tries_each_of_which(
    bench: HealBench, change: Callable[[HealBench], None], error: type[Exception]
) -> None:
    bench.queue.put(await bench.clicked())
    change(bench)
    for tries in range(1, MOST_TRIES + 1):
        assert len(bench.queue.messages) == 1
        [told] = await bench.drain()
        assert isinstance(told, error)
        assert (bench.row.step is HealStep.FAILED) is (tries == MOST_TRIES)
    assert (bench.queue.messages, len(bench.queue.poison)) == ([], 1)
    assert await bench.drain() == []
    assert [row.step for row in bench.telemetry.moved] == [HealStep.FAILED]
    assert bench.cloud.applies == []


async def test_an_error_that_nobody_foresaw_says_where_it_broke_and_not_with_what(
    bench: HealBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.queue.put(await bench.clicked())
    bench.world.planner.usual = Breaks(RuntimeError(SECRET))
    with caplog.at_level(logging.DEBUG):
        await bench.drain()
    assert "a heal broke with RuntimeError" in caplog.text
    assert "planner_fake.py" in caplog.text
    assert SECRET not in caplog.text


async def test_a_heal_that_cannot_even_be_failed_comes_again(bench: HealBench) -> None:
    bench.queue.put(await bench.clicked())
    bench.leases.refuse("held", DOWN)
    for _ in range(MOST_TRIES + 1):
        assert await bench.drain() == [DOWN]
    assert (len(bench.queue.messages), bench.queue.poison) == (1, [])
    bench.leases.heal()
    [told] = await bench.drain()
    assert isinstance(told, DiedTooOftenError)
    assert (bench.row.step, bench.queue.messages, len(bench.queue.poison)) == (HealStep.FAILED, [], 1)
    assert bench.cloud.applies == []


async def test_a_message_that_recovers_is_healed(bench: HealBench) -> None:
    bench.queue.put(await bench.clicked())
    bench.leases.refuse("held", DOWN)
    for _ in range(MOST_TRIES - 1):
        await bench.drain()
    bench.leases.heal()
    assert await bench.drain() == [None]
    await bench.assert_verified()


class TestOneThatCannotBeHealed:
    async def test_never_stops_the_others(self, bench: HealBench) -> None:
        bench.queue.put(b"not a job")
        bench.queue.put(await bench.clicked())
        bench.queue.put(b"{}")
        broken = await self.of_a_later_version(bench)
        bench.queue.messages.insert(0, bench.queue.messages.pop())
        assert bench.queue.messages[0].body == broken
        outcomes = await bench.drain()
        assert [type(error) for error in outcomes] == [UnreadableRowError, type(None), type(None), type(None)]
        assert [message.body for message in bench.queue.messages] == [broken]
        assert bench.cloud.applies == [{SSH: "Deny"}]

    async def test_nor_be_failed_never_stops_the_others_either(self, bench: HealBench) -> None:
        """Its row is of a later version, so that not even its end can be written."""
        broken = await self.of_a_later_version(bench)
        for _ in range(MOST_TRIES + 1):
            bench.queue.put(b"not a job")
            outcomes = await bench.drain()
            assert outcomes[-1] is None, "of the message behind it"
        assert [message.body for message in bench.queue.messages] == [broken]
        assert bench.queue.poison == []

    async def of_a_later_version(self, bench: HealBench) -> bytes:
        bench.world.deploy("fr")
        bench.world.planner.terraform = None
        bench.world.planner.usual = "in_place_change"
        message = await bench.queued(await bench.check("fr"))
        bench.world.planner.terraform = bench.cloud
        bench.ledger.put_text(bench.row.job, "{}")
        bench.queue.put(message)
        return message


async def test_a_queue_that_cannot_be_read_ends_it(bench: HealBench) -> None:
    class Unread:
        def deliveries(self) -> Any:
            raise DOWN

    with pytest.raises(StoreUnavailableError):
        [one async for one in drain(bench.deliveries(), Unread())]


async def test_a_process_that_can_heal_nothing_says_so_and_no_job_is_the_worse_for_it(bench: HealBench) -> None:
    bench.queue.put(await bench.clicked())
    bench.world.planner.usual = Breaks(SettingsError("there is no terraform"))
    for _ in range(MOST_TRIES + 1):
        with pytest.raises(SettingsError):
            await bench.drain()
        bench.now += A_MINUTE
    assert ([message.tries for message in bench.queue.messages], bench.queue.poison) == ([0], [])
    bench.world.planner.usual = CLICK
    assert await bench.drain() == [None]
    await bench.assert_verified()


async def test_what_came_of_each_message_is_told_with_its_job(bench: HealBench) -> None:
    message = await bench.clicked()
    for body in (b"{", message, message):
        bench.queue.put(body)
    bench.leases.refuse("held", DOWN)
    inbox = MemoryHealInbox(bench.queue)
    told = [one async for one in drain(bench.deliveries(), inbox)]
    job = HealJob.model_validate_json(message)
    assert told == [Drained(job=None, fate=Fate.DONE), *[Drained(job=job, error=DOWN)] * 2]
    bench.leases.heal()
    bench.leases.taken[PATH] = MemoryLease()
    assert [one async for one in drain(bench.deliveries(), inbox)] == [Drained(job=job, fate=Fate.LATER)] * 2


async def test_a_process_that_dies_leaves_the_message_to_the_next(bench: HealBench) -> None:
    bench.queue.put(await bench.clicked())
    bench.mortal.dies_at = ("after", "the apply")
    with pytest.raises(CrashError):
        await bench.drain()
    bench.leases.taken.clear()
    assert await bench.drain() == [None]
    await bench.assert_verified()

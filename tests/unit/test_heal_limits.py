"""How often, how long and how large: the ends of a job and of its messages, and what is counted on the way."""

import json
from datetime import timedelta
from typing import Any, Final

import pytest

from drift.healing.worker import Fate
from drift.opening import Opening, open_job
from drift.past import read_past
from drift.situation import Unread
from records.errors import DiedTooOftenError, RefusedLeverError, StackBusyError
from records.heal_ledger import MOST_EVENTS, HealRow, HealStep
from records.heals import MESSAGE_MAX_BYTES, MOST_TRIES, fits_in_a_message
from records.plan_checks import HoldReason
from tests.fakes_healing import MemoryLease
from tests.unit.drift_samples import ON
from tests.unit.healing_bench import ALICE, HAPPY, PATH, HealBench
from tests.unit.healing_cloud import SSH
from tests.unit.observation_samples import NOW, CrashError
from tests.unit.test_heal_ledger_rules import moved
from tests.unit.test_heal_messages import JOB, ROW


@pytest.fixture
def bench() -> HealBench:
    return HealBench()


class TestTheBreaker:
    async def test_counts_up_to_its_limit_however_high(self, bench: HealBench) -> None:
        most = MOST_EVENTS // 6 + 6
        bench.policy = ON.model_copy(update={"limits": ON.limits.model_copy(update={"breaker_count": most})})
        steps = [(await bench.heal(await bench.clicked(SSH))).step for _ in range(most + 1)]
        assert steps == [HealStep.VERIFIED] * most + [HealStep.HELD]
        assert len(bench.row.events) == MOST_EVENTS, "there are too many to keep"
        assert len(bench.cloud.applies) == len(bench.row.applied_at) == most

    async def test_is_no_less_for_a_row_of_the_stack_that_cannot_be_read(self, bench: HealBench) -> None:
        await bench.heal(await bench.clicked(SSH))
        healed = bench.row.job
        bench.cloud.write_state()
        bench.world.track(serial=bench.cloud.serial)
        bench.world.register(serial=bench.cloud.serial)
        bench.cloud.applies.clear()
        bench.telemetry.moved.clear()
        message = await bench.clicked(SSH)
        assert bench.row.job.job_id != healed.job_id
        bench.ledger.put_text(healed, "{}")
        check = await bench.check()
        past = await read_past(
            bench.ledger, market="de", stack="network", findings=check.findings, job_id=healed.job_id
        )
        assert isinstance(past.heals, Unread)
        assert isinstance(past.refusals, Unread)
        await bench.assert_held(message, HoldReason.INCONCLUSIVE, "earlier heals cannot be read")


def test_a_row_that_is_full_keeps_its_first_event_its_last_and_every_apply() -> None:
    row = ROW.moved(HealStep.QUEUED, at=NOW)
    steps = [*HAPPY, HealStep.QUEUED] * (MOST_EVENTS // 6 + 20)
    for number, step in enumerate(steps, start=1):
        row = row.moved(step, at=NOW + timedelta(minutes=number))
    assert len(row.events) == MOST_EVENTS
    assert (row.events[0].at, row.events[-1].at) == (NOW, NOW + timedelta(minutes=len(steps)))
    assert [event.at for event in row.events] == sorted(event.at for event in row.events)
    assert len(row.applied_at) == steps.count(HealStep.APPLYING)


def test_an_apply_counts_however_much_of_what_followed_it_is_trimmed() -> None:
    row = moved(ROW.moved(HealStep.QUEUED, at=NOW), *HAPPY[:4], HealStep.NOT_CONVERGED)
    for step in [HealStep.QUEUED, HealStep.BEGUN, HealStep.HELD] * MOST_EVENTS:
        row = row.moved(step, at=NOW)
        assert len(row.applied_at) == 1


def test_an_apply_that_was_stopped_never_counts_however_much_is_trimmed() -> None:
    row = moved(ROW.moved(HealStep.QUEUED, at=NOW), *HAPPY[:3], HealStep.HELD)
    for step in [HealStep.QUEUED, HealStep.BEGUN, HealStep.HELD] * MOST_EVENTS:
        row = row.moved(step, at=NOW)
        assert row.applied_at == ()


def test_a_row_without_events_was_never_applied() -> None:
    assert ROW.applied_at == ()


class TestAMessage:
    async def test_whose_workers_die_as_often_as_it_may_fail_is_a_persons(self, bench: HealBench) -> None:
        bench.queue.put(await bench.clicked(SSH))
        for _ in range(MOST_TRIES):
            bench.mortal.dies_at = ("after", "that it is begun")
            with pytest.raises(CrashError):
                await bench.drain()
        [error] = await bench.drain()
        assert isinstance(error, DiedTooOftenError)
        assert bench.row.step is HealStep.FAILED
        assert (bench.queue.messages, len(bench.queue.poison)) == ([], 1)
        assert await bench.drain() == []
        assert bench.telemetry.moved == [bench.row]

    async def test_of_that_kind_waits_for_whoever_has_the_stack(self, bench: HealBench) -> None:
        """That one may yet heal it; and the lease of one that died lasts for a while."""
        bench.queue.put(await bench.clicked(SSH))
        bench.queue.messages[0].tries = MOST_TRIES
        bench.leases.taken[PATH] = MemoryLease()
        [error] = await bench.drain()
        assert isinstance(error, StackBusyError)
        assert (bench.row.step, len(bench.queue.messages), bench.queue.poison) == (HealStep.QUEUED, 1, [])
        bench.leases.taken.clear()
        [error] = await bench.drain()
        assert isinstance(error, DiedTooOftenError)
        assert bench.row.step is HealStep.FAILED

    async def test_whose_worker_died_before_it_told_tells_what_came_of_it(self, bench: HealBench) -> None:
        bench.queue.put(await bench.clicked(SSH))
        bench.mortal.dies_at = ("after", "that it is verified")
        with pytest.raises(CrashError):
            await bench.drain()
        assert bench.telemetry.moved == []
        assert await bench.drain() == [None]
        assert [row.step for row in bench.telemetry.moved] == [HealStep.VERIFIED]
        assert len(bench.cloud.applies) == 1

    async def test_of_before_the_job_had_another_bundle_is_dropped_and_no_forgery(self, bench: HealBench) -> None:
        message = await bench.clicked(SSH)
        bench.now += timedelta(hours=7)
        changes = {"bundle_sha256": "a" * 64, "queued_at": bench.now, "expires_at": bench.now + timedelta(hours=1)}
        job = bench.row.job.model_copy(update=changes)
        opening = await open_job(bench.ledger, job, (await bench.check()).findings, run_id="plans-2")
        assert opening is Opening.OPENED
        assert await bench.healer().heal(message) is Fate.DONE
        assert bench.telemetry.refused == []
        assert (bench.row.step, bench.row.job) == (HealStep.QUEUED, job)


class TestWhenAJobExpires:
    async def test_nothing_is_applied_for_its_message(self, bench: HealBench) -> None:
        message = await bench.clicked(SSH)
        bench.now = bench.row.job.expires_at
        assert (await bench.heal(message)).step is HealStep.EXPIRED
        assert bench.cloud.applies == []

    @pytest.mark.parametrize("expires_at", ["2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z"], ids=["sooner", "later"])
    async def test_is_what_the_ledger_says_and_a_message_that_says_another_time_is_refused(
        self, bench: HealBench, expires_at: str
    ) -> None:
        message: dict[str, Any] = json.loads(await bench.clicked(SSH))
        row = bench.row
        await bench.healer().heal(json.dumps(message | {"expires_at": expires_at}).encode())
        assert len(bench.telemetry.refused) == 1
        assert (bench.row, bench.cloud.applies) == (row, [])

    async def test_is_for_the_worker_to_say_that_has_the_stack(self, bench: HealBench) -> None:
        """Another one may be about to apply it: it began in time."""
        message = await bench.clicked(SSH)
        bench.now = bench.row.job.expires_at
        bench.leases.taken[PATH] = MemoryLease()
        row = bench.row
        assert await bench.healer().heal(message) is Fate.LATER
        assert bench.row == row


class TestAJobThatFillsMoreThanAMessage:
    LARGE: Final = JOB.model_copy(update={"addresses": ("azurerm_subnet.a" * (MESSAGE_MAX_BYTES // 16),)})

    def test_is_told_by_its_bytes(self) -> None:
        assert fits_in_a_message(JOB)
        assert not fits_in_a_message(self.LARGE)
        room = MESSAGE_MAX_BYTES - len(JOB.model_copy(update={"addresses": ("",)}).model_dump_json())
        for excess in (0, 1):
            full = JOB.model_copy(update={"addresses": ("é" * (room // 2) + "a" * (room % 2 + excess),)})
            assert fits_in_a_message(full) is (not excess)

    @pytest.mark.parametrize("lever", ["approve", "retry"])
    async def test_is_queued_by_no_lever(self, bench: HealBench, lever: str) -> None:
        row: HealRow = moved(ROW.model_copy(update={"job": self.LARGE}), HealStep.BEGUN)
        row = row.moved(HealStep.HELD, at=NOW, reason=HoldReason.FLEET_WIDE)
        await bench.ledger.put(row=row, replaces=None)
        with pytest.raises(RefusedLeverError, match="more resources than a message has room for"):
            await getattr(bench.levers(), lever)(ALICE, job_id=JOB.job_id)
        assert (bench.ledger.all_rows, bench.queue.sent) == ([row], [])

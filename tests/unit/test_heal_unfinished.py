"""A job whose apply was cut off, and that a worker holds since: no check of its stack, however clean, makes it forgotten."""

from datetime import timedelta
from typing import Final

import pytest

from drift.healing.levers import Person
from drift.healing.waiting import holds
from drift.opening import requeue_cut_off
from drift.policy_rules import Rule
from drift.situation import FleetSpread
from records.heal_ledger import HealStep
from records.heals import HealJob
from records.plan_checks import Decision, HoldReason
from records.verdicts import Verdict
from tests.unit.drift_samples import ON
from tests.unit.healing_bench import ALICE, EXPIRES_AFTER, HealBench
from tests.unit.healing_cloud import RDP, SSH, CutOff
from tests.unit.observation_samples import CrashError
from tests.unit.planner_fake import inconclusive

LATER: Final = EXPIRES_AFTER + timedelta(hours=1)
WIDE: Final = FleetSpread(markets_with_it=10, markets_checked=20)
BOB: Final = Person(by="bob@example.com", reason="A fleet event, on purpose.")


@pytest.fixture
def bench() -> HealBench:
    return HealBench()


async def cut_off(bench: HealBench, *clicks: str) -> bytes:
    message = await bench.clicked(*clicks)
    bench.cloud.cut_off = CutOff(after=1, writes_state=False, dies=CrashError)
    with pytest.raises(CrashError):
        await bench.healer().heal(message)
    return message


async def unknown(bench: HealBench) -> None:
    """All was done, and the worker after it could not look."""
    message = await cut_off(bench, SSH)
    bench.cloud.shows = inconclusive()
    assert (await bench.heal(message)).reason is HoldReason.INCONCLUSIVE
    bench.cloud.shows = None


async def paused(bench: HealBench) -> None:
    """One of two was done, and the worker after it was not to go on."""
    message = await cut_off(bench, SSH, RDP)
    await bench.levers().pause(ALICE, market=None)
    assert (await bench.heal(message)).reason is HoldReason.PAUSED
    await bench.levers().resume(ALICE, market=None)


async def requeue(bench: HealBench) -> list[HealJob]:
    jobs = requeue_cut_off(bench.ledger, bench.queue, now=bench.now, expires_at=bench.now + EXPIRES_AFTER)
    return [job async for job in jobs]


class TestAfterALaterCheck:
    @pytest.fixture(params=[unknown, paused])
    async def job_id(self, request: pytest.FixtureRequest, bench: HealBench) -> str:
        await request.param(bench)
        assert bench.row.applying_since
        bench.now += LATER
        await bench.check()
        return bench.row.job.job_id

    async def test_it_is_among_the_holds(self, bench: HealBench, job_id: str) -> None:
        [hold] = [hold for hold in await holds(bench.ledger, bench.checks) if hold.job_id == job_id]
        assert hold.reason is bench.row.reason
        assert "What an apply of it did is not wholly on record" in hold.why

    async def test_it_is_queued_anew_and_healed(self, bench: HealBench, job_id: str) -> None:
        assert [job.job_id for job in await requeue(bench)] == [job_id]
        assert await requeue(bench) == []
        assert await bench.drain() == [None]
        await bench.assert_verified(applies=len(bench.cloud.applies))

    async def test_it_is_healed_by_a_retry(self, bench: HealBench, job_id: str) -> None:
        await bench.levers().retry(ALICE, job_id=job_id)
        assert await bench.drain() == [None]
        assert bench.row.step is HealStep.VERIFIED
        assert bench.cloud.real == bench.cloud.code
        assert await bench.verdict() is Verdict.HEALTHY

    async def test_it_can_be_rejected(self, bench: HealBench, job_id: str) -> None:
        assert (await bench.levers().reject(ALICE, job_id=job_id)).step is HealStep.REJECTED
        assert await requeue(bench) == []


@pytest.mark.parametrize("reason", [HoldReason.LOCKED, HoldReason.RECORDS_DISAGREE])
async def test_it_is_queued_anew_by_nobody_where_a_person_is_to_look_at(bench: HealBench, reason: HoldReason) -> None:
    message = await cut_off(bench, SSH, RDP)
    if reason is HoldReason.LOCKED:
        bench.cloud.lock("1", "bob@laptop")
    else:
        bench.cloud.deploy_by_hand(other="Ask")
    assert (await bench.heal(message)).reason is reason
    bench.now += LATER
    assert await requeue(bench) == []
    [hold] = await holds(bench.ledger, bench.checks)
    assert hold.reason is reason


async def test_no_approval_of_before_is_one_of_what_a_later_check_holds(bench: HealBench) -> None:
    """Three weeks later the same click is there again, and what is asked is another thing."""
    bench.policy = ON.model_copy(update={"rules": (Rule.model_validate({"do": "ask", "address": ["*ssh*"]}),)})
    bench.cloud.click(SSH)
    job_id = (await bench.check()).job_id
    assert job_id
    await bench.levers().approve(ALICE, job_id=job_id)
    await bench.levers().pause(ALICE, market=None)
    assert await bench.drain() == [None]
    assert [approval.reason for approval in bench.row.approvals] == [HoldReason.APPROVAL_REQUIRED]
    await bench.levers().resume(ALICE, market=None)

    bench.cloud.real = dict(bench.cloud.code)
    bench.now += timedelta(days=21)
    assert (await bench.check()).decision is Decision.CLEAN
    bench.cloud.click(SSH)
    assert (await bench.check(fleet=WIDE)).reason is HoldReason.FLEET_WIDE
    await bench.levers().approve(BOB, job_id=job_id)
    assert [(approval.reason, approval.by) for approval in bench.row.approvals] == [(HoldReason.FLEET_WIDE, BOB.by)]
    assert await bench.drain() == [None]
    assert (bench.row.step, bench.row.reason) == (HealStep.HELD, HoldReason.APPROVAL_REQUIRED)
    assert bench.cloud.applies == []


async def test_approvals_of_what_a_worker_holds_for_one_reason_after_another_add_up(bench: HealBench) -> None:
    bench.policy = ON.model_copy(update={"rules": (Rule.model_validate({"do": "ask"}),)})
    bench.cloud.click(SSH)
    job_id = (await bench.check(fleet=WIDE)).job_id
    assert job_id
    await bench.levers().approve(BOB, job_id=job_id)
    assert await bench.drain() == [None]
    assert bench.row.reason is HoldReason.APPROVAL_REQUIRED
    await bench.levers().approve(ALICE, job_id=job_id)
    assert [approval.by for approval in bench.row.approvals] == [BOB.by, ALICE.by]
    assert await bench.drain() == [None]
    await bench.assert_verified()


@pytest.mark.parametrize("heal_is_still_due", [True, False])
async def test_a_job_that_waits_in_the_queue_can_be_rejected_whatever_a_check_has_said_since(
    bench: HealBench, heal_is_still_due: bool
) -> None:
    message = await bench.clicked(SSH)
    bench.now += timedelta(minutes=30)
    if not heal_is_still_due:
        bench.cloud.real = dict(bench.cloud.code)
    await bench.check()
    await bench.levers().reject(ALICE, job_id=bench.row.job.job_id)
    assert (await bench.heal(message)).step is HealStep.REJECTED
    assert bench.cloud.applies == []

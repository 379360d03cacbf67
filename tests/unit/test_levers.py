"""What a person can do about healing: each lever, each refusal of it, and that every use is on record first."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

import pytest

from drift.decide import APPROVABLE
from drift.healing.levers import Levers, Person
from drift.healing.worker import Fate
from drift.policy import Limits
from drift.policy_rules import Rule, RuleAction
from records.errors import RefusedLeverError, StoreUnavailableError
from records.heal_ledger import Approval, HealRow, HealStep, Lever, LeverUse
from records.plan_checks import HoldReason
from tests.unit.drift_samples import ON
from tests.unit.healing_bench import ALICE, EXPIRES_AFTER, HAPPY, HealBench
from tests.unit.test_heal_ledger_rules import path_to

DOWN: Final = StoreUnavailableError("heals", "503 ServerBusy")
BOB: Final = Person(by="bob@example.com", reason="So have I.")
ASKING: Final = ON.model_copy(update={"rules": (Rule(do=RuleAction.ASK),)})

Pull = Callable[[Levers, str], Awaitable[HealRow]]
APPROVE: Final[Pull] = lambda levers, job_id: levers.approve(ALICE, job_id=job_id)  # noqa: E731 (a table's cell)
REJECT: Final[Pull] = lambda levers, job_id: levers.reject(ALICE, job_id=job_id)  # noqa: E731
RETRY: Final[Pull] = lambda levers, job_id: levers.retry(ALICE, job_id=job_id)  # noqa: E731
OF_A_JOB: Final = {Lever.APPROVE: APPROVE, Lever.REJECT: REJECT, Lever.RETRY: RETRY}


@pytest.fixture
def bench() -> HealBench:
    return HealBench()


async def uses(bench: HealBench) -> list[tuple[Lever, str, str | None]]:
    """Oldest first."""
    return [(use.lever, use.by, use.job_id) async for use in bench.ledger.uses()][::-1]


async def at_step(bench: HealBench, step: HealStep, reason: HoldReason | None = None) -> str:
    """A job that has come so far; its message is gone."""
    await bench.clicked()
    await put(bench, *path_to(step), reason=reason)
    return bench.row.job.job_id


async def put(bench: HealBench, *steps: HealStep, **changes: Any) -> None:
    kept = await bench.ledger.find(job_id=bench.row.job.job_id)
    assert kept
    row = kept.row
    for step in steps:
        row = row.moved(step, at=bench.clock())
    await bench.ledger.put(row=row.model_copy(update=changes), replaces=kept.etag)


async def held_by_a_check(bench: HealBench) -> str:
    """A job that no row is of: a check holds it since the policy asks."""
    bench.policy = ASKING
    bench.cloud.click()
    check = await bench.check()
    assert check.reason is HoldReason.APPROVAL_REQUIRED
    assert check.job_id
    return check.job_id


class TestAPause:
    @pytest.mark.parametrize("market", [None, "de"])
    async def test_holds_until_it_is_resumed(self, bench: HealBench, market: str | None) -> None:
        message = await bench.clicked()
        await bench.levers().pause(ALICE, market=market)
        [pause] = await bench.ledger.pauses()
        assert pause == LeverUse(lever=Lever.PAUSE, by=ALICE.by, reason=ALICE.reason, at=bench.now, market=market)
        await bench.assert_held(message, HoldReason.PAUSED, "alice@example.com paused healing on")
        await bench.levers().resume(BOB, market=market)
        assert await bench.ledger.pauses() == []
        await bench.levers().retry(BOB, job_id=bench.row.job.job_id)
        assert await bench.drain() == [None]
        await bench.assert_verified()
        assert [lever for lever, _, _ in await uses(bench)] == [Lever.PAUSE, Lever.RESUME, Lever.RETRY]

    async def test_of_two_that_hold_a_market_the_other_stays(self, bench: HealBench) -> None:
        levers = bench.levers()
        await levers.pause(ALICE, market=None)
        await levers.pause(ALICE, market="de")
        await levers.resume(BOB, market=None)
        await bench.assert_held(await bench.clicked(), HoldReason.PAUSED)

    @pytest.mark.parametrize(
        ("paused", "resumed", "saying"),
        [
            pytest.param(None, "de", "healing is not paused in de", id="a market's where all is paused"),
            pytest.param("de", None, "healing is not paused in general", id="the general one where a market's is"),
            pytest.param("fr", "de", "healing is not paused in de", id="another market's"),
        ],
    )
    async def test_is_not_ended_by_resuming(
        self, bench: HealBench, paused: str | None, resumed: str | None, saying: str
    ) -> None:
        await bench.levers().pause(ALICE, market=paused)
        with pytest.raises(RefusedLeverError, match=saying):
            await bench.levers().resume(BOB, market=resumed)
        assert [pause.market for pause in await bench.ledger.pauses()] == [paused]
        assert len(await uses(bench)) == 1, "a refusal is no use"

    async def test_that_cannot_be_kept_is_an_error(self, bench: HealBench) -> None:
        bench.ledger.refuse("pull", DOWN)
        with pytest.raises(StoreUnavailableError):
            await bench.levers().pause(ALICE, market=None)


class TestAnApproval:
    async def test_of_what_a_check_holds_enters_the_job_and_queues_it(self, bench: HealBench) -> None:
        job_id = await held_by_a_check(bench)
        row = await bench.levers().approve(ALICE, job_id=job_id)
        approval = Approval(reason=HoldReason.APPROVAL_REQUIRED, by=ALICE.by, at=row.approvals[0].at)
        assert (row.step, row.approvals) == (HealStep.QUEUED, (approval,))
        [use] = [use async for use in bench.ledger.uses()]
        assert (use.overrules, use.by, use.at) == (approval.reason, approval.by, approval.at)
        assert row.finding_fingerprints
        assert (row.events[0].by, row.events[0].note) == (ALICE.by, ALICE.reason)
        assert bench.queue.sent == [row.job]
        assert row.job.expires_at == row.job.queued_at + EXPIRES_AFTER
        assert await uses(bench) == [(Lever.APPROVE, ALICE.by, job_id)]
        assert await bench.drain() == [None]
        await bench.assert_verified()
        assert bench.steps == HAPPY

    async def test_of_what_a_worker_holds_queues_it_again(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.policy = ASKING
        row = await bench.assert_held(message, HoldReason.APPROVAL_REQUIRED)
        await bench.levers().approve(ALICE, job_id=row.job.job_id)
        assert await bench.drain() == [None]
        await bench.assert_verified()

    async def test_is_given_reason_by_reason(self, bench: HealBench) -> None:
        bench.policy = ASKING.model_copy(update={"limits": Limits(heal_max_resources=0)})
        row = await bench.heal(await bench.clicked())
        for person, reason in ((ALICE, HoldReason.BLAST_RADIUS), (BOB, HoldReason.APPROVAL_REQUIRED)):
            assert (row.step, row.reason) == (HealStep.HELD, reason)
            await bench.levers().approve(person, job_id=row.job.job_id)
            assert await bench.drain() == [None]
            row = bench.row
        await bench.assert_verified()
        assert [(one.by, one.reason) for one in row.approvals] == [
            (ALICE.by, HoldReason.BLAST_RADIUS),
            (BOB.by, HoldReason.APPROVAL_REQUIRED),
        ]

    async def test_is_of_that_hold_and_not_of_the_next(self, bench: HealBench) -> None:
        job_id = await held_by_a_check(bench)
        await bench.levers().approve(ALICE, job_id=job_id)
        await bench.drain()
        row = await bench.heal(await bench.clicked())
        assert (row.job.job_id, row.step, row.reason) == (job_id, HealStep.HELD, HoldReason.APPROVAL_REQUIRED)
        assert row.approvals == ()

    async def test_starts_anew_where_the_job_had_ended_since_the_last(self, bench: HealBench) -> None:
        job_id = await held_by_a_check(bench)
        await bench.levers().approve(ALICE, job_id=job_id)
        await bench.drain()
        assert bench.row.step is HealStep.VERIFIED
        assert await held_by_a_check(bench) == job_id
        row = await bench.levers().approve(BOB, job_id=job_id)
        assert [one.by for one in row.approvals] == [BOB.by]

    @pytest.mark.parametrize("reason", sorted(set(HoldReason) - APPROVABLE))
    async def test_is_refused_of_a_hold_as(self, bench: HealBench, reason: HoldReason) -> None:
        job_id = await at_step(bench, HealStep.HELD, reason)
        with pytest.raises(RefusedLeverError, match=f"held as {reason}, which no approval overrules"):
            await bench.levers().approve(ALICE, job_id=job_id)
        assert await uses(bench) == []
        assert bench.row.step is HealStep.HELD

    @pytest.mark.parametrize("step", sorted(set(HealStep) - {HealStep.HELD}))
    async def test_is_refused_of_a_job_that_is(self, bench: HealBench, step: HealStep) -> None:
        job_id = await at_step(bench, step)
        with pytest.raises(RefusedLeverError, match=f"job {job_id} is not held; see `trueup drift holds`"):
            await bench.levers().approve(ALICE, job_id=job_id)
        assert (await uses(bench), bench.queue.sent) == ([], [])

    async def test_is_refused_of_a_job_that_nobody_knows(self, bench: HealBench) -> None:
        with pytest.raises(RefusedLeverError):
            await bench.levers().approve(ALICE, job_id="0" * 64)


class TestARejection:
    async def test_of_what_a_check_holds_keeps_every_check_from_queueing_it(self, bench: HealBench) -> None:
        job_id = await held_by_a_check(bench)
        row = await bench.levers().reject(ALICE, job_id=job_id)
        assert (row.step, row.events[-1].by, row.events[-1].note) == (HealStep.REJECTED, ALICE.by, ALICE.reason)
        assert bench.ledger.all_rows == [row]
        assert bench.queue.sent == []
        bench.policy = ON
        with pytest.raises(AssertionError, match="already_open"):
            await bench.queued()
        assert await uses(bench) == [(Lever.REJECT, ALICE.by, job_id)]

    async def test_of_what_is_queued_makes_its_message_one_of_nothing(self, bench: HealBench) -> None:
        message = await bench.clicked()
        await bench.levers().reject(ALICE, job_id=bench.row.job.job_id)
        assert (await bench.heal(message)).step is HealStep.REJECTED
        assert bench.cloud.applies == []

    @pytest.mark.parametrize("step", [HealStep.VERIFIED, HealStep.NOT_CONVERGED, HealStep.SUPERSEDED, HealStep.FAILED])
    async def test_is_of_what_a_check_has_found_again_and_holds_since_the_job_was(
        self, bench: HealBench, step: HealStep
    ) -> None:
        await at_step(bench, step)
        job_id = await held_by_a_check(bench)
        assert job_id == bench.row.job.job_id
        row = await bench.levers().reject(ALICE, job_id=job_id)
        assert row.step is HealStep.REJECTED
        assert bench.row == row

    async def test_is_said_once(self, bench: HealBench) -> None:
        job_id = await held_by_a_check(bench)
        await bench.levers().reject(ALICE, job_id=job_id)
        with pytest.raises(RefusedLeverError, match="does not wait for anything"):
            await bench.levers().reject(BOB, job_id=job_id)
        await bench.check()
        with pytest.raises(RefusedLeverError, match="is rejected already"):
            await bench.levers().reject(BOB, job_id=job_id)
        assert len(await uses(bench)) == 1

    @pytest.mark.parametrize("pull", [APPROVE, RETRY], ids=["an approval", "a retry"])
    async def test_is_taken_back_by(self, bench: HealBench, pull: Pull) -> None:
        """Once a check holds it again. A retry alone overrules no reason: the worker holds the job by it."""
        job_id = await held_by_a_check(bench)
        rejected = await bench.levers().reject(ALICE, job_id=job_id)
        await bench.check()
        row = await pull(bench.levers(), job_id)
        assert row.step is HealStep.QUEUED
        assert row.finding_fingerprints == rejected.finding_fingerprints != ()
        await bench.drain()
        assert bench.row.step is (HealStep.VERIFIED if pull is APPROVE else HealStep.HELD)

    @pytest.mark.parametrize("step", sorted(set(HealStep) - {HealStep.QUEUED, HealStep.HELD}))
    async def test_is_refused_of_a_job_that_is(self, bench: HealBench, step: HealStep) -> None:
        job_id = await at_step(bench, step)
        with pytest.raises(RefusedLeverError):
            await bench.levers().reject(ALICE, job_id=job_id)
        assert bench.row.step is step
        assert await uses(bench) == []


class TestARetry:
    RETRIED: Final = (
        HealStep.QUEUED,
        HealStep.FAILED,
        HealStep.NOT_CONVERGED,
        HealStep.EXPIRED,
        HealStep.HELD,
        HealStep.REJECTED,
    )

    @pytest.mark.parametrize("step", RETRIED)
    async def test_heals_a_job_that_was(self, bench: HealBench, step: HealStep) -> None:
        job_id = await at_step(bench, step)
        older = bench.row.job.model_dump_json().encode()
        row = await bench.levers().retry(ALICE, job_id=job_id)
        assert await bench.healer().heal(older) is Fate.DONE
        assert bench.row == row, "the message of before is dropped"
        assert (row.step, row.events[-1].by, row.events[-1].note) == (HealStep.QUEUED, ALICE.by, ALICE.reason)
        assert await bench.drain() == [None]
        await bench.assert_verified()
        assert await uses(bench) == [(Lever.RETRY, ALICE.by, job_id)]

    async def test_keeps_what_was_approved(self, bench: HealBench) -> None:
        job_id = await held_by_a_check(bench)
        await bench.levers().approve(ALICE, job_id=job_id)
        await bench.healer().fail(bench.queue.messages.pop().body)
        await bench.levers().retry(BOB, job_id=job_id)
        await bench.drain()
        await bench.assert_verified()

    @pytest.mark.parametrize("step", [HealStep.VERIFIED, HealStep.SUPERSEDED])
    async def test_is_refused_however_late_of_a_job_that_is(self, bench: HealBench, step: HealStep) -> None:
        job_id = await at_step(bench, step)
        bench.now = bench.row.job.expires_at
        with pytest.raises(RefusedLeverError):
            await bench.levers().retry(ALICE, job_id=job_id)

    @pytest.mark.parametrize("step", sorted(set(HealStep) - set(RETRIED)))
    async def test_is_refused_of_a_job_that_is(self, bench: HealBench, step: HealStep) -> None:
        job_id = await at_step(bench, step)
        with pytest.raises(RefusedLeverError, match=f"job {job_id} is {step}; only a job that waits, or has ended"):
            await bench.levers().retry(ALICE, job_id=job_id)
        assert (await uses(bench), bench.queue.sent) == ([], [])

    @pytest.mark.parametrize("step", [HealStep.BEGUN, HealStep.JUDGED, HealStep.APPLYING, HealStep.APPLIED])
    async def test_is_done_once_its_message_has_expired_to_a_job_that_is(
        self, bench: HealBench, step: HealStep
    ) -> None:
        job_id = await at_step(bench, step)
        bench.now = bench.row.job.expires_at - timedelta(seconds=2)
        with pytest.raises(RefusedLeverError):
            await bench.levers().retry(ALICE, job_id=job_id)
        row = await bench.levers().retry(ALICE, job_id=job_id)
        assert row.step is HealStep.QUEUED

    async def test_is_refused_of_a_job_that_nobody_knows(self, bench: HealBench) -> None:
        with pytest.raises(RefusedLeverError, match="not in the ledger"):
            await bench.levers().retry(ALICE, job_id="0" * 64)

"""What waits for a person: holds of checks and of workers, each once and in the words of whoever looked last."""

from datetime import timedelta
from typing import Any, Final

import pytest

from drift.decide import APPROVABLE
from drift.healing.waiting import WithheldHeal, find_waiting, holds
from drift.policy import KillSwitch, Policy
from records.errors import StoreUnavailableError
from records.heal_ledger import HealStep
from records.plan_checks import Decision, HoldReason
from tests.unit.drift_samples import ON
from tests.unit.healing_bench import ALICE, HealBench
from tests.unit.healing_cloud import RDP, SSH
from tests.unit.planner_fake import inconclusive
from tests.unit.test_levers import ASKING, at_step, held_by_a_check

DOWN: Final = StoreUnavailableError("heals", "503 ServerBusy")
REFUSED: Final = (HealStep.FAILED, HealStep.REJECTED)
KILLED: Final = ON.model_copy(update={"kill_switch": KillSwitch(why="migration")})


@pytest.fixture
def bench() -> HealBench:
    return HealBench()


async def held(bench: HealBench) -> list[WithheldHeal]:
    return await holds(bench.ledger, bench.checks)


async def keep_checks_of(bench: HealBench, *markets: str) -> None:
    """The check of de/network as if it were of these markets' stacks too."""
    mine = await bench.checks.latest_of_stack(market="de", stack="network")
    assert mine
    for market in markets:
        check = mine.check.model_copy(update={"market": market, "job_id": None})
        await bench.checks.save_check(stored=mine.model_copy(update={"check": check}))


class TestTheHolds:
    async def test_are_none_where_nothing_waits(self, bench: HealBench) -> None:
        assert await held(bench) == []
        bench.cloud.click()
        assert (await bench.check()).decision is Decision.HEAL
        assert await held(bench) == []

    async def test_have_what_a_check_holds(self, bench: HealBench) -> None:
        job_id = await held_by_a_check(bench)
        [hold] = await held(bench)
        stored = await bench.checks.latest_of_stack(market="de", stack="network")
        assert stored
        assert hold == WithheldHeal(
            market="de",
            stack="network",
            reason=HoldReason.APPROVAL_REQUIRED,
            why=stored.check.why,
            since=stored.check.checked_at,
            job_id=job_id,
            can_be_approved=True,
            addresses=(SSH,),
        )

    async def test_have_what_a_worker_holds_once_and_in_its_words(self, bench: HealBench) -> None:
        bench.policy = ASKING
        message = await bench.clicked(RDP, SSH)
        bench.policy = KILLED
        row = await bench.heal(message)
        [hold] = await held(bench)
        assert (hold.reason, hold.why) == (HoldReason.PAUSED, "The policy's kill switch is pulled: migration")
        assert (hold.job_id, hold.since, hold.can_be_approved) == (row.job.job_id, row.events[-1].at, False)
        assert hold.addresses == (RDP, SSH)

    async def test_have_what_a_later_check_holds_in_its_words_and_once(self, bench: HealBench) -> None:
        job_id = await at_step(bench, HealStep.HELD, HoldReason.FROZEN)
        assert [hold.reason for hold in await held(bench)] == [HoldReason.FROZEN]
        assert await held_by_a_check(bench) == job_id
        assert [(hold.reason, hold.job_id) for hold in await held(bench)] == [(HoldReason.APPROVAL_REQUIRED, job_id)]

    async def test_have_what_a_worker_holds_in_its_words_at_the_very_moment_of_a_check(self, bench: HealBench) -> None:
        await held_by_a_check(bench)
        await at_step(bench, HealStep.HELD, HoldReason.FROZEN)
        stored = await bench.checks.latest_of_stack(market="de", stack="network")
        assert stored
        check = stored.check.model_copy(update={"checked_at": bench.row.events[-1].at})
        await bench.checks.save_check(stored=stored.model_copy(update={"check": check}))
        assert [hold.reason for hold in await held(bench)] == [HoldReason.FROZEN]

    async def test_have_nothing_of_a_drift_that_a_later_check_no_longer_finds(self, bench: HealBench) -> None:
        await at_step(bench, HealStep.HELD, HoldReason.FROZEN)
        bench.cloud.real[SSH] = "Deny"
        assert (await bench.check()).decision is Decision.CLEAN
        assert await held(bench) == []

    async def test_have_nothing_that_was_approved_since_and_healed(self, bench: HealBench) -> None:
        job_id = await held_by_a_check(bench)
        await bench.levers().approve(ALICE, job_id=job_id)
        assert await held(bench) == []
        await bench.drain()
        assert bench.row.step is HealStep.VERIFIED
        assert await held(bench) == []

    async def test_have_what_a_worker_holds_though_no_check_of_it_is_kept(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.policy = ASKING
        await bench.heal(message)
        await bench.checks.forget(market="de", stack="network")
        assert [(hold.reason, hold.can_be_approved) for hold in await held(bench)] == [
            (HoldReason.APPROVAL_REQUIRED, True)
        ]

    async def test_say_of_a_stack_without_a_plan_that_there_is_no_job(self, bench: HealBench) -> None:
        bench.cloud.shows = inconclusive()
        await bench.check()
        [hold] = await held(bench)
        assert (hold.reason, hold.job_id) == (HoldReason.INCONCLUSIVE, None)
        assert (hold.can_be_approved, hold.addresses) == (False, ())

    @pytest.mark.parametrize("reason", HoldReason)
    async def test_can_be_approved_as_an_approval_can_overrule(self, bench: HealBench, reason: HoldReason) -> None:
        await at_step(bench, HealStep.HELD, reason)
        assert [hold.can_be_approved for hold in await held(bench)] == [reason in APPROVABLE]

    async def test_are_sorted(self, bench: HealBench) -> None:
        await held_by_a_check(bench)
        await keep_checks_of(bench, "uk", "at", "fr")
        assert [hold.market for hold in await held(bench)] == ["at", "de", "fr", "uk"]

    @pytest.mark.parametrize("step", sorted(set(HealStep) - {HealStep.HELD, *REFUSED}))
    async def test_have_no_job_that_is(self, bench: HealBench, step: HealStep) -> None:
        await at_step(bench, step)
        assert await held(bench) == []

    @pytest.mark.parametrize("step", REFUSED)
    async def test_have_a_job_until_the_next_check_that_is(self, bench: HealBench, step: HealStep) -> None:
        job_id = await at_step(bench, step)
        [hold] = await held(bench)
        assert (hold.job_id, hold.reason, hold.can_be_approved) == (job_id, HoldReason.APPROVAL_REQUIRED, False)
        assert f"`trueup drift retry {job_id[:12]}`" in hold.why
        bench.cloud.real[SSH] = "Deny"
        await bench.check()
        assert await held(bench) == []

    @pytest.mark.parametrize("step", REFUSED)
    async def test_have_no_job_of_a_stack_that_is_no_more_that_is(self, bench: HealBench, step: HealStep) -> None:
        await at_step(bench, step)
        await bench.checks.forget(market="de", stack="network")
        assert await held(bench) == []

    @pytest.mark.parametrize("method", ["rows", "sketches", "latest_of_stack"])
    async def test_are_not_known_where_a_store_is_down(self, bench: HealBench, method: str) -> None:
        await held_by_a_check(bench)
        (bench.ledger if method == "rows" else bench.checks).refuse(method, DOWN)
        with pytest.raises(StoreUnavailableError):
            await held(bench)

    async def test_are_not_known_where_a_row_cannot_be_read(self, bench: HealBench) -> None:
        await at_step(bench, HealStep.HELD, HoldReason.FROZEN)
        bench.ledger.put_text(bench.row.job, "{}")
        with pytest.raises(StoreUnavailableError, match="cannot read the row of job"):
            await held(bench)

    async def test_pass_over_a_check_that_was_forgotten_meanwhile(self, bench: HealBench) -> None:
        await held_by_a_check(bench)

        class Forgetful(type(bench.checks)):  # type: ignore[misc]
            async def latest_of_stack(self, *, market: str, stack: str) -> Any:
                return None

        bench.checks.__class__ = Forgetful
        assert await held(bench) == []


class TestWhatWaits:
    async def find(self, bench: HealBench, job_id: str) -> Any:
        return await find_waiting(bench.ledger, bench.checks, job_id=job_id, now=bench.now)

    async def test_is_a_job_that_a_worker_holds(self, bench: HealBench) -> None:
        job_id = await at_step(bench, HealStep.HELD, HoldReason.FROZEN)
        waiting = await self.find(bench, job_id)
        assert (waiting.job, waiting.kept.row, waiting.reason) == (bench.row.job, bench.row, HoldReason.FROZEN)
        assert (waiting.run_id, waiting.finding_fingerprints) == (bench.row.run_id, bench.row.finding_fingerprints)

    async def test_is_a_job_whose_message_waits(self, bench: HealBench) -> None:
        job_id = await at_step(bench, HealStep.QUEUED)
        waiting = await self.find(bench, job_id)
        assert (waiting.kept.row, waiting.reason) == (bench.row, None)

    async def test_is_no_job_whose_message_has_expired(self, bench: HealBench) -> None:
        job_id = await at_step(bench, HealStep.QUEUED)
        bench.now = bench.row.job.expires_at - timedelta(microseconds=1)
        assert await self.find(bench, job_id)
        bench.now = bench.row.job.expires_at
        assert await self.find(bench, job_id) is None

    async def test_is_what_a_check_holds_and_no_row_is_of(self, bench: HealBench) -> None:
        job_id = await held_by_a_check(bench)
        waiting = await self.find(bench, job_id)
        assert (waiting.job.job_id, waiting.kept, waiting.reason) == (job_id, None, HoldReason.APPROVAL_REQUIRED)
        assert waiting.job.addresses == (SSH,)
        assert len(waiting.finding_fingerprints) == 1

    @pytest.mark.parametrize("step", [HealStep.VERIFIED, HealStep.EXPIRED, HealStep.FAILED, HealStep.REJECTED])
    async def test_is_what_a_check_holds_again_of_a_job_that_was(self, bench: HealBench, step: HealStep) -> None:
        job_id = await at_step(bench, step)
        assert await self.find(bench, job_id) is None
        assert await held_by_a_check(bench) == job_id
        waiting = await self.find(bench, job_id)
        assert (waiting.kept.row.step, waiting.reason) == (step, HoldReason.APPROVAL_REQUIRED)

    @pytest.mark.parametrize("step", [HealStep.BEGUN, HealStep.JUDGED, HealStep.APPLYING, HealStep.APPLIED])
    async def test_is_nothing_that_a_worker_has_though_a_check_holds_it(self, bench: HealBench, step: HealStep) -> None:
        job_id = await at_step(bench, step)
        await held_by_a_check(bench)
        assert await self.find(bench, job_id) is None

    async def test_is_nothing_that_the_last_check_would_heal_or_has_not_found(self, bench: HealBench) -> None:
        bench.cloud.click()
        job_id = (await bench.check()).job_id
        assert job_id
        assert await self.find(bench, job_id) is None
        bench.policy = Policy()
        assert (await bench.check()).reason is HoldReason.DRY_RUN
        assert await self.find(bench, "0" * 64) is None
        assert await self.find(bench, job_id)

"""What a worker heeds at the last moment before an apply, and of a lock what Terraform itself has met."""

from collections.abc import Callable
from typing import Final

import pytest

from drift.healing.waiting import holds
from drift.policy import KillSwitch
from drift.policy_rules import Rule
from records.errors import LeaseLostError
from records.heal_ledger import HealRow, HealStep, Lever, LeverUse
from records.plan_checks import HoldReason
from tests.unit.drift_samples import ON
from tests.unit.healing_bench import ALICE, HAPPY, PATH, HealBench
from tests.unit.healing_cloud import OWN_NAME, RDP, SSH, CutOff
from tests.unit.observation_samples import NOW, CrashError

Change = Callable[[HealBench], object]
STOPPED: Final = [HealStep.BEGUN, HealStep.JUDGED, HealStep.APPLYING, HealStep.HELD]


@pytest.fixture
def bench() -> HealBench:
    return HealBench()


def while_it_keeps(bench: HealBench, step: HealStep, change: Change) -> None:
    """Once, while the ledger takes its time with that step."""

    def on_put(row: HealRow) -> None:
        if row.step is step:
            bench.ledger.on_put = lambda _row: None
            change(bench)

    bench.ledger.on_put = on_put


def pause(bench: HealBench) -> None:
    bench.ledger._pauses[None] = LeverUse(lever=Lever.PAUSE, by="alice", reason="an incident", at=NOW)


def ignore(bench: HealBench) -> None:
    bench.policy = ON.model_copy(update={"rules": (Rule.model_validate({"do": "ignore", "address": ["*ssh*"]}),)})


def stop(bench: HealBench) -> None:
    bench.policy = ON.model_copy(update={"kill_switch": KillSwitch(why="an incident")})


LATE: Final[dict[str, tuple[Change, HoldReason]]] = {
    "a pause": (pause, HoldReason.PAUSED),
    "a kill switch": (stop, HoldReason.PAUSED),
    "a rule that ignores the finding": (ignore, HoldReason.MIXED),
}


@pytest.mark.parametrize("step", [HealStep.JUDGED, HealStep.APPLYING])
@pytest.mark.parametrize("case", LATE)
async def test_nothing_is_applied_where_there_is_by_then(bench: HealBench, case: str, step: HealStep) -> None:
    change, reason = LATE[case]
    message = await bench.clicked(SSH)
    while_it_keeps(bench, step, change)
    row = await bench.assert_held(message, reason)
    assert bench.steps == STOPPED
    assert row.applied_at == (), "the breaker counts it as no heal"
    assert [hold.reason for hold in await holds(bench.ledger, bench.checks)] == [reason]


async def test_a_rest_that_is_stopped_is_still_known_to_be_one(bench: HealBench) -> None:
    message = await bench.clicked(SSH, RDP)
    bench.cloud.cut_off = CutOff(after=1, writes_state=False, dies=CrashError)
    with pytest.raises(CrashError):
        await bench.healer().heal(message)
    began = bench.row.applying_since
    while_it_keeps(bench, HealStep.APPLYING, pause)
    row = await bench.heal(message)
    assert (row.step, row.reason, row.applying_since) == (HealStep.HELD, HoldReason.PAUSED, began)
    assert row.applied_at == (began,)
    assert len(bench.cloud.applies) == 1

    await bench.levers().resume(ALICE, market=None)
    await bench.levers().retry(ALICE, job_id=row.job.job_id)
    assert await bench.drain() == [None]
    await bench.assert_verified(applies=2)


@pytest.mark.parametrize("step", [HealStep.BEGUN, HealStep.JUDGED, HealStep.APPLYING])
async def test_a_worker_that_loses_its_lease_by_then_applies_nothing(bench: HealBench, step: HealStep) -> None:
    def lose(bench: HealBench) -> None:
        bench.leases.taken[PATH].is_lost = True

    message = await bench.clicked(SSH)
    while_it_keeps(bench, step, lose)
    with pytest.raises(LeaseLostError, match="de/network"):
        await bench.healer().heal(message)
    assert bench.cloud.applies == []
    assert len(bench.row.applied_at) == (step is HealStep.APPLYING)
    await bench.heal(message)
    await bench.assert_verified()


class TestALockBeforeThePlan:
    async def test_for_which_terraform_has_waited_holds_nothing(self, bench: HealBench) -> None:
        message = await bench.clicked(SSH)
        bench.cloud.lock("deploy-7", "pipeline@agent")
        bench.cloud.before_plan = bench.cloud.unlock
        await bench.heal(message)
        await bench.assert_verified()
        assert bench.steps == HAPPY

    async def test_of_our_own_that_terraform_gave_back_after_its_worker_died_holds_nothing(
        self, bench: HealBench
    ) -> None:
        message = await bench.clicked(SSH)
        bench.cloud.cut_off = CutOff(after=1, writes_state=False, leaves_lock=True, dies=CrashError)
        with pytest.raises(CrashError):
            await bench.healer().heal(message)
        bench.cloud.before_plan = bench.cloud.unlock
        await bench.heal(message)
        await bench.assert_verified()

    async def test_that_is_still_there_after_it_holds_the_job(self, bench: HealBench) -> None:
        message = await bench.clicked(SSH)
        bench.cloud.lock("deploy-7", OWN_NAME)
        await bench.assert_held(message, HoldReason.LOCKED)


class TestWhatAPersonHasRejected:
    async def reject(self, bench: HealBench, *addresses: str) -> None:
        """A click, and a person who says no to the job of it."""
        await bench.clicked(*addresses)
        await bench.levers().reject(ALICE, job_id=bench.row.job.job_id)

    async def test_is_not_undone_with_something_else(self, bench: HealBench) -> None:
        await self.reject(bench, SSH)
        await bench.assert_held(
            await bench.clicked(RDP), HoldReason.APPROVAL_REQUIRED, "alice@example.com rejected job"
        )

    async def test_is_not_undone_where_it_was_rejected_at_the_last_moment(self, bench: HealBench) -> None:
        await self.reject(bench, SSH)
        rejected = bench.row
        await bench.levers().retry(ALICE, job_id=rejected.job.job_id)
        message = await bench.clicked(RDP)

        def reject_again(bench: HealBench) -> None:
            bench.ledger.put_text(rejected.job, rejected.model_dump_json())

        while_it_keeps(bench, HealStep.APPLYING, reject_again)
        await bench.assert_held(message, HoldReason.APPROVAL_REQUIRED, "alice@example.com rejected job")

    async def test_is_undone_once_that_is_taken_back(self, bench: HealBench) -> None:
        await self.reject(bench, SSH)
        await bench.levers().retry(ALICE, job_id=bench.row.job.job_id)
        assert (await bench.heal(await bench.clicked(RDP))).step is HealStep.VERIFIED

    async def test_is_undone_by_a_later_approval_of_the_whole(self, bench: HealBench) -> None:
        await self.reject(bench, SSH)
        row = await bench.heal(await bench.clicked(RDP))
        await bench.levers().approve(ALICE, job_id=row.job.job_id)
        await bench.drain()
        await bench.assert_verified()

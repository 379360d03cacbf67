"""An approval is one where the use of the lever is on record: what stands on a job's row alone heals nothing."""

from collections.abc import Iterable
from typing import Final

import pytest

from drift.healing.approvals import confirmed
from drift.policy_rules import Rule, RuleAction
from records.errors import StoreUnavailableError
from records.heal_ledger import Approval, HealStep
from records.plan_checks import HoldReason
from tests.unit.drift_samples import ON
from tests.unit.healing_bench import ALICE, HealBench
from tests.unit.healing_cloud import RDP, SSH
from tests.unit.observation_samples import NOW

DOWN: Final = StoreUnavailableError("heallevers", "503 ServerBusy")
ASKING: Final = ON.model_copy(update={"rules": (Rule(do=RuleAction.ASK),)})
LOGGER: Final = "drift.healing.approvals"


@pytest.fixture
def bench() -> HealBench:
    return HealBench(policy=ASKING)


async def forge(bench: HealBench, approvals: Iterable[Approval]) -> None:
    """As whoever has taken over the planner's process can, which writes rows and no uses of levers."""
    kept = await bench.ledger.find(job_id=bench.row.job.job_id)
    assert kept
    await bench.ledger.put(row=kept.row.model_copy(update={"approvals": tuple(approvals)}), replaces=kept.etag)


async def test_one_that_is_forged_is_ignored_and_told(bench: HealBench, caplog: pytest.LogCaptureFixture) -> None:
    message = await bench.clicked()
    await forge(bench, [Approval(reason=reason, by=ALICE.by, at=NOW) for reason in HoldReason])
    row = await bench.assert_held(message, HoldReason.APPROVAL_REQUIRED)
    (told,) = [record for record in caplog.records if record.name == LOGGER]
    assert told.levelname == "WARNING"
    assert row.job.job_id in told.getMessage()
    assert HoldReason.DESTRUCTIVE in told.getMessage()
    assert ALICE.by not in told.getMessage()


async def test_one_that_was_given_can_be_turned_to_no_other_reason(bench: HealBench) -> None:
    row = await bench.heal(await bench.clicked())
    await bench.levers().approve(ALICE, job_id=row.job.job_id)
    (given,) = bench.row.approvals
    bench.policy = ASKING.model_copy(update={"rules": (Rule(do=RuleAction.NEVER),)})
    await forge(bench, [given.model_copy(update={"reason": HoldReason.PROTECTED})])
    assert await bench.drain() == [None]
    assert (bench.row.step, bench.row.reason) == (HealStep.HELD, HoldReason.PROTECTED)
    assert bench.cloud.applies == []


async def test_one_that_was_given_to_another_job_is_none_of_this(bench: HealBench) -> None:
    first = await bench.heal(await bench.clicked(SSH))
    await bench.levers().approve(ALICE, job_id=first.job.job_id)
    (given,) = bench.row.approvals
    message = await bench.clicked(SSH, RDP)
    assert bench.row.job.job_id != first.job.job_id
    await forge(bench, [given])
    row = await bench.heal(message)
    assert (row.step, row.reason) == (HealStep.HELD, HoldReason.APPROVAL_REQUIRED)
    assert bench.cloud.applies == []


async def test_of_several_those_that_were_given_count(bench: HealBench) -> None:
    row = await bench.heal(await bench.clicked())
    await bench.levers().approve(ALICE, job_id=row.job.job_id)
    (given,) = bench.row.approvals
    forged = given.model_copy(update={"reason": HoldReason.DESTRUCTIVE})
    await forge(bench, [forged, given])
    uses = [use async for use in bench.ledger.uses()]
    assert confirmed(bench.row, uses) == (given,)
    assert await bench.drain() == [None]
    await bench.assert_verified()


async def test_where_the_levers_cannot_be_read_the_job_is_held(bench: HealBench) -> None:
    row = await bench.heal(await bench.clicked())
    await bench.levers().approve(ALICE, job_id=row.job.job_id)
    bench.ledger.refuse("uses", DOWN)
    assert await bench.drain() == [None]
    assert (bench.row.step, bench.row.reason) == (HealStep.HELD, HoldReason.INCONCLUSIVE)
    assert "The uses of levers cannot be read: heallevers: 503" in str(bench.row.events[-1].note)
    assert bench.cloud.applies == []


async def test_a_job_that_nobody_had_to_approve_reads_no_use_of_a_lever(bench: HealBench) -> None:
    bench.policy = ON
    bench.ledger.refuse("uses", DOWN)
    await bench.heal(await bench.clicked())
    await bench.assert_verified()

"""Jobs whose worker died while it applied them, and whose message has expired since: a run of checks queues them anew."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import pytest

from drift.opening import requeue_cut_off
from records.errors import StoreUnavailableError
from records.faults import RecordKind
from records.heal_ledger import HealRow, HealStep
from records.plan_checks import HoldReason
from records.report import WHOLE_ESTATE
from tests.fakes_drift import MemoryHealLedger, MemoryHealQueue
from tests.unit.observation_samples import EXPIRES_AFTER, Bench
from tests.unit.test_heal_ledger_rules import moved, path_to
from tests.unit.test_heal_messages import JOB, ROW

AFTER: Final = JOB.expires_at + timedelta(minutes=1)


def cut_off(step: HealStep = HealStep.APPLYING) -> HealRow:
    return moved(ROW, *path_to(step)).model_copy(update={"applying_since": JOB.queued_at})


async def requeued(row: HealRow, now: datetime = AFTER) -> tuple[MemoryHealLedger, MemoryHealQueue]:
    ledger, queue = MemoryHealLedger(), MemoryHealQueue()
    await ledger.put(row=row, replaces=None)
    found = [job async for job in requeue_cut_off(ledger, queue, now=now, expires_at=now + EXPIRES_AFTER)]
    assert found == queue.sent
    return ledger, queue


@pytest.mark.parametrize("step", [HealStep.APPLYING, HealStep.APPLIED, HealStep.BEGUN, HealStep.QUEUED])
async def test_a_job_that_was_cut_off_is_queued_anew_and_still_known_as_such(step: HealStep) -> None:
    ledger, queue = await requeued(cut_off(step))
    kept = await ledger.row(market=JOB.market, stack=JOB.stack, job_id=JOB.job_id)
    assert kept
    assert (kept.row.step, kept.row.applying_since) == (HealStep.QUEUED, JOB.queued_at)
    assert queue.sent == [JOB.model_copy(update={"queued_at": AFTER, "expires_at": AFTER + EXPIRES_AFTER})]
    assert kept.row.job == queue.sent[0]


NOT_THEIRS: Final[dict[str, Callable[[], tuple[HealRow, datetime]]]] = {
    "whose message is still alive": lambda: (cut_off(), JOB.expires_at - timedelta(seconds=1)),
    "of which nothing was applied": lambda: (moved(ROW, *path_to(HealStep.BEGUN)), AFTER),
    "that a person is to look at": lambda: (
        cut_off(HealStep.HELD).model_copy(update={"reason": HoldReason.LOCKED}),
        AFTER,
    ),
    "that has failed": lambda: (cut_off(HealStep.FAILED), AFTER),
}


@pytest.mark.parametrize("case", NOT_THEIRS)
async def test_a_job_is_left_alone(case: str) -> None:
    row, now = NOT_THEIRS[case]()
    ledger, queue = await requeued(row, now)
    assert queue.sent == []
    assert [kept async for kept in ledger.rows()] == [row]


async def test_a_run_that_queues_nothing_leaves_it_and_one_that_cannot_says_so() -> None:
    bench = Bench(now=AFTER)
    await bench.ledger.put(row=cut_off(), replaces=None)
    assert await bench.conclusion(queueing=None).requeue_cut_off() == (0, ())
    bench.queue.refuse("send", StoreUnavailableError("auto-apply", "503 ServerBusy"))
    count, (problem,) = await bench.conclusion().requeue_cut_off()
    assert (count, problem.market, problem.record) == (0, WHOLE_ESTATE, RecordKind.RESULTS)


async def test_a_run_counts_it_among_what_it_has_queued() -> None:
    bench = Bench(now=AFTER)
    await bench.ledger.put(row=cut_off(), replaces=None)
    assert await bench.conclusion().requeue_cut_off() == (1, ())
    assert await bench.conclusion().requeue_cut_off() == (0, ())

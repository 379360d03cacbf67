"""Enters a job in the ledger before its message is sent: who dies between the two has queued it no twice."""

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from enum import StrEnum
from typing import Final

from drift.checks import finding_fingerprints, touched_attributes
from records.drift_ports import HealLedger, HealQueue
from records.errors import BlobChangedError
from records.findings import Finding
from records.heal_ledger import HealEvent, HealRow, HealStep
from records.heals import HealJob
from records.plan_checks import HoldReason

_A_PERSONS_HOLDS: Final = frozenset({HoldReason.LOCKED, HoldReason.RECORDS_DISAGREE})


class Opening(StrEnum):
    """What came of entering a job in the ledger."""

    OPENED = "opened"
    BY_THIS_RUN = "by_this_run"
    """This run has entered it before, and ends a second time."""
    ALREADY_OPEN = "already_open"


async def open_job(ledger: HealLedger, job: HealJob, findings: Collection[Finding], *, run_id: str) -> Opening:
    """Enters a job that a check has found, unless it is open already. Of two who do so at one moment, one does.

    A run that ends twice, since it was cut off, looks at the drift of before: it queues no job of its own anew. Both
    endings may be at work at one moment, and then say the same of what the run has queued.

    Raises:
        StoreError
    """
    kept = await ledger.row(market=job.market, stack=job.stack, job_id=job.job_id)
    if kept and kept.row.run_id == run_id:
        return Opening.BY_THIS_RUN
    row = opened(kept.row if kept else None, job, findings, run_id=run_id)
    if row is None:
        return Opening.ALREADY_OPEN
    try:
        await ledger.put(row=row, replaces=kept.etag if kept else None)
    except BlobChangedError:
        written = await ledger.row(market=job.market, stack=job.stack, job_id=job.job_id)
        return Opening.BY_THIS_RUN if written and written.row.run_id == run_id else Opening.ALREADY_OPEN
    return Opening.OPENED


def opened(before: HealRow | None, job: HealJob, findings: Collection[Finding], *, run_id: str) -> HealRow | None:
    """The row of a job that is queued for a check; None where it is left as it is.

    A job that waits or is at work goes on until it has expired: its message is gone by then, or was never sent, and a worker
    that still has it finds its row changed before it applies. What a person has rejected, or what has failed, waits for a
    person. No approval outlives what it was given for.
    """
    at = job.queued_at
    if before is None:
        event = HealEvent(step=HealStep.QUEUED, at=at)
        return HealRow(
            job=job,
            step=HealStep.QUEUED,
            run_id=run_id,
            finding_fingerprints=finding_fingerprints(findings),
            attribute_fingerprints=touched_attributes(findings),
            events=(event,),
        )
    if not before.has_ended:
        if before.job.expires_at > at:
            return None
    elif before.step in {HealStep.REJECTED, HealStep.FAILED}:
        return None
    # A check has found the records healthy on the job's own ground: what ended there has left nothing to be put on record.
    told = {"applying_since": None, "left_serial": None, "own_lock": None} if before.has_ended else {}
    return before.moved(
        HealStep.QUEUED,
        at=at,
        job=job,
        run_id=run_id,
        finding_fingerprints=finding_fingerprints(findings),
        attribute_fingerprints=touched_attributes(findings),
        approvals=(),
        **told,
    )


async def requeue_cut_off(
    ledger: HealLedger, queue: HealQueue, *, now: datetime, expires_at: datetime
) -> AsyncIterator[HealJob]:
    """Queues anew each job that was being applied when its last worker died, and whose message has expired since.

    No check would: the apply may have moved the serial, and then the records disagree until a worker has put it on record. It
    looks at what is true before it does anything.

    Raises:
        StoreError
    """
    lost = [row async for row in ledger.rows() if _is_cut_off(row, now)]
    for job in (row.job for row in lost):
        kept = await ledger.row(market=job.market, stack=job.stack, job_id=job.job_id)
        if kept is None or not _is_cut_off(kept.row, now):
            continue
        again = job.model_copy(update={"queued_at": now, "expires_at": expires_at})
        try:
            await ledger.put(row=kept.row.moved(HealStep.QUEUED, at=now, job=again), replaces=kept.etag)
        except BlobChangedError:
            continue
        await queue.send(job=again)
        yield again


def _is_cut_off(row: HealRow, now: datetime) -> bool:
    """Also one that a worker has held since, for what may have passed; not where a person is to look at lock or records."""
    if row.applying_since is None or row.job.expires_at > now:
        return False
    return not row.has_ended or (row.step is HealStep.HELD and row.reason not in _A_PERSONS_HOLDS)

"""What waits for a person: stacks that their last check holds, and jobs that were held or rejected, or failed, since."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict

from drift.checks import finding_fingerprints, job_of, touched_attributes
from drift.decide import APPROVABLE
from drift.past import refused_since
from lanes.side_by_side import all_side_by_side
from records.drift_ports import CheckStore, HealLedger, Kept
from records.heal_ledger import Approval, HealRow, HealStep
from records.heals import HealJob
from records.names import MarketKey, StackName
from records.plan_checks import CheckSketch, Decision, HoldReason, StoredCheck, stack_path
from records.timestamps import UtcTime

_REFUSED: Final = frozenset({HealStep.FAILED, HealStep.REJECTED})
_READ_AT_ONCE: Final = 16
_CUT_OFF: Final = "What an apply of it did is not wholly on record: retry the job once that is mended."


class WithheldHeal(BaseModel):
    """A heal that is withheld: since when, why, and whether a person may overrule it.

    ``job_id`` is None where there is no drift that a job could be for: nothing is known, or nothing has drifted.
    """

    model_config = ConfigDict(frozen=True)

    market: MarketKey
    stack: StackName
    reason: HoldReason
    why: str
    since: UtcTime
    job_id: str | None
    can_be_approved: bool
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A job that a lever can be pulled for. ``kept`` is its row, None where the ledger has none; ``reason`` why it is held."""

    job: HealJob
    run_id: str
    finding_fingerprints: tuple[str, ...]
    attribute_fingerprints: tuple[str, ...]
    kept: Kept | None = None
    reason: HoldReason | None = None
    approvals: tuple[Approval, ...] = ()


async def find_waiting(ledger: HealLedger, checks: CheckStore, *, job_id: str, now: datetime) -> Waiting | None:
    """The job that is held, or that is queued and that no worker has begun; None where there is none.

    Raises:
        StoreError
    """
    kept = await ledger.find(job_id=job_id)
    if kept and not kept.row.has_ended and kept.row.step is not HealStep.QUEUED:
        # A worker has it, or has died with it, whatever a check has found meanwhile: that is what a retry is for.
        return None
    if kept and kept.row.step is HealStep.QUEUED and kept.row.job.expires_at > now:
        return _of_row(kept)
    stored = await _latest_check(checks, job_id, kept)
    if kept and _speaks(kept.row, stored.check.checked_at if stored else None):
        return _of_row(kept) if kept.row.step is HealStep.HELD else None
    if stored and stored.check.job_id == job_id and stored.check.decision is Decision.HOLD:
        return _of_check(stored, kept)
    return None


async def holds(ledger: HealLedger, checks: CheckStore) -> list[WithheldHeal]:
    """All that waits, sorted by market and stack. Of a check and a worker the one that looked later speaks.

    Raises:
        StoreError
    """
    rows = {row.job.job_id: row async for row in ledger.rows()}
    checked_at: dict[str, datetime] = {}
    unclean: list[CheckSketch] = []
    async for sketch in checks.sketches():
        checked_at[sketch.name] = sketch.checked_at
        row = rows.get(sketch.job_id or "")
        if sketch.decision is Decision.HOLD and not (row and _speaks(row, sketch.checked_at)):
            unclean.append(sketch)

    async def check_of(sketch: CheckSketch) -> StoredCheck | None:
        return await checks.latest_of_stack(market=sketch.market, stack=sketch.stack)

    found = [
        _hold_of_check(stored, stored.check.reason)
        for stored in filter(None, await all_side_by_side(unclean, check_of, width=_READ_AT_ONCE))
        if stored.check.reason
    ]
    found += [
        _hold_of_row(row)
        for row in rows.values()
        if _waits(row, checked_at.get(stack_path(row.job.market, row.job.stack)))
    ]
    return sorted(found, key=lambda hold: (hold.market, hold.stack, hold.job_id or ""))


def _waits(row: HealRow, checked_at: datetime | None) -> bool:
    """Whether it is held; or has failed, or was rejected, since the stack was last looked at. A later check holds that one."""
    if row.step in _REFUSED:
        return checked_at is not None and _speaks(row, checked_at)
    return row.step is HealStep.HELD and _speaks(row, checked_at)


def _speaks(row: HealRow, checked_at: datetime | None) -> bool:
    """Whether the ledger says more than the check: it is later, or knows of an apply that was cut off, which no check sees."""
    is_unfinished = row.step is HealStep.HELD and row.applying_since is not None
    return is_unfinished or checked_at is None or row.events[-1].at >= checked_at


async def _latest_check(checks: CheckStore, job_id: str, kept: Kept | None) -> StoredCheck | None:
    """That of the job's stack."""
    if kept:
        job = kept.row.job
        return await checks.latest_of_stack(market=job.market, stack=job.stack)
    async for sketch in checks.sketches():
        if sketch.job_id == job_id:
            return await checks.latest_of_stack(market=sketch.market, stack=sketch.stack)
    return None


def _of_row(kept: Kept) -> Waiting:
    row = kept.row
    return Waiting(
        job=row.job,
        run_id=row.run_id,
        finding_fingerprints=row.finding_fingerprints,
        attribute_fingerprints=row.attribute_fingerprints,
        kept=kept,
        reason=row.reason,
        # What a worker has held for one reason after another is approved reason by reason.
        approvals=row.approvals,
    )


def _of_check(stored: StoredCheck, kept: Kept | None) -> Waiting:
    check = stored.check
    return Waiting(
        job=job_of(check, queued_at=check.checked_at, expires_at=check.checked_at),
        run_id=stored.run_id,
        finding_fingerprints=finding_fingerprints(check.findings),
        attribute_fingerprints=touched_attributes(check.findings),
        kept=kept,
        reason=check.reason,
    )


def _hold_of_row(row: HealRow) -> WithheldHeal:
    last = row.events[-1]
    is_refused = row.step in _REFUSED
    reason = HoldReason.APPROVAL_REQUIRED if is_refused else row.reason or HoldReason.INCONCLUSIVE
    note = refused_since(row) if is_refused else last.note
    return WithheldHeal(
        market=row.job.market,
        stack=row.job.stack,
        reason=reason,
        why=" ".join(filter(None, (note, _CUT_OFF if row.applying_since else None))),
        since=last.at,
        job_id=row.job.job_id,
        can_be_approved=reason in APPROVABLE and not is_refused,
        addresses=row.job.addresses,
    )


def _hold_of_check(stored: StoredCheck, reason: HoldReason) -> WithheldHeal:
    check = stored.check
    return WithheldHeal(
        market=check.market,
        stack=check.stack,
        reason=reason,
        why=check.why,
        since=check.checked_at,
        job_id=check.job_id,
        can_be_approved=check.job_id is not None and reason in APPROVABLE,
        addresses=tuple(sorted({finding.address for finding in check.findings})),
    )

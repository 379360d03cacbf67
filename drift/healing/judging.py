"""What follows for a job from what is there now: apply it, or end it, with a reason."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from drift.brakes import Brakes
from drift.checks import check_of, touched
from drift.healing.resuming import OF_OUR_OWN_MAKING, is_drift_that_was_judged
from records.heal_ledger import HealRow, HealStep, OwnLock
from records.heals import HealJob
from records.locks import Lock
from records.plan_checks import Decision, HoldReason, StackObservation
from records.terraform import Applied, FailedApply, Reach
from records.timestamps import format_utc
from records.verdicts import Verdict

GONE_OVER: Final = "A later deploy has gone over it, and left nothing of the drift."


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The job ends here, with nothing applied now."""

    step: HealStep
    note: str
    reason: HoldReason | None = None


def why_ended(row: HealRow, seen: StackObservation, brakes: Brakes, *, now: datetime) -> End | None:
    """What ends a job that nobody has begun to apply; None where the drift and the ground are those that were judged, and
    nothing withholds the heal.
    """
    moved = _moved_ground(row.job, seen)
    if moved:
        return End(step=HealStep.SUPERSEDED, note=moved)
    locked = why_locked(seen.lock, row.own_lock)
    if locked:
        return locked
    check = check_of(seen, brakes, now=now)
    if check.decision is Decision.CLEAN:
        return End(step=HealStep.SUPERSEDED, note=f"The drift is gone. {check.why}")
    if seen.plan and seen.plan.fingerprint != row.job.fingerprint:
        return End(step=HealStep.SUPERSEDED, note="The drift is another one by now. A check queues it anew.")
    return why_held(seen, brakes, now=now)


def why_held(seen: StackObservation, brakes: Brakes, *, now: datetime) -> End | None:
    """What withholds an apply of this plan at this moment; None where nothing does. What a policy has begun to ignore since is
    left to a person, as it is beside any other drift.
    """
    check = check_of(seen, brakes, now=now)
    if check.decision is Decision.HEAL:
        return None
    return End(step=HealStep.HELD, note=check.why, reason=check.reason or HoldReason.MIXED)


def why_not_resumed(row: HealRow, seen: StackObservation) -> End | None:
    """Why a job that an earlier worker may have applied cannot be gone on with; None where it can."""
    locked = why_locked(seen.lock, row.own_lock)
    if locked:
        return locked
    if seen.plan is None:
        why = seen.diagnostics[0] if seen.diagnostics else "It does not say why."
        return End(step=HealStep.HELD, reason=HoldReason.INCONCLUSIVE, note=f"There is no plan to judge: {why}")
    if is_gone_over(seen) and (seen.lineage, seen.bundle_sha256) != (row.job.lineage, row.job.bundle_sha256):
        return End(step=HealStep.SUPERSEDED, note=GONE_OVER)
    if (
        seen.verdict not in OF_OUR_OWN_MAKING
        or seen.lineage != row.job.lineage
        or seen.bundle_sha256 != row.job.bundle_sha256
        or seen.serial is None
        or seen.serial < row.job.serial
    ):
        return End(
            step=HealStep.HELD,
            reason=HoldReason.RECORDS_DISAGREE,
            note=f"An apply of this job was cut off, and the records are not what it can have left (verdict {seen.verdict}).",
        )
    if not is_drift_that_was_judged(row, seen.plan):
        note = "An apply of this job was cut off, and what a plan shows now is not what was judged."
        return End(step=HealStep.HELD, reason=HoldReason.RECORDS_DISAGREE, note=note)
    if seen.verdict is not Verdict.HEALTHY and seen.serial != row.left_serial:
        note = "The state was written since, and nothing says that it was by the apply of this job that was cut off."
        return End(step=HealStep.HELD, reason=HoldReason.RECORDS_DISAGREE, note=note)
    return None


def is_gone_over(seen: StackObservation) -> bool:
    """Whether the records are healthy with nothing left to undo: what is not of this job's making is a later deploy's."""
    return seen.verdict is Verdict.HEALTHY and seen.plan is not None and not list(touched(seen.plan.findings))


def _moved_ground(job: HealJob, seen: StackObservation) -> str | None:
    """What cannot be read has not moved: it holds the job instead."""
    for what, then, now in (
        ("state's lineage", job.lineage, seen.lineage),
        ("state's serial", job.serial, seen.serial),
        ("bundle", job.bundle_sha256, seen.bundle_sha256),
    ):
        if now is not None and now != then:
            return f"The {what} is another one by now. A check queues what is to be healed anew."
    return None


def why_not_applied(apply: Applied | FailedApply, lock: Lock | None) -> End | None:
    """Why nothing was applied, where that is known for certain; ``lock`` is what is on the state now."""
    if isinstance(apply, Applied):
        return None
    if apply.reach is Reach.NOT_STARTED:
        return End(step=HealStep.HELD, reason=HoldReason.INCONCLUSIVE, note=apply.failure.message)
    if apply.reach is Reach.NO_LOCK:
        note = " ".join(["Terraform did not get the state's lock.", *apply.failure.lines])
        return why_locked(lock, None) or End(step=HealStep.HELD, reason=HoldReason.LOCKED, note=note)
    return None


def why_locked(lock: Lock | None, own_lock: OwnLock | None) -> End | None:
    """Of a locked state there is no locked plan, which would read as inconclusive."""
    if lock is None:
        return None
    since = f" since {format_utc(lock.created_at)}" if lock.created_at else ""
    if own_lock and own_lock.id == lock.id:
        note = (
            f"The state is locked{since} by a worker of our own that died ({lock.who}, lock {lock.id}). "
            f"Make sure that it is dead, run `terraform force-unlock {lock.id}`, then retry the job."
        )
    else:
        note = f"The state is locked{since} by {lock.who or 'somebody whom the lock does not name'}."
    return End(step=HealStep.HELD, reason=HoldReason.LOCKED, note=note)

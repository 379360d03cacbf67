"""From what was seen of a stack to what follows for it: the situation as it counts in a run, and the check that is kept."""

from datetime import datetime
from typing import Final

from drift.decide import decide, job_id
from drift.policy import InvalidPolicy, Policy
from drift.situation import FleetSpread, Inconclusive, Planned, Situation, Unread
from records.findings import FindingKind
from records.heals import HealJob
from records.plan_checks import Decision, PlannedStack, StackCheck, StackObservation
from records.verdicts import Verdict

_NO_VERDICT: Final = Unread("The diagnostics say why.")
_NO_GROUND: Final = Unread(
    "The state names no lineage, or no serial or bundle is known: no job could say what it is for."
)


def check_of(
    seen: StackObservation,
    *,
    policy: Policy | InvalidPolicy | Unread,
    fleet: FleetSpread | Unread,
    now: datetime,
) -> StackCheck:
    """The check of one stack. No heal, pause or approval is on record yet that it could look at."""
    judged = decide(
        Situation(
            now=now,
            market=seen.market,
            stack=seen.stack,
            plan=_plan_of(seen),
            verdict=_verdict_of(seen),
            lock=seen.lock,
            policy=policy,
            pauses=(),
            heals=(),
            fleet=fleet,
        )
    )
    plan = seen.plan or PlannedStack()
    return StackCheck(
        market=seen.market,
        stack=seen.stack,
        decision=judged.decision,
        reason=judged.reason,
        why=judged.sentence,
        job_id=None if judged.decision is Decision.CLEAN else _job_id_of(seen),
        fingerprint=plan.fingerprint,
        verdict=seen.verdict,
        lineage=seen.lineage,
        serial=seen.serial,
        bundle_sha256=seen.bundle_sha256,
        subscription_id=seen.subscription_id,
        checked_at=seen.checked_at,
        diagnostics=(*seen.diagnostics, *judged.ignored),
        findings=plan.findings,
    )


def job_of(check: StackCheck, *, now: datetime, expires_at: datetime) -> HealJob:
    """The job that heals what a check has found; it holds no value of it.

    Raises:
        ValueError: the check is of another decision than heal.
    """
    if check.decision is not Decision.HEAL:
        raise ValueError(f"{check.name} is not to be healed")
    return HealJob.model_validate(
        {
            "job_id": check.job_id,
            "market": check.market,
            "stack": check.stack,
            "lineage": check.lineage,
            "serial": check.serial,
            "bundle_sha256": check.bundle_sha256,
            "fingerprint": check.fingerprint,
            "addresses": sorted(
                {finding.address for finding in check.findings if finding.kind is not FindingKind.STALE_STATE}
            ),
            "queued_at": now,
            "expires_at": expires_at,
        }
    )


def _plan_of(seen: StackObservation) -> Planned | Inconclusive:
    if seen.plan is None:
        return Inconclusive(seen.diagnostics)
    return Planned(
        findings=seen.plan.findings,
        managed_resources=seen.plan.managed_resources,
        carried_along=seen.plan.carried_along,
    )


def _verdict_of(seen: StackObservation) -> Verdict | Unread:
    if seen.verdict is None:
        return _NO_VERDICT
    is_named = seen.lineage is not None and seen.serial is not None and seen.bundle_sha256 is not None
    return _NO_GROUND if seen.verdict is Verdict.HEALTHY and not is_named else seen.verdict


def _job_id_of(seen: StackObservation) -> str | None:
    if seen.plan is None or seen.plan.fingerprint is None or seen.lineage is None or seen.serial is None:
        return None
    return job_id(
        market=seen.market,
        stack=seen.stack,
        lineage=seen.lineage,
        serial=seen.serial,
        fingerprint=seen.plan.fingerprint,
    )

"""From what was seen of a stack to what follows for it: the situation as it counts in a run, and the check that is kept."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from drift.brakes import Brakes
from drift.conditions import FLEET_AT_LEAST
from drift.decide import Judged, decide, job_id
from drift.fingerprint import attribute_fingerprints, fingerprint
from drift.situation import FleetSpread, Inconclusive, Situation, Unread
from records.findings import Finding
from records.heals import HealJob
from records.plan_checks import Decision, HoldReason, PlannedStack, StackCheck, StackObservation
from records.verdicts import Verdict

_NO_VERDICT: Final = Unread("The diagnostics say why.")
_NO_GROUND: Final = Unread(
    "The state names no lineage, or no serial or bundle is known: no job could say what it is for."
)


def check_of(seen: StackObservation, brakes: Brakes, *, now: datetime) -> StackCheck:
    """The check of one stack."""
    judged = decide(
        Situation(
            now=now,
            market=seen.market,
            stack=seen.stack,
            plan=seen.plan or Inconclusive(seen.diagnostics),
            verdict=_verdict_of(seen),
            lock=seen.lock,
            policy=brakes.policy,
            pauses=brakes.pauses,
            heals=brakes.heals,
            fleet=brakes.fleet,
            refusals=brakes.refusals,
            approvals=brakes.approvals,
        )
    )
    plan = seen.plan or PlannedStack()
    return StackCheck(
        market=seen.market,
        stack=seen.stack,
        decision=judged.decision,
        reason=judged.reason,
        why=_sentence(judged, brakes.fleet),
        job_id=None if judged.decision is Decision.CLEAN else job_id_of(seen),
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


def job_of(check: StackCheck, *, queued_at: datetime, expires_at: datetime) -> HealJob:
    """The job that heals what a check has found, whatever was decided on it; it holds no value of it.

    Raises:
        ValueError: the check names no drift that a job could be for.
    """
    if check.job_id is None:
        raise ValueError(f"{check.name}: there is nothing to heal")
    return HealJob.model_validate(
        {
            "job_id": check.job_id,
            "market": check.market,
            "stack": check.stack,
            "lineage": check.lineage,
            "serial": check.serial,
            "bundle_sha256": check.bundle_sha256,
            "fingerprint": check.fingerprint,
            "addresses": sorted({finding.address for finding in touched(check.findings)}),
            "queued_at": queued_at,
            "expires_at": expires_at,
        }
    )


def touched(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Those that an apply would change."""
    return (finding for finding in findings if finding.is_touched_by_apply)


def finding_fingerprints(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The name of each finding that an apply would change, by itself."""
    return tuple(sorted({fingerprint([finding]) for finding in touched(findings)}))


def touched_attributes(findings: Iterable[Finding]) -> tuple[str, ...]:
    """The name of each attribute that an apply would put back, whatever stands there now."""
    return attribute_fingerprints(touched(findings))


def job_id_of(seen: StackObservation) -> str | None:
    """The job that would heal what was seen; None where there is nothing that one could be for."""
    if seen.plan is None or seen.plan.fingerprint is None or seen.lineage is None or seen.serial is None:
        return None
    return job_id(
        market=seen.market,
        stack=seen.stack,
        lineage=seen.lineage,
        serial=seen.serial,
        fingerprint=seen.plan.fingerprint,
    )


def _sentence(judged: Judged, fleet: FleetSpread | Unread) -> str:
    """With how far the drift goes, also beside another reason: what is in many markets must not be taken for a click."""
    sentence = judged.sentence
    if judged.decision is Decision.CLEAN or judged.reason is HoldReason.FLEET_WIDE:
        return sentence
    if not isinstance(fleet, FleetSpread) or fleet.markets_with_it < FLEET_AT_LEAST:
        return sentence
    # A person's own words, as of a pause, may end without a full stop.
    stop = "" if sentence.endswith((".", "!", "?")) else "."
    return f"{sentence}{stop} The same drift is in {fleet.markets_with_it} of {fleet.markets_checked} markets."


def _verdict_of(seen: StackObservation) -> Verdict | Unread:
    if seen.verdict is None:
        return _NO_VERDICT
    is_named = seen.lineage is not None and seen.serial is not None and seen.bundle_sha256 is not None
    return _NO_GROUND if seen.verdict is Verdict.HEALTHY and not is_named else seen.verdict

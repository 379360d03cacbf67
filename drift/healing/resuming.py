"""What is left of a job after an apply that was cut off: told from everything else by the findings that were judged then.

An apply that was cut off has written what it knew into the state: also what had drifted and was not yet undone. So the next
plan shows the rest as a change that waits, and no more as drift; and the serial has moved past what the records say. Neither
says that somebody else was here, as long as all that is left was judged before, to the last attribute.
"""

from typing import Final

from drift.checks import finding_fingerprints, touched
from records.findings import Finding, FindingKind
from records.heal_ledger import HealRow
from records.plan_checks import PlannedStack, StackObservation
from records.verdicts import Verdict

_LEFT: Final = frozenset({FindingKind.PORTAL_DRIFT, FindingKind.PENDING_CHANGE})
OF_OUR_OWN_MAKING: Final = frozenset(
    {Verdict.HEALTHY, Verdict.PIPELINE_DRIFT, Verdict.STATE_FORKED, Verdict.REGISTRY_BEHIND}
)
"""Verdicts that an apply of ours, or a record of it that was cut off, can leave. Whether it did, the tracker says."""


def is_what_was_judged(row: HealRow, plan: PlannedStack) -> bool:
    """Whether an apply of this plan would do nothing that the job was not judged for; also where it would do nothing."""
    left = tuple(touched(plan.findings))
    return (
        not plan.carried_along
        and all(finding.kind in _LEFT for finding in left)
        and set(row.finding_fingerprints).issuperset(finding_fingerprints(left))
    )


def as_judged_before(seen: StackObservation) -> StackObservation:
    """The same with what is left as the drift that it was, and the records as they are once our own apply is on record."""
    if seen.plan is None:
        return seen
    findings = tuple(map(_as_drift, seen.plan.findings))
    return seen.model_copy(
        update={"verdict": Verdict.HEALTHY, "plan": seen.plan.model_copy(update={"findings": findings})}
    )


def _as_drift(finding: Finding) -> Finding:
    return finding.model_copy(update={"kind": FindingKind.PORTAL_DRIFT}) if finding.kind in _LEFT else finding

"""What an apply of ours has left, told from what somebody else has: after it has ended, and after it was cut off.

An apply that failed has written what it knew into the state: also what had drifted and was not yet undone. So the next plan
shows the rest as a change that waits, and no more as drift. The same shows where somebody else has deployed the drift. What
tells the two apart is who wrote the state; and that is known only of an apply whose end was seen.
"""

from collections.abc import Iterable
from typing import Final

from drift.checks import finding_fingerprints, touched
from records.findings import Finding, FindingKind
from records.heal_ledger import HealRow
from records.plan_checks import PlannedStack
from records.readings import StateHead
from records.terraform import Applied, Cause, FailedApply, Reach
from records.verdicts import Verdict

_LEFT: Final = frozenset({FindingKind.PORTAL_DRIFT, FindingKind.PENDING_CHANGE})
OF_OUR_OWN_MAKING: Final = frozenset(
    {Verdict.HEALTHY, Verdict.PIPELINE_DRIFT, Verdict.STATE_FORKED, Verdict.REGISTRY_BEHIND}
)
"""Verdicts that an apply of ours, or a record of it that was cut off, can leave."""


def left_by(apply: Applied | FailedApply, *, judged: StateHead, state: StateHead) -> int | None:
    """The serial of the ``state`` that there is when an apply has ended, if the apply can have left it; else None.

    A plan is applied to the state that it was made on, or not at all, and a serial counts the writes of its state. Where an
    apply is not known to have begun a change, Terraform may have refused the plan; where its state was lost, it wrote none.
    """
    if isinstance(apply, FailedApply) and (apply.reach is not Reach.BEGUN or apply.failure.cause is Cause.STATE_LOST):
        return None
    is_within_reach = judged.serial <= state.serial <= judged.serial + apply.most_writes
    return state.serial if is_within_reach and state.lineage == judged.lineage else None


def is_as_left(apply: Applied | FailedApply, *, judged: PlannedStack, shown: PlannedStack) -> bool:
    """Whether what a plan shows of a state that was written is what the apply of the ``judged`` plan leaves, and no more.

    A change that waits is what an apply that failed did not come to. Of any other it was put into the state by somebody else;
    so were other outputs. Drift is of since; after an apply that failed it must be the job's own.
    """
    if shown.does_more:
        return False
    left = tuple(touched(shown.findings))
    if isinstance(apply, Applied):
        return _is_drift(left)
    is_rest = apply.changed < len(tuple(touched(judged.findings)))
    return (_is_rest(left) if is_rest else _is_drift(left)) and _are_among(finding_fingerprints(judged.findings), left)


def is_drift_that_was_judged(row: HealRow, plan: PlannedStack) -> bool:
    """Whether an apply of this plan would do no more than undo drift that the job was judged for, to the last attribute."""
    left = tuple(touched(plan.findings))
    return not plan.does_more and _is_drift(left) and _are_among(row.finding_fingerprints, left)


def _are_among(fingerprints: Iterable[str], findings: Iterable[Finding]) -> bool:
    return set(fingerprints).issuperset(finding_fingerprints(findings))


def _is_rest(findings: Iterable[Finding]) -> bool:
    return all(finding.kind in _LEFT for finding in findings)


def _is_drift(findings: Iterable[Finding]) -> bool:
    return all(finding.kind is FindingKind.PORTAL_DRIFT for finding in findings)

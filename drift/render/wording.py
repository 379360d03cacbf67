"""What is said of decisions, reasons and kinds, in the same words on a terminal and in Markdown.

`trueup drift` is about portal drift alone. Where the records disagree it says that their verdict comes first, and never
calls what they say drift of its own.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from drift.decide import APPROVABLE
from drift.render.groups import Group, market_of, verdict_first
from drift.render.reasons import step_for, words_of
from records.bundles import bundle_blob
from records.findings import Finding, FindingKind
from records.plan_checks import Decision, HoldReason, StackCheck
from records.spelling import visible
from records.verdicts import Verdict

KINDS: Final = {
    FindingKind.PORTAL_DRIFT: "changed outside Terraform",
    FindingKind.STALE_STATE: "the state alone is behind",
    FindingKind.PENDING_CHANGE: "no drift: waits for a deploy",
    FindingKind.MIXED: "drift and a pending change in one",
    FindingKind.UNSAFE: "unsafe: never applied unattended",
}

_DELETED_OUTSIDE: Final = "deleted outside Terraform"
_MAYBE_MEANT: Final = "not known whether it was meant"
_DIGITS: Final = 12

_RUN_BY_HAND: Final = frozenset({HoldReason.INCONCLUSIVE, HoldReason.UNSAFE})
"""Reasons for which a person may have to plan the bundle."""

Queued = Collection[str] | None
"""The jobs that a run queued, as `CheckReport.queued` has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a run did beside looking: the jobs that it queued, and whether it asked anybody who had changed what."""

    queued: Queued
    has_asked: bool


def decided(check: StackCheck, queued: Queued) -> str:
    """The decision in a few words: ``held (locked)``. The word in brackets is that of the JSON and of the runbook."""
    if check.decision is Decision.CLEAN:
        return "clean"
    if check.decision is Decision.HEAL:
        return "will be healed" if is_queued(check, queued) else "would be healed, not queued"
    return held(check.reason)


def held(reason: HoldReason | None) -> str:
    return f"held ({reason})" if reason else "held"


def is_queued(check: StackCheck, queued: Queued) -> bool:
    """Whether the run has queued the heal; what was decided alone nobody has to do."""
    return check.decision is Decision.HEAL and check.job_id is not None and check.job_id in (queued or ())


def because(check: StackCheck) -> str | None:
    """Why it is held, in a few words; None where it is not."""
    return words_of(check.reason, is_planned=bool(check.findings)).because if check.reason else None


def next_step(group: Group, queued: Queued) -> str | None:
    """What on-call does about these; None where that is nothing."""
    check = group[0]
    if check.reason:
        return step_for(
            check.reason,
            market=market_of(group),
            is_planned=bool(check.findings),
            verdicts=[*map(verdict_first, group)],
        )
    if check.decision is not Decision.HEAL or is_queued(check, queued):
        return None
    if queued is None:
        return "Nothing was queued; `trueup drift check --queue` queues what is to be healed."
    return (
        "This run has not queued it: its job was queued before and waits, or has ended. "
        f"`trueup drift history --market {check.market} --stack {check.stack}` tells."
    )


def bundle_of(group: Group) -> str | None:
    """What to plan by hand, where a person may have to."""
    check = group[0]
    if check.reason not in _RUN_BY_HAND or (check.findings and check.reason is HoldReason.INCONCLUSIVE):
        return None
    if not all(one.bundle_sha256 for one in group) or check.bundle_sha256 is None:
        return None
    if len(group) > 1:
        return "Deployed bundles: bundle_sha256 of --format json"
    return f"Deployed bundle: {bundle_blob(check.market, check.stack, f'{check.bundle_sha256[:_DIGITS]}…')}"


def job_name(job_id: str) -> str:
    """As many digits of it as the levers need to know it by, and some more."""
    return visible(job_id[:_DIGITS])


def approval_of(check: StackCheck) -> str | None:
    """The command that approves it; None where an approval would be refused."""
    return approve_command(check.job_id) if check.job_id and check.reason in APPROVABLE else None


def approve_command(job_id: str) -> str:
    return f"trueup drift approve {job_name(job_id)} --by WHO --reason WHY"


def kind_of(finding: Finding, verdict: Verdict | None = Verdict.HEALTHY) -> str:
    """What sort of difference it is. What was deleted outside is drift whose undoing is a creation.

    Beside the plan stands the state, and where the ``verdict`` is not healthy, who wrote that is open: last night's hotfix by
    apply looks like a change that waits for a deploy, and a deploy would undo it.
    """
    if finding.kind is FindingKind.PORTAL_DRIFT and finding.actions == ("create",):
        return _DELETED_OUTSIDE
    if verdict is Verdict.HEALTHY or finding.kind not in {FindingKind.PENDING_CHANGE, FindingKind.MIXED}:
        return KINDS[finding.kind]
    also = "in part changed outside Terraform; of the rest it is " if finding.kind is FindingKind.MIXED else ""
    why = f"the records' verdict is {verdict}" if verdict else "the records could not be judged"
    return f"{also}{_MAYBE_MEANT}: {why}"


def differs_in(finding: Finding, paths: Sequence[str]) -> str:
    """What is told, in few words, of a finding that leaves its stack clean."""
    what = "state behind" if finding.kind is FindingKind.STALE_STATE else f"{kind_of(finding)}, ignored by the policy"
    return f"{what}: {', '.join(paths)}" if paths else what


def told_of(finding: Finding, check: StackCheck, direction: str | None) -> str:
    """What it is, and what follows for it where that is not what follows for its stack."""
    kind = f"{kind_of(finding, check.verdict)}{f' ({direction})' if direction else ''}"
    return f"{kind}; reported only" if finding.kind is FindingKind.STALE_STATE else kind

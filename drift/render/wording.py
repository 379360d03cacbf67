"""What is said of decisions, reasons and kinds, in the same words on a terminal and in Markdown.

`trueup drift` is about portal drift alone. Where the records disagree it says that their verdict comes first, and never
calls what they say drift of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from drift.render.text import ELLIPSIS, visible
from records.findings import Finding, FindingKind
from records.plan_checks import Decision, HoldReason, StackCheck


@dataclass(frozen=True, slots=True)
class ReasonWords:
    """``because`` goes after 'held because'; ``next_step`` is what on-call does, ``{market}`` standing for the stack's.

    'Approve the job' is offered for the reasons that an approval may overrule (`drift.decide.APPROVABLE`), and no others.
    """

    because: str
    next_step: str


HOLDS: Final = {
    HoldReason.INCONCLUSIVE: ReasonWords(
        "nothing can be said of it",
        "Mend what is named, then run `trueup drift check --market {market}` again. Until then nothing says that it has not "
        "drifted.",
    ),
    HoldReason.PAUSED: ReasonWords(
        "healing is switched off",
        "Ask whoever switched it off. Once it is on again, the next check heals it.",
    ),
    HoldReason.FROZEN: ReasonWords(
        "a code freeze is on",
        "Wait for its end, after which the next check heals it; if it cannot wait, approve the job.",
    ),
    HoldReason.RECORDS_DISAGREE: ReasonWords(
        "the records come first",
        "The records' verdict comes first: run `trueup reconcile --market {market}` and do what it says. Until then this may "
        "be a deploy that no record knows of, and an apply would undo that.",
    ),
    HoldReason.LOCKED: ReasonWords(
        "somebody holds the state's lock",
        "Wait until they are done, then check again. Never force a lock whose holder may be alive.",
    ),
    HoldReason.UNSAFE: ReasonWords(
        "an action is not known to be safe",
        "Plan the deployed bundle and read it; then deploy by the stack's pipeline, under review.",
    ),
    HoldReason.DESTRUCTIVE: ReasonWords(
        "the apply would delete something",
        "Ask whoever changed it what depends on it by now; put it right by hand, or approve the job.",
    ),
    HoldReason.PROTECTED: ReasonWords(
        "it is never touched unattended",
        "Ask its owner; have it put right by hand, or approve the job.",
    ),
    HoldReason.MIXED: ReasonWords(
        "the apply would do more than undo the drift",
        "Deploy by the stack's pipeline, where the whole of it is reviewed.",
    ),
    HoldReason.PENDING_CHANGE: ReasonWords(
        "nothing has drifted",
        "A change waits for a deploy: deploy by the stack's pipeline, where it is reviewed.",
    ),
    HoldReason.BLAST_RADIUS: ReasonWords(
        "too much would change at once",
        "Find out what changed so much; if it is to be undone, approve the job.",
    ),
    HoldReason.OSCILLATING: ReasonWords(
        "it was healed before and came back",
        "Find who or what puts it back. Take the change into the code, or stop them and approve the job.",
    ),
    HoldReason.FLEET_WIDE: ReasonWords(
        "the same drift is in many markets",
        "Look for an Azure Policy or an event of the platform. Take the change into the code, or approve the jobs.",
    ),
    HoldReason.APPROVAL_REQUIRED: ReasonWords(
        "the policy asks for an approval",
        "Read the change; if it is to be undone, approve the job.",
    ),
    HoldReason.DRY_RUN: ReasonWords(
        "this is a dry run",
        "Nothing to do. With the heal mode on it would be healed.",
    ),
}

KINDS: Final = {
    FindingKind.PORTAL_DRIFT: "changed outside Terraform",
    FindingKind.STALE_STATE: "the state alone is behind",
    FindingKind.PENDING_CHANGE: "no drift: waits for a deploy",
    FindingKind.MIXED: "drift and a pending change in one",
    FindingKind.UNSAFE: "unsafe: never applied unattended",
}

_DELETED_OUTSIDE: Final = "deleted outside Terraform"
_SHOWN_OF_A_JOB: Final = 8


def decided(check: StackCheck) -> str:
    """The decision in a few words: ``held (locked)``. The word in brackets is that of the JSON and of the runbook."""
    if check.decision is not Decision.HOLD:
        return "will be healed" if check.decision is Decision.HEAL else "clean"
    if check.reason is HoldReason.DRY_RUN:
        return f"would be healed ({check.reason})"
    return f"held ({check.reason})" if check.reason else "held"


def because(check: StackCheck) -> str | None:
    """Why it is held, to go after 'because'; None where it is not, or 'would be healed' says it."""
    if check.reason is None or check.reason is HoldReason.DRY_RUN:
        return None
    return HOLDS[check.reason].because


def next_step(check: StackCheck) -> str | None:
    """What on-call does about it; None where that is nothing."""
    return HOLDS[check.reason].next_step.format(market=check.market) if check.reason else None


def kind_of(finding: Finding) -> str:
    """What sort of difference it is. What was deleted outside is drift whose undoing is a creation."""
    if finding.kind is FindingKind.PORTAL_DRIFT and finding.actions == ("create",):
        return _DELETED_OUTSIDE
    return KINDS[finding.kind]


def differs_in(finding: Finding, paths: Sequence[str]) -> str:
    """What is told, in few words, of a finding that leaves its stack clean."""
    what = "state behind" if finding.kind is FindingKind.STALE_STATE else f"{kind_of(finding)}, ignored by the policy"
    return f"{what}: {', '.join(paths)}" if paths else what


def becomes_of(finding: Finding, check: StackCheck) -> str:
    """What follows for one finding of a stack that is not clean."""
    if finding.kind is FindingKind.STALE_STATE:
        return "reported only"
    if check.decision is Decision.HEAL and check.job_id:
        return f"to be healed by job {visible(check.job_id[:_SHOWN_OF_A_JOB])}{ELLIPSIS}"
    return decided(check)

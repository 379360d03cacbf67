"""The decision on one stack: clean, heal, or hold with the first reason that applies and that no person has approved."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from drift.conditions import holds_on
from drift.plan_conditions import Hold
from drift.policy_rules import RuleAction, RuledFinding
from drift.situation import Situation, Unread
from records.findings import Finding
from records.heal_ledger import Approval
from records.plan_checks import Decision, HoldReason, PlannedStack

APPROVABLE: Final = frozenset(
    {
        HoldReason.FROZEN,
        HoldReason.DESTRUCTIVE,
        HoldReason.PROTECTED,
        HoldReason.BLAST_RADIUS,
        HoldReason.OSCILLATING,
        HoldReason.FLEET_WIDE,
        HoldReason.APPROVAL_REQUIRED,
    }
)
"""Reasons that a person who has looked may overrule. The others say that the ground is not known, that the apply would do
more than undo the drift, or that healing is switched off: each has a remedy of its own, and no approval is one.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A decision. ``reason`` is given with a hold alone; ``sentence`` always.

    ``findings`` are those that count: neither stale state nor dropped by the policy. ``ignored`` says for each line of what
    was dropped which rule did it.
    """

    decision: Decision
    reason: HoldReason | None
    sentence: str
    findings: tuple[Finding, ...]
    ignored: tuple[str, ...]


def decide(situation: Situation) -> Judged:
    """What follows from a check. Without a finding that counts there is nothing to withhold, whatever else is wrong."""
    if isinstance(situation.plan, PlannedStack) and not situation.counting:
        return _judged(situation, Decision.CLEAN, None, _why_clean(situation))
    approvals = () if isinstance(situation.approvals, Unread) else situation.approvals
    hold = next((hold for hold in holds_on(situation) if not _is_overruled(hold, approvals)), None)
    if hold:
        return _judged(situation, Decision.HOLD, hold.reason, hold.sentence)
    return _judged(
        situation, Decision.HEAL, None, "Changed outside Terraform; an apply of what was deployed undoes it."
    )


def job_id(*, market: str, stack: str, lineage: str, serial: int, fingerprint: str) -> str:
    """The job of healing this drift on this ground: whoever queues it twice queues one job. Hex, 64 digits.

    The sha256 of the JSON array ``["market","stack","lineage",serial,"fingerprint"]`` in ASCII, without spaces.
    """
    canonical = json.dumps([market, stack, lineage, serial, fingerprint], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _is_overruled(hold: Hold, approvals: Iterable[Approval]) -> bool:
    return hold.reason in APPROVABLE and any(
        approval.reason is hold.reason and (hold.since is None or approval.at > hold.since) for approval in approvals
    )


def _judged(situation: Situation, decision: Decision, reason: HoldReason | None, sentence: str) -> Judged:
    return Judged(
        decision=decision,
        reason=reason,
        sentence=sentence,
        findings=tuple(ruled.finding for ruled in situation.counting),
        ignored=tuple(map(_trace_of, situation.ignored)),
    )


def _why_clean(situation: Situation) -> str:
    if situation.ignored:
        return "All that differs is ignored by the policy, or by the configuration."
    return "What differs is in the state alone." if situation.ruled else "Nothing differs."


def _trace_of(ruled: RuledFinding) -> str:
    """Names every attribute that was dropped: what is not shown must be found by who looks for it."""
    is_whole = ruled.action is RuleAction.IGNORE
    attributes = "" if is_whole else f" ({', '.join(ruled.ignored_attributes)})"
    return f"{ruled.finding.address}{attributes}: ignored by {ruled.ignored_by}"

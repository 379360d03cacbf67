"""Why a heal is withheld for what its plan would do: more than undo the drift, or what nobody can take back.

As in `drift.conditions`, each is a pure function of the `Situation`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from drift.policy import Policy
from drift.policy_rules import RuleAction, RuledFinding, matches_any
from drift.protected import doors_before
from drift.situation import Situation
from records.findings import FindingKind
from records.plan_checks import HoldReason, PlannedStack

_KNOWN_KINDS: Final = frozenset(
    {FindingKind.PORTAL_DRIFT, FindingKind.STALE_STATE, FindingKind.PENDING_CHANGE, FindingKind.MIXED}
)
_KNOWN_ACTIONS: Final = frozenset({"no-op", "read", "create", "update", "delete"})
_NAMED_AT_MOST: Final = 3
_NOTHING_ALLOWED: Final = Policy()


@dataclass(frozen=True, slots=True)
class Hold:
    """A reason, and the sentence that tells it to a person. No approval of before ``since`` overrules it."""

    reason: HoldReason
    sentence: str
    since: datetime | None = None


def unsafe(situation: Situation) -> Hold | None:
    """The plan would do something whose meaning is not known, or is to forget a resource."""
    unknown = [
        ruled
        for ruled in situation.ruled
        if ruled.finding.kind not in _KNOWN_KINDS or not _KNOWN_ACTIONS.issuperset(ruled.finding.actions)
    ]
    unknown += [ruled for ruled in situation.touched if not ruled.finding.actions]
    if not unknown:
        return None
    return Hold(
        HoldReason.UNSAFE,
        f"The plan has an action, or runs a provisioner, that is never applied unattended: {named(unknown)}.",
    )


def destructive(situation: Situation) -> Hold | None:
    """The plan would delete or replace something, also where the policy ignores it: the apply would not."""
    deleted = [ruled for ruled in situation.ruled if ruled.finding.destructive or "delete" in ruled.finding.actions]
    return Hold(HoldReason.DESTRUCTIVE, f"The plan would delete: {named(deleted)}.") if deleted else None


def protected(situation: Situation) -> Hold | None:
    """The plan would change what a one-way door, the protected list or a `never` rule keeps."""
    return next(filter(None, map(_protection_of(policy_of(situation)), situation.touched)), None)


def mixed(situation: Situation) -> Hold | None:
    """One apply would undo the drift and do something else with it."""
    both = [ruled for ruled in situation.touched if ruled.finding.kind is FindingKind.MIXED]
    if both:
        return Hold(HoldReason.MIXED, f"The apply would change more of it than what has drifted: {named(both)}.")
    drifted = _of_kind(situation.touched, FindingKind.PORTAL_DRIFT)
    pending = _of_kind(situation.touched, FindingKind.PENDING_CHANGE)
    if drifted and pending:
        return Hold(
            HoldReason.MIXED, f"One apply would undo the drift of {named(drifted)} and change {named(pending)}."
        )
    left_alone = next((ruled for ruled in situation.touched if ruled.ignored_by), None)
    if situation.counting and left_alone:
        what = ", ".join(left_alone.ignored_attributes[:_NAMED_AT_MOST])
        return Hold(
            HoldReason.MIXED,
            f"The apply would also change {left_alone.finding.address}{f' ({what})' if what else ''}, which is ignored by "
            f"{left_alone.ignored_by}. In the configuration's `ignore_changes` it would be left alone.",
        )
    plan = situation.plan if isinstance(situation.plan, PlannedStack) else PlannedStack()
    if situation.counting and plan.carried_along:
        return Hold(HoldReason.MIXED, f"The apply would also move or import: {_listed(plan.carried_along)}.")
    # Beside a change that waits they are a part of it.
    return _beyond_the_drift(plan) if drifted else None


def pending_change(situation: Situation) -> Hold | None:
    """Nobody has touched anything: the plan differs by itself."""
    pending = _of_kind(situation.touched, FindingKind.PENDING_CHANGE)
    if not pending:
        return None
    return Hold(HoldReason.PENDING_CHANGE, f"No drift, but a change that waits for a deploy: {named(pending)}.")


def policy_of(situation: Situation) -> Policy:
    """The policy. Where there is none to trust, its defaults, which heal nothing; `inconclusive` has spoken before."""
    return situation.policy if isinstance(situation.policy, Policy) else _NOTHING_ALLOWED


def named(findings: Sequence[RuledFinding]) -> str:
    """Their addresses, in order; the first few, and how many more there are."""
    return _listed(ruled.finding.address for ruled in findings)


def _protection_of(policy: Policy) -> Callable[[RuledFinding], Hold | None]:
    types, addresses = policy.protected.type or (), policy.protected.address or ()

    def protection(ruled: RuledFinding) -> Hold | None:
        finding = ruled.finding
        if door := next(doors_before(finding), None):
            return Hold(HoldReason.PROTECTED, f"{finding.address} is a one-way door: {door.why}.")
        if matches_any(types, finding.type) or matches_any(addresses, finding.address):
            return Hold(HoldReason.PROTECTED, f"{finding.address} is on the policy's protected list.")
        if ruled.action is RuleAction.NEVER:
            return Hold(HoldReason.PROTECTED, f"{finding.address} is never healed, by {ruled.rule}.")
        return None

    return protection


def _beyond_the_drift(plan: PlannedStack) -> Hold | None:
    if plan.late_reads:
        return Hold(
            HoldReason.MIXED,
            f"Only the apply reads {_listed(plan.late_reads)}: no plan shows what it would make of that, and nobody has "
            "deployed it.",
        )
    if plan.changed_outputs:
        outputs = _listed(plan.changed_outputs)
        return Hold(HoldReason.MIXED, f"The apply would also leave other outputs in the state: {outputs}.")
    return None


def _of_kind(findings: Sequence[RuledFinding], kind: FindingKind) -> list[RuledFinding]:
    return [ruled for ruled in findings if ruled.finding.kind is kind]


def _listed(addresses: Iterable[str]) -> str:
    named = sorted(set(addresses))
    more = len(named) - _NAMED_AT_MOST
    return ", ".join(named[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")

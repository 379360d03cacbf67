"""Why a heal is withheld: one named condition a reason, in the order of `records.plan_checks.HoldReason`.

Each is a pure function of the `Situation` and answers with a sentence for a person, or with None. What could not be learnt
is `inconclusive`, so the others take what they need for known.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from drift.plan_conditions import Hold, destructive, mixed, named, pending_change, policy_of, protected, unsafe
from drift.policy import InvalidPolicy
from drift.policy_rules import RuleAction, matches_any
from drift.situation import FleetSpread, Inconclusive, Situation, Unread
from records.heals import HealMode
from records.locks import Lock
from records.plan_checks import HoldReason, PlannedStack
from records.spelling import counted, to_the_minute
from records.verdicts import Verdict

RESOURCES_ALWAYS_ALLOWED: Final = 3
"""Of however small a stack: a fifth of four resources would be none."""
FLEET_AT_LEAST: Final = 3
"""Markets that a drift is in before it can be an event of the fleet."""


Condition = Callable[[Situation], Hold | None]


def inconclusive(situation: Situation) -> Hold | None:
    """Something that the decision needs is not known."""
    if isinstance(situation.plan, Inconclusive):
        why = situation.plan.diagnostics[0] if situation.plan.diagnostics else "it does not say why"
        return Hold(HoldReason.INCONCLUSIVE, f"There is no plan to judge: {why}")
    if isinstance(situation.policy, InvalidPolicy):
        return Hold(
            HoldReason.INCONCLUSIVE,
            f"The policy ({situation.policy.name}) is invalid, and holds everything: {situation.policy}",
        )
    for what, value in (
        ("the policy", situation.policy),
        ("the records' verdict", situation.verdict),
        ("the state's lock", situation.lock),
        ("the pauses", situation.pauses),
        ("the earlier heals of this drift", situation.heals),
        ("the jobs of this drift that were rejected or have failed", situation.refusals),
        ("this drift's spread over the markets", situation.fleet),
        ("the approvals of this job", situation.approvals),
    ):
        if isinstance(value, Unread):
            return Hold(HoldReason.INCONCLUSIVE, f"Not known: {what}. {value.why}")
    return None


def paused(situation: Situation) -> Hold | None:
    """A kill switch is pulled: in the policy, by a person's pause, or by a mode that is off."""
    policy = policy_of(situation)
    switch = policy.kill_switch
    if switch and matches_any(switch.market, situation.market):
        return Hold(HoldReason.PAUSED, f"The policy's kill switch is pulled: {switch.why}")
    for pause in () if isinstance(situation.pauses, Unread) else situation.pauses:
        if pause.market in {None, situation.market}:
            since = to_the_minute(pause.at)
            return Hold(HoldReason.PAUSED, f"{pause.by} paused healing on {since}: {pause.reason}")
    if policy.mode_of(situation.market) is HealMode.OFF:
        return Hold(HoldReason.PAUSED, f"The heal mode of {situation.market} is off.")
    return None


def frozen(situation: Situation) -> Hold | None:
    """A code freeze has begun and not ended."""
    for window in policy_of(situation).freeze_windows:
        if not matches_any(window.market, situation.market):
            continue
        if end := window.open_until(situation.now):
            why = f": {window.why}" if window.why else "."
            return Hold(HoldReason.FROZEN, f"A code freeze lasts until {to_the_minute(end)}{why}")
    return None


def records_disagree(situation: Situation) -> Hold | None:
    """The verdict is another than healthy, so the 'drift' may be last night's hotfix."""
    if situation.verdict is Verdict.HEALTHY:
        return None
    verdict = "not known" if isinstance(situation.verdict, Unread) else situation.verdict
    return Hold(
        HoldReason.RECORDS_DISAGREE,
        f"The verdict on the three records is {verdict}: what looks like drift may have been deployed on purpose.",
    )


def locked(situation: Situation) -> Hold | None:
    """Somebody holds Terraform's lock."""
    lock = situation.lock
    if not isinstance(lock, Lock):
        return None
    since = f" since {to_the_minute(lock.created_at)}" if lock.created_at else ""
    who = lock.who or "somebody whom the lock does not name"
    what = f" for {lock.operation}" if lock.operation else ""
    return Hold(HoldReason.LOCKED, f"The state is locked by {who}{what}{since}.")


def blast_radius(situation: Situation) -> Hold | None:
    """The apply would change more than is let through unattended. The count is the whole plan's, and nothing is rounded."""
    limits = policy_of(situation).limits
    count = len(situation.touched)
    if count > limits.heal_max_resources:
        return Hold(
            HoldReason.BLAST_RADIUS,
            f"{counted(count, 'resource')} would change; HEAL_MAX_RESOURCES lets {limits.heal_max_resources} through.",
        )
    managed = situation.plan.managed_resources if isinstance(situation.plan, PlannedStack) else 0
    if count > RESOURCES_ALWAYS_ALLOWED and count * 100 > limits.heal_max_percent * managed:
        return Hold(
            HoldReason.BLAST_RADIUS,
            f"{count} of {counted(managed, 'resource')} would change; HEAL_MAX_PERCENT lets {limits.heal_max_percent} % "
            "through.",
        )
    return None


def oscillating(situation: Situation) -> Hold | None:
    """The same drift was healed again and again. A heal at the edge counts, and so does one from a clock that is ahead."""
    limits = policy_of(situation).limits
    earliest = situation.now - timedelta(hours=limits.breaker_hours)
    heals = () if isinstance(situation.heals, Unread) else situation.heals
    count = sum(moment >= earliest for moment in heals)
    if count < limits.breaker_count:
        return None
    return Hold(
        HoldReason.OSCILLATING,
        f"The same drift was healed {'once' if count == 1 else f'{count} times'} within {limits.breaker_hours} h: somebody, or "
        "something, puts it back.",
    )


def fleet_wide(situation: Situation) -> Hold | None:
    """The same drift is in too many markets to be a click."""
    limits, fleet = policy_of(situation).limits, situation.fleet
    if not isinstance(fleet, FleetSpread) or fleet.markets_with_it < FLEET_AT_LEAST:
        return None
    if fleet.markets_with_it * 100 <= limits.fleet_percent * fleet.markets_checked:
        return None
    return Hold(
        HoldReason.FLEET_WIDE,
        f"The same drift is in {fleet.markets_with_it} of {fleet.markets_checked} markets: an event of the platform or an "
        f"Azure Policy, not a click (FLEET_PERCENT is {limits.fleet_percent}).",
    )


def approval_required(situation: Situation) -> Hold | None:
    """The policy says ask; or a person has said no, or this very heal has failed, and nobody has taken that back."""
    refusals = () if isinstance(situation.refusals, Unread) else situation.refusals
    if refusals:
        latest = max(refusals, key=lambda refusal: refusal.at)
        return Hold(HoldReason.APPROVAL_REQUIRED, latest.sentence, since=latest.at)
    asked = [ruled for ruled in situation.touched if ruled.action is RuleAction.ASK]
    if not asked:
        return None
    return Hold(HoldReason.APPROVAL_REQUIRED, f"An approval is asked for by {asked[0].rule}: {named(asked)}.")


def dry_run(situation: Situation) -> Hold | None:
    """Nothing speaks against undoing it, and trueup may only say so."""
    if policy_of(situation).mode_of(situation.market) is not HealMode.DRY_RUN:
        return None
    return Hold(HoldReason.DRY_RUN, f"The heal mode of {situation.market} is dry-run, so nothing undoes it.")


CONDITIONS: Final[tuple[Condition, ...]] = (
    inconclusive,
    paused,
    frozen,
    records_disagree,
    locked,
    unsafe,
    destructive,
    protected,
    mixed,
    pending_change,
    blast_radius,
    oscillating,
    fleet_wide,
    approval_required,
    dry_run,
)
"""In the order in which the first that applies is given."""


def holds_on(situation: Situation) -> Iterator[Hold]:
    """Every reason that applies, in their order."""
    return filter(None, (condition(situation) for condition in CONDITIONS))

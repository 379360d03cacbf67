"""Situations for the tests of a decision: one that heals, and the smallest step from it to each hold."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from drift.policy import FreezeWindow, InvalidPolicy, KillSwitch, Limits, Policy, PolicyFault
from drift.policy_rules import Rule, RuleAction
from drift.situation import FleetSpread, Situation
from records.findings import AttributeChange, Finding, FindingKind
from records.heals import HealMode
from records.locks import UNREADABLE_LOCK
from records.plan_checks import HoldReason, PlannedStack
from records.verdicts import Verdict

NOW: Final = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)
RULE: Final = "azurerm_network_security_rule"
ON: Final = Policy(heal_mode=HealMode.ON)
INVALID: Final = InvalidPolicy((PolicyFault(message="there is no such field", line=3, field="rulez"),))


def finding(
    address: str = f"{RULE}.hub",
    *,
    type_: str = RULE,
    kind: FindingKind = FindingKind.PORTAL_DRIFT,
    actions: tuple[str, ...] = ("update",),
    destructive: bool = False,
    paths: tuple[str, ...] = ("access",),
) -> Finding:
    return Finding(
        address=address,
        type=type_,
        kind=kind,
        actions=actions,
        destructive=destructive,
        attributes=tuple(AttributeChange(path=path, before="Allow", after="Deny") for path in paths),
    )


def planned(*findings: Finding, managed: int = 100, **beside: tuple[str, ...]) -> PlannedStack:
    return PlannedStack.model_validate({"findings": findings, "managed_resources": managed, **beside})


def situation(**given: Any) -> Situation:
    """One click on a healthy stack, with healing on; each argument is what is otherwise."""
    usual: dict[str, Any] = {
        "now": NOW,
        "market": "emea/de",
        "stack": "network",
        "plan": planned(finding()),
        "verdict": Verdict.HEALTHY,
        "lock": None,
        "policy": ON,
        "pauses": (),
        "heals": (),
        "fleet": FleetSpread(markets_with_it=1, markets_checked=20),
    }
    return Situation(**{**usual, **given})


def with_policy(before: Situation, **given: Any) -> Situation:
    policy = before.policy
    assert isinstance(policy, Policy)
    return replace(before, policy=policy.model_copy(update=given))


def with_findings(before: Situation, *more: Finding) -> Situation:
    plan = before.plan
    assert isinstance(plan, PlannedStack)
    return replace(before, plan=plan.model_copy(update={"findings": (*plan.findings, *more)}))


def _with_rule(before: Situation, rule: Rule) -> Situation:
    policy = before.policy
    assert isinstance(policy, Policy)
    return with_policy(before, rules=(*policy.rules, rule))


ALWAYS: Final = FreezeWindow(cron="0 0 * * *", duration="1d", zone="UTC")

STEPS: Final[dict[HoldReason, Callable[[Situation], Situation]]] = {
    # Last of all steps, since it takes the policy away: see `hold_for`.
    HoldReason.INCONCLUSIVE: lambda before: replace(before, policy=INVALID),
    HoldReason.PAUSED: lambda before: with_policy(before, kill_switch=KillSwitch(why="migration")),
    HoldReason.FROZEN: lambda before: with_policy(before, freeze_windows=(ALWAYS,)),
    HoldReason.RECORDS_DISAGREE: lambda before: replace(before, verdict=Verdict.PIPELINE_DRIFT),
    HoldReason.LOCKED: lambda before: replace(before, lock=UNREADABLE_LOCK),
    HoldReason.UNSAFE: lambda before: with_findings(before, finding("t.unsafe", kind=FindingKind.UNSAFE)),
    HoldReason.DESTRUCTIVE: lambda before: with_findings(
        before, finding("t.gone", actions=("delete", "create"), destructive=True)
    ),
    HoldReason.PROTECTED: lambda before: with_findings(
        before, finding("azurerm_resource_group.hub", type_="azurerm_resource_group", actions=("create",), paths=())
    ),
    HoldReason.MIXED: lambda before: with_findings(before, finding("t.mixed", kind=FindingKind.MIXED)),
    HoldReason.PENDING_CHANGE: lambda before: replace(
        before, plan=planned(finding("t.pending", kind=FindingKind.PENDING_CHANGE))
    ),
    HoldReason.BLAST_RADIUS: lambda before: with_policy(before, limits=Limits(heal_max_resources=0)),
    HoldReason.OSCILLATING: lambda before: replace(before, heals=(NOW - timedelta(hours=1),) * 3),
    HoldReason.FLEET_WIDE: lambda before: replace(before, fleet=FleetSpread(markets_with_it=9, markets_checked=20)),
    HoldReason.APPROVAL_REQUIRED: lambda before: _with_rule(before, Rule(do=RuleAction.ASK)),
    HoldReason.DRY_RUN: lambda before: with_policy(before, heal_mode=HealMode.DRY_RUN),
}


def hold_for(*reasons: HoldReason) -> Situation:
    """A situation in which each of these applies. Steps that replace come so that they take nothing of others away."""
    first = (HoldReason.PENDING_CHANGE,)
    order = [*first, *(reason for reason in reversed(HoldReason) if reason not in first)]
    built = situation()
    for reason in order:
        if reason in reasons:
            built = STEPS[reason](built)
    return built

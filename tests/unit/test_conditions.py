"""Each reason to hold: just inside its limit, and just outside."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from drift import conditions, plan_conditions
from drift.conditions import CONDITIONS, Condition
from drift.policy import FreezeWindow, KillSwitch, Limits, MarketMode, Policy, Protected
from drift.policy_rules import Rule, RuleAction
from drift.situation import FleetSpread, Inconclusive, Situation, Unread
from records.findings import Finding, FindingKind
from records.heal_ledger import Lever, LeverUse
from records.heals import HealMode
from records.locks import UNREADABLE_LOCK, Lock
from records.plan_checks import HoldReason
from records.verdicts import Verdict
from tests.unit.drift_samples import INVALID, NOW, ON, RULE, STEPS, finding, planned, situation, with_policy

HOUR = timedelta(hours=1)
A_BLINK = timedelta(microseconds=1)
UNREAD = Unread("storage does not answer")


def policy(**given: Any) -> Situation:
    return with_policy(situation(), **given)


def plan(*findings: Finding, managed: int = 100) -> Situation:
    return situation(plan=planned(*findings, managed=managed))


def changes(count: int, managed: int) -> Situation:
    return plan(*(finding(f"{RULE}.n{number}") for number in range(count)), managed=managed)


def protects(**given: Any) -> Situation:
    return policy(protected=Protected(**given))


def rules(*given: Rule) -> Situation:
    return policy(rules=given)


def freeze(cron: str, duration: str, **more: Any) -> Situation:
    return policy(freeze_windows=(FreezeWindow(cron=cron, duration=duration, zone="UTC", **more),))


def pause(market: str | None) -> Situation:
    return situation(
        pauses=(LeverUse(lever=Lever.PAUSE, by="alice", reason="incident 7", at=NOW - HOUR, market=market),)
    )


def healed(*hours_ago: float) -> Situation:
    return situation(heals=tuple(NOW - timedelta(hours=hours) for hours in hours_ago))


def fleet(markets_with_it: int, markets_checked: int) -> Situation:
    return situation(fleet=FleetSpread(markets_with_it=markets_with_it, markets_checked=markets_checked))


def drift(**given: Any) -> Finding:
    return finding(**given)


PENDING = finding("t.pending", kind=FindingKind.PENDING_CHANGE)
STALE = finding("t.stale", kind=FindingKind.STALE_STATE, actions=())
TAGS = finding("t.tags", paths=("tags.scan", "tags.owner"))
VAULT = {"type_": "azurerm_key_vault", "address": "azurerm_key_vault.main"}
IGNORE_TAGS = Rule(do=RuleAction.IGNORE, attribute=("tags.*",))

TABLE: list[tuple[Condition, Situation, bool, str]] = [
    (conditions.inconclusive, situation(), False, "a plan, a policy and every record"),
    (conditions.inconclusive, situation(plan=Inconclusive(("exit status 1",))), True, "no plan"),
    (conditions.inconclusive, situation(plan=Inconclusive(())), True, "no plan and no reason"),
    (conditions.inconclusive, situation(policy=INVALID), True, "an invalid policy"),
    (conditions.inconclusive, situation(policy=UNREAD), True, "a policy that cannot be read"),
    (conditions.inconclusive, situation(verdict=UNREAD), True, "a verdict that is not known"),
    (conditions.inconclusive, situation(lock=UNREAD), True, "a lock that is not known"),
    (conditions.inconclusive, situation(pauses=UNREAD), True, "pauses that cannot be read"),
    (conditions.inconclusive, situation(heals=UNREAD), True, "heals that cannot be read"),
    (conditions.inconclusive, situation(refusals=UNREAD), True, "rejected jobs that cannot be read"),
    (conditions.inconclusive, situation(fleet=UNREAD), True, "a spread that nobody counted"),
    (conditions.inconclusive, situation(approvals=UNREAD), True, "approvals that cannot be read"),
    (conditions.paused, policy(kill_switch=KillSwitch(why="x")), True, "the kill switch"),
    (conditions.paused, policy(kill_switch=KillSwitch(why="x", market=("emea/*",))), True, "the switch of its region"),
    (conditions.paused, policy(kill_switch=KillSwitch(why="x", market=("apac/*",))), False, "another region's switch"),
    (conditions.paused, pause(None), True, "a pause of all"),
    (conditions.paused, pause("emea/de"), True, "its market's pause"),
    (conditions.paused, pause("emea"), False, "a pause of a market whose name begins so"),
    (conditions.paused, policy(heal_mode=HealMode.OFF), True, "a mode that is off"),
    (conditions.paused, policy(heal_mode=HealMode.DRY_RUN), False, "a dry run is no pause"),
    (conditions.frozen, freeze("0 6 * * *", "1h"), True, "a window that begins now"),
    (conditions.frozen, freeze("1 6 * * *", "1h"), False, "a window that begins in a minute"),
    (conditions.frozen, freeze("0 5 * * *", "61m"), True, "a window that ends in a minute"),
    (conditions.frozen, freeze("0 5 * * *", "1h"), False, "a window that ends now"),
    (conditions.frozen, freeze("0 6 * * *", "1h", market="emea/*"), True, "its region's window"),
    (conditions.frozen, freeze("0 6 * * *", "1h", market="apac/*"), False, "another region's window"),
    (conditions.locked, situation(lock=None), False, "no lock"),
    (conditions.locked, situation(lock=Lock(who="ci@agent", operation="OperationTypeApply")), True, "a lock"),
    (conditions.locked, situation(lock=UNREADABLE_LOCK), True, "a lease that says nothing"),
    (plan_conditions.unsafe, plan(drift()), False, "an update"),
    (plan_conditions.unsafe, plan(drift(kind=FindingKind.UNSAFE)), True, "an unsafe finding"),
    (plan_conditions.unsafe, plan(drift(actions=("forget",))), True, "an action that is not known, called drift"),
    (plan_conditions.unsafe, plan(drift(actions=())), True, "drift without an action"),
    (plan_conditions.unsafe, plan(drift(), STALE), False, "stale state without an action"),
    (plan_conditions.destructive, plan(drift(actions=("create",))), False, "what was deleted is made again"),
    (plan_conditions.destructive, plan(drift(actions=("create", "delete"))), True, "a replacement, created first"),
    (plan_conditions.destructive, plan(drift(destructive=True)), True, "an update that is called destructive"),
    (plan_conditions.destructive, plan(drift(), drift(address="t.x", actions=("delete",))), True, "one of two is deleted"),
    (plan_conditions.protected, plan(drift(**VAULT)), False, "a vault's firewall"),
    (plan_conditions.protected, plan(drift(**VAULT, actions=("create",), paths=())), True, "a vault that was deleted"),
    (plan_conditions.protected, plan(drift(**VAULT, paths=("purge_protection_enabled",))), True, "purge protection"),
    (plan_conditions.protected, plan(drift(paths=("administrator_password",))), True, "a password that was rotated"),
    (plan_conditions.protected, plan(drift(paths=("password_policy",))), False, "a policy on passwords"),
    (plan_conditions.protected, protects(type=(RULE,)), True, "a type on the list"),
    (plan_conditions.protected, protects(type=("azurerm_network_*",)), True, "types on the list by a glob"),
    (plan_conditions.protected, protects(type=("azurerm_network",)), False, "a type that begins so"),
    (plan_conditions.protected, protects(address=(f"{RULE}.hub",)), True, "an address on the list"),
    (plan_conditions.protected, protects(address=(f"{RULE}.hub[0]",)), False, "another address on the list"),
    (plan_conditions.protected, rules(Rule(do=RuleAction.NEVER)), True, "a rule that says never"),
    (plan_conditions.protected, rules(Rule(do=RuleAction.HEAL), Rule(do=RuleAction.NEVER)), False, "never, after heal"),
    (plan_conditions.mixed, plan(drift(kind=FindingKind.MIXED)), True, "both in one resource"),
    (plan_conditions.mixed, plan(drift(), PENDING), True, "both in one plan"),
    (plan_conditions.mixed, plan(PENDING), False, "pending change alone"),
    (plan_conditions.mixed, plan(drift(), STALE), False, "drift beside stale state"),
    (plan_conditions.mixed, situation(plan=planned(drift(), carried_along=("t.b",))), True, "a move in the same plan"),
    (plan_conditions.mixed, situation(plan=planned(STALE, carried_along=("t.b",))), False, "a move, and no drift"),
    (plan_conditions.mixed, situation(plan=planned(drift(), late_reads=("data.a.b",))), True, "data that the apply reads"),
    (plan_conditions.mixed, situation(plan=planned(drift(), changed_outputs=("a",))), True, "another output"),
    (plan_conditions.mixed, situation(plan=planned(STALE, changed_outputs=("a",))), False, "an output, and no drift"),
    (plan_conditions.mixed, situation(plan=planned(PENDING, changed_outputs=("a",))), False, "an output of a pending change"),
    (plan_conditions.pending_change, plan(PENDING), True, "pending change alone"),
    (plan_conditions.pending_change, plan(drift()), False, "drift"),
    (conditions.blast_radius, changes(3, managed=3), False, "three of three"),
    (conditions.blast_radius, changes(3, managed=0), False, "three of a stack that counts none"),
    (conditions.blast_radius, changes(4, managed=20), False, "four, which are a fifth"),
    (conditions.blast_radius, changes(4, managed=19), True, "four, which are a little more than a fifth"),
    (conditions.blast_radius, changes(10, managed=50), False, "ten"),
    (conditions.blast_radius, changes(11, managed=1000), True, "eleven"),
    (conditions.blast_radius, policy(limits=Limits(heal_max_percent=0)), False, "one, of no percent"),
    (conditions.blast_radius, policy(limits=Limits(heal_max_resources=1)), False, "one of one that is let through"),
    (conditions.blast_radius, policy(limits=Limits(heal_max_resources=0)), True, "one of none that is let through"),
    (conditions.oscillating, healed(1, 2), False, "two heals"),
    (conditions.oscillating, healed(1, 2, 24), True, "a third at the edge"),
    (conditions.oscillating, healed(1, 2, 24.001), False, "a third beyond it"),
    (conditions.oscillating, healed(1, 2, -1), True, "a third by a clock that is ahead"),
    (conditions.fleet_wide, fleet(2, 2), False, "both of two markets"),
    (conditions.fleet_wide, fleet(2, 3), False, "two of three"),
    (conditions.fleet_wide, fleet(3, 3), True, "three of three"),
    (conditions.fleet_wide, fleet(3, 10), False, "three of ten, which are 30 %"),
    (conditions.fleet_wide, fleet(3, 9), True, "three of nine"),
    (conditions.approval_required, rules(Rule(do=RuleAction.ASK)), True, "a rule that asks"),
    (conditions.approval_required, rules(Rule(do=RuleAction.ASK, stack=("data",))), False, "one for another stack"),
    (conditions.dry_run, policy(heal_mode=HealMode.DRY_RUN), True, "a dry run"),
    (conditions.dry_run, situation(policy=Policy()), True, "a policy that says nothing"),
    (conditions.dry_run, policy(heal_mode=HealMode.ON), False, "healing on"),
    (
        conditions.dry_run,
        policy(heal_mode_by_market=(MarketMode(market=("emea/*",), mode=HealMode.DRY_RUN),)),
        True,
        "a dry run in its market",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("condition", "given", "holds"),
    [pytest.param(*row[:3], id=f"{getattr(row[0], '__name__', '')}: {row[3]}") for row in TABLE],
)
def test_a_condition(condition: Condition, given: Situation, *, holds: bool) -> None:
    hold = condition(given)
    assert (hold is not None) == holds
    if hold:
        assert hold.reason == getattr(condition, "__name__", None)
        assert hold.sentence


@pytest.mark.parametrize("verdict", Verdict)
def test_only_a_healthy_verdict_lets_a_heal_through(verdict: Verdict) -> None:
    hold = conditions.records_disagree(situation(verdict=verdict))
    assert (hold is None) == (verdict is Verdict.HEALTHY)


def test_the_conditions_stand_in_the_order_of_the_reasons() -> None:
    assert [getattr(condition, "__name__", None) for condition in CONDITIONS] == list(HoldReason)
    assert set(STEPS) == set(HoldReason)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (plan(drift(), TAGS), None),
        (with_policy(plan(drift(), TAGS), rules=(IGNORE_TAGS,)), "t.tags (tags.owner, tags.scan)"),
        (with_policy(plan(drift(paths=("access", "tags.scan"))), rules=(IGNORE_TAGS,)), "hub (tags.scan)"),
        (
            with_policy(plan(drift(), PENDING), rules=(Rule(do=RuleAction.IGNORE, address=("t.*",)),)),
            "and change t.pending",
        ),
    ],
    ids=["two drifts", "one that is ignored", "an attribute that is ignored", "pending change that is ignored"],
)
def test_a_heal_that_would_revert_what_the_policy_ignores_is_mixed(given: Situation, words: str | None) -> None:
    hold = plan_conditions.mixed(given)
    assert words in hold.sentence if hold and words else hold is None


@pytest.mark.parametrize(
    ("given", "condition", "sentence"),
    [
        (
            situation(policy=INVALID),
            conditions.inconclusive,
            "The policy (policy.yaml) is invalid, and holds everything: line 3, rulez: there is no such field",
        ),
        (situation(fleet=UNREAD), conditions.inconclusive, "storage does not answer"),
        (pause(None), conditions.paused, "alice paused healing on 2026-11-25 05:00 UTC: incident 7"),
        (freeze("0 6 * * *", "1h", why="quarter end"), conditions.frozen, "until 2026-11-25 07:00 UTC: quarter end"),
        (
            situation(lock=Lock(who="ci", operation="apply", created_at=NOW)),
            conditions.locked,
            "by ci for apply since 2026-11-25 06:00 UTC.",
        ),
        (changes(11, managed=1000), conditions.blast_radius, "11 resources would change; HEAL_MAX_RESOURCES"),
        (
            with_policy(changes(1, managed=9), limits=Limits(heal_max_resources=0)),
            conditions.blast_radius,
            "1 resource would",
        ),
        (with_policy(healed(1), limits=Limits(breaker_count=1)), conditions.oscillating, "was healed once within 24 h"),
        (healed(1, 2, 3), conditions.oscillating, "was healed 3 times within 24 h"),
        (policy(heal_mode=HealMode.DRY_RUN), conditions.dry_run, "emea/de is dry-run, so nothing undoes it."),
        (changes(4, managed=4), conditions.blast_radius, "4 of 4 resources would change; HEAL_MAX_PERCENT"),
        (
            plan(*(drift(address=f"t.n{number}", destructive=True) for number in range(5))),
            plan_conditions.destructive,
            "t.n0, t.n1, t.n2 and 2 more",
        ),
        (
            rules(Rule(do=RuleAction.ASK, why="Network team")),
            conditions.approval_required,
            "rule 1 of the policy (Netw",
        ),
    ],
)
def test_a_sentence_says(given: Situation, condition: Callable[[Situation], Any], sentence: str) -> None:
    assert sentence in condition(given).sentence


def test_a_finding_at_the_edge_of_a_freeze_is_judged_by_the_time_that_is_given() -> None:
    window = freeze("0 5 * * *", "1h").policy
    assert conditions.frozen(situation(policy=window, now=NOW - A_BLINK))
    assert conditions.frozen(situation(policy=window, now=NOW)) is None
    assert conditions.frozen(situation(policy=ON, now=NOW - A_BLINK)) is None

"""The laws of plan checks, held by examples that nobody chose: what is not known to be a click is never healed."""

import asyncio
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from drift.checks import check_of, job_of
from drift.policy import KillSwitch, Limits, Policy
from drift.policy_rules import Rule, RuleAction
from drift.situation import FleetSpread, Unread
from records.findings import Finding, FindingKind
from records.heals import HealMode
from records.locks import UNREADABLE_LOCK
from records.plan_checks import Decision, HoldReason, StackCheck, StackObservation
from records.verdicts import Verdict
from tests.unit.drift_samples import ALWAYS, INVALID, ON, finding
from tests.unit.observation_samples import NOW, ONE_OF_TWENTY, Bench, brakes, clicked, plan_of, seen, unplanned

MODES: Final = st.sampled_from(HealMode)
RULES: Final = st.builds(
    Rule,
    do=st.sampled_from([RuleAction.HEAL, RuleAction.ASK, RuleAction.NEVER]),
    market=st.sampled_from([("*",), ("de",), ("fr",)]),
)
POLICIES: Final = st.one_of(
    st.just(ON),
    st.just(INVALID),
    st.just(Unread("403")),
    st.builds(
        Policy,
        heal_mode=MODES,
        kill_switch=st.none() | st.just(KillSwitch(why="migration")),
        freeze_windows=st.sampled_from([(), (ALWAYS,)]),
        rules=st.lists(RULES, max_size=2).map(tuple),
        limits=st.sampled_from([Limits(), Limits(heal_max_resources=10_000, heal_max_percent=100, fleet_percent=100)]),
    ),
)
FLEETS: Final = st.just(Unread("503")) | st.integers(0, 40).flatmap(
    lambda checked: st.builds(FleetSpread, markets_with_it=st.integers(0, checked), markets_checked=st.just(checked))
)
OTHERWISE: Final[dict[str, st.SearchStrategy[Any]]] = {
    "findings": st.nothing(),
    "carried_along": st.nothing(),
    "plan": st.none(),
    "verdict": st.none() | st.sampled_from(Verdict),
    "lock": st.just(UNREADABLE_LOCK),
    "lineage": st.sampled_from([None, "a", "b"]),
    "serial": st.none() | st.integers(0, 2**64 - 1),
    "bundle_sha256": st.none(),
}
ACTIONS: Final = st.sampled_from([("update",), ("create",), ("delete",), ("delete", "create"), ("forget",), ("no-op",)])


@st.composite
def findings(draw: st.DrawFn) -> Finding:
    actions = draw(ACTIONS)
    return finding(
        draw(st.sampled_from(["azurerm_subnet.a", "azurerm_subnet.b", "azurerm_resource_group.c"])),
        kind=draw(st.sampled_from(FindingKind)),
        actions=actions,
        destructive="delete" in actions or draw(st.booleans()),
    )


@st.composite
def observations(draw: st.DrawFn, market: str = "de", stack: str = "network") -> StackObservation:
    """A stack that would be healed, of which up to two things are otherwise; so that enough of them still would be."""
    otherwise = draw(st.sets(st.sampled_from(sorted(OTHERWISE)), max_size=2))
    found = [finding("azurerm_subnet.clicked")]
    if "findings" in otherwise:
        found = draw(st.lists(findings(), max_size=3, unique_by=lambda one: one.address))
    along = ("azurerm_subnet.moved",) if "carried_along" in otherwise else ()
    changes: dict[str, Any] = {"plan": plan_of(*found, market=market, carried_along=along)}
    for name in sorted(otherwise - {"findings", "carried_along"}):
        changes[name] = draw(OTHERWISE[name])
    return seen(market, stack, **changes)


def decided(one: StackObservation, policy: Any = ON, fleet: Any = ONE_OF_TWENTY) -> StackCheck:
    return check_of(one, brakes(policy=policy, fleet=fleet), now=NOW)


def is_a_click_that_may_be_undone(one: StackObservation) -> bool:
    """What the design lets through, told over again in other words."""
    if one.plan is None or one.verdict is not Verdict.HEALTHY or one.lock or one.plan.carried_along:
        return False
    if one.lineage is None or one.serial is None or one.bundle_sha256 is None:
        return False
    touched = [found for found in one.plan.findings if found.kind is not FindingKind.STALE_STATE]
    actions = {action for found in one.plan.findings for action in found.actions}
    return (
        bool(touched)
        and all(found.kind is FindingKind.PORTAL_DRIFT for found in touched)
        and not any(found.destructive for found in one.plan.findings)
        and actions.isdisjoint({"delete", "forget"})
    )


@settings(max_examples=200)
@given(observations(), POLICIES, FLEETS)
def test_nothing_but_a_click_on_known_ground_is_ever_healed(one: StackObservation, policy: Any, fleet: Any) -> None:
    check = decided(one, policy, fleet)
    if check.decision is not Decision.HEAL:
        return
    assert is_a_click_that_may_be_undone(one)
    assert isinstance(policy, Policy)
    assert isinstance(fleet, FleetSpread)
    assert policy.heal_mode is HealMode.ON
    assert not policy.kill_switch
    assert not policy.freeze_windows
    job = job_of(check, queued_at=NOW, expires_at=NOW)
    assert job.job_id == check.job_id


@pytest.mark.parametrize("decision", Decision)
def test_the_laws_are_not_held_for_want_of_stacks_that_are_a(decision: Decision) -> None:
    find(observations(), lambda one: decided(one).decision is decision, settings=settings(database=None))


BAD_FINDINGS: Final = st.one_of(
    st.sampled_from([FindingKind.MIXED, FindingKind.UNSAFE, FindingKind.PENDING_CHANGE]).map(
        lambda kind: finding("azurerm_subnet.bad", kind=kind)
    ),
    st.sampled_from([("delete",), ("delete", "create"), ("create", "delete")]).map(
        lambda actions: finding("azurerm_subnet.bad", actions=actions, destructive=True)
    ),
    st.just(finding("azurerm_subnet.bad", actions=("forget",))),
    st.just(finding("azurerm_subnet.bad", actions=())),
)
SPOILT: Final = st.one_of(
    st.just(unplanned()),
    st.none().map(lambda verdict: clicked(verdict=verdict)),
    st.sampled_from([verdict for verdict in Verdict if verdict is not Verdict.HEALTHY]).map(
        lambda verdict: clicked(verdict=verdict)
    ),
    st.just(clicked(lock=UNREADABLE_LOCK)),
    st.sampled_from(["lineage", "serial", "bundle_sha256"]).map(
        lambda field: clicked().model_copy(update={field: None})
    ),
    BAD_FINDINGS.map(lambda bad: seen("de", "network", finding(), bad)),
)


@given(SPOILT, POLICIES, FLEETS)
def test_one_thing_that_is_wrong_is_enough_to_hold_a_click_whatever_the_policy(
    spoilt: StackObservation, policy: Any, fleet: Any
) -> None:
    assert decided(clicked()).decision is Decision.HEAL
    assert decided(spoilt, policy, fleet).decision is Decision.HOLD


@given(observations(), POLICIES, FLEETS)
def test_a_stack_without_a_plan_is_never_clean(one: StackObservation, policy: Any, fleet: Any) -> None:
    check = decided(one, policy, fleet)
    if one.plan is None:
        assert check.reason is HoldReason.INCONCLUSIVE
    assert (check.reason is not None) is (check.decision is Decision.HOLD)
    assert check.why


@given(observations(), POLICIES, FLEETS)
def test_equal_observations_give_equal_checks(one: StackObservation, policy: Any, fleet: Any) -> None:
    again = StackObservation.model_validate_json(one.model_dump_json())
    assert decided(again, policy, fleet) == decided(one, policy, fleet)


@st.composite
def estates(draw: st.DrawFn) -> list[StackObservation]:
    names = draw(st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), unique=True, max_size=5))
    return [draw(st.just(clicked(name)) | observations(name)) for name in names]


def conclude(estate: list[StackObservation]) -> tuple[dict[str, StackCheck], set[str]]:
    """Each stack's check, and the jobs that were sent."""
    bench = Bench()
    concluded = asyncio.run(bench.conclude(*estate))
    return {one.check.name: one.check for one in concluded}, {job.job_id for job in bench.queue.sent}


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(estates(), st.randoms(use_true_random=False))
def test_the_order_in_which_stacks_were_seen_changes_nothing(estate: list[StackObservation], random: Any) -> None:
    shuffled = list(estate)
    random.shuffle(shuffled)
    assert conclude(shuffled) == conclude(estate)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(estates())
def test_exactly_what_is_to_be_healed_is_sent(estate: list[StackObservation]) -> None:
    checks, sent = conclude(estate)
    assert sent == {check.job_id for check in checks.values() if check.decision is Decision.HEAL}

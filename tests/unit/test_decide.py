"""The decision: its order, and the laws that no example is to break."""

from dataclasses import replace
from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from drift.conditions import CONDITIONS, holds_on
from drift.decide import APPROVABLE, Judged, decide, job_id
from drift.policy import FreezeWindow, InvalidPolicy, KillSwitch, Limits, Policy, Protected
from drift.policy_rules import Rule, RuleAction
from drift.situation import FleetSpread, Inconclusive, Refusal, Situation, Unread
from records.findings import AttributeChange, Finding, FindingKind
from records.heal_ledger import Approval, Lever, LeverUse
from records.heals import HealMode
from records.locks import UNREADABLE_LOCK
from records.plan_checks import Decision, HoldReason, PlannedStack
from records.verdicts import Verdict
from tests.unit.drift_samples import INVALID, NOW, RULE, finding, hold_for, planned, situation, with_policy

MANY = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
UNREAD = Unread("not to be had")
NEVER_HEALED = [FindingKind.PENDING_CHANGE, FindingKind.MIXED, FindingKind.UNSAFE]
JOB = {"market": "de", "stack": "network", "lineage": "5b1c", "serial": 42, "fingerprint": "ab" * 32}

KINDS = st.sampled_from(FindingKind)
TYPES = st.sampled_from([RULE, "azurerm_key_vault", "azurerm_storage_account"])
PATHS = st.sampled_from(["access", "access", "name", "tags.scan", "tags.owner", "administrator_password"])
GLOBS = st.sampled_from(["*", "t.*", "t.1", f"{RULE}*"])


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """So that a heal is possible often enough for the laws to be about something."""
    return st.integers(0, 9).flatmap(lambda digit: st.sampled_from(others) if digit == 0 else st.just(usual))


@st.composite
def findings(draw: st.DrawFn, kinds: st.SearchStrategy[FindingKind] = KINDS) -> Finding:
    actions = draw(mostly(("update",), ("create",), ("delete",), ("delete", "create"), ("forget",), ()))
    return Finding(
        address=f"t.{draw(st.integers(0, 5))}",
        type=draw(TYPES),
        kind=draw(kinds),
        actions=actions,
        destructive="delete" in actions or draw(mostly(False, True)),
        attributes=tuple(AttributeChange(path=path) for path in draw(st.lists(PATHS, max_size=2, unique=True))),
    )


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    action = draw(st.sampled_from(RuleAction))
    if action is RuleAction.IGNORE:
        return Rule(do=action, attribute=(draw(st.sampled_from(["tags.*", "access"])),))
    return Rule(do=action, address=(draw(GLOBS),), attribute=draw(st.sampled_from([None, ("tags.*",)])))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    freeze = FreezeWindow(cron="0 * * * *", duration="30m", zone="Europe/Berlin")
    return Policy(
        kill_switch=draw(mostly(None, KillSwitch(why="x"))),
        heal_mode=draw(mostly(HealMode.ON, HealMode.DRY_RUN, HealMode.OFF)),
        freeze_windows=draw(mostly((), (freeze,))),
        protected=draw(mostly(Protected(), Protected(address=("t.2",)))),
        rules=tuple(draw(st.lists(rules(), max_size=2))),
        limits=draw(st.sampled_from([Limits(), Limits(heal_max_percent=100), Limits(heal_max_resources=2)])),
    )


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    hours_ago = draw(st.lists(st.integers(0, 60), max_size=4))
    drifts = draw(st.lists(findings(st.just(FindingKind.PORTAL_DRIFT)), max_size=4))
    others = draw(st.lists(findings(), max_size=1)) if draw(mostly(False, True)) else []
    return situation(
        plan=PlannedStack(
            findings=(*drifts, *others),
            managed_resources=draw(st.integers(0, 40)),
            carried_along=draw(mostly((), ("t.moved",))),
        ),
        verdict=draw(mostly(*Verdict)),
        lock=draw(mostly(None, UNREADABLE_LOCK)),
        policy=draw(policies()),
        pauses=draw(mostly((), (LeverUse(lever=Lever.PAUSE, by="a", reason="b", at=NOW),))),
        heals=tuple(NOW - timedelta(hours=hours) for hours in hours_ago),
        fleet=FleetSpread(markets_with_it=draw(st.integers(1, 5)), markets_checked=draw(st.integers(5, 20))),
        approvals=tuple(approved(reason) for reason in draw(st.lists(st.sampled_from(HoldReason), max_size=2))),
    )


def approved(reason: HoldReason) -> Approval:
    return Approval(reason=reason, by="bob@example.com", at=NOW)


def approving(given: Situation, *reasons: HoldReason) -> Judged:
    return decide(replace(given, approvals=tuple(map(approved, reasons))))


def test_a_click_is_healed() -> None:
    judged = decide(situation())
    assert (judged.decision, judged.reason, judged.ignored) == (Decision.HEAL, None, ())
    assert judged.findings == (finding(),)


@pytest.mark.parametrize("reason", HoldReason)
def test_a_reason_alone_holds(reason: HoldReason) -> None:
    judged = decide(hold_for(reason))
    assert (judged.decision, judged.reason) == (Decision.HOLD, reason)


@pytest.mark.parametrize(("earlier", "later"), [*combinations(HoldReason, 2)])
def test_of_two_reasons_the_earlier_is_given(earlier: HoldReason, later: HoldReason) -> None:
    both = hold_for(earlier, later)
    applying = [hold.reason for hold in holds_on(both)]
    hidden_by_an_invalid_policy = {
        HoldReason.PAUSED, HoldReason.FROZEN, HoldReason.BLAST_RADIUS, HoldReason.APPROVAL_REQUIRED,
    }  # fmt: skip
    expected = (
        {earlier} if earlier is HoldReason.INCONCLUSIVE and later in hidden_by_an_invalid_policy else {earlier, later}
    )
    assert expected <= set(applying)
    assert decide(both).reason is earlier


@pytest.mark.parametrize(("given_at", "decision"), [(-1, Decision.HOLD), (0, Decision.HOLD), (1, Decision.HEAL)])
def test_an_approval_overrules_no_rejection_that_came_after_it(given_at: int, decision: Decision) -> None:
    refusals = tuple(Refusal(at=NOW - timedelta(hours=hours), sentence="Bob rejected it.") for hours in (0, 9))
    approval = approved(HoldReason.APPROVAL_REQUIRED).model_copy(update={"at": NOW + timedelta(seconds=given_at)})
    assert decide(situation(refusals=refusals, approvals=(approval,))).decision is decision


@MANY
@given(situations())
def test_the_first_condition_that_applies_and_is_not_approved_is_the_reason(given_one: Situation) -> None:
    judged = decide(given_one)
    reasons = [hold.reason for condition in CONDITIONS if (hold := condition(given_one))]
    assert not isinstance(given_one.approvals, Unread)
    open_reasons = [r for r in reasons if r not in APPROVABLE or r not in {a.reason for a in given_one.approvals}]
    match judged.decision:
        case Decision.CLEAN:
            assert (judged.findings, judged.reason) == ((), None)
        case Decision.HOLD:
            assert judged.reason is open_reasons[0]
        case Decision.HEAL:
            assert open_reasons == []
            assert judged.reason is None


@pytest.mark.parametrize("decision", Decision)
def test_the_laws_are_about_every_decision(decision: Decision) -> None:
    look = settings(max_examples=800, database=None, derandomize=True)
    assert find(situations(), lambda found: decide(found).decision is decision, settings=look)


@MANY
@given(
    situations(),
    st.sampled_from(["plan", "policy", "verdict", "lock", "pauses", "heals", "fleet"]),
    st.sampled_from([UNREAD, INVALID]),
)
def test_what_is_not_known_never_heals(given_one: Situation, what: str, unread: Unread | InvalidPolicy) -> None:
    values: dict[str, object] = {"plan": Inconclusive(("exit status 1",)), "policy": unread}
    unknown: dict[str, Any] = {what: values.get(what, UNREAD)}
    blind = approving(replace(given_one, **unknown), *HoldReason)
    assert blind.decision is not Decision.HEAL
    if blind.decision is Decision.HOLD:
        assert blind.reason is HoldReason.INCONCLUSIVE
    if what == "plan":
        assert blind.decision is Decision.HOLD


@MANY
@given(situations())
def test_approvals_that_are_not_known_never_heal(given_one: Situation) -> None:
    judged = decide(replace(given_one, approvals=UNREAD))
    if judged.decision is not Decision.CLEAN:
        assert (judged.decision, judged.reason) == (Decision.HOLD, HoldReason.INCONCLUSIVE)


@MANY
@given(situations(), findings(), st.sampled_from([("destructive", True), ("actions", ("delete",))]))
def test_nothing_destructive_heals_without_a_persons_word(
    given_one: Situation, more: Finding, how: tuple[str, object]
) -> None:
    deleting = more.model_copy(update={how[0]: how[1]})
    assert isinstance(given_one.plan, PlannedStack)
    plan = given_one.plan.model_copy(update={"findings": (*given_one.plan.findings, deleting)})
    assert decide(replace(given_one, plan=plan, approvals=())).decision is not Decision.HEAL


@MANY
@given(situations(), findings(st.sampled_from(NEVER_HEALED)))
def test_no_policy_and_no_person_makes_more_than_drift_heal(given_one: Situation, more: Finding) -> None:
    assert isinstance(given_one.plan, PlannedStack)
    plan = given_one.plan.model_copy(update={"findings": (*given_one.plan.findings, more)})
    assert approving(replace(given_one, plan=plan), *HoldReason).decision is not Decision.HEAL


@MANY
@given(situations())
def test_the_kill_switch_comes_before_all_but_inconclusive(given_one: Situation) -> None:
    pulled = approving(with_policy(given_one, kill_switch=KillSwitch(why="x")), *HoldReason)
    assert pulled.decision is Decision.CLEAN or pulled.reason is HoldReason.PAUSED


@MANY
@given(situations(), findings())
def test_one_more_finding_never_turns_a_hold_into_a_heal(given_one: Situation, more: Finding) -> None:
    assert isinstance(given_one.plan, PlannedStack)
    plan = given_one.plan.model_copy(update={"findings": (*given_one.plan.findings, more)})
    if decide(given_one).decision is Decision.HOLD:
        assert decide(replace(given_one, plan=plan)).decision is Decision.HOLD


@MANY
@given(situations(), st.randoms(use_true_random=False))
def test_a_decision_is_blind_to_the_order_of_findings(given_one: Situation, random: Any) -> None:
    assert isinstance(given_one.plan, PlannedStack)
    shuffled = list(given_one.plan.findings)
    random.shuffle(shuffled)
    assert decide(replace(given_one, plan=given_one.plan.model_copy(update={"findings": tuple(shuffled)}))) == decide(
        given_one
    )


@MANY
@given(situations())
def test_a_heal_changes_nothing_that_does_not_count(given_one: Situation) -> None:
    judged = decide(given_one)
    if judged.decision is Decision.HEAL:
        assert judged.findings == tuple(ruled.finding for ruled in given_one.touched)
        assert {found.kind for found in judged.findings} == {FindingKind.PORTAL_DRIFT}
        assert not [ruled for ruled in given_one.touched if ruled.ignored_by]


@pytest.mark.parametrize("reason", HoldReason)
def test_an_approval_skips_its_own_condition_if_any_person_may(reason: HoldReason) -> None:
    judged = approving(hold_for(reason), reason)
    assert judged.decision is (Decision.HEAL if reason in APPROVABLE else Decision.HOLD)
    assert judged.reason is (None if reason in APPROVABLE else reason)


@pytest.mark.parametrize(("one", "other"), [*combinations(sorted(APPROVABLE), 2)])
def test_an_approval_skips_no_other_condition(one: HoldReason, other: HoldReason) -> None:
    both = hold_for(one, other)
    assert approving(both, one).reason is other
    assert approving(both, other).reason is one
    assert approving(both, one, other).decision is Decision.HEAL


STALE = finding("t.stale", kind=FindingKind.STALE_STATE, actions=())
IGNORED = Policy(rules=(Rule(do=RuleAction.IGNORE, type=(RULE,), why="lab"),))


@pytest.mark.parametrize(
    ("given_one", "sentence"),
    [
        pytest.param(situation(plan=planned()), "Nothing differs.", id="no finding"),
        pytest.param(situation(plan=planned(STALE)), "What differs is in the state alone.", id="stale state alone"),
        pytest.param(situation(policy=IGNORED), "All that differs is ignored by the policy", id="all is ignored"),
        pytest.param(situation(plan=planned(), policy=INVALID), "Nothing differs.", id="nothing, by an invalid policy"),
        pytest.param(
            situation(plan=planned(STALE), verdict=Verdict.PIPELINE_DRIFT), "in the state alone", id="records disagree"
        ),
    ],
)
def test_clean(given_one: Situation, sentence: str) -> None:
    judged = decide(given_one)
    assert (judged.decision, judged.reason, judged.findings) == (Decision.CLEAN, None, ())
    assert sentence in judged.sentence


def test_what_is_ignored_leaves_a_trace() -> None:
    whole = decide(situation(policy=IGNORED))
    assert whole.ignored == (f"{RULE}.hub: ignored by rule 1 of the policy (lab)",)
    tags = Policy(heal_mode=HealMode.ON, rules=(Rule(do=RuleAction.IGNORE, attribute=("tags.*",)),))
    partly = decide(situation(policy=tags, plan=planned(finding(paths=("tags.b", "access", "tags.a")))))
    assert partly.ignored == (f"{RULE}.hub (tags.a, tags.b): ignored by rule 1 of the policy",)
    assert (partly.decision, partly.reason) == (Decision.HOLD, HoldReason.MIXED)


def test_what_is_unsafe_cannot_be_ignored() -> None:
    unsafe = finding(kind=FindingKind.UNSAFE, actions=("forget",))
    assert decide(situation(policy=IGNORED, plan=planned(unsafe))).reason is HoldReason.UNSAFE


def test_a_job_has_the_same_id_wherever_it_is_made() -> None:
    assert job_id(**JOB) == "9e19e66cdfafb201b0fc7db54977806ad8ae3827211de24e513929400dce575e"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "other", [{"market": "fr"}, {"stack": "data"}, {"lineage": "x"}, {"serial": 43}, {"fingerprint": "c"}]
)
def test_another_ground_or_another_drift_is_another_job(other: dict[str, Any]) -> None:
    assert job_id(**{**JOB, **other}) != job_id(**JOB)  # type: ignore[arg-type]


def test_parts_of_a_job_cannot_flow_into_each_other() -> None:
    one = job_id(market="a/b", stack="c", lineage="d", serial=1, fingerprint="e")
    assert one != job_id(market="a", stack="b/c", lineage="d", serial=1, fingerprint="e")

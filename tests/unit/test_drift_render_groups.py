"""Stacks of which there is the same to say, and what is said of their findings where the records are not healthy."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from drift.render.groups import MOST_NAMED, groups
from drift.render.markdown import render_markdown
from drift.render.terminal import render_terminal
from records.findings import FindingKind
from records.plan_checks import CheckReport, Decision, HoldReason, StackCheck
from records.verdicts import Verdict
from tests.unit.check_samples import ALICE, changed, check, finding, inconclusive, report

DENIED = "403. Give trueup's identity the role."


def terminal(rendered: CheckReport, **given: Any) -> str:
    text = io.StringIO()
    Console(file=text, width=1000, highlight=False).print(render_terminal(rendered, **given))
    return text.getvalue()


def markdown(rendered: CheckReport, **given: Any) -> str:
    return "".join(render_markdown(rendered, **given))


TELL = pytest.mark.parametrize("tell", [terminal, markdown])
Tell = Callable[..., str]


def broken(stack: str, market: str = "de", **changes: Any) -> StackCheck:
    return inconclusive(stack, market=market, **{"why": DENIED, "diagnostics": ()} | changes)


def named(found: list[tuple[StackCheck, ...]]) -> list[list[str]]:
    return [[one.name for one in group] for group in found]


@TELL
def test_what_is_the_same_is_said_once_with_all_stacks_named(tell: Tell) -> None:
    told = tell(report([broken("app"), broken("dns", "fr"), broken("web"), inconclusive("odd")]))
    assert told.count(DENIED) == 1
    assert "de/app, de/web, fr/dns" in told
    assert "3 stacks" in told
    assert "`trueup drift check --market MARKET`" in told
    assert "`trueup drift check --market de`" in told


@TELL
def test_a_group_of_one_market_names_it(tell: Tell) -> None:
    told = tell(report([broken("app", "fr"), broken("dns", "fr")]))
    assert "`trueup drift check --market fr`" in told
    assert "MARKET" not in told


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(broken("b", why="It timed out."), id="another sentence"),
        pytest.param(broken("b", diagnostics=("error: x",)), id="another diagnostic"),
        pytest.param(check("b", HoldReason.LOCKED, why=DENIED, findings=(), job_id=None), id="another reason"),
        pytest.param(broken("b", findings=(finding(),)), id="findings of its own"),
        pytest.param(check("b", findings=(), why=DENIED), id="another decision"),
    ],
)
def test_what_differs_stands_alone(other: StackCheck) -> None:
    assert named(groups([other, broken("a")])) == [["de/a"], ["de/b"]]


def test_the_same_findings_are_never_put_together() -> None:
    assert len(groups(check(name, HoldReason.DRY_RUN) for name in "ab")) == 2


def test_groups_come_in_the_order_of_their_first_stacks() -> None:
    checks = [broken("c"), check("b", Decision.HEAL), broken("a")]
    assert named(groups(checks)) == [["de/a", "de/c"], ["de/b"]]


@TELL
def test_a_long_group_is_cut_and_says_so(tell: Tell) -> None:
    told = tell(report([broken(f"n{number:04}") for number in range(MOST_NAMED + 3)]))
    assert " and 3 more, which --format json lists" in told
    assert f"n{MOST_NAMED:04}" not in told


@TELL
def test_a_verdict_that_comes_first_is_named_with_its_command(tell: Tell) -> None:
    told = tell(report([broken("app", verdict=Verdict.STATE_MISSING)]))
    assert "which is state_missing: run `trueup reconcile --market de`" in told


@TELL
def test_verdicts_of_a_group_stand_beside_its_stacks(tell: Tell) -> None:
    odd = [broken("app", verdict=Verdict.STATE_MISSING), broken("dns", "fr", verdict=None), broken("web")]
    told = tell(report(odd))
    assert "de/app (state_missing), de/web, fr/dns" in told
    assert "run `trueup reconcile --market MARKET`" in told
    assert "brackets" not in tell(report([broken("app"), broken("web")]))


@TELL
@pytest.mark.parametrize(
    ("verdict", "why"),
    [(Verdict.PIPELINE_DRIFT, "the records' verdict is pipeline_drift"), (None, "the records could not be judged")],
)
@pytest.mark.parametrize("reason", [HoldReason.RECORDS_DISAGREE, HoldReason.PAUSED])
def test_what_may_be_a_hotfix_is_not_said_to_wait_for_a_deploy(
    tell: Tell, verdict: Verdict | None, why: str, reason: HoldReason
) -> None:
    pending = finding("a.b", kind=FindingKind.PENDING_CHANGE)
    told = tell(report([check("app", reason, verdict=verdict, findings=(pending, finding(kind=FindingKind.MIXED)))]))
    assert " ".join(told.split()).count(f"not known whether it was meant: {why}") == 2
    assert "waits for a deploy" not in told
    assert "deploy by" not in told.lower()


@TELL
def test_a_decision_that_is_withheld_does_not_deny_the_drift_below_it(tell: Tell) -> None:
    told = tell(report([check("app", HoldReason.INCONCLUSIVE, why="The policy (policy.yaml) is invalid.")]))
    assert "nothing says that it has not drifted" not in told
    assert "the decision alone is withheld" in told
    assert "nothing says that it has not drifted" in tell(report([inconclusive()]))


@TELL
@pytest.mark.parametrize(
    ("one", "is_named"),
    [
        pytest.param(inconclusive(), True, id="no plan"),
        pytest.param(inconclusive(bundle_sha256=None), False, id="no bundle"),
        pytest.param(check(decision=HoldReason.UNSAFE), True, id="an unsafe plan"),
        pytest.param(check(decision=HoldReason.INCONCLUSIVE), False, id="a plan and no decision"),
        pytest.param(check(decision=HoldReason.LOCKED), False, id="a lock"),
    ],
)
def test_the_bundle_is_named_where_a_person_may_have_to_plan_it(tell: Tell, one: StackCheck, *, is_named: bool) -> None:
    assert ("Deployed bundle: de/network/999999999999….zip" in tell(report([one]))) is is_named


@TELL
def test_where_nobody_was_asked_that_is_said_once(tell: Tell) -> None:
    rendered = report([check("app", findings=(finding(), finding("a.b"), finding("a.c", **ALICE)))])
    told = tell(rendered, has_asked=False)
    assert told.count("Nobody was asked who changed what") == 1
    assert "who changed it is not known" not in told
    assert "changed by alice@example.com" in told
    assert "Nobody was asked" not in tell(rendered)


@TELL
def test_what_is_not_shown_is_explained_once_and_only_where_it_is(tell: Tell) -> None:
    secret = finding(attributes=(changed("a", sensitive=True), changed("b", sensitive=True)))
    assert tell(report([check(findings=(secret,))])).count("is sensitive, or known after the apply alone.") == 1
    assert "is sensitive" not in tell(report([check()]))

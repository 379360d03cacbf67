"""The end of a run: what is written in which order, and what a death between two writes leaves."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from drift.checks import job_of
from drift.policy import Policy
from drift.policy_rules import Rule, RuleAction
from drift.situation import Unread
from records.errors import StoreUnavailableError
from records.faults import FaultCode, RecordKind
from records.findings import AttributeChange
from records.heal_ledger import HealStep
from records.plan_checks import Decision, HoldReason, StackCheck, StackObservation
from records.resource_changes import ResourceChange
from records.results import Run
from tests.unit.drift_samples import INVALID, ON, finding
from tests.unit.observation_samples import (
    CLICK,
    EXPIRES_AFTER,
    LATER_RUN,
    LINEAGE,
    NOW,
    RUN,
    Bench,
    CrashError,
    clicked,
    seen,
    unplanned,
)

DOWN: Final = StoreUnavailableError("somewhere", "503 ServerBusy")
WRITES: Final = ["save_check", "put", "send"]
DEATHS: Final = [(when, write) for write in WRITES for when in ("before", "after")]
LOST: Final = [("after", "put"), ("before", "send")]
"""Here the job is in the ledger, and no message of it will ever be in the queue."""


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_heal_is_kept_then_entered_then_sent(bench: Bench) -> None:
    [concluded] = await bench.conclude(clicked())
    assert concluded.check.decision is Decision.HEAL
    assert concluded.is_queued
    assert concluded.problems == ()
    assert bench.steps.done == WRITES


async def test_nothing_is_written_before_all_stacks_have_been_looked_at(bench: Bench) -> None:
    async def cut_off() -> AsyncIterator[StackObservation]:
        yield clicked()
        raise DOWN

    with pytest.raises(StoreUnavailableError):
        [concluded async for concluded in bench.conclusion().conclude(cut_off)]
    assert bench.steps.done == []


async def test_a_job_says_what_it_is_for_and_holds_no_value(bench: Bench) -> None:
    secretive = finding(paths=()).model_copy(
        update={"attributes": (AttributeChange(path="value", before="planted-before", after="planted-after"),)}
    )
    [concluded] = await bench.conclude(seen("de", "network", secretive, finding("azurerm_subnet.b")))
    [job] = bench.queue.sent
    assert (job.market, job.stack, job.lineage, job.serial) == ("de", "network", LINEAGE, 42)
    assert (job.bundle_sha256, job.fingerprint) == ("9" * 64, concluded.check.fingerprint)
    assert job.job_id == concluded.check.job_id
    assert job.addresses == ("azurerm_network_security_rule.hub", "azurerm_subnet.b")
    assert (job.queued_at, job.expires_at) == (NOW, NOW + EXPIRES_AFTER)
    assert "planted" not in job.model_dump_json()
    [row] = bench.ledger.all_rows
    assert (row.job, row.step, row.run_id) == (job, HealStep.QUEUED, RUN.run_id)


@pytest.mark.parametrize("decided", [unplanned(), seen()], ids=["a hold", "a clean stack"])
async def test_nothing_is_queued_for(bench: Bench, decided: Any) -> None:
    [concluded] = await bench.conclude(decided)
    assert not concluded.is_queued
    assert bench.steps.done == ["save_check"]
    with pytest.raises(ValueError, match="de/network: there is nothing to heal"):
        job_of(concluded.check, queued_at=NOW, expires_at=NOW)


NOT_FREE: Final = {
    "there is no policy": Policy(),
    "the policy is invalid": INVALID,
    "the policy cannot be read": Unread("403. Give the app the role."),
}


@pytest.mark.parametrize("case", NOT_FREE)
async def test_nothing_is_queued_where(bench: Bench, case: str) -> None:
    [concluded] = await bench.conclude(clicked(), policy=NOT_FREE[case])
    expected = HoldReason.DRY_RUN if case == "there is no policy" else HoldReason.INCONCLUSIVE
    assert concluded.check.reason is expected
    assert concluded.problems == ()
    assert bench.steps.done == ["save_check"]


@pytest.mark.parametrize("left_out", ["queueing", "checks"])
async def test_a_heal_is_told_and_not_queued_without(bench: Bench, left_out: str) -> None:
    [concluded] = await bench.conclude(clicked(), **{left_out: None})
    assert concluded.check.decision is Decision.HEAL
    assert not concluded.is_queued
    assert bench.ledger.all_rows == []
    assert bench.queue.sent == []


@pytest.mark.parametrize("death", DEATHS, ids=" ".join)
async def test_a_run_that_dies_goes_on_to_one_message_at_most_and_to_the_same_decision(
    bench: Bench, death: tuple[str, str]
) -> None:
    unharmed = await Bench().check_of(clicked())
    bench.steps.dies_at = death
    with pytest.raises(CrashError, match=" ".join(death)):
        await bench.conclude(clicked())

    for _ in range(3):
        [concluded] = await bench.conclude(clicked())
        assert concluded.check == unharmed
        assert concluded.is_queued, "by this run, whether this time or before"
    await bench.conclude(clicked(), run=LATER_RUN)

    assert len(bench.queue.sent) == (0 if death in LOST else 1)
    assert bench.steps.done.count("save_check") == 2, "once by each of the two runs"
    assert len(bench.ledger.all_rows) == 1


@pytest.mark.parametrize("death", LOST, ids=" ".join)
async def test_a_lost_message_is_sent_by_the_first_run_after_its_job_has_expired(
    bench: Bench, death: tuple[str, str]
) -> None:
    bench.steps.dies_at = death
    with pytest.raises(CrashError):
        await bench.conclude(clicked())

    for after, messages in (
        (EXPIRES_AFTER - timedelta(microseconds=1), 0),
        (EXPIRES_AFTER, 1),
        (EXPIRES_AFTER + timedelta(hours=1), 1),
    ):
        bench.now = NOW + after
        await bench.conclude(clicked(), run=Run(run_id=f"plans-{after}", started_at=bench.now))
        assert len(bench.queue.sent) == messages, after
    assert bench.queue.sent[0].queued_at == NOW + EXPIRES_AFTER


async def test_a_run_that_died_among_its_stacks_queues_each_once(bench: Bench) -> None:
    stacks = [clicked(stack=f"s{number}") for number in range(4)]
    bench.steps.dies_at = ("after", "send")
    with pytest.raises(CrashError):
        await bench.conclude(*stacks)
    concluded = await bench.conclude(*reversed(stacks))
    assert all(one.is_queued for one in concluded), "the first by the run that was cut off, which is the same"
    assert sorted(job.stack for job in bench.queue.sent) == ["s0", "s1", "s2", "s3"]


async def test_the_same_drift_in_the_next_run_is_the_same_job_and_sent_once(bench: Bench) -> None:
    first = await bench.check_of(clicked())
    [again] = await bench.conclude(clicked(), run=LATER_RUN)
    assert again.check.job_id == first.job_id
    assert not again.is_queued, "by this run"
    assert len(bench.queue.sent) == 1


OTHER_GROUND: Final[dict[str, dict[str, Any]]] = {
    "another serial": {"serial": 43},
    "another lineage": {"lineage": "another"},
}


@pytest.mark.parametrize("case", OTHER_GROUND)
async def test_the_same_drift_is_another_job_on(bench: Bench, case: str) -> None:
    first = await bench.check_of(clicked())
    other = await bench.check_of(clicked(**OTHER_GROUND[case]), run=LATER_RUN)
    assert other.fingerprint == first.fingerprint
    assert other.job_id != first.job_id
    assert len(bench.queue.sent) == 2


@pytest.mark.parametrize(
    ("first", "then", "decision", "messages"),
    [
        pytest.param(Policy(), ON, Decision.HOLD, 0, id="what was held stays held when the policy is freer by now"),
        pytest.param(ON, Policy(), Decision.HEAL, 1, id="what was to be healed is queued when it is stricter by now"),
    ],
)
async def test_a_check_that_this_run_has_kept_is_not_decided_again(
    bench: Bench, first: Policy, then: Policy, decision: Decision, messages: int
) -> None:
    bench.steps.dies_at = ("after", "save_check")
    with pytest.raises(CrashError):
        await bench.conclude(clicked(), policy=first)
    check = await bench.check_of(clicked(), policy=then)
    assert check.decision is decision
    assert len(bench.queue.sent) == messages
    later = await bench.check_of(clicked(), policy=then, run=LATER_RUN)
    assert later.decision is not decision


REFUSALS: Final[dict[str, tuple[str, list[str]]]] = {
    "check_of_run": ("checks", []),
    "save_check": ("checks", []),
    "put": ("ledger", ["save_check", "save_check"]),
    "send": ("queue", ["save_check", "put", "save_check"]),
}


@pytest.mark.parametrize("method", REFUSALS)
async def test_what_a_store_refuses_is_a_problem_of_that_stack_and_nothing_is_sent(bench: Bench, method: str) -> None:
    store, done = REFUSALS[method]
    getattr(bench, store).refuse(method, DOWN)
    first, second = await bench.conclude(clicked(), unplanned("fr"))
    assert first.check.decision is Decision.HEAL
    assert not first.is_queued
    [problem] = first.problems
    assert (problem.market, problem.record, problem.code) == ("de", RecordKind.RESULTS, FaultCode.UNAVAILABLE)
    assert problem.blob == "somewhere"
    assert bench.queue.sent == []
    assert bench.steps.done == done
    assert second.check.market == "fr"


async def test_a_job_that_is_too_large_for_a_message_is_a_problem(bench: Bench) -> None:
    long = finding("azurerm_network_security_rule.hub[" + "9" * 60_000 + "]")
    [concluded] = await bench.conclude(seen("de", "network", long))
    assert not concluded.is_queued
    [problem] = concluded.problems
    assert "names more resources than a message has room for" in problem.message
    assert (bench.ledger.all_rows, bench.queue.sent) == ([], []), "it is not even entered"


async def test_a_refusal_of_one_stack_keeps_no_other_from_its_heal(bench: Bench) -> None:
    class OnlyGermanyRefuses(type(bench.checks)):  # type: ignore[misc]
        async def check_of_run(self, *, run: Run, market: str, stack: str) -> Any:
            if market == "de":
                raise DOWN
            return await super().check_of_run(run=run, market=market, stack=stack)

    concluded = await bench.conclude(clicked(), clicked("fr"), checks=OnlyGermanyRefuses(bench.steps))
    assert [one.is_queued for one in concluded] == [False, True]
    assert [job.market for job in bench.queue.sent] == ["fr"]


HUB: Final = "/subscriptions/1/resourceGroups/rg/providers/Microsoft.Network/networkSecurityGroups/Hub"


async def test_who_clicked_stands_in_the_findings_and_changes_no_decision(bench: Bench) -> None:
    bench.changes.known[HUB.lower()] = ResourceChange(changed_by="alice@example.com", changed_at=NOW, client="Portal")
    click = CLICK.model_copy(update={"resource_id": HUB})
    unknown = finding("azurerm_subnet.b").model_copy(update={"resource_id": f"{HUB}-b"})
    one, other = seen("de", "network", click, unknown), seen("de", "app", click.model_copy(update={"address": "t.c"}))
    checks = [concluded.check for concluded in await bench.conclude(one, other, clicked("fr"))]
    assert bench.changes.asked == [("s-de", (HUB, f"{HUB}-b"))], "one question a subscription"
    authors = [[found.changed_by for found in check.findings] for check in checks]
    assert authors == [["alice@example.com", None], ["alice@example.com"], [None]]
    assert checks[0].findings[0].client == "Portal"
    kept = await bench.checks.check_of_run(run=RUN, market="de", stack="network")
    assert kept
    assert kept.check == checks[0]
    nobody = await Bench().check_of(one, other, clicked("fr"))
    assert without_authors(nobody) == without_authors(checks[0])


def without_authors(check: StackCheck) -> StackCheck:
    nobody = {"changed_by": None, "changed_at": None, "client": None}
    return check.model_copy(update={"findings": tuple(found.model_copy(update=nobody) for found in check.findings)})


async def test_what_a_policy_ignores_is_clean_and_leaves_a_trace(bench: Bench) -> None:
    ignoring = ON.model_copy(update={"rules": (Rule(do=RuleAction.IGNORE, address=(CLICK.address,)),)})
    check = await bench.check_of(clicked(), policy=ignoring)
    assert check.decision is Decision.CLEAN
    assert [line.partition(":")[0] for line in check.diagnostics] == [CLICK.address]
    assert check.job_id is None
    assert bench.queue.sent == []


async def test_a_job_expires_after_the_time_that_is_given(bench: Bench) -> None:
    await bench.conclude(clicked(), queueing=replace(bench.queueing, expires_after=timedelta(minutes=5)))
    assert bench.queue.sent[0].expires_at == NOW + timedelta(minutes=5)

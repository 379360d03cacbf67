"""What the alerts on portal drift, its heals and the canary say of what has come, run on rows by DuckDB (duckdb-kql)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import pytest

from records.plan_checks import HoldReason
from tests.infra.kql_queries import Rendered, Workspace
from tests.infra.kql_rows import HOUR, MINUTE, NOW, TODAY, check, heal, named, plan_run
from tests.infra.stand_in import CANARY, RUNBOOK_URL

pytestmark = pytest.mark.terraform

OF_A_STACK: Final = ("locked", "unsafe", "destructive", "protected", "mixed", "blast_radius", "approval_required")
OF_MANY_STACKS: Final = ("paused", "frozen", "fleet_wide", "dry_run")
OF_ANOTHER_ALERT: Final = ("inconclusive", "oscillating", "records_disagree")
NO_DRIFT: Final = ("pending_change",)


class TestPortalDriftHeld:
    def asked(self, rendered: Rendered, workspace: Workspace) -> list[tuple[Any, ...]]:
        return named(workspace.ask(rendered.alert("portal-drift-held")), "Market", "Stack", "Reason")

    def test_each_reason_has_its_place(self) -> None:
        placed = [*OF_A_STACK, *OF_MANY_STACKS, *OF_ANOTHER_ALERT, *NO_DRIFT]
        assert sorted(placed) == sorted(HoldReason)

    @pytest.mark.parametrize("reason", OF_A_STACK)
    def test_is_one_alert_a_stack(self, rendered: Rendered, workspace: Workspace, reason: str) -> None:
        plan_run(workspace, "p", TODAY)
        check(workspace, "p", TODAY, reason=reason)
        check(workspace, "p", TODAY, reason=reason, stack="app")
        assert self.asked(rendered, workspace) == [("de", "app", reason), ("de", "network", reason)]

    @pytest.mark.parametrize("reason", OF_MANY_STACKS)
    def test_is_one_alert_for_what_holds_many(self, rendered: Rendered, workspace: Workspace, reason: str) -> None:
        plan_run(workspace, "p", TODAY)
        for stack in ("network", "app"):
            check(workspace, "p", TODAY, reason=reason, stack=stack)
        assert self.asked(rendered, workspace) == [("*", "*", reason)]

    @pytest.mark.parametrize("reason", [*OF_ANOTHER_ALERT, *NO_DRIFT, None])
    def test_is_not_what_has_another_alert_or_none(
        self, rendered: Rendered, workspace: Workspace, reason: str | None
    ) -> None:
        plan_run(workspace, "p", TODAY)
        check(workspace, "p", TODAY, reason=reason)
        assert self.asked(rendered, workspace) == []

    def test_comes_at_most_once_a_day_for_a_drift_that_comes_and_goes(
        self, rendered: Rendered, workspace: Workspace
    ) -> None:
        plan_run(workspace, "held", TODAY - 12 * HOUR)
        check(workspace, "held", TODAY - 12 * HOUR, reason="destructive")
        plan_run(workspace, "clean", TODAY)
        assert self.asked(rendered, workspace) == [("de", "network", "destructive")]
        workspace.now = TODAY + 13 * HOUR
        assert self.asked(rendered, workspace) == []

    def test_stays_while_no_later_check_could_judge_it(self, rendered: Rendered, workspace: Workspace) -> None:
        plan_run(workspace, "held", TODAY - 26 * HOUR)
        check(workspace, "held", TODAY - 26 * HOUR, reason="destructive")
        plan_run(workspace, "blind", TODAY)
        check(workspace, "blind", TODAY, reason="inconclusive")
        assert self.asked(rendered, workspace) == [("de", "network", "destructive")]
        plan_run(workspace, "clean", TODAY + HOUR)
        workspace.now = TODAY + 2 * HOUR
        assert self.asked(rendered, workspace) == []


class TestChecks:
    def asked(self, rendered: Rendered, workspace: Workspace, name: str) -> int:
        return len(workspace.ask(rendered.alert(name)))

    def test_inconclusive_for_two_days(self, rendered: Rendered, workspace: Workspace) -> None:
        for age in range(44, 0, -4):
            at = NOW - age * HOUR
            plan_run(workspace, f"p{age}", at)
            check(workspace, f"p{age}", at, reason="inconclusive")
            if age != 20:
                check(workspace, f"p{age}", at, reason="inconclusive", stack="app")
        assert named(workspace.ask(rendered.alert("plan-inconclusive")), "Market", "Stack") == [("de", "network")]

    def test_inconclusive_since_this_morning_is_not_yet_told(self, rendered: Rendered, workspace: Workspace) -> None:
        for age in (8, 4):
            plan_run(workspace, f"p{age}", NOW - age * HOUR)
            check(workspace, f"p{age}", NOW - age * HOUR, reason="inconclusive")
        assert self.asked(rendered, workspace, "plan-inconclusive") == 0

    @pytest.mark.parametrize(("checked", "rows"), [(3, 0), (2, 1)])
    def test_fewer_stacks_than_expected(
        self, rendered: Rendered, workspace: Workspace, checked: int, rows: int
    ) -> None:
        plan_run(workspace, "p", TODAY, checked=checked)
        assert self.asked(rendered, workspace, "stacks-unchecked") == rows

    @pytest.mark.parametrize(("age", "status", "rows"), [(25, "finished", 0), (27, "finished", 1), (1, "failed", 1)])
    def test_a_missing_run(self, rendered: Rendered, workspace: Workspace, age: int, status: str, rows: int) -> None:
        assert self.asked(rendered, workspace, "plan-run-missing") == 1
        if status == "failed":
            plan_run(workspace, "before", NOW - (age + 4) * HOUR)
            assert self.asked(rendered, workspace, "plan-run-missing") == 0
        plan_run(workspace, "p", NOW - age * HOUR, status=status)
        assert self.asked(rendered, workspace, "plan-run-missing") == rows

    def test_a_problem(self, rendered: Rendered, workspace: Workspace) -> None:
        plan_run(workspace, "p", TODAY)
        workspace.event(
            "trueup.plan_problem",
            TODAY,
            plan_run__id="p",
            market="*",
            plan_problem__record="policy",
            plan_problem__code="invalid_field",
        )
        rows = workspace.ask(rendered.alert("plan-problems"))
        assert named(rows, "Market", "Record", "Fault") == [("*", "policy", "invalid_field")]


class TestHeals:
    def asked(self, rendered: Rendered, workspace: Workspace, name: str = "heal-failed") -> list[tuple[Any, ...]]:
        columns = ("Market", "Stack", "Step") if name == "heal-failed" else ("Market", "Stack")
        return named(workspace.ask(rendered.alert(name)), *columns)

    @pytest.mark.parametrize("step", ["failed", "not_converged"])
    def test_that_went_wrong(self, rendered: Rendered, workspace: Workspace, step: str) -> None:
        heal(workspace, NOW - 30 * HOUR, step=step)
        assert self.asked(rendered, workspace) == [("de", "network", step)]
        heal(workspace, NOW - HOUR, step="verified")
        assert self.asked(rendered, workspace) == []

    def test_that_went_wrong_are_told_once_a_day_however_often_they_do(
        self, rendered: Rendered, workspace: Workspace
    ) -> None:
        for hours in (6, 4, 2):
            heal(workspace, NOW - hours * HOUR, step="failed")
            heal(workspace, NOW - (hours - 1) * HOUR, step="verified")
        assert self.asked(rendered, workspace) == [("de", "network", "failed")]

    @pytest.mark.parametrize("step", ["verified", "superseded", "held", "expired"])
    def test_that_went_well_or_wait_are_not_told(self, rendered: Rendered, workspace: Workspace, step: str) -> None:
        heal(workspace, NOW - HOUR, step=step)
        assert self.asked(rendered, workspace) == []

    @pytest.mark.parametrize(
        ("jobs", "overdue"),
        [
            (["a"] * 7, True),
            (["a"] * 6, False),
            (["a"] * 6 + [None], False),
            (["b"] * 4 + ["a"] * 3, False),
            (["a", *[None] * 5, "a"], False),
        ],
        ids=["for a day", "for less", "until the newest check", "another drift since", "it was healed, and came again"],
    )
    def test_that_never_come(
        self, rendered: Rendered, workspace: Workspace, jobs: list[str | None], *, overdue: bool
    ) -> None:
        for index, job in enumerate(reversed(jobs)):
            at = NOW - HOUR - index * 4 * HOUR
            plan_run(workspace, f"p{index}", at)
            if job is not None:
                check(workspace, f"p{index}", at, reason=None, job_id=job)
        assert bool(workspace.ask(rendered.alert("heal-overdue"))) is overdue

    def test_the_breaker_by_a_check_or_by_the_worker(self, rendered: Rendered, workspace: Workspace) -> None:
        check(workspace, "p", TODAY, reason="oscillating")
        heal(workspace, NOW - HOUR, step="held", reason="oscillating", market="fr")
        heal(workspace, NOW - 27 * HOUR, step="held", reason="oscillating", market="us")
        assert self.asked(rendered, workspace, "breaker-open") == [("de", "network"), ("fr", "network")]

    def test_messages_that_were_refused_are_one_alert(self, rendered: Rendered, workspace: Workspace) -> None:
        assert workspace.ask(rendered.alert("messages-refused")) == []
        for why in ("it is no JSON", "it names no job"):
            workspace.event("trueup.heal_refused", NOW - HOUR, heal_refused__why=why)
        (row,) = workspace.ask(rendered.alert("messages-refused"))
        assert row["Messages"] == 2


class TestThePoisonQueue:
    ACCOUNT: Final = "contosoestate"

    def asked(self, rendered: Rendered, workspace: Workspace) -> int:
        return len(workspace.ask(rendered.alert("poison-queue")))

    def put(self, workspace: Workspace, operation: str, age_minutes: int, **named: str) -> None:
        where = {"queue": "auto-apply-poison", "account": self.ACCOUNT} | named
        workspace.queue_operation(operation, NOW - age_minutes * MINUTE, **where)

    def test_what_nothing_takes_out_is_told(self, rendered: Rendered, workspace: Workspace) -> None:
        self.put(workspace, "PutMessage", 90)
        assert self.asked(rendered, workspace) == 1

    @pytest.mark.parametrize("operation", ["DeleteMessage", "ClearMessages"])
    def test_what_was_taken_out_is_not(self, rendered: Rendered, workspace: Workspace, operation: str) -> None:
        self.put(workspace, "PutMessage", 90)
        self.put(workspace, operation, 80)
        assert self.asked(rendered, workspace) == 0

    def test_heal_poison_has_an_hour(self, rendered: Rendered, workspace: Workspace) -> None:
        self.put(workspace, "PutMessage", 30)
        assert self.asked(rendered, workspace) == 0

    @pytest.mark.parametrize("other", [{"queue": "auto-apply"}, {"account": "another"}, {"status": "403"}])
    def test_other_queues_accounts_and_refusals_do_not_count(
        self, rendered: Rendered, workspace: Workspace, other: dict[str, str]
    ) -> None:
        self.put(workspace, "PutMessage", 90, **other)
        assert self.asked(rendered, workspace) == 0


@pytest.mark.parametrize("name", ["canary-undetected", "canary-unhealed"])
class TestTheCanary:
    def tell(self, workspace: Workspace, name: str, at: datetime, *, market: str = CANARY) -> None:
        if name == "canary-undetected":
            check(workspace, "p", at, reason=None, market=market, findings={"portal_drift": 1, "mixed": 0})
        else:
            heal(workspace, at, step="verified", market=market)

    def test_is_told_of_where_nothing_has_ever_come(self, rendered: Rendered, workspace: Workspace, name: str) -> None:
        (row,) = workspace.ask(rendered.alert(name))
        section = {"canary-undetected": "its-drift-is-not-seen", "canary-unhealed": "its-drift-is-not-healed"}[name]
        assert (row["Market"], row["Runbook"]) == (CANARY, f"{RUNBOOK_URL}#{section}")

    @pytest.mark.parametrize(("age", "rows"), [(25, 0), (27, 1)])
    def test_has_26_hours(self, rendered: Rendered, workspace: Workspace, name: str, age: int, rows: int) -> None:
        self.tell(workspace, name, NOW - age * HOUR)
        assert len(workspace.ask(rendered.alert(name))) == rows

    def test_is_not_another_market(self, rendered: Rendered, workspace: Workspace, name: str) -> None:
        self.tell(workspace, name, NOW - HOUR, market="de")
        assert len(workspace.ask(rendered.alert(name))) == 1


@pytest.mark.parametrize(
    ("reason", "findings", "seen"),
    [
        ("inconclusive", {}, False),
        ("pending_change", {"portal_drift": 0, "mixed": 0, "pending_change": 1}, False),
        ("mixed", {"portal_drift": 0, "mixed": 1}, True),
        ("dry_run", {"portal_drift": 1, "mixed": 0}, True),
    ],
    ids=["there was no plan", "nobody changed it", "more would be changed with it", "it is held"],
)
def test_the_canarys_drift_is_seen_where_a_check_has_found_it(
    rendered: Rendered, workspace: Workspace, reason: str, findings: dict[str, int], *, seen: bool
) -> None:
    for age in range(1, 26, 4):
        check(workspace, f"p{age}", NOW - age * HOUR, reason=reason, market=CANARY, findings=findings)
    assert (workspace.ask(rendered.alert("canary-undetected")) == []) is seen


def test_a_heal_of_the_canary_that_did_not_converge_is_none(rendered: Rendered, workspace: Workspace) -> None:
    heal(workspace, NOW - HOUR, step="not_converged", market=CANARY)
    assert len(workspace.ask(rendered.alert("canary-unhealed"))) == 1

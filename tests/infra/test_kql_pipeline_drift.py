"""What the alerts on pipeline drift say of what has come, run on rows by DuckDB (duckdb-kql)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from records.faults import Fault, FaultCode, RecordKind
from records.names import MARKET_PATTERN
from records.report import Problem
from tests.infra.kql_queries import Rendered, Workspace
from tests.infra.kql_rows import HOUR, MINUTE, TODAY, YESTERDAY, disagreement, named, problem, run
from tests.infra.stand_in import RUNBOOK_URL

pytestmark = pytest.mark.terraform


class TestPipelineDrift:
    def asked(self, rendered: Rendered, workspace: Workspace, severity: str = "high") -> list[tuple[Any, ...]]:
        return named(workspace.ask(rendered.alert(f"pipeline-drift-{severity}")), "Market", "Stack", "Verdict")

    def test_is_one_alert_a_stack_by_severity(self, rendered: Rendered, workspace: Workspace) -> None:
        run(workspace, "new", TODAY)
        disagreement(workspace, "new", TODAY, verdict="pipeline_drift", severity="high")
        disagreement(workspace, "new", TODAY, stack="app", verdict="state_missing", severity="critical")
        disagreement(workspace, "new", TODAY, stack="web", verdict="registry_ahead", severity="info")
        # An activity that is delivered twice tells all of it twice.
        disagreement(workspace, "new", TODAY, verdict="pipeline_drift", severity="high")
        run(workspace, "new", TODAY)
        assert self.asked(rendered, workspace) == [("de", "network", "pipeline_drift")]
        assert self.asked(rendered, workspace, "critical") == [("de", "app", "state_missing")]
        assert self.asked(rendered, workspace, "medium") == []

    def test_links_to_the_verdicts_own_section(self, rendered: Rendered, workspace: Workspace) -> None:
        run(workspace, "new", TODAY)
        disagreement(workspace, "new", TODAY, verdict="pipeline_drift", severity="high")
        (row,) = workspace.ask(rendered.alert("pipeline-drift-high"))
        assert (row["Runbook"], row["Stacks"]) == (f"{RUNBOOK_URL}#pipeline_drift", 1)

    def test_ends_when_the_newest_run_finds_it_well(self, rendered: Rendered, workspace: Workspace) -> None:
        run(workspace, "old", YESTERDAY)
        disagreement(workspace, "old", YESTERDAY, verdict="pipeline_drift", severity="high")
        run(workspace, "new", TODAY)
        assert self.asked(rendered, workspace) == []

    def test_stays_while_the_newest_run_could_not_read_the_market(
        self, rendered: Rendered, workspace: Workspace
    ) -> None:
        run(workspace, "old", YESTERDAY)
        disagreement(workspace, "old", YESTERDAY, verdict="pipeline_drift", severity="high")
        disagreement(workspace, "old", YESTERDAY, market="fr", verdict="pipeline_drift", severity="high")
        run(workspace, "new", TODAY)
        problem(workspace, "new", TODAY, code="forbidden")
        assert self.asked(rendered, workspace) == [("de", "network", "pipeline_drift")]

    @pytest.mark.parametrize(("record", "code"), [("results", "unavailable"), ("state", "shared_state")])
    def test_ends_also_where_a_problem_cost_no_verdicts(
        self, rendered: Rendered, workspace: Workspace, record: str, code: str
    ) -> None:
        run(workspace, "old", YESTERDAY)
        disagreement(workspace, "old", YESTERDAY, verdict="pipeline_drift", severity="high")
        run(workspace, "new", TODAY)
        problem(workspace, "new", TODAY, record=record, code=code)
        assert self.asked(rendered, workspace) == []

    def test_stays_while_a_deploy_runs(self, rendered: Rendered, workspace: Workspace) -> None:
        run(workspace, "old", YESTERDAY)
        disagreement(workspace, "old", YESTERDAY, verdict="pipeline_drift", severity="high")
        run(workspace, "new", TODAY)
        disagreement(workspace, "new", TODAY, verdict="in_flight", severity="info")
        assert self.asked(rendered, workspace) == [("de", "network", "pipeline_drift")]

    def test_does_not_come_back_from_before_a_run_that_found_it_well(
        self, rendered: Rendered, workspace: Workspace
    ) -> None:
        run(workspace, "oldest", YESTERDAY)
        disagreement(workspace, "oldest", YESTERDAY, verdict="pipeline_drift", severity="high")
        run(workspace, "old", YESTERDAY + HOUR)
        run(workspace, "new", TODAY)
        problem(workspace, "new", TODAY, code="forbidden")
        assert self.asked(rendered, workspace) == []

    def test_does_not_begin_with_a_deploy(self, rendered: Rendered, workspace: Workspace) -> None:
        run(workspace, "new", TODAY)
        disagreement(workspace, "new", TODAY, verdict="in_flight", severity="info")
        assert [self.asked(rendered, workspace, severity) for severity in ("critical", "high", "medium")] == [
            [],
            [],
            [],
        ]

    def test_is_not_of_a_run_over_a_part_or_of_one_that_failed(self, rendered: Rendered, workspace: Workspace) -> None:
        run(workspace, "old", YESTERDAY)
        disagreement(workspace, "old", YESTERDAY, verdict="pipeline_drift", severity="high")
        run(workspace, "part", TODAY, scope="part")
        run(workspace, "failed", TODAY + MINUTE, status="failed")
        disagreement(workspace, "part", TODAY, stack="app", verdict="pipeline_drift", severity="high")
        assert self.asked(rendered, workspace) == [("de", "network", "pipeline_drift")]

    @pytest.mark.parametrize(("stacks", "alerts"), [(100, 100), (101, 1)])
    def test_is_one_alert_for_all_where_there_are_too_many(
        self, rendered: Rendered, workspace: Workspace, stacks: int, alerts: int
    ) -> None:
        run(workspace, "new", TODAY)
        for index in range(stacks):
            disagreement(workspace, "new", TODAY, stack=f"s{index}", verdict="pipeline_drift", severity="high")
        rows = workspace.ask(rendered.alert("pipeline-drift-high"))
        assert (len(rows), sum(row["Stacks"] for row in rows)) == (alerts, stacks)
        assert {row["Market"] for row in rows} == ({"de"} if alerts > 1 else {"*"})


class TestARun:
    def test_the_markets_unread_are_those_of_the_code(self, rendered: Rendered, workspace: Workspace) -> None:
        run(workspace, "new", TODAY)
        problems = [
            Problem.of(market, Fault(record=record, code=code, blob="b", message="m", remedy="r"))
            for market in ("de", "emea/fr", "Not A Market", "*")
            for record in RecordKind
            for code in FaultCode
        ]
        for one in problems:
            problem(workspace, "new", TODAY, market=one.market, record=str(one.record), code=str(one.code))
        unread = {one.market for one in problems if one.costs_verdicts}
        assert {row["Market"] for row in workspace.ask(rendered.alert("markets-unread"))} == unread
        told = {(one.market, str(one.code)) for one in problems if one.costs_verdicts}
        others = {(one.market, str(one.code)) for one in problems} - told
        assert set(named(workspace.ask(rendered.alert("run-problems")), "Market", "Fault")) == others
        assert MARKET_PATTERN in rendered.alert("markets-unread")

    def test_a_market_that_is_read_again_is_unread_no_more(self, rendered: Rendered, workspace: Workspace) -> None:
        run(workspace, "old", YESTERDAY)
        problem(workspace, "old", YESTERDAY, code="forbidden")
        assert len(workspace.ask(rendered.alert("markets-unread"))) == 1
        run(workspace, "new", TODAY)
        assert workspace.ask(rendered.alert("markets-unread")) == []

    @pytest.mark.parametrize(("checked", "rows"), [(3, 0), (2, 1)])
    def test_fewer_markets_than_expected(
        self, rendered: Rendered, workspace: Workspace, checked: int, rows: int
    ) -> None:
        assert workspace.ask(rendered.alert("markets-unchecked")) == []
        run(workspace, "new", TODAY, checked=checked)
        assert len(workspace.ask(rendered.alert("markets-unchecked"))) == rows


class TestTheDaysRun:
    @pytest.mark.parametrize(
        ("now", "started", "status", "missing"),
        [
            # Summer: 6:00 is 4:00 in UTC.
            ("2026-06-17T05:30Z", "2026-06-17T04:00Z", "finished", False),
            ("2026-06-17T05:30Z", "2026-06-16T04:00Z", "finished", True),
            ("2026-06-17T04:59Z", "2026-06-16T04:00Z", "finished", False),
            ("2026-06-17T05:00Z", "2026-06-16T04:00Z", "finished", True),
            ("2026-06-17T05:30Z", "2026-06-17T03:59:59Z", "finished", False),
            ("2026-06-17T05:30Z", "2026-06-17T03:30Z", "finished", True),
            ("2026-06-17T05:30Z", "2026-06-17T05:10Z", "finished", False),
            ("2026-06-17T04:30Z", "2026-06-17T04:00Z", "failed", True),
            # The clock goes forward at 1:00 in UTC: yesterday's 6:00 was 5:00 in UTC, today's is 4:00.
            ("2026-03-29T04:59Z", "2026-03-28T05:00Z", "finished", False),
            ("2026-03-29T05:01Z", "2026-03-28T05:00Z", "finished", True),
            ("2026-03-29T05:01Z", "2026-03-29T04:00Z", "finished", False),
            # It goes back: yesterday's was 4:00 in UTC, today's is 5:00.
            ("2026-10-25T05:59Z", "2026-10-24T04:00Z", "finished", False),
            ("2026-10-25T06:01Z", "2026-10-24T04:00Z", "finished", True),
            ("2026-10-25T06:01Z", "2026-10-25T05:00Z", "finished", False),
            ("2026-10-25T06:01Z", "2026-10-25T04:00Z", "finished", True),
        ],
        ids=[
            "today's has finished",
            "only yesterday's has",
            "it is not 7:00 yet",
            "it is 7:00",
            "the timer was early by a moment",
            "somebody ran it at half past five",
            "somebody ran it since",
            "today's has failed, and is told of at once",
            "forward, before 7:00",
            "forward, after 7:00",
            "forward, today's has finished",
            "back, before 7:00",
            "back, after 7:00",
            "back, today's has finished",
            "back, one an hour too early",
        ],
    )
    def test_is_missing(self, rendered: Rendered, now: str, started: str, status: str, *, missing: bool) -> None:
        workspace = Workspace(now=datetime.fromisoformat(now))
        at = datetime.fromisoformat(started)
        if status == "failed":
            run(workspace, "yesterday", at - timedelta(days=1))
        run(workspace, "run", at, status=status)
        assert bool(workspace.ask(rendered.alert("run-missing"))) is missing

    def test_is_missing_where_nothing_has_ever_come(self, rendered: Rendered, workspace: Workspace) -> None:
        assert len(workspace.ask(rendered.alert("run-missing"))) == 1

    def test_that_still_runs_at_seven_is_missing_until_it_has_finished(
        self, rendered: Rendered, workspace: Workspace
    ) -> None:
        run(workspace, "old", YESTERDAY)
        assert len(workspace.ask(rendered.alert("run-missing"))) == 1
        run(workspace, "new", TODAY)
        assert workspace.ask(rendered.alert("run-missing")) == []

    def test_over_a_part_does_not_count(self, rendered: Rendered, workspace: Workspace) -> None:
        run(workspace, "part", TODAY, scope="part")
        assert len(workspace.ask(rendered.alert("run-missing"))) == 1

    def test_that_failed_and_was_made_up_for_is_not_missing(self, rendered: Rendered, workspace: Workspace) -> None:
        run(workspace, "failed", TODAY, status="failed")
        run(workspace, "again", TODAY + HOUR)
        assert workspace.ask(rendered.alert("run-missing")) == []

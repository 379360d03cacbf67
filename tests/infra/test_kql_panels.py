"""Every panel of the workbook answers, run on rows by DuckDB (duckdb-kql)."""

from __future__ import annotations

import pytest

from tests.infra.kql_queries import Rendered, Workspace
from tests.infra.kql_rows import HOUR, NOW, TODAY, check, disagreement, heal, module_pin, plan_run, problem, run

pytestmark = pytest.mark.terraform


def test_every_panel_of_the_workbook_answers(rendered: Rendered, workspace: Workspace) -> None:
    run(workspace, "new", TODAY)
    disagreement(workspace, "new", TODAY, verdict="pipeline_drift", severity="high")
    problem(workspace, "new", TODAY, code="forbidden")
    module_pin(workspace, "new", TODAY)
    plan_run(workspace, "p", TODAY)
    check(workspace, "p", TODAY, reason="destructive")
    heal(workspace, NOW - HOUR, step="verified")
    workspace.rows["AppMetrics"].append(
        {"TimeGenerated": TODAY, "Name": "trueup.stacks", "Sum": 2.0, "Properties": '{"trueup.tier": "1"}'}
    )
    assert {panel for (_, panel), query in rendered.panels.items() if not workspace.ask(query)} == set()

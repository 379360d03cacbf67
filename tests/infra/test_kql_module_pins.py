"""The alert on module pins, run on rows by DuckDB (duckdb-kql)."""

from __future__ import annotations

import pytest

from tests.infra.kql_queries import Rendered, Workspace
from tests.infra.kql_rows import TODAY, YESTERDAY, module_pin, run
from tests.infra.stand_in import RUNBOOK_URL

pytestmark = pytest.mark.terraform


def modules(rendered: Rendered, workspace: Workspace) -> list[object]:
    return [row["Module"] for row in workspace.ask(rendered.alert("moved-tags"))]


def test_a_moved_tag_is_told_with_its_module_and_what_to_do(rendered: Rendered, workspace: Workspace) -> None:
    run(workspace, "new", TODAY)
    module_pin(workspace, "new", TODAY, moved_tags=1)
    module_pin(workspace, "new", TODAY, module="avm-res-network-virtualnetwork")
    (row,) = workspace.ask(rendered.alert("moved-tags"))
    assert row["Module"] == "avm-res-keyvault-vault"
    assert row["MovedTags"] == 1
    assert row["Runbook"] == f"{RUNBOOK_URL}#a-moved-tag"


def test_it_ends_with_the_run_that_no_longer_tells_it(rendered: Rendered, workspace: Workspace) -> None:
    run(workspace, "old", YESTERDAY)
    module_pin(workspace, "old", YESTERDAY, moved_tags=1)
    assert modules(rendered, workspace) == ["avm-res-keyvault-vault"]
    run(workspace, "new", TODAY)
    module_pin(workspace, "new", TODAY)
    assert modules(rendered, workspace) == []


def test_a_run_that_failed_or_was_of_a_part_ends_nothing(rendered: Rendered, workspace: Workspace) -> None:
    run(workspace, "old", YESTERDAY)
    module_pin(workspace, "old", YESTERDAY, moved_tags=1)
    run(workspace, "failed", TODAY, status="failed")
    run(workspace, "part", TODAY, scope="part")
    assert modules(rendered, workspace) == ["avm-res-keyvault-vault"]

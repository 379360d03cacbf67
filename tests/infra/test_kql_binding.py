"""Every query, as Terraform renders it, parses and binds by Microsoft's own parser to the columns that its tables have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.infra.kql_queries import ALERT, Bound, ParserNotInstalledError, Rendered, bind
from tests.infra.stand_in import CANARY, INFRA, RUNBOOK_URL, VARIABLES, Module, copy_module

pytestmark = pytest.mark.terraform

MOST_DIMENSIONS: Final = 6
MOST_BYTES_OF_A_RULE: Final = 64 * 1024
UNSUPPORTED: Final = re.compile(r"\b(bag_unpack|pivot|narrow|search|union|limit|take|AggregatedValue)\b")
"""In a log search alert: https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule and, of `search`,
`union`, `limit` and `take`, https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-log-query."""


@pytest.fixture(scope="module")
def bound(rendered: Rendered) -> dict[str, Bound]:
    try:
        return bind(rendered.queries)
    except ParserNotInstalledError as missing:
        pytest.skip(f"needs the parser of KQL: {missing}")


def test_every_query_binds(rendered: Rendered, bound: dict[str, Bound]) -> None:
    assert {name: query.errors for name, query in bound.items() if query.errors} == {}
    assert len(bound) == len(rendered.rules) + len([*(INFRA / "workbook").glob("*.kql")])


@pytest.mark.parametrize(
    ("right", "wrong", "error"),
    [
        ("Properties[", "Propertys[", "KS142 at 'Propertys'"),
        ("tostring(", "tostrng(", "KS211 at 'tostrng'"),
        ("| summarize", "| sumarize", "KS176 at 'sumarize'"),
        ("arg_max(StartedAt, RunId)", "arg_max(StartedAt)", "KS145 at 'RunId'"),
        ("by Market, Stack, Verdict", "by Market, Stack, Verdikt", "KS142 at 'Verdikt'"),
        ("AppEvents\n", "AppEvent\n", "KS204 at 'AppEvent'"),
    ],
    ids=["a column", "a function", "an operator", "a column that is not kept", "a column of its own", "a table"],
)
def test_a_misspelling_is_an_error(rendered: Rendered, right: str, wrong: str, error: str) -> None:
    query = rendered.alert("pipeline-drift-high")
    assert right in query
    try:
        found = bind({"planted": query.replace(right, wrong)})["planted"].errors
    except ParserNotInstalledError as missing:
        pytest.skip(f"needs the parser of KQL: {missing}")
    assert any(one.startswith(error) for one in found), found


def test_a_rule_splits_by_columns_that_its_query_has(rendered: Rendered, bound: dict[str, Bound]) -> None:
    for name, rule in rendered.rules.items():
        columns = bound[f"alert {name}"].columns
        dimensions = [dimension["name"] for dimension in rule["criteria"][0]["dimension"]]
        assert len(dimensions) <= MOST_DIMENSIONS
        assert {columns[dimension] for dimension in dimensions} <= {"string"}, name
        assert not dimensions or dimensions[-1] == "Runbook", name
        assert columns["Runbook"] == "string", name


def test_a_rule_without_dimensions_has_one_row_at_most(rendered: Rendered) -> None:
    for name, rule in rendered.rules.items():
        if not rule["criteria"][0]["dimension"]:
            last = [line for line in rendered.alert(name).split("\n| ") if line.startswith("summarize ")][-1]
            assert " by " not in last, name


def test_no_rule_uses_what_alerts_do_not_support(rendered: Rendered) -> None:
    for name in rendered.rules:
        query = re.sub(r"^\s*//.*$", "", rendered.alert(name), flags=re.MULTILINE)
        assert UNSUPPORTED.findall(query) == [], name
        assert all(re.fullmatch(r"\d+[dhm]", ago) for ago in re.findall(r"\bago\(([^)]*)\)", query)), name


def test_no_rule_is_too_large(rendered: Rendered) -> None:
    assert max(len(str(rule).encode()) for rule in rendered.rules.values()) < MOST_BYTES_OF_A_RULE


def test_no_place_is_left_to_fill(rendered: Rendered) -> None:
    for name, query in rendered.queries.items():
        assert "${" not in query, name


def test_a_name_has_its_quotation_marks(rendered: Rendered) -> None:
    assert f'== "{CANARY}"' in rendered.alert("canary-unhealed")
    assert f'strcat("{RUNBOOK_URL}#", Verdict)' in rendered.alert("pipeline-drift-high")


def test_without_a_canary_market_there_is_no_alert_on_it(cli_config: Path, tmp_path: Path) -> None:
    variables = {**VARIABLES, "market_for_canary": None}
    module: Module = copy_module(INFRA, tmp_path / "infra", cli_config=cli_config, variables=variables)
    module.apply()
    names = {each["index"] for each in module.resources() if each["type"] == ALERT}
    assert "run-missing" in names
    assert not {name for name in names if "canary" in name}


def test_every_panel_is_in_one_tab(rendered: Rendered) -> None:
    panels = [panel for _, panel in rendered.panels]
    assert sorted(panels) == sorted(file.stem for file in (INFRA / "workbook").glob("*.kql"))
    assert {tab for tab, _ in rendered.panels} == {"pipeline", "portal", "pins"}
    asked = {
        tab: "".join(text for (of, _), text in rendered.panels.items() if of == tab)
        for tab in ("pipeline", "portal", "pins")
    }
    assert not re.search(r'"trueup\.(plan_|portal_|heal)', asked["pipeline"])
    assert not re.search(r'"trueup\.(run|disagreement|problem|stacks|module_pin)\b', asked["portal"])
    assert not re.search(r'"trueup\.(disagreement|problem|stacks|plan_|portal_|heal)', asked["pins"])
    assert "trueup.module_pin" not in asked["pipeline"]

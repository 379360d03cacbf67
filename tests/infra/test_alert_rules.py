"""What would keep an alert from ever coming, as deployed."""

from __future__ import annotations

import pytest

from tests.infra.stand_in import JsonObject, Module

pytestmark = pytest.mark.terraform


@pytest.fixture(scope="module")
def rules(deployed: Module) -> dict[str, JsonObject]:
    found = {
        each["index"]: each["values"]
        for each in deployed.resources()
        if each["type"] == "azurerm_monitor_scheduled_query_rules_alert_v2"
    }
    assert len(found) > 15
    return found


def test_one_row_is_an_alert(rules: dict[str, JsonObject]) -> None:
    for name, rule in rules.items():
        (criteria,) = rule["criteria"]
        asked = (criteria["time_aggregation_method"], criteria["operator"], criteria["threshold"])
        assert asked == ("Count", "GreaterThan", 0), name
        (failing,) = criteria["failing_periods"]
        assert failing["minimum_failing_periods_to_trigger_alert"] == failing["number_of_evaluation_periods"] == 1, name


def test_each_rule_looks_once_an_hour_at_least_and_two_days_back(rules: dict[str, JsonObject]) -> None:
    for name, rule in rules.items():
        assert rule["evaluation_frequency"] in ("PT15M", "PT1H"), name
        assert rule["window_duration"] == "P2D", name
        assert rule["enabled"] is not False, name


def test_each_rule_asks_the_workspace_and_tells_on_call(rules: dict[str, JsonObject], deployed: Module) -> None:
    ids = {each["address"]: each["values"]["id"] for each in deployed.resources()}
    for name, rule in rules.items():
        assert rule["scopes"] == [ids["azurerm_log_analytics_workspace.trueup"]], name
        assert rule["action"][0]["action_groups"] == [ids["azurerm_monitor_action_group.on_call"]], name


def test_what_the_poison_queue_s_alert_counts_is_logged(deployed: Module) -> None:
    (logged,) = [
        each["values"]
        for each in deployed.resources()
        if each["address"] == 'azurerm_monitor_diagnostic_setting.estate["queueServices"]'
    ]
    assert {one["category"] for one in logged["enabled_log"]} == {"StorageWrite", "StorageDelete"}
    assert logged["target_resource_id"].endswith("/queueServices/default")


def test_a_service_s_log_is_sent_to_the_workspace_once(deployed: Module) -> None:
    """Azure refuses a second setting that sends the same."""
    targets = [
        each["values"]["target_resource_id"]
        for each in deployed.resources()
        if each["type"] == "azurerm_monitor_diagnostic_setting"
    ]
    assert len(targets) == len(set(targets)) == 3

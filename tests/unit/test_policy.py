"""The policy: what it means, and that nothing that is misspelt is passed over."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.policy import InvalidPolicy, Limits, Policy, parse_policy, under_settings
from drift.policy_rules import Rule, RuleAction, matches_attribute, matches_glob, rule_on
from drift.protected import ONE_WAY_DOORS, doors_before
from records.findings import FindingKind
from records.heals import HealMode
from tests.unit.drift_samples import RULE, finding

WINDOW = {"cron": "0 18 * * fri", "duration": "2d14h", "zone": "Europe/Berlin"}
WHOLE: dict[str, Any] = {
    "schema_version": 1,
    "kill_switch": {"why": "CHG-1", "market": "emea/*"},
    "heal_mode": "on",
    "heal_mode_by_market": [{"market": ["apac/*", "no"], "mode": "off"}],
    "freeze_windows": [{**WINDOW, "market": "*", "why": "weekend"}],
    "protected": {"type": "azurerm_firewall*", "address": ['module.hub["a"].*']},
    "rules": [{"do": "ignore", "attribute": "tags.*", "why": "Azure Policy tags"}, {"do": "ask", "stack": "data"}],
    "limits": {
        "heal_max_resources": 5, "heal_max_percent": 10, "breaker_count": 2, "breaker_hours": 12, "fleet_percent": 50,
    },
}  # fmt: skip


def parsed(values: object) -> Policy:
    policy = parse_policy(values, {})
    assert isinstance(policy, Policy), policy
    return policy


def test_a_policy_with_all_that_can_be_said() -> None:
    policy = parsed(WHOLE)
    assert policy.mode_of("emea/de") is HealMode.ON
    assert policy.mode_of("apac/jp") is HealMode.OFF
    assert policy.limits.heal_max_percent == 10
    assert policy.rules[0].attribute == ("tags.*",)


def test_a_policy_that_says_nothing_heals_nothing_and_has_the_designs_limits() -> None:
    policy = parsed({})
    assert policy == Policy()
    assert policy.mode_of("de") is HealMode.DRY_RUN
    assert policy.limits.model_dump() == {
        "heal_max_resources": 10, "heal_max_percent": 20, "breaker_count": 3, "breaker_hours": 24, "fleet_percent": 30,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"rulez": []}, "rulez", "there is no such field"),
        ({"rules": [{"do": "heal", "adress": "x"}]}, "rules[0].adress", "there is no such field"),
        ({"rules": [{"do": "heel"}]}, "rules[0].do", "'ignore', 'heal', 'ask' or 'never'"),
        ({"rules": [{"stack": "x"}]}, "rules[0].do", "is missing"),
        ({"rules": [{"do": "ask", "market": "DE"}]}, "rules[0].market[0]", "no market or stack is so spelt"),
        ({"rules": [{"do": "ask", "type": "azurerm.x"}]}, "rules[0].type[0]", "no resource type is so spelt"),
        ({"rules": [{"do": "ask", "address": " a"}]}, "rules[0].address[0]", "without spaces around it"),
        ({"rules": [{"do": "ask", "address": []}]}, "rules[0].address", "at least 1 item"),
        ({"rules": [{"do": "ignore"}]}, "rules[0]", "ignores everything"),
        ({"rules": [{"do": "ignore", "type": ["x", "**"]}]}, "rules[0]", "ignores everything"),
        ({"rules": {"do": "ask"}}, "rules", "must be a list"),
        ({"rules": ["ask"]}, "rules[0]", "must hold fields of its own"),
        ({"kill_switch": True}, "kill_switch", "must hold fields of its own"),
        ({"kill_switch": {"why": " "}}, "kill_switch.why", "at least 1 character"),
        ({"heal_mode": True}, "heal_mode", "'off', 'dry-run' or 'on'"),
        ({"heal_mode_by_market": [{"market": "de", "mode": "dry"}]}, "heal_mode_by_market[0].mode", "'dry-run'"),
        ({"freeze_windows": [{**WINDOW, "zone": "Berlin"}]}, "freeze_windows[0].zone", "no such IANA time zone"),
        ({"freeze_windows": [{**WINDOW, "zone": "../etc"}]}, "freeze_windows[0].zone", "no such IANA time zone"),
        ({"freeze_windows": [{**WINDOW, "cron": "0 0 18 * * 5"}]}, "freeze_windows[0].cron", "five fields"),
        ({"freeze_windows": [{**WINDOW, "duration": "62"}]}, "freeze_windows[0].duration", "days, hours and minutes"),
        ({"limits": {"heal_max_percent": "20"}}, "limits.heal_max_percent", "valid integer"),
        ({"limits": {"heal_max_percent": True}}, "limits.heal_max_percent", "valid integer"),
        ({"limits": {"heal_max_percent": 101}}, "limits.heal_max_percent", "less than or equal to 100"),
        ({"limits": {"breaker_count": 0}}, "limits.breaker_count", "greater than or equal to 1"),
        ({"limits": {"HEAL_MAX_RESOURCES": 1}}, "limits.HEAL_MAX_RESOURCES", "there is no such field"),
        ({"protected": ["azurerm_firewall"]}, "protected", "must hold fields of its own"),
        ({"schema_version": 2}, "schema_version", "knows version 1 alone: upgrade trueup"),
        ({"schema_version": True}, "schema_version", "valid integer"),
    ],
)
def test_an_invalid_policy_says_which_field(change: dict[str, Any], field: str, words: str) -> None:
    invalid = parse_policy({**WHOLE, **change}, {})
    assert isinstance(invalid, InvalidPolicy)
    assert [fault.field for fault in invalid.faults] == [field]
    assert words in invalid.faults[0].message


@pytest.mark.parametrize("values", [None, [], "on", 3])
def test_a_policy_that_is_no_mapping_is_invalid(values: object) -> None:
    invalid = parse_policy(values, {(): 1})
    assert str(invalid) == "line 1: must hold fields of its own"


def test_a_fault_is_told_by_its_line_or_by_that_of_what_holds_it() -> None:
    lines = {(): 1, ("rules",): 2, ("rules", 0): 3, ("rules", 0, "stack"): 4, ("limitz",): 9}
    invalid = parse_policy({"limitz": 1, "rules": [{"stack": "UP"}]}, lines)
    assert isinstance(invalid, InvalidPolicy)
    assert [(fault.line, fault.field) for fault in invalid.faults] == [
        (3, "rules[0].do"), (4, "rules[0].stack[0]"), (9, "limitz"),
    ]  # fmt: skip
    assert str(invalid) == "line 3, rules[0].do: is missing (and 2 more)"


@pytest.mark.parametrize(
    ("in_the_policy", "in_the_settings", "effective"),
    [
        (None, None, "dry-run"),
        (None, "on", "on"),
        (None, "off", "off"),
        ("on", None, "on"),
        ("on", "on", "on"),
        ("on", "dry-run", "dry-run"),
        ("on", "off", "off"),
        ("dry-run", "on", "dry-run"),
        ("off", "on", "off"),
    ],
)
def test_no_policy_is_freer_than_the_settings(
    in_the_policy: str | None, in_the_settings: str | None, effective: str
) -> None:
    mode = HealMode(in_the_settings) if in_the_settings else None
    policy = parsed({"heal_mode": in_the_policy} if in_the_policy else {})
    assert under_settings(policy, mode=mode, limits=Limits()).mode_of("de") == effective
    if in_the_policy:
        by_market = parsed({"heal_mode_by_market": [{"market": "de", "mode": in_the_policy}]})
        assert under_settings(by_market, mode=mode, limits=Limits()).mode_of("de") == effective


def test_the_settings_fill_the_limits_that_a_policy_leaves_out() -> None:
    policy = parsed({"limits": {"heal_max_resources": 10}})
    effective = under_settings(policy, mode=None, limits=Limits(heal_max_resources=4, breaker_count=7)).limits
    assert effective == Limits(heal_max_resources=10, breaker_count=7)


@pytest.mark.parametrize(
    ("glob", "text", "fits"),
    [
        ("*", "", True),
        ("a", "a", True),
        ("a", "ab", False),
        ("a*", "a", True),
        ("*.tags", "x.tags", True),
        ("a*a", "a", False),
        ("a*b*c", "a-b-b-c", True),
        ("a*bc*c", "abc", False),
        ('m["x"].r[0]', 'm["x"].r[0]', True),
        ("r[*].access", "r[12].access", True),
        ("r[0-9]", "r5", False),
        ("a?", "ab", False),
        ("a.b", "aXb", False),
        ("A", "a", False),
    ],
)
def test_a_glob(glob: str, text: str, *, fits: bool) -> None:
    assert matches_glob(glob, text) == fits


@pytest.mark.parametrize(
    ("glob", "path", "fits"),
    [
        ("tags.*", "tags.owner", True),
        ("tags.*", 'tags["cost-center"]', True),
        ("tags.cost-center", 'tags["cost-center"]', True),
        ('tags["cost-center"]', 'tags["cost-center"]', True),
        ("tags.*", "tags_all.owner", False),
        ("rule[*].access", "rule[2].access", True),
        ("rule.*", "rule[2].access", False),
    ],
)
def test_an_attribute(glob: str, path: str, *, fits: bool) -> None:
    assert matches_attribute((glob,), path) == fits


@given(st.text("ab*", max_size=6), st.text("ab", max_size=8))
def test_a_glob_fits_what_a_plain_search_says(glob: str, text: str) -> None:
    def fits(glob: str, text: str) -> bool:
        if not glob:
            return not text
        if glob[0] == "*":
            return any(fits(glob[1:], text[at:]) for at in range(len(text) + 1))
        return text[:1] == glob[0] and fits(glob[1:], text[1:])

    assert matches_glob(glob, text) == fits(glob, text)


def test_no_glob_is_slow() -> None:
    assert not matches_glob("a*" * 2000 + "b", "a" * 100_000)


TAGS = Rule(do=RuleAction.IGNORE, attribute=("tags.*",))
ASK = Rule(do=RuleAction.ASK)
NEVER = Rule(do=RuleAction.NEVER, attribute=("access",))
HEAL = Rule(do=RuleAction.HEAL, attribute=("access",))


@pytest.mark.parametrize(
    ("rules", "paths", "action", "number", "ignored"),
    [
        pytest.param([], ("access",), RuleAction.HEAL, None, (), id="no rule"),
        pytest.param([TAGS], ("tags.a", "tags.b"), RuleAction.IGNORE, 1, ("tags.a", "tags.b"), id="all is ignored"),
        pytest.param([TAGS], ("tags.a", "access"), RuleAction.HEAL, None, ("tags.a",), id="a part is ignored"),
        pytest.param([TAGS, NEVER], ("tags.a", "access"), RuleAction.NEVER, 2, ("tags.a",), id="the strictest"),
        pytest.param([TAGS, ASK], ("tags.a",), RuleAction.IGNORE, 1, ("tags.a",), id="the first"),
        pytest.param([ASK, TAGS], ("tags.a",), RuleAction.ASK, 1, (), id="the first, asking"),
        pytest.param([HEAL, NEVER, ASK], ("access",), RuleAction.HEAL, 1, (), id="the first, healing"),
        pytest.param([HEAL, ASK], ("access", "name"), RuleAction.ASK, 2, (), id="a rule for each attribute"),
        pytest.param([TAGS, NEVER], (), RuleAction.HEAL, None, (), id="rules by attribute, and none named"),
        pytest.param([TAGS, ASK], (), RuleAction.ASK, 2, (), id="a rule for whole findings"),
    ],
)
def test_the_first_rule_that_matches_counts_attribute_by_attribute(
    rules: list[Rule], paths: tuple[str, ...], action: RuleAction, number: int | None, ignored: tuple[str, ...]
) -> None:
    ruled = rule_on(rules, "de", "network", finding(paths=paths))
    assert (ruled.action, ruled.rule and ruled.rule.number, ruled.ignored_attributes) == (action, number, ignored)


@pytest.mark.parametrize(
    ("fields", "matches"),
    [
        ({"market": "emea/*"}, True),
        ({"market": ["apac/*", "emea/de"]}, True),
        ({"market": "emea"}, False),
        ({"stack": "net*"}, True),
        ({"stack": "data"}, False),
        ({"type": RULE}, True),
        ({"type": "azurerm_key*"}, False),
        ({"address": "*.hub"}, True),
        ({"address": "hub"}, False),
        ({"attribute": "access"}, True),
        ({"attribute": "tags.*"}, False),
        ({"market": "emea/*", "stack": "data"}, False),
    ],
)
def test_a_rule_matches_where_each_of_its_fields_does(fields: dict[str, Any], *, matches: bool) -> None:
    rule = parsed({"rules": [{"do": "ask", **fields}]}).rules[0]
    assert (rule_on([rule], "emea/de", "network", finding()).action is RuleAction.ASK) == matches


def test_what_is_unsafe_is_ruled_by_the_next_rule() -> None:
    ruled = rule_on([TAGS, ASK], "de", "network", finding(kind=FindingKind.UNSAFE, paths=("tags.a",)))
    assert (ruled.action, ruled.ignored_by) == (RuleAction.ASK, None)


@pytest.mark.parametrize(
    ("type_", "actions", "paths", "is_a_door"),
    [
        ("azurerm_storage_account", ("create",), (), True),
        ("azurerm_storage_account", ("update",), ("public_network_access_enabled",), False),
        ("azurerm_storage_account", ("update",), ("customer_managed_key[0].key_vault_key_id",), True),
        ("azurerm_linux_virtual_machine", ("create",), (), True),
        ("azurerm_linux_virtual_machine", ("update",), ("os_disk[0].disk_size_gb",), True),
        ("azurerm_kubernetes_cluster", ("update",), ("default_node_pool[0].orchestrator_version",), True),
        ("azurerm_kubernetes_cluster", ("update",), ("api_server_access_profile[0].authorized_ip_ranges[0]",), False),
        ("azurerm_recovery_services_vault", ("update",), ("immutability",), True),
        ("azurerm_key_vault_secret", ("update",), ("value",), True),
        ("azurerm_key_vault_secret", ("update",), ("tags.a",), False),
        ("azurerm_subscription", ("update",), ("tags.a",), True),
        ("azurerm_network_security_rule", ("create",), (), False),
    ],
)
def test_the_one_way_doors(type_: str, actions: tuple[str, ...], paths: tuple[str, ...], *, is_a_door: bool) -> None:
    assert any(doors_before(finding(type_=type_, actions=actions, paths=paths))) == is_a_door


@pytest.mark.parametrize(
    "type_",
    [
        "azapi_resource",
        "azurerm_app_configuration",
        "azurerm_databricks_workspace",
        "azurerm_dns_zone",
        "azurerm_elastic_san_volume",
        "azurerm_iothub",
        "azurerm_machine_learning_workspace",
        "azurerm_managed_redis",
        "azurerm_mongo_cluster",
        "azurerm_oracle_autonomous_database",
        "azurerm_private_dns_zone",
        "azurerm_public_ip",
        "azurerm_snapshot",
        "azurerm_storage_blob",
        "azurerm_storage_data_lake_gen2_filesystem",
        "azurerm_synapse_sql_pool",
        "azurerm_synapse_workspace",
        "azurerm_user_assigned_identity",
    ],
)
def test_what_a_new_one_does_not_bring_back_is_a_one_way_door(type_: str) -> None:
    assert any(doors_before(finding(type_=type_, actions=("create",), paths=())))
    assert not any(doors_before(finding(type_=type_, paths=("tags.a",))))


def test_every_door_says_why() -> None:
    assert all(door.types and door.why and not door.why.endswith(".") for door in ONE_WAY_DOORS)

"""Who may do what, as deployed: held against docs/security.md, and against what no duty must ever be able to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import pytest

from adapters import table_names
from adapters.settings import Settings
from records.heals import POISON_QUEUE, QUEUE
from tests.infra.stand_in import INFRA, MARKETS, VARIABLES, JsonObject, Module
from tests.world.commands import ROOT

pytestmark = pytest.mark.terraform

DUTIES: Final = ("reconcile", "plan", "apply")
READING: Final = {"Reader", "Storage Blob Data Reader", "Storage Table Data Reader", "Storage Queue Data Reader"}
OF_THE_HOST: Final = {"Storage Blob Data Owner", "Storage Queue Data Contributor", "Storage Table Data Contributor"}


class Grant(NamedTuple):
    """A role that an identity has somewhere."""

    duty: str
    role: str
    scope: str

    @property
    def writes(self) -> bool:
        return self.role not in READING


@pytest.fixture(scope="module")
def grants(deployed: Module) -> list[Grant]:
    resources = deployed.resources()
    duty_of = {
        each["values"]["principal_id"]: each["index"]
        for each in resources
        if each["type"] == "azurerm_user_assigned_identity"
    }
    assert sorted(duty_of.values()) == sorted(DUTIES)
    return [
        Grant(duty_of[each["principal_id"]], each["role_definition_name"], each["scope"])
        for each in assignments(deployed)
        if each["principal_type"] == "ServicePrincipal"
    ]


@pytest.fixture(scope="module")
def of_people(deployed: Module) -> dict[str, set[tuple[str, str]]]:
    """Role and scope of each group of people."""
    groups: Mapping[str, list[str]] = VARIABLES["people"]
    return {
        group: {
            (each["role_definition_name"], "/".join(each["scope"].split("/")[-2:]))
            for each in assignments(deployed)
            if each["principal_type"] == "Group" and each["principal_id"] in ids
        }
        for group, ids in groups.items()
    }


def assignments(deployed: Module) -> list[JsonObject]:
    return [each["values"] for each in deployed.resources() if each["type"] == "azurerm_role_assignment"]


def on_estate(grants: list[Grant]) -> list[Grant]:
    return [
        grant
        for grant in grants
        if re.search(r"/(containers|tables|queues)/[a-z-]+$", grant.scope) and "tfus" not in grant.scope
    ]


def on_markets(grants: list[Grant]) -> list[Grant]:
    return [grant for grant in grants if re.fullmatch(r"/subscriptions/[0-9a-f-]{36}", grant.scope)]


def test_contributor_is_the_applier_s_alone_and_on_the_markets_that_are_healed(grants: list[Grant]) -> None:
    healed = {f"/subscriptions/{market['subscription_id']}" for market in MARKETS.values() if market.get("heal")}
    contributors = [grant for grant in grants if grant.role in ("Contributor", "Owner", "User Access Administrator")]
    assert {(grant.duty, grant.role, grant.scope) for grant in contributors} == {
        ("apply", "Contributor", scope) for scope in healed
    }


def test_the_planner_reads_every_market_and_changes_none(grants: list[Grant]) -> None:
    markets = {f"/subscriptions/{market['subscription_id']}" for market in MARKETS.values()}
    assert {(grant.role, grant.scope) for grant in on_markets(grants) if grant.duty == "plan"} == {
        ("Reader", scope) for scope in markets
    }


def test_the_planner_writes_no_blob_but_its_host_s(grants: list[Grant]) -> None:
    writes = [
        grant.scope for grant in grants if grant.duty == "plan" and grant.writes and "/containers/" in grant.scope
    ]
    assert writes == []


def test_nobody_has_a_role_on_trueup_s_own_subscription_or_group(grants: list[Grant]) -> None:
    own = str(VARIABLES["subscription_id"])
    for grant in grants:
        assert grant.scope.rstrip("/").split("/")[-1] not in (own, "rg-contoso")


def test_the_reconciler_has_nothing_on_a_market(grants: list[Grant]) -> None:
    assert [grant for grant in on_markets(grants) if grant.duty == "reconcile"] == []


def test_states_are_written_by_the_applier_alone(grants: list[Grant]) -> None:
    on_states = [grant for grant in grants if grant.scope.endswith("/containers/tfstate")]
    assert {grant.duty for grant in on_states} == set(DUTIES)
    assert {grant.duty for grant in on_states if grant.writes} == {"apply"}


def test_nobody_writes_bundles_or_the_policy(grants: list[Grant]) -> None:
    assert [
        grant for grant in grants if grant.writes and re.search(r"/containers/(bundles|config)$", grant.scope)
    ] == []


def test_an_account_as_a_whole_is_open_to_its_own_host_alone(grants: list[Grant]) -> None:
    whole = [grant for grant in grants if re.search(r"azurerm_storage_account/[a-z]+$", grant.scope)]
    assert {(grant.duty, grant.scope.rsplit("/", 1)[1]) for grant in whole} == {
        (duty, f"contoso{duty}") for duty in DUTIES
    }
    assert {grant.role for grant in whole} == OF_THE_HOST


def test_docs_security_has_the_roles_on_the_estate_as_deployed(grants: list[Grant]) -> None:
    rows = re.findall(
        r"^\| (reconcile|plan|apply) \| ([A-Z][\w ]+) \| (container|table|queue)s? (.+?) \| (.+) \|$",
        security(),
        re.MULTILINE,
    )
    documented = {
        Grant(duty, role, f"{kind}s/{name}")
        for duty, role, kind, names, _ in rows
        for name in re.findall(r"`(.+?)`", names)
    }
    deployed = {Grant(grant.duty, grant.role, "/".join(grant.scope.split("/")[-2:])) for grant in on_estate(grants)}
    assert documented == deployed
    assert all(len(reason) > 15 for *_, reason in rows)


def test_docs_security_has_the_roles_of_people(of_people: dict[str, set[tuple[str, str]]]) -> None:
    rows = re.findall(
        r"^\| (readers|operators) \| ([A-Z][\w ]+) \| (container|table|queue)s? (.+?) \| (.+) \|$",
        security(),
        re.MULTILINE,
    )
    documented: dict[str, set[tuple[str, str]]] = {"readers": set(), "operators": set()}
    for group, role, kind, names, _ in rows:
        documented[group] |= {(role, f"{kind}s/{name}") for name in re.findall(r"`(.+?)`", names)}
    documented["operators"] |= documented["readers"]
    assert of_people == documented


def test_no_group_of_people_reads_a_state_or_writes_a_blob(of_people: dict[str, set[tuple[str, str]]]) -> None:
    for granted in of_people.values():
        assert not [one for one in granted if "tfstate" in one[1] or "bundles" in one[1]]
        assert {role for role, scope in granted if scope.startswith("containers/")} == {"Storage Blob Data Reader"}


def test_docs_security_has_the_roles_elsewhere(grants: list[Grant]) -> None:
    others = {(grant.duty, grant.role) for grant in grants if grant not in on_estate(grants)}
    for duty, role in others:
        assert re.search(rf"^\| (every one|{duty}) \| {role} \| ", security(), re.MULTILINE), (duty, role)


def test_every_container_table_and_queue_that_the_code_uses_is_deployed(deployed: Module) -> None:
    resources = deployed.resources()
    made = {
        kind: {
            each["values"]["name"] for each in resources if each["address"].startswith(f"azurerm_storage_{kind}.estate")
        }
        for kind in ("container", "table", "queue")
    }
    fields = Settings.model_fields
    assert made["container"] == {field.default for name, field in fields.items() if name.endswith("_container")}
    assert made["table"] == {value for name, value in vars(table_names).items() if name.endswith("_TABLE")}
    assert made["queue"] == {QUEUE, POISON_QUEUE}


def test_records_states_and_bundles_have_no_end(deployed: Module) -> None:
    """A tracker may name a bundle of years ago: by age nothing that is in use may go."""
    (policy,) = [each["values"] for each in deployed.resources() if each["type"] == "azurerm_storage_management_policy"]
    for rule in policy["rule"]:
        prefixes = set(rule["filters"][0]["prefix_match"])
        if not prefixes <= {"reports/", "locks/"}:
            assert rule["actions"][0]["base_blob"] == []


def security() -> str:
    return (ROOT / "docs/security.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kept", ["account", "container", "table"])
def test_what_the_estate_goes_by_is_not_destroyed_by_terraform(kept: str) -> None:
    estate = (INFRA / "estate.tf").read_text(encoding="utf-8")
    block = estate.split(f'resource "azurerm_storage_{kept}" "estate"')[1].split("\nresource ")[0]
    assert "prevent_destroy = true" in block

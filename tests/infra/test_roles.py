"""Who may do what, as deployed: held against docs/security.md, and against what no duty must ever be able to do."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import pytest

from adapters import table_names
from adapters.settings import Settings
from records.heals import POISON_QUEUE, QUEUE
from tests.infra.stand_in import INFRA, MARKETS, VARIABLES, Module
from tests.world.commands import ROOT

pytestmark = pytest.mark.terraform

DUTIES: Final = ("reconcile", "plan", "apply")
OF_A_HOST: Final = ("Storage Blob Data Owner", "Storage Queue Data Contributor", "Storage Table Data Contributor")
ROW: Final = re.compile(
    r"^\| (?P<who>reconcile|plan|apply|readers|operators) \| (?P<role>[A-Z][\w ]+) "
    r"\| (?P<kind>container|table|queue)s? (?P<names>.+?) \| (?P<why>.+) \|$",
    re.MULTILINE,
)
KINDS: Final = {"container": "blobServices", "table": "tableServices", "queue": "queueServices"}


class Grant(NamedTuple):
    """A role that somebody has somewhere. ``who`` is a duty, a group of people, or an id that nobody knows."""

    who: str
    role: str
    scope: str


@pytest.fixture(scope="module")
def scopes(deployed: Module) -> dict[str, str]:
    """What each resource's id stands for in the tables of docs/security.md."""
    resources = deployed.resources()
    (estate,) = [each["values"]["id"] for each in resources if each["address"] == "azurerm_storage_account.estate"]
    found: dict[str, str] = {}
    for each in resources:
        match each["address"]:
            case address if made := re.match(r"azurerm_storage_(container|table|queue)\.estate\[", address):
                kind, name = made[1], each["values"]["name"]
                found[f"{estate}/{KINDS[kind]}/default/{kind}s/{name}"] = f"{kind} {name}"
            case "azurerm_application_insights.trueup":
                found[each["values"]["id"]] = "Application Insights"
            case address if address.endswith("azurerm_storage_account.host"):
                found[each["values"]["id"]] = f"host of {each['values']['name'].removeprefix('contoso')}"
    for key, market in MARKETS.items():
        found[f"/subscriptions/{market['subscription_id']}"] = f"market {key}"
        if "state_container_id" in market:
            found[market["state_container_id"]] = f"states of {key}"
    return found


@pytest.fixture(scope="module")
def grants(deployed: Module, scopes: dict[str, str]) -> set[Grant]:
    """Every role assignment there is, whoever has it; what is not known stays as it is written."""
    resources = deployed.resources()
    known = {
        each["values"]["principal_id"]: each["index"]
        for each in resources
        if each["type"] == "azurerm_user_assigned_identity"
    }
    assert sorted(known.values()) == sorted(DUTIES)
    known |= {id_: group for group, ids in VARIABLES["people"].items() for id_ in ids}
    return {
        Grant(
            known.get(each["values"]["principal_id"], each["values"]["principal_id"]),
            each["values"]["role_definition_name"],
            scopes.get(each["values"]["scope"], each["values"]["scope"]),
        )
        for each in resources
        if each["type"] == "azurerm_role_assignment"
    }


def documented() -> set[Grant]:
    """Those on the estate's account, as docs/security.md lists them."""
    listed = {
        Grant(row["who"], row["role"], f"{row['kind']} {name}")
        for row in ROW.finditer(security())
        for name in re.findall(r"`(.+?)`", row["names"])
    }
    return listed | {grant._replace(who="operators") for grant in listed if grant.who == "readers"}


def elsewhere() -> set[Grant]:
    """The rest, from what the markets of the test ask for."""
    found = {Grant(duty, "Monitoring Metrics Publisher", "Application Insights") for duty in DUTIES}
    found |= {Grant(duty, role, f"host of {duty}") for duty in DUTIES for role in OF_A_HOST}
    for key, market in MARKETS.items():
        found.add(Grant("plan", "Reader", f"market {key}"))
        if market.get("heal"):
            found.add(Grant("apply", "Contributor", f"market {key}"))
        if "state_container_id" in market:
            found |= {Grant(duty, "Storage Blob Data Reader", f"states of {key}") for duty in ("reconcile", "plan")}
            found.add(Grant("apply", "Storage Blob Data Contributor", f"states of {key}"))
    return found


def test_every_role_there_is_is_one_that_docs_security_lists(grants: set[Grant]) -> None:
    assert grants == documented() | elsewhere()


def test_each_role_is_listed_with_its_reason() -> None:
    assert all(len(row["why"]) > 15 for row in ROW.finditer(security()))
    for who, role in {
        ("every one", grant.role) if grant.scope[:4] in ("host", "Appl") else grant[:2] for grant in elsewhere()
    }:
        assert re.search(rf"^\| {who} \| {role} \| .{{10,}} \| .{{8,}} \|$", security(), re.MULTILINE), (who, role)


def test_the_planner_writes_no_state_no_record_and_no_market(grants: set[Grant]) -> None:
    """What the list above must never come to say."""
    written = {grant.scope for grant in grants if grant.who == "plan" and not grant.role.endswith("Reader")}
    assert {scope for scope in written if scope.startswith(("container", "states", "market"))} == set()


def test_contributor_is_the_applier_s_alone_and_on_the_markets_that_are_healed(grants: set[Grant]) -> None:
    healed = {f"market {key}" for key, market in MARKETS.items() if market.get("heal")}
    strong = {grant for grant in grants if grant.role in ("Contributor", "Owner", "User Access Administrator")}
    assert strong == {Grant("apply", "Contributor", market) for market in healed}


def test_states_are_written_by_the_applier_alone(grants: set[Grant]) -> None:
    on_states = {grant for grant in grants if grant.scope == "container tfstate"}
    assert {grant.who for grant in on_states} == set(DUTIES)
    assert {grant.who for grant in on_states if not grant.role.endswith("Reader")} == {"apply"}


def test_nobody_writes_bundles_or_the_policy(grants: set[Grant]) -> None:
    kept = {grant for grant in grants if grant.scope in ("container bundles", "container config")}
    assert kept
    assert {grant.role for grant in kept} == {"Storage Blob Data Reader"}


def test_no_group_of_people_reads_a_state_or_writes_a_blob(grants: set[Grant]) -> None:
    of_people = {grant for grant in grants if grant.who in ("readers", "operators")}
    assert {grant.scope for grant in of_people} & {"container tfstate", "container bundles"} == set()
    assert {grant.role for grant in of_people if grant.scope.startswith("container")} == {"Storage Blob Data Reader"}


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


def test_terraform_destroys_nothing_that_the_estate_goes_by(deployed: Module) -> None:
    said = deployed.terraform("plan", "-destroy", "-input=false", "-no-color", succeeds=False)
    kept = set(re.findall(r"Resource (\S+) has\s+lifecycle\.prevent_destroy\s+set", said))
    assert kept == {
        each["address"]
        for each in deployed.resources()
        if re.match(r"azurerm_storage_(container|table)\.estate", each["address"])
    }


def test_nor_the_account_itself() -> None:
    """Of which Terraform does not speak above, having been stopped before it came to that."""
    estate = (INFRA / "estate.tf").read_text(encoding="utf-8")
    account = estate.split('resource "azurerm_storage_account" "estate"')[1].split("\nresource ")[0]
    assert re.search(r"^    prevent_destroy = true$", account, re.MULTILINE)

"""From a click to `verified` with nobody's help, through azurerm and on disk, and what is on record then.

All stacks of an estate are checked by one command, healed by the next and reconciled by a third.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from tests.terraform.checked_estate import rule
from tests.terraform.deploys import JsonObject
from tests.terraform.healed_azurerm import AzurermEstate, healed_azurerm
from tests.terraform.healed_estate import HealedEstate, healed_estate
from tests.world.sim_cloud import SimCloud, using_azsim
from tests.world.terraform_backend import TerraformWorld

pytestmark = [pytest.mark.terraform, pytest.mark.azurite]

GROUP: Final = '  resource_group_name = "rg"\n'
VAULT: Final = f'resource "azsim_key_vault" "main" {{\n  name = "kv-%s"\n{GROUP}  tags = {{ owner = "hub" }}\n}}\n'
SECRET: Final = (
    'resource "azsim_key_vault_secret" "main" {\n  name = "sec-%s"\n  key_vault_id = "/vaults/kv"\n  value = "s3"\n}\n'
)
ACCOUNT: Final = f'resource "azsim_storage_account" "main" {{\n  name = "st-%s"\n{GROUP}}}\n'


@dataclass(frozen=True, slots=True)
class Case:
    """What is deployed, what somebody does to it, and whether undoing that leaves another state than the recorded one.

    ``made_anew`` is the attribute that only the cloud can say, and says anew.
    """

    title: str
    main_tf: str
    happens: Callable[[SimCloud], object]
    moves_the_serial: bool = False
    made_anew: str | None = None


CASES: Final = {
    "aa": Case(
        "an attribute",
        rule("ssh-aa"),
        lambda cloud: cloud.change("azsim_network_security_rule.ssh-aa", access="Allow"),
    ),
    "bb": Case(
        "a resource that was deleted, and has the same to say again",
        using_azsim() + VAULT % "bb",
        lambda cloud: cloud.delete("azsim_key_vault.kv-bb"),
    ),
    "cc": Case(
        "a resource that was deleted, and gets another key",
        using_azsim() + ACCOUNT % "cc",
        lambda cloud: cloud.delete("azsim_storage_account.st-cc"),
        moves_the_serial=True,
        made_anew="primary_key",
    ),
    "dd": Case(
        "an attribute on which a computed one depends",
        using_azsim() + SECRET % "dd",
        lambda cloud: cloud.change("azsim_key_vault_secret.sec-dd", value="another"),
        moves_the_serial=True,
        made_anew="version",
    ),
    "ee": Case(
        "several findings at once",
        rule("ssh-ee") + VAULT % "ee" + SECRET % "ee",
        lambda cloud: (
            cloud.change("azsim_network_security_rule.ssh-ee", access="Allow", priority=4000),
            cloud.change("azsim_key_vault.kv-ee", tags={"owner": "somebody"}),
            cloud.change("azsim_key_vault_secret.sec-ee", value="another"),
        ),
        moves_the_serial=True,
        made_anew="version",
    ),
}
ON_DISK: Final = ("aa", "cc")


@dataclass(frozen=True, slots=True)
class Records:
    tracker: JsonObject
    entry: JsonObject
    state: JsonObject


@dataclass(frozen=True, slots=True)
class Healed:
    """One stack: what was there as it was deployed and is now, and what came of its job."""

    cloud_before: JsonObject
    cloud_after: JsonObject
    before: Records
    after: Records
    checked: JsonObject
    job: JsonObject
    verdict: str
    applies: int


@pytest.fixture(scope="module")
def by_azurerm(
    terraform_world: TerraformWorld, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Healed]]:
    with healed_azurerm(terraform_world, tmp_path_factory.mktemp("healing")) as estate:
        estate.deploy({market: one.main_tf for market, one in CASES.items()})

        def records(market: str) -> Records:
            found = estate.checked.pipeline.records(market=market)
            return Records(found.tracker, found.entry, json.loads(estate.stack(market).blob.copy().content))

        yield healed(tuple(CASES), estate, records)
        states = estate.checked.states().values()
        assert {(one.lease_state, one.metadata) for one in states} == {("available", ())}


@pytest.fixture(scope="module")
def on_disk() -> Iterator[dict[str, Healed]]:
    with healed_estate() as estate:
        estate.deploy({market: CASES[market].main_tf for market in ON_DISK})

        def records(market: str) -> Records:
            return Records(estate.tracker(market), estate.entry(market), estate.state(market))

        yield healed(ON_DISK, estate, records)


def healed(
    markets: tuple[str, ...], estate: AzurermEstate | HealedEstate, records: Callable[[str], Records]
) -> dict[str, Healed]:
    cloud_before, before = estate.cloud.snapshot(), {market: records(market) for market in markets}
    for market in markets:
        CASES[market].happens(estate.cloud)
    checks, jobs, verdicts = estate.check(), estate.heal(), estate.verdicts()
    assert checks.keys() == jobs.keys() == verdicts.keys() == set(markets)
    applies, cloud_after = estate.applies(), estate.cloud.snapshot()
    return {
        market: Healed(
            cloud_before=of_market(cloud_before, market),
            cloud_after=of_market(cloud_after, market),
            before=before[market],
            after=records(market),
            checked=checks[market],
            job=jobs[market],
            verdict=verdicts[market],
            applies=applies[market],
        )
        for market in markets
    }


def of_market(resources: JsonObject, market: str) -> JsonObject:
    return {id_: attributes for id_, attributes in resources.items() if id_.endswith(f"-{market}")}


@pytest.fixture(
    params=[
        *(pytest.param(("by_azurerm", market), id=f"{one.title}, through azurerm") for market, one in CASES.items()),
        *(pytest.param(("on_disk", market), id=f"{CASES[market].title}, on disk") for market in ON_DISK),
    ]
)
def stack(request: pytest.FixtureRequest) -> tuple[Case, Healed]:
    where, market = request.param
    return CASES[market], request.getfixturevalue(where)[market]


def test_what_somebody_did_is_undone_and_nobody_had_a_hand_in_it(stack: tuple[Case, Healed]) -> None:
    case, healed = stack
    assert (healed.checked["decision"], healed.job["step"]) == ("heal", "verified")
    steps = [(event["step"], event["by"]) for event in healed.job["events"]]
    assert steps == [(step, None) for step in ("queued", "begun", "judged", "applying", "applied", "verified")]
    assert healed.job["applying_since"] is None
    assert healed.applies == 1
    before, after = (without(case.made_anew, cloud) for cloud in (healed.cloud_before, healed.cloud_after))
    assert after == before
    if case.made_anew:
        assert healed.cloud_after != healed.cloud_before


def without(attribute: str | None, resources: JsonObject) -> JsonObject:
    return {id_: {name: value for name, value in one.items() if name != attribute} for id_, one in resources.items()}


def test_the_next_reconcile_takes_it_for_no_drift_of_the_pipeline(stack: tuple[Case, Healed]) -> None:
    _, healed = stack
    assert healed.verdict == "healthy"


def test_the_serial_moves_only_where_the_state_is_another_one(stack: tuple[Case, Healed]) -> None:
    case, healed = stack
    assert (healed.after.state["serial"] > healed.before.state["serial"]) is case.moves_the_serial
    assert healed.after.state["lineage"] == healed.before.state["lineage"]


def test_what_moved_is_on_record_as_trueups_and_what_did_not_is_on_record_as_it_was(stack: tuple[Case, Healed]) -> None:
    case, healed = stack
    before, after = healed.before, healed.after
    if not case.moves_the_serial:
        assert (after.tracker, after.entry) == (before.tracker, before.entry)
        return
    assert {after.tracker["serial"], after.entry["serial"]} == {after.state["serial"]}
    said = (after.tracker["deployed_by"], after.tracker["run_id"])
    assert said == ("trueup", healed.job["job"]["job_id"])
    assert after.tracker["state_md5"] != before.tracker["state_md5"]
    assert after.tracker["deployed_at"] >= before.tracker["deployed_at"]
    kept = ("bundle", "state", "lineage", "subscription_id", "terraform_version", "schema_version")
    assert [after.tracker.get(name) for name in kept] == [before.tracker.get(name) for name in kept]
    assert after.entry["state"] == before.entry["state"]

"""Machines that die in the middle of an apply through azurerm, so that Terraform's own lock on the state is left to nobody."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.terraform.healed_azurerm import (
    AzurermEstate,
    below,
    command_of,
    healed_azurerm,
    kill_with_all_that_it_started,
)
from tests.terraform.healed_estate import HEALING, STACK, replaced, wait_until
from tests.world.sim_cloud import using_azsim
from tests.world.state_blob import LOCK_METADATA_KEY, BlobFacts, StateBlob
from tests.world.terraform_backend import TerraformWorld

pytestmark = [pytest.mark.slow, pytest.mark.terraform, pytest.mark.azurite, pytest.mark.timeout(300)]

MACHINE, TERRAFORM = "de", "it"
"""The market in which a machine dies with all that is on it, and the one in which Terraform alone does, for want of memory."""
SHORT, LONG = "0.125", "30"
MODULES: Final = {
    market: using_azsim()
    + f'resource "azsim_virtual_network_gateway" "main" {{\n  name = "gw-{market}"\n  resource_group_name = "rg"\n'
    f'  sku = "VpnGw1"\n  provisioning_seconds = {SHORT}\n}}\n'
    for market in (MACHINE, TERRAFORM)
}


@dataclass(frozen=True)
class Killed:
    """What there was in a market at each turn, and in the end."""

    locked: BlobFacts
    held: Mapping[str, Any]
    while_held: BlobFacts
    healed: Mapping[str, Any]
    unlocked: BlobFacts
    steps: list[str]
    applies: int
    verdict: str
    sku: str


@pytest.fixture(scope="module")
def killed(terraform_world: TerraformWorld, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Killed]]:
    with healed_azurerm(terraform_world, tmp_path_factory.mktemp("killed"), lasts=False) as estate:
        estate.deploy(MODULES)
        for market in MODULES:
            take_longer_from_now_on(estate, market)
            estate.cloud.change(gateway(market), sku="VpnGw3")
        yield {MACHINE: machine_dies(estate), TERRAFORM: terraform_dies(estate)}


def machine_dies(estate: AzurermEstate) -> Killed:
    worker = worker_in_the_middle_of_an_apply(estate, MACHINE)
    kill_with_all_that_it_started(worker)
    assert estate.commands.wait(worker).was_killed
    locked = estate.stack(MACHINE).blob.facts()
    estate.a_minute_passes(MACHINE)
    return after_the_lever(estate, MACHINE, locked, estate.heal()[MACHINE])


def terraform_dies(estate: AzurermEstate) -> Killed:
    worker = worker_in_the_middle_of_an_apply(estate, TERRAFORM)
    (terraform,) = [process for process in below(worker) if " apply " in command_of(process)]
    os.kill(terraform, signal.SIGKILL)
    ended = estate.commands.wait(worker)
    assert ended.status == 2, ended.stderr
    job = json.loads(ended.stdout)["jobs"][0]
    return after_the_lever(estate, TERRAFORM, estate.stack(TERRAFORM).blob.facts(), job)


def after_the_lever(estate: AzurermEstate, market: str, locked: BlobFacts, held: Mapping[str, Any]) -> Killed:
    """What the hold tells a person to do, and what comes of it."""
    blob = estate.stack(market).blob
    while_held = blob.facts()
    (lock_id,) = re.findall(r"`terraform force-unlock (\S+)`", held["events"][-1]["note"])
    estate.stack(market).run("force-unlock", "-force", lock_id)
    assert estate.commands.pull("retry", held["job"]["job_id"]).status == 0
    healed = estate.heal()[market]
    return Killed(
        locked=locked,
        held=held,
        while_held=while_held,
        healed=healed,
        unlocked=blob.facts(),
        steps=estate.steps(market),
        applies=estate.applies()[market],
        verdict=estate.verdicts()[market],
        sku=estate.cloud.attributes(gateway(market))["sku"],
    )


def take_longer_from_now_on(estate: AzurermEstate, market: str) -> None:
    """As if it had been deployed so, which would have taken that long."""
    stack, longer = estate.stack(market), {SHORT: LONG}
    stack.write(replaced(MODULES[market], longer))
    stack.blob.write(replaced(stack.blob.copy().content.decode(), longer).encode())
    estate.cloud.change(gateway(market), provisioning_seconds=float(LONG))
    estate.checked.record([f"{market}/{STACK}"])


def worker_in_the_middle_of_an_apply(estate: AzurermEstate, market: str) -> int:
    """With a copy of its message still in the queue, which delivers at least once; the ledger knows whose the lock is."""
    assert estate.check("--market", market)[market]["decision"] == "heal"
    messages = estate.messages()
    worker = estate.commands.start("drift", "heal", "--format", "json", environment=HEALING)
    wait_until(lambda: estate.cloud.id_of(gateway(market)) in estate.cloud.provisioning(), "the gateway is updated")
    wait_until(lambda: estate.row(market)["own_lock"] == lock_on(estate.stack(market).blob), "the lock is noted")
    estate.send(messages)
    return worker


def gateway(market: str) -> str:
    return f"azsim_virtual_network_gateway.gw-{market}"


def lock_on(blob: StateBlob) -> dict[str, str] | None:
    return lock_in(blob.facts())


def lock_in(facts: BlobFacts) -> dict[str, str] | None:
    """As the ledger notes it."""
    for _, described in facts.metadata:
        lock = json.loads(base64.b64decode(described))
        return {"id": lock["ID"], "who": lock["Who"]}
    return None


both = pytest.mark.parametrize(
    "market",
    [pytest.param(MACHINE, id="the machine dies"), pytest.param(TERRAFORM, id="Terraform alone dies")],
)


@both
def test_terraforms_lock_is_left_to_nobody_and_is_never_forced(market: str, killed: Mapping[str, Killed]) -> None:
    locked = killed[market].locked
    assert (locked.lease_state, [name for name, _ in locked.metadata]) == ("leased", [LOCK_METADATA_KEY])
    assert killed[market].while_held == locked


@both
def test_the_job_is_held_and_says_whose_lock_it_is_and_what_to_do(market: str, killed: Mapping[str, Killed]) -> None:
    held = killed[market].held
    assert (held["step"], held["reason"]) == ("held", "locked")
    assert held["own_lock"] == lock_in(killed[market].locked)
    assert "a worker of our own that died" in held["events"][-1]["note"]


@both
def test_unlocked_and_retried_it_is_verified_without_another_apply(market: str, killed: Mapping[str, Killed]) -> None:
    one = killed[market]
    assert (one.healed["step"], one.healed["own_lock"], one.applies) == ("verified", None, 1)
    assert (one.sku, one.verdict, one.unlocked.lease_state) == ("VpnGw1", "healthy", "available")


@pytest.mark.parametrize(
    ("market", "steps"),
    [
        pytest.param(MACHINE, ["applying", "begun", "held"], id="the machine dies"),
        pytest.param(TERRAFORM, ["applying", "applied", "held"], id="Terraform alone dies"),
    ],
)
def test_the_ledger_tells_all_of_it(market: str, steps: list[str], killed: Mapping[str, Killed]) -> None:
    told = ["queued", "begun", "judged", *steps, "retry", "queued", "begun", "verified"]
    assert killed[market].steps == told

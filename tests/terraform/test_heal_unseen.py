"""What an apply would do that its plan does not show, with the real Terraform: it is held, and nothing is applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from records.plan_checks import HoldReason
from tests.terraform.healed_estate import HealedEstate, healed_estate
from tests.world.sim_cloud import SimCloud, using_azsim

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(300)]

GROUP: Final = '  resource_group_name = "rg"\n'
SUBSCRIPTION: Final = 'data "azsim_subscription" "this" {\n%s}\n'
AFTER_THE_NETWORK: Final = SUBSCRIPTION % "  depends_on = [azsim_virtual_network.hub]\n"
PROVISIONER: Final = '  provisioner "local-exec" {\n    command = "touch ${path.module}/../../RAN"\n  }\n'


def rule(market: str, more: str = "") -> str:
    return (
        f'resource "azsim_network_security_rule" "ssh" {{\n  name = "ssh-{market}"\n{GROUP}'
        f'  network_security_group_name = "hub"\n  access = "Deny"\n  priority = 100\n{more}}}\n'
    )


def network(market: str) -> str:
    return (
        f'resource "azsim_virtual_network" "hub" {{\n  name = "vnet-{market}"\n{GROUP}'
        '  address_space = ["10.0.0.0/16"]\n}\n'
    )


def output(value: str) -> str:
    return f'output "it" {{\n  value = {value}\n}}\n'


def delete(*resources: str) -> Callable[[SimCloud], object]:
    return lambda cloud: [cloud.delete(resource) for resource in resources]


@dataclass(frozen=True, slots=True)
class Case:
    """What is deployed, what somebody does to it, and what follows; without a reason it is healed. ``why`` is told."""

    main_tf: str
    happens: Callable[[SimCloud], object]
    reason: HoldReason | None = None
    why: str = ""


RENAMED: Final = "renamed"
CASES: Final = {
    "provisioned": Case(
        rule("provisioned", PROVISIONER),
        delete("azsim_network_security_rule.ssh-provisioned"),
        HoldReason.UNSAFE,
        "provisioner",
    ),
    "late": Case(
        network("late") + AFTER_THE_NETWORK + rule("late", "  description = data.azsim_subscription.this.display_name\n"),
        delete("azsim_network_security_rule.ssh-late", "azsim_virtual_network.vnet-late"),
        HoldReason.MIXED,
        "Only the apply reads data.azsim_subscription.this",
    ),
    "follows": Case(
        SUBSCRIPTION % "" + rule("follows") + output("data.azsim_subscription.this.display_name"),
        lambda cloud: cloud.change("azsim_network_security_rule.ssh-follows", access="Allow"),
        HoldReason.MIXED,
        "other outputs in the state: it",
    ),
    "stays": Case(
        SUBSCRIPTION % "" + rule("stays") + output("azsim_network_security_rule.ssh.access"),
        lambda cloud: cloud.change("azsim_network_security_rule.ssh-stays", access="Allow"),
    ),
    "anew": Case(
        rule("anew") + output("azsim_network_security_rule.ssh.id"),
        delete("azsim_network_security_rule.ssh-anew"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def estate() -> Iterator[HealedEstate]:
    with healed_estate() as made:
        made.deploy({market: using_azsim() + case.main_tf for market, case in CASES.items()})
        for case in CASES.values():
            case.happens(made.cloud)
        made.cloud.move_data_source("azsim_subscription", display_name=RENAMED)
        yield made


def test_what_no_plan_shows_is_held_and_the_rest_is_healed(estate: HealedEstate) -> None:
    ran = list(estate.disk.folder.rglob("RAN"))
    assert len(ran) == 1, "the deploy has run it"
    ran[0].unlink()
    checks = estate.check()
    told = {market: (check["decision"], check["reason"]) for market, check in checks.items()}
    assert told == {
        market: ("hold", str(case.reason)) if case.reason else ("heal", None) for market, case in CASES.items()
    }
    assert [market for market, case in CASES.items() if case.why not in checks[market]["why"]] == []
    healed = estate.heal()
    assert {market: one["step"] for market, one in healed.items()} == {"stays": "verified", "anew": "verified"}
    assert estate.applies() == {"stays": 1, "anew": 1}
    assert list(estate.disk.folder.rglob("RAN")) == []
    assert RENAMED not in estate.state("follows")["outputs"]["it"]["value"]

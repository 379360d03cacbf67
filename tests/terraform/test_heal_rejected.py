"""A hotfix that a person keeps, and a value that comes back as another each time, with the real Terraform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.terraform.healed_estate import HealedEstate, healed_estate
from tests.world.sim_cloud import using_azsim

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(300)]

KEPT: Final = "kept"
ROTATING: Final = "rotating"
SAYING: Final = ("--by", "alice@example.com", "--reason", "a hotfix")


def rules(market: str) -> str:
    return using_azsim() + "".join(
        f'resource "azsim_network_security_rule" "{label}" {{\n  name = "{label}-{market}"\n  resource_group_name = "rg"\n'
        f'  network_security_group_name = "hub"\n  access = "Deny"\n  priority = {priority}\n}}\n'
        for label, priority in (("a", 100), ("b", 200))
    )


@pytest.fixture(scope="module")
def estate() -> Iterator[HealedEstate]:
    with healed_estate() as made:
        made.deploy({market: rules(market) for market in (KEPT, ROTATING)})
        yield made


def of(label: str, market: str) -> str:
    return f"azsim_network_security_rule.{label}-{market}"


def test_what_was_rejected_stays_whatever_else_is_clicked_until_it_is_taken_back(estate: HealedEstate) -> None:
    def clicked(label: str) -> object:
        return estate.cloud.attributes(of(label, KEPT))["access"]

    estate.cloud.change(of("a", KEPT), access="Allow")
    job = estate.check("--market", KEPT)[KEPT]["job_id"]
    assert estate.commands.run("drift", "reject", job, *SAYING).status == 0
    estate.cloud.change(of("b", KEPT), access="Allow")
    held = estate.check("--market", KEPT)[KEPT]
    assert (held["decision"], held["reason"]) == ("hold", "approval_required")
    assert f"alice@example.com rejected job {job[:12]}" in held["why"]
    assert estate.heal()[KEPT]["step"] == "rejected", "its message was in the queue"
    assert (clicked("a"), clicked("b")) == ("Allow", "Allow")
    [hold] = estate.commands.answer("drift", "holds")["holds"]
    assert (hold["market"], hold["can_be_approved"]) == (KEPT, True)

    assert estate.commands.run("drift", "retry", job, *SAYING).status == 0
    assert estate.heal()[KEPT]["step"] == "superseded"
    assert estate.check("--market", KEPT)[KEPT]["decision"] == "heal"
    assert estate.heal()[KEPT]["step"] == "verified"
    assert (clicked("a"), clicked("b")) == ("Deny", "Deny")


def test_what_is_another_value_each_time_is_left_alone_after_the_third_heal(estate: HealedEstate) -> None:
    decisions = []
    for number in range(4):
        estate.cloud.change(of("a", ROTATING), source_address_prefix=f"10.0.0.{number}")
        check = estate.check("--market", ROTATING)[ROTATING]
        decisions.append(check["reason"] or check["decision"])
        estate.heal()
    assert decisions == ["heal", "heal", "heal", "oscillating"]
    assert estate.applies()[ROTATING] == 3

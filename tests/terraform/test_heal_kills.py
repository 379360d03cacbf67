"""Workers that are killed at each of their steps, and in the middle of an apply: what the next delivery makes of it.

Every point has a stack of its own. The account that was deleted there gets another key when it is made anew, so that a second
apply, or a serial that is not on record, would be seen.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.terraform.forked_commands import KILLED
from tests.terraform.healed_estate import HEALING, HealedEstate, healed_estate, wait_until
from tests.world.sim_cloud import using_azsim

pytestmark = [pytest.mark.terraform, pytest.mark.timeout(300)]

MODEL: Final = "model"
ACCOUNT: Final = using_azsim() + (
    f'resource "azsim_storage_account" "main" {{\n  name = "st-{MODEL}"\n  resource_group_name = "rg"\n}}\n'
    f'resource "azsim_virtual_network_gateway" "main" {{\n  name = "gw-{MODEL}"\n  resource_group_name = "rg"\n'
    "  provisioning_seconds = 0.5\n}\n"
)
"""With a gateway, so that an apply takes as long as the shortest in Azure: the worker has seen that it began."""
WHOLE: Final = ["begun", "judged", "applying", "applied", "verified"]


@dataclass(frozen=True, slots=True)
class Point:
    """Where a worker dies; which step the ledger says then, and which ones follow when the message is delivered again."""

    at: str
    left_at: str
    then: Sequence[str]


POINTS: Final = {
    f"kill-{number}": Point(*one)
    for number, one in enumerate(
        [
            ("before begun", "queued", WHOLE),
            ("after begun", "begun", WHOLE),
            ("before judged", "begun", WHOLE),
            ("after judged", "judged", WHOLE),
            ("before applying", "judged", WHOLE),
            ("after applying", "applying", WHOLE),
            ("before applied", "applying", ["begun", "held"]),
            ("after applied", "applied", ["begun", "verified"]),
            ("before verified", "applied", ["begun", "verified"]),
            ("after verified", "verified", []),
        ]
    )
}


@dataclass(frozen=True)
class Aftermath:
    killed: Mapping[str, bool]
    left_at: Mapping[str, Sequence[str]]
    healed: Mapping[str, Any]
    steps: Mapping[str, Sequence[str]]
    applies: Mapping[str, int]
    verdicts: Mapping[str, str]
    records: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any], int]]
    cloud_before: Mapping[str, Any]
    cloud_after: Mapping[str, Any]
    messages_left: int


@pytest.fixture(scope="module")
def aftermath() -> Iterator[Aftermath]:
    with healed_estate() as estate:
        estate.deploy({MODEL: ACCOUNT})
        estate.copy(MODEL, *POINTS)
        cloud_before = estate.cloud.snapshot()
        for market in POINTS:
            estate.cloud.delete(f"azsim_storage_account.st-{market}")
            estate.cloud.delete(f"azsim_virtual_network_gateway.gw-{market}")
        estate.check(environment={**HEALING, "FLEET_PERCENT": "100"})
        killed = {market: kill_a_worker(estate, market, point.at) for market, point in POINTS.items()}
        left_at = {market: estate.steps(market) for market in POINTS}
        healed = estate.heal({**HEALING, "FLEET_PERCENT": "100"})
        yield Aftermath(
            killed=killed,
            left_at=left_at,
            healed=healed,
            steps={market: estate.steps(market) for market in POINTS},
            applies=estate.applies(),
            verdicts=estate.verdicts(),
            records={
                market: (estate.tracker(market), estate.entry(market), estate.state(market)["serial"])
                for market in POINTS
            },
            cloud_before=cloud_before,
            cloud_after=estate.cloud.snapshot(),
            messages_left=len(estate.messages()),
        )


def kill_a_worker(estate: HealedEstate, market: str, at: str) -> bool:
    """With no message in the queue but this market's, so that this one is what it dies with."""
    others = [message for message in estate.messages() if f'"market":"{market}"' not in message.read_text()]
    for message in others:
        message.rename(message.with_suffix(".aside"))
    ended = estate.commands.run("drift", "heal", environment={**HEALING, "FLEET_PERCENT": "100", KILLED: at})
    for message in others:
        message.with_suffix(".aside").rename(message)
    return ended.was_killed


at_every_point = pytest.mark.parametrize("market", [pytest.param(name, id=one.at) for name, one in POINTS.items()])


@at_every_point
def test_the_ledger_says_where_the_killed_worker_stood(market: str, aftermath: Aftermath) -> None:
    assert aftermath.killed[market]
    assert aftermath.left_at[market][-1] == POINTS[market].left_at


UNSEEN: Final = [market for market, point in POINTS.items() if point.then[-1:] == ["held"]]
"""The state was written, and nothing says by whom."""
at_every_point_but_unseen = pytest.mark.parametrize(
    "market", [pytest.param(name, id=one.at) for name, one in POINTS.items() if name not in UNSEEN]
)


@at_every_point
def test_the_next_delivery_goes_on_from_what_is_true_and_the_ledger_tells_all_of_it(
    market: str, aftermath: Aftermath
) -> None:
    assert aftermath.steps[market] == [*aftermath.left_at[market], *POINTS[market].then]
    step = "held" if market in UNSEEN else "verified"
    assert (aftermath.steps[market][-1], aftermath.healed[market]["step"]) == (step, step)


@at_every_point
def test_the_drift_is_undone_by_one_apply(market: str, aftermath: Aftermath) -> None:
    assert aftermath.applies[market] == 1
    (before,), (after,) = (of_market(cloud, market) for cloud in (aftermath.cloud_before, aftermath.cloud_after))
    assert {**after, "primary_key": None} == {**before, "primary_key": None}


@at_every_point_but_unseen
def test_the_records_say_what_the_state_says_and_whose_it_is(market: str, aftermath: Aftermath) -> None:
    tracker, entry, serial = aftermath.records[market]
    assert aftermath.verdicts[market] == "healthy"
    assert (tracker["serial"], entry["serial"]) == (serial, serial)
    assert tracker["deployed_by"] == "trueup"


@pytest.mark.parametrize("market", UNSEEN)
def test_a_state_of_which_nobody_saw_who_wrote_it_is_a_persons(market: str, aftermath: Aftermath) -> None:
    assert (aftermath.healed[market]["reason"], aftermath.verdicts[market]) == ("records_disagree", "pipeline_drift")
    tracker, _, serial = aftermath.records[market]
    assert (tracker["deployed_by"], tracker["serial"] < serial) == ("pipeline", True)


def test_no_message_is_left(aftermath: Aftermath) -> None:
    assert aftermath.messages_left == 0


def of_market(cloud: Mapping[str, Any], market: str) -> list[dict[str, Any]]:
    return [attributes for id_, attributes in cloud.items() if id_.endswith(f"/st-{market}")]


SHORT, LONG = "0.125", "30"
GATEWAY_AND_RULE: Final = using_azsim() + (
    f'resource "azsim_virtual_network_gateway" "main" {{\n  name = "gw-{MODEL}"\n  resource_group_name = "rg"\n'
    f'  sku = "VpnGw1"\n  provisioning_seconds = {SHORT}\n}}\n'
    f'resource "azsim_network_security_rule" "ssh" {{\n  name = "ssh-{MODEL}"\n  resource_group_name = "rg"\n'
    '  network_security_group_name = "hub"\n  access = "Deny"\n  priority = 100\n'
    "  depends_on = [azsim_virtual_network_gateway.main]\n}\n"
)


def test_what_an_apply_had_not_come_to_is_a_persons_where_nobody_saw_it_end() -> None:
    """The worker is killed while a gateway is updated; who watches over it has Terraform end in good order, and write."""
    with healed_estate(lasts=False) as estate:
        estate.deploy({MODEL: GATEWAY_AND_RULE})
        estate.copy(MODEL, "slow", also={SHORT: LONG})
        estate.cloud.change("azsim_virtual_network_gateway.gw-slow", sku="VpnGw3")
        estate.cloud.change("azsim_network_security_rule.ssh-slow", access="Allow")
        estate.check("--market", "slow")
        worker = estate.commands.start("drift", "heal", environment=HEALING)
        estate.cloud.wait_until_provisioning()
        os.kill(worker, signal.SIGKILL)
        assert estate.commands.wait(worker).was_killed
        wait_until(lambda: not list(estate.disk.work_folder.iterdir()), "Terraform has ended, and its folder is gone")
        left = estate.cloud.snapshot(), estate.tracker("slow"), estate.entry("slow")

        assert estate.verdicts()["slow"] == "pipeline_drift"
        job = estate.heal()["slow"]

        assert (job["step"], job["reason"]) == ("held", "records_disagree")
        assert (estate.cloud.snapshot(), estate.tracker("slow"), estate.entry("slow")) == left
        assert estate.cloud.attributes("azsim_network_security_rule.ssh-slow")["access"] == "Allow"
        assert estate.steps("slow") == ["queued", "begun", "judged", "applying", "begun", "held"]
        assert estate.applies() == {"slow": 1}

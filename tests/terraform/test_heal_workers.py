"""Twenty workers at once on a queue that delivers every message three times, in any order: each drift is healed once."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import pytest

from tests.terraform.checked_estate import rule
from tests.terraform.forked_commands import Commands
from tests.terraform.healed_azurerm import healed_azurerm
from tests.terraform.healed_estate import HEALING, HealedEstate, healed_estate
from tests.world.terraform_backend import TerraformWorld

pytestmark = [pytest.mark.terraform, pytest.mark.azurite, pytest.mark.timeout(300)]

AnyMessage = TypeVar("AnyMessage")

WORKERS: Final = 20
DELIVERIES: Final = 3
MODEL: Final = "model"
ON_DISK: Final = tuple(f"m{number}" for number in range(6))
IN_AZURE: Final = ("de", "fr", "it")
ENVIRONMENT: Final = {**HEALING, "FLEET_PERCENT": "100"}
WHOLE: Final = ["queued", "begun", "judged", "applying", "applied", "verified"]


@dataclass(frozen=True)
class Aftermath:
    """``jobs`` are what the workers told of each end of a job, ``late`` what they told of messages that came after it."""

    markets: tuple[str, ...]
    jobs: list[dict[str, Any]]
    late: list[dict[str, Any]]
    applies: dict[str, int]
    cloud_is_as_deployed: bool


@pytest.fixture(scope="module")
def on_disk() -> Iterator[Aftermath]:
    with healed_estate() as estate:
        estate.deploy({MODEL: rule(f"ssh-{MODEL}")})
        estate.copy(MODEL, *ON_DISK)
        deployed = estate.cloud.bytes()
        for market in ON_DISK:
            estate.cloud.change(ssh(market), access="Allow")
        estate.check(environment=ENVIRONMENT)
        deliver_more_often(estate)
        jobs = heal_with_all_workers(estate.commands)
        # What a worker met whose stack another one had comes again, in a minute.
        for handling in estate.queue.with_name(f".{estate.queue.name}").glob("*.json"):
            handling.unlink()
        late = heal_with_all_workers(estate.commands, workers=1)
        assert estate.messages() == []
        yield Aftermath(ON_DISK, jobs, late, estate.applies(), estate.cloud.bytes() == deployed)


@pytest.fixture(scope="module")
def in_azure(terraform_world: TerraformWorld, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    with healed_azurerm(terraform_world, tmp_path_factory.mktemp("workers")) as estate:
        estate.deploy({market: rule(f"ssh-{market}") for market in IN_AZURE})
        deployed = estate.cloud.bytes()
        for market in IN_AZURE:
            estate.cloud.change(ssh(market), access="Allow")
        estate.commands.answer("drift", "check", "--queue", environment=ENVIRONMENT)
        messages = estate.messages()
        with estate.queue() as queue:
            queue.clear_messages()
        estate.send(shuffled(messages * DELIVERIES))
        jobs = heal_with_all_workers(estate.commands)
        estate.send(shuffled(messages * DELIVERIES))
        late = heal_with_all_workers(estate.commands, workers=2)
        yield Aftermath(IN_AZURE, jobs, late, estate.applies(), estate.cloud.bytes() == deployed)


def heal_with_all_workers(commands: Commands, *, workers: int = WORKERS) -> list[dict[str, Any]]:
    """What all of them brought to an end; none of them may have met with anything else but another one at the same stack."""
    started = [commands.start("drift", "heal", "--format", "json", environment=ENVIRONMENT) for _ in range(workers)]
    ended = [commands.wait(process) for process in started]
    assert [one.stderr for one in ended] == [""] * workers
    answers = [json.loads(one.stdout) for one in ended]
    assert [answer["refused"] for answer in answers] == [[]] * workers
    problems = [problem for answer in answers for problem in answer["problems"]]
    assert [problem for problem in problems if "another worker has the stack" not in problem] == []
    return [job for answer in answers for job in answer["jobs"]]


def deliver_more_often(estate: HealedEstate) -> None:
    """The oldest is delivered first, so each copy gets an age of its own."""
    for message in estate.messages():
        for number in range(1, DELIVERIES):
            message.with_name(f"{number}-{message.name}").write_bytes(message.read_bytes())
    assert len(estate.messages()) == len(ON_DISK) * DELIVERIES
    for age, message in enumerate(shuffled(estate.messages())):
        os.utime(message, (age, age))


def shuffled(values: list[AnyMessage]) -> list[AnyMessage]:
    return random.Random(6).sample(values, len(values))


def ssh(market: str) -> str:
    return f"azsim_network_security_rule.ssh-{market}"


@pytest.fixture(params=[pytest.param("on_disk", id="on disk"), pytest.param("in_azure", id="in Azure")])
def aftermath(request: pytest.FixtureRequest) -> Aftermath:
    found: Aftermath = request.getfixturevalue(request.param)
    return found


def test_each_drift_is_healed_once_by_one_worker(aftermath: Aftermath) -> None:
    assert {job["job"]["market"] for job in aftermath.jobs} == set(aftermath.markets)
    assert [[event["step"] for event in job["events"]] for job in aftermath.jobs] == [WHOLE] * len(aftermath.jobs)


def test_each_stack_is_applied_once(aftermath: Aftermath) -> None:
    assert aftermath.applies == dict.fromkeys(aftermath.markets, 1)
    assert aftermath.cloud_is_as_deployed


def test_a_message_that_comes_when_all_is_over_tells_the_same_again_and_does_nothing(aftermath: Aftermath) -> None:
    ends = {job["job"]["market"]: job for job in aftermath.jobs}
    assert all(job == ends[job["job"]["market"]] for job in aftermath.late)

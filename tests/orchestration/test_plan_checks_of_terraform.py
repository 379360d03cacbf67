"""A scheduled run of plan checks with the real Terraform, as Azure Monitor hears of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

from adapters.terraform_cli import TerraformCli, TerraformOptions
from adapters.terraform_states import FolderStates
from tests.orchestration.plan_check_world import CheckWorld, open_check_world
from tests.orchestration.test_telemetry import Watched, installed
from tests.terraform.checked_estate import data, rule
from tests.terraform.disk_estate import DiskEstate, disk_estate
from tests.world.azurite import Azurite

pytestmark = [
    pytest.mark.azurite,
    pytest.mark.terraform,
    pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type"),
]

CLICKED: Final = "de/network"
CLEAN: Final = "de/app"


@dataclass(frozen=True, slots=True)
class Deployed:
    world: CheckWorld
    estate: DiskEstate
    watched: Watched


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    watched = Watched()
    with installed(monkeypatch, watched.reader, SimpleLogRecordProcessor(watched.logs), watched.spans):
        yield watched


@pytest.fixture
async def deployed(azurite: Azurite, monkeypatch: pytest.MonkeyPatch, watched: Watched) -> AsyncIterator[Deployed]:
    """Records and states are in Azurite; Terraform has the same states as files, as its backend wants a certificate."""
    with disk_estate() as estate:
        estate.deploy({CLICKED: rule("ssh-de"), CLEAN: data("deployed")})
        estate.cloud.change("azsim_network_security_rule.ssh-de", access="Allow")
        monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(estate.cloud.cli_config_file))
        states = FolderStates(root=estate.root, container="tfstate")
        planner = TerraformCli(TerraformOptions(states=states, work_folder=estate.work_folder))
        async with open_check_world(azurite, monkeypatch, planner) as world:
            upload(estate.root, world)
            yield Deployed(world, estate, watched)


def upload(root: Path, world: CheckWorld) -> None:
    containers = world.world.estate.containers
    for folder, container in (
        ("registry", containers.registry),
        ("trackers", containers.trackers),
        ("tfstate", containers.states),
        ("bundles", world.bundles),
    ):
        for path in (root / folder).rglob("*"):
            if path.is_file():
                world.world.estate.put(container, path.relative_to(root / folder).as_posix(), path.read_bytes())


async def test_a_run_with_the_real_terraform_ends_in_rows_a_message_and_telemetry(deployed: Deployed) -> None:
    world, watched = deployed.world, deployed.watched
    hub = world.hub()
    await world.run(hub)
    assert world.only_run()["status"] == "finished"
    checks = world.checks()
    assert {path: check["decision"] for path, check in checks.items()} == {CLICKED: "heal", CLEAN: "clean"}
    (finding,) = checks[CLICKED]["findings"]
    assert (finding["address"], finding["kind"]) == ("azsim_network_security_rule.ssh", "portal_drift")
    (message,) = world.messages()
    assert message["job_id"] == checks[CLICKED]["job_id"]
    (event,) = watched.events("trueup.portal_drift")
    assert event["trueup.plan_check.job_id"] == message["job_id"]
    assert watched.sums("trueup.plan_checks", "trueup.plan_check.decision") == {"clean": 1, "heal": 1}
    assert list(deployed.estate.work_folder.iterdir()) == []

"""`trueup adopt`, as a process, on an estate of 100 stacks that the real Terraform deployed and nobody recorded.

Every state is of a `terraform apply` of its own, through the azurerm backend: ten root modules, each with a workspace for each
of ten markets. The applies of a root module share its one `terraform init`, by `TF_WORKSPACE`, and eight run side by side: some
15 seconds for all on two cores. What `init` leaves beside them, a state without resources in the workspace `default`, is what a
first pattern does not expect.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient

from adapters.record_reader import Containers
from adapters.table_names import RECORD_LOG_TABLE
from tests.estates import delete_tables
from tests.world.terraform_backend import TerraformStack, TerraformWorld

pytestmark = [pytest.mark.slow, pytest.mark.terraform]

ROOT = Path(__file__).parents[2]
STATES = "adoption-states"
STACKS = ("app", "cache", "data", "dns", "gateway", "identity", "keyvault", "monitor", "network", "queue")
MARKETS = ("at", "be", "ch", "de", "es", "fr", "it", "nl", "pl", "se")
PATTERN = r"(?P<stack>[a-z]+)\.tfstateenv:(?P<market>[a-z]+)"
SUBSCRIPTIONS = tuple(option for market in MARKETS for option in ("--subscription", f"{market}=s-{market}"))
ADOPT = ("adopt", "--pattern", PATTERN, "--exclude", "*.tfstate", *SUBSCRIPTIONS)
MAIN = """
variable "size" { default = "small" }
resource "terraform_data" "it" {
  input = "${terraform.workspace} ${var.size}"
}
output "serial" {
  value = 7
}
"""


@dataclass(frozen=True, slots=True)
class Deployed:
    """The root modules by stack; their states stay as Terraform wrote them."""

    world: TerraformWorld
    roots: dict[str, TerraformStack]

    def apply(self, market: str, stack: str, *arguments: str) -> None:
        root = self.roots[stack]
        there = replace(root, environment={**root.environment, "TF_WORKSPACE": market})
        there.run("apply", "-auto-approve", *arguments)

    def state(self, market: str, stack: str) -> tuple[dict[str, Any], str]:
        """A state as it is, and when it was last modified."""
        blob = self.world.state_blob(f"{stack}.tfstate", container=STATES, workspace=market)
        return json.loads(blob.copy().content), blob.facts().last_modified.isoformat()


@dataclass(frozen=True, slots=True)
class Estate:
    """Those states with records of its own."""

    deployed: Deployed
    containers: Containers

    def put_registry(self, market: str, stacks: dict[str, Any]) -> None:
        record = {"schema_version": 1, "market": market, "subscription_id": f"s-{market}", "stacks": stacks}
        client = self.deployed.world.blob_service.get_blob_client(
            self.containers.registry, f"{market}/subscription.json"
        )
        client.upload_blob(json.dumps(record).encode())

    def trueup(self, *arguments: str) -> tuple[int, str]:
        world = self.deployed.world
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("ESTATE_", "RESULTS_"))
        }
        environment |= {
            "ESTATE_CONNECTION_STRING": world.azurite.connection_string,
            "SSL_CERT_FILE": str(world.certificate.certificate_file),
            "REGISTRY_CONTAINER": self.containers.registry,
            "TRACKERS_CONTAINER": self.containers.trackers,
            "STATES_CONTAINER": STATES,
            "REREAD_DELAY_SECONDS": "0",
        }
        command = [sys.executable, "-m", "cli", *arguments]
        run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert run.stderr == ""
        return run.returncode, run.stdout

    def json(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        status, text = self.trueup(*arguments, "--format", "json")
        return status, json.loads(text)

    def reconciled(self) -> dict[str, tuple[str, int | None]]:
        """The verdict and tier of each stack."""
        _, report = self.json("reconcile", "--no-save")
        assert report["problems"] == []
        return {f"{one['market']}/{one['stack']}": (one["verdict"], one["tier"]) for one in report["results"]}

    def blobs(self) -> dict[str, str]:
        """Every blob with its ETag: not one of them is written where this stays as it is."""
        service = self.deployed.world.blob_service
        return {
            f"{container}/{blob.name}": blob.etag
            for container in (self.containers.registry, self.containers.trackers, STATES)
            for blob in service.get_container_client(container).list_blobs()
        }

    def row_count(self) -> int:
        with TableServiceClient.from_connection_string(
            self.deployed.world.azurite.connection_string, **trust(self.deployed.world)
        ) as tables:
            try:
                return len(list(tables.get_table_client(RECORD_LOG_TABLE).list_entities()))
            except ResourceNotFoundError:
                return 0


def trust(world: TerraformWorld) -> dict[str, Any]:
    return {"connection_verify": str(world.certificate.certificate_file)}


@pytest.fixture(scope="module")
def deployed(terraform_world: TerraformWorld, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    def root(stack: str) -> TerraformStack:
        made = terraform_world.stack(folder / stack, key=f"{stack}.tfstate", container=STATES)
        made.write(MAIN)
        made.init()
        return made

    folder = tmp_path_factory.mktemp("adoption")
    terraform_world.create_containers(STATES)
    with ThreadPoolExecutor(8) as pool:
        all_of_it = Deployed(terraform_world, dict(zip(STACKS, pool.map(root, STACKS), strict=True)))
        places = [(market, stack) for market in MARKETS for stack in STACKS]
        list(pool.map(lambda place: all_of_it.apply(*place), places))
    return all_of_it


@pytest.fixture
def estate(deployed: Deployed, request: pytest.FixtureRequest) -> Iterator[Estate]:
    name = request.node.name.replace("_", "-")[:40].rstrip("-")
    containers = Containers(registry=f"r-{name}", trackers=f"t-{name}", states=STATES)
    deployed.world.create_containers(containers.registry, containers.trackers)
    delete_tables(deployed.world.azurite.connection_string, **trust(deployed.world))
    yield Estate(deployed, containers)
    delete_tables(deployed.world.azurite.connection_string, **trust(deployed.world))


def test_a_hundred_stacks_without_records_are_all_healthy_in_tier_1(estate: Estate) -> None:
    before = estate.blobs()
    assert len(before) == 110

    status, answer = estate.json("adopt", "--pattern", r"(?P<market>[^/]+)/(?P<stack>[^/]+)\.tfstate", "--yes")
    assert (status, len(answer["unplaced"])) == (1, 110)
    status, text = estate.trueup("adopt", "--pattern", PATTERN, *SUBSCRIPTIONS, "--yes")
    assert status == 1
    assert [line.split()[0] for line in text.splitlines()[1:11]] == [f"{stack}.tfstate" for stack in STACKS]
    assert "Nothing was written: 10 of 110 have no place." in text
    assert (estate.blobs(), estate.row_count()) == (before, 0)

    status, answer = estate.json(*ADOPT)
    assert (status, {one["adopting"] for one in answer["adoptions"]}) == (2, {"adopt"})
    assert (estate.blobs(), estate.row_count()) == (before, 0)

    status, answer = estate.json(*ADOPT, "--yes")
    assert (status, len(answer["adoptions"])) == (0, 100)
    assert {one["verdict_after"] for one in answer["adoptions"]} == {"healthy"}
    assert len({one["tracker"]["lineage"] for one in answer["adoptions"]}) == 100
    one = next(one for one in answer["adoptions"] if (one["market"], one["stack"]) == ("de", "network"))
    assert one["entry"]["state"] == {"key": "network.tfstate", "workspace": "de"}
    assert estate.row_count() == 100 + 100 + len(MARKETS)

    assert estate.reconciled() == {f"{market}/{stack}": ("healthy", 1) for market in MARKETS for stack in STACKS}
    after = estate.blobs()
    assert after.items() >= before.items()
    assert len(after) == 110 + 100 + len(MARKETS)
    status, text = estate.trueup(*ADOPT, "--yes")
    assert (status, text) == (0, "All 100 are on record already: there is nothing to write.\n")
    assert (estate.blobs(), estate.row_count()) == (after, 210)


def test_tiers_2_and_3_come_to_tier_1_and_what_was_changed_by_hand_is_left_alone(estate: Estate) -> None:
    def entry(stack: str, *fields: str) -> dict[str, Any]:
        state, changed_at = estate.deployed.state("de", stack)
        known = {
            "lineage": state["lineage"],
            "serial": state["serial"],
            "deployed_at": changed_at,
            "release": "2026.11.3",
        }
        location = {"key": f"{stack}.tfstate", "workspace": "de"}
        return {"state": location} | {field: known[field] for field in fields}

    tier_2 = ("lineage", "serial", "release")
    stacks = {
        "app": entry("app", *tier_2),
        "cache": entry("cache", "serial"),
        "data": entry("data", "deployed_at", "release") | {"cost_centre": 7},
        "dns": entry("dns", "release"),
        "network": entry("network", *tier_2),
    }
    estate.put_registry("de", stacks)
    estate.deployed.apply("de", "network", "-var", "size=large")
    before = {name: etag for name, etag in estate.blobs().items() if name.startswith(STATES)}
    assert estate.reconciled() == {
        "de/app": ("healthy", 2),
        "de/cache": ("healthy", 2),
        "de/data": ("healthy", 3),
        "de/dns": ("unverifiable", 3),
        "de/network": ("pipeline_drift", 2),
    }

    status, answer = estate.json(*ADOPT, "--yes")
    assert status == 2
    (alone,) = [one for one in answer["adoptions"] if one["adopting"] == "left_alone"]
    assert (alone["market"], alone["stack"], alone["verdict_after"]) == ("de", "network", None)
    assert "trueup accept --market de --stack network" in alone["why"]

    everything = {f"{market}/{stack}": ("healthy", 1) for market in MARKETS for stack in STACKS}
    assert estate.reconciled() == everything | {"de/network": ("pipeline_drift", 2)}
    registry = estate.deployed.world.blob_service.get_blob_client(estate.containers.registry, "de/subscription.json")
    entries = json.loads(registry.download_blob().readall())["stacks"]
    assert entries["network"] == stacks["network"]
    assert all(entries[stack].items() >= stacks[stack].items() for stack in ("app", "cache", "dns"))
    assert (entries["data"]["cost_centre"], entries["data"]["release"]) == (7, "2026.11.3")
    assert {name: etag for name, etag in estate.blobs().items() if name.startswith(STATES)} == before

    estate.deployed.apply("se", "queue", "-var", "size=large")
    assert estate.reconciled()["se/queue"] == ("pipeline_drift", 1)
    status, answer = estate.json(*ADOPT, "--yes")
    left = [f"{one['market']}/{one['stack']}" for one in answer["adoptions"] if one["adopting"] == "left_alone"]
    assert (status, left) == (2, ["de/network", "se/queue"])

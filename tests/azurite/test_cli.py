"""The command line on storage: settings from the environment, results in the tables, since when from run to run."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

from adapters.record_reader import Containers
from adapters.table_keys import RUNS_PARTITION
from tests.estates import AzuriteEstate, put_healthy_market, put_state, put_tracker
from tests.world.azurite import Azurite

ROOT = Path(__file__).parents[2]
CONTAINERS = Containers(registry="cli-registry", trackers="cli-trackers", states="cli-tfstate")
MARKET = "emea/cli"

pytestmark = pytest.mark.azurite


def trueup(azurite: Azurite, as_of: str, run_id: str) -> tuple[int, dict[str, Any]]:
    settings = {
        "ESTATE_CONNECTION_STRING": azurite.connection_string,
        "REGISTRY_CONTAINER": CONTAINERS.registry,
        "TRACKERS_CONTAINER": CONTAINERS.trackers,
        "STATES_CONTAINER": CONTAINERS.states,
        "REREAD_DELAY_SECONDS": "0",
    }
    command = [sys.executable, "-m", "cli", "reconcile", "--format", "json", "--as-of", as_of, "--run-id", run_id]
    run = subprocess.run(command, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert run.stderr == ""
    return run.returncode, json.loads(run.stdout)


def test_module_pins_are_read_from_the_trackers_of_the_account(azurite: Azurite) -> None:
    trackers = "cli-pins-trackers"
    service = BlobServiceClient.from_connection_string(azurite.connection_string)
    estate = AzuriteEstate(service, Containers(registry="cli-registry", trackers=trackers, states="cli-tfstate"))
    service.create_container(trackers)
    modules = [{"name": "kv", "source": "git::https://example.com/modules?ref=kv/v1.0.0"}]
    put_tracker(estate, MARKET, "app", modules=modules)
    put_tracker(estate, MARKET, "network", modules=[{"name": "kv", "source": "git::https://example.com/modules"}])
    settings = {"ESTATE_CONNECTION_STRING": azurite.connection_string, "TRACKERS_CONTAINER": trackers}
    command = [sys.executable, "-m", "cli", "pins", "--trackers", "--format", "json"]
    run = subprocess.run(command, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (2, "")
    calls = json.loads(run.stdout)["calls"]
    assert [(call["market"], call["stack"], call["reason"]) for call in calls] == [
        (MARKET, "app", "version_tag"),
        (MARKET, "network", "no_ref"),
    ]


def rows_of(azurite: Azurite, table: str, partition: str) -> list[str]:
    with TableServiceClient.from_connection_string(azurite.connection_string) as service:
        rows = service.get_table_client(table).query_entities("PartitionKey eq @key", parameters={"key": partition})
        return [str(row["RowKey"]) for row in rows]


def test_a_drift_is_found_kept_and_dated(azurite: Azurite) -> None:
    estate = AzuriteEstate(BlobServiceClient.from_connection_string(azurite.connection_string), CONTAINERS)
    for container in (CONTAINERS.registry, CONTAINERS.trackers, CONTAINERS.states):
        estate.service.create_container(container)
    put_healthy_market(estate, MARKET)
    assert trueup(azurite, "2026-11-19T06:00:00Z", "first")[0] == 0
    put_state(estate, MARKET, "network", 44)
    assert trueup(azurite, "2026-11-20T06:00:00Z", "second")[0] == 2
    exit_status, report = trueup(azurite, "2026-11-21T06:00:00Z", "third")
    assert exit_status == 2
    _, network = report["results"]
    assert (network["verdict"], network["serial_delta"]) == ("pipeline_drift", 2)
    assert network["first_seen_at"] == "2026-11-20T06:00:00Z"
    trueup(azurite, "2026-11-21T06:00:00Z", "third")
    rows = rows_of(azurite, "reconcileresults", "emea:cli")
    assert [row for row in rows if row.startswith("latest:")] == ["latest:app", "latest:network"]
    assert [row.split(":")[1::2] for row in rows if row.startswith("history:")] == [
        [stack, run] for stack in ("app", "network") for run in ("third", "second", "first")
    ]
    keys = rows_of(azurite, "reconcileruns", RUNS_PARTITION)
    assert {"id:first", "id:second", "id:third"} <= set(keys)
    runs = [key.split(":")[1] for key in keys if not key.startswith("id:")]
    assert [run for run in runs if run in {"first", "second", "third"}] == ["third", "second", "first"]

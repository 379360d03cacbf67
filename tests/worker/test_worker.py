"""The app as Microsoft's worker library sees it: indexed, and invoked for a day of the service against Azurite.

The library wants Python 3.13, so it runs in an environment of its own within that of the tests; `make test` makes it where
it finds such a Python.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

from adapters.table_names import RESULTS_TABLE, RUNS_TABLE
from tests.estates import AzuriteEstate, delete_tables, fresh_containers, put_healthy_market, put_state
from tests.service_world import API, DAILY, FUNCTION_KEY, SIX
from tests.world.azurite import Azurite
from tests.world.durable_http import SYSTEM_KEY

ROOT: Final = Path(__file__).parents[2]
GOLDEN: Final = ROOT / "tests" / "golden" / "bindings.json"
WORKER: Final = Path(sys.prefix) / "worker"
LIMIT_SECONDS: Final = 60

JsonObject = dict[str, Any]

pytestmark = [
    pytest.mark.azurite,
    pytest.mark.skipif(
        not (WORKER / "installed").exists(),
        reason=f"azure-functions-runtime is not in {WORKER}: `make test` installs it where it finds Python 3.13",
    ),
]


@pytest.fixture(scope="module")
def estate(azurite: Azurite) -> Iterator[AzuriteEstate]:
    """Two markets, one of them with a drift, and no results yet."""
    delete_tables(azurite.connection_string)
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        made = AzuriteEstate(service, fresh_containers())
        for container in (made.containers.registry, made.containers.trackers, made.containers.states):
            service.create_container(container)
        put_healthy_market(made, "de")
        put_healthy_market(made, "emea/fr", ["network"])
        put_state(made, "emea/fr", "network", 44)
        yield made
    delete_tables(azurite.connection_string)


@pytest.fixture(scope="module")
def reports_container(estate: AzuriteEstate) -> str:
    return estate.containers.registry.replace("registry", "reports")


@pytest.fixture(scope="module")
def day(azurite: Azurite, estate: AzuriteEstate, reports_container: str) -> JsonObject:
    """What `tests.worker.harness` tells of its day."""
    run = subprocess.run(
        [WORKER / "bin" / "python", "-m", "tests.worker.harness", SIX.isoformat(), API, FUNCTION_KEY],
        cwd=ROOT,
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "ESTATE_CONNECTION_STRING": azurite.connection_string,
            "REGISTRY_CONTAINER": estate.containers.registry,
            "TRACKERS_CONTAINER": estate.containers.trackers,
            "STATES_CONTAINER": estate.containers.states,
            "REPORTS_CONTAINER": reports_container,
            "BUNDLES_CONTAINER": estate.containers.bundles,
            "LOCKS_CONTAINER": estate.containers.registry.replace("registry", "locks"),
            "REREAD_DELAY_SECONDS": "0",
        },
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    told: JsonObject = json.loads(run.stdout)
    assert told["error"] is None, told["error"]
    return told


def test_every_function_is_indexed_with_the_bindings_of_the_golden_file(day: JsonObject) -> None:
    assert day["functions"] == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_every_function_is_invoked(day: JsonObject) -> None:
    assert day["invoked"] == sorted(day["functions"])


def test_bodies_are_asked_for_as_bytes(day: JsonObject) -> None:
    """As the harness sends them."""
    assert day["capabilities"]["RawHttpBodyBytes"] == "true"


def test_the_timer_leads_to_a_run_that_completes(day: JsonObject) -> None:
    assert day["daily"]["instance"] == {"id": DAILY, "status": "Completed", "output": None}


def test_the_run_s_rows_and_reports_are_there(
    day: JsonObject, azurite: Azurite, estate: AzuriteEstate, reports_container: str
) -> None:
    with TableServiceClient.from_connection_string(azurite.connection_string) as tables:
        results = [row["RowKey"] for row in tables.get_table_client(RESULTS_TABLE).list_entities()]
        runs = {row["run_id"] for row in tables.get_table_client(RUNS_TABLE).list_entities()}
    assert len([key for key in results if key.startswith("latest:")]) >= 3
    assert runs == {DAILY} | {day[step]["run"]["body"]["run_id"] for step in ("on_demand", "failing")}
    container = estate.service.get_container_client(reports_container)
    report = json.loads(container.download_blob(f"{DAILY}.json").readall())
    assert report["counts"] == {"healthy": 2, "pipeline_drift": 1}
    assert set(day["daily"]["run"]["body"]["reports"].values()) <= set(container.list_blob_names())


def test_another_tick_starts_no_second_run(day: JsonObject) -> None:
    assert day["daily"]["after_another_tick"] == [DAILY]


def test_the_day_s_run_is_finished_with_its_counts(day: JsonObject) -> None:
    answer = day["daily"]["run"]
    assert (answer["status"], answer["headers"]["content-type"]) == (200, "application/json")
    run = answer["body"]
    assert (run["status"], run["trigger"], run["exit_status"]) == ("finished", "timer", 2)
    assert run["markets"] == {"expected": 2, "checked": 2, "unread": 0}
    assert run["counts"] == {"healthy": 2, "pipeline_drift": 1}


def test_a_run_on_demand_answers_202_and_where_to_ask(day: JsonObject) -> None:
    answer = day["on_demand"]["started"]
    assert answer["status"] == 202
    status_url = f"{API}/runs/{answer['body']['run_id']}"
    assert answer["headers"]["location"] == answer["body"]["status_url"] == status_url
    assert answer["body"]["started_by"] == "this_request"


def test_a_run_on_demand_goes_from_running_to_finished(day: JsonObject) -> None:
    before, after = day["on_demand"]["while_it_waits"], day["on_demand"]["run"]
    assert (before["status"], before["body"]["status"], before["headers"]["retry-after"]) == (200, "running", "10")
    assert (after["body"]["status"], after["body"]["counts"]) == ("finished", {"pipeline_drift": 1})
    assert after["body"]["scope"] == {"markets": ["emea/fr"], "stacks": ["network"]}
    assert "retry-after" not in after["headers"]


def test_a_run_whose_last_step_fails_for_good_is_failed_for_the_asker_and_for_durable(day: JsonObject) -> None:
    failing = day["failing"]
    assert failing["instance"]["status"] == "Failed"
    assert failing["instance"]["output"].endswith("finish_run failed at each of 3 tries")
    run = failing["run"]["body"]
    assert (run["status"], run["exit_status"], run["reports"]) == ("failed", 1, {})
    assert run["scope"] == {"markets": [], "stacks": []}


def test_a_market_with_a_slash_in_its_key_is_found_with_its_drift(day: JsonObject) -> None:
    answer = day["market"]
    assert (answer["status"], answer["body"]["market"]) == (200, "emea/fr")
    assert {stack["stack"]: stack["verdict"] for stack in answer["body"]["stacks"]} == {"network": "pipeline_drift"}


def test_health_is_well_and_names_the_day_s_run(day: JsonObject) -> None:
    answer = day["health"]
    assert (answer["status"], answer["body"]["status"]) == (200, "ok")
    assert answer["body"]["last_run"]["run_id"] == DAILY


@pytest.mark.parametrize(
    ("step", "status", "kind"), [("bad_body", 400, "bad-request"), ("unknown_run", 404, "no-such-run")]
)
def test_what_cannot_be_answered_is_a_problem(day: JsonObject, step: str, status: int, kind: str) -> None:
    answer = day[step]
    assert answer["status"] == answer["body"]["status"] == status
    assert answer["headers"]["content-type"] == "application/problem+json"
    assert answer["body"]["type"] == f"urn:trueup:problem:{kind}"


def test_an_activity_that_raises_is_a_failure_of_its_invocation(day: JsonObject) -> None:
    assert [answer["is_success"] for answer in day["malformed"]] == [False] * 3
    assert all(answer["message"].startswith("NoSuchMessageError") for answer in day["malformed"])


def test_a_run_of_plan_checks_completes_and_one_whose_end_fails_for_good_is_failed(day: JsonObject) -> None:
    told = day["plan_checks"]
    assert told["instance"]["status"] == "Completed"
    assert told["failing"]["status"] == "Failed"
    assert told["failing"]["output"].endswith("conclude_checks failed at each of 3 tries")


def test_heals_are_held_paused_and_told(day: JsonObject) -> None:
    told = day["heals"]
    assert [told[step]["status"] for step in ("paused", "holds", "resumed", "history")] == [200] * 4
    (pause,) = told["paused"]["body"]["pauses"]
    assert (pause["market"], pause["by"]) == (None, "anne@example.com")
    assert told["holds"]["body"]["pauses"] == [pause]
    # The checks' own: nothing has a bundle, and so nothing a plan.
    assert {hold["job_id"] for hold in told["holds"]["body"]["holds"]} == {None}
    assert told["resumed"]["body"] == {"pauses": []}
    assert told["history"]["body"] == {"heals": [], "next_before": None}
    kinds = {(answer["status"], answer["body"]["type"]) for answer in told["unknown"]}
    assert kinds == {(404, "urn:trueup:problem:no-such-job")}


def test_no_answer_gives_a_key_away(day: JsonObject, azurite: Azurite) -> None:
    told = json.dumps(day)
    for secret in (SYSTEM_KEY, FUNCTION_KEY, azurite.account_key, "/runtime/webhooks"):
        assert secret not in told

"""A run of the service from its first event to its last, with the real activities on Azurite."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import pytest

from adapters.table_keys import market_key
from adapters.table_names import RESULTS_TABLE, RUNS_TABLE, WORK_TABLE
from reconcile.render.json import render_json
from records.engine import RunRequest
from records.report import Report
from records.results import Run
from records.runs import Scope, Trigger
from tests.estates import (
    entry,
    open_azure_records,
    put_healthy_market,
    put_registry,
    put_state,
    put_tracker,
    reconcile_all,
)
from tests.service_world import DAILY, SIX, ServiceWorld, daily_request, open_service_world, run_daily
from tests.world.azurite import Azurite
from tests.world.durable import ActivityCall, CrashedError, DurableFaults, DurableHub, RuntimeStatus, VirtualClock
from tests.world.fault_proxy import FaultProxy
from tests.world.faults import AnswerStatus, on

pytestmark = [
    pytest.mark.azurite,
    pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type"),
]

WIDTH: Final = 4
LATEST: Final = ["latest.html", "latest.json", "latest.md"]
OF_THE_RUN: Final = [f"{DAILY}.html", f"{DAILY}.json", f"{DAILY}.md"]


@pytest.fixture
async def world(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServiceWorld]:
    async with open_service_world(azurite, monkeypatch, FAN_OUT_WIDTH=str(WIDTH)) as opened:
        yield opened


def put_small_estate(world: ServiceWorld) -> None:
    """Three markets: a healthy one, one with a drift, and one whose registry record is not JSON."""
    put_healthy_market(world.estate, "de")
    put_healthy_market(world.estate, "emea/fr", ["network"])
    put_state(world.estate, "emea/fr", "network", 44)
    world.estate.put(world.estate.containers.registry, "uk/subscription.json", b"not JSON")


def of_market(market: str, activity: str = "reconcile_market") -> Any:
    def matches(call: ActivityCall) -> bool:
        return call.name == activity and json.loads(call.input_json).get("name") == market

    return matches


def report_of(world: ServiceWorld, name: str = DAILY) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(world.report(f"{name}.json"))
    return report


def left_behind(world: ServiceWorld) -> dict[str, Any]:
    """All that a run leaves: rows and reports."""
    return {**world.rows(), **{name: world.report(name) for name in world.reports()}}


def status_of(hub: DurableHub) -> RuntimeStatus:
    status = hub.status(DAILY)
    assert status is not None
    return status.runtime_status


async def test_of_an_empty_estate_ends_well(world: ServiceWorld) -> None:
    hub = DurableHub(world.host)
    await run_daily(world, hub)
    assert status_of(hub) is RuntimeStatus.COMPLETED
    assert world.reports() == [*OF_THE_RUN, *LATEST]
    report = report_of(world)
    assert (report["markets"], report["results"], report["problems"]) == (0, [], [])


async def test_of_one_market_writes_rows_reports_and_the_run_s_own_row(world: ServiceWorld) -> None:
    put_healthy_market(world.estate, "de", ["network"])
    hub = DurableHub(world.host)
    await run_daily(world, hub)
    rows = world.rows()
    assert sorted(row["RowKey"].partition(":")[0] for row in rows[RESULTS_TABLE]) == ["history", "latest", "latest"]
    assert {row["run_id"] for row in rows[RUNS_TABLE]} == {DAILY}
    run = json.loads(rows[RUNS_TABLE][0]["row"])
    assert (run["status"], run["trigger"], run["expected_markets"], run["markets"]) == ("finished", "timer", 1, 1)
    assert run["counts"] == {"healthy": 1}
    assert "The only stack is healthy" in world.report("latest.md").decode()
    assert hub.timers == []


@pytest.mark.slow
async def test_of_300_markets_never_has_more_in_work_than_the_width(world: ServiceWorld) -> None:
    markets = [f"region-{number % 7}/market-{number:03d}" for number in range(300)]
    for market in markets:
        put_healthy_market(world.estate, market, ["network"])
    put_state(world.estate, markets[123], "network", 43)
    hub = DurableHub(world.host)
    await run_daily(world, hub)
    assert status_of(hub) is RuntimeStatus.COMPLETED
    assert hub.most_activities_at_once["reconcile_market"] == WIDTH
    report = report_of(world)
    assert report["markets"] == 300
    assert report["counts"] == {"healthy": 299, "pipeline_drift": 1}
    assert [result["market"] for result in report["results"]] == sorted(markets)
    partitions = [row["PartitionKey"] for row in world.rows()[RESULTS_TABLE] if row["RowKey"].startswith("history:")]
    assert sorted(partitions) == sorted(map(market_key, markets))


async def test_comes_to_the_same_as_the_command_line(world: ServiceWorld) -> None:
    put_small_estate(world)
    put_tracker(world.estate, "pt", "network")
    put_registry(world.estate, "nl", {"app": entry("de", "app")})
    world.estate.put(world.estate.containers.registry, "Bad Name?/subscription.json", b"{}")
    world.estate.put(world.estate.containers.states, "left-behind.tfstate", b"x")
    async with open_azure_records(world.azurite.connection_string, world.estate.containers) as records:
        at_the_terminal = await reconcile_all(
            records, None, run=Run(run_id=DAILY, started_at=SIX), clock=lambda: SIX, width=1
        )
    await run_daily(world, DurableHub(world.host))
    results = [
        result for market in sorted(at_the_terminal.outcomes) for result in at_the_terminal.outcomes[market].results
    ]
    assert world.report(f"{DAILY}.json").decode() == "".join(render_json(Report(at_the_terminal.summary, results)))
    assert {problem.code for problem in at_the_terminal.summary.problems} == {
        "invalid_name",
        "shared_state",
        "not_json",
    }


class TestAMarketThatFails:
    @pytest.fixture(autouse=True)
    def _estate(self, world: ServiceWorld) -> None:
        for market in ("de", "fr", "uk"):
            put_healthy_market(world.estate, market)

    async def test_always_is_a_problem_in_the_report_and_ends_no_run(self, world: ServiceWorld) -> None:
        faults = DurableFaults()
        faults.fail_first(1000, of_market("fr"))
        hub = DurableHub(world.host, faults=faults)
        await run_daily(world, hub)
        assert status_of(hub) is RuntimeStatus.COMPLETED
        report = report_of(world)
        assert [(problem["market"], problem["code"]) for problem in report["problems"]] == [("fr", "not_checked")]
        assert (report["markets"], report["counts"]) == (2, {"healthy": 4})
        assert [timer.delay_seconds for timer in hub.timers] == [30, 120]
        row = next(json.loads(row["row"]) for row in world.rows()[RUNS_TABLE])
        assert (row["expected_markets"], row["markets"], row["unread_markets"]) == (3, 2, 1)

    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_twice_and_then_works_leaves_the_rows_of_an_undisturbed_run(
        self, world: ServiceWorld, when: Any
    ) -> None:
        await run_daily(world, DurableHub(world.host))
        undisturbed = left_behind(world)
        world.forget()
        faults = DurableFaults()
        faults.fail_first(2, of_market("fr"), when=when)
        hub = DurableHub(world.host, faults=faults)
        await run_daily(world, hub)
        assert [timer.delay_seconds for timer in hub.timers] == [30, 120]
        assert left_behind(world) == undisturbed


async def test_that_storage_throttles_at_first_is_tried_again_later(
    azurite: Azurite, fault_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    through_proxy = azurite.connection_string_through(blob_url=fault_proxy.url)
    async with open_service_world(azurite, monkeypatch, ESTATE_CONNECTION_STRING=through_proxy) as world:
        for market in ("de", "fr", "uk"):
            put_healthy_market(world.estate, market)
        await run_daily(world, DurableHub(world.host))
        undisturbed = left_behind(world)
        world.forget()
        # The SDK asks once more for itself, so four refusals are those of two activities.
        rule = fault_proxy.inject(on("GET", "*/fr/subscription.json"), AnswerStatus(503, "ServerBusy"), times=4)
        hub = DurableHub(world.host)
        await run_daily(world, hub)
        assert rule.is_spent
        assert [timer.delay_seconds for timer in hub.timers] == [30, 120]
        assert left_behind(world) == undisturbed


async def test_whose_state_cannot_be_read_at_first_compares_with_the_day_before_and_not_with_that(
    azurite: Azurite, fault_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    through_proxy = azurite.connection_string_through(blob_url=fault_proxy.url)
    async with open_service_world(azurite, monkeypatch, ESTATE_CONNECTION_STRING=through_proxy) as world:
        put_healthy_market(world.estate, "de")
        put_state(world.estate, "de", "network", 44)
        world.set_clock(SIX - timedelta(days=1))
        hub = DurableHub(world.host)
        before = Run(run_id="daily-2026-11-24", started_at=SIX - timedelta(days=1))
        request = RunRequest(run=before, trigger=Trigger.TIMER)
        await hub.start("reconcile_estate", before.run_id, json.dumps(request.to_json()))
        await hub.run(before.run_id)
        world.set_clock(SIX)
        rule = fault_proxy.inject(on("GET", "*/de/*.tfstate"), AnswerStatus(503, "ServerBusy"), times=8)
        await run_daily(world, hub)
        assert rule.is_spent
        app, network = report_of(world)["results"]
        assert (app["verdict"], app["healthy_since"]) == ("healthy", "2026-11-24T06:00:00Z")
        assert (network["verdict"], network["first_seen_at"]) == ("pipeline_drift", "2026-11-24T06:00:00Z")


async def test_that_has_had_its_eight_hours_leaves_the_rest_unchecked(world: ServiceWorld) -> None:
    for market in ("de", "fr"):
        put_healthy_market(world.estate, market)
    hub = DurableHub(world.host, clock=VirtualClock(SIX + timedelta(hours=8, minutes=1)))
    await run_daily(world, hub)
    assert status_of(hub) is RuntimeStatus.COMPLETED
    codes = {problem["market"]: problem["code"] for problem in report_of(world)["problems"]}
    assert codes == {"de": "not_checked", "fr": "not_checked"}


@pytest.mark.parametrize("at_once", [False, True], ids=["one after the other", "both at once"])
@pytest.mark.parametrize("activity", ["plan_run", "read_page", "reconcile_market", "finish_run", "*"])
async def test_with_an_activity_delivered_twice_leaves_the_rows_of_once(
    world: ServiceWorld, activity: str, at_once: bool
) -> None:
    put_small_estate(world)
    await run_daily(world, DurableHub(world.host))
    undisturbed = left_behind(world)
    world.forget()
    faults = DurableFaults()
    faults.deliver_twice(activity, at_once=at_once)
    await run_daily(world, DurableHub(world.host, faults=faults))
    assert left_behind(world) == undisturbed


@pytest.mark.slow
async def test_crashed_after_any_event_leaves_the_rows_of_an_undisturbed_run(world: ServiceWorld) -> None:
    put_small_estate(world)
    hub = DurableHub(world.host)
    await run_daily(world, hub)
    undisturbed = left_behind(world)
    assert hub.total_events > 40
    for event_count in range(1, hub.total_events + 1):
        world.forget()
        faults = DurableFaults()
        faults.crash_after(event_count)
        crashing = DurableHub(world.host, faults=faults)
        with pytest.raises(CrashedError):
            await run_daily(world, crashing)
        restored = DurableHub.restore(crashing.snapshot(), world.host)
        if restored.status(DAILY) is None:
            await restored.start("reconcile_estate", DAILY, daily_request())
        await restored.run(DAILY)
        assert status_of(restored) is RuntimeStatus.COMPLETED, event_count
        assert left_behind(world) == undisturbed, event_count


class TestAStepThatFails:
    @pytest.mark.parametrize("step", ["plan_run", "finish_run"])
    async def test_always_ends_the_run_as_failed(self, world: ServiceWorld, step: str) -> None:
        put_small_estate(world)
        faults = DurableFaults()
        faults.fail_first(1000, step)
        hub = DurableHub(world.host, faults=faults)
        await run_daily(world, hub)
        assert status_of(hub) is RuntimeStatus.FAILED
        status = hub.status(DAILY)
        assert status is not None
        assert status.output == f"run {DAILY}: {step} failed at each of 3 tries"
        rows = [json.loads(row["row"]) for row in world.rows()[RUNS_TABLE]]
        assert {row["status"] for row in rows} == {"failed"}

    @pytest.mark.parametrize("step", ["plan_run", "read_page", "finish_run"])
    async def test_twice_and_then_works_changes_nothing(self, world: ServiceWorld, step: str) -> None:
        put_small_estate(world)
        await run_daily(world, DurableHub(world.host))
        undisturbed = left_behind(world)
        world.forget()
        faults = DurableFaults()
        faults.fail_first(2, step, when="after")
        await run_daily(world, DurableHub(world.host, faults=faults))
        assert left_behind(world) == undisturbed

    async def test_to_read_a_page_costs_the_markets_of_that_page_alone(self, world: ServiceWorld) -> None:
        put_small_estate(world)
        faults = DurableFaults()
        faults.fail_first(3, lambda call: call.name == "read_page" and json.loads(call.input_json)["lane"] == 0)
        hub = DurableHub(world.host, faults=faults)
        await run_daily(world, hub)
        assert status_of(hub) is RuntimeStatus.COMPLETED
        codes = {problem["market"]: problem["code"] for problem in report_of(world)["problems"]}
        assert codes == {"de": "not_checked", "uk": "not_json"}

    async def test_for_want_of_a_registry_is_not_tried_again(self, world: ServiceWorld) -> None:
        world.estate.service.delete_container(world.estate.containers.registry)
        hub = DurableHub(world.host)
        await run_daily(world, hub)
        status = hub.status(DAILY)
        assert status is not None
        assert "the registry cannot be listed" in status.output
        assert hub.timers == []


class TestAScope:
    @pytest.fixture(autouse=True)
    def _estate(self, world: ServiceWorld) -> None:
        for market in ("de", "fr", "uk"):
            put_healthy_market(world.estate, market)

    async def test_of_markets_looks_at_no_other(self, world: ServiceWorld) -> None:
        await run_daily(world, DurableHub(world.host), Scope(markets=("de", "uk")))
        assert {result["market"] for result in report_of(world)["results"]} == {"de", "uk"}
        assert world.reports() == OF_THE_RUN

    async def test_of_stacks_leaves_the_other_stacks_as_they_were(self, world: ServiceWorld) -> None:
        hub = DurableHub(world.host)
        await run_daily(world, hub)
        world.set_clock(SIX.replace(hour=9))
        later = json.loads(daily_request(Scope(stacks=("app",))))
        later["run"] = {"run_id": "later", "started_at": "2026-11-25T09:00:00Z"}
        await hub.start("reconcile_estate", "later", json.dumps(later))
        await hub.run("later")
        assert report_of(world, "later")["counts"] == {"healthy": 3}
        latest = {
            (row["PartitionKey"], row["RowKey"]): row["run_id"]
            for row in world.rows()[RESULTS_TABLE]
            if row["RowKey"].startswith("latest:")
        }
        assert latest[("de", "latest:app")] == "later"
        assert latest[("de", "latest:network")] == DAILY

    @pytest.mark.parametrize(
        ("scope", "market"),
        [
            pytest.param(Scope(markets=("de", "xx"), stacks=("app",)), "xx", id="of a market"),
            pytest.param(Scope(markets=("de",), stacks=("app", "nope")), "*", id="of a stack"),
        ],
    )
    async def test_that_names_what_no_record_has_is_a_problem_and_not_health(
        self, world: ServiceWorld, scope: Scope, market: str
    ) -> None:
        await run_daily(world, DurableHub(world.host), scope)
        report = report_of(world)
        assert [(problem["market"], problem["code"]) for problem in report["problems"]] == [(market, "not_found")]
        assert report["counts"] == {"healthy": 1}


async def test_leaves_no_work_of_runs_that_are_older_than_the_retention(world: ServiceWorld) -> None:
    put_healthy_market(world.estate, "de")
    await run_daily(world, DurableHub(world.host))
    world.set_clock(SIX.replace(year=2028))
    later = json.loads(daily_request())
    later["run"] = {"run_id": "daily-2028-11-25", "started_at": "2028-11-25T06:00:00Z"}
    hub = DurableHub(world.host)
    await hub.start("reconcile_estate", "daily-2028-11-25", json.dumps(later))
    await hub.run("daily-2028-11-25")
    rows = world.rows()
    assert {row["PartitionKey"] for row in rows[WORK_TABLE]} == {"daily-2028-11-25"}
    assert {row["run_id"] for row in rows[RUNS_TABLE]} == {"daily-2028-11-25"}

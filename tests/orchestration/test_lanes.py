"""What a lane that dies, a page that cannot be read, or a crash between two tries costs, and what it must not."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.estates import put_healthy_market
from tests.service_world import DAILY, AppHost, ServiceWorld, open_service_world, run_daily
from tests.world.azurite import Azurite
from tests.world.durable import ActivityCall, CrashedError, DurableFaults, DurableHub, RuntimeStatus

pytestmark = [
    pytest.mark.azurite,
    pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type"),
]


@dataclass(slots=True)
class DyingLanes:
    """A host whose orchestrator of some lanes raises, as one whose worker runs out of memory at each try would."""

    host: AppHost
    dead: Sequence[int]

    async def orchestrate(self, name: str, body: str, traceparent: str | None) -> str:
        if name == "reconcile_lane" and json.loads(json.loads(body)["input"])["lane"] in self.dead:
            raise MemoryError
        return await self.host.orchestrate(name, body, traceparent)

    async def act(self, name: str, input_json: str, traceparent: str | None) -> str:
        return await self.host.act(name, input_json, traceparent)


@asynccontextmanager
async def estate_of(
    markets: int, azurite: Azurite, monkeypatch: pytest.MonkeyPatch, *, width: int
) -> AsyncIterator[ServiceWorld]:
    async with open_service_world(azurite, monkeypatch, FAN_OUT_WIDTH=str(width)) as world:
        for number in range(markets):
            put_healthy_market(world.estate, f"market-{number:02d}", ["network"])
        yield world


def outcome_of(world: ServiceWorld) -> tuple[list[str], dict[str, str]]:
    """The markets that have verdicts, and the problems of the others."""
    report: dict[str, Any] = json.loads(world.report(f"{DAILY}.json"))
    checked = [result["market"] for result in report["results"]]
    return checked, {problem["market"]: problem["code"] for problem in report["problems"]}


@pytest.mark.parametrize("dead", [[0], [0, 2], [0, 1, 2]], ids=["one of three", "two of three", "all"])
async def test_a_lane_that_dies_costs_its_markets_alone(
    azurite: Azurite, monkeypatch: pytest.MonkeyPatch, dead: list[int]
) -> None:
    async with estate_of(12, azurite, monkeypatch, width=3) as world:
        hub = DurableHub(DyingLanes(world.host, dead))
        await run_daily(world, hub)
        status = hub.status(DAILY)
        assert status is not None
        assert status.runtime_status is RuntimeStatus.COMPLETED
        markets = [f"market-{number:02d}" for number in range(12)]
        lost = {market: "not_checked" for number, market in enumerate(markets) if number % 3 in dead}
        assert outcome_of(world) == ([market for market in markets if market not in lost], lost)


async def test_a_page_that_cannot_be_read_costs_its_markets_and_not_those_of_the_next(
    azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_page(call: ActivityCall) -> bool:
        return call.name == "read_page" and json.loads(call.input_json)["page"] == 0

    async with estate_of(30, azurite, monkeypatch, width=1) as world:
        faults = DurableFaults()
        faults.fail_first(3, first_page)
        await run_daily(world, DurableHub(world.host, faults=faults))
        checked, problems = outcome_of(world)
        assert checked == [f"market-{number:02d}" for number in range(25, 30)]
        assert set(problems.values()) == {"not_checked"}
        assert len(problems) == 25


async def test_crashed_after_any_event_of_a_history_with_a_second_try_it_leaves_the_rows_of_an_undisturbed_run(
    azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing_once(crash_after: int | None = None) -> DurableFaults:
        faults = DurableFaults()
        faults.fail_first(1, lambda call: call.name == "reconcile_market" and "market-01" in call.input_json)
        if crash_after:
            faults.crash_after(crash_after)
        return faults

    def left_behind(world: ServiceWorld) -> dict[str, Any]:
        return {**world.rows(), **{name: world.report(name) for name in world.reports()}}

    async with estate_of(2, azurite, monkeypatch, width=1) as world:
        await run_daily(world, DurableHub(world.host))
        undisturbed = left_behind(world)
        world.forget()
        hub = DurableHub(world.host, faults=failing_once())
        await run_daily(world, hub)
        assert [timer.delay_seconds for timer in hub.timers] == [30]
        assert left_behind(world) == undisturbed
        for event_count in range(1, hub.total_events + 1):
            world.forget()
            crashing = DurableHub(world.host, faults=failing_once(event_count))
            with pytest.raises(CrashedError):
                await run_daily(world, crashing)
            restored = DurableHub.restore(crashing.snapshot(), world.host)
            await restored.run(DAILY)
            assert left_behind(world) == undisturbed, event_count

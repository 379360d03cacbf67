"""What `GET /api/markets/{market}` says of a market that a run of the whole estate could not vouch for."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from records.engine import RunRequest
from records.results import Run
from records.runs import WHOLE_SCOPE, Scope, Trigger
from tests.estates import entry, put_healthy_market, put_registry, put_tracker
from tests.service_world import SIX, ServiceWorld, open_service_world
from tests.world.azurite import Azurite
from tests.world.durable import DurableFaults, DurableHub

pytestmark = [
    pytest.mark.azurite,
    pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type"),
]

LATER: Final = SIX + timedelta(hours=3)


@pytest.fixture
async def world(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServiceWorld]:
    async with open_service_world(azurite, monkeypatch) as opened:
        yield opened


async def run_at(
    world: ServiceWorld, now: datetime, *, scope: Scope = WHOLE_SCOPE, faults: DurableFaults | None = None
) -> None:
    world.set_clock(now)
    run = Run(run_id=f"daily-{now:%Y-%m-%d}" if now.hour == SIX.hour else f"later-{now:%H%M}", started_at=now)
    hub = DurableHub(world.host, faults=faults)
    request = RunRequest(run=run, trigger=Trigger.TIMER, scope=scope)
    await hub.start("reconcile_estate", run.run_id, json.dumps(request.to_json()))
    await hub.run(run.run_id)


async def view_of(world: ServiceWorld, market: str) -> dict[str, Any]:
    response = await world.host.request("get_market", path=f"markets/{market}", market=market)
    view: dict[str, Any] = json.loads(response.get_body())
    return view


def codes(view: dict[str, Any]) -> list[str]:
    return [problem["code"] for problem in view["problems"]]


async def test_two_stacks_that_share_a_state_are_not_shown_as_well(world: ServiceWorld) -> None:
    put_healthy_market(world.estate, "de", ["app"])
    put_registry(world.estate, "nl", {"app": entry("de", "app")})
    put_tracker(world.estate, "nl", "app")
    await run_at(world, SIX)
    view = await view_of(world, "nl")
    assert [stack["verdict"] for stack in view["stacks"]] == ["healthy"]
    assert codes(view) == ["shared_state"]


async def test_a_market_that_was_mended_and_looked_at_again_has_no_problem_any_more(world: ServiceWorld) -> None:
    world.estate.put(world.estate.containers.registry, "de/subscription.json", b"not JSON")
    await run_at(world, SIX)
    assert codes(await view_of(world, "de")) == ["not_json"]
    put_healthy_market(world.estate, "de")
    await run_at(world, LATER, scope=Scope(markets=("de",)))
    view = await view_of(world, "de")
    assert (codes(view), {stack["verdict"] for stack in view["stacks"]}) == ([], {"healthy"})


async def test_a_market_that_was_taken_out_of_all_records_is_not_found_by_the_newest_run(world: ServiceWorld) -> None:
    put_healthy_market(world.estate, "de", ["app"])
    put_healthy_market(world.estate, "fr", ["app"])
    await run_at(world, SIX)
    world.estate.delete(world.estate.containers.registry, "de/subscription.json")
    world.estate.delete(world.estate.containers.trackers, "de/app.json")
    await run_at(world, SIX + timedelta(days=1))
    assert codes(await view_of(world, "de")) == ["not_found"]
    assert codes(await view_of(world, "fr")) == []


async def test_a_new_market_that_no_try_came_to_is_known_as_unchecked(world: ServiceWorld) -> None:
    put_healthy_market(world.estate, "de")
    faults = DurableFaults()
    faults.fail_first(1000, "reconcile_market")
    await run_at(world, SIX, faults=faults)
    view = await view_of(world, "de")
    assert (codes(view), view["stacks"], view["verified_at"]) == (["not_checked"], [], None)

"""How large the histories of a run become, and that they do not grow with the estate: `make bench` runs 10,000 markets."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.orchestrating import named, simulate
from lanes.dealing import MOST_BYTES_ON_A_PAGE, MOST_NAMES_ON_A_PAGE
from records.names import MARKET_MAX_LENGTH

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type"),
]

ROOT = Path(__file__).parents[2]
WIDTH = 40
MANY = 4_000
"""Four pages a lane."""
EVENTS_A_STEP = 4
"""OrchestratorStarted, the completion, what is scheduled next, OrchestratorCompleted."""
STEPS_AROUND_A_PAGE = 3
QUEUE_MESSAGE_MAX_BYTES = 64 * 1024
"""A payload over this is kept as a blob by the Azure Storage backend, and so is slow."""


async def simulated(market_count: int) -> dict[str, Any]:
    """In a process of its own, past the measuring of coverage, which would take four times as long."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.orchestrating", str(market_count), str(WIDTH)),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    figures: dict[str, Any] = json.loads(printed)
    return figures


@pytest.mark.slow
async def test_of_4_000_markets_no_history_and_no_payload_grows_with_the_estate() -> None:
    many, few = await asyncio.gather(simulated(MANY), simulated(WIDTH * MOST_NAMES_ON_A_PAGE))
    assert (many["status"], many["markets"], many["problems"]) == ("finished", MANY, 0)
    assert 1 < many["most_at_once"] <= WIDTH
    assert many["orchestrations"] == 1 + WIDTH
    assert many["largest_history_events"] <= EVENTS_A_STEP * WIDTH
    assert many["largest_payload_bytes"] < 4 * 1024
    assert many["largest_context_bytes"] < 128 * 1024
    for figure in ("largest_history_events", "largest_payload_bytes", "largest_context_bytes"):
        assert few[figure] == pytest.approx(many[figure], rel=0.01), figure


async def test_of_a_lane_with_many_pages_each_begins_anew() -> None:
    simulation = await simulate(named(3 * MOST_NAMES_ON_A_PAGE + 1), width=1)
    lane = next(instance for instance in simulation.instances if instance.name == "reconcile_lane")
    assert len(lane.generation_event_counts) == 4
    assert max(lane.generation_event_counts) <= EVENTS_A_STEP * (MOST_NAMES_ON_A_PAGE + STEPS_AROUND_A_PAGE)
    assert simulation.row.markets == 3 * MOST_NAMES_ON_A_PAGE + 1


async def test_of_the_longest_names_a_payload_is_no_larger() -> None:
    markets = [f"{number:03d}-{'x' * 59}/" * 6 + "m" * (MARKET_MAX_LENGTH - 6 * 64) for number in range(200)]
    assert {len(market) for market in markets} == {MARKET_MAX_LENGTH}
    simulation = await simulate(markets, width=1)
    assert simulation.row.markets == 200
    assert simulation.largest_payload_bytes < MOST_BYTES_ON_A_PAGE + 1024 < QUEUE_MESSAGE_MAX_BYTES

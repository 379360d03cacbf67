"""How large the histories of a run become, and that they do not grow with the estate."""

import pytest

from bench.orchestrating import simulate
from reconcile.service.dealing import MOST_BYTES_ON_A_PAGE, MOST_MARKETS_ON_A_PAGE
from records.names import MARKET_MAX_LENGTH
from records.runs import RunStatus

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type"),
]

WIDTH = 100
EVENTS_A_STEP = 4
"""OrchestratorStarted, the completion, what is scheduled next, OrchestratorCompleted."""
STEPS_AROUND_A_PAGE = 3
QUEUE_MESSAGE_MAX_BYTES = 64 * 1024
"""A payload over this is kept as a blob by the Azure Storage backend, and so is slow."""


def named(count: int) -> list[str]:
    return [f"region-{number % 40:02d}/business-unit-{number % 7}/market-{number:05d}" for number in range(count)]


async def test_of_10_000_markets_no_history_and_no_payload_grows_with_the_estate() -> None:
    simulation = await simulate(named(10_000), width=WIDTH)
    row = simulation.row
    assert (row.status, row.markets, row.problem_count) == (RunStatus.FINISHED, 10_000, 0)
    assert 1 < simulation.most_at_once <= WIDTH
    assert len(simulation.instances) == 1 + WIDTH
    assert simulation.largest_history_events <= max(
        EVENTS_A_STEP * (MOST_MARKETS_ON_A_PAGE + STEPS_AROUND_A_PAGE), EVENTS_A_STEP * WIDTH
    )
    assert simulation.largest_payload_bytes < 4 * 1024
    assert simulation.largest_context_bytes < 128 * 1024
    smaller = await simulate(named(WIDTH * MOST_MARKETS_ON_A_PAGE), width=WIDTH)
    assert smaller.largest_history_events == simulation.largest_history_events
    assert smaller.largest_payload_bytes == simulation.largest_payload_bytes


async def test_of_a_lane_with_many_pages_each_begins_anew() -> None:
    simulation = await simulate(named(3 * MOST_MARKETS_ON_A_PAGE + 1), width=1)
    lane = next(instance for instance in simulation.instances if instance.name == "reconcile_lane")
    assert len(lane.generation_event_counts) == 4
    assert simulation.row.markets == 3 * MOST_MARKETS_ON_A_PAGE + 1


async def test_of_the_longest_names_a_payload_is_no_larger() -> None:
    markets = [f"{number:03d}-{'x' * 59}/" * 6 + "m" * (MARKET_MAX_LENGTH - 6 * 64) for number in range(200)]
    assert {len(market) for market in markets} == {MARKET_MAX_LENGTH}
    simulation = await simulate(markets, width=1)
    assert simulation.row.markets == 200
    assert simulation.largest_payload_bytes < MOST_BYTES_ON_A_PAGE + 1024 < QUEUE_MESSAGE_MAX_BYTES

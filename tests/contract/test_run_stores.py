"""What every run store promises: the one in memory, the folder, and Azure's tables in their emulator."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from azure.data.tables import TableServiceClient

from adapters.table_names import RUNS_TABLE
from records.plan_checks import CheckRunRow
from records.results import Run
from records.runs import WHOLE_SCOPE, RunRow, RunStatus, Scope, Trigger
from tests.contract_worlds import (
    BACKENDS,
    PLAN_CHECKS,
    RECONCILIATIONS,
    SIX,
    Runs,
    World,
    open_world,
    planned,
    reconciled,
    run,
)
from tests.estates import delete_tables, newest_run, open_azure_stores
from tests.unit.report_samples import stack_result
from tests.world.azurite import Azurite

MORE_THAN_A_PAGE: Final = 150


@pytest.fixture(params=BACKENDS)
async def reconciliations(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(request, tmp_path, RECONCILIATIONS) as opened:
        yield opened


@pytest.fixture(params=BACKENDS)
async def plan_checks(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(request, tmp_path, PLAN_CHECKS) as opened:
        yield opened


@pytest.fixture(
    params=[pytest.param(RECONCILIATIONS, id="of reconciliations"), pytest.param(PLAN_CHECKS, id="of plan checks")]
)
def whose(request: pytest.FixtureRequest) -> Runs:
    runs: Runs = request.param
    return runs


@pytest.fixture(params=BACKENDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path, whose: Runs) -> AsyncIterator[World]:
    async with open_world(request, tmp_path, whose) as opened:
        yield opened


async def run_ids(world: World) -> list[str]:
    return [found.run_id async for found in world.runs.runs()]


ROWS: Final = [
    pytest.param(reconciled(run(1)), id="finished"),
    pytest.param(RECONCILIATIONS.running(run(1), trigger=Trigger.TIMER, expected_markets=10_000), id="running"),
    pytest.param(RECONCILIATIONS.running(run(1)), id="running, before its markets are known"),
    pytest.param(reconciled(run(1), status=RunStatus.FAILED, counts={}, markets=0), id="failed"),
    pytest.param(
        reconciled(
            run(1), trigger=Trigger.HTTP, scope=Scope(markets=("de", "emea/fr"), stacks=("app",)), unread_markets=0
        ),
        id="of a part of the estate",
    ),
    pytest.param(reconciled(run(1, run_id="request-0123456789abcdef-20261124T060000000Z")), id="on demand"),
    pytest.param(reconciled(run(1, run_id="A" * 64)), id="with the longest id"),
]

CHECK_ROWS: Final = [
    pytest.param(planned(run(1)), id="finished"),
    pytest.param(PLAN_CHECKS.running(run(1), trigger=Trigger.TIMER, expected_stacks=20_000), id="running"),
    pytest.param(planned(run(1), status=RunStatus.FAILED, reason="the registry cannot be listed"), id="failed"),
    pytest.param(planned(run(1), scope=Scope(markets=("de",), stacks=("app",))), id="of a part of the estate"),
]


class TestARun:
    @pytest.mark.parametrize("written", ROWS)
    async def test_is_read_back_the_same(self, reconciliations: World, written: RunRow) -> None:
        await reconciliations.runs.save_run(row=written)
        assert await reconciliations.runs.run(run_id=written.run_id) == written
        assert await newest_run(reconciliations.runs) == written

    @pytest.mark.parametrize("written", CHECK_ROWS)
    async def test_of_plan_checks_is_read_back_the_same(self, plan_checks: World, written: CheckRunRow) -> None:
        await plan_checks.runs.save_run(row=written)
        assert await plan_checks.runs.run(run_id=written.run_id) == written
        assert await newest_run(plan_checks.runs) == written

    async def test_is_found_among_others_by_its_whole_id(self, world: World) -> None:
        ids = ["daily-2026-11-2", "daily-2026-11-25", "daily-2026-11-25.1", "DAILY-2026-11-25"]
        for day, run_id in enumerate(ids):
            await world.runs.save_run(row=world.of.row(run(day, run_id=run_id), count=day))
        for day, run_id in enumerate(ids):
            found = await world.runs.run(run_id=run_id)
            assert found == world.of.row(run(day, run_id=run_id), count=day)

    @pytest.mark.parametrize("others", [0, 1], ids=["of none", "of another"])
    async def test_that_never_was_is_none(self, world: World, others: int) -> None:
        for day in range(others):
            await world.runs.save_run(row=world.of.row(run(day)))
        assert await world.runs.run(run_id="daily-2026-11-25") is None

    async def test_goes_from_running_to_its_end(self, world: World) -> None:
        await world.runs.save_run(row=world.of.running(run(1)))
        await world.runs.save_run(row=world.of.row(run(1)))
        found = await world.runs.run(run_id=run(1).run_id)
        assert found == world.of.row(run(1))
        assert [item async for item in world.runs.runs()] == [found]

    async def test_that_failed_and_then_finished_after_all_has_finished(self, world: World) -> None:
        for status in (RunStatus.RUNNING, RunStatus.FAILED, RunStatus.FINISHED):
            await world.runs.save_run(row=world.of.row(run(1), status=status))
        found = await world.runs.run(run_id=run(1).run_id)
        assert found is not None
        assert found.status is RunStatus.FINISHED
        assert await run_ids(world) == [run(1).run_id]

    async def test_whose_id_is_used_again_keeps_the_start_of_its_first_row(self, world: World) -> None:
        first, again = run(1, run_id="nightly"), run(3, run_id="nightly")
        await world.runs.save_run(row=world.of.row(first, count=2))
        await world.runs.save_run(row=world.of.row(run(2)))
        await world.runs.save_run(row=world.of.row(again, count=3))
        kept = world.of.row(again, count=3, started_at=first.started_at)
        assert await world.runs.run(run_id="nightly") == kept
        assert [item async for item in world.runs.runs()] == [world.of.row(run(2)), kept]

    async def test_written_by_two_deliveries_at_once_is_one(self, world: World) -> None:
        await asyncio.gather(*(world.runs.save_run(row=world.of.row(run(1))) for _ in range(4)))
        assert await run_ids(world) == [run(1).run_id]


class TestRuns:
    async def test_there_is_none_before_the_first(self, world: World) -> None:
        assert await run_ids(world) == []

    async def test_come_newest_first_in_whatever_order_they_were_written(self, world: World) -> None:
        for day in (1, 3, 2):
            await world.runs.save_run(row=world.of.row(run(day)))
        assert [item async for item in world.runs.runs()] == [world.of.row(run(day)) for day in (3, 2, 1)]

    async def test_come_newest_first_over_more_than_one_page(self, world: World) -> None:
        minutes = [(number * 37) % MORE_THAN_A_PAGE for number in range(MORE_THAN_A_PAGE)]
        runs = [Run.named_by(SIX + timedelta(minutes=minute)) for minute in minutes]
        await asyncio.gather(*(world.runs.save_run(row=world.of.row(of)) for of in runs))
        assert await run_ids(world) == sorted((of.run_id for of in runs), reverse=True)

    async def test_results_are_no_runs_and_runs_are_no_results(self, world: World) -> None:
        await world.store.save_market(run=run(1), market="runs", results=[stack_result("runs", "network")])
        assert await run_ids(world) == []
        await world.runs.save_run(row=world.of.row(run(1)))
        assert sorted(await world.store.latest_of_market(market="runs")) == ["network"]

    async def test_pass_over_one_that_cannot_be_read(self, world: World) -> None:
        for day in (1, 2, 3):
            await world.runs.save_run(row=world.of.row(run(day)))
        world.spoil(run(2).run_id)
        assert await run_ids(world) == [run(3).run_id, run(1).run_id]
        assert await world.runs.run(run_id=run(2).run_id) is None


def row_of_an_earlier_version(of: Run) -> str:
    """As it was kept before runs had a status, a trigger and a scope."""
    return json.dumps(
        {
            "run_id": of.run_id,
            "started_at": "2026-11-25T06:00:00Z",
            "finished_at": "2026-11-25T06:02:00Z",
            "markets": 3,
            "counts": {"healthy": 2, "pipeline_drift": 1},
            "problem_count": 1,
            "unregistered_state_count": 4,
        }
    )


class TestARowOfAnEarlierVersion:
    async def test_is_that_of_a_run_that_finished_at_a_terminal(self, reconciliations: World) -> None:
        reconciliations.put_row_of_an_earlier_version(run(1), row_of_an_earlier_version(run(1)))
        found = await newest_run(reconciliations.runs)
        assert found == reconciled(run(1), finished_at=SIX + timedelta(days=1, minutes=2))
        assert (found.status, found.trigger, found.scope) == (RunStatus.FINISHED, Trigger.TERMINAL, WHOLE_SCOPE)
        assert (found.expected_markets, found.unread_markets, found.exit_status) == (None, None, 2)

    async def test_is_pruned_like_any_other(self, reconciliations: World) -> None:
        reconciliations.put_row_of_an_earlier_version(run(1), row_of_an_earlier_version(run(1)))
        await reconciliations.runs.save_run(row=reconciled(run(2)))
        await reconciliations.runs.prune_runs(started_before=run(3).started_at)
        assert await run_ids(reconciliations) == []


class TestPruning:
    async def test_removes_the_runs_that_started_before(self, world: World) -> None:
        for day in (3, 1, 4, 2):
            await world.runs.save_run(row=world.of.row(run(day)))
        for _ in range(2):
            await world.runs.prune_runs(started_before=run(3).started_at)
            assert await run_ids(world) == [run(4).run_id, run(3).run_id]

    async def test_leaves_nothing_to_be_found_by_id(self, world: World) -> None:
        for day in (1, 2):
            await world.runs.save_run(row=world.of.row(run(day)))
        await world.runs.prune_runs(started_before=run(2).started_at)
        assert await world.runs.run(run_id=run(1).run_id) is None
        assert await world.runs.run(run_id=run(2).run_id) == world.of.row(run(2))

    async def test_goes_by_the_start_of_the_first_row(self, world: World) -> None:
        for day in (1, 3):
            await world.runs.save_run(row=world.of.row(run(day, run_id="nightly")))
        await world.runs.prune_runs(started_before=run(2).started_at)
        assert await world.runs.run(run_id="nightly") is None
        assert await run_ids(world) == []

    async def test_before_the_first_run_removes_nothing(self, world: World) -> None:
        await world.runs.prune_runs(started_before=run(2).started_at)
        await world.runs.save_run(row=world.of.row(run(2)))
        await world.runs.prune_runs(started_before=run(2).started_at)
        assert await run_ids(world) == [run(2).run_id]

    async def test_removes_more_rows_than_one_transaction_takes(self, world: World) -> None:
        runs = [Run.named_by(SIX + timedelta(minutes=minute)) for minute in range(MORE_THAN_A_PAGE)]
        await asyncio.gather(*(world.runs.save_run(row=world.of.row(of)) for of in runs))
        await world.runs.save_run(row=world.of.row(run(1)))
        assert len(await run_ids(world)) == MORE_THAN_A_PAGE + 1
        await world.runs.prune_runs(started_before=run(1).started_at)
        assert await run_ids(world) == [run(1).run_id]


@pytest.mark.azurite
async def test_azure_keeps_nothing_of_a_run_that_was_pruned(azurite: Azurite) -> None:
    async with open_azure_stores(azurite.connection_string) as stores:
        for day in (1, 2):
            await stores.runs.save_run(row=RECONCILIATIONS.running(run(day)))
            await stores.runs.save_run(row=reconciled(run(day)))
        await stores.runs.prune_runs(started_before=run(2).started_at)
    with TableServiceClient.from_connection_string(azurite.connection_string) as service:
        left = [entity["run_id"] for entity in service.get_table_client(RUNS_TABLE).list_entities()]
    delete_tables(azurite.connection_string)
    assert left == [run(2).run_id, run(2).run_id]

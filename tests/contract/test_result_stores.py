"""What every result store promises: the one in memory, the folder, and Azure's tables in their emulator."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient

from adapters.azure_tables import RESULTS_TABLE, RUNS_TABLE
from adapters.folder_tables import FolderResultStore
from reconcile.compare import StackIdentity, compare
from records.faults import RecordKind
from records.ports import ResultStore, RunStore
from records.readings import Reading, StackReadings
from records.results import Run, StackResult, StoredResult
from records.runs import RunRow
from records.verdicts import Verdict
from tests.estates import AzureStores, delete_tables, newest_run, open_azure_stores
from tests.fakes import MemoryResultStore
from tests.unit.readings_samples import LAST_CHANGE, NO_TRACKER, lock, readings, registry, state, tracker, unreadable

SIX: Final = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
UNKNOWN_FORM: Final = '{"verdict": "of a later version"}'


class World(Protocol):
    """A store, and somebody who spoils what is in it."""

    @property
    def store(self) -> ResultStore: ...

    @property
    def runs(self) -> RunStore: ...

    def spoil(self, run_id: str) -> None:
        """Rewrites all that a run wrote in a form that nobody can read."""


class InMemory:
    def __init__(self) -> None:
        self.store = self.runs = MemoryResultStore()

    def spoil(self, run_id: str) -> None:
        self.store.spoil(run_id)


class InFolder:
    def __init__(self, root: Path) -> None:
        self.store = self.runs = FolderResultStore(root)
        self._root = root

    def spoil(self, run_id: str) -> None:
        for file in self._root.rglob(f"*-{run_id}.json"):
            file.write_text(UNKNOWN_FORM)


class InAzurite:
    def __init__(self, service: TableServiceClient, stores: AzureStores) -> None:
        self.store = stores.results
        self.runs = stores.runs
        self._service = service

    def spoil(self, run_id: str) -> None:
        for name, column in ((RESULTS_TABLE, "result"), (RUNS_TABLE, "row")):
            table = self._service.get_table_client(name)
            # A table that nothing was written to is not there.
            with suppress(ResourceNotFoundError):
                for row in table.query_entities("run_id eq @run", parameters={"run": run_id}):
                    table.update_entity({**row, column: UNKNOWN_FORM})


BACKENDS: Final = [
    pytest.param("memory"),
    pytest.param("folder"),
    pytest.param("azurite", marks=pytest.mark.azurite),
]


@pytest.fixture(params=BACKENDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    match request.param:
        case "memory":
            yield InMemory()
        case "folder":
            yield InFolder(tmp_path)
        case _:
            connection_string = request.getfixturevalue("azurite").connection_string
            with TableServiceClient.from_connection_string(connection_string) as service:
                async with open_azure_stores(connection_string) as stores:
                    yield InAzurite(service, stores)
            delete_tables(connection_string)


def run(day: int, *, run_id: str | None = None) -> Run:
    started_at = SIX + timedelta(days=day)
    return Run(run_id=run_id, started_at=started_at) if run_id else Run.named_by(started_at)


def result(stack: str = "network", *, market: str = "de", serial: int = 42) -> StackResult:
    """Healthy at serial 42, drifted above it."""
    return judged(market, stack, readings(state(serial), tracker(), registry()))


def judged(market: str, stack: str, given: StackReadings) -> StackResult:
    identity = StackIdentity(market=market, stack=stack, subscription_id="s", owner="Plattform-Team „Süd“ 🦊")
    return compare(identity, given, now=SIX, in_flight_minutes=60)


def stored(by: Run, of: StackResult) -> StoredResult:
    return StoredResult(run_id=by.run_id, run_started_at=by.started_at, result=of)


async def save(world: World, by: Run, *results: StackResult, market: str = "de") -> None:
    await world.store.save_market(run=by, market=market, results=results)


async def history(world: World, stack: str = "network", market: str = "de") -> list[StoredResult]:
    return [item async for item in world.store.history_of_stack(market=market, stack=stack)]


async def latest(world: World, market: str = "de") -> dict[str, StoredResult]:
    return dict(await world.store.latest_of_market(market=market))


def run_ids(items: Iterable[StoredResult]) -> list[str]:
    return [item.run_id for item in items]


def drifted(of_state: Reading[Any]) -> StackReadings:
    return readings(of_state, tracker(release="2026.11.3", commit="4f1c"), registry())


RESULTS: Final = [
    pytest.param(readings(state(), tracker(), registry()), id="healthy"),
    pytest.param(drifted(state(44)), id="drifted"),
    pytest.param(drifted(state(44, lock=lock(timedelta(minutes=5)))), id="in flight, with a lock"),
    pytest.param(readings(state(), unreadable(RecordKind.TRACKER), registry()), id="unreadable, with a fault"),
    pytest.param(readings(state(2**64 - 1), tracker(2**64 - 2), registry(0)), id="the largest serials"),
    pytest.param(
        readings(state(), NO_TRACKER, registry(None, deployed_at=LAST_CHANGE - timedelta(days=2))), id="by times alone"
    ),
]


class TestWhatWasWritten:
    @pytest.mark.parametrize("given", RESULTS)
    async def test_is_read_back_the_same(self, world: World, given: StackReadings) -> None:
        by = Run(run_id="nightly-7", started_at=SIX + timedelta(microseconds=123456))
        expected = stored(by, judged("emea/fr", "network", given))
        await save(world, by, expected.result, market="emea/fr")
        assert await latest(world, "emea/fr") == {"network": expected}
        assert await world.store.latest_of_stack(market="emea/fr", stack="network") == expected
        assert await history(world, market="emea/fr") == [expected]

    async def test_is_the_latest_of_each_stack(self, world: World) -> None:
        by = run(1)
        await save(world, by, result("app"), result("network", serial=44))
        assert await latest(world) == {
            "app": stored(by, result("app")),
            "network": stored(by, result("network", serial=44)),
        }

    async def test_is_not_there_for_a_stack_that_was_never_reconciled(self, world: World) -> None:
        await save(world, run(1), result("app"))
        assert await world.store.latest_of_stack(market="de", stack="network") is None
        assert await world.store.latest_of_stack(market="fr", stack="app") is None
        assert await latest(world, "fr") == {}
        assert await history(world, "network") == []

    async def test_is_one_row_however_often_the_same_run_writes_it(self, world: World) -> None:
        by = run(1)
        for _ in range(3):
            await save(world, by, result())
        assert await history(world) == [stored(by, result())]

    async def test_is_replaced_when_the_same_run_writes_something_else(self, world: World) -> None:
        by = run(1)
        await save(world, by, result(serial=42))
        await save(world, by, result(serial=44))
        assert await history(world) == [stored(by, result(serial=44))]
        assert await latest(world) == {"network": stored(by, result(serial=44))}

    async def test_is_kept_for_each_of_120_stacks(self, world: World) -> None:
        stacks = [f"stack-{number:03d}" for number in range(120)]
        await save(world, run(1), *(result(stack) for stack in stacks))
        await save(world, run(2), *(result(stack, serial=44) for stack in stacks))
        found = await latest(world)
        assert sorted(found) == stacks
        assert {item.result.verdict for item in found.values()} == {Verdict.PIPELINE_DRIFT}
        assert run_ids(await history(world, "stack-119")) == [run(2).run_id, run(1).run_id]


class TestHistory:
    async def test_is_newest_first_in_whatever_order_it_was_written(self, world: World) -> None:
        for day in (3, 1, 4, 2):
            await save(world, run(day), result(serial=40 + day))
        assert [item.result.serials.state for item in await history(world)] == [44, 43, 42, 41]

    async def test_takes_in_an_older_run_at_its_place_and_leaves_the_latest(self, world: World) -> None:
        await save(world, run(1), result(serial=41))
        await save(world, run(3), result(serial=43))
        await save(world, run(2), result(serial=42))
        assert run_ids(await history(world)) == [run(3).run_id, run(2).run_id, run(1).run_id]
        assert await latest(world) == {"network": stored(run(3), result(serial=43))}

    async def test_tells_runs_apart_that_are_a_millisecond_apart(self, world: World) -> None:
        later = Run(run_id="later", started_at=SIX + timedelta(milliseconds=1))
        await save(world, later, result(serial=44))
        await save(world, Run(run_id="earlier", started_at=SIX), result())
        assert run_ids(await history(world)) == ["later", "earlier"]
        assert run_ids((await latest(world)).values()) == ["later"]


class TestAStackThatIsGone:
    async def test_has_a_history_and_no_latest(self, world: World) -> None:
        await save(world, run(1), result("app"), result("network"))
        await save(world, run(2), result("app"))
        assert await latest(world) == {"app": stored(run(2), result("app"))}
        assert await world.store.latest_of_stack(market="de", stack="network") is None
        assert run_ids(await history(world, "network")) == [run(1).run_id]

    async def test_can_be_the_last_one(self, world: World) -> None:
        await save(world, run(1), result())
        await save(world, run(2))
        assert await latest(world) == {}
        assert run_ids(await history(world)) == [run(1).run_id]

    async def test_can_be_one_of_120(self, world: World) -> None:
        stacks = [f"stack-{number:03d}" for number in range(120)]
        await save(world, run(1), *(result(stack) for stack in stacks))
        await save(world, run(2), result("stack-007"))
        assert run_ids((await latest(world)).values()) == [run(2).run_id]

    @pytest.mark.parametrize("left", [["app"], []], ids=["one of two", "the last one"])
    async def test_is_not_brought_back_by_an_older_run_that_comes_late(self, world: World, left: list[str]) -> None:
        await save(world, run(2), *map(result, left))
        await save(world, run(1), result("app"), result("network"))
        assert await latest(world) == {stack: stored(run(2), result(stack)) for stack in left}
        assert run_ids(await history(world, "network")) == [run(1).run_id]

    async def test_comes_back_with_a_later_run(self, world: World) -> None:
        await save(world, run(1), result())
        await save(world, run(2))
        await save(world, run(3), result(serial=43))
        assert await latest(world) == {"network": stored(run(3), result(serial=43))}

    async def test_leaves_no_latest_when_an_older_run_without_it_comes_late(self, world: World) -> None:
        await save(world, run(2), result("app"), result("network"))
        await save(world, run(1), result("app"))
        assert sorted(await latest(world)) == ["app", "network"]


class TestNames:
    async def test_a_market_is_never_taken_for_the_one_it_is_nested_in(self, world: World) -> None:
        markets = ["a", "a/b", "a/b/c", "a-b", "ab", "b"]
        for serial, market in enumerate(markets):
            await save(world, run(1), result(market=market, serial=serial), market=market)
        for serial, market in enumerate(markets):
            expected = stored(run(1), result(market=market, serial=serial))
            assert await latest(world, market) == {"network": expected}
            assert await history(world, market=market) == [expected]

    async def test_a_stack_is_never_taken_for_one_whose_name_goes_on(self, world: World) -> None:
        stacks = ["app", "app-2", "app0", "ap", "latest", "history"]
        await save(world, run(1), *(result(stack, serial=serial) for serial, stack in enumerate(stacks)))
        for serial, stack in enumerate(stacks):
            expected = stored(run(1), result(stack, serial=serial))
            assert await world.store.latest_of_stack(market="de", stack=stack) == expected
            assert await history(world, stack) == [expected]

    async def test_pruning_a_market_leaves_the_markets_nested_in_it(self, world: World) -> None:
        for market in ("a", "a/b"):
            for day in (1, 2):
                await save(world, run(day), result(market=market), market=market)
        assert await world.store.prune_market(market="a", started_before=SIX + timedelta(days=2)) == 1
        assert len(await history(world, market="a/b")) == 2


class TestPruning:
    async def test_removes_what_started_before_and_says_how_much(self, world: World) -> None:
        for day in (1, 2, 3, 4):
            await save(world, run(day), result())
        assert await world.store.prune_market(market="de", started_before=run(3).started_at) == 2
        assert run_ids(await history(world)) == [run(4).run_id, run(3).run_id]
        assert await world.store.prune_market(market="de", started_before=run(3).started_at) == 0

    async def test_keeps_the_latest_however_old(self, world: World) -> None:
        await save(world, run(1), result(serial=41))
        await save(world, run(2), result(serial=44))
        await world.store.prune_market(market="de", started_before=SIX + timedelta(days=500))
        expected = stored(run(2), result(serial=44))
        assert await latest(world) == {"network": expected}
        assert await world.store.latest_of_stack(market="de", stack="network") == expected
        assert run(1).run_id not in run_ids(await history(world))

    async def test_of_a_market_without_history_removes_nothing(self, world: World) -> None:
        await save(world, run(1), result(market="fr"), market="fr")
        assert await world.store.prune_market(market="de", started_before=run(2).started_at) == 0

    async def test_removes_more_rows_than_one_transaction_takes(self, world: World) -> None:
        stacks = [f"stack-{number:03d}" for number in range(120)]
        await save(world, run(1), *(result(stack) for stack in stacks))
        await save(world, run(2), *(result(stack) for stack in stacks))
        assert await world.store.prune_market(market="de", started_before=run(2).started_at) > 0
        for stack in ("stack-000", "stack-119"):
            assert run_ids(await history(world, stack)) == [run(2).run_id]


def row(of: Run, **changes: Any) -> RunRow:
    values: dict[str, Any] = {
        "run_id": of.run_id,
        "started_at": of.started_at,
        "finished_at": of.started_at + timedelta(minutes=2, microseconds=5),
        "markets": 3,
        "counts": {Verdict.HEALTHY: 2, Verdict.PIPELINE_DRIFT: 1},
        "problem_count": 1,
        "unregistered_state_count": 4,
    }
    return RunRow(**values | changes)


class TestRuns:
    async def test_there_is_no_newest_run_before_the_first(self, world: World) -> None:
        assert await newest_run(world.runs) is None

    async def test_the_newest_is_the_one_that_started_last(self, world: World) -> None:
        for day in (1, 3, 2):
            await world.runs.save_run(row=row(run(day)))
        assert await newest_run(world.runs) == row(run(3))

    async def test_the_same_run_twice_is_one_run(self, world: World) -> None:
        await world.runs.save_run(row=row(run(1), markets=2))
        await world.runs.save_run(row=row(run(1), markets=3))
        assert await newest_run(world.runs) == row(run(1), markets=3)
        assert len(await world.runs.prune_runs(started_before=run(2).started_at)) == 1

    async def test_pruning_removes_those_that_started_before_and_says_how_many(self, world: World) -> None:
        for day in (1, 2, 3):
            await world.runs.save_run(row=row(run(day)))
        assert len(await world.runs.prune_runs(started_before=run(3).started_at)) == 2
        assert await newest_run(world.runs) == row(run(3))
        assert len(await world.runs.prune_runs(started_before=run(4).started_at)) == 1
        assert await newest_run(world.runs) is None

    async def test_results_are_no_runs_and_runs_are_no_results(self, world: World) -> None:
        await save(world, run(1), result(market="runs"), market="runs")
        assert await newest_run(world.runs) is None
        await world.runs.save_run(row=row(run(1)))
        assert sorted(await latest(world, "runs")) == ["network"]


class TestWhatCannotBeRead:
    async def test_is_left_out_of_a_history(self, world: World) -> None:
        for day in (1, 2, 3):
            await save(world, run(day), result())
        world.spoil(run(2).run_id)
        assert run_ids(await history(world)) == [run(3).run_id, run(1).run_id]

    async def test_is_nobody_s_latest(self, world: World) -> None:
        await save(world, run(1), result(), market="de")
        await save(world, run(2), result(market="fr"), market="fr")
        world.spoil(run(1).run_id)
        assert await latest(world) == {}
        assert await world.store.latest_of_stack(market="de", stack="network") is None
        assert sorted(await latest(world, "fr")) == ["network"]

    async def test_is_written_over_by_the_next_run(self, world: World) -> None:
        await save(world, run(1), result())
        world.spoil(run(1).run_id)
        await save(world, run(2), result(serial=44))
        assert await latest(world) == {"network": stored(run(2), result(serial=44))}

    async def test_is_passed_over_when_the_newest_run_is_looked_for(self, world: World) -> None:
        await world.runs.save_run(row=row(run(1)))
        await world.runs.save_run(row=row(run(2)))
        world.spoil(run(2).run_id)
        assert await newest_run(world.runs) == row(run(1))


class TestTwoAtOnce:
    @pytest.mark.parametrize("before", [[], [run(1)]], ids=["at first", "after another run"])
    @pytest.mark.parametrize("stack_count", [1, 120])
    async def test_different_runs_are_both_kept_and_the_later_is_the_latest(
        self, world: World, stack_count: int, before: list[Run]
    ) -> None:
        stacks = [f"stack-{number:03d}" for number in range(stack_count)]
        for earlier in before:
            await save(world, earlier, *map(result, stacks))
        await asyncio.gather(
            save(world, run(3), *(result(stack, serial=43) for stack in stacks)),
            save(world, run(2), *map(result, stacks)),
        )
        assert {item.run_id for item in (await latest(world)).values()} == {run(3).run_id}
        for stack in (stacks[0], stacks[-1]):
            assert run_ids(await history(world, stack)) == [by.run_id for by in (run(3), run(2), *before)]

    @pytest.mark.parametrize("before", [0, 1], ids=["at first", "after another run"])
    async def test_deliveries_of_one_run_leave_one_row(self, world: World, before: int) -> None:
        for day in range(before):
            await save(world, run(day), result())
        await asyncio.gather(*(save(world, run(2), result(serial=44)) for _ in range(3)))
        assert await latest(world) == {"network": stored(run(2), result(serial=44))}
        assert len(await history(world)) == before + 1

    async def test_markets_do_not_hold_each_other_up(self, world: World) -> None:
        markets = [f"market-{number}" for number in range(12)]
        await asyncio.gather(*(save(world, run(1), result(market=market), market=market) for market in markets))
        for market in markets:
            assert run_ids((await latest(world, market)).values()) == [run(1).run_id]

"""What every result store promises: the one in memory, the folder, and Azure's tables in their emulator."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from reconcile.compare import StackIdentity, compare
from records.faults import RecordKind
from records.readings import Reading, StackReadings
from records.results import Coverage, Run, StackResult, StoredResult
from records.verdicts import Verdict
from tests.contract_worlds import BACKENDS, SIX, World, open_world, run
from tests.unit.readings_samples import LAST_CHANGE, NO_TRACKER, lock, readings, registry, state, tracker, unreadable


@pytest.fixture(params=BACKENDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(request, tmp_path) as opened:
        yield opened


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


async def save_some(world: World, by: Run, *results: StackResult) -> None:
    await world.store.save_market(run=by, market="de", results=results, coverage=Coverage.SOME_STACKS)


def history(world: World, stack: str = "network", market: str = "de") -> list[StoredResult]:
    return world.history(market, stack)


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
        assert history(world, market="emea/fr") == [expected]

    async def test_is_the_latest_of_each_stack(self, world: World) -> None:
        by = run(1)
        await save(world, by, result("app"), result("network", serial=44))
        assert await latest(world) == {
            "app": stored(by, result("app")),
            "network": stored(by, result("network", serial=44)),
        }

    async def test_is_not_there_for_a_stack_that_was_never_reconciled(self, world: World) -> None:
        await save(world, run(1), result("app"))
        assert list(await latest(world)) == ["app"]
        assert await latest(world, "fr") == {}
        assert history(world, "network") == []

    async def test_is_one_row_however_often_the_same_run_writes_it(self, world: World) -> None:
        by = run(1)
        for _ in range(3):
            await save(world, by, result())
        assert history(world) == [stored(by, result())]

    async def test_is_replaced_when_the_same_run_writes_something_else(self, world: World) -> None:
        by = run(1)
        await save(world, by, result(serial=42))
        await save(world, by, result(serial=44))
        assert history(world) == [stored(by, result(serial=44))]
        assert await latest(world) == {"network": stored(by, result(serial=44))}

    async def test_is_kept_for_each_of_120_stacks(self, world: World) -> None:
        stacks = [f"stack-{number:03d}" for number in range(120)]
        await save(world, run(1), *(result(stack) for stack in stacks))
        await save(world, run(2), *(result(stack, serial=44) for stack in stacks))
        found = await latest(world)
        assert sorted(found) == stacks
        assert {item.result.verdict for item in found.values()} == {Verdict.PIPELINE_DRIFT}
        assert run_ids(history(world, "stack-119")) == [run(2).run_id, run(1).run_id]


class TestHistory:
    async def test_is_newest_first_in_whatever_order_it_was_written(self, world: World) -> None:
        for day in (3, 1, 4, 2):
            await save(world, run(day), result(serial=40 + day))
        assert [item.result.serials.state for item in history(world)] == [44, 43, 42, 41]

    async def test_takes_in_an_older_run_at_its_place_and_leaves_the_latest(self, world: World) -> None:
        await save(world, run(1), result(serial=41))
        await save(world, run(3), result(serial=43))
        await save(world, run(2), result(serial=42))
        assert run_ids(history(world)) == [run(3).run_id, run(2).run_id, run(1).run_id]
        assert await latest(world) == {"network": stored(run(3), result(serial=43))}

    async def test_tells_runs_apart_that_are_a_millisecond_apart(self, world: World) -> None:
        later = Run(run_id="later", started_at=SIX + timedelta(milliseconds=1))
        await save(world, later, result(serial=44))
        await save(world, Run(run_id="earlier", started_at=SIX), result())
        assert run_ids(history(world)) == ["later", "earlier"]
        assert run_ids((await latest(world)).values()) == ["later"]


class TestAStackThatIsGone:
    async def test_has_a_history_and_no_latest(self, world: World) -> None:
        await save(world, run(1), result("app"), result("network"))
        await save(world, run(2), result("app"))
        assert await latest(world) == {"app": stored(run(2), result("app"))}
        assert run_ids(history(world, "network")) == [run(1).run_id]

    async def test_can_be_the_last_one(self, world: World) -> None:
        await save(world, run(1), result())
        await save(world, run(2))
        assert await latest(world) == {}
        assert run_ids(history(world)) == [run(1).run_id]

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
        assert run_ids(history(world, "network")) == [run(1).run_id]

    async def test_comes_back_with_a_later_run(self, world: World) -> None:
        await save(world, run(1), result())
        await save(world, run(2))
        await save(world, run(3), result(serial=43))
        assert await latest(world) == {"network": stored(run(3), result(serial=43))}

    async def test_leaves_no_latest_when_an_older_run_without_it_comes_late(self, world: World) -> None:
        await save(world, run(2), result("app"), result("network"))
        await save(world, run(1), result("app"))
        assert sorted(await latest(world)) == ["app", "network"]


class TestARunOfSomeStacks:
    async def test_leaves_the_latest_of_the_other_stacks(self, world: World) -> None:
        await save(world, run(1), result("app"), result("network"))
        await save_some(world, run(2), result("app", serial=44))
        assert await latest(world) == {
            "app": stored(run(2), result("app", serial=44)),
            "network": stored(run(1), result("network")),
        }

    async def test_can_be_the_first_of_its_market(self, world: World) -> None:
        await save_some(world, run(1), result("app"))
        assert await latest(world) == {"app": stored(run(1), result("app"))}
        await save(world, run(2), result("network"))
        assert await latest(world) == {"network": stored(run(2), result("network"))}

    async def test_is_in_the_history_of_its_stacks_with_all_other_runs(self, world: World) -> None:
        await save(world, run(3), result("app"), result("network"))
        await save_some(world, run(4), result("app"))
        await save_some(world, run(2), result("app"))
        await save(world, run(1), result("app"), result("network"))
        assert run_ids(history(world, "app")) == [run(day).run_id for day in (4, 3, 2, 1)]
        assert run_ids(history(world, "network")) == [run(day).run_id for day in (3, 1)]

    async def test_does_not_bring_back_a_stack_that_a_later_whole_run_found_gone(self, world: World) -> None:
        await save(world, run(1), result("app"), result("network"))
        await save(world, run(3), result("app"))
        await save_some(world, run(2), result("network"))
        assert await latest(world) == {"app": stored(run(3), result("app"))}
        assert run_ids(history(world, "network")) == [run(2).run_id, run(1).run_id]

    async def test_brings_back_a_stack_that_an_earlier_whole_run_found_gone(self, world: World) -> None:
        await save(world, run(1), result("app"), result("network"))
        await save(world, run(2), result("app"))
        await save_some(world, run(3), result("network"))
        assert {stack: item.run_id for stack, item in (await latest(world)).items()} == {
            "app": run(2).run_id,
            "network": run(3).run_id,
        }

    @pytest.mark.parametrize("newer_is_whole", [True, False], ids=["of the whole market", "of some stacks"])
    async def test_that_comes_late_does_not_replace_the_latest_of_a_newer_one(
        self, world: World, newer_is_whole: bool
    ) -> None:
        await save(world, run(1), result("app"), result("network"))
        await (save if newer_is_whole else save_some)(world, run(3), result("app", serial=43), result("network"))
        await save_some(world, run(2), result("app"))
        found = await latest(world)
        assert found["app"] == stored(run(3), result("app", serial=43))
        assert found["network"].run_id == run(3).run_id

    async def test_does_not_keep_a_whole_run_that_comes_late_from_the_other_stacks(self, world: World) -> None:
        await save(world, run(1), result("app"), result("gone"), result("network"))
        await save_some(world, run(3), result("app", serial=43))
        await save(world, run(2), result("app"), result("network", serial=44))
        assert await latest(world) == {
            "app": stored(run(3), result("app", serial=43)),
            "network": stored(run(2), result("network", serial=44)),
        }

    async def test_keeps_its_stack_from_a_whole_run_that_comes_late_without_it(self, world: World) -> None:
        await save(world, run(1), result("app"), result("network"))
        await save_some(world, run(3), result("app"))
        await save(world, run(2), result("network"))
        assert sorted(await latest(world)) == ["app", "network"]

    async def test_of_120_stacks_is_kept_whole(self, world: World) -> None:
        stacks = [f"stack-{number:03d}" for number in range(120)]
        await save(world, run(1), *(result(stack) for stack in [*stacks, "other"]))
        await save_some(world, run(2), *(result(stack, serial=44) for stack in stacks))
        found = await latest(world)
        assert {found[stack].run_id for stack in stacks} == {run(2).run_id}
        assert found["other"].run_id == run(1).run_id

    async def test_at_once_with_one_of_other_stacks_leaves_the_latest_of_both(self, world: World) -> None:
        await save(world, run(1), result("app"), result("network"))
        await asyncio.gather(save_some(world, run(2), result("app")), save_some(world, run(3), result("network")))
        assert {stack: item.run_id for stack, item in (await latest(world)).items()} == {
            "app": run(2).run_id,
            "network": run(3).run_id,
        }

    async def test_leaves_what_pruning_would_keep_of_the_other_stacks(self, world: World) -> None:
        await save(world, run(1), result("app"), result("network"))
        await save_some(world, run(2), result("app"))
        await world.store.prune_market(market="de", started_before=SIX + timedelta(days=500))
        assert sorted(await latest(world)) == ["app", "network"]


class TestNames:
    async def test_a_market_is_never_taken_for_the_one_it_is_nested_in(self, world: World) -> None:
        markets = ["a", "a/b", "a/b/c", "a-b", "ab", "b"]
        for serial, market in enumerate(markets):
            await save(world, run(1), result(market=market, serial=serial), market=market)
        for serial, market in enumerate(markets):
            expected = stored(run(1), result(market=market, serial=serial))
            assert await latest(world, market) == {"network": expected}
            assert history(world, market=market) == [expected]

    async def test_a_stack_is_never_taken_for_one_whose_name_goes_on(self, world: World) -> None:
        stacks = ["app", "app-2", "app0", "ap", "latest", "history"]
        await save(world, run(1), *(result(stack, serial=serial) for serial, stack in enumerate(stacks)))
        for serial, stack in enumerate(stacks):
            expected = stored(run(1), result(stack, serial=serial))
            assert (await latest(world))[stack] == expected
            assert history(world, stack) == [expected]

    async def test_pruning_a_market_leaves_the_markets_nested_in_it(self, world: World) -> None:
        for market in ("a", "a/b"):
            for day in (1, 2):
                await save(world, run(day), result(market=market), market=market)
        await world.store.prune_market(market="a", started_before=SIX + timedelta(days=2))
        assert len(history(world, market="a")) == 1
        assert len(history(world, market="a/b")) == 2


class TestPruning:
    async def test_removes_what_started_before(self, world: World) -> None:
        for day in (1, 2, 3, 4):
            await save(world, run(day), result())
        for _ in range(2):
            await world.store.prune_market(market="de", started_before=run(3).started_at)
            assert run_ids(history(world)) == [run(4).run_id, run(3).run_id]

    async def test_keeps_the_latest_however_old(self, world: World) -> None:
        await save(world, run(1), result(serial=41))
        await save(world, run(2), result(serial=44))
        await world.store.prune_market(market="de", started_before=SIX + timedelta(days=500))
        expected = stored(run(2), result(serial=44))
        assert await latest(world) == {"network": expected}
        assert run(1).run_id not in run_ids(history(world))

    async def test_of_a_market_without_history_removes_nothing(self, world: World) -> None:
        await save(world, run(1), result(market="fr"), market="fr")
        await world.store.prune_market(market="de", started_before=run(2).started_at)
        assert run_ids(history(world, market="fr")) == [run(1).run_id]

    async def test_removes_more_rows_than_one_transaction_takes(self, world: World) -> None:
        stacks = [f"stack-{number:03d}" for number in range(120)]
        await save(world, run(1), *(result(stack) for stack in stacks))
        await save(world, run(2), *(result(stack) for stack in stacks))
        await world.store.prune_market(market="de", started_before=run(2).started_at)
        for stack in ("stack-000", "stack-119"):
            assert run_ids(history(world, stack)) == [run(2).run_id]


class TestWhatCannotBeRead:
    async def test_is_nobody_s_latest(self, world: World) -> None:
        await save(world, run(1), result(), market="de")
        await save(world, run(2), result(market="fr"), market="fr")
        world.spoil(run(1).run_id)
        assert await latest(world) == {}
        assert sorted(await latest(world, "fr")) == ["network"]

    async def test_is_written_over_by_the_next_run(self, world: World) -> None:
        await save(world, run(1), result())
        world.spoil(run(1).run_id)
        await save(world, run(2), result(serial=44))
        assert await latest(world) == {"network": stored(run(2), result(serial=44))}


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
            assert run_ids(history(world, stack)) == [by.run_id for by in (run(3), run(2), *before)]

    @pytest.mark.parametrize("before", [0, 1], ids=["at first", "after another run"])
    async def test_deliveries_of_one_run_leave_one_row(self, world: World, before: int) -> None:
        for day in range(before):
            await save(world, run(day), result())
        await asyncio.gather(*(save(world, run(2), result(serial=44)) for _ in range(3)))
        assert await latest(world) == {"network": stored(run(2), result(serial=44))}
        assert len(history(world)) == before + 1

    async def test_markets_do_not_hold_each_other_up(self, world: World) -> None:
        markets = [f"market-{number}" for number in range(12)]
        await asyncio.gather(*(save(world, run(1), result(market=market), market=market) for market in markets))
        for market in markets:
            assert run_ids((await latest(world, market)).values()) == [run(1).run_id]

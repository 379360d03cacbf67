"""What every store of plan checks promises of the sketches, and how those are written and read in Azure's tables."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from adapters.azure_checks import SKETCHES_PARTITION
from adapters.table_names import PLAN_CHECKS_TABLE
from records.drift_ports import CheckStore
from records.errors import AccessDeniedError, StoreError, StoreUnavailableError
from records.plan_checks import CheckSketch, StackCheck, StoredCheck
from records.results import Run
from tests.check_worlds import (
    CLEAN,
    InAzurite,
    World,
    all_latest,
    check,
    history,
    in_azurite,
    open_check_world,
    save,
    sketches,
    stored,
)
from tests.contract_worlds import BACKENDS, SIX, run
from tests.world.azurite import Azurite
from tests.world.fault_proxy import FaultProxy
from tests.world.faults import AnswerStatus, LoseAnswer, on

OF_THE_MARKET: Final = on("*", "*PartitionKey='de'*")
OF_THE_SKETCHES: Final = on("*", f"*PartitionKey='{SKETCHES_PARTITION}'*")
REFUSED: Final = AnswerStatus(403, "AuthorizationFailure")


@pytest.fixture(params=BACKENDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with open_check_world(request, tmp_path) as opened:
        yield opened


@pytest.fixture
async def azure(azurite: Azurite, table_fault_proxy: FaultProxy) -> AsyncIterator[InAzurite]:
    async with in_azurite(azurite, through=table_fault_proxy.url) as opened:
        yield opened


def test_a_sketch_says_of_its_check_what_a_list_shows_and_what_the_fleet_needs() -> None:
    by = Run(run_id="nightly-7", started_at=SIX + timedelta(microseconds=123456))
    of = check(market="emea/fr", checked_at=SIX + timedelta(minutes=3))
    sketch = StoredCheck(
        run_id=by.run_id, run_started_at=by.started_at, fleet_fingerprints=("a", "b"), check=of
    ).sketch()
    assert sketch == CheckSketch(
        market="emea/fr",
        stack="network",
        run_started_at=by.started_at,
        checked_at=of.checked_at,
        decision=of.decision,
        reason=of.reason,
        verdict=of.verdict,
        job_id=of.job_id,
        fleet_fingerprints=("a", "b"),
    )
    assert sketch.name == of.name


class TestSketches:
    async def test_are_those_of_the_latest_checks_of_every_stack_of_every_market(self, world: World) -> None:
        # Apart, though their paths differ only in where the market ends.
        names = [("a", "b"), ("a/b", "c"), ("a/b/c", "d"), ("a-b", "c"), ("de", "network"), ("de", "network-2")]
        for market, stack in names:
            for day in (1, 2):
                await save(world, stored(run(day), check(stack, market=market, serial=day)))
        expected = [stored(run(2), check(stack, market=market)).sketch() for market, stack in names]
        assert await sketches(world) == sorted(expected, key=lambda sketch: sketch.name)

    async def test_are_none_before_the_first_check(self, world: World) -> None:
        assert await sketches(world) == []

    @pytest.mark.parametrize(
        ("days", "latest"),
        [
            pytest.param((1, 3, 2), 3, id="an earlier run's comes late"),
            pytest.param((3, 3), 3, id="the same run's twice"),
            pytest.param((1, 2, 3), 3, id="one after another"),
        ],
    )
    async def test_are_of_the_latest_run(self, world: World, days: tuple[int, ...], latest: int) -> None:
        for day in days:
            await save(world, stored(run(day), check(job_id=str(day))))
        assert await sketches(world) == [stored(run(latest), check(job_id=str(latest))).sketch()]

    async def test_follow_what_the_same_run_writes_last(self, world: World) -> None:
        await save(world, stored(run(1)), stored(run(1), CLEAN))
        assert await sketches(world) == [stored(run(1), CLEAN).sketch()]

    async def test_are_the_latest_checks_where_runs_write_at_one_moment(self, world: World) -> None:
        await asyncio.gather(*(save(world, stored(run(day))) for day in (1, 3, 2)))
        assert await all_latest(world) == [("de/network", run(3).run_id)]

    async def test_are_forgotten_with_their_stack(self, world: World) -> None:
        await save(world, stored(run(1)), stored(run(1), check("app")), stored(run(1), check(market="fr")))
        for _ in range(2):
            await world.store.forget(market="de", stack="network")
        assert [sketch.name for sketch in await sketches(world)] == ["de/app", "fr/network"]

    async def test_come_back_when_a_stack_that_was_forgotten_is_checked_again(self, world: World) -> None:
        await save(world, stored(run(2)))
        await world.store.forget(market="de", stack="network")
        await save(world, stored(run(1)))
        assert await all_latest(world) == [("de/network", run(1).run_id)]

    async def test_outlive_their_history(self, world: World) -> None:
        await save(world, stored(run(1)))
        await world.store.prune(started_before=run(9).started_at)
        assert history(world) == []
        assert await sketches(world) == [stored(run(1)).sketch()]

    async def test_that_cannot_be_read_are_none_fewer_until_the_next_run(self, world: World) -> None:
        """A drift would be in a market fewer."""
        await save(world, stored(run(1), check(market="emea/de")), stored(run(2), check("app")))
        world.spoil(run(1).run_id)
        with pytest.raises(StoreUnavailableError, match="the latest check of emea/de/network"):
            await sketches(world)
        await save(world, stored(run(3), check(market="emea/de")))
        assert len(await sketches(world)) == 2

    async def test_are_many_and_each_is_there_once(self, world: World) -> None:
        names = [(f"m{market:03}", stack) for market in range(40) for stack in ("app", "network", "data")]
        await asyncio.gather(*(save(world, stored(run(1), check(stack, market=market))) for market, stack in names))
        assert [sketch.name for sketch in await sketches(world)] == sorted("/".join(name) for name in names)


@pytest.mark.azurite
class TestInAzure:
    async def test_a_thousand_stacks_are_a_request_of_a_page(
        self, azure: InAzurite, table_fault_proxy: FaultProxy
    ) -> None:
        await save(azure, stored(run(1)))
        (row,) = azure.table.query_entities("PartitionKey eq @sketches", parameters={"sketches": SKETCHES_PARTITION})
        copies = [{**row, "RowKey": f"m{number:05}:network"} for number in range(1199)]
        for start in range(0, len(copies), 100):
            azure.table.submit_transaction([("create", copy) for copy in copies[start : start + 100]])
        table_fault_proxy.forget()
        assert len(await sketches(azure)) == 1200
        assert table_fault_proxy.count(on()) == 2

    async def test_every_fingerprint_is_kept_of_a_check_that_a_row_takes_at_all(self, azure: InAzurite) -> None:
        digits = random.Random(7)
        many = tuple(sorted(digits.randbytes(8).hex() for _ in range(10_000)))
        whole = stored(run(1)).model_copy(update={"fleet_fingerprints": many})
        await save(azure, whole)
        assert await sketches(azure) == [whole.sketch()]
        assert await all_latest(azure) == [("de/network", run(1).run_id)]

    @pytest.mark.parametrize("again", [check(), CLEAN], ids=["the same", "another decision"])
    async def test_a_write_that_was_cut_off_after_the_sketch_is_done_again_whole(
        self, azure: InAzurite, table_fault_proxy: FaultProxy, again: StackCheck
    ) -> None:
        await save(azure, stored(run(1)))
        await cut_off(azure, table_fault_proxy, stored(run(2)))
        assert [sketch.run_started_at for sketch in await sketches(azure)] == [run(2).started_at]
        assert await azure.store.latest_of_stack(market="de", stack="network") == stored(run(1))
        assert await azure.store.check_of_run(run=run(2), market="de", stack="network") is None
        await save(azure, stored(run(2), again))
        assert await sketches(azure) == [stored(run(2), again).sketch()]
        assert await all_latest(azure) == [("de/network", run(2).run_id)]
        assert history(azure) == [stored(run(2), again), stored(run(1))]

    async def test_a_write_that_was_cut_off_and_is_never_done_again_is_made_up_for_by_the_next_run(
        self, azure: InAzurite, table_fault_proxy: FaultProxy
    ) -> None:
        await cut_off(azure, table_fault_proxy, stored(run(2)))
        await save(azure, stored(run(1)))
        assert [sketch.run_started_at for sketch in await sketches(azure)] == [run(2).started_at]
        await save(azure, stored(run(3)))
        assert await all_latest(azure) == [("de/network", run(3).run_id)]

    async def test_a_sketch_whose_answer_was_lost_is_there_with_its_check(
        self, azure: InAzurite, table_fault_proxy: FaultProxy
    ) -> None:
        await save(azure, stored(run(1)))
        table_fault_proxy.inject(on("POST", "*/$batch"), LoseAnswer(), times=1)
        await save(azure, stored(run(2), CLEAN))
        assert await sketches(azure) == [stored(run(2), CLEAN).sketch()]
        assert await all_latest(azure) == [("de/network", run(2).run_id)]

    async def test_forgetting_that_was_cut_off_leaves_the_sketch_to_find_the_stack_by(
        self, azure: InAzurite, table_fault_proxy: FaultProxy
    ) -> None:
        await save(azure, stored(run(1)))
        table_fault_proxy.inject(OF_THE_SKETCHES, REFUSED)
        with pytest.raises(AccessDeniedError):
            await azure.store.forget(market="de", stack="network")
        table_fault_proxy.heal()
        assert await azure.store.latest_of_stack(market="de", stack="network") is None
        assert await sketches(azure) == [stored(run(1)).sketch()]
        await azure.store.forget(market="de", stack="network")
        assert await sketches(azure) == []

    async def test_a_table_of_sketches_alone_has_no_history_to_prune(
        self, azure: InAzurite, table_fault_proxy: FaultProxy
    ) -> None:
        await cut_off(azure, table_fault_proxy, stored(run(1)))
        await azure.store.prune(started_before=run(9).started_at)
        assert len(await sketches(azure)) == 1


@pytest.mark.azurite
class TestA404InAzure:
    @pytest.mark.parametrize(
        "ask",
        [
            pytest.param(lambda store: store.latest_of_stack(market="de", stack="network"), id="the latest"),
            pytest.param(lambda store: store.check_of_run(run=run(1), market="de", stack="network"), id="of a run"),
            pytest.param(lambda store: store.save_check(stored=stored(run(2))), id="a write, which looks first"),
        ],
    )
    async def test_of_another_kind_is_not_taken_for_a_stack_that_was_never_checked(
        self, azure: InAzurite, table_fault_proxy: FaultProxy, ask: Callable[[CheckStore], Awaitable[object]]
    ) -> None:
        await save(azure, stored(run(1)))
        table_fault_proxy.inject(on("GET"), AnswerStatus(404, "WebsiteNotFound"))
        with pytest.raises(StoreError, match=PLAN_CHECKS_TABLE):
            await ask(azure.store)
        table_fault_proxy.heal()
        assert await all_latest(azure) == [("de/network", run(1).run_id)]

    @pytest.mark.parametrize("code", ["ResourceNotFound", "EntityNotFound", "TableNotFound"])
    async def test_that_names_the_row_or_the_table_is(
        self, azure: InAzurite, table_fault_proxy: FaultProxy, code: str
    ) -> None:
        table_fault_proxy.inject(on("GET"), AnswerStatus(404, code))
        assert await azure.store.latest_of_stack(market="de", stack="network") is None


async def cut_off(azure: InAzurite, proxy: FaultProxy, what: StoredCheck) -> None:
    """Saves a check of ``de`` as far as its sketch."""
    proxy.inject(OF_THE_MARKET, REFUSED)
    with pytest.raises(AccessDeniedError):
        await save(azure, what)
    proxy.heal()

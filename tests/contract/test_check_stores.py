"""What every store of plan checks promises: the one in memory, the folder, and Azure's tables in their emulator."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from adapters.check_shrinking import WITHOUT_ATTRIBUTES, WITHOUT_VALUES
from adapters.table_keys import LATEST
from adapters.table_names import PLAN_CHECKS_TABLE
from records.errors import StoreError, StoreUnavailableError
from records.findings import AttributeChange
from records.plan_checks import Decision, StackCheck
from records.results import Run
from tests.check_worlds import (
    CLEAN,
    InAzurite,
    World,
    all_latest,
    check,
    finding,
    history,
    in_azurite,
    open_check_world,
    save,
    stored,
)
from tests.contract_worlds import BACKENDS, SIX, run
from tests.world.azurite import Azurite
from tests.world.fault_proxy import FaultProxy
from tests.world.faults import AnswerStatus, LoseAnswer, on


@pytest.fixture(params=BACKENDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with open_check_world(request, tmp_path) as opened:
        yield opened


@pytest.fixture
async def azure(azurite: Azurite) -> AsyncIterator[InAzurite]:
    async with in_azurite(azurite) as opened:
        yield opened


CHECKS: Final = [
    pytest.param(check(), id="a hold"),
    pytest.param(CLEAN, id="clean, with next to nothing"),
    pytest.param(check(market="emea/fr", decision=Decision.HEAL, reason=None), id="a heal in a nested market"),
    pytest.param(
        check(findings=(finding(0, AttributeChange(path="key", sensitive=True)),), diagnostics=("error: no",)),
        id="a sensitive value and a diagnostic",
    ),
]


class TestACheck:
    @pytest.mark.parametrize("of", CHECKS)
    async def test_is_read_back_the_same(self, world: World, of: StackCheck) -> None:
        by = Run(run_id="nightly-7", started_at=SIX + timedelta(microseconds=123456))
        await save(world, stored(by, of))
        name = {"market": of.market, "stack": of.stack}
        assert await world.store.latest_of_stack(**name) == stored(by, of)
        assert await world.store.check_of_run(run=by, **name) == stored(by, of)
        assert history(world, of.stack, of.market) == [stored(by, of)]
        assert [item async for item in world.store.sketches()] == [stored(by, of).sketch()]

    async def test_that_never_was_is_none(self, world: World) -> None:
        for _ in range(2):
            assert await world.store.latest_of_stack(market="fr", stack="network") is None
            assert await world.store.check_of_run(run=run(2), market="de", stack="network") is None
            assert history(world, "other") == []
            await save(world, stored(run(1)))

    async def test_is_there_once_however_often_the_same_run_writes_it(self, world: World) -> None:
        await save(world, stored(run(1)), stored(run(1)), stored(run(1), CLEAN))
        assert history(world) == [stored(run(1), CLEAN)]
        assert await world.store.latest_of_stack(market="de", stack="network") == stored(run(1), CLEAN)

    async def test_of_an_earlier_run_goes_into_history_and_leaves_the_latest(self, world: World) -> None:
        await save(world, stored(run(1)), stored(run(3)), stored(run(2)))
        assert [item.run_id for item in history(world)] == [run(day).run_id for day in (3, 2, 1)]
        assert await all_latest(world) == [("de/network", run(3).run_id)]

    async def test_of_two_runs_at_one_moment_leaves_the_later_as_latest(self, world: World) -> None:
        await asyncio.gather(*(save(world, stored(run(day))) for day in (1, 3, 2)))
        assert await all_latest(world) == [("de/network", run(3).run_id)]
        assert len(history(world)) == 3


class TestTheLatest:
    async def test_are_those_of_every_stack_of_every_market_and_no_history(self, world: World) -> None:
        names = [
            ("a", "b"),
            ("a/b", "c"),
            ("a/b/c", "latest"),
            ("a-b", "history"),
            ("de", "network"),
            ("de", "network-2"),
        ]
        for market, stack in names:
            await save(world, stored(run(1), check(stack, market=market)), stored(run(2), check(stack, market=market)))
        assert await all_latest(world) == sorted((f"{market}/{stack}", run(2).run_id) for market, stack in names)
        for market, stack in names:
            assert [item.check.name for item in history(world, stack, market)] == [f"{market}/{stack}"] * 2

    async def test_are_none_before_the_first_check(self, world: World) -> None:
        assert await all_latest(world) == []

    async def test_do_not_hold_a_stack_that_is_forgotten_whose_history_stays(self, world: World) -> None:
        await save(world, stored(run(1)), stored(run(1), check("app")))
        for _ in range(2):
            await world.store.forget(market="de", stack="network")
        assert await all_latest(world) == [("de/app", run(1).run_id)]
        assert await world.store.latest_of_stack(market="de", stack="network") is None
        assert history(world) == [stored(run(1))]

    async def test_can_be_forgotten_before_there_are_any(self, world: World) -> None:
        await world.store.forget(market="de", stack="network")


class TestPruning:
    async def test_removes_history_of_all_markets_and_keeps_the_latest_however_old(self, world: World) -> None:
        for market in ("de", "emea/fr", "us"):
            await save(world, *(stored(run(day), check(market=market)) for day in (1, 2, 3)))
        for started_before, kept in ((run(3), [run(3).run_id]), (run(3), [run(3).run_id]), (run(9), [])):
            await world.store.prune(started_before=started_before.started_at)
            for market in ("de", "emea/fr", "us"):
                assert [item.run_id for item in history(world, market=market)] == kept
        assert len(await all_latest(world)) == 3

    async def test_of_nothing_removes_nothing(self, world: World) -> None:
        await world.store.prune(started_before=run(3).started_at)
        await save(world, stored(run(3)))
        await world.store.prune(started_before=run(3).started_at)
        assert history(world) == [stored(run(3))]


class TestARowThatCannotBeRead:
    async def test_is_not_taken_for_none_and_written_over_by_the_next_run(self, world: World) -> None:
        await save(world, stored(run(1)), stored(run(2)), stored(run(1), check("app")))
        world.spoil(run(2).run_id)
        with pytest.raises(StoreUnavailableError, match="the latest check of de/network"):
            await world.store.latest_of_stack(market="de", stack="network")
        with pytest.raises(StoreUnavailableError, match="the latest check of de/network"):
            await all_latest(world)
        assert await world.store.check_of_run(run=run(2), market="de", stack="network") is None
        await save(world, stored(run(3)))
        assert await world.store.latest_of_stack(market="de", stack="network") == stored(run(3))


def noise(random_bytes: random.Random, size: int) -> str:
    """Text that no compression makes much smaller than half."""
    return random_bytes.randbytes(size // 2).hex()


@pytest.mark.azurite
class TestALargeCheckInAzure:
    @pytest.mark.parametrize(
        ("findings", "value_bytes", "path_bytes", "remark"),
        [
            pytest.param(20, 20_000, 10, None, id="more than a property"),
            pytest.param(20, 80_000, 10, WITHOUT_VALUES, id="more than a row"),
            pytest.param(20, 100, 80_000, WITHOUT_ATTRIBUTES, id="more than a row, in its paths alone"),
        ],
    )
    async def test_is_kept_as_far_as_a_row_takes_it(
        self, azure: InAzurite, findings: int, value_bytes: int, path_bytes: int, remark: str | None
    ) -> None:
        source = random.Random(7)
        large = check(
            findings=tuple(
                finding(number, AttributeChange(path=noise(source, path_bytes), before=noise(source, value_bytes)))
                for number in range(findings)
            )
        )
        for _ in range(2):
            await save(azure, stored(run(1), large))
        kept = await azure.store.latest_of_stack(market="de", stack="network")
        assert kept is not None
        assert history(azure) == [kept]
        assert kept.check.diagnostics == ((remark,) if remark else ())
        assert len(kept.check.findings) == findings
        assert (kept == stored(run(1), large)) is (remark is None)
        await save(azure, stored(run(1)))
        assert history(azure) == [stored(run(1))]

    async def test_that_a_row_takes_in_no_form_is_refused(self, azure: InAzurite) -> None:
        large = check(why=noise(random.Random(7), 2_000_000))
        with pytest.raises(StoreUnavailableError, match="de/network is larger than a row"):
            await save(azure, stored(run(1), large))


@pytest.mark.azurite
class TestAzure:
    async def test_has_columns_for_what_people_look_for(self, azure: InAzurite) -> None:
        await save(azure, stored(run(1)))
        rows = list(azure.table.list_entities())
        assert len({row["RowKey"] for row in rows}) == 3
        for row in rows:
            assert (row["decision"], row["reason"], row["verdict"]) == ("hold", "dry_run", "healthy")
            assert (row["run_id"], row["run_started_at"], row["job_id"]) == (run(1).run_id, run(1).started_at, "a" * 64)

    async def test_prunes_more_than_a_transaction_takes(self, azure: InAzurite) -> None:
        await save(azure, stored(run(1)))
        (row,) = azure.table.query_entities("PartitionKey eq 'de' and RowKey lt @latest", parameters={"latest": LATEST})
        copies = [{**row, "RowKey": f"{row['RowKey']}-{number}"} for number in range(104)]
        for some in (copies[:52], copies[52:]):
            azure.table.submit_transaction([("create", copy) for copy in some])
        assert len(history(azure)) == 105
        await azure.store.prune(started_before=run(2).started_at)
        assert history(azure) == []
        assert await all_latest(azure) == [("de/network", run(1).run_id)]

    @pytest.mark.parametrize(
        "action", [LoseAnswer(), AnswerStatus(503, "ServerBusy"), AnswerStatus(500, "InternalError")]
    )
    async def test_keeps_a_check_once_whose_answer_was_lost(
        self, azurite: Azurite, table_fault_proxy: FaultProxy, action: Any
    ) -> None:
        async with in_azurite(azurite, through=table_fault_proxy.url) as azure:
            await save(azure, stored(run(1)))
            table_fault_proxy.inject(on("POST", "*/$batch"), action, times=1)
            await save(azure, stored(run(2)))
            assert await all_latest(azure) == [("de/network", run(2).run_id)]
            assert len(history(azure)) == 2

    async def test_tells_no_secret_when_it_is_refused(self, azurite: Azurite, table_fault_proxy: FaultProxy) -> None:
        table_fault_proxy.inject(on(), AnswerStatus(403, "AuthorizationFailure", message="?sig=c2VjcmV0"))
        async with in_azurite(azurite, through=table_fault_proxy.url) as azure:
            for asked in (save(azure, stored(run(1))), all_latest(azure), azure.store.prune(started_before=SIX)):
                with pytest.raises(StoreError) as refused:
                    await asked
                assert str(refused.value) == f"{PLAN_CHECKS_TABLE}: 403 AuthorizationFailure"

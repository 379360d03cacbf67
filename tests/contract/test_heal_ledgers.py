"""What every ledger of heals promises: the one in memory, the folder, and Azure's tables in their emulator."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableClient, TableServiceClient

from adapters import azure_tables
from adapters.azure_ledger import AzureHealLedger
from adapters.azure_tables import HEALS_TABLE
from adapters.folder_ledger import FolderHealLedger
from adapters.table_keys import market_key
from records.drift_ports import HealLedger
from records.errors import StoreError, StoreUnavailableError
from records.heals import LEDGER_TABLE, HealJob, HealRow, HealStep, Opening
from tests.contract_worlds import BACKENDS, SIX
from tests.estates import LIMITS
from tests.fakes_drift import MemoryHealLedger
from tests.world.azurite import Azurite
from tests.world.fault_proxy import FaultProxy
from tests.world.faults import AnswerStatus, LoseAnswer, Matches, on

BATCH: Final = on("POST", "*/$batch")
LATER_STEP: Final = "of_a_later_version"
OPENS_IN_A_PROCESS: Final = """
import asyncio, sys
from pathlib import Path
from adapters.folder_ledger import FolderHealLedger
from records.heals import HealJob
job = HealJob.model_validate_json(sys.argv[2])
print(asyncio.run(FolderHealLedger(Path(sys.argv[1])).open_job(job=job, run_id="r")))
"""


def job(number: int = 1, *, market: str = "de", stack: str = "network", **changes: Any) -> HealJob:
    values: dict[str, Any] = {
        "job_id": f"{number:064x}",
        "market": market,
        "stack": stack,
        "lineage": "edd2705f",
        "serial": 42,
        "bundle_sha256": "b" * 64,
        "fingerprint": "f" * 64,
        "addresses": ('azurerm_subnet.a["ü"]', "azurerm_subnet.b"),
        "queued_at": SIX + timedelta(microseconds=123456),
        "expires_at": SIX + timedelta(hours=2),
    }
    return HealJob(**values | changes)


def again(of: HealJob, *, after: timedelta) -> HealJob:
    """The same drift, found by a later check."""
    return of.model_copy(update={"queued_at": of.queued_at + after, "expires_at": of.expires_at + after})


def nth(number: int, matches: Matches) -> Matches:
    """The one request of those that match."""
    seen = count(1)
    return lambda request: matches(request) and next(seen) == number


class World(Protocol):
    """A ledger, and somebody who rewrites a row as a later version might."""

    @property
    def ledger(self) -> HealLedger: ...

    def put_a_later_version_s_step(self, of: HealJob) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self.ledger = MemoryHealLedger()

    def put_a_later_version_s_step(self, of: HealJob) -> None:
        row = {"job": of.model_dump(mode="json"), "step": LATER_STEP, "run_id": "r"}
        self.ledger.put_text(of, json.dumps(row))


class InFolder:
    def __init__(self, root: Path) -> None:
        self.ledger = FolderHealLedger(root)
        self._root = root

    def put_a_later_version_s_step(self, of: HealJob) -> None:
        for file in self._root.rglob(f"{of.job_id}.json"):
            file.write_text(json.dumps(json.loads(file.read_text()) | {"step": LATER_STEP}))


class InAzurite:
    def __init__(self, ledger: AzureHealLedger, table: TableClient) -> None:
        self.ledger = ledger
        self.table = table

    def put_a_later_version_s_step(self, of: HealJob) -> None:
        row = {"PartitionKey": market_key(of.market), "RowKey": f"{of.stack}:{of.job_id}", "step": LATER_STEP}
        self.table.update_entity(row)


@pytest.fixture(params=BACKENDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    match request.param:
        case "memory":
            yield InMemory()
        case "folder":
            yield InFolder(tmp_path)
        case _:
            async with in_azurite(request.getfixturevalue("azurite")) as opened:
                yield opened


@pytest.fixture
async def azure(azurite: Azurite) -> AsyncIterator[InAzurite]:
    async with in_azurite(azurite) as opened:
        yield opened


@asynccontextmanager
async def in_azurite(azurite: Azurite, *, through: str | None = None) -> AsyncIterator[InAzurite]:
    connection_string = azurite.connection_string_through(table_url=through)
    with TableServiceClient.from_connection_string(azurite.connection_string) as service:
        try:
            async with azure_tables.connect_with_string(connection_string, LIMITS) as tables:
                yield InAzurite(AzureHealLedger(tables), service.get_table_client(HEALS_TABLE))
        finally:
            with suppress(ResourceNotFoundError):
                service.delete_table(HEALS_TABLE)


async def opened(world: World, of: HealJob, run_id: str = "r") -> Opening:
    return await world.ledger.open_job(job=of, run_id=run_id)


async def found(world: World, of: HealJob) -> HealRow | None:
    return await world.ledger.job(market=of.market, stack=of.stack, job_id=of.job_id)


def queued(of: HealJob, run_id: str = "r") -> HealRow:
    return HealRow(job=of, step=HealStep.QUEUED, run_id=run_id)


class TestAJob:
    @pytest.mark.parametrize("of", [job(), job(market="emea/fr"), job(addresses=())], ids=["one", "nested", "bare"])
    async def test_that_is_entered_is_read_back_the_same(self, world: World, of: HealJob) -> None:
        assert await opened(world, of, "nightly") is Opening.OPENED
        assert await found(world, of) == queued(of, "nightly")

    async def test_that_was_never_entered_is_none(self, world: World) -> None:
        assert await found(world, job()) is None
        await opened(world, job())
        for other in (job(2), job(stack="net"), job(market="fr")):
            assert await found(world, other) is None

    async def test_is_one_of_its_id_and_stack(self, world: World) -> None:
        jobs = [job(), job(2), job(stack="app"), job(market="de/network"), job(market="fr")]
        assert [await opened(world, of) for of in jobs] == [Opening.OPENED] * 5
        assert [await found(world, of) for of in jobs] == [queued(of) for of in jobs]

    @pytest.mark.parametrize("after", [timedelta(0), timedelta(hours=1)], ids=["the same moment", "an hour later"])
    async def test_that_is_queued_is_left_as_it_is(self, world: World, after: timedelta) -> None:
        await opened(world, job())
        assert await opened(world, again(job(), after=after), "other") is Opening.ALREADY_OPEN
        assert await found(world, job()) == queued(job())

    @pytest.mark.parametrize(
        ("after", "expected"),
        [
            (timedelta(hours=2) - timedelta(microseconds=123457), Opening.ALREADY_OPEN),
            (timedelta(hours=2) - timedelta(microseconds=123456), Opening.OPENED),
            (timedelta(days=2), Opening.OPENED),
        ],
        ids=["a moment before it expires", "as it expires", "long after"],
    )
    async def test_is_entered_anew_once_it_has_expired(self, world: World, after: timedelta, expected: Opening) -> None:
        await opened(world, job())
        later = again(job(), after=after)
        assert await opened(world, later, "later") is expected
        assert await found(world, job()) == (queued(later, "later") if expected is Opening.OPENED else queued(job()))

    async def test_too_large_for_a_message_is_not_entered(self, world: World) -> None:
        large = job(addresses=("a" * 50_000,))
        with pytest.raises(StoreUnavailableError, match="de/network"):
            await opened(world, large)
        assert await found(world, large) is None

    async def test_as_large_as_a_message_is_entered(self, world: World) -> None:
        large = job(addresses=("a" * 48_000,))
        assert await opened(world, large) is Opening.OPENED
        assert await found(world, large) == queued(large)


class TestARowOfALaterVersion:
    @pytest.mark.parametrize("after", [timedelta(0), timedelta(days=2)], ids=["at once", "after it has expired"])
    async def test_is_open_whatever_it_is(self, world: World, after: timedelta) -> None:
        await opened(world, job())
        world.put_a_later_version_s_step(job())
        assert await opened(world, again(job(), after=after)) is Opening.ALREADY_OPEN

    async def test_is_not_taken_for_no_job(self, world: World) -> None:
        await opened(world, job())
        world.put_a_later_version_s_step(job())
        with pytest.raises(StoreUnavailableError, match=job().job_id):
            await found(world, job())


class TestManyAtOnce:
    @pytest.mark.parametrize("is_expired", [False, True], ids=["at first", "over one that has expired"])
    @pytest.mark.parametrize("runs", [["r"] * 6, [f"r{number}" for number in range(6)]], ids=["one run", "six runs"])
    async def test_one_opens_it(self, world: World, runs: list[str], is_expired: bool) -> None:
        if is_expired:
            await opened(world, job(), "before")
        later = again(job(), after=timedelta(days=1))
        openings = await asyncio.gather(*(opened(world, later, run_id) for run_id in runs))
        assert sorted(openings) == [Opening.ALREADY_OPEN] * 5 + [Opening.OPENED]
        assert await found(world, later) == queued(later, runs[openings.index(Opening.OPENED)])


async def test_one_of_three_processes_opens_it_on_disk(tmp_path: Path) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            OPENS_IN_A_PROCESS,
            str(tmp_path),
            job().model_dump_json(),
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(3)
    ]
    said = [(await process.communicate())[0].decode().strip() for process in processes]
    assert sorted(said) == ["already_open", "already_open", "opened"]


async def test_a_folder_that_may_not_be_written_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "tables").write_text("a file")
    with pytest.raises(StoreError, match=f"^{LEDGER_TABLE}: "):
        await FolderHealLedger(tmp_path).open_job(job=job(), run_id="r")


@pytest.mark.azurite
class TestAzure:
    async def test_has_columns_for_what_people_look_for(self, azure: InAzurite) -> None:
        await opened(azure, job())
        (row,) = azure.table.list_entities()
        assert (row["step"], row["run_id"], row["job_id"]) == ("queued", "r", job().job_id)
        assert (row["queued_at"], row["expires_at"]) == (job().queued_at, job().expires_at)

    @pytest.mark.parametrize("is_expired", [False, True], ids=["at first", "over one that has expired"])
    @pytest.mark.parametrize("action", [LoseAnswer(), AnswerStatus(503, "ServerBusy")], ids=["lost", "busy"])
    async def test_knows_its_own_work_again_whose_answer_was_lost(
        self, azurite: Azurite, table_fault_proxy: FaultProxy, action: Any, is_expired: bool
    ) -> None:
        async with in_azurite(azurite, through=table_fault_proxy.url) as azure:
            await opened(azure, job() if is_expired else job(2))
            # Over one that has expired, the insert is refused, and the update behind it is what gets no answer.
            lose = nth(2, BATCH) if is_expired else BATCH
            table_fault_proxy.inject(lose, action, times=1)
            later = again(job(), after=timedelta(days=1))
            assert await opened(azure, later, "later") is Opening.OPENED
            assert await found(azure, later) == queued(later, "later")
            assert await opened(azure, later, "later") is Opening.ALREADY_OPEN

    async def test_takes_a_404_of_another_kind_for_no_answer(
        self, azurite: Azurite, table_fault_proxy: FaultProxy
    ) -> None:
        async with in_azurite(azurite, through=table_fault_proxy.url) as azure:
            table_fault_proxy.inject(on("GET"), AnswerStatus(404, "WebsiteNotFound"))
            with pytest.raises(StoreUnavailableError):
                await found(azure, job())

    async def test_tells_no_secret_when_it_is_refused(self, azurite: Azurite, table_fault_proxy: FaultProxy) -> None:
        table_fault_proxy.inject(on(), AnswerStatus(403, "AuthorizationFailure", message="?sig=c2VjcmV0"))
        async with in_azurite(azurite, through=table_fault_proxy.url) as azure:
            for asked in (opened(azure, job()), found(azure, job())):
                with pytest.raises(StoreError) as refused:
                    await asked
                assert str(refused.value) == f"{HEALS_TABLE}: 403 AuthorizationFailure"

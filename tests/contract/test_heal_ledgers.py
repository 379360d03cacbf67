"""What every ledger of heals promises: the one in memory, the folder, and Azure's tables in their emulator."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import Any, Final, Protocol

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableClient, TableServiceClient

from adapters import azure_tables
from adapters.azure_ledger import AzureHealLedger
from adapters.folder_ledger import FolderHealLedger
from adapters.table_keys import market_key
from adapters.table_names import HEAL_LEVERS_TABLE, HEALS_TABLE
from drift.healing.approvals import read_approvals
from records.drift_ports import HealLedger, Kept
from records.errors import BlobChangedError, StoreError, StoreUnavailableError
from records.heal_ledger import Approval, HealRow, HealStep, Lever, LeverUse
from records.heals import HealJob
from records.plan_checks import HoldReason
from tests.contract_worlds import BACKENDS, SIX
from tests.estates import LIMITS
from tests.fakes_drift import MemoryHealLedger
from tests.world.azurite import Azurite
from tests.world.fault_proxy import FaultProxy
from tests.world.faults import AnswerStatus, LoseAnswer, on

BATCH: Final = on("POST", "*/$batch")
PUTS_IN_A_PROCESS: Final = """
import asyncio, sys
from pathlib import Path
from adapters.folder_ledger import FolderHealLedger
from records.errors import BlobChangedError
from records.heal_ledger import HealRow
row = HealRow.model_validate_json(sys.argv[2])
try:
    asyncio.run(FolderHealLedger(Path(sys.argv[1])).put(row=row, replaces=sys.argv[3] or None))
    print("written")
except BlobChangedError:
    print("refused")
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


class World(Protocol):
    """A ledger, and somebody who rewrites what is in it as a later version might."""

    @property
    def ledger(self) -> HealLedger: ...

    def spoil(self, of: HealJob) -> None: ...

    def spoil_pauses(self) -> None: ...

    def wipe_jobs(self) -> None:
        """All that is where jobs are written, as anybody can who may write them."""


class InMemory:
    def __init__(self) -> None:
        self.ledger = MemoryHealLedger()

    def spoil(self, of: HealJob) -> None:
        self.ledger.put_text(of, '{"step": "of_a_later_version"}')

    def spoil_pauses(self) -> None:
        self.ledger.refuse("pauses", StoreUnavailableError(HEALS_TABLE, "this version cannot read a pause"))

    def wipe_jobs(self) -> None:
        self.ledger.forget_rows()


class InFolder:
    def __init__(self, root: Path) -> None:
        self.ledger = FolderHealLedger(root)
        self._root = root

    def spoil(self, of: HealJob) -> None:
        for file in self._root.rglob(f"{of.job_id}.json"):
            file.write_text(json.dumps(json.loads(file.read_text()) | {"step": "of_a_later_version"}))

    def spoil_pauses(self) -> None:
        for file in self._root.rglob("pause.json"):
            file.write_text("{")

    def wipe_jobs(self) -> None:
        rmtree(self._root / "tables" / HEALS_TABLE)

    def spoil_newest_use(self) -> None:
        sorted(self._root.rglob("uses/*.json"))[0].write_text("{")


class InAzurite:
    def __init__(self, ledger: AzureHealLedger, service: TableServiceClient) -> None:
        self.ledger = ledger
        self.table = service.get_table_client(HEALS_TABLE)
        self.levers: TableClient = service.get_table_client(HEAL_LEVERS_TABLE)

    def spoil(self, of: HealJob) -> None:
        row = {"PartitionKey": market_key(of.market), "RowKey": f"{of.stack}:{of.job_id}", "row": b"of a later version"}
        self.table.update_entity(row)

    def spoil_pauses(self) -> None:
        for row in self.levers.query_entities("RowKey ge 'pause:' and RowKey lt 'pause;'"):
            self.levers.update_entity({**row, "use": "{"})

    def wipe_jobs(self) -> None:
        for row in self.table.list_entities():
            self.table.delete_entity(row["PartitionKey"], row["RowKey"])


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
                yield InAzurite(AzureHealLedger(tables), service)
        finally:
            for table in (HEALS_TABLE, HEAL_LEVERS_TABLE):
                with suppress(ResourceNotFoundError):
                    service.delete_table(table)


def queued(of: HealJob, run_id: str = "r") -> HealRow:
    return HealRow(job=of, step=HealStep.QUEUED, run_id=run_id).moved(HealStep.QUEUED, at=of.queued_at)


def held(row: HealRow, *, minutes: int = 1) -> HealRow:
    at = SIX + timedelta(minutes=minutes, microseconds=7)
    return row.moved(HealStep.HELD, at=at, reason=HoldReason.FROZEN, note="„gefroren“ 🦊")


def use(lever: Lever = Lever.PAUSE, minute: int = 0, **changes: Any) -> LeverUse:
    values: dict[str, Any] = {
        "lever": lever,
        "by": "alice",
        "reason": "a „reason“",
        "at": SIX + timedelta(minutes=minute),
    }
    return LeverUse(**values | changes)


async def put(world: World, *rows: HealRow) -> list[str]:
    return [await world.ledger.put(row=row, replaces=None) for row in rows]


async def kept(world: World, of: HealJob) -> Kept | None:
    return await world.ledger.row(market=of.market, stack=of.stack, job_id=of.job_id)


async def row_of(world: World, of: HealJob) -> HealRow | None:
    found = await kept(world, of)
    return found.row if found else None


async def all_rows(world: World) -> list[HealRow]:
    return sorted([row async for row in world.ledger.rows()], key=repr)


async def all_uses(world: World) -> list[LeverUse]:
    return [one async for one in world.ledger.uses()]


async def pull(world: World, *uses: LeverUse) -> None:
    for one in uses:
        await world.ledger.pull(use=one)


class TestARow:
    @pytest.mark.parametrize("of", [job(), job(market="emea/fr"), job(addresses=())], ids=["one", "nested", "bare"])
    async def test_that_is_put_is_read_back_the_same(self, world: World, of: HealJob) -> None:
        row = held(queued(of, "nightly"))
        (etag,) = await put(world, row)
        assert await kept(world, of) == Kept(row=row, etag=etag)
        assert await world.ledger.find(job_id=of.job_id) == Kept(row=row, etag=etag)

    async def test_that_was_never_put_is_none(self, world: World) -> None:
        assert await kept(world, job()) is None
        assert await world.ledger.find(job_id=job().job_id) is None
        assert await all_rows(world) == []
        await put(world, queued(job()))
        for other in (job(2), job(stack="net"), job(market="fr")):
            assert await kept(world, other) is None
        for nobody in (job(2).job_id, "", "*", "../x", "' or true or '"):
            assert await world.ledger.find(job_id=nobody) is None

    async def test_is_one_of_its_id_and_stack(self, world: World) -> None:
        jobs = [job(), job(2), job(stack="app"), job(market="de/network"), job(market="fr")]
        await put(world, *map(queued, jobs))
        assert [await row_of(world, of) for of in jobs] == [queued(of) for of in jobs]

    async def test_is_replaced_by_who_has_read_it(self, world: World) -> None:
        (first,) = await put(world, queued(job()))
        second = await world.ledger.put(row=held(queued(job())), replaces=first)
        assert second != first
        assert await kept(world, job()) == Kept(row=held(queued(job())), etag=second)
        third = await world.ledger.put(row=queued(job(), "later"), replaces=second)
        assert await kept(world, job()) == Kept(row=queued(job(), "later"), etag=third)

    async def test_is_not_replaced_by_who_has_read_another(self, world: World) -> None:
        (first,) = await put(world, queued(job()))
        second = await world.ledger.put(row=held(queued(job())), replaces=first)
        for etag in (None, first):
            with pytest.raises(BlobChangedError, match=job().job_id):
                await world.ledger.put(row=queued(job(), "late"), replaces=etag)
        assert await kept(world, job()) == Kept(row=held(queued(job())), etag=second)

    async def test_that_is_put_again_the_same_is_another_write(self, world: World) -> None:
        (first,) = await put(world, queued(job()))
        with pytest.raises(BlobChangedError):
            await put(world, queued(job()))
        second = await world.ledger.put(row=queued(job()), replaces=first)
        with pytest.raises(BlobChangedError):
            await world.ledger.put(row=queued(job()), replaces=first)
        await world.ledger.put(row=queued(job()), replaces=second)

    async def test_that_is_not_there_is_not_replaced(self, world: World) -> None:
        (etag,) = await put(world, queued(job(2)))
        with pytest.raises(BlobChangedError):
            await world.ledger.put(row=queued(job()), replaces=etag)
        assert await kept(world, job()) is None

    async def test_may_be_of_ten_thousand_addresses(self, world: World) -> None:
        names = [sha256(str(number).encode()).hexdigest() for number in range(10_000)]
        large = job(addresses=tuple(f'module.hub["{name[:16]}"].azurerm_subnet.this' for name in names))
        row = queued(large).model_copy(update={"finding_fingerprints": tuple(names)})
        (etag,) = await put(world, row)
        assert await kept(world, large) == Kept(row=row, etag=etag)
        await world.ledger.put(row=queued(job()), replaces=etag)
        assert await row_of(world, job()) == queued(job())


class TestListing:
    async def test_has_every_row_of_the_stack_or_of_all(self, world: World) -> None:
        rows = [
            queued(of) for of in (job(), job(2), job(3, stack="net"), job(4, market="de/network"), job(5, market="fr"))
        ]
        await put(world, *rows)
        await pull(world, use(), use(market="de"), use(Lever.APPROVE, job_id=job().job_id))
        assert await all_rows(world) == sorted(rows, key=repr)
        for market, stack, expected in [
            ("de", "network", rows[:2]),
            ("de", "net", rows[2:3]),
            ("de/network", "app", []),
        ]:
            found = [row async for row in world.ledger.of_stack(market=market, stack=stack)]
            assert sorted(found, key=repr) == expected

    async def test_finds_a_job_beside_the_uses_of_its_levers(self, world: World) -> None:
        await pull(world, use(Lever.APPROVE, job_id=job().job_id, market="de"))
        assert await world.ledger.find(job_id=job().job_id) is None
        await put(world, queued(job()))
        found = await world.ledger.find(job_id=job().job_id)
        assert found is not None
        assert found.row == queued(job())


class TestARowOfALaterVersion:
    async def test_is_not_taken_for_none(self, world: World) -> None:
        await put(world, queued(job()), queued(job(2)))
        world.spoil(job())
        for asked in (kept(world, job()), world.ledger.find(job_id=job().job_id)):
            with pytest.raises(StoreUnavailableError, match=job().job_id):
                await asked
        with pytest.raises(BlobChangedError):
            await put(world, queued(job()))

    async def test_is_not_passed_over_in_the_listing_of_all(self, world: World) -> None:
        """One that is held would be none."""
        await put(world, queued(job()), queued(job(2)))
        world.spoil(job())
        with pytest.raises(StoreUnavailableError, match=job().job_id):
            await all_rows(world)

    async def test_is_no_heal_less_of_its_stack(self, world: World) -> None:
        """The breaker would count too few."""
        await put(world, queued(job()), queued(job(2)))
        world.spoil(job())
        with pytest.raises(StoreUnavailableError, match=job().job_id):
            [row async for row in world.ledger.of_stack(market="de", stack="network")]


class TestManyAtOnce:
    @pytest.mark.parametrize("is_there", [False, True], ids=["at first", "over another"])
    @pytest.mark.parametrize("runs", [["r"] * 6, [f"r{number}" for number in range(6)]], ids=["one run", "six runs"])
    async def test_one_writes_it(self, world: World, runs: list[str], is_there: bool) -> None:
        etag = (await put(world, queued(job(), "before")))[0] if is_there else None
        rows = [queued(job(), run_id) for run_id in runs]
        said = await asyncio.gather(*(world.ledger.put(row=row, replaces=etag) for row in rows), return_exceptions=True)
        (first,) = [number for number, one in enumerate(said) if isinstance(one, str)]
        assert all(isinstance(one, BlobChangedError) for number, one in enumerate(said) if number != first)
        assert await kept(world, job()) == Kept(row=rows[first], etag=str(said[first]))


class TestLevers:
    async def test_none_were_pulled_at_first(self, world: World) -> None:
        assert list(await world.ledger.pauses()) == []
        assert await all_uses(world) == []

    async def test_a_pause_is_in_force_until_it_is_resumed(self, world: World) -> None:
        pauses = [use(), use(market="de", minute=1), use(market="emea/fr", minute=2), use(market="emea", minute=3)]
        await pull(world, *pauses)
        assert sorted(await world.ledger.pauses(), key=repr) == sorted(pauses, key=repr)
        await pull(world, use(Lever.RESUME, 4, market="emea/fr"), use(Lever.RESUME, 5))
        assert sorted(await world.ledger.pauses(), key=repr) == sorted([pauses[1], pauses[3]], key=repr)
        await pull(world, use(Lever.RESUME, 6, market="de"), use(Lever.RESUME, 7, market="emea"))
        assert list(await world.ledger.pauses()) == []
        assert [one.at for one in await all_uses(world)] == [
            SIX + timedelta(minutes=minute) for minute in range(7, -1, -1)
        ]

    async def test_a_pause_replaces_that_of_the_same_market(self, world: World) -> None:
        await pull(world, use(market="de", by="alice"), use(market="de", minute=1, by="bob"))
        assert [one.by for one in await world.ledger.pauses()] == ["bob"]
        assert [one.by for one in await all_uses(world)] == ["bob", "alice"]

    async def test_a_resume_of_what_is_not_paused_is_no_more_than_told(self, world: World) -> None:
        await pull(world, use(Lever.RESUME, market="de"))
        assert list(await world.ledger.pauses()) == []
        assert await all_uses(world) == [use(Lever.RESUME, market="de")]

    @pytest.mark.parametrize("lever", [Lever.APPROVE, Lever.REJECT, Lever.RETRY])
    async def test_any_other_is_kept_and_pauses_nothing(self, world: World, lever: Lever) -> None:
        pulled = use(lever, market="de", job_id=job().job_id)
        await pull(world, pulled)
        assert list(await world.ledger.pauses()) == []
        assert await all_uses(world) == [pulled]
        assert await all_rows(world) == []

    @pytest.mark.parametrize("lever", Lever)
    async def test_the_same_use_told_twice_is_there_once(self, world: World, lever: Lever) -> None:
        for _ in range(2):
            await pull(world, use(lever))
        assert await all_uses(world) == [use(lever)]
        assert list(await world.ledger.pauses()) == ([use()] if lever is Lever.PAUSE else [])

    async def test_two_uses_of_one_moment_are_both_there(self, world: World) -> None:
        await pull(world, use(market="de"), use(market="fr"), use(by="bob"))
        assert len(await all_uses(world)) == 3

    async def test_uses_are_listed_since_a_moment_and_at_it(self, world: World) -> None:
        moment = SIX + timedelta(microseconds=123456)
        pulled = [use(at=moment + timedelta(milliseconds=step), by=f"{step}") for step in (-5, 0, 5)]
        await pull(world, *pulled, use(at=moment, by="another"))
        for since, expected in (
            (moment, {"0", "5", "another"}),
            (pulled[2].at, {"5"}),
            (SIX - timedelta(days=1), None),
        ):
            found = [one async for one in world.ledger.uses(since=since)]
            assert {one.by for one in found} == (expected or {"-5", "0", "5", "another"})
            assert found == [one for one in await all_uses(world) if one in found]

    async def test_a_pause_that_cannot_be_read_is_not_passed_over(self, world: World) -> None:
        await pull(world, use(market="de"))
        world.spoil_pauses()
        with pytest.raises(StoreUnavailableError, match="cannot read"):
            await world.ledger.pauses()


class TestWhoMayWriteJobsAndNoLevers:
    async def test_lifts_no_pause_and_removes_no_use(self, world: World) -> None:
        await put(world, queued(job()))
        await pull(world, use(), use(market="de", minute=1))
        world.wipe_jobs()
        assert await all_rows(world) == []
        assert {one.market for one in await world.ledger.pauses()} == {None, "de"}
        assert len(await all_uses(world)) == 2

    async def test_approves_nothing(self, world: World) -> None:
        forged = queued(job()).model_copy(update={"approvals": (APPROVAL,)})
        await put(world, forged)
        await pull(world, *(GIVEN.model_copy(update=other) for other in OF_SOMETHING_ELSE))
        assert await read_approvals(world.ledger, forged) == ()
        await pull(world, GIVEN)
        assert await read_approvals(world.ledger, forged) == (APPROVAL,)


APPROVAL: Final = Approval(reason=HoldReason.DESTRUCTIVE, by="alice", at=SIX + timedelta(microseconds=123456))
GIVEN: Final = use(Lever.APPROVE, at=APPROVAL.at, market="de", job_id=job().job_id, overrules=APPROVAL.reason)
OF_SOMETHING_ELSE: Final[list[dict[str, Any]]] = [
    {"job_id": job(2).job_id},
    {"overrules": HoldReason.FROZEN},
    {"overrules": None},
    {"by": "bob"},
    {"at": APPROVAL.at + timedelta(microseconds=1)},
    {"lever": Lever.RETRY},
]


class TestOnDisk:
    @pytest.mark.parametrize("is_there", [False, True], ids=["at first", "over another"])
    async def test_one_of_three_processes_writes_it(self, tmp_path: Path, is_there: bool) -> None:
        ledger = FolderHealLedger(tmp_path)
        etag = await ledger.put(row=queued(job(), "before"), replaces=None) if is_there else ""
        processes = [
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                PUTS_IN_A_PROCESS,
                str(tmp_path),
                queued(job()).model_dump_json(),
                etag,
                stdout=asyncio.subprocess.PIPE,
            )
            for _ in range(3)
        ]
        said = [(await process.communicate())[0].decode().strip() for process in processes]
        assert sorted(said) == ["refused", "refused", "written"]

    async def test_a_use_that_cannot_be_read_is_passed_over(self, tmp_path: Path) -> None:
        world = InFolder(tmp_path)
        await pull(world, use(), use(Lever.RETRY, 1))
        world.spoil_newest_use()
        assert await all_uses(world) == [use()]

    async def test_a_folder_that_may_not_be_written_is_told_as_such(self, tmp_path: Path) -> None:
        (tmp_path / "tables").write_text("a file")
        ledger = FolderHealLedger(tmp_path)
        with pytest.raises(StoreError, match=f"^{HEALS_TABLE}: "):
            await ledger.put(row=queued(job()), replaces=None)
        with pytest.raises(StoreError, match=f"^{HEAL_LEVERS_TABLE}: "):
            await ledger.pull(use=use())


@pytest.mark.azurite
class TestAzure:
    async def test_has_columns_for_what_people_look_for(self, azure: InAzurite) -> None:
        await put(azure, held(queued(job())))
        (row,) = azure.table.list_entities()
        assert (row["PartitionKey"], row["RowKey"]) == ("de", f"network:{job().job_id}")
        assert (row["step"], row["reason"], row["run_id"]) == ("held", "frozen", "r")
        assert (row["job_id"], row["stack"], row["fingerprint"]) == (job().job_id, "network", job().fingerprint)
        assert (row["queued_at"], row["expires_at"]) == (job().queued_at, job().expires_at)

    async def test_has_rows_for_levers(self, azure: InAzurite) -> None:
        await pull(azure, use(), use(market="emea/fr"), use(Lever.REJECT, job_id=job().job_id))
        rows = {row["RowKey"]: row for row in azure.levers.list_entities()}
        assert [key for key in sorted(rows) if key.startswith("pause")] == ["pause:*", "pause:emea:fr"]
        assert sum(key.startswith("use:") for key in rows) == 3
        assert all(row["by"] == "alice" for row in rows.values())
        assert [row["job_id"] for row in rows.values() if row["lever"] == "reject"] == [job().job_id]

    async def test_a_use_that_cannot_be_read_is_passed_over(self, azure: InAzurite) -> None:
        await pull(azure, use(), use(Lever.RETRY, 1))
        (newest,) = azure.levers.query_entities("lever eq 'retry'")
        azure.levers.update_entity({**newest, "use": "{"})
        assert await all_uses(azure) == [use()]

    @pytest.mark.parametrize("is_there", [False, True], ids=["at first", "over another"])
    @pytest.mark.parametrize(
        "action", [LoseAnswer(), AnswerStatus(503, "ServerBusy"), AnswerStatus(500, "InternalError")]
    )
    async def test_knows_its_own_work_again_whose_answer_was_lost(
        self, azurite: Azurite, table_fault_proxy: FaultProxy, action: Any, is_there: bool
    ) -> None:
        async with in_azurite(azurite, through=table_fault_proxy.url) as azure:
            (etag,) = await put(azure, queued(job()) if is_there else queued(job(2)))
            table_fault_proxy.inject(BATCH, action, times=1)
            row = held(queued(job()))
            written = await azure.ledger.put(row=row, replaces=etag if is_there else None)
            assert await kept(azure, job()) == Kept(row=row, etag=written)
            with pytest.raises(BlobChangedError):
                await azure.ledger.put(row=row, replaces=etag if is_there else None)

    @pytest.mark.parametrize("lever", Lever)
    @pytest.mark.parametrize("action", [LoseAnswer(), AnswerStatus(503, "ServerBusy")], ids=["lost", "busy"])
    async def test_a_lever_s_use_is_kept_once_whose_answer_was_lost(
        self, azurite: Azurite, table_fault_proxy: FaultProxy, action: Any, lever: Lever
    ) -> None:
        async with in_azurite(azurite, through=table_fault_proxy.url) as azure:
            await pull(azure, use())
            table_fault_proxy.inject(BATCH, action, times=1)
            await pull(azure, use(lever, 1))
            assert await all_uses(azure) == [use(lever, 1), use()]
            assert len(await azure.ledger.pauses()) == (0 if lever is Lever.RESUME else 1)

    async def test_takes_a_404_of_another_kind_for_no_answer(
        self, azurite: Azurite, table_fault_proxy: FaultProxy
    ) -> None:
        async with in_azurite(azurite, through=table_fault_proxy.url) as azure:
            table_fault_proxy.inject(on("GET"), AnswerStatus(404, "WebsiteNotFound"))
            for asked in (kept(azure, job()), azure.ledger.find(job_id=job().job_id), azure.ledger.pauses()):
                with pytest.raises(StoreUnavailableError):
                    await asked

    async def test_refuses_what_no_row_can_hold(self, azure: InAzurite) -> None:
        names = tuple(sha256(str(number).encode()).hexdigest() for number in range(30_000))
        with pytest.raises(StoreUnavailableError, match="larger than a row"):
            await put(azure, queued(job()).model_copy(update={"finding_fingerprints": names}))

    async def test_tells_no_secret_when_it_is_refused(self, azurite: Azurite, table_fault_proxy: FaultProxy) -> None:
        table_fault_proxy.inject(on(), AnswerStatus(403, "AuthorizationFailure", message="?sig=c2VjcmV0"))
        async with in_azurite(azurite, through=table_fault_proxy.url) as azure:
            asked_for = {
                HEALS_TABLE: (
                    put(azure, queued(job())),
                    kept(azure, job()),
                    azure.ledger.find(job_id=job().job_id),
                    all_rows(azure),
                ),
                HEAL_LEVERS_TABLE: (azure.ledger.pauses(), all_uses(azure), pull(azure, use())),
            }
            for table, asked in asked_for.items():
                for one in asked:
                    with pytest.raises(StoreError) as refused:
                        await one
                    assert str(refused.value) == f"{table}: 403 AuthorizationFailure"

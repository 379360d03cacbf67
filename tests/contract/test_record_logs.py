"""What every record log promises: the one in memory, the folder, and Azure's tables in their emulator."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from azure.data.tables import TableServiceClient

from adapters.azure_record_log import AzureRecordLog
from adapters.folder_record_log import FolderRecordLog
from adapters.table_names import RECORD_LOG_TABLE
from records.ports import RecordLog
from records.record_log import LoggedWrite, RecordCommand, WriteStatus, WrittenKind
from tests.contract_worlds import BACKENDS, SIX
from tests.estates import delete_tables, open_azure_stores
from tests.fakes import MemoryRecordLog

MANY: Final = 250
MORE_THAN_A_PAGE: Final = 1050


class World(Protocol):
    """A log, and somebody who spoils its rows."""

    @property
    def log(self) -> RecordLog: ...

    def spoil(self, write_id: str) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self.log = MemoryRecordLog()

    def spoil(self, write_id: str) -> None:
        self.log.spoil(write_id)


class InFolder:
    def __init__(self, root: Path) -> None:
        self.log = FolderRecordLog(root)
        self._root = root

    def spoil(self, write_id: str) -> None:
        for file in self._root.rglob(f"*-{write_id}.json"):
            file.write_bytes(b'{"write_id": "cut off')


class InAzurite:
    def __init__(self, service: TableServiceClient, log: AzureRecordLog) -> None:
        self.log = log
        self._table = service.get_table_client(RECORD_LOG_TABLE)

    def spoil(self, write_id: str) -> None:
        for row in self._table.query_entities("write_id eq @id", parameters={"id": write_id}):
            self._table.update_entity({**row, "command": "of a later version"})

    def rows(self) -> list[dict[str, Any]]:
        return [dict(row) for row in self._table.list_entities()]


@pytest.fixture(params=BACKENDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    match request.param:
        case "memory":
            yield InMemory()
        case "folder":
            yield InFolder(tmp_path)
        case _:
            async for opened in open_in_azurite(request):
                yield opened


@pytest.fixture
async def azure(request: pytest.FixtureRequest) -> AsyncIterator[InAzurite]:
    async for opened in open_in_azurite(request):
        yield opened


async def open_in_azurite(request: pytest.FixtureRequest) -> AsyncIterator[InAzurite]:
    connection_string = request.getfixturevalue("azurite").connection_string
    with TableServiceClient.from_connection_string(connection_string) as service:
        async with open_azure_stores(connection_string) as stores:
            yield InAzurite(service, stores.log)
    delete_tables(connection_string)


def write(write_id: str, /, *, at: datetime = SIX, **changes: Any) -> LoggedWrite:
    values: dict[str, Any] = {
        "write_id": write_id,
        "at": at,
        "by": "pipeline",
        "command": RecordCommand.RECORD,
        "market": "de",
        "stack": "network",
        "kind": WrittenKind.TRACKER,
        "blob": "de/network.json",
        "after": '{"serial": 42}',
    }
    return LoggedWrite(**values | changes)


async def kept(world: World, market: str = "de") -> list[LoggedWrite]:
    return [found async for found in world.log.writes(market=market)]


WRITES: Final = [
    pytest.param(write("a"), id="a first one"),
    pytest.param(
        write(
            "a",
            at=SIX + timedelta(microseconds=123_456),
            by="alice@example.com",
            command=RecordCommand.ACCEPT,
            status=WriteStatus.WRITTEN,
            before='{"serial": 41}',
            etag_before='"0x8DE2C1B5F3A1B20"',
            etag_after='"0x8DE2C1B5F3A1B21"',
            run_id="20261123.4",
            reason='hotfix, "by hand"\nwith ü, 漢 and 🦊',
        ),
        id="with all there is",
    ),
    pytest.param(write("a", stack=None, kind=WrittenKind.REGISTRY, blob="de/subscription.json"), id="of no stack"),
    pytest.param(write("a", before="", after="", reason=""), id="of empty texts"),
    pytest.param(write("a", before="\\xff\x00\x1f\ttext", status=WriteStatus.REFUSED), id="of control characters"),
    pytest.param(write("a", before="x" * 40_000, after="🦊" * 30_000), id="of texts larger than a property"),
]


class TestAWrite:
    @pytest.mark.parametrize("written", WRITES)
    async def test_is_read_back_the_same(self, world: World, written: LoggedWrite) -> None:
        await world.log.save(writes=[written])
        assert await kept(world) == [written]

    async def test_goes_from_begun_to_written(self, world: World) -> None:
        begun = write("a", before="x" * 100_000)
        await world.log.save(writes=[begun])
        written = begun.model_copy(update={"status": WriteStatus.WRITTEN, "before": "short", "etag_after": '"1"'})
        await world.log.save(writes=[written])
        assert await kept(world) == [written]

    async def test_that_is_saved_twice_at_once_is_kept_as_it_was_last(self, world: World) -> None:
        await world.log.save(writes=[write("a"), write("b"), write("a", status=WriteStatus.WRITTEN)])
        assert await kept(world) == [write("a", status=WriteStatus.WRITTEN), write("b")]

    @pytest.mark.parametrize("letter", ["x", "ü", "漢", "🦊", '"', "\n"])
    async def test_of_huge_texts_is_kept_as_far_as_it_fits_and_says_what_was_cut(
        self, world: World, letter: str
    ) -> None:
        before, after, reason = letter * 500_000, "a" + letter * 499_999, letter * 40_000
        await world.log.save(writes=[write("a", before=before, after=after, reason=reason)])
        (found,) = await kept(world)
        for text, whole in ((found.before, before), (found.after, after), (found.reason, reason)):
            assert text is not None
            if not isinstance(world, InAzurite):
                assert text == whole
                continue
            beginning, _, marker = text.rpartition("\n[")
            assert whole.startswith(beginning)
            assert len(beginning) > 2_500
            assert f"cut here: {len(whole) - len(beginning):,} more characters" in marker
            assert hashlib.sha256(whole.encode()).hexdigest() in marker


class TestWrites:
    async def test_there_is_none_before_the_first(self, world: World) -> None:
        assert await kept(world) == []

    async def test_none_at_all_can_be_saved(self, world: World) -> None:
        await world.log.save(writes=[])
        assert await kept(world) == []

    async def test_come_newest_first_in_whatever_order_they_were_saved(self, world: World) -> None:
        minutes = (3, 1, 4, 2)
        for minute in minutes:
            await world.log.save(writes=[write(f"w{minute}", at=SIX + timedelta(minutes=minute))])
        assert [found.write_id for found in await kept(world)] == ["w4", "w3", "w2", "w1"]

    async def test_of_one_moment_are_all_kept(self, world: World) -> None:
        await world.log.save(writes=[write(f"w{number}") for number in range(5)])
        assert [found.write_id for found in await kept(world)] == [f"w{number}" for number in range(5)]

    async def test_of_another_market_are_apart(self, world: World) -> None:
        markets = ("de", "de-2", "emea", "emea/fr", "emea/fr/south")
        for market in markets:
            await world.log.save(writes=[write("a", market=market)])
        for market in markets:
            assert await kept(world, market) == [write("a", market=market)]
        assert await kept(world, "fr") == []

    async def test_are_many_in_one_save(self, world: World) -> None:
        writes = [write(f"w{number:03d}", at=SIX - timedelta(seconds=number)) for number in range(MANY)]
        await world.log.save(writes=writes)
        assert await kept(world) == writes

    async def test_are_many_and_large_in_one_save(self, world: World) -> None:
        before, after = "漢" * 60_000, "x" * 200_000
        writes = [write(f"w{number:02d}", before=before, after=after) for number in range(12)]
        await world.log.save(writes=writes)
        assert await kept(world) == writes

    async def test_of_many_who_write_at_once_are_all_kept(self, world: World) -> None:
        await asyncio.gather(*(world.log.save(writes=[write(f"w{number:02d}")]) for number in range(20)))
        assert [found.write_id for found in await kept(world)] == [f"w{number:02d}" for number in range(20)]

    async def test_pass_over_one_that_cannot_be_read(self, world: World) -> None:
        await world.log.save(writes=[write("a"), write("b"), write("c")])
        world.spoil("b")
        assert [found.write_id for found in await kept(world)] == ["a", "c"]


class TestMarkets:
    async def test_there_is_none_before_the_first_write(self, world: World) -> None:
        assert await world.log.markets() == []

    async def test_are_all_that_have_a_row_also_one_that_cannot_be_read(self, world: World) -> None:
        markets = ["fr", "emea", "emea/fr/south", "de-2", "emea/fr", "de"]
        for market in markets:
            await world.log.save(writes=[write(f"{market.replace('/', '-')}-{n}", market=market) for n in range(3)])
        for number in range(3):
            world.spoil(f"fr-{number}")
        assert await world.log.markets() == sorted(markets)


@pytest.mark.azurite
class TestARow:
    async def test_is_one_of_a_market_of_more_than_a_page_with_markets_on_either_side(self, azure: InAzurite) -> None:
        await azure.log.save(writes=[write(f"w{number:04d}") for number in range(MORE_THAN_A_PAGE)])
        for market in ("at", "de-2", "fr"):
            await azure.log.save(writes=[write("a", market=market)])
        assert await azure.log.markets() == ["at", "de", "de-2", "fr"]

    async def test_can_be_queried_by_what_people_ask_for(self, azure: InAzurite) -> None:
        await azure.log.save(
            writes=[
                write("a", market="emea/fr", run_id="20261123.4", reason="why", etag_before='"1"', etag_after='"2"')
            ]
        )
        (row,) = azure.rows()
        assert row["PartitionKey"] == "emea:fr"
        assert row["RowKey"].endswith(":a")
        assert (row["at"], row["by"], row["command"], row["stack"]) == (SIX, "pipeline", "record", "network")
        assert (row["kind"], row["blob"], row["status"]) == ("tracker", "de/network.json", "begun")
        assert (row["run_id"], row["reason"], row["etag_before"], row["etag_after"]) == (
            "20261123.4",
            "why",
            '"1"',
            '"2"',
        )
        assert row["after"] == '{"serial": 42}'
        assert "before" not in row

    async def test_has_the_beginning_of_a_long_text_in_the_column_of_its_name(self, azure: InAzurite) -> None:
        await azure.log.save(writes=[write("a", after="x" * 40_000)])
        (row,) = azure.rows()
        assert [len(row[column]) for column in ("after", "after_1", "after_2")] == [16_384, 16_384, 7_232]


async def test_a_folder_s_log_leaves_no_half_written_file(tmp_path: Path) -> None:
    log = FolderRecordLog(tmp_path)
    await asyncio.gather(*(log.save(writes=[write("a")]) for _ in range(20)))
    (file,) = (tmp_path / "tables" / "recordlog" / "de").iterdir()
    assert file.name.endswith("-a.json")
    assert LoggedWrite.model_validate_json(file.read_bytes()) == write("a")

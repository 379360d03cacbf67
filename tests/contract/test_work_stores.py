"""What every work store promises: the one in memory, and Azure's tables in their emulator."""

import asyncio
import base64
import gzip
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Final

import pytest
from azure.data.tables import TableClient, TableServiceClient, UpdateMode
from pydantic import BaseModel

from adapters.azure_work import AzureMarketWorkStore
from adapters.table_keys import market_key
from adapters.table_names import PLAN_CHECK_WORK_TABLE, WORK_TABLE
from records.errors import StoreUnavailableError
from records.findings import AttributeChange, Finding, FindingKind
from records.plan_checks import PlannedStack, StackObservation
from records.plans import LanePlan, Page
from records.ports import MarketWorkStore, WorkStore
from records.report import MarketOutcome
from records.verdicts import Verdict
from tests.estates import delete_tables, open_azure_stores
from tests.fakes import MemoryMarketWorkStore, MemoryWorkStore
from tests.unit.report_samples import problem, stack_result
from tests.world.azurite import Azurite
from tests.world.fault_proxy import FaultProxy
from tests.world.faults import AnswerStatus, Delay, on

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")

RUN: Final = "daily-2026-11-25"
ODD_NAME: Final = ('Süd/emea #1?\\ "it\'s"! 🦊/' * 40)[:900]
LONGEST_KEY: Final = "/".join(["a" * 63] * 6 + ["b" * 16])
PART_BYTES: Final = 60_000
"""What one row of the table takes of an outcome."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Whose work it is: ``make`` gives an outcome of a market, ``name_of`` the name that one is kept under."""

    table: str
    model: type[BaseModel]
    make: Callable[..., Any]
    name_of: Callable[[Any], str]


class World:
    """A store, and outcomes of the form that it keeps."""

    def __init__(self, store: WorkStore[Any], kind: Kind) -> None:
        self.store = store
        self.kind = kind

    def outcome(self, market: str = "de", **changes: Any) -> Any:
        return self.kind.make(market, **changes)

    def name(self, market: str = "de") -> str:
        return self.kind.name_of(self.kind.make(market))

    def sorted(self, *outcomes: Any) -> list[Any]:
        return sorted(outcomes, key=self.kind.name_of)


class InMemory(World):
    def __init__(self, kind: Kind) -> None:
        super().__init__(MemoryMarketWorkStore() if kind is MARKETS else MemoryWorkStore(kind.model), kind)


class InAzurite(World):
    def __init__(self, store: WorkStore[Any], table: TableClient, kind: Kind) -> None:
        super().__init__(store, kind)
        self._table = table

    def keys(self, run_id: str = RUN) -> list[str]:
        rows = self._table.query_entities("PartitionKey eq @run", parameters={"run": run_id})
        return sorted(str(row["RowKey"]) for row in rows)

    def change(self, key: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Replaces a row with one that ``change`` has had its hands on."""
        row = dict(self._table.get_entity(RUN, key))
        change(row)
        self._table.upsert_entity(row, mode=UpdateMode.REPLACE)

    def delete(self, key: str) -> None:
        self._table.delete_entity(RUN, key)


def incompressible(size_bytes: int, seed: int = 0) -> str:
    """Random text that gzip makes into a little more than this many bytes."""
    return base64.b64encode(random.Random(seed).randbytes(size_bytes)).decode()


def outcome(market: str = "de", *, serial: int = 42, size_bytes: int = 0) -> MarketOutcome:
    """One that is at least so large when it is compressed."""
    summary = f"Serial {serial}. {incompressible(size_bytes, serial)}"
    return MarketOutcome(
        market=market,
        results=(stack_result(market, "app"), stack_result(market, "network", Verdict.PIPELINE_DRIFT, summary=summary)),
        states=(f"{market}/app.tfstate", f"{market}/network.tfstate"),
        names_all_its_states=True,
    )


def observation(market: str = "de", *, serial: int = 42, size_bytes: int = 0) -> StackObservation:
    """The same of a stack: one that drifted in the portal."""
    finding = Finding(
        address="azurerm_network_security_group.main",
        type="azurerm_network_security_group",
        kind=FindingKind.PORTAL_DRIFT,
        actions=("update",),
        destructive=False,
        attributes=(AttributeChange(path="tags.„Süd“ 🦊", before="a", after=None),),
    )
    return StackObservation(
        market=market,
        stack="app",
        checked_at=datetime(2026, 11, 25, 6, 1, tzinfo=UTC),
        verdict=Verdict.HEALTHY,
        serial=serial,
        plan=PlannedStack(findings=(finding,), managed_resources=7, fingerprint="f" * 64),
        diagnostics=(incompressible(size_bytes, serial),),
    )


MARKETS: Final = Kind(WORK_TABLE, MarketOutcome, outcome, attrgetter("market"))
STACKS: Final = Kind(PLAN_CHECK_WORK_TABLE, StackObservation, observation, attrgetter("name"))


@asynccontextmanager
async def open_azure(azurite: Azurite, kind: Kind) -> AsyncIterator[InAzurite]:
    with TableServiceClient.from_connection_string(azurite.connection_string) as service:
        async with open_azure_stores(azurite.connection_string) as stores:
            store: WorkStore[Any] = stores.work if kind is MARKETS else stores.check_work
            yield InAzurite(store, service.get_table_client(kind.table), kind)
    delete_tables(azurite.connection_string)


@pytest.fixture
async def azure(azurite: Azurite) -> AsyncIterator[InAzurite]:
    async with open_azure(azurite, MARKETS) as opened:
        yield opened


@asynccontextmanager
async def open_world(request: pytest.FixtureRequest, kind: Kind) -> AsyncIterator[World]:
    """The world that a fixture's parameter, one of `BACKENDS`, names."""
    if "memory" in request.param:
        yield InMemory(kind)
    else:
        async with open_azure(request.getfixturevalue("azurite"), kind) as opened:
            yield opened


BACKENDS: Final = ["memory", pytest.param("azurite", marks=pytest.mark.azurite)]


@pytest.fixture(params=[*BACKENDS, "memory, of stacks", pytest.param("azurite, of stacks", marks=pytest.mark.azurite)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with open_world(request, STACKS if "stacks" in request.param else MARKETS) as opened:
        yield opened


@pytest.fixture(params=BACKENDS)
async def stacks(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with open_world(request, STACKS) as opened:
        yield opened


@pytest.fixture(params=BACKENDS)
async def markets(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with open_world(request, MARKETS) as opened:
        yield opened


@pytest.fixture
def market_work(markets: World) -> MarketWorkStore:
    store: Any = markets.store
    assert isinstance(store, MemoryMarketWorkStore | AzureMarketWorkStore)
    return store


async def outcomes(world: World, run_id: str = RUN) -> list[Any]:
    return world.sorted(*[item async for item in world.store.outcomes(run_id=run_id)])


async def save(world: World, *written: Any, run_id: str = RUN) -> None:
    for item in written:
        await world.store.save_outcome(run_id=run_id, name=world.kind.name_of(item), outcome=item)


def plan(digest: str = "d1", **changes: Any) -> LanePlan:
    return LanePlan(**{"digest": digest, "item_count": 3, "pages_by_lane": (2, 1)} | changes)


PAGES: Final = [
    Page(lane=0, number=0, names=("de", "uk")),
    Page(lane=0, number=1, names=(ODD_NAME,)),
    Page(lane=1, number=0, names=("emea/fr",)),
]


class TestAPlan:
    @pytest.mark.parametrize(
        "written",
        [
            pytest.param(plan(), id="of two lanes"),
            pytest.param(plan(item_count=0, pages_by_lane=()), id="of an empty estate"),
            pytest.param(plan(pages_by_lane=(200,) * 256), id="of the most lanes"),
            pytest.param(plan(problems=(problem("*"), problem("Süd 🦊"))), id="with problems"),
        ],
    )
    async def test_is_read_back_the_same(self, world: World, written: LanePlan) -> None:
        await world.store.save_plan(run_id=RUN, plan=written, pages=[])
        assert await world.store.plan(run_id=RUN, digest="d1") == written

    async def test_is_read_back_with_its_pages(self, world: World) -> None:
        await world.store.save_plan(run_id=RUN, plan=plan(), pages=iter(PAGES))
        for page in PAGES:
            found = await world.store.page(run_id=RUN, digest="d1", lane=page.lane, number=page.number)
            assert found == page
        found_pages = [page async for page in world.store.pages(run_id=RUN, digest="d1")]
        assert sorted(found_pages, key=lambda page: (page.lane, page.number)) == PAGES

    @pytest.mark.parametrize("times", [0, 1], ids=["before the first", "beside another run's"])
    async def test_that_never_was_is_none(self, world: World, times: int) -> None:
        for _ in range(times):
            await world.store.save_plan(run_id="another", plan=plan(), pages=PAGES)
        assert await world.store.plan(run_id=RUN, digest="d1") is None
        assert await world.store.page(run_id=RUN, digest="d1", lane=0, number=0) is None
        assert [page async for page in world.store.pages(run_id=RUN, digest="d1")] == []

    async def test_of_another_digest_changes_nothing(self, world: World) -> None:
        other = [Page(lane=0, number=0, names=("xx",)), Page(lane=5, number=0, names=("yy",))]
        await world.store.save_plan(run_id=RUN, plan=plan(), pages=PAGES)
        await world.store.save_plan(run_id=RUN, plan=plan("d10", item_count=2), pages=other)
        assert await world.store.plan(run_id=RUN, digest="d1") == plan()
        assert await world.store.page(run_id=RUN, digest="d1", lane=0, number=0) == PAGES[0]
        assert await world.store.page(run_id=RUN, digest="d1", lane=5, number=0) is None
        found = [page async for page in world.store.pages(run_id=RUN, digest="d1")]
        assert {page.names for page in found} == {page.names for page in PAGES}

    async def test_delivered_by_two_at_once_is_there_once(self, world: World) -> None:
        await asyncio.gather(*(world.store.save_plan(run_id=RUN, plan=plan(), pages=PAGES) for _ in range(3)))
        assert len([page async for page in world.store.pages(run_id=RUN, digest="d1")]) == len(PAGES)

    async def test_of_more_pages_than_a_transaction_takes_is_kept_whole(self, world: World) -> None:
        pages = [Page(lane=number % 16, number=number // 16, names=(f"m-{number}",)) for number in range(250)]
        await world.store.save_plan(run_id=RUN, plan=plan(), pages=pages)
        found = [page async for page in world.store.pages(run_id=RUN, digest="d1")]
        assert sorted(page.names for page in found) == sorted(page.names for page in pages)
        assert await world.store.page(run_id=RUN, digest="d1", lane=9, number=15) == pages[249]

    async def test_takes_100_pages_of_the_largest_size(self, world: World) -> None:
        markets = tuple(f"{number:03d}-{LONGEST_KEY[:320]}" for number in range(50))
        pages = [Page(lane=0, number=number, names=markets) for number in range(100)]
        await world.store.save_plan(run_id=RUN, plan=plan(), pages=pages)
        assert await world.store.page(run_id=RUN, digest="d1", lane=0, number=99) == pages[99]


@pytest.mark.azurite
class TestAPlanWhoseWriteIsCutOff:
    @pytest.mark.parametrize(
        ("page_count", "written"),
        [
            pytest.param(250, 1, id="after the first of three transactions"),
            pytest.param(250, 2, id="before the last of three transactions"),
            pytest.param(100, 1, id="with nothing missing but its own row"),
        ],
    )
    async def test_is_none_until_another_try_has_written_all_of_it(
        self, azurite: Azurite, table_fault_proxy: FaultProxy, azure: InAzurite, page_count: int, written: int
    ) -> None:
        # A first write finds no table and begins again, which would be one transaction more.
        await azure.store.save_plan(run_id="another", plan=plan(), pages=[])
        pages = [Page(lane=0, number=number, names=(f"m-{number}",)) for number in range(page_count)]
        transactions = on("POST", "*/$batch")
        table_fault_proxy.inject(transactions, Delay(0), times=written)
        table_fault_proxy.inject(transactions, AnswerStatus(503, "ServerBusy"))
        through_proxy = azurite.connection_string_through(table_url=table_fault_proxy.url)
        async with open_azure_stores(through_proxy) as stores:
            with pytest.raises(StoreUnavailableError):
                await stores.work.save_plan(run_id=RUN, plan=plan(), pages=pages)
            assert len(azure.keys()) == 100 * written
            assert await azure.store.plan(run_id=RUN, digest="d1") is None
            table_fault_proxy.heal()
            await stores.work.save_plan(run_id=RUN, plan=plan(), pages=pages)
        assert await azure.store.plan(run_id=RUN, digest="d1") == plan()
        assert [page async for page in azure.store.pages(run_id=RUN, digest="d1")] == pages


OUTCOMES: Final = [
    pytest.param(outcome(), id="with results and states"),
    pytest.param(MarketOutcome(market="de"), id="of a market without stacks"),
    pytest.param(MarketOutcome(market="de", problems=(problem("de", field="stacks.app"),)), id="with a problem"),
    pytest.param(
        MarketOutcome(market="emea/fr", results=(stack_result("emea/fr", "app", owner="Plattform-Team „Süd“ 🦊"),)),
        id="with an owner in another script",
    ),
    pytest.param(
        MarketOutcome(market=LONGEST_KEY, results=(stack_result(LONGEST_KEY, "app"),)), id="with the longest key"
    ),
    pytest.param(MarketOutcome(market=ODD_NAME, problems=(problem(ODD_NAME),)), id="of a name that no key can be"),
    pytest.param(MarketOutcome(market="de\n", problems=(problem("de"),)), id="of a name that ends in a line break"),
    pytest.param(MarketOutcome(market="", problems=(problem(""),)), id="of no name"),
    pytest.param(outcome(size_bytes=5 * PART_BYTES), id="of several parts"),
]


class TestAnOutcome:
    @pytest.mark.parametrize("written", OUTCOMES)
    async def test_of_a_market_is_read_back_the_same(self, markets: World, written: MarketOutcome) -> None:
        await save(markets, written)
        assert await markets.store.outcome(run_id=RUN, name=written.market) == written
        assert await outcomes(markets) == [written]
        assert await markets.store.outcome_count(run_id=RUN) == 1

    @pytest.mark.parametrize("market", ["de", "emea/fr", LONGEST_KEY], ids=["plain", "of a region", "longest"])
    @pytest.mark.parametrize("parts", [0, 5], ids=["of one part", "of several parts"])
    async def test_is_read_back_the_same(self, world: World, market: str, parts: int) -> None:
        written = world.outcome(market, size_bytes=parts * PART_BYTES)
        await save(world, written)
        assert await world.store.outcome(run_id=RUN, name=world.name(market)) == written
        assert await outcomes(world) == [written]
        assert await world.store.outcome_count(run_id=RUN) == 1

    @pytest.mark.parametrize("others", [0, 1], ids=["of none", "of another"])
    async def test_that_never_was_is_none(self, world: World, others: int) -> None:
        await save(world, *[world.outcome("uk")] * others)
        assert await world.store.outcome(run_id=RUN, name=world.name("de")) is None
        assert await world.store.outcome_count(run_id=RUN) == others

    @pytest.mark.parametrize("first", [0, 1, 3], ids=lambda parts: f"from {parts} further parts")
    @pytest.mark.parametrize("second", [0, 1, 3], ids=lambda parts: f"to {parts} further parts")
    async def test_is_replaced_by_the_second_try_of_its_run(self, world: World, first: int, second: int) -> None:
        await save(world, world.outcome(serial=1, size_bytes=first * PART_BYTES))
        again = world.outcome(serial=2, size_bytes=second * PART_BYTES)
        await save(world, again)
        assert await world.store.outcome(run_id=RUN, name=world.name("de")) == again
        assert await outcomes(world) == [again]
        assert await world.store.outcome_count(run_id=RUN) == 1

    async def test_is_replaced_as_often_as_it_is_tried(self, world: World) -> None:
        for serial, parts in enumerate((2, 5, 0, 3, 1)):
            written = world.outcome(serial=serial, size_bytes=parts * PART_BYTES)
            await save(world, written)
            assert await outcomes(world) == [written]

    async def test_of_two_tries_at_once_is_that_of_one_of_them(self, world: World) -> None:
        tries = [world.outcome(serial=number, size_bytes=number * PART_BYTES) for number in range(4)]
        await asyncio.gather(*(save(world, written) for written in tries))
        assert await world.store.outcome(run_id=RUN, name=world.name("de")) in tries
        assert len(await outcomes(world)) == 1

    async def test_of_another_run_is_not_seen(self, world: World) -> None:
        await save(world, world.outcome(serial=1), run_id=f"{RUN}0")
        await save(world, world.outcome(serial=2), run_id=RUN[:-1])
        assert await outcomes(world) == []
        await save(world, world.outcome(serial=3))
        assert await outcomes(world) == [world.outcome(serial=3)]
        assert await world.store.outcome_count(run_id=f"{RUN}0") == 1

    async def test_is_no_plan_and_a_plan_is_no_outcome(self, world: World) -> None:
        await world.store.save_plan(run_id=RUN, plan=plan(), pages=PAGES)
        assert (await outcomes(world), await world.store.outcome_count(run_id=RUN)) == ([], 0)
        await save(world, world.outcome("plan"), world.outcome("page"))
        assert len([page async for page in world.store.pages(run_id=RUN, digest="d1")]) == len(PAGES)

    @pytest.mark.slow
    async def test_is_counted_once_for_each_of_1200_markets(self, markets: World) -> None:
        names = [f"market-{number:04d}" for number in range(1200)]
        await asyncio.gather(*(save(markets, MarketOutcome(market=name)) for name in names))
        assert await markets.store.outcome_count(run_id=RUN) == 1200
        assert [item.market for item in await outcomes(markets)] == names


NAMES: Final = ["a", "a/b", "a/00", "a/0", "a-b", "a0", "ab", "a/b/c", "00"]


class TestNames:
    @pytest.mark.parametrize("parts", [0, 2], ids=["of one part", "of several parts"])
    async def test_a_market_is_never_taken_for_another(self, world: World, parts: int) -> None:
        written = [world.outcome(name, serial=n, size_bytes=parts * PART_BYTES) for n, name in enumerate(NAMES)]
        await save(world, *written)
        for name, item in zip(NAMES, written, strict=True):
            assert await world.store.outcome(run_id=RUN, name=world.name(name)) == item
        assert await outcomes(world) == world.sorted(*written)
        assert await world.store.outcome_count(run_id=RUN) == len(written)

    async def test_a_folder_that_is_no_market_is_never_taken_for_one(self, markets: World) -> None:
        odd = ["a!00", "a!01", "a!", "!a", "a:b", "A", "a//b", "a/"]
        written = [MarketOutcome(market=market, problems=(problem(market),)) for market in odd]
        written += [markets.outcome(market, size_bytes=2 * PART_BYTES) for market in NAMES]
        await save(markets, *written)
        for item in written:
            assert await markets.store.outcome(run_id=RUN, name=item.market) == item
        assert await outcomes(markets) == markets.sorted(*written)
        assert await markets.store.outcome_count(run_id=RUN) == len(written)

    async def test_a_stack_is_never_taken_for_another(self, stacks: World) -> None:
        paths = [
            ("a", "b"),
            ("a", "c"),
            ("a/b", "c"),
            ("a", "b-c"),
            ("a/b", "b"),
            (LONGEST_KEY, "c"),
            (LONGEST_KEY, "d"),
        ]
        written = [
            observation(market, serial=n).model_copy(update={"stack": stack}) for n, (market, stack) in enumerate(paths)
        ]
        await save(stacks, *written)
        for item in written:
            assert await stacks.store.outcome(run_id=RUN, name=item.name) == item
        assert await stacks.store.outcome(run_id=RUN, name="a") is None
        assert await outcomes(stacks) == stacks.sorted(*written)

    async def test_a_market_that_is_not_there_is_not_one_that_is_nested_in_it(self, world: World) -> None:
        await save(world, *(world.outcome(market) for market in ("a/b", "a/00", "a-b", "aa")))
        assert await world.store.outcome(run_id=RUN, name=world.name("a")) is None

    async def test_a_second_try_of_one_leaves_those_beside_it(self, world: World) -> None:
        others = [
            world.outcome(name, serial=n, size_bytes=3 * PART_BYTES) for n, name in enumerate(["a-b", "a/00", "a/b"])
        ]
        await save(world, *others, world.outcome("a", size_bytes=4 * PART_BYTES))
        await save(world, world.outcome("a"))
        assert await outcomes(world) == world.sorted(world.outcome("a"), *others)


class TestPruning:
    async def test_removes_exactly_the_work_of_one_run(self, world: World) -> None:
        runs = [RUN, f"{RUN}0", RUN[:-1]]
        for run_id in runs:
            await world.store.save_plan(run_id=run_id, plan=plan(), pages=PAGES)
            await save(world, world.outcome("a", size_bytes=2 * PART_BYTES), world.outcome("a/b"), run_id=run_id)
        await world.store.prune_work(run_id=RUN)
        assert await world.store.plan(run_id=RUN, digest="d1") is None
        assert [page async for page in world.store.pages(run_id=RUN, digest="d1")] == []
        assert await outcomes(world) == []
        for run_id in runs[1:]:
            assert await world.store.plan(run_id=run_id, digest="d1") == plan()
            assert len(await outcomes(world, run_id)) == 2

    async def test_removes_more_rows_than_one_transaction_takes(self, world: World) -> None:
        await asyncio.gather(*(save(world, world.outcome(f"m-{number}")) for number in range(230)))
        await world.store.prune_work(run_id=RUN)
        assert await world.store.outcome_count(run_id=RUN) == 0

    async def test_of_a_run_without_work_removes_nothing(self, world: World) -> None:
        await world.store.prune_work(run_id=RUN)
        await save(world, world.outcome())
        await world.store.prune_work(run_id="another")
        await world.store.prune_work(run_id="another")
        assert await outcomes(world) == [world.outcome()]


async def test_there_is_nothing_before_the_first_write(world: World) -> None:
    assert await world.store.plan(run_id=RUN, digest="d1") is None
    assert await world.store.page(run_id=RUN, digest="d1", lane=0, number=0) is None
    assert [page async for page in world.store.pages(run_id=RUN, digest="d1")] == []
    assert await world.store.outcome(run_id=RUN, name=world.name("de")) is None
    assert await outcomes(world) == []
    assert await world.store.outcome_count(run_id=RUN) == 0


async def test_the_first_writes_of_all_can_come_at_once(world: World) -> None:
    await asyncio.gather(*(save(world, world.outcome(f"market-{number}")) for number in range(8)))
    assert await world.store.outcome_count(run_id=RUN) == 8


@pytest.mark.azurite
class TestTheSizeOfAnOutcome:
    async def test_is_up_to_what_a_transaction_takes(self, azure: InAzurite) -> None:
        written = outcome(size_bytes=2_900_000)
        await save(azure, written)
        assert await azure.store.outcome(run_id=RUN, name="de") == written
        assert len(azure.keys()) >= 49

    @pytest.mark.parametrize("size_bytes", [3_050_000, 3_500_000, 5_000_000])
    async def test_beyond_that_is_refused_before_anything_is_written(self, azure: InAzurite, size_bytes: int) -> None:
        with pytest.raises(StoreUnavailableError, match="larger than a transaction takes"):
            await save(azure, outcome(size_bytes=size_bytes))
        assert await azure.store.outcome(run_id=RUN, name="de") is None

    async def test_beyond_that_leaves_what_an_earlier_try_left(self, azure: InAzurite) -> None:
        await save(azure, outcome(serial=1, size_bytes=2 * PART_BYTES))
        with pytest.raises(StoreUnavailableError):
            await save(azure, outcome(serial=2, size_bytes=5_000_000))
        assert await outcomes(azure) == [outcome(serial=1, size_bytes=2 * PART_BYTES)]


def _random(content: bytes) -> bytes:
    return random.Random(1).randbytes(len(content))


SPOILED: Final[list[Any]] = [
    pytest.param(lambda content: b"", id="nothing"),
    pytest.param(_random, id="noise"),
    pytest.param(lambda content: content[:10] + _random(content[10:]), id="noise behind a head of gzip"),
    pytest.param(lambda content: content[: len(content) // 2], id="half of it"),
    pytest.param(lambda content: content[:-4] + b"\0\0\0\0", id="a wrong length at its end"),
    pytest.param(lambda content: gzip.compress(b"not JSON"), id="something else than JSON"),
    pytest.param(lambda content: gzip.compress(b'{"of": "a later version"}'), id="an outcome of another form"),
    pytest.param(lambda content: gzip.compress(b"\xff\xfe"), id="no UTF-8"),
    pytest.param(lambda content: "text", id="text"),
]


@pytest.mark.azurite
class TestWhatCannotBeRead:
    @pytest.fixture(autouse=True)
    async def _written(self, azure: InAzurite) -> None:
        await save(azure, outcome("de", size_bytes=2 * PART_BYTES), outcome("fr"), outcome("uk"))

    @pytest.fixture
    def left(self) -> list[MarketOutcome]:
        return [outcome("fr"), outcome("uk")]

    @pytest.mark.parametrize("spoil", SPOILED)
    @pytest.mark.parametrize("part", [0, 1, 2])
    async def test_is_left_out(
        self, azure: InAzurite, left: list[MarketOutcome], spoil: Callable[[bytes], Any], part: int
    ) -> None:
        azure.change(part_key("de", part), lambda row: row.update(content=spoil(bytes(row["content"]))))
        assert await outcomes(azure) == left
        assert await azure.store.outcome(run_id=RUN, name="de") is None

    @pytest.mark.parametrize("column", ["parts", "content"])
    @pytest.mark.parametrize("part", [0, 1, 2])
    async def test_is_left_out_where_a_later_version_has_no_such_column(
        self, azure: InAzurite, left: list[MarketOutcome], column: str, part: int
    ) -> None:
        azure.change(part_key("de", part), lambda row: row.pop(column))
        if (column, part) == ("parts", 1) or (column, part) == ("parts", 2):
            left = [outcome("de", size_bytes=2 * PART_BYTES), *left]
        assert await outcomes(azure) == left

    @pytest.mark.parametrize("part", [0, 1, 2])
    async def test_is_left_out_where_a_part_is_gone(
        self, azure: InAzurite, left: list[MarketOutcome], part: int
    ) -> None:
        azure.delete(part_key("de", part))
        assert await outcomes(azure) == left
        assert await azure.store.outcome(run_id=RUN, name="de") is None

    async def test_is_replaced_by_the_next_try(self, azure: InAzurite, left: list[MarketOutcome]) -> None:
        azure.change(part_key("de", 1), lambda row: row.update(content=b""))
        await save(azure, outcome("de"))
        assert await outcomes(azure) == [outcome("de"), *left]


def part_key(market: str, part: int) -> str:
    return f"outcome:{market_key(market)}!{part:02d}"


class TestLateProblems:
    async def test_are_read_back_by_market(self, market_work: MarketWorkStore) -> None:
        by_market = {
            "de": [problem("de")],
            "emea/fr": [problem("emea/fr"), problem("emea/fr")],
            ODD_NAME: [problem(ODD_NAME)],
        }
        await market_work.save_late_problems(run_id=RUN, by_market=by_market)
        for market, problems in by_market.items():
            assert list(await market_work.late_problems(run_id=RUN, market=market)) == problems
        assert list(await market_work.late_problems(run_id=RUN, market="uk")) == []
        assert list(await market_work.late_problems(run_id="another", market="de")) == []

    async def test_are_no_outcomes(self, markets: World, market_work: MarketWorkStore) -> None:
        await market_work.save_late_problems(run_id=RUN, by_market={"de": [problem("de")]})
        assert (await outcomes(markets), await markets.store.outcome_count(run_id=RUN)) == ([], 0)

    async def test_of_more_markets_than_a_transaction_takes_are_all_kept_and_go_with_the_run(
        self, market_work: MarketWorkStore
    ) -> None:
        names = [f"market-{number:03d}" for number in range(150)]
        await market_work.save_late_problems(run_id=RUN, by_market={market: [problem(market)] for market in names})
        assert list(await market_work.late_problems(run_id=RUN, market=names[-1])) == [problem(names[-1])]
        await market_work.prune_work(run_id=RUN)
        assert list(await market_work.late_problems(run_id=RUN, market=names[-1])) == []

    async def test_of_no_market_are_nothing_to_write(self, market_work: MarketWorkStore) -> None:
        await market_work.save_late_problems(run_id=RUN, by_market={})
        assert list(await market_work.late_problems(run_id=RUN, market="de")) == []

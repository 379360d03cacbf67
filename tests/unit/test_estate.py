"""A whole run: which markets, how many at once, what one bad market costs the others, and what is kept of it."""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from adapters.blob_store import BlobPlace
from adapters.record_reader import BlobRecordReader
from lanes.listing import choose_markets, registered_markets, tracked_stacks
from reconcile.estate import reconcile_side_by_side
from records.errors import (
    AccessDeniedError,
    ContainerMissingError,
    StoreError,
    StoreUnavailableError,
    UnknownMarketError,
)
from records.faults import FaultCode, RecordKind
from records.report import WHOLE_ESTATE, MarketOutcome
from records.results import Run
from records.runs import RunRow
from records.verdicts import Verdict
from tests.estates import (
    CONTAINERS,
    SERIAL,
    MemoryEstate,
    Reconciled,
    entry,
    newest_run,
    put_healthy_market,
    put_registry,
    put_state,
    put_tracker,
    reconcile_all,
    state_bytes,
)
from tests.fakes import MemoryBlobStore, MemoryResultStore

NOW: Final = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
RUN: Final = Run(run_id="today", started_at=NOW)
FORBIDDEN: Final = AccessDeniedError("somewhere", "403 AuthorizationFailure")
VALUE: Final = "-".join(["a", "value", "of", "a", "record"])
DOWN: Final = StoreUnavailableError("reconcileruns", "503 ServerBusy")


class Estate:
    """An estate in memory, and its runs."""

    def __init__(self) -> None:
        self.blobs = MemoryBlobStore(CONTAINERS.registry, CONTAINERS.trackers, CONTAINERS.states)
        self.results = MemoryResultStore()
        self.records = BlobRecordReader(self.blobs, CONTAINERS)
        self.place = MemoryEstate(self.blobs)

    async def reconcile(self, *wanted: str, **changes: Any) -> Reconciled:
        values: dict[str, Any] = {"run": RUN, "clock": lambda: NOW + timedelta(minutes=2), "wanted": wanted}
        values["runs"] = self.results
        return await reconcile_all(changes.pop("records", self.records), self.results, **values | changes)

    def history(self, market: str) -> list[str]:
        return [stored.run_id for stored in self.results.history(market, "network")]

    async def run_ids(self) -> list[str]:
        return [row.run_id async for row in self.results.runs()]


@pytest.fixture
def estate() -> Estate:
    """Three markets, all healthy."""
    made = Estate()
    for market in ("de", "emea/fr", "uk"):
        put_healthy_market(made.place, market)
    return made


def registry_of(market: str) -> BlobPlace:
    return BlobPlace(container=CONTAINERS.registry, name=f"{market}/subscription.json")


ALL_HEALTHY: Final = {
    f"{market}/{stack}": Verdict.HEALTHY for market in ("de", "emea/fr", "uk") for stack in ("app", "network")
}


class TestMarkets:
    async def test_are_those_of_the_registry_and_of_the_trackers_sorted(self, estate: Estate) -> None:
        put_tracker(estate.place, "pt", "network")
        put_tracker(estate.place, "emea", "network")
        assert sorted(await registered_markets(estate.records) | (await tracked_stacks(estate.records)).keys()) == [
            "de",
            "emea",
            "emea/fr",
            "pt",
            "uk",
        ]

    async def test_are_not_made_of_other_files(self, estate: Estate) -> None:
        for name in ("readme.md", "subscription.json", "br/notes.json", "br/subscription.json.bak"):
            estate.place.put(CONTAINERS.registry, name, b"x")
        for name in ("network.json", "br/network.txt"):
            estate.place.put(CONTAINERS.trackers, name, b"x")
        assert sorted(await registered_markets(estate.records) | (await tracked_stacks(estate.records)).keys()) == [
            "de",
            "emea/fr",
            "uk",
        ]

    async def test_cannot_be_told_without_the_registry(self, estate: Estate) -> None:
        estate.blobs.refuse(CONTAINERS.registry, FORBIDDEN)
        with pytest.raises(StoreError):
            await estate.reconcile()

    async def test_cannot_be_told_where_there_is_no_registry(self) -> None:
        blobs = MemoryBlobStore(CONTAINERS.trackers, CONTAINERS.states)
        with pytest.raises(ContainerMissingError):
            await reconcile_all(BlobRecordReader(blobs, CONTAINERS), None)

    async def test_of_an_empty_estate_are_none(self) -> None:
        estate = Estate()
        reconciled = await estate.reconcile()
        assert (reconciled.summary.markets, reconciled.summary.exit_status) == (0, 0)

    async def test_known_to_trackers_alone_do_not_fall_silent(self, estate: Estate) -> None:
        put_tracker(estate.place, "pt", "network")
        reconciled = await estate.reconcile()
        assert reconciled.verdicts == ALL_HEALTHY | {"pt/network": Verdict.UNREGISTERED}

    @pytest.mark.parametrize(
        ("markets", "listings"),
        [
            pytest.param(["de"], ["", "/de/"], id="beside a registry"),
            pytest.param([], [""], id="without any registry record"),
            pytest.param(["de"], ["/"], id="while each market's own can be"),
        ],
    )
    async def test_known_to_trackers_that_cannot_be_listed_do_not_fall_silent(
        self, markets: list[str], listings: list[str]
    ) -> None:
        estate = Estate()
        put_tracker(estate.place, "pt", "network")
        for market in markets:
            put_healthy_market(estate.place, market)
        for listing in listings:
            estate.blobs.refuse(f"{CONTAINERS.trackers}{listing}", FORBIDDEN)
        reconciled = await estate.reconcile()
        assert reconciled.summary.exit_status == 2
        assert {(record, code) for _, record, code in reconciled.problems} == {
            (RecordKind.TRACKER, FaultCode.FORBIDDEN)
        }

    async def test_that_are_wanted_are_the_only_ones_looked_at(self, estate: Estate) -> None:
        reconciled = await estate.reconcile("uk", "emea/fr", "uk")
        assert sorted(reconciled.outcomes) == ["emea/fr", "uk"]
        assert estate.history("de") == []

    @pytest.mark.parametrize("wanted", [["pt"], ["de", "pt"], ["DE"], ["emea"], ["de/"], [""]])
    async def test_that_no_record_names_are_an_error_that_lists_those_there_are(
        self, estate: Estate, wanted: list[str]
    ) -> None:
        with pytest.raises(UnknownMarketError, match="there are: de, emea/fr, uk"):
            await estate.reconcile(*wanted)
        assert estate.blobs.reads == []

    def test_wanted_of_an_empty_estate_are_an_error_that_says_so(self) -> None:
        with pytest.raises(UnknownMarketError, match="no record names market de; there are: none"):
            choose_markets([], ["de"])


class TestOneBadMarket:
    async def test_that_breaks_is_its_own_problem_and_the_others_have_their_verdicts(
        self, estate: Estate, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Breaking(BlobRecordReader):
            async def registry(self, *, market: str) -> Any:
                if market == "emea/fr":
                    raise ZeroDivisionError(VALUE)
                return await super().registry(market=market)

        reconciled = await estate.reconcile(records=Breaking(estate.blobs, CONTAINERS))
        assert reconciled.problems == [("emea/fr", RecordKind.REGISTRY, FaultCode.UNEXPECTED)]
        assert reconciled.verdicts == {name: v for name, v in ALL_HEALTHY.items() if not name.startswith("emea/")}
        told = reconciled.summary.model_dump_json() + caplog.text
        assert "ZeroDivisionError" in told
        assert VALUE not in told
        assert (reconciled.summary.markets, reconciled.summary.exit_status) == (3, 2)

    @pytest.mark.parametrize("width", [1, 2, 50])
    async def test_after_another_ends_no_run_at_any_width(self, estate: Estate, width: int) -> None:
        for market in ("a", "b", "c", "d"):
            put_registry(estate.place, market, {}, schema_version=2)
        reconciled = await estate.reconcile(width=width)
        assert reconciled.verdicts == ALL_HEALTHY
        assert reconciled.problems == [
            (market, RecordKind.REGISTRY, FaultCode.UNKNOWN_SCHEMA_VERSION) for market in ("a", "b", "c", "d")
        ]

    async def test_with_a_name_that_no_market_can_have_is_a_problem(self, estate: Estate) -> None:
        put_healthy_market(estate.place, "N L")
        estate.place.put(CONTAINERS.registry, "../x/subscription.json", b"{}")
        reconciled = await estate.reconcile()
        assert reconciled.verdicts == ALL_HEALTHY
        assert reconciled.problems == [
            (market, RecordKind.REGISTRY, FaultCode.INVALID_NAME) for market in ("../x", "N L")
        ]

    async def test_whose_registry_record_vanished_after_it_was_listed_is_a_problem(self, estate: Estate) -> None:
        put_registry(estate.place, "nl", {"network": entry("nl", "network")})

        class Vanishing(BlobRecordReader):
            async def registry(self, *, market: str) -> Any:
                if market == "nl":
                    estate.blobs.delete(registry_of("nl"))
                return await super().registry(market=market)

        reconciled = await estate.reconcile(records=Vanishing(estate.blobs, CONTAINERS))
        assert reconciled.verdicts == ALL_HEALTHY
        assert reconciled.problems == [("nl", RecordKind.REGISTRY, FaultCode.VANISHED)]


async def outcomes_of(markets: list[str], reconcile: Callable[[str], Any], width: int) -> list[MarketOutcome]:
    return [outcome async for outcome in reconcile_side_by_side(markets, reconcile, width=width)]


class TestSideBySide:
    @pytest.mark.parametrize(("width", "markets", "most"), [(1, 9, 1), (3, 9, 3), (16, 9, 9), (4, 50, 4), (2, 0, 0)])
    async def test_no_more_markets_run_at_once_than_the_width(self, width: int, markets: int, most: int) -> None:
        running = seen = 0

        async def reconcile(market: str) -> MarketOutcome:
            nonlocal running, seen
            running += 1
            seen = max(seen, running)
            await asyncio.sleep(random.uniform(0, 0.002))
            running -= 1
            return MarketOutcome(market=market)

        names = [f"m-{number:02d}" for number in range(markets)]
        outcomes = await outcomes_of(names, reconcile, width)
        assert sorted(outcome.market for outcome in outcomes) == names
        assert seen == most

    async def test_a_slow_market_holds_no_other_up(self) -> None:
        let_go = asyncio.Event()

        async def reconcile(market: str) -> MarketOutcome:
            if market == "slow":
                await let_go.wait()
            return MarketOutcome(market=market)

        names = []
        async for outcome in reconcile_side_by_side(["slow", "a", "b", "c"], reconcile, width=2):
            names.append(outcome.market)
            if outcome.market == "c":
                let_go.set()
        assert names == ["a", "b", "c", "slow"]

    async def test_no_market_is_started_before_there_is_room(self) -> None:
        started: list[str] = []

        async def reconcile(market: str) -> MarketOutcome:
            started.append(market)
            return MarketOutcome(market=market)

        outcomes = reconcile_side_by_side(iter([f"m-{number}" for number in range(100)]), reconcile, width=3)
        await anext(outcomes)
        assert len(started) <= 6
        await outcomes.aclose()  # type: ignore[attr-defined]

    async def test_a_run_that_is_given_up_leaves_nothing_running(self) -> None:
        ended: list[str] = []

        async def reconcile(market: str) -> MarketOutcome:
            if market == "first":
                return MarketOutcome(market=market)
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(market)
            raise AssertionError("nobody waits that long")

        outcomes = reconcile_side_by_side(["first", "second", "third"], reconcile, width=3)
        await anext(outcomes)
        await outcomes.aclose()  # type: ignore[attr-defined]
        assert sorted(ended) == ["second", "third"]

    async def test_a_cancelled_run_ends(self, estate: Estate) -> None:
        put_state(estate.place, "uk", "network", SERIAL + 1)
        waiting = asyncio.Event()

        async def forever(_: float) -> None:
            waiting.set()
            await asyncio.sleep(60)

        task = asyncio.create_task(estate.reconcile(sleep=forever))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await newest_run(estate.results) is None


class TestUnregisteredStates:
    @pytest.fixture
    def forgotten(self, estate: Estate) -> Estate:
        """Beside the healthy markets, states that no registry entry names."""
        for name in ("pt/network.tfstate", "de/network.tfstateenv:dev", "a.tfstate"):
            estate.place.put(CONTAINERS.states, name, state_bytes())
        return estate

    async def test_are_listed_once_a_run_sorted(self, forgotten: Estate) -> None:
        summary = (await forgotten.reconcile()).summary
        assert summary.unregistered_states == ("a.tfstate", "de/network.tfstateenv:dev", "pt/network.tfstate")

    async def test_are_not_looked_for_when_only_some_markets_are(self, forgotten: Estate) -> None:
        assert (await forgotten.reconcile("de")).summary.unregistered_states == ()

    async def test_are_none_where_every_state_is_named(self, estate: Estate) -> None:
        assert (await estate.reconcile()).summary.unregistered_states == ()

    async def test_that_cannot_be_listed_are_the_estate_s_problem(self, forgotten: Estate) -> None:
        forgotten.blobs.refuse(f"{CONTAINERS.states}/", FORBIDDEN)
        reconciled = await forgotten.reconcile()
        assert reconciled.verdicts == ALL_HEALTHY
        assert reconciled.problems == [(WHOLE_ESTATE, RecordKind.STATE, FaultCode.FORBIDDEN)]
        assert reconciled.summary.exit_status == 2

    async def test_are_not_those_of_a_market_whose_registry_record_could_not_be_read(self, forgotten: Estate) -> None:
        forgotten.blobs.refuse(registry_of("uk"), FORBIDDEN)
        listed = (await forgotten.reconcile()).summary.unregistered_states
        assert [name for name in listed if name.startswith("uk/")] == []

    @pytest.mark.parametrize(
        ("stack", "changes"),
        [
            pytest.param("network", {"serial": -1}, id="whose serial is wrong"),
            pytest.param("Net Work", {}, id="whose name no stack can have"),
        ],
    )
    async def test_are_neither_those_of_a_bad_entry_nor_those_of_the_good_ones_beside_it(
        self, forgotten: Estate, stack: str, changes: dict[str, Any]
    ) -> None:
        good = entry("uk", "app", state={"key": "shared/uk-app.tfstate"})
        bad = entry("uk", "network", **changes)
        put_registry(forgotten.place, "uk", {"app": good, stack: bad})
        forgotten.place.put(CONTAINERS.states, "shared/uk-app.tfstate", state_bytes())
        listed = (await forgotten.reconcile()).summary.unregistered_states
        assert {"uk/network.tfstate", "shared/uk-app.tfstate"}.isdisjoint(listed)
        assert "pt/network.tfstate" in listed

    async def test_are_in_the_run_s_row_as_a_number(self, forgotten: Estate) -> None:
        await forgotten.reconcile()
        row = await newest_run(forgotten.results)
        assert row is not None
        assert row.unregistered_state_count == 3


class TestTheRun:
    async def test_is_kept_with_what_it_counted(self, estate: Estate) -> None:
        put_state(estate.place, "uk", "network", SERIAL + 1)
        put_registry(estate.place, "nl", {}, schema_version=2)
        summary = (await estate.reconcile()).summary
        assert await newest_run(estate.results) == RunRow(
            run_id="today",
            started_at=NOW,
            finished_at=NOW + timedelta(minutes=2),
            expected_markets=4,
            markets=4,
            unread_markets=1,
            counts={Verdict.HEALTHY: 5, Verdict.PIPELINE_DRIFT: 1},
            problem_count=1,
            unregistered_state_count=0,
        )
        assert summary.exit_status == 2

    async def test_twice_is_one_run(self, estate: Estate) -> None:
        first = await estate.reconcile()
        second = await estate.reconcile()
        assert first == second
        assert estate.history("de") == ["today"]
        assert await estate.run_ids() == ["today"]

    async def test_goes_once_it_is_older_than_the_retention(self, estate: Estate) -> None:
        await estate.reconcile(run=Run(run_id="old", started_at=NOW - timedelta(days=401)))
        await estate.reconcile()
        assert await estate.run_ids() == ["today"]

    @pytest.mark.parametrize("method", ["save_run", "prune_runs"])
    async def test_that_cannot_be_kept_is_the_estate_s_problem(self, estate: Estate, method: str) -> None:
        estate.results.refuse(method, DOWN)
        reconciled = await estate.reconcile()
        assert reconciled.verdicts == ALL_HEALTHY
        assert reconciled.problems == [(WHOLE_ESTATE, RecordKind.RESULTS, FaultCode.UNAVAILABLE)]

    async def test_without_results_to_keep_is_all_the_same(self, estate: Estate) -> None:
        reconciled = await reconcile_all(estate.records, None, run=RUN)
        assert reconciled.verdicts == ALL_HEALTHY
        assert reconciled.summary.exit_status == 0

    @pytest.mark.parametrize("width", [1, 2, 7, 100])
    async def test_comes_to_the_same_at_any_width_and_in_any_order_of_writing(self, width: int) -> None:
        def put_estate(order: random.Random) -> Estate:
            made = Estate()
            numbers = list(range(12))
            order.shuffle(numbers)
            for number in numbers:
                put_healthy_market(made.place, f"m-{number:02d}")
                if number % 3 == 0:
                    put_state(made.place, f"m-{number:02d}", "network", SERIAL + number)
                if number % 5 == 1:
                    put_registry(made.place, f"m-{number:02d}", {}, schema_version=2)
                made.place.put(CONTAINERS.states, f"left-{number}.tfstate", b"x")
            return made

        expected = await put_estate(random.Random(0)).reconcile(width=4)
        found = await put_estate(random.Random(width)).reconcile(width=width)
        assert (found.summary, found.verdicts) == (expected.summary, expected.verdicts)
        assert len(found.problems) == 3
        assert found.summary.counts[Verdict.PIPELINE_DRIFT] == 2

"""Whole runs while storage fails: never an abort, never healthy, and nothing lost of the markets beside."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

from adapters.azure_results import AzureResultStore
from adapters.azure_runs import AzureRunStore
from adapters.record_reader import BlobRecordReader, Containers
from adapters.table_names import RESULTS_TABLE, RUNS_TABLE
from records.errors import AccessDeniedError, ContainerMissingError, StoreError, StoreUnavailableError
from records.faults import Fault, FaultCode, RecordKind
from records.report import WHOLE_ESTATE
from records.results import Run, StackResult
from records.runs import RunRow
from records.verdicts import OddOneOut, Verdict
from tests.estates import (
    SERIAL,
    AzuriteEstate,
    Reconciled,
    delete_tables,
    entry,
    fresh_containers,
    newest_run,
    open_azure_records,
    open_azure_stores,
    put_healthy_market,
    put_registry,
    put_state,
    put_tracker,
    reconcile_all,
    utc_now,
)
from tests.kept_rows import results_in_tables
from tests.world.azurite import Azurite
from tests.world.fault_proxy import FaultProxy
from tests.world.faults import Action, AnswerStatus, CutBody, LoseAnswer, Matches, on

pytestmark = [pytest.mark.azurite, pytest.mark.usefixtures("waits")]

DE: Final = {"de/app": Verdict.HEALTHY, "de/network": Verdict.HEALTHY}
FR: Final = {"fr/app": Verdict.HEALTHY, "fr/network": Verdict.HEALTHY}
WRITES: Final = on("POST", "*/$batch")


@dataclass(frozen=True, slots=True)
class Estate:
    """Two healthy markets behind the proxies, and their runs."""

    place: AzuriteEstate
    records: BlobRecordReader
    results: AzureResultStore
    runs: AzureRunStore[RunRow]
    blobs: FaultProxy
    tables: FaultProxy
    kept_in: TableServiceClient

    async def reconcile(self, **changes: Any) -> Reconciled:
        return await reconcile_all(self.records, self.results, runs=self.runs, **changes)

    async def kept(self, market: str) -> dict[str, Verdict]:
        latest = await self.results.latest_of_market(market=market)
        return {f"{market}/{stack}": stored.result.verdict for stack, stored in latest.items()}

    def history(self, market: str = "de") -> list[str]:
        return [stored.run_id for stored in results_in_tables(self.kept_in, market, "network")]


@pytest.fixture
async def estate(azurite: Azurite, fault_proxy: FaultProxy, table_fault_proxy: FaultProxy) -> AsyncIterator[Estate]:
    containers = fresh_containers()
    through_proxies = azurite.connection_string_through(blob_url=fault_proxy.url, table_url=table_fault_proxy.url)
    async with contextlib.AsyncExitStack() as stack:
        service = stack.enter_context(BlobServiceClient.from_connection_string(azurite.connection_string))
        for container in (containers.registry, containers.trackers, containers.states):
            service.create_container(container)
        place = AzuriteEstate(service, containers)
        for market in ("de", "fr"):
            put_healthy_market(place, market)
        stack.callback(delete_tables, azurite.connection_string)
        records = await stack.enter_async_context(open_azure_records(through_proxies, containers))
        stores = await stack.enter_async_context(open_azure_stores(through_proxies))
        yield Estate(
            place=place,
            records=records,
            results=stores.results,
            runs=stores.runs,
            blobs=fault_proxy,
            tables=table_fault_proxy,
            kept_in=stack.enter_context(TableServiceClient.from_connection_string(azurite.connection_string)),
        )


RECORDS: Final = {
    RecordKind.REGISTRY: on("GET", "*/registry-*/de/subscription.json"),
    RecordKind.TRACKER: on("GET", "*/trackers-*/de/network.json"),
    RecordKind.STATE: on("GET", "*/tfstate-*/de/network.tfstate"),
}

FOR_EVER: Final = [
    pytest.param(AnswerStatus(403, "AuthorizationPermissionMismatch"), FaultCode.FORBIDDEN, id="403"),
    pytest.param(AnswerStatus(401, "NoAuthenticationInformation"), FaultCode.FORBIDDEN, id="401"),
    pytest.param(AnswerStatus(429, "TooManyRequests"), FaultCode.UNAVAILABLE, id="429"),
    pytest.param(AnswerStatus(503, "ServerBusy"), FaultCode.UNAVAILABLE, id="503"),
    pytest.param(AnswerStatus(503, "ServerBusy", 3), FaultCode.UNAVAILABLE, id="503 with Retry-After"),
    pytest.param(AnswerStatus(500, "InternalError"), FaultCode.UNAVAILABLE, id="500"),
    pytest.param(AnswerStatus(404, "ResourceNotFound"), FaultCode.UNAVAILABLE, id="a 404 that names no blob"),
    pytest.param(AnswerStatus(409, "ContainerBeingDeleted"), FaultCode.CONTAINER_MISSING, id="a container that goes"),
    pytest.param(CutBody(), FaultCode.UNAVAILABLE, id="a connection cut in the middle of the body"),
    pytest.param(LoseAnswer(), FaultCode.UNAVAILABLE, id="a connection cut before the answer"),
]

OF_LISTINGS: Final = [
    pytest.param(AnswerStatus(403, "AuthorizationFailure"), FaultCode.FORBIDDEN, id="403"),
    pytest.param(AnswerStatus(503, "ServerBusy"), FaultCode.UNAVAILABLE, id="503"),
    pytest.param(AnswerStatus(404, "ContainerNotFound"), FaultCode.CONTAINER_MISSING, id="a 404 of the container"),
    pytest.param(CutBody(), FaultCode.UNAVAILABLE, id="a connection cut in the middle of the body"),
]

FOR_A_WHILE: Final = [
    pytest.param(AnswerStatus(429, "TooManyRequests"), id="429"),
    pytest.param(AnswerStatus(429, "TooManyRequests", 3), id="429 with Retry-After"),
    pytest.param(AnswerStatus(503, "ServerBusy"), id="503"),
    pytest.param(AnswerStatus(503, "ServerBusy", 3), id="503 with Retry-After"),
    pytest.param(AnswerStatus(500, "InternalError"), id="500"),
    pytest.param(CutBody(), id="a connection cut in the middle of the body"),
    pytest.param(CutBody(after_bytes=0), id="a connection cut before the body"),
    pytest.param(LoseAnswer(), id="a connection cut before the answer"),
]


def fault_of(result: StackResult, record: RecordKind) -> Fault:
    evidence = {
        RecordKind.REGISTRY: result.evidence.registry,
        RecordKind.TRACKER: result.evidence.tracker,
        RecordKind.STATE: result.evidence.state,
    }
    fault = evidence[record].fault
    assert fault is not None
    return fault


async def test_an_estate_that_nothing_ails_is_healthy_and_kept(estate: Estate, waits: list[float]) -> None:
    reconciled = await estate.reconcile()
    assert (reconciled.verdicts, reconciled.problems) == (DE | FR, [])
    assert reconciled.summary.exit_status == 0
    assert await estate.kept("de") == DE
    assert waits == []


class TestForEver:
    @pytest.mark.parametrize(("action", "code"), FOR_EVER)
    async def test_a_registry_record_is_its_market_s_problem(
        self, estate: Estate, action: Action, code: FaultCode
    ) -> None:
        estate.blobs.inject(RECORDS[RecordKind.REGISTRY], action)
        reconciled = await estate.reconcile()
        assert (reconciled.verdicts, reconciled.problems) == (FR, [("de", RecordKind.REGISTRY, code)])
        assert reconciled.summary.problems[0].blob == "de/subscription.json"
        assert reconciled.summary.problems[0].remedy
        assert reconciled.summary.exit_status == 2
        assert (await estate.kept("de"), await estate.kept("fr")) == ({}, FR)

    @pytest.mark.parametrize("record", [RecordKind.TRACKER, RecordKind.STATE])
    @pytest.mark.parametrize(("action", "code"), FOR_EVER)
    async def test_a_tracker_or_state_is_unreadable_and_the_rest_has_its_verdicts(
        self, estate: Estate, record: RecordKind, action: Action, code: FaultCode
    ) -> None:
        estate.blobs.inject(RECORDS[record], action)
        reconciled = await estate.reconcile()
        assert reconciled.verdicts == DE | FR | {"de/network": Verdict.UNREADABLE}
        assert reconciled.problems == []
        result = reconciled.of("de", "network")
        fault = fault_of(result, record)
        assert (result.odd_one_out, fault.code, fault.record) == (OddOneOut(record.value), code, record)
        assert fault.blob == ("de/network.json" if record is RecordKind.TRACKER else "de/network.tfstate")
        assert fault.remedy
        assert reconciled.summary.exit_status == 2
        assert await estate.kept("de") == DE | {"de/network": Verdict.UNREADABLE}

    @pytest.mark.parametrize(("action", "code"), OF_LISTINGS)
    async def test_the_listing_of_all_trackers_is_the_estate_s_problem_and_each_market_lists_its_own(
        self, estate: Estate, action: Action, code: FaultCode
    ) -> None:
        every_listing = on("GET", "*/trackers-*", comp="list")
        estate.blobs.inject(
            lambda request: every_listing(request) and request.query.get("prefix") in {None, "de/"}, action
        )
        reconciled = await estate.reconcile()
        assert reconciled.verdicts == FR
        assert reconciled.problems == [
            (WHOLE_ESTATE, RecordKind.TRACKER, code),
            ("de", RecordKind.TRACKER, code),
        ]

    @pytest.mark.parametrize(("action", "code"), OF_LISTINGS)
    async def test_the_listing_of_all_states_is_the_estate_s_problem(
        self, estate: Estate, action: Action, code: FaultCode
    ) -> None:
        estate.blobs.inject(on("GET", "*/tfstate-*", comp="list"), action)
        reconciled = await estate.reconcile()
        assert reconciled.verdicts == DE | FR
        assert reconciled.problems == [(WHOLE_ESTATE, RecordKind.STATE, code)]
        assert reconciled.summary.exit_status == 2

    @pytest.mark.parametrize(("action", "code"), OF_LISTINGS)
    async def test_the_listing_of_the_registry_fails_the_run(
        self, estate: Estate, action: Action, code: FaultCode
    ) -> None:
        estate.blobs.inject(on("GET", "*/registry-*", comp="list"), action)
        errors: dict[FaultCode, type[StoreError]] = {
            FaultCode.FORBIDDEN: AccessDeniedError,
            FaultCode.UNAVAILABLE: StoreUnavailableError,
            FaultCode.CONTAINER_MISSING: ContainerMissingError,
        }
        with pytest.raises(errors[code], match="registry-"):
            await estate.reconcile()
        assert await estate.kept("de") == {}

    async def test_every_blob_of_the_account_leaves_no_verdict_healthy(self, estate: Estate) -> None:
        estate.blobs.inject(on("GET", "*.json"), AnswerStatus(503, "ServerBusy"))
        reconciled = await estate.reconcile()
        assert (reconciled.verdicts, len(reconciled.problems)) == ({}, 2)

    async def test_a_throttled_blob_is_asked_for_as_often_as_the_limits_say_in_each_reading(
        self, estate: Estate
    ) -> None:
        rule = estate.blobs.inject(RECORDS[RecordKind.STATE], AnswerStatus(503, "ServerBusy"))
        await estate.reconcile()
        assert rule.used == 2 * (1 + 3)

    async def test_a_forbidden_blob_is_asked_for_once_in_each_reading(self, estate: Estate) -> None:
        rule = estate.blobs.inject(RECORDS[RecordKind.STATE], AnswerStatus(403, "AuthorizationFailure"))
        await estate.reconcile()
        assert rule.used == 2


class TestForAWhile:
    @pytest.mark.parametrize("record", RECORDS)
    @pytest.mark.parametrize("action", FOR_A_WHILE)
    async def test_a_record_is_read_in_the_end(self, estate: Estate, record: RecordKind, action: Action) -> None:
        rule = estate.blobs.inject(RECORDS[record], action, times=2)
        reconciled = await estate.reconcile()
        assert rule.is_spent
        assert (reconciled.verdicts, reconciled.problems) == (DE | FR, [])
        assert reconciled.summary.exit_status == 0

    @pytest.mark.parametrize("container", ["registry", "trackers", "tfstate"])
    @pytest.mark.parametrize(
        "action", [AnswerStatus(429, "TooManyRequests"), CutBody(), LoseAnswer()], ids=["429", "cut", "lost"]
    )
    async def test_a_listing_is_read_in_the_end(self, estate: Estate, container: str, action: Action) -> None:
        rule = estate.blobs.inject(on("GET", f"*/{container}-*", comp="list"), action, times=2)
        reconciled = await estate.reconcile()
        assert rule.is_spent
        assert (reconciled.verdicts, reconciled.problems) == (DE | FR, [])

    @pytest.mark.parametrize("status", [429, 503])
    async def test_a_retry_after_is_waited_for_and_not_much_longer(
        self, estate: Estate, waits: list[float], status: int
    ) -> None:
        busy = AnswerStatus(status, "ServerBusy", retry_after_seconds=7)
        estate.blobs.inject(RECORDS[RecordKind.STATE], busy, times=3)
        assert (await estate.reconcile()).verdicts == DE | FR
        assert len(waits) == 3
        assert all(7 <= wait <= 10.5 for wait in waits)

    async def test_a_throttled_fleet_does_not_come_back_as_one(self, estate: Estate, waits: list[float]) -> None:
        busy = AnswerStatus(503, "ServerBusy", retry_after_seconds=7)
        for record in RECORDS.values():
            estate.blobs.inject(record, busy, times=1)
        estate.tables.inject(RESULT_ROWS, busy, times=1)
        assert (await estate.reconcile()).verdicts == DE | FR
        assert len(waits) == len(set(waits)) == 4

    async def test_without_a_retry_after_the_waits_grow(self, estate: Estate, waits: list[float]) -> None:
        estate.blobs.inject(RECORDS[RecordKind.STATE], AnswerStatus(503, "ServerBusy"), times=3)
        assert (await estate.reconcile()).verdicts == DE | FR
        # The first retry of azure-core's is at once.
        assert len(waits) == 2
        assert 0.04 <= waits[0] <= 0.06
        assert 0.08 <= waits[1] <= 0.12

    async def test_a_record_that_is_out_of_reach_at_the_first_reading_alone_is_healthy(self, estate: Estate) -> None:
        estate.blobs.inject(RECORDS[RecordKind.TRACKER], AnswerStatus(503, "ServerBusy"), times=4)
        assert (await estate.reconcile()).verdicts == DE | FR


class TestVanished:
    """A 404 that names the blob, for what was there when it was listed."""

    GONE: Final = AnswerStatus(404, "BlobNotFound")

    async def test_a_registry_record_leaves_its_trackers_unregistered(self, estate: Estate) -> None:
        estate.blobs.inject(RECORDS[RecordKind.REGISTRY], self.GONE)
        reconciled = await estate.reconcile()
        assert reconciled.verdicts == FR | {"de/app": Verdict.UNREGISTERED, "de/network": Verdict.UNREGISTERED}
        assert reconciled.summary.exit_status == 2

    async def test_a_registry_record_without_trackers_is_its_market_s_problem(self, estate: Estate) -> None:
        for stack in ("app", "network"):
            estate.place.delete(estate.place.containers.trackers, f"de/{stack}.json")
        estate.blobs.inject(RECORDS[RecordKind.REGISTRY], self.GONE)
        reconciled = await estate.reconcile()
        assert (reconciled.verdicts, reconciled.problems) == (FR, [("de", RecordKind.REGISTRY, FaultCode.VANISHED)])

    async def test_a_registry_record_of_a_market_that_no_tracker_knows_is_a_problem_too(self, estate: Estate) -> None:
        put_registry(estate.place, "uk", {"network": entry("uk", "network")})
        put_state(estate.place, "uk", "network")
        estate.blobs.inject(on("GET", "*/registry-*/uk/subscription.json"), self.GONE)
        reconciled = await estate.reconcile()
        assert (reconciled.verdicts, reconciled.problems) == (
            DE | FR,
            [("uk", RecordKind.REGISTRY, FaultCode.VANISHED)],
        )

    async def test_a_state_is_missing(self, estate: Estate) -> None:
        estate.blobs.inject(RECORDS[RecordKind.STATE], self.GONE)
        reconciled = await estate.reconcile()
        assert reconciled.verdicts == DE | FR | {"de/network": Verdict.STATE_MISSING}

    async def test_a_tracker_leaves_registry_and_state_to_compare(self, estate: Estate) -> None:
        put_state(estate.place, "de", "network", SERIAL + 1)
        estate.blobs.inject(RECORDS[RecordKind.TRACKER], self.GONE)
        result = (await estate.reconcile()).of("de", "network")
        assert (result.verdict, result.tier, result.serial_delta) == (Verdict.PIPELINE_DRIFT, 2, 1)


def without(estate: Estate, **names: str) -> BlobRecordReader:
    """A reader of the same account that is told other containers' names."""
    containers: Containers = replace(estate.place.containers, **names)
    return BlobRecordReader(estate.records._blobs, containers)


class TestContainersThatAreNotThere:
    NAME: Final = "no-such-container"

    async def test_the_registry_s_fails_the_run(self, estate: Estate) -> None:
        with pytest.raises(ContainerMissingError, match=self.NAME):
            await reconcile_all(without(estate, registry=self.NAME), estate.results)

    async def test_the_trackers_are_every_market_s_problem(self, estate: Estate) -> None:
        reconciled = await reconcile_all(without(estate, trackers=self.NAME), estate.results)
        assert reconciled.verdicts == {}
        assert {problem for problem in reconciled.problems if problem[0] != WHOLE_ESTATE} == {
            (market, RecordKind.TRACKER, FaultCode.CONTAINER_MISSING) for market in ("de", "fr")
        }

    async def test_the_states_leave_every_stack_unreadable_and_none_missing(self, estate: Estate) -> None:
        reconciled = await reconcile_all(without(estate, states=self.NAME), estate.results)
        assert reconciled.verdicts == dict.fromkeys(DE | FR, Verdict.UNREADABLE)
        assert reconciled.problems == [(WHOLE_ESTATE, RecordKind.STATE, FaultCode.CONTAINER_MISSING)]
        fault = fault_of(reconciled.of("de", "network"), RecordKind.STATE)
        assert (fault.code, self.NAME in fault.message) == (FaultCode.CONTAINER_MISSING, True)

    async def test_a_market_s_own_leaves_its_stack_unreadable(self, estate: Estate) -> None:
        location = {"key": "de/network.tfstate", "container": self.NAME}
        put_registry(estate.place, "de", {"app": entry("de", "app"), "network": entry("de", "network", state=location)})
        reconciled = await estate.reconcile()
        assert reconciled.verdicts == DE | FR | {"de/network": Verdict.UNREADABLE}
        fault = fault_of(reconciled.of("de", "network"), RecordKind.STATE)
        assert (fault.code, self.NAME in fault.message) == (FaultCode.CONTAINER_MISSING, True)

    async def test_a_market_s_own_that_is_there_is_read(self, estate: Estate) -> None:
        own = fresh_containers().states
        estate.place.service.create_container(own)
        estate.place.put(
            own,
            "state",
            estate.place.service.get_blob_client(estate.place.containers.states, "de/network.tfstate")
            .download_blob()
            .readall(),
        )
        location = {"key": "state", "container": own}
        put_registry(estate.place, "de", {"app": entry("de", "app"), "network": entry("de", "network", state=location)})
        reconciled = await estate.reconcile()
        assert reconciled.verdicts == DE | FR
        assert reconciled.summary.unregistered_states == ("de/network.tfstate",)

    async def test_another_account_s_is_unreadable_where_a_connection_string_opens_one_alone(
        self, estate: Estate
    ) -> None:
        location = {"key": "de/network.tfstate", "account_url": "https://marketde.blob.core.windows.net"}
        put_registry(estate.place, "de", {"app": entry("de", "app"), "network": entry("de", "network", state=location)})
        reconciled = await estate.reconcile()
        assert reconciled.verdicts == DE | FR | {"de/network": Verdict.UNREADABLE}
        assert fault_of(reconciled.of("de", "network"), RecordKind.STATE).code is FaultCode.ACCOUNT_NOT_ALLOWED


RESULT_ROWS: Final = on("GET", f"*/{RESULTS_TABLE}*")
RUN_ROWS: Final = on("*", f"*/{RUNS_TABLE}*")
OUTAGES: Final = [
    pytest.param(AnswerStatus(503, "ServerBusy"), FaultCode.UNAVAILABLE, id="503"),
    pytest.param(AnswerStatus(429, "TooManyRequests"), FaultCode.UNAVAILABLE, id="429"),
    pytest.param(AnswerStatus(403, "AuthorizationPermissionMismatch"), FaultCode.FORBIDDEN, id="403"),
    pytest.param(LoseAnswer(), FaultCode.UNAVAILABLE, id="a connection cut before the answer"),
    pytest.param(CutBody(), FaultCode.UNAVAILABLE, id="a connection cut in the middle of the body"),
]


class TestTables:
    @pytest.mark.parametrize(("action", "code"), OUTAGES)
    async def test_that_cannot_be_read_are_each_market_s_problem_and_nothing_is_written_over_them(
        self, estate: Estate, action: Action, code: FaultCode
    ) -> None:
        await estate.reconcile(run=Run(run_id="before", started_at=utc_now()))
        estate.tables.forget()
        estate.tables.inject(RESULT_ROWS, action)
        put_state(estate.place, "de", "network", SERIAL + 1)
        reconciled = await estate.reconcile()
        assert reconciled.verdicts == DE | FR | {"de/network": Verdict.PIPELINE_DRIFT}
        assert reconciled.problems == [(market, RecordKind.RESULTS, code) for market in ("de", "fr")]
        assert estate.tables.count(WRITES) == 0
        estate.tables.heal()
        assert estate.history() == ["before"]

    @pytest.mark.parametrize(("action", "code"), OUTAGES)
    async def test_that_cannot_be_written_are_each_market_s_problem_beside_its_verdicts(
        self, estate: Estate, action: Action, code: FaultCode
    ) -> None:
        await estate.reconcile(run=Run(run_id="before", started_at=utc_now()))
        estate.tables.inject(WRITES, action)
        put_state(estate.place, "de", "network", SERIAL + 1)
        reconciled = await estate.reconcile()
        assert reconciled.verdicts == DE | FR | {"de/network": Verdict.PIPELINE_DRIFT}
        assert reconciled.problems == [(market, RecordKind.RESULTS, code) for market in ("de", "fr")]
        assert {problem.blob for problem in reconciled.summary.problems} == {RESULTS_TABLE}
        assert reconciled.summary.exit_status == 2

    @pytest.mark.parametrize(("action", "code"), OUTAGES)
    async def test_that_do_not_take_the_run_are_the_estate_s_problem(
        self, estate: Estate, action: Action, code: FaultCode
    ) -> None:
        await estate.reconcile(run=Run(run_id="before", started_at=utc_now()))
        estate.tables.inject(RUN_ROWS, action)
        reconciled = await estate.reconcile()
        assert reconciled.verdicts == DE | FR
        assert reconciled.problems == [(WHOLE_ESTATE, RecordKind.RESULTS, code)]

    async def test_that_nobody_answers_for_cost_no_verdict(self, estate: Estate, azurite: Azurite) -> None:
        nowhere = azurite.connection_string_through(table_url=f"http://127.0.0.1:1/{azurite.account_name}")
        async with open_azure_stores(nowhere) as stores:
            reconciled = await reconcile_all(estate.records, stores.results, runs=stores.runs)
        assert reconciled.verdicts == DE | FR
        assert reconciled.problems == [
            (market, RecordKind.RESULTS, FaultCode.UNAVAILABLE) for market in (WHOLE_ESTATE, "de", "fr")
        ]

    @pytest.mark.parametrize(
        "rows",
        [pytest.param(RESULT_ROWS, id="read"), pytest.param(WRITES, id="written"), pytest.param(RUN_ROWS, id="runs")],
    )
    @pytest.mark.parametrize(
        "action",
        [
            pytest.param(AnswerStatus(503, "ServerBusy"), id="503"),
            pytest.param(AnswerStatus(503, "ServerBusy", 3), id="503 with Retry-After"),
            pytest.param(AnswerStatus(429, "TooManyRequests"), id="429"),
            pytest.param(AnswerStatus(429, "TooManyRequests", 3), id="429 with Retry-After"),
        ],
    )
    async def test_that_are_busy_for_a_while_are_written_once(
        self, estate: Estate, action: Action, rows: Matches
    ) -> None:
        await estate.reconcile(run=Run(run_id="before", started_at=utc_now()))
        rule = estate.tables.inject(rows, action, times=2)
        reconciled = await estate.reconcile(run=Run(run_id="now", started_at=utc_now()))
        assert rule.is_spent
        assert (reconciled.verdicts, reconciled.problems) == (DE | FR, [])
        assert estate.history() == ["now", "before"]
        row = await newest_run(estate.runs)
        assert row is not None
        assert row.run_id == "now"

    async def test_that_ask_to_be_left_alone_are_left_alone_that_long(self, estate: Estate, waits: list[float]) -> None:
        await estate.reconcile()
        waits.clear()
        estate.tables.inject(WRITES, AnswerStatus(503, "ServerBusy", retry_after_seconds=7), times=2)
        assert (await estate.reconcile()).problems == []
        assert len(waits) == 2
        assert all(7 <= wait <= 10.5 for wait in waits)

    async def test_whose_first_answer_was_lost_keep_one_row_a_run(self, estate: Estate) -> None:
        await estate.reconcile(run=Run(run_id="before", started_at=utc_now()))
        run = Run(run_id="now", started_at=utc_now())
        estate.tables.inject(WRITES, LoseAnswer(), times=1)
        first = await estate.reconcile(run=run)
        assert (first.verdicts, first.problems) == (DE | FR, [])
        assert (await estate.reconcile(run=run)).problems == []
        for market in ("de", "fr"):
            assert estate.history(market) == ["now", "before"]

    async def test_that_are_not_there_yet_are_made(self, estate: Estate) -> None:
        assert await estate.kept("de") == {}
        assert (await estate.reconcile()).problems == []
        assert await estate.kept("de") == DE
        assert await newest_run(estate.runs) is not None


@pytest.mark.parametrize(
    "size_bytes",
    [pytest.param(10_000, id="10 KB"), pytest.param(1_000_000, id="1 MB"), pytest.param(20_000_000, id="20 MB")],
)
class TestCost:
    @pytest.fixture
    def sized(self, estate: Estate, size_bytes: int) -> Estate:
        put_state(estate.place, "de", "network", size_bytes=size_bytes)
        blob = estate.place.service.get_blob_client(estate.place.containers.states, "de/network.tfstate")
        properties = blob.get_blob_properties()
        assert properties.size >= size_bytes
        md5 = bytes(properties.content_settings.content_md5 or b"").hex()
        put_tracker(estate.place, "de", "network", state_md5=md5)
        return estate

    async def test_a_healthy_state_costs_one_request_and_less_than_4_kib(self, sized: Estate) -> None:
        reconciled = await sized.reconcile()
        assert reconciled.verdicts == DE | FR
        of_the_state = RECORDS[RecordKind.STATE]
        assert sized.blobs.count(of_the_state) == 1
        assert sized.blobs.body_bytes(of_the_state) < 4096

    async def test_a_drifted_state_costs_two_and_less_than_8_kib(self, sized: Estate, size_bytes: int) -> None:
        put_state(sized.place, "de", "network", SERIAL + 1, size_bytes=size_bytes)
        reconciled = await sized.reconcile()
        assert reconciled.of("de", "network").verdict is Verdict.PIPELINE_DRIFT
        of_the_state = RECORDS[RecordKind.STATE]
        assert sized.blobs.count(of_the_state) == 2
        assert sized.blobs.body_bytes(of_the_state) < 8192

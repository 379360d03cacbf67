"""Estates to reconcile in tests: the records that a pipeline writes, where they are put, and what a whole run makes of them."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient

from adapters import azure_tables
from adapters.azure_blobs import AzureBlobStore, connect_with_string
from adapters.azure_pins import AzurePinStore
from adapters.azure_record_log import AzureRecordLog
from adapters.azure_results import AzureResultStore
from adapters.azure_retries import RetryLimits
from adapters.azure_runs import AzureRunStore
from adapters.azure_work import AzureMarketWorkStore, AzureWorkStore
from adapters.blob_store import BlobPlace
from adapters.record_reader import BlobRecordReader, Containers
from adapters.table_names import (
    HEAL_LEVERS_TABLE,
    HEALS_TABLE,
    PINS_TABLE,
    PLAN_CHECK_RUNS_TABLE,
    PLAN_CHECK_WORK_TABLE,
    PLAN_CHECKS_TABLE,
    RECORD_LOG_TABLE,
    RESULTS_TABLE,
    RUNS_TABLE,
    WORK_TABLE,
)
from reconcile.market import MarketReconciler, Rules
from reconcile.run import RunProgress, RunStores, reconcile_estate
from records.faults import FaultCode, RecordKind
from records.plan_checks import CheckRunRow, StackObservation
from records.ports import Clock, RecordReader, ResultStore, RowT, RunStore
from records.report import MarketOutcome, RunSummary
from records.results import Run, StackResult
from records.runs import RunRow
from records.verdicts import Verdict
from tests.fakes import MemoryBlobStore, MemoryPinStore

LINEAGE: Final = "edd2705f-7116-be1f-264c-8eebc32084c8"
SERIAL: Final = 42
CONTAINERS: Final = Containers()
LIMITS: Final = RetryLimits(total=3, backoff_seconds=0.02)
RULES: Final = Rules(in_flight_minutes=60, reread_delay_seconds=0, retention_days=400)

_HEAD: Final = '{\n  "version": 4,\n  "terraform_version": "1.11.4",\n'
_PADDING: Final = (
    '{"mode": "managed", "type": "terraform_data", "name": "padding", "serial": 7, "lineage": "not this one"}'
)

JsonObject = dict[str, Any]


class Estate(Protocol):
    """A place for records."""

    @property
    def containers(self) -> Containers: ...

    def put(self, container: str, blob: str, content: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class MemoryEstate:
    """An estate in memory."""

    blobs: MemoryBlobStore
    containers: Containers = CONTAINERS

    def put(self, container: str, blob: str, content: bytes) -> None:
        self.blobs.create_container(container)
        self.blobs.put(BlobPlace(container=container, name=blob), content)


@dataclass(frozen=True, slots=True)
class FolderEstate:
    """An estate on disk."""

    root: Path
    containers: Containers = CONTAINERS

    def put(self, container: str, blob: str, content: bytes) -> None:
        file = self.root / container / blob
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


@dataclass(frozen=True, slots=True)
class AzuriteEstate:
    """An estate in containers of its own, written past any fault proxy."""

    service: BlobServiceClient
    containers: Containers

    def put(self, container: str, blob: str, content: bytes) -> None:
        self.service.get_blob_client(container, blob).upload_blob(content, overwrite=True)

    def delete(self, container: str, blob: str) -> None:
        self.service.get_blob_client(container, blob).delete_blob()


def fresh_containers() -> Containers:
    """Names that no other test has used; none of the containers is there yet."""
    name = uuid.uuid4()
    return Containers(
        registry=f"registry-{name}", trackers=f"trackers-{name}", states=f"tfstate-{name}", bundles=f"bundles-{name}"
    )


@asynccontextmanager
async def open_azure_records(connection_string: str, containers: Containers) -> AsyncIterator[BlobRecordReader]:
    blobs = AzureBlobStore(
        connect_with_string(connection_string, LIMITS), allowed_host_suffixes=(".blob.core.windows.net",)
    )
    try:
        yield BlobRecordReader(blobs, containers)
    finally:
        await blobs.close()


@dataclass(frozen=True, slots=True)
class AzureStores:
    """The stores on one account's tables."""

    results: AzureResultStore
    runs: AzureRunStore[RunRow]
    work: AzureMarketWorkStore
    pins: AzurePinStore
    log: AzureRecordLog
    check_runs: AzureRunStore[CheckRunRow]
    check_work: AzureWorkStore[StackObservation]


@asynccontextmanager
async def open_azure_stores(connection_string: str) -> AsyncIterator[AzureStores]:
    async with azure_tables.connect_with_string(connection_string, LIMITS) as service:
        yield AzureStores(
            results=AzureResultStore(service),
            runs=AzureRunStore(service, table=RUNS_TABLE, row=RunRow),
            work=AzureMarketWorkStore(service),
            pins=AzurePinStore(service),
            log=AzureRecordLog(service),
            check_runs=AzureRunStore(service, table=PLAN_CHECK_RUNS_TABLE, row=CheckRunRow),
            check_work=AzureWorkStore(service, table=PLAN_CHECK_WORK_TABLE, outcome=StackObservation),
        )


async def newest_run(runs: RunStore[RowT]) -> RowT | None:
    async for row in runs.runs():
        return row
    return None


def delete_tables(connection_string: str, **options: Any) -> None:
    """Leaves the account without results and log, as before the first run."""
    with TableServiceClient.from_connection_string(connection_string, **options) as service:
        for table in (
            RESULTS_TABLE,
            RUNS_TABLE,
            WORK_TABLE,
            PINS_TABLE,
            RECORD_LOG_TABLE,
            PLAN_CHECK_RUNS_TABLE,
            PLAN_CHECK_WORK_TABLE,
            PLAN_CHECKS_TABLE,
            HEALS_TABLE,
            HEAL_LEVERS_TABLE,
        ):
            with suppress(ResourceNotFoundError):
                service.delete_table(table)


def state_bytes(serial: int = SERIAL, *, lineage: str = LINEAGE, size_bytes: int = 0) -> bytes:
    """A state as Terraform lays it out, of at least this size."""
    head = f'{_HEAD}  "serial": {serial},\n  "lineage": "{lineage}",\n  "outputs": {{}},\n  "resources": ['
    count = 1 + size_bytes // len(_PADDING)
    return (head + ",".join([_PADDING] * count) + '],\n  "check_results": null\n}\n').encode()


def tracker_bytes(market: str, stack: str, /, **changes: Any) -> bytes:
    record: JsonObject = {"schema_version": 1, "market": market, "stack": stack, "lineage": LINEAGE, "serial": SERIAL}
    return json.dumps(record | changes).encode()


def entry(market: str, stack: str, /, **changes: Any) -> JsonObject:
    return {"state": {"key": f"{market}/{stack}.tfstate"}, "lineage": LINEAGE, "serial": SERIAL} | changes


def registry_bytes(market: str, stacks: Mapping[str, Any], /, **changes: Any) -> bytes:
    record = {"schema_version": 1, "market": market, "subscription_id": f"s-{market}", "stacks": stacks}
    return json.dumps(record | changes).encode()


def put_registry(estate: Estate, market: str, stacks: Mapping[str, Any], /, **changes: Any) -> None:
    estate.put(estate.containers.registry, f"{market}/subscription.json", registry_bytes(market, stacks, **changes))


def put_tracker(estate: Estate, market: str, stack: str, /, **changes: Any) -> None:
    estate.put(estate.containers.trackers, f"{market}/{stack}.json", tracker_bytes(market, stack, **changes))


def put_state(estate: Estate, market: str, stack: str, serial: int = SERIAL, **changes: Any) -> None:
    estate.put(estate.containers.states, f"{market}/{stack}.tfstate", state_bytes(serial, **changes))


def put_healthy_market(estate: Estate, market: str, stacks: Iterable[str] = ("app", "network")) -> None:
    stacks = tuple(stacks)
    put_registry(estate, market, {stack: entry(market, stack) for stack in stacks})
    for stack in stacks:
        put_tracker(estate, market, stack)
        put_state(estate, market, stack)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a whole run came to."""

    summary: RunSummary
    outcomes: Mapping[str, MarketOutcome]

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """By ``market/stack``."""
        return {f"{result.market}/{result.stack}": result.verdict for result in self._results()}

    @property
    def problems(self) -> list[tuple[str, RecordKind, FaultCode]]:
        return [(problem.market, problem.record, problem.code) for problem in self.summary.problems]

    def of(self, market: str, stack: str) -> StackResult:
        found = [result for result in self._results() if (result.market, result.stack) == (market, stack)]
        assert len(found) == 1, f"{len(found)} results of {market}/{stack}"
        return found[0]

    def _results(self) -> Iterator[StackResult]:
        for outcome in self.outcomes.values():
            yield from outcome.results


def utc_now() -> datetime:
    return datetime.now(UTC)


async def reconcile_all(
    records: RecordReader,
    results: ResultStore | None,
    *,
    runs: RunStore[RunRow] | None = None,
    run: Run | None = None,
    rules: Rules = RULES,
    clock: Clock = utc_now,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    wanted: Collection[str] = (),
    width: int = 4,
) -> Reconciled:
    reconciler = MarketReconciler(
        records=records, results=results, run=run or Run.named_by(clock()), rules=rules, clock=clock, sleep=sleep
    )
    listed: list[str] = []
    outcomes: dict[str, MarketOutcome] = {}
    progress = RunProgress(
        on_markets=listed.extend, on_outcome=lambda outcome: outcomes.update({outcome.market: outcome})
    )
    stores = RunStores(runs=runs, pins=MemoryPinStore()) if runs else None
    summary = await reconcile_estate(reconciler, kept_in=stores, wanted=wanted, width=width, progress=progress)
    assert sorted(outcomes) == listed
    return Reconciled(summary=summary, outcomes=outcomes)

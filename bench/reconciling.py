"""Runs the product on a benchmark's estate, through the adapters that it runs with in Azure."""

import time
from contextlib import suppress
from dataclasses import dataclass

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient as SyncTableServiceClient
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient

from adapters.azure_blobs import AzureBlobStore
from adapters.azure_pins import AzurePinStore
from adapters.azure_results import AzureResultStore
from adapters.azure_retries import BlobRetryPolicy, RetryLimits
from adapters.azure_runs import AzureRunStore
from adapters.clock import utc_now
from adapters.outcome_spool import OutcomeSpool
from adapters.record_reader import BlobRecordReader
from adapters.settings import Settings
from adapters.table_names import RESULTS_TABLE, RUNS_TABLE
from bench.estates import BenchEstate
from bench.requests import Account, Recording, RecordingTransport
from reconcile.market import MarketReconciler, Rules
from reconcile.render.html import render_html
from reconcile.run import RunProgress, RunStores, reconcile_estate
from records.report import Report, RunSummary
from records.results import Run
from records.runs import RunRow
from records.verdicts import Verdict

LIMITS = RetryLimits(total=3, backoff_seconds=0.8)


@dataclass(frozen=True, slots=True)
class Measured:
    """One reconciliation: how long it took, and what it sent."""

    seconds: float
    recording: Recording


async def reconcile(account: Account, estate: BenchEstate, *, save: bool = True) -> Measured:
    """Reconciles a whole estate and writes its report, as ``trueup reconcile --format html`` does.

    Without ``save`` it is the reading, comparing and reporting alone, as with ``--no-save``.
    """
    settings = Settings()
    recording = Recording()

    def connect(account_url: str | None) -> BlobServiceClient:
        return BlobServiceClient.from_connection_string(
            account.connection_string,
            retry_policy=BlobRetryPolicy(LIMITS),
            transport=RecordingTransport(recording, account),
        )

    blobs = AzureBlobStore(connect, allowed_host_suffixes=())
    tables = TableServiceClient.from_connection_string(
        account.connection_string, transport=RecordingTransport(recording, account)
    )
    stores = RunStores(runs=AzureRunStore(tables, table=RUNS_TABLE, row=RunRow), pins=AzurePinStore(tables))
    started = time.perf_counter()
    with OutcomeSpool() as spool:
        summary = await reconcile_estate(
            MarketReconciler(
                records=BlobRecordReader(blobs, estate.containers),
                results=AzureResultStore(tables) if save else None,
                run=Run.named_by(utc_now()),
                rules=Rules(
                    in_flight_minutes=settings.in_flight_minutes,
                    reread_delay_seconds=settings.reread_delay_seconds,
                    retention_days=settings.retention_days,
                ),
                clock=utc_now,
            ),
            kept_in=stores if save else None,
            wanted=[],
            width=settings.fan_out_width,
            progress=RunProgress(on_markets=lambda _: None, on_outcome=spool.add),
        )
        for _ in render_html(Report(summary=summary, results=spool)):
            pass
    seconds = time.perf_counter() - started
    await blobs.close()
    await tables.close()
    _check(summary, estate)
    return Measured(seconds, recording)


def clear_results(account: Account) -> None:
    """Empties the tables, so that a request that made a row makes it again."""
    with SyncTableServiceClient.from_connection_string(
        account.connection_string, connection_verify=account.certificate_file
    ) as service:
        for table in (RESULTS_TABLE, RUNS_TABLE):
            with suppress(ResourceNotFoundError):
                service.delete_table(table)
            service.create_table(table)


def _check(summary: RunSummary, estate: BenchEstate) -> None:
    if summary.counts != {Verdict.HEALTHY: estate.stacks} or summary.problems:
        raise RuntimeError(f"not what was seeded: {summary.counts}, {summary.problems[:1]}")

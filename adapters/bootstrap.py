"""Opens an estate: the adapters that fit where its records are, closed again at the end."""

import asyncio
import gc
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final, Generic, TypeVar

from azure.core.credentials_async import AsyncTokenCredential
from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import DefaultAzureCredential
from pydantic import SecretStr

from adapters import azure_blobs, azure_tables
from adapters.azure_blobs import AzureBlobStore
from adapters.azure_record_log import AzureRecordLog
from adapters.azure_reports import AzureReportStore
from adapters.azure_results import AzureResultStore
from adapters.azure_retries import RetryLimits
from adapters.azure_runs import AzureRunStore
from adapters.azure_work import AzureMarketWorkStore
from adapters.blob_store import BlobStore
from adapters.folder_blobs import FolderBlobStore
from adapters.folder_record_log import FolderRecordLog
from adapters.folder_runs import FolderRunStore
from adapters.folder_tables import FolderResultStore
from adapters.record_reader import BlobRecordReader, Containers
from adapters.record_writer import BlobRecordWriter
from adapters.settings import Settings
from records.errors import SettingsError
from records.ports import (
    MarketWorkStore,
    RecordLog,
    RecordReader,
    RecordWriter,
    ReportStore,
    ResultStore,
    RunStore,
    WorkStore,
)
from records.report import MarketOutcome
from records.runs import RunRow

Identity = Callable[[], AsyncTokenCredential]
"""Gives the one credential of a run, made only when something asks for it."""

_OBJECTS_BETWEEN_COLLECTIONS: Final = 10_000
_BLOB_HOST: Final = ".blob."
_TABLE_HOST: Final = ".table."


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """The open adapters of one estate."""

    records: RecordReader
    writer: RecordWriter
    log: RecordLog
    results: ResultStore
    runs: RunStore[RunRow]
    work: WorkStore[MarketOutcome] | None = None
    """Where runs that are spread over machines keep what they have to do; None on disk, where there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureAccess:
    """The open clients of an estate in Azure and the identity behind them, to open more stores with."""

    blobs: BlobStore
    tables: TableServiceClient
    identity: Identity
    limits: RetryLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureEstate(Estate):
    """With what only a run that is spread over many machines needs."""

    work: MarketWorkStore
    reports: ReportStore
    access: AzureAccess


Opened = TypeVar("Opened")


class OpenedOnce(Generic[Opened]):
    """What a process opens at its first use and keeps open: a Functions worker is not told when it ends."""

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[Opened]]) -> None:
        self._opening = opening
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._opened: list[Opened] = []

    async def __call__(self) -> Opened:
        async with self._lock:
            if not self._opened:
                self._opened.append(await self._stack.enter_async_context(self._opening()))
            return self._opened[0]

    async def close(self) -> None:
        """Closes it; the next use opens it anew."""
        self._opened.clear()
        await self._stack.aclose()


def utc_now() -> datetime:
    return datetime.now(UTC)


def spare_the_collector() -> None:
    """Has Python look for garbage less often: a request through the SDK makes some thousand objects, few of them cycles.

    Takes a tenth off a run's processor time for some 5 MB of memory (measured with ``make bench``).
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)


def discard_stdout() -> None:
    """After whoever reads the output has read enough of it: Python would try to flush the rest as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@asynccontextmanager
async def open_folder_estate(root: Path, settings: Settings, *, may_be_new: bool = False) -> AsyncIterator[Estate]:
    """An estate on disk; its results are kept beside it. One that ``may_be_new`` need not have any records yet.

    Raises:
        SettingsError: there is no such folder.
    """
    if not root.is_dir():  # noqa: ASYNC240 (once, before anything runs)
        raise SettingsError(f"--estate {root}: there is no such folder")
    containers = _containers(settings)
    written = (containers.registry, containers.trackers, containers.bundles)
    blobs = FolderBlobStore(root, made_by_writing=written if may_be_new else ())
    yield Estate(
        records=BlobRecordReader(blobs, containers),
        writer=BlobRecordWriter(blobs, containers),
        log=FolderRecordLog(root),
        results=FolderResultStore(root),
        runs=FolderRunStore(root, table=azure_tables.RUNS_TABLE, row=RunRow),
    )


@asynccontextmanager
async def open_azure_estate(settings: Settings) -> AsyncIterator[AzureEstate]:
    """An estate in Azure Storage, or in Azurite.

    Raises:
        SettingsError: the settings name no storage account.
    """
    limits = RetryLimits(total=settings.retry_total, backoff_seconds=settings.retry_backoff_seconds)
    async with AsyncExitStack() as stack:

        @cache
        def identity() -> AsyncTokenCredential:
            credential = DefaultAzureCredential()
            stack.push_async_callback(credential.close)
            return credential

        try:
            connect = _connect(settings, identity, limits)
            blobs = AzureBlobStore(connect, allowed_host_suffixes=settings.state_account_host_suffixes)
            stack.push_async_callback(blobs.close)
            account = connect(None)
            stack.push_async_callback(account.close)
            tables = _table_service(settings, identity, limits)
            stack.push_async_callback(tables.close)
        except ValueError:
            raise SettingsError(
                "a storage account's URL or connection string is malformed: see ESTATE_ACCOUNT_URL, "
                "ESTATE_CONNECTION_STRING and their RESULTS_ twins (docs/configuration.md)"
            ) from None
        containers = _containers(settings)
        yield AzureEstate(
            records=BlobRecordReader(blobs, containers, own_account_url=settings.estate_account_url),
            writer=BlobRecordWriter(blobs, containers),
            log=AzureRecordLog(tables),
            results=AzureResultStore(tables),
            runs=AzureRunStore(tables, table=azure_tables.RUNS_TABLE, row=RunRow),
            work=AzureMarketWorkStore(tables),
            reports=AzureReportStore(account, container=settings.reports_container),
            access=AzureAccess(blobs=blobs, tables=tables, identity=identity, limits=limits),
        )


def _connect(settings: Settings, identity: Identity, limits: RetryLimits) -> azure_blobs.Connect:
    if settings.estate_connection_string:
        return azure_blobs.connect_with_string(_revealed(settings.estate_connection_string), limits)
    if settings.estate_account_url:
        return azure_blobs.connect_with_identity(settings.estate_account_url, identity(), limits)
    raise SettingsError("no estate: pass --estate DIR, or set ESTATE_ACCOUNT_URL (docs/configuration.md)")


def _table_service(settings: Settings, identity: Identity, limits: RetryLimits) -> TableServiceClient:
    if settings.results_connection_string:
        return azure_tables.connect_with_string(_revealed(settings.results_connection_string), limits)
    if settings.results_account_url:
        return azure_tables.connect_with_identity(settings.results_account_url, identity(), limits)
    if settings.estate_connection_string:
        return azure_tables.connect_with_string(_revealed(settings.estate_connection_string), limits)
    blob_url = settings.estate_account_url or ""
    if _BLOB_HOST not in blob_url:
        raise SettingsError("set RESULTS_ACCOUNT_URL: it does not follow from ESTATE_ACCOUNT_URL")
    return azure_tables.connect_with_identity(blob_url.replace(_BLOB_HOST, _TABLE_HOST, 1), identity(), limits)


def _containers(settings: Settings) -> Containers:
    return Containers(
        registry=settings.registry_container,
        trackers=settings.trackers_container,
        states=settings.states_container,
        bundles=settings.bundles_container,
    )


def _revealed(secret: SecretStr) -> str:
    return secret.get_secret_value()

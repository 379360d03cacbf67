"""Opens an estate in Azure Storage, or in Azurite.

Apart from `adapters.bootstrap`, since Azure's clients take half a second to import, which an estate on disk should not pay.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache

from azure.core.credentials_async import AsyncTokenCredential
from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob.aio import BlobServiceClient
from pydantic import SecretStr

from adapters import azure_blobs, azure_tables
from adapters.azure_blobs import AzureBlobStore
from adapters.azure_pins import AzurePinStore
from adapters.azure_record_log import AzureRecordLog
from adapters.azure_reports import AzureReportStore
from adapters.azure_results import AzureResultStore
from adapters.azure_retries import RetryLimits
from adapters.azure_runs import AzureRunStore
from adapters.azure_work import AzureMarketWorkStore
from adapters.blob_store import BlobStore
from adapters.bootstrap import Estate, containers_of
from adapters.estate_account import StorageService, no_estate, url_of_service
from adapters.record_reader import BlobRecordReader
from adapters.record_writer import BlobRecordWriter
from adapters.settings import Settings
from adapters.table_names import RUNS_TABLE
from records.errors import SettingsError
from records.ports import (
    MarketWorkStore,
    ReportStore,
)
from records.runs import RunRow

Identity = Callable[[], AsyncTokenCredential]
"""Gives the one credential of a run, made only when something asks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureAccess:
    """The open clients of an estate in Azure and the identity behind them, to open more stores with.

    ``blobs`` are those of every account that a record may name, ``account`` is the estate's own.
    """

    blobs: BlobStore
    account: BlobServiceClient
    tables: TableServiceClient
    identity: Identity
    limits: RetryLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureEstate(Estate):
    """With what only a run that is spread over many machines needs."""

    work: MarketWorkStore
    reports: ReportStore
    access: AzureAccess


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
        containers = containers_of(settings)
        yield AzureEstate(
            records=BlobRecordReader(blobs, containers, own_account_url=settings.estate_account_url),
            writer=BlobRecordWriter(blobs, containers),
            log=AzureRecordLog(tables),
            results=AzureResultStore(tables),
            runs=AzureRunStore(tables, table=RUNS_TABLE, row=RunRow),
            pins=AzurePinStore(tables),
            work=AzureMarketWorkStore(tables),
            reports=AzureReportStore(account, container=settings.reports_container),
            access=AzureAccess(blobs=blobs, account=account, tables=tables, identity=identity, limits=limits),
        )


def _connect(settings: Settings, identity: Identity, limits: RetryLimits) -> azure_blobs.Connect:
    if settings.estate_connection_string:
        return azure_blobs.connect_with_string(_revealed(settings.estate_connection_string), limits)
    if settings.estate_account_url:
        return azure_blobs.connect_with_identity(settings.estate_account_url, identity(), limits)
    raise no_estate()


def _table_service(settings: Settings, identity: Identity, limits: RetryLimits) -> TableServiceClient:
    if settings.results_connection_string:
        return azure_tables.connect_with_string(_revealed(settings.results_connection_string), limits)
    if settings.results_account_url:
        return azure_tables.connect_with_identity(settings.results_account_url, identity(), limits)
    if settings.estate_connection_string:
        return azure_tables.connect_with_string(_revealed(settings.estate_connection_string), limits)
    url = url_of_service(
        settings.estate_account_url or "",
        of=StorageService.BLOB,
        wanted=StorageService.TABLE,
        setting="RESULTS_ACCOUNT_URL",
        follows_from="ESTATE_ACCOUNT_URL",
    )
    return azure_tables.connect_with_identity(url, identity(), limits)


def _revealed(secret: SecretStr) -> str:
    return secret.get_secret_value()

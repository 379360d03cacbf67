"""Opens an estate: the adapters that fit where its records are, closed again at the end."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from azure.identity.aio import DefaultAzureCredential
from pydantic import SecretStr

from adapters import azure_blobs, azure_tables
from adapters.azure_retries import RetryLimits
from adapters.azure_tables import AzureResultStore
from adapters.folder_blobs import FolderBlobStore
from adapters.folder_tables import FolderResultStore
from adapters.record_reader import BlobRecordReader, Containers
from adapters.settings import Settings
from records.errors import SettingsError
from records.ports import RecordReader, ResultStore

_BLOB_HOST: Final = ".blob."
_TABLE_HOST: Final = ".table."


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """The open adapters of one estate."""

    records: RecordReader
    results: ResultStore


def utc_now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def open_folder_estate(root: Path, settings: Settings) -> AsyncIterator[Estate]:
    """An estate on disk; its results are kept beside it.

    Raises:
        SettingsError: there is no such folder.
    """
    if not root.is_dir():  # noqa: ASYNC240 (once, before anything runs)
        raise SettingsError(f"--estate {root}: there is no such folder")
    records = BlobRecordReader(FolderBlobStore(root), _containers(settings))
    yield Estate(records=records, results=FolderResultStore(root))


@asynccontextmanager
async def open_azure_estate(settings: Settings) -> AsyncIterator[Estate]:
    """An estate in Azure Storage, or in Azurite; the tables are made where they are missing.

    Raises:
        SettingsError: the settings name no storage account.
        StoreError: the tables cannot be reached or made.
    """
    limits = RetryLimits(total=settings.retry_total, backoff_seconds=settings.retry_backoff_seconds)
    async with AsyncExitStack() as stack:
        credential = DefaultAzureCredential()
        stack.push_async_callback(credential.close)
        if settings.estate_connection_string:
            connect = azure_blobs.connect_with_string(_revealed(settings.estate_connection_string), limits)
        elif settings.estate_account_url:
            connect = azure_blobs.connect_with_identity(settings.estate_account_url, credential, limits)
        else:
            raise SettingsError("no estate: pass --estate DIR, or set ESTATE_ACCOUNT_URL (docs/configuration.md)")
        blobs = azure_blobs.AzureBlobStore(connect, allowed_host_suffixes=settings.state_account_host_suffixes)
        stack.push_async_callback(blobs.close)
        table_string = settings.results_connection_string or (
            None if settings.results_account_url else settings.estate_connection_string
        )
        if table_string:
            service = azure_tables.connect_with_string(_revealed(table_string), limits)
        else:
            service = azure_tables.connect_with_identity(_tables_url(settings), credential, limits)
        results = AzureResultStore(service)
        stack.push_async_callback(results.close)
        await results.prepare()
        yield Estate(records=BlobRecordReader(blobs, _containers(settings)), results=results)


def _tables_url(settings: Settings) -> str:
    if settings.results_account_url:
        return settings.results_account_url
    blob_url = settings.estate_account_url or ""
    if _BLOB_HOST not in blob_url:
        raise SettingsError("set RESULTS_ACCOUNT_URL: it does not follow from ESTATE_ACCOUNT_URL")
    return blob_url.replace(_BLOB_HOST, _TABLE_HOST, 1)


def _containers(settings: Settings) -> Containers:
    return Containers(
        registry=settings.registry_container,
        trackers=settings.trackers_container,
        states=settings.states_container,
    )


def _revealed(secret: SecretStr) -> str:
    return secret.get_secret_value()

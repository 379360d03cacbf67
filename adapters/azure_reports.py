"""Reports as blobs: what people open and programs fetch."""

import asyncio
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import IO, Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContentSettings
from azure.storage.blob.aio import BlobClient, BlobServiceClient

from adapters.azure_errors import service_code, translated
from records.errors import StoreUnavailableError
from records.timestamps import format_utc, parse_utc

_STARTED_AT: Final = "run_started_at"
_ATTEMPTS: Final = 5
_CONTAINER_MISSING: Final = "ContainerNotFound"
_WRITTEN_BY_ANOTHER_RUN: Final = {"ConditionNotMet", "BlobAlreadyExists", "InvalidBlockList"}
"""The last where another's commit discarded the blocks of ours."""


class AzureReportStore:
    """A `ReportStore` in one container, which the first report makes."""

    def __init__(self, service: BlobServiceClient, *, container: str) -> None:
        self._container = service.get_container_client(container)

    async def save_report(
        self, *, names: Sequence[str], chunks: Iterable[str], media_type: str, started_at: datetime
    ) -> None:
        with tempfile.TemporaryFile() as file:
            await asyncio.to_thread(_write, file, chunks)
            for name in names:
                with translated(f"{self._container.container_name}/{name}"):
                    await self._put(name, file, media_type, started_at)

    async def _put(self, name: str, file: IO[bytes], media_type: str, started_at: datetime) -> None:
        blob = self._container.get_blob_client(name)
        for _ in range(_ATTEMPTS):
            etag, present = await _present(blob)
            if present and present > started_at:
                return
            unchanged: dict[str, Any] = (
                {"overwrite": True, "etag": etag, "match_condition": MatchConditions.IfNotModified} if etag else {}
            )
            file.seek(0)
            try:
                await blob.upload_blob(
                    file,
                    **unchanged,
                    metadata={_STARTED_AT: format_utc(started_at)},
                    content_settings=ContentSettings(content_type=media_type, cache_control="no-cache"),
                )
                return
            except HttpResponseError as error:
                if service_code(error) == _CONTAINER_MISSING:
                    with suppress(ResourceExistsError):
                        await self._container.create_container()
                elif service_code(error) not in _WRITTEN_BY_ANOTHER_RUN:
                    raise
        raise StoreUnavailableError(f"{self._container.container_name}/{name}", "other runs kept writing it")


async def _present(blob: BlobClient) -> tuple[str | None, datetime | None]:
    """The ETag of the report that is there, and when its run started; None for both where there is none."""
    try:
        properties = await blob.get_blob_properties()
    except ResourceNotFoundError:
        return None, None
    try:
        return properties.etag, parse_utc((properties.metadata or {}).get(_STARTED_AT, ""))
    except ValueError:
        return properties.etag, None


def _write(file: IO[bytes], chunks: Iterable[str]) -> None:
    for chunk in chunks:
        file.write(chunk.encode())

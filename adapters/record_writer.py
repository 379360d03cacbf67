"""Writes trackers, registry records and bundles to a blob store."""

import hashlib
from typing import Final

from adapters.blob_store import BlobPlace, BlobStore
from adapters.record_reader import RECORD_MAX_BYTES, Containers
from records.errors import BlobMissingError, RefusedWriteError
from records.json_writing import to_bytes
from records.names import registry_blob, tracker_blob
from records.registry import RegistryRecord
from records.tracker import TrackerRecord

_JSON: Final = "application/json"
_ZIP: Final = "application/zip"


class BlobRecordWriter:
    """A `RecordWriter` over any `BlobStore`. The containers must be there, where the store has any."""

    def __init__(self, blobs: BlobStore, containers: Containers) -> None:
        self._blobs = blobs
        self._containers = containers

    async def write_tracker(self, *, record: TrackerRecord, replaces: str | None) -> str:
        place = self._tracker_place(record.market, record.stack)
        return await self._blobs.write(place, to_bytes(record), replaces=replaces, media_type=_JSON)

    async def write_registry(self, *, record: RegistryRecord, replaces: str | None) -> str:
        place = BlobPlace(container=self._containers.registry, name=registry_blob(record.market))
        content = to_bytes(record)
        if len(content) > RECORD_MAX_BYTES:
            raise RefusedWriteError(
                f"{place}: it would be {len(content):,} bytes, and {RECORD_MAX_BYTES:,} is the most that is read. "
                "Divide the market."
            )
        return await self._blobs.write(place, content, replaces=replaces, media_type=_JSON)

    async def write_bundle(self, *, blob: str, content: bytes) -> None:
        place = BlobPlace(container=self._containers.bundles, name=blob)
        try:
            there = (await self._blobs.read(place, length_bytes=1)).facts
        except BlobMissingError:
            await self._blobs.write(place, content, replaces=None, media_type=_ZIP)
            return
        if there.size_bytes != len(content) or there.content_md5 != _md5(content):
            # What is there is not what its name says, so it is wrong whatever it is: cut off, or tampered with.
            await self._blobs.write(place, content, replaces=there.etag, media_type=_ZIP)

    async def tracker_text(self, *, market: str, stack: str) -> str:
        part = await self._blobs.read(self._tracker_place(market, stack), length_bytes=RECORD_MAX_BYTES)
        return part.content.decode(errors="backslashreplace")

    def _tracker_place(self, market: str, stack: str) -> BlobPlace:
        return BlobPlace(container=self._containers.trackers, name=tracker_blob(market, stack))


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()

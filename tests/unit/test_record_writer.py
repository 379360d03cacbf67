"""Records and bundles go where their names say, in the form that they are read in, and over nothing unseen."""

import hashlib
from typing import Any, Final

import pytest

from adapters.blob_store import BlobPlace
from adapters.record_reader import RECORD_MAX_BYTES, BlobRecordReader, Containers
from adapters.record_writer import BlobRecordWriter
from records.bundles import bundle_blob
from records.errors import AccessDeniedError, BlobChangedError, BlobMissingError, ContainerMissingError
from records.readings import Present
from records.registry import RegistryRecord, parse_registry
from records.tracker import TrackerRecord, parse_tracker
from tests.estates import entry, registry_bytes, tracker_bytes
from tests.fakes import MemoryBlobStore

CONTAINERS: Final = Containers(registry="r", trackers="t", states="s", bundles="b")
TRACKER: Final = BlobPlace(container="t", name="de/network.json")
REGISTRY: Final = BlobPlace(container="r", name="de/subscription.json")
ZIP: Final = b"PK\x03\x04 the root module"
BUNDLE: Final = BlobPlace(container="b", name=bundle_blob("de", "network", hashlib.sha256(ZIP).hexdigest()))


@pytest.fixture
def blobs() -> MemoryBlobStore:
    return MemoryBlobStore("r", "t", "s", "b")


@pytest.fixture
def writer(blobs: MemoryBlobStore) -> BlobRecordWriter:
    return BlobRecordWriter(blobs, CONTAINERS)


def tracker(**changes: Any) -> TrackerRecord:
    return parse_tracker(tracker_bytes("de", "network", **changes), market="de", stack="network", subscription_id=None)


def registry(**changes: Any) -> RegistryRecord:
    return parse_registry(registry_bytes("de", {"network": entry("de", "network")}, **changes), market="de")


async def content(blobs: MemoryBlobStore, place: BlobPlace) -> bytes:
    return (await blobs.read(place, length_bytes=10_000)).content


class TestRecords:
    async def test_what_is_written_is_read_again_with_what_this_version_does_not_know(
        self, blobs: MemoryBlobStore, writer: BlobRecordWriter
    ) -> None:
        reader = BlobRecordReader(blobs, CONTAINERS)
        etag = await writer.write_tracker(record=tracker(of_later="ü"), replaces=None)
        read = await reader.tracker(market="de", stack="network", subscription_id=None)
        assert isinstance(read, Present)
        assert (read.record, read.blob.etag) == (tracker(of_later="ü"), etag)
        etag = await writer.write_registry(record=registry(cost_centre=7), replaces=None)
        found = await reader.registry(market="de")
        assert isinstance(found, Present)
        assert (found.record, found.blob.etag) == (registry(cost_centre=7), etag)

    async def test_each_is_json_where_its_name_says(self, blobs: MemoryBlobStore, writer: BlobRecordWriter) -> None:
        await writer.write_tracker(record=tracker(), replaces=None)
        await writer.write_registry(record=registry(), replaces=None)
        assert blobs.writes == [(TRACKER, "application/json"), (REGISTRY, "application/json")]
        assert (await content(blobs, TRACKER)).startswith(b'{\n  "schema_version": 1,\n')

    async def test_one_that_changed_since_it_was_read_stays_as_it_is(
        self, blobs: MemoryBlobStore, writer: BlobRecordWriter
    ) -> None:
        seen = await writer.write_registry(record=registry(), replaces=None)
        blobs.put(REGISTRY, b"another's")
        for replaces in (None, seen):
            with pytest.raises(BlobChangedError, match=str(REGISTRY)):
                await writer.write_registry(record=registry(owner="x"), replaces=replaces)
        assert await content(blobs, REGISTRY) == b"another's"

    async def test_one_is_replaced_under_its_etag(self, blobs: MemoryBlobStore, writer: BlobRecordWriter) -> None:
        seen = await writer.write_tracker(record=tracker(), replaces=None)
        await writer.write_tracker(record=tracker(serial=43), replaces=seen)
        assert b'"serial": 43' in await content(blobs, TRACKER)


class TestBundles:
    async def test_one_is_a_zip_under_its_hash(self, blobs: MemoryBlobStore, writer: BlobRecordWriter) -> None:
        await writer.write_bundle(blob=BUNDLE.name, content=ZIP)
        assert await content(blobs, BUNDLE) == ZIP
        assert blobs.writes == [(BUNDLE, "application/zip")]

    async def test_one_that_is_there_already_is_left_alone(
        self, blobs: MemoryBlobStore, writer: BlobRecordWriter
    ) -> None:
        await writer.write_bundle(blob=BUNDLE.name, content=ZIP)
        await writer.write_bundle(blob=BUNDLE.name, content=ZIP)
        assert len(blobs.writes) == 1

    @pytest.mark.parametrize("wrong", [ZIP[:-1], b"", b"tampered with"], ids=["cut off", "empty", "another's"])
    async def test_what_is_there_under_its_name_and_is_not_it_is_replaced(
        self, blobs: MemoryBlobStore, writer: BlobRecordWriter, wrong: bytes
    ) -> None:
        blobs.put(BUNDLE, wrong)
        await writer.write_bundle(blob=BUNDLE.name, content=ZIP)
        assert await content(blobs, BUNDLE) == ZIP

    async def test_one_that_another_mends_in_between_is_there(
        self, blobs: MemoryBlobStore, writer: BlobRecordWriter
    ) -> None:
        blobs.put(BUNDLE, b"wrong")
        asked: list[BlobPlace] = []

        def mend(place: BlobPlace) -> None:
            asked.append(place)
            if len(asked) == 1:
                blobs.put(BUNDLE, ZIP)

        blobs.before_write = mend
        await writer.write_bundle(blob=BUNDLE.name, content=ZIP)
        assert (await content(blobs, BUNDLE), blobs.writes) == (ZIP, [])

    async def test_one_that_keeps_being_another_s_is_an_error(
        self, blobs: MemoryBlobStore, writer: BlobRecordWriter
    ) -> None:
        blobs.put(BUNDLE, b"wrong")
        blobs.before_write = lambda place: blobs.put(place, b"wrong again")
        with pytest.raises(BlobChangedError):
            await writer.write_bundle(blob=BUNDLE.name, content=ZIP)

    async def test_a_container_that_is_not_there_is_not_made(self, writer: BlobRecordWriter) -> None:
        without = BlobRecordWriter(MemoryBlobStore("r", "t", "s"), CONTAINERS)
        with pytest.raises(ContainerMissingError):
            await without.write_bundle(blob=BUNDLE.name, content=ZIP)

    async def test_a_refusal_is_told(self, blobs: MemoryBlobStore, writer: BlobRecordWriter) -> None:
        blobs.refuse("b", AccessDeniedError("b", "403"), writes=True)
        with pytest.raises(AccessDeniedError):
            await writer.write_bundle(blob=BUNDLE.name, content=ZIP)


class TestATrackersText:
    @pytest.mark.parametrize(
        ("stored", "expected"),
        [
            pytest.param(tracker_bytes("de", "network"), tracker_bytes("de", "network").decode(), id="JSON"),
            pytest.param(b'{"schema_version": 1, ', '{"schema_version": 1, ', id="cut off"),
            pytest.param(b"", "", id="empty"),
            pytest.param("ü\r\n".encode(), "ü\r\n", id="UTF-8"),
            pytest.param(b"\xffabc\xc3", "\\xffabc\\xc3", id="no UTF-8"),
        ],
    )
    async def test_is_as_it_is(
        self, blobs: MemoryBlobStore, writer: BlobRecordWriter, stored: bytes, expected: str
    ) -> None:
        blobs.put(TRACKER, stored)
        assert await writer.tracker_text(market="de", stack="network") == expected

    async def test_is_no_longer_than_a_record_may_be(self, blobs: MemoryBlobStore, writer: BlobRecordWriter) -> None:
        blobs.put(TRACKER, b"x" * (RECORD_MAX_BYTES + 1))
        assert len(await writer.tracker_text(market="de", stack="network")) == RECORD_MAX_BYTES

    async def test_of_one_that_is_not_there_is_missing(self, writer: BlobRecordWriter) -> None:
        with pytest.raises(BlobMissingError):
            await writer.tracker_text(market="de", stack="network")

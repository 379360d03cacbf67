"""What every blob store promises: the one in memory, the folder, and Azure Storage in its emulator."""

import asyncio
import base64
import hashlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobLeaseClient, BlobServiceClient
from azure.storage.blob.aio import BlobClient
from filelock import FileLock

from adapters import folder_writing
from adapters.azure_blobs import AzureBlobStore, connect_with_string
from adapters.azure_retries import RetryLimits
from adapters.blob_store import BlobPart, BlobPlace, BlobStore
from adapters.folder_blobs import FolderBlobStore
from records.errors import (
    AccessDeniedError,
    BlobChangedError,
    BlobMissingError,
    ContainerMissingError,
    StoreError,
    StoreUnavailableError,
)
from records.locks import LOCK_METADATA_KEY, UNREADABLE_LOCK, Lock
from tests.fakes import MemoryBlobStore

ROOT: Final = Path(__file__).parents[2]
STATE: Final = "de/network.tfstate"
RECORD: Final = "de/network.json"
JSON: Final = "application/json"
ODD_NAMES: Final = ["de/a b.json", "de/ü.json", "de/100%.json", "de/a+b.json", "de/a?b=c#d.json", "a..b/c.json"]
WRITERS: Final = 20
CONTENT: Final = bytes(range(256)) * 20
LOCKED_AT: Final = datetime(2026, 11, 24, 5, 12, 30, 123456, tzinfo=UTC)
LOCK_INFO: Final = {
    "ID": "0d9f3d1c-8c8e-1f0e-6a51-2f9d6f7a4f10",
    "Operation": "OperationTypeApply",
    "Info": "",
    "Who": "alice@laptop",
    "Version": "1.11.4",
    "Created": "2026-11-24T05:12:30.123456789Z",
    "Path": "tfstate/de/network.tfstate",
}
LOCK: Final = Lock(id=LOCK_INFO["ID"], operation="OperationTypeApply", who="alice@laptop", created_at=LOCKED_AT)


class World(Protocol):
    """A store, its one container, and what others do to it."""

    @property
    def store(self) -> BlobStore: ...

    @property
    def container(self) -> str: ...

    def put(self, name: str, content: bytes) -> None: ...

    def lock(self, name: str, info: bytes) -> None:
        """As Terraform does: ``info`` is the JSON that says who holds it."""

    def unlock(self, name: str) -> None:
        """As a lock that was broken: the lease is gone, and what is written of it may be left."""

    def snapshot(self, name: str) -> None: ...

    def delete(self, name: str) -> None: ...


class InMemory:
    container = "tfstate"

    def __init__(self) -> None:
        self.store = MemoryBlobStore(self.container)

    def put(self, name: str, content: bytes) -> None:
        self.store.put(self._place(name), content)

    def lock(self, name: str, info: bytes) -> None:
        self.store.lease(self._place(name))
        self.store.set_metadata(self._place(name), _metadata(info))

    def unlock(self, name: str) -> None:
        self.store.release(self._place(name))

    def snapshot(self, name: str) -> None:
        self.store.snapshot(self._place(name))

    def delete(self, name: str) -> None:
        self.store.delete(self._place(name))

    def _place(self, name: str) -> BlobPlace:
        return BlobPlace(container=self.container, name=name)


class InFolder:
    container = "tfstate"

    def __init__(self, root: Path) -> None:
        self.store = FolderBlobStore(root)
        self._folder = root / self.container
        self._folder.mkdir()
        (root / "accounts" / "marketfr.blob.core.windows.net").mkdir(parents=True)

    def put(self, name: str, content: bytes) -> None:
        file = self._folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def lock(self, name: str, info: bytes) -> None:
        self._lock_info(name).write_bytes(info)

    def unlock(self, name: str) -> None:
        self._lock_info(name).unlink()

    def snapshot(self, name: str) -> None:
        taken_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.put(f".snapshots/{name}@{taken_at}", (self._folder / name).read_bytes())

    def delete(self, name: str) -> None:
        (self._folder / name).unlink()

    def _lock_info(self, name: str) -> Path:
        file = self._folder / name
        return file.with_name(f".{file.name}.lock.info")


class InAzurite:
    def __init__(self, service: BlobServiceClient, store: AzureBlobStore) -> None:
        self.container = f"tfstate-{uuid.uuid4()}"
        self.store = store
        self._client = service.create_container(self.container)

    def put(self, name: str, content: bytes) -> None:
        self._client.upload_blob(name, content, overwrite=True)

    def lock(self, name: str, info: bytes) -> None:
        blob = self._client.get_blob_client(name)
        lease = blob.acquire_lease(lease_duration=-1)
        blob.set_blob_metadata(_metadata(info), lease=lease)

    def unlock(self, name: str) -> None:
        BlobLeaseClient(self._client.get_blob_client(name)).break_lease(lease_break_period=0)

    def snapshot(self, name: str) -> None:
        self._client.get_blob_client(name).create_snapshot()

    def delete(self, name: str) -> None:
        self._client.delete_blob(name)


BACKENDS: Final = [
    pytest.param("memory"),
    pytest.param("folder"),
    pytest.param("azurite", marks=pytest.mark.azurite),
]


@pytest.fixture(params=BACKENDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    match request.param:
        case "memory":
            yield InMemory()
        case "folder":
            yield InFolder(tmp_path)
        case _:
            connection_string = request.getfixturevalue("azurite").connection_string
            limits = RetryLimits(total=1, backoff_seconds=0.02)
            store = AzureBlobStore(connect_with_string(connection_string, limits), allowed_host_suffixes=())
            with BlobServiceClient.from_connection_string(connection_string) as service:
                yield InAzurite(service, store)
            await store.close()


async def read(world: World, name: str = STATE, **options: Any) -> BlobPart:
    place = BlobPlace(container=world.container, name=name)
    return await world.store.read(place, **{"length_bytes": 1_000_000} | options)


async def names(world: World, prefix: str = "") -> list[str]:
    return [name async for name in world.store.names(container=world.container, prefix=prefix)]


class TestNames:
    async def test_blobs_are_named_in_the_order_of_their_characters(self, world: World) -> None:
        unordered = ["fr/a.json", "de/b.json", "de-2/a.json", "de/a.json", "de.json", "emea/fr/a.json", "0/a.json"]
        for name in unordered:
            world.put(name, b"x")
        assert await names(world) == sorted(unordered)

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            pytest.param("de/", ["de/a.json", "de/b/c.json"], id="a folder, with what is below it"),
            pytest.param("de", ["de-2/a.json", "de/a.json", "de/b/c.json"], id="a beginning of names"),
            pytest.param("de/a.json", ["de/a.json"], id="a whole name"),
            pytest.param("a.json", [], id="an end of names"),
            pytest.param("D", [], id="another case"),
            pytest.param("de/b/c.json/", [], id="a blob as a folder"),
        ],
    )
    async def test_a_prefix_is_the_beginning_of_a_name(self, world: World, prefix: str, expected: list[str]) -> None:
        for name in ("de/a.json", "de/b/c.json", "de-2/a.json", "emea/de/a.json"):
            world.put(name, b"x")
        assert await names(world, prefix) == expected

    async def test_a_container_without_blobs_has_no_names(self, world: World) -> None:
        assert await names(world) == []

    async def test_locks_and_snapshots_are_no_blobs(self, world: World) -> None:
        world.put(STATE, CONTENT)
        world.snapshot(STATE)
        world.lock(STATE, json.dumps(LOCK_INFO).encode())
        assert await names(world) == [STATE]


class TestAbsence:
    async def test_a_blob_that_is_not_there_is_missing(self, world: World) -> None:
        world.put("de/other.tfstate", CONTENT)
        with pytest.raises(BlobMissingError, match=STATE):
            await read(world)

    async def test_a_folder_of_blobs_is_no_blob(self, world: World) -> None:
        world.put(STATE, CONTENT)
        with pytest.raises(BlobMissingError):
            await read(world, "de")

    async def test_a_blob_in_a_container_that_is_not_there_is_not_called_missing(self, world: World) -> None:
        place = BlobPlace(container="no-such-container", name=STATE)
        with pytest.raises(ContainerMissingError, match="no-such-container"):
            await world.store.read(place, length_bytes=100)

    async def test_the_names_in_a_container_that_is_not_there_are_not_none(self, world: World) -> None:
        with pytest.raises(ContainerMissingError, match="no-such-container"):
            _ = [name async for name in world.store.names(container="no-such-container")]

    async def test_the_sightings_in_a_container_that_is_not_there_are_not_none(self, world: World) -> None:
        with pytest.raises(ContainerMissingError, match="no-such-container"):
            await world.store.sightings(BlobPlace(container="no-such-container", name=STATE))

    async def test_a_blob_of_0_bytes_is_there_and_has_facts(self, world: World) -> None:
        world.put(STATE, b"")
        part = await read(world)
        assert (part.content, part.facts.size_bytes, part.facts.name) == (b"", 0, STATE)
        assert part.facts.content_md5 == md5(b"")

    async def test_a_blob_of_0_bytes_says_who_locked_it(self, world: World) -> None:
        world.put(STATE, b"")
        world.lock(STATE, json.dumps(LOCK_INFO).encode())
        assert (await read(world)).facts.lock == LOCK


class TestRanges:
    @pytest.mark.parametrize(
        ("start_byte", "length_bytes"),
        [
            pytest.param(0, 1, id="the first byte"),
            pytest.param(0, 2048, id="a beginning"),
            pytest.param(0, len(CONTENT), id="exactly the whole"),
            pytest.param(0, 1_000_000, id="more than there is"),
            pytest.param(1000, 2048, id="a middle"),
            pytest.param(len(CONTENT) - 1, 1, id="the last byte"),
            pytest.param(len(CONTENT) - 10, 2048, id="over the end"),
        ],
    )
    async def test_a_range_has_its_bytes_and_the_facts_of_the_whole_blob(
        self, world: World, start_byte: int, length_bytes: int
    ) -> None:
        world.put(STATE, CONTENT)
        part = await read(world, start_byte=start_byte, length_bytes=length_bytes)
        whole = (await read(world)).facts
        assert part.content == CONTENT[start_byte : start_byte + length_bytes]
        assert (part.facts.size_bytes, part.facts.etag, part.facts.last_modified) == (
            len(CONTENT),
            whole.etag,
            whole.last_modified,
        )

    @pytest.mark.parametrize("length_bytes", [1, 2048, 1_000_000])
    async def test_the_md5_of_a_blob_s_beginning_is_that_of_the_whole_blob(
        self, world: World, length_bytes: int
    ) -> None:
        world.put(STATE, CONTENT)
        assert (await read(world, length_bytes=length_bytes)).facts.content_md5 == md5(CONTENT)

    async def test_a_later_range_never_claims_its_own_md5(self, world: World) -> None:
        world.put(STATE, CONTENT)
        part = await read(world, start_byte=2048, length_bytes=100)
        assert part.facts.content_md5 in {None, md5(CONTENT)}

    async def test_last_modified_is_when_it_was_written_in_utc(self, world: World) -> None:
        world.put(STATE, CONTENT)
        modified_at = (await read(world)).facts.last_modified
        assert modified_at.utcoffset() == timedelta(0)
        if not isinstance(world, InMemory):
            assert abs(modified_at - datetime.now(UTC)) < timedelta(seconds=5)


class TestChange:
    async def test_an_unchanged_blob_can_be_read_on(self, world: World) -> None:
        world.put(STATE, CONTENT)
        first = await read(world, length_bytes=100)
        rest = await read(world, start_byte=100, if_match=first.facts.etag)
        assert first.content + rest.content == CONTENT

    @pytest.mark.parametrize("start_byte", [0, 100])
    async def test_a_blob_that_was_written_in_between_is_refused(self, world: World, start_byte: int) -> None:
        world.put(STATE, CONTENT)
        first = await read(world, length_bytes=100)
        world.put(STATE, CONTENT + b"more")
        with pytest.raises(BlobChangedError, match=STATE):
            await read(world, start_byte=start_byte, if_match=first.facts.etag)

    async def test_a_write_changes_the_etag_and_the_md5(self, world: World) -> None:
        world.put(STATE, CONTENT)
        before = (await read(world)).facts
        world.put(STATE, CONTENT[::-1])
        after = (await read(world)).facts
        assert after.etag != before.etag
        assert (before.content_md5, after.content_md5) == (md5(CONTENT), md5(CONTENT[::-1]))

    async def test_a_lock_leaves_the_content_and_its_md5(self, world: World) -> None:
        world.put(STATE, CONTENT)
        world.lock(STATE, json.dumps(LOCK_INFO).encode())
        part = await read(world)
        assert (part.content, part.facts.content_md5) == (CONTENT, md5(CONTENT))


class TestLocks:
    async def test_a_locked_state_says_who_since_when_and_for_what(self, world: World) -> None:
        world.put(STATE, CONTENT)
        world.lock(STATE, json.dumps(LOCK_INFO).encode())
        assert (await read(world, length_bytes=10)).facts.lock == LOCK

    async def test_a_state_that_nobody_holds_has_no_lock(self, world: World) -> None:
        world.put(STATE, CONTENT)
        assert (await read(world)).facts.lock is None

    async def test_a_lock_that_was_broken_is_none(self, world: World) -> None:
        world.put(STATE, CONTENT)
        world.lock(STATE, json.dumps(LOCK_INFO).encode())
        world.unlock(STATE)
        assert (await read(world)).facts.lock is None

    @pytest.mark.parametrize(
        "info",
        [
            pytest.param(b"", id="0 bytes"),
            pytest.param(b'{"ID": "0d9f', id="truncated"),
            pytest.param(b'["ID"]', id="no object"),
            pytest.param(b'{"Created": "yesterday"}', id="no time"),
        ],
    )
    async def test_a_lock_that_does_not_say_whose_is_still_a_lock(self, world: World, info: bytes) -> None:
        world.put(STATE, CONTENT)
        world.lock(STATE, info)
        assert (await read(world)).facts.lock == UNREADABLE_LOCK

    async def test_a_lock_is_that_of_its_own_state(self, world: World) -> None:
        for name in (STATE, "de/app.tfstate", "fr/network.tfstate", f"{STATE}env:dev"):
            world.put(name, CONTENT)
        world.lock(STATE, json.dumps(LOCK_INFO).encode())
        for name in ("de/app.tfstate", "fr/network.tfstate", f"{STATE}env:dev"):
            assert (await read(world, name)).facts.lock is None


class TestSightings:
    async def test_each_snapshot_is_a_sighting_of_the_content_it_was_taken_of(self, world: World) -> None:
        world.put(STATE, b"first")
        world.snapshot(STATE)
        world.put(STATE, b"second")
        found = {sighting.content_md5: sighting.at for sighting in await self.sightings(world)}
        assert md5(b"first") in found
        assert found.keys() <= {md5(b"first"), md5(b"second")}
        assert all(at.utcoffset() == timedelta(0) for at in found.values())

    async def test_a_blob_without_snapshots_was_never_sighted_earlier(self, world: World) -> None:
        world.put(STATE, CONTENT)
        now = (await read(world)).facts.last_modified
        assert {sighting.at for sighting in await self.sightings(world)} <= {now}

    async def test_a_snapshot_of_a_blob_whose_name_goes_on_is_not_this_one_s(self, world: World) -> None:
        longer = (f"{STATE}env:dev", f"{STATE}.old", f"{STATE}@2026-11-20T05:12:00Z")
        for name in longer:
            world.put(name, name.encode())
            world.snapshot(name)
        world.put(STATE, b"this one")
        world.snapshot(STATE)
        assert {sighting.content_md5 for sighting in await self.sightings(world)} == {md5(b"this one")}
        for name in longer:
            assert {sighting.content_md5 for sighting in await self.sightings(world, name)} == {md5(name.encode())}

    async def test_a_blob_that_is_not_there_was_never_sighted(self, world: World) -> None:
        world.put(f"{STATE}env:dev", CONTENT)
        world.snapshot(f"{STATE}env:dev")
        assert await self.sightings(world) == ()

    async def sightings(self, world: World, name: str = STATE) -> tuple[Any, ...]:
        return await world.store.sightings(BlobPlace(container=world.container, name=name))


async def write(world: World, content: bytes, *, replaces: str | None = None, name: str = RECORD) -> str:
    place = BlobPlace(container=world.container, name=name)
    return await world.store.write(place, content, replaces=replaces, media_type=JSON)


SIZES: Final = [
    pytest.param(0, id="0 bytes"),
    pytest.param(1000, id="1000 bytes"),
    pytest.param(2**20, id="1 MiB"),
    pytest.param(2**20 + 1, id="a byte more than 1 MiB"),
    pytest.param(9 * 2**20 + 5, id="9 MiB"),
]


def sized(size_bytes: int, *, seed: bytes = b"trueup") -> bytes:
    return (seed * (1 + size_bytes // len(seed)))[:size_bytes]


class TestWriting:
    @pytest.mark.parametrize("size_bytes", SIZES)
    async def test_a_new_blob_is_whole_and_has_the_etag_and_md5_that_a_read_gives(
        self, world: World, size_bytes: int
    ) -> None:
        content = sized(size_bytes)
        etag = await write(world, content)
        part = await read(world, RECORD, length_bytes=size_bytes + 10)
        assert part.content == content
        assert (part.facts.etag, part.facts.content_md5, part.facts.lock) == (etag, md5(content), None)
        assert await names(world) == [RECORD]

    @pytest.mark.parametrize("size_bytes", SIZES)
    async def test_a_blob_is_replaced_under_its_etag(self, world: World, size_bytes: int) -> None:
        world.put(RECORD, b"first")
        before = (await read(world, RECORD)).facts.etag
        content = sized(size_bytes)
        etag = await write(world, content, replaces=before)
        part = await read(world, RECORD, length_bytes=size_bytes + 10)
        assert (part.content, part.facts.etag) == (content, etag)
        assert etag != before

    @pytest.mark.parametrize("size_bytes", SIZES[1:])
    async def test_a_blob_that_changed_since_it_was_read_stays_as_it_is(self, world: World, size_bytes: int) -> None:
        world.put(RECORD, b"first")
        before = (await read(world, RECORD)).facts.etag
        world.put(RECORD, b"another's")
        with pytest.raises(BlobChangedError, match=RECORD):
            await write(world, sized(size_bytes), replaces=before)
        assert (await read(world, RECORD)).content == b"another's"

    @pytest.mark.parametrize("size_bytes", SIZES[1:])
    async def test_a_blob_that_is_there_already_stays_as_it_is(self, world: World, size_bytes: int) -> None:
        world.put(RECORD, b"another's")
        with pytest.raises(BlobChangedError, match=RECORD):
            await write(world, sized(size_bytes))
        assert (await read(world, RECORD)).content == b"another's"

    @pytest.mark.parametrize("size_bytes", SIZES)
    async def test_a_blob_that_is_gone_is_not_made_again(self, world: World, size_bytes: int) -> None:
        world.put(RECORD, b"first")
        before = (await read(world, RECORD)).facts.etag
        world.delete(RECORD)
        with pytest.raises(BlobChangedError, match=RECORD):
            await write(world, sized(size_bytes), replaces=before)
        assert await names(world) == []

    async def test_a_blob_that_never_was_cannot_be_replaced(self, world: World) -> None:
        with pytest.raises(BlobChangedError, match=RECORD):
            await write(world, b"{}", replaces='"0x8DE2C1B5F3A1B20"')
        assert await names(world) == []

    @pytest.mark.parametrize("size_bytes", SIZES)
    async def test_the_same_write_again_is_one_write(self, world: World, size_bytes: int) -> None:
        content = sized(size_bytes)
        created = await write(world, content)
        assert await write(world, content) == created
        replaced = await write(world, content + b"more", replaces=created)
        assert await write(world, content + b"more", replaces=created) == replaced
        assert (await read(world, RECORD)).facts.etag == replaced

    async def test_what_differs_in_its_last_byte_is_another_content(self, world: World) -> None:
        content = sized(9 * 2**20)
        await write(world, content)
        with pytest.raises(BlobChangedError):
            await write(world, content[:-1] + b"!")
        with pytest.raises(BlobChangedError):
            await write(world, content[:-1])

    async def test_no_two_writes_have_one_etag_however_fast_they_follow(self, world: World) -> None:
        etags: list[str] = []
        for number in range(50):
            etags.append(await write(world, b"%02d" % number, replaces=etags[-1] if etags else None))
        assert len(set(etags)) == 50
        with pytest.raises(BlobChangedError):
            await write(world, b"xx", replaces=etags[0])

    @pytest.mark.parametrize("name", [*ODD_NAMES, "emea/fr/a/b/c.json", f"de/{'x' * 200}.json"])
    async def test_a_name_is_taken_as_it_is(self, world: World, name: str) -> None:
        etag = await write(world, b"first", name=name)
        await write(world, b"second", replaces=etag, name=name)
        assert await names(world) == [name]
        assert (await read(world, name)).content == b"second"

    async def test_another_blob_is_left_alone(self, world: World) -> None:
        world.put("de/app.json", b"app")
        world.put("de/network.json.old", b"old")
        await write(world, b"{}")
        assert await names(world) == ["de/app.json", RECORD, "de/network.json.old"]
        assert (await read(world, "de/app.json")).content == b"app"

    async def test_snapshots_outlive_a_write(self, world: World) -> None:
        world.put(STATE, b"first")
        world.snapshot(STATE)
        await write(world, b"second", replaces=(await read(world)).facts.etag, name=STATE)
        found = await world.store.sightings(BlobPlace(container=world.container, name=STATE))
        assert md5(b"first") in {sighting.content_md5 for sighting in found}

    async def test_a_container_that_is_not_there_is_only_made_on_disk(self, world: World) -> None:
        place = BlobPlace(container="no-such-container", name=RECORD)
        if isinstance(world, InFolder):
            await world.store.write(place, b"{}", replaces=None, media_type=JSON)
            assert (await world.store.read(place, length_bytes=10)).content == b"{}"
            return
        for replaces in (None, '"0x8DE2C1B5F3A1B20"'):
            with pytest.raises(ContainerMissingError, match="no-such-container"):
                await world.store.write(place, b"{}", replaces=replaces, media_type=JSON)
        with pytest.raises(ContainerMissingError):
            await world.store.write(place, sized(2**20 + 1), replaces=None, media_type=JSON)

    async def test_a_leased_blob_is_not_written(self, world: World) -> None:
        world.put(STATE, b"first")
        world.lock(STATE, json.dumps(LOCK_INFO).encode())
        etag = (await read(world)).facts.etag
        if isinstance(world, InFolder):
            # A folder has no leases: Terraform's lock file there binds Terraform alone.
            await write(world, b"second", replaces=etag, name=STATE)
            return
        with pytest.raises(StoreUnavailableError, match="LeaseIdMissing"):
            await write(world, b"second", replaces=etag, name=STATE)
        assert (await read(world)).content == b"first"


async def sign(world: World, writer: int) -> None:
    """Adds a line of the writer's own: two who write the same content have both written it."""
    while True:
        try:
            part = await read(world, RECORD)
            await write(world, part.content + b"%d\n" % writer, replaces=part.facts.etag)
        except BlobChangedError:
            continue
        return


class TestManyWriters:
    async def test_what_each_of_many_adds_is_kept(self, world: World) -> None:
        await write(world, b"")
        await asyncio.gather(*(sign(world, writer) for writer in range(WRITERS)))
        lines = (await read(world, RECORD)).content.split()
        assert sorted(map(int, lines)) == list(range(WRITERS))

    async def test_of_many_who_make_a_blob_one_does(self, world: World) -> None:
        made = await asyncio.gather(*(write(world, b"%02d" % n) for n in range(WRITERS)), return_exceptions=True)
        etags = [etag for etag in made if isinstance(etag, str)]
        assert len(etags) == 1
        assert [type(error) for error in made if not isinstance(error, str)] == [BlobChangedError] * (WRITERS - 1)
        assert (await read(world, RECORD)).facts.etag == etags[0]

    async def test_many_who_make_the_same_blob_all_have_its_etag(self, world: World) -> None:
        content = sized(2**20 + 1)
        made = await asyncio.gather(*(write(world, content) for _ in range(5)))
        assert set(made) == {(await read(world, RECORD)).facts.etag}

    async def test_large_writes_at_the_same_moment_never_mix(self, world: World) -> None:
        contents = [sized(3 * 2**20, seed=bytes([letter])) for letter in b"abcde"]
        before = await write(world, b"first")
        made = await asyncio.gather(
            *(write(world, content, replaces=before) for content in contents), return_exceptions=True
        )
        won = [content for content, etag in zip(contents, made, strict=True) if isinstance(etag, str)]
        assert [type(error) for error in made if not isinstance(error, str)] == [BlobChangedError] * 4
        assert [(await read(world, RECORD, length_bytes=4 * 2**20)).content] == won

    async def test_a_reader_sees_one_write_or_another_and_each_under_its_own_etag(self, world: World) -> None:
        contents: dict[str, bytes] = {}
        etag = await write(world, b"a" * 1000)
        contents[etag] = b"a" * 1000
        seen: set[tuple[str, bytes]] = set()
        done = asyncio.Event()

        async def look() -> None:
            while not done.is_set():
                part = await read(world, RECORD)
                assert part.facts.content_md5 == md5(part.content)
                assert part.facts.size_bytes == len(part.content)
                seen.add((part.facts.etag, part.content))
                await asyncio.sleep(0)

        lookers = [asyncio.create_task(look()) for _ in range(3)]
        for number in range(60):
            content = bytes([ord("a") + number % 26]) * (1000 + number % 3)
            etag = await write(world, content, replaces=etag)
            contents[etag] = content
            await asyncio.sleep(0)
        done.set()
        await asyncio.gather(*lookers)
        assert len(seen) > 1
        assert seen <= set(contents.items())


SIGN_IN_A_PROCESS: Final = """
import asyncio, sys
from pathlib import Path
from adapters.blob_store import BlobPlace
from adapters.folder_blobs import FolderBlobStore
from records.errors import BlobChangedError

async def sign(root, writer):
    store, place = FolderBlobStore(Path(root)), BlobPlace(container="registry", name="de/subscription.json")
    print("ready", flush=True)
    sys.stdin.readline()
    for line in (f"{writer} first\\n", f"{writer} second\\n"):
        while True:
            try:
                part = await store.read(place, length_bytes=10_000)
                content = part.content + line.encode()
                await store.write(place, content, replaces=part.facts.etag, media_type="application/json")
            except BlobChangedError:
                continue
            break

asyncio.run(sign(*sys.argv[1:]))
"""


class TestAFolder:
    def test_written_by_many_processes_at_once_loses_nothing(self, tmp_path: Path) -> None:
        place = BlobPlace(container="registry", name="de/subscription.json")
        asyncio.run(FolderBlobStore(tmp_path).write(place, b"", replaces=None, media_type=JSON))
        pipe = subprocess.PIPE
        writing = [
            subprocess.Popen(
                [sys.executable, "-c", SIGN_IN_A_PROCESS, str(tmp_path), str(writer)],
                cwd=ROOT,
                stdin=pipe,
                stdout=pipe,
                text=True,
            )
            for writer in range(WRITERS)
        ]
        for process in writing:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in writing:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in writing:
            process.communicate()
        assert [process.returncode for process in writing] == [0] * WRITERS
        lines = (tmp_path / "registry" / "de" / "subscription.json").read_text().splitlines()
        assert sorted(lines) == sorted(f"{writer} {nth}" for writer in range(WRITERS) for nth in ("first", "second"))
        left = sorted(file.name for file in (tmp_path / "registry" / "de").iterdir())
        assert left == [".subscription.json.lock", "subscription.json"]

    async def test_that_is_not_there_is_not_made(self, tmp_path: Path) -> None:
        place = BlobPlace(container="registry", name=RECORD)
        with pytest.raises(ContainerMissingError):
            await FolderBlobStore(tmp_path / "nowhere").write(place, b"{}", replaces=None, media_type=JSON)
        assert not any(tmp_path.iterdir())  # noqa: ASYNC240 (nothing else runs)

    async def test_of_another_account_is_written_where_it_is_there(self, tmp_path: Path) -> None:
        account_url = "https://marketfr.blob.core.windows.net"
        place = BlobPlace(container="tfstate", name=STATE, account_url=account_url)
        with pytest.raises(ContainerMissingError):
            await FolderBlobStore(tmp_path).write(place, b"x", replaces=None, media_type=JSON)
        folder = tmp_path / "accounts" / "marketfr.blob.core.windows.net" / "tfstate"
        folder.mkdir(parents=True)
        await FolderBlobStore(tmp_path).write(place, b"x", replaces=None, media_type=JSON)
        assert (folder / STATE).read_bytes() == b"x"

    @pytest.mark.parametrize(
        "name",
        ["../x.json", "de/../x.json", "/tmp/x.json", "de//x.json", ".x", "de/.x.json.lock", "a.tfstate.backup", ""],
    )
    async def test_holds_no_blob_of_a_name_that_leads_out_or_is_no_blob_s(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(StoreUnavailableError, match="name"):
            await FolderBlobStore(tmp_path).write(
                BlobPlace(container="registry", name=name), b"x", replaces=None, media_type=JSON
            )
        assert not any(tmp_path.iterdir())  # noqa: ASYNC240 (nothing else runs)

    async def test_is_there_and_unreadable_where_a_link_leads_to_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "trackers").mkdir()
        (tmp_path / "trackers" / "x.json").symlink_to(tmp_path / "gone.json")
        (tmp_path / "trackers" / "de").symlink_to(tmp_path / "gone")
        (tmp_path / "config").symlink_to(tmp_path / "gone")
        for container, name in (("trackers", "x.json"), ("trackers", "de/app.json"), ("config", "policy.yaml")):
            with pytest.raises(StoreUnavailableError, match="a link that leads to nothing"):
                await FolderBlobStore(tmp_path).read(BlobPlace(container=container, name=name), length_bytes=1)

    async def test_is_not_written_where_something_else_is_in_the_way(self, tmp_path: Path) -> None:
        store = FolderBlobStore(tmp_path)
        (tmp_path / "registry" / "de").mkdir(parents=True)
        (tmp_path / "registry" / "fr").write_bytes(b"a file")
        os.mkfifo(tmp_path / "registry" / "pipe")
        for name in ("de", "fr/x.json", "pipe"):
            with pytest.raises(StoreUnavailableError):
                await store.write(BlobPlace(container="registry", name=name), b"x", replaces=None, media_type=JSON)

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            pytest.param(PermissionError(13, "Permission denied"), AccessDeniedError, id="no permission"),
            pytest.param(OSError(28, "No space left on device"), StoreUnavailableError, id="a full disk"),
        ],
    )
    async def test_that_cannot_be_written_says_so_and_stays_as_it_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, expected: type[StoreError]
    ) -> None:
        store, place = FolderBlobStore(tmp_path), BlobPlace(container="registry", name="x.json")
        etag = await store.write(place, b"first", replaces=None, media_type=JSON)

        def fail(*_: Any) -> None:
            raise error

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(expected, match=r"registry/x\.json"):
            await store.write(place, b"second", replaces=etag, media_type=JSON)
        assert (await store.read(place, length_bytes=10)).content == b"first"
        assert {file.name for file in (tmp_path / "registry").iterdir()} == {"x.json", ".x.json.lock"}

    async def test_that_another_process_keeps_locked_is_given_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store, place = FolderBlobStore(tmp_path), BlobPlace(container="registry", name="x.json")
        await store.write(place, b"first", replaces=None, media_type=JSON)
        monkeypatch.setattr(folder_writing, "_LOCK_WAIT_SECONDS", 0.05)
        with FileLock(tmp_path / "registry" / ".x.json.lock"), pytest.raises(StoreUnavailableError, match="lock file"):
            await store.write(place, b"second", replaces=None, media_type=JSON)

    async def test_has_a_younger_file_after_each_write_also_after_one_from_the_future(self, tmp_path: Path) -> None:
        store, place = FolderBlobStore(tmp_path), BlobPlace(container="registry", name=RECORD)
        etag = await store.write(place, b"x", replaces=None, media_type=JSON)
        file = tmp_path / "registry" / RECORD
        os.utime(file, ns=(2 * 10**18, 2 * 10**18))
        etag = (await store.read(place, length_bytes=1)).facts.etag
        await store.write(place, b"y", replaces=etag, media_type=JSON)
        assert file.stat().st_mtime_ns > 2 * 10**18

    async def test_is_read_again_where_a_file_changes_in_place_and_given_up_where_it_never_stops(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store, place = FolderBlobStore(tmp_path), BlobPlace(container="tfstate", name=STATE)
        await store.write(place, b"0" * 100, replaces=None, media_type=JSON)
        file = tmp_path / "tfstate" / STATE
        changes = iter(range(1, 3))
        digest = hashlib.file_digest

        def change_meanwhile(*arguments: Any) -> Any:
            for number in changes:
                file.write_bytes(b"%d" % number * (100 + number))
                break
            return digest(*arguments)

        monkeypatch.setattr(hashlib, "file_digest", change_meanwhile)
        part = await store.read(place, length_bytes=1000)
        assert (part.content, part.facts.size_bytes) == (b"2" * 102, 102)
        assert part.facts.content_md5 == md5(part.content)
        changes = iter(range(1, 100))
        with pytest.raises(BlobChangedError, match="kept changing"):
            await store.read(place, length_bytes=1000)


@pytest.mark.azurite
async def test_azure_keeps_the_media_type_and_has_no_blob_of_blocks_that_were_refused(
    request: pytest.FixtureRequest,
) -> None:
    connection_string = request.getfixturevalue("azurite").connection_string
    limits = RetryLimits(total=1, backoff_seconds=0.02)
    store = AzureBlobStore(connect_with_string(connection_string, limits), allowed_host_suffixes=())
    with BlobServiceClient.from_connection_string(connection_string) as service:
        container = service.create_container(f"types-{uuid.uuid4()}")
        for name, size_bytes in (("small.zip", 10), ("large.zip", 2**20 + 1)):
            place = BlobPlace(container=container.container_name, name=name)
            await store.write(place, sized(size_bytes), replaces=None, media_type="application/zip")
            properties = container.get_blob_client(name).get_blob_properties()
            assert properties.content_settings.content_type == "application/zip"
            assert bytes(properties.content_settings.content_md5 or b"").hex() == md5(sized(size_bytes))
        gone = BlobPlace(container=container.container_name, name="gone.zip")
        with pytest.raises(BlobChangedError):
            await store.write(gone, sized(2**20 + 1), replaces='"0x1"', media_type="application/zip")
        with pytest.raises(ResourceNotFoundError):
            container.get_blob_client("gone.zip").get_blob_properties()
    await store.close()


@pytest.mark.azurite
async def test_azure_s_empty_blob_that_is_written_while_it_is_read_is_read_as_written(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection_string = request.getfixturevalue("azurite").connection_string
    limits = RetryLimits(total=1, backoff_seconds=0.02)
    store = AzureBlobStore(connect_with_string(connection_string, limits), allowed_host_suffixes=())
    with BlobServiceClient.from_connection_string(connection_string) as service:
        container = service.create_container(f"empty-{uuid.uuid4()}")
        container.upload_blob(RECORD, b"")
        properties_of = BlobClient.get_blob_properties

        async def write_first(client: BlobClient, **options: Any) -> Any:
            container.upload_blob(RECORD, b"written", overwrite=True)
            return await properties_of(client, **options)

        monkeypatch.setattr(BlobClient, "get_blob_properties", write_first)
        part = await store.read(BlobPlace(container=container.container_name, name=RECORD), length_bytes=100)
    await store.close()
    assert (part.content, part.facts.size_bytes) == (b"written", 7)


async def test_a_name_that_begins_with_another_s_is_another_blob(world: World) -> None:
    world.put("a.tfstate", b"default")
    world.put("a.tfstateenv:dev", b"dev")
    assert await names(world, "a.tfstate") == ["a.tfstate", "a.tfstateenv:dev"]
    assert (await read(world, "a.tfstate")).content == b"default"
    assert (await read(world, "a.tfstateenv:dev")).content == b"dev"
    with pytest.raises(BlobMissingError):
        await read(world, "a.tfstateenv:de")


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_a_name_with_signs_that_a_url_would_resolve_is_taken_as_it_is(world: World, name: str) -> None:
    world.put(name, CONTENT)
    assert await names(world) == [name]
    part = await read(world, name)
    assert (part.content, part.facts.name) == (CONTENT, name)


@pytest.mark.parametrize(
    "account_url",
    [
        pytest.param("https://marketde.blob.core.windows.net", id="a plain one"),
        pytest.param("https://..", id="a host that climbs out"),
        pytest.param("https://.", id="a host that stays where it is"),
        pytest.param("https://[", id="half an IPv6 address"),
        pytest.param("marketde", id="no URL"),
    ],
)
async def test_another_account_s_blob_is_never_the_estate_s_own(world: World, account_url: str) -> None:
    world.put(STATE, CONTENT)
    place = BlobPlace(container=world.container, name=STATE, account_url=account_url)
    with pytest.raises(StoreError):
        await world.store.read(place, length_bytes=10)
    with pytest.raises(StoreError):
        await world.store.sightings(place)
    with pytest.raises(StoreError):
        await world.store.write(place, b"{}", replaces=None, media_type=JSON)
    assert (await read(world)).content == CONTENT


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _metadata(info: bytes) -> dict[str, str]:
    # Terraform's HTTP client capitalises the key on the way, and storage keeps the case that it is sent.
    return {LOCK_METADATA_KEY.capitalize(): base64.b64encode(info).decode()}

"""What every blob store promises: the one in memory, the folder, and Azure Storage in its emulator."""

import base64
import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from azure.storage.blob import BlobLeaseClient, BlobServiceClient

from adapters.azure_blobs import AzureBlobStore, connect_with_string
from adapters.azure_retries import RetryLimits
from adapters.blob_store import BlobPart, BlobPlace, BlobStore
from adapters.folder_blobs import FolderBlobStore
from records.errors import BlobChangedError, BlobMissingError, ContainerMissingError, StoreError
from records.locks import LOCK_METADATA_KEY, UNREADABLE_LOCK, Lock
from tests.fakes import MemoryBlobStore

STATE: Final = "de/network.tfstate"
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


async def test_a_name_that_begins_with_another_s_is_another_blob(world: World) -> None:
    world.put("a.tfstate", b"default")
    world.put("a.tfstateenv:dev", b"dev")
    assert await names(world, "a.tfstate") == ["a.tfstate", "a.tfstateenv:dev"]
    assert (await read(world, "a.tfstate")).content == b"default"
    assert (await read(world, "a.tfstateenv:dev")).content == b"dev"
    with pytest.raises(BlobMissingError):
        await read(world, "a.tfstateenv:de")


@pytest.mark.parametrize(
    "name", ["de/a b.json", "de/ü.json", "de/100%.json", "de/a+b.json", "de/a?b=c#d.json", "a..b/c.json"]
)
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


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _metadata(info: bytes) -> dict[str, str]:
    # Terraform's HTTP client capitalises the key on the way, and storage keeps the case that it is sent.
    return {LOCK_METADATA_KEY.capitalize(): base64.b64encode(info).decode()}

"""Writes whose answers are lost or refused on the way: what was written stands, and is told once."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import pytest
from azure.storage.blob import ContainerClient

from adapters.azure_blobs import AzureBlobStore, connect_with_string
from adapters.blob_store import BlobPlace
from records.errors import AccessDeniedError, BlobChangedError, ContainerMissingError, StoreError, StoreUnavailableError
from records.record_log import LoggedWrite, RecordCommand, WrittenKind
from tests.estates import LIMITS, delete_tables, open_azure_stores
from tests.world.azurite import Azurite
from tests.world.fault_proxy import FaultProxy
from tests.world.faults import Action, AnswerStatus, LoseAnswer, Matches, ProxiedRequest, on

pytestmark = [pytest.mark.azurite, pytest.mark.usefixtures("waits")]

NAME: Final = "de/subscription.json"
SMALL: Final = b'{"schema_version": 1}'
LARGE: Final = bytes(range(256)) * 4096 * 3 + b"the end"
PUT: Final = on("PUT", f"*/{NAME}", comp="")
BLOCK: Final = on("PUT", f"*/{NAME}", comp="block")
COMMIT: Final = on("PUT", f"*/{NAME}", comp="blocklist")

CONTENTS: Final = [
    pytest.param(SMALL, PUT, id="one request"),
    pytest.param(LARGE, COMMIT, id="blocks"),
]
FOR_A_WHILE: Final = [
    pytest.param(LoseAnswer(), id="a connection cut before the answer"),
    pytest.param(AnswerStatus(503, "ServerBusy"), id="503"),
    pytest.param(AnswerStatus(503, "ServerBusy", 3), id="503 with Retry-After"),
    pytest.param(AnswerStatus(429, "TooManyRequests", 3), id="429 with Retry-After"),
    pytest.param(AnswerStatus(500, "InternalError"), id="500"),
    pytest.param(AnswerStatus(500, "OperationTimedOut"), id="a time-out of the service"),
]


@dataclass(frozen=True, slots=True)
class World:
    """A container behind the proxy, and the same container past it."""

    store: AzureBlobStore
    proxy: FaultProxy
    container: ContainerClient

    async def write(self, content: bytes, *, replaces: str | None = None) -> str:
        place = BlobPlace(container=self.container.container_name, name=NAME)
        return await self.store.write(place, content, replaces=replaces, media_type="application/json")

    def put(self, content: bytes) -> str:
        return str(self.container.upload_blob(NAME, content, overwrite=True).get_blob_properties().etag)

    def stored(self) -> tuple[bytes, str]:
        download = self.container.download_blob(NAME)
        return download.readall(), str(download.properties.etag)


@pytest.fixture
async def world(azurite: Azurite, fault_proxy: FaultProxy) -> AsyncIterator[World]:
    through_proxy = azurite.connection_string_through(blob_url=fault_proxy.url)
    store = AzureBlobStore(connect_with_string(through_proxy, LIMITS), allowed_host_suffixes=())
    name = f"records-{uuid.uuid4()}"
    with ContainerClient.from_connection_string(azurite.connection_string, name) as container:
        container.create_container()
        yield World(store, fault_proxy, container)
    await store.close()


class TestOnce:
    @pytest.mark.parametrize("action", FOR_A_WHILE)
    @pytest.mark.parametrize(("content", "request_of"), CONTENTS)
    async def test_a_blob_is_made(self, world: World, content: bytes, request_of: Matches, action: Action) -> None:
        rule = world.proxy.inject(request_of, action, times=1)
        etag = await world.write(content)
        assert world.stored() == (content, etag)
        assert rule.is_spent
        assert world.proxy.count(request_of) == 2

    @pytest.mark.parametrize("action", FOR_A_WHILE)
    @pytest.mark.parametrize(("content", "request_of"), CONTENTS)
    async def test_a_blob_is_replaced(self, world: World, content: bytes, request_of: Matches, action: Action) -> None:
        before = world.put(b"before")
        world.proxy.inject(request_of, action, times=1)
        etag = await world.write(content, replaces=before)
        assert world.stored() == (content, etag)
        assert etag != before

    async def test_a_block_is_sent_again(self, world: World) -> None:
        world.proxy.inject(BLOCK, LoseAnswer(), times=1)
        world.proxy.inject(BLOCK, AnswerStatus(503, "ServerBusy"), times=1)
        etag = await world.write(LARGE)
        assert world.stored() == (LARGE, etag)

    async def test_a_retry_after_is_kept(self, world: World, waits: list[float]) -> None:
        world.proxy.inject(PUT, AnswerStatus(429, "TooManyRequests", 7), times=1)
        await world.write(SMALL)
        assert min(waits) >= 7

    async def test_the_answer_is_lost_and_another_writes_before_the_request_comes_again(self, world: World) -> None:
        before = world.put(b"before")
        puts: list[ProxiedRequest] = []

        def meddle(request: ProxiedRequest) -> bool:
            puts.extend([request] if PUT(request) else [])
            if len(puts) == 2:
                world.put(b"another's")
            return False

        world.proxy.inject(meddle, LoseAnswer())
        world.proxy.inject(PUT, LoseAnswer(), times=1)
        with pytest.raises(BlobChangedError):
            await world.write(SMALL, replaces=before)
        assert world.stored()[0] == b"another's"


class TestForEver:
    @pytest.mark.parametrize(
        ("action", "expected"),
        [
            pytest.param(LoseAnswer(), StoreUnavailableError, id="a connection cut before the answer"),
            pytest.param(AnswerStatus(503, "ServerBusy"), StoreUnavailableError, id="503"),
            pytest.param(AnswerStatus(429, "TooManyRequests"), StoreUnavailableError, id="429"),
            pytest.param(AnswerStatus(403, "AuthorizationPermissionMismatch"), AccessDeniedError, id="403"),
            pytest.param(AnswerStatus(404, "ContainerNotFound"), ContainerMissingError, id="no container"),
            pytest.param(AnswerStatus(409, "ContainerBeingDeleted"), ContainerMissingError, id="a container that goes"),
            pytest.param(AnswerStatus(409, "SnapshotsPresent"), StoreUnavailableError, id="a conflict of another sort"),
            pytest.param(AnswerStatus(409, "BlobImmutableDueToPolicy"), StoreUnavailableError, id="a policy"),
            pytest.param(AnswerStatus(412, "LeaseIdMissing"), StoreUnavailableError, id="a lease"),
            pytest.param(AnswerStatus(412, "ConditionNotMet"), BlobChangedError, id="a condition not met"),
            pytest.param(AnswerStatus(409, "BlobAlreadyExists"), BlobChangedError, id="a blob that is there"),
        ],
    )
    @pytest.mark.parametrize(("content", "request_of"), CONTENTS)
    async def test_a_write_is_told_by_its_kind(
        self, world: World, content: bytes, request_of: Matches, action: Action, expected: type[StoreError]
    ) -> None:
        before = world.put(b"before")
        world.proxy.inject(request_of, action)
        with pytest.raises(expected) as caught:
            await world.write(content, replaces=before)
        assert type(caught.value) is expected
        assert NAME in str(caught.value)

    async def test_blocks_that_another_s_write_discarded_are_a_blob_that_changed(self, world: World) -> None:
        before = world.put(b"before")
        world.proxy.inject(COMMIT, AnswerStatus(400, "InvalidBlockList"))
        with pytest.raises(BlobChangedError, match="InvalidBlockList"):
            await world.write(LARGE, replaces=before)


@pytest.mark.parametrize("action", FOR_A_WHILE)
async def test_a_row_of_the_log_is_kept_once(azurite: Azurite, table_fault_proxy: FaultProxy, action: Action) -> None:
    write = LoggedWrite(
        write_id="a",
        at=datetime(2026, 11, 24, 6, 0, tzinfo=UTC),
        by="pipeline",
        command=RecordCommand.RECORD,
        market="de",
        stack="network",
        kind=WrittenKind.TRACKER,
        blob="de/network.json",
        after="{}",
    )
    through_proxy = azurite.connection_string_through(table_url=table_fault_proxy.url)
    async with open_azure_stores(through_proxy) as stores:
        await stores.log.save(writes=[write])
        table_fault_proxy.inject(on("POST", "*/$batch"), action, times=1)
        await stores.log.save(writes=[write.model_copy(update={"etag_after": '"1"'})])
        found = [row async for row in stores.log.writes(market="de")]
    delete_tables(azurite.connection_string)
    assert [(row.write_id, row.etag_after) for row in found] == [("a", '"1"')]

"""What every queue of heals promises: the one in memory, the folder, and Azure's queues in their emulator."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient, TextBase64DecodePolicy

from adapters.azure_heal_queue import AzureHealQueue, connect_with_string
from adapters.folder_heal_queue import FolderHealQueue
from records.drift_ports import HealQueue
from records.errors import AccessDeniedError, StoreError, StoreUnavailableError
from records.heals import MESSAGE_MAX_BYTES, QUEUE, HealJob
from tests.contract_worlds import BACKENDS
from tests.estates import LIMITS
from tests.fakes_drift import MemoryHealQueue
from tests.world.azurite import Azurite
from tests.world.fault_proxy import FaultProxy, run_fault_proxy
from tests.world.faults import Action, AnswerStatus, LoseAnswer, on

NOW: Final = datetime.now(UTC).replace(microsecond=0)
PUT: Final = on("POST", f"*/{QUEUE}/messages")


def job(number: int = 1, **changes: Any) -> HealJob:
    values: dict[str, Any] = {
        "job_id": f"{number:064x}",
        "market": "emea/fr",
        "stack": "network",
        "lineage": "edd2705f",
        "serial": 42,
        "bundle_sha256": "b" * 64,
        "fingerprint": "f" * 64,
        "addresses": ('azurerm_subnet.a["ü<&>"]',),
        "queued_at": NOW,
        "expires_at": NOW + timedelta(hours=2),
    }
    return HealJob(**values | changes)


class World(Protocol):
    """A queue, and what a worker would find in it."""

    @property
    def queue(self) -> HealQueue: ...

    def messages(self) -> list[str]: ...


class InMemory:
    def __init__(self) -> None:
        self.queue = MemoryHealQueue()

    def messages(self) -> list[str]:
        return [sent.model_dump_json() for sent in self.queue.sent]


class InFolder:
    def __init__(self, root: Path) -> None:
        self.queue = FolderHealQueue(root)
        self._folder = root / "queues" / QUEUE

    def messages(self) -> list[str]:
        return [file.read_text(encoding="utf-8") for file in sorted(self._folder.iterdir())]


class InAzurite:
    def __init__(self, queue: AzureHealQueue, client: QueueClient) -> None:
        self.queue = queue
        self.client = client

    def messages(self) -> list[str]:
        return [str(message.content) for message in self.client.peek_messages(max_messages=32)]


@pytest.fixture(params=BACKENDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    match request.param:
        case "memory":
            yield InMemory()
        case "folder":
            yield InFolder(tmp_path)
        case _:
            async with in_azurite(request.getfixturevalue("azurite")) as opened:
                yield opened


@pytest.fixture
def proxy(azurite: Azurite) -> Iterator[FaultProxy]:
    with run_fault_proxy(azurite.queue_url) as running:
        yield running


@pytest.fixture
async def azure(azurite: Azurite, proxy: FaultProxy) -> AsyncIterator[InAzurite]:
    """Through the proxy."""
    async with in_azurite(azurite, through=proxy.url) as opened:
        yield opened


@asynccontextmanager
async def in_azurite(azurite: Azurite, *, through: str | None = None) -> AsyncIterator[InAzurite]:
    with QueueClient.from_connection_string(
        azurite.connection_string, QUEUE, message_decode_policy=TextBase64DecodePolicy()
    ) as client:
        try:
            async with connect_with_string(azurite.connection_string_through(queue_url=through), LIMITS) as service:
                yield InAzurite(AzureHealQueue(service, clock=lambda: NOW), client)
        finally:
            with suppress(ResourceNotFoundError):
                client.delete_queue()


class TestAMessage:
    async def test_is_the_job_as_compact_json(self, world: World) -> None:
        await world.queue.send(job=job())
        (message,) = world.messages()
        assert message == json.dumps(job().model_dump(mode="json"), separators=(",", ":"), ensure_ascii=False)
        assert HealJob.model_validate_json(message) == job()

    async def test_is_there_for_each_job(self, world: World) -> None:
        await asyncio.gather(*(world.queue.send(job=job(number)) for number in range(5)))
        assert sorted(world.messages()) == [job(number).model_dump_json() for number in range(5)]

    async def test_may_be_as_large_as_the_queue_takes(self, world: World) -> None:
        spare = MESSAGE_MAX_BYTES - len(job(addresses=("",)).model_dump_json().encode())
        largest = job(addresses=("a" * spare,))
        await world.queue.send(job=largest)
        assert world.messages() == [largest.model_dump_json()]
        with pytest.raises(StoreUnavailableError, match="emea/fr/network has 49,153 bytes"):
            await world.queue.send(job=job(2, addresses=("a" * (spare + 1),)))
        assert len(world.messages()) == 1


async def test_a_job_that_is_sent_again_on_disk_is_one_message(tmp_path: Path) -> None:
    world = InFolder(tmp_path)
    await world.queue.send(job=job())
    later = job(queued_at=NOW + timedelta(hours=1))
    await world.queue.send(job=later, delay_seconds=60)
    assert world.messages() == [later.model_dump_json()]


async def test_a_folder_that_cannot_be_made_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "queues").write_text("a file")
    with pytest.raises(StoreError, match=f"^{QUEUE}: "):
        await FolderHealQueue(tmp_path).send(job=job())


@pytest.mark.azurite
class TestAzure:
    async def test_the_message_is_gone_once_the_job_has_expired(self, azure: InAzurite) -> None:
        await azure.queue.send(job=job(expires_at=NOW + timedelta(minutes=30, milliseconds=900)))
        (message,) = azure.client.peek_messages()
        assert message.inserted_on is not None
        assert message.expires_on is not None
        assert message.expires_on - message.inserted_on == timedelta(minutes=30)

    async def test_a_job_that_has_expired_is_not_sent(self, azure: InAzurite, proxy: FaultProxy) -> None:
        with pytest.raises(StoreUnavailableError, match="expires"):
            await azure.queue.send(job=job(expires_at=NOW))
        assert proxy.exchanges == ()

    async def test_a_job_that_expires_before_its_delay_is_over_is_not_sent(
        self, azure: InAzurite, proxy: FaultProxy
    ) -> None:
        with pytest.raises(StoreUnavailableError, match="expires"):
            await azure.queue.send(job=job(expires_at=NOW + timedelta(seconds=60, milliseconds=900)), delay_seconds=60)
        assert proxy.exchanges == ()

    async def test_a_message_with_a_delay_is_not_seen_before(self, azure: InAzurite) -> None:
        await azure.queue.send(job=job(), delay_seconds=60)
        assert azure.messages() == []
        await azure.queue.send(job=job(2))
        assert azure.messages() == [job(2).model_dump_json()]
        assert azure.client.get_queue_properties().approximate_message_count == 2

    async def test_a_queue_that_is_made_by_another_meanwhile_is_as_good(
        self, azure: InAzurite, proxy: FaultProxy
    ) -> None:
        azure.client.create_queue()
        proxy.inject(PUT, AnswerStatus(404, "QueueNotFound"), times=1)
        await azure.queue.send(job=job())
        assert len(azure.messages()) == 1

    @pytest.mark.parametrize(
        "action",
        [
            AnswerStatus(503, "ServerBusy"),
            AnswerStatus(503, "ServerBusy", 0),
            AnswerStatus(429, "TooManyRequests"),
        ],
        ids=["503", "503 with Retry-After", "429"],
    )
    async def test_what_was_not_taken_is_sent_again(self, azure: InAzurite, proxy: FaultProxy, action: Action) -> None:
        azure.client.create_queue()
        proxy.inject(PUT, action, times=2)
        await azure.queue.send(job=job())
        assert len(azure.messages()) == 1
        assert proxy.count(PUT) == 3

    @pytest.mark.parametrize(
        ("action", "messages"),
        [
            pytest.param(LoseAnswer(), 1, id="a connection cut before the answer"),
            pytest.param(AnswerStatus(500, "OperationTimedOut"), 0, id="500"),
            pytest.param(AnswerStatus(500, "InternalError", 1), 0, id="500 with Retry-After"),
            pytest.param(AnswerStatus(504, "GatewayTimeout"), 0, id="504"),
        ],
    )
    async def test_what_may_have_been_taken_is_not_sent_again(
        self, azure: InAzurite, proxy: FaultProxy, action: Action, messages: int
    ) -> None:
        azure.client.create_queue()
        proxy.inject(PUT, action)
        with pytest.raises(StoreUnavailableError):
            await azure.queue.send(job=job())
        assert proxy.count(PUT) == 1
        assert len(azure.messages()) == messages

    @pytest.mark.parametrize("action", [LoseAnswer(), AnswerStatus(500, "InternalError")], ids=["lost", "500"])
    async def test_making_the_queue_is_asked_for_again(
        self, azure: InAzurite, proxy: FaultProxy, action: Action
    ) -> None:
        proxy.inject(on("PUT"), action, times=1)
        await azure.queue.send(job=job())
        assert len(azure.messages()) == 1

    async def test_busy_for_ever_ends(self, azure: InAzurite, proxy: FaultProxy) -> None:
        proxy.inject(on(), AnswerStatus(503, "ServerBusy"))
        with pytest.raises(StoreUnavailableError, match=f"^{QUEUE}: 503 ServerBusy$"):
            await azure.queue.send(job=job())
        assert proxy.count(PUT) == 1 + LIMITS.total

    async def test_no_secret_is_told_when_it_is_refused(self, azure: InAzurite, proxy: FaultProxy) -> None:
        proxy.inject(on(), AnswerStatus(403, "AuthorizationFailure", message="?sig=c2VjcmV0"))
        with pytest.raises(AccessDeniedError) as refused:
            await azure.queue.send(job=job())
        assert str(refused.value) == f"{QUEUE}: 403 AuthorizationFailure"

    async def test_no_key_is_told_when_nobody_answers(self, azurite: Azurite) -> None:
        nowhere = azurite.connection_string_through(queue_url="http://127.0.0.1:9/account")
        async with connect_with_string(nowhere, LIMITS) as service:
            with pytest.raises(StoreUnavailableError) as refused:
                await AzureHealQueue(service, clock=lambda: NOW).send(job=job())
        assert azurite.account_key not in str(refused.value)

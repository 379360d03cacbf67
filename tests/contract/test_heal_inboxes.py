"""What every inbox of heals promises: the one in memory, the folder, and Azure's queues in their emulator."""

import asyncio
import base64
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueClient

from adapters.azure_heal_inbox import AzureHealInbox, Visibility
from adapters.azure_heal_queue import AzureHealQueue, connect_with_string
from adapters.folder_heal_inbox import FolderHealInbox
from adapters.folder_heal_queue import FolderHealQueue
from records.drift_ports import Delivery, HealInbox, HealQueue
from records.errors import AccessDeniedError, StoreError
from records.heals import POISON_QUEUE, QUEUE, HealJob
from tests.contract_worlds import BACKENDS
from tests.estates import LIMITS
from tests.fakes_drift import MemoryHealInbox, MemoryHealQueue
from tests.world.azurite import Azurite
from tests.world.fault_proxy import FaultProxy, run_fault_proxy
from tests.world.faults import Action, AnswerStatus, LoseAnswer, on

NOW: Final = datetime.now(UTC).replace(microsecond=0)
POLLS: Final = 200
QUICK: Final = Visibility(seconds=60, renewed_every_seconds=20, back_after_seconds=1)
NOT_JSON: Final = b'{"job": "\xc3\xbc<&>'
RECEIVE: Final = on("GET", f"*/{QUEUE}/messages")
RENEW: Final = on("PUT", f"*/{QUEUE}/messages/*")
DELETE: Final = on("DELETE", f"*/{QUEUE}/messages/*")
HOLDS_IN_A_PROCESS: Final = """
import asyncio, sys
from pathlib import Path
from adapters.folder_heal_inbox import FolderHealInbox
async def hold():
    async for delivery in FolderHealInbox(Path(sys.argv[1])).deliveries():
        async with delivery as message:
            print(message.tries, flush=True)
            await asyncio.sleep(60)
    print("nothing", flush=True)
asyncio.run(hold())
"""


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


def body(of: HealJob) -> bytes:
    return of.model_dump_json().encode()


class World(Protocol):
    """A queue from both ends, and who puts into it what no job is."""

    @property
    def queue(self) -> HealQueue: ...

    @property
    def inbox(self) -> HealInbox: ...

    def put(self, content: bytes) -> None: ...

    def poison(self) -> list[bytes]: ...


class InMemory:
    def __init__(self) -> None:
        self.queue = MemoryHealQueue()
        self.inbox = MemoryHealInbox(self.queue)

    def put(self, content: bytes) -> None:
        self.queue.put(content)

    def poison(self) -> list[bytes]:
        return self.queue.poison


class InFolder:
    def __init__(self, root: Path) -> None:
        self.queue = FolderHealQueue(root)
        self.inbox = FolderHealInbox(root)
        self._root = root / "queues"

    def put(self, content: bytes) -> None:
        (self._root / QUEUE).mkdir(parents=True, exist_ok=True)
        (self._root / QUEUE / "by-hand.json").write_bytes(content)

    def poison(self) -> list[bytes]:
        return [file.read_bytes() for file in sorted((self._root / POISON_QUEUE).iterdir())]

    def files_beside(self) -> list[str]:
        return sorted(file.name for file in (self._root / f".{QUEUE}").iterdir())


class InAzurite:
    def __init__(self, azurite: Azurite, queue: AzureHealQueue, inbox: AzureHealInbox) -> None:
        self.queue = queue
        self.inbox = inbox
        self.other = inbox
        self.plain = QueueClient.from_connection_string(azurite.connection_string, QUEUE)
        self.poisoned = QueueClient.from_connection_string(azurite.connection_string, POISON_QUEUE)
        self.put_texts: list[str] = []

    def put(self, content: bytes) -> None:
        """As text that is no Base64."""
        self.put_texts.append(content.decode())
        with suppress(ResourceExistsError):
            self.plain.create_queue()
        self.plain.send_message(self.put_texts[-1])

    def poison(self) -> list[bytes]:
        texts = [str(message.content or "") for message in self.poisoned.peek_messages(max_messages=32)]
        return [text.encode() if text in self.put_texts else base64.b64decode(text) for text in texts]

    def count(self) -> int:
        return int(self.plain.get_queue_properties().approximate_message_count or 0)

    def close(self) -> None:
        for client in (self.plain, self.poisoned):
            with suppress(ResourceNotFoundError):
                client.delete_queue()
            client.close()


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


@asynccontextmanager
async def in_azurite(
    azurite: Azurite, *, through: str | None = None, visibility: Visibility = QUICK
) -> AsyncIterator[InAzurite]:
    """``other`` is the inbox of another worker, past any proxy."""
    async with (
        connect_with_string(azurite.connection_string_through(queue_url=through), LIMITS) as service,
        connect_with_string(azurite.connection_string, LIMITS) as past,
    ):
        opened = InAzurite(azurite, AzureHealQueue(service), AzureHealInbox(service, visibility=visibility))
        opened.other = AzureHealInbox(past, visibility=QUICK)
        try:
            yield opened
        finally:
            opened.close()


@asynccontextmanager
async def first(inbox: HealInbox) -> AsyncIterator[Delivery]:
    """The next message, waited for until it comes."""
    for _ in range(POLLS):
        async for delivery in inbox.deliveries():
            async with delivery as message:
                yield message
            return
        await asyncio.sleep(0.1)
    raise AssertionError("no message came")


async def finish_all(inbox: HealInbox) -> list[tuple[bytes, int]]:
    """Of every message that can be had now what it says, and the how manieth try it was."""
    finished: list[tuple[bytes, int]] = []
    async for delivery in inbox.deliveries():
        async with delivery as message:
            finished.append((message.body, message.tries))
            await message.done()
    return sorted(finished)


class TestAMessage:
    async def test_is_had_until_it_is_done_with(self, world: World) -> None:
        assert await finish_all(world.inbox) == []
        await world.queue.send(job=job())
        assert await finish_all(world.inbox) == [(body(job()), 1)]
        assert await finish_all(world.inbox) == []

    async def test_is_had_once_in_a_round(self, world: World) -> None:
        jobs = [job(number) for number in range(1, 6)]
        for of in jobs:
            await world.queue.send(job=of)
        assert await finish_all(world.inbox) == [(body(of), 1) for of in jobs]

    async def test_comes_again_where_it_was_not_done_with(self, world: World) -> None:
        await world.queue.send(job=job())
        async with first(world.inbox) as message:
            assert message.tries == 1
        with pytest.raises(LookupError, match="2"):
            async with first(world.inbox) as message:
                raise LookupError(message.tries)
        async with first(world.inbox) as message:
            assert (message.body, message.tries) == (body(job()), 3)
            await message.done()
        assert await finish_all(world.inbox) == []

    async def test_is_nobody_else_s_meanwhile(self, world: World) -> None:
        await world.queue.send(job=job())
        async with first(world.inbox) as message:
            assert await finish_all(world.inbox) == []
            await message.done()

    async def test_that_is_sent_again_meanwhile_is_another(self, world: World) -> None:
        await world.queue.send(job=job())
        later = job(queued_at=job().queued_at + timedelta(minutes=1))
        async with first(world.inbox) as message:
            await world.queue.send(job=later)
            await message.done()
        assert await finish_all(world.inbox) == [(body(later), 1)]

    @pytest.mark.slow
    async def test_with_a_delay_comes_after_it(self, world: World) -> None:
        await world.queue.send(job=job(), delay_seconds=2)
        await world.queue.send(job=job(2))
        sent_at = asyncio.get_running_loop().time()
        assert await finish_all(world.inbox) == [(body(job(2)), 1)]
        async with first(world.inbox) as message:
            assert asyncio.get_running_loop().time() - sent_at > 1
            assert (message.body, message.tries) == (body(job()), 1)
            await message.done()

    @pytest.mark.parametrize("content", [NOT_JSON, b"", b"{}"], ids=["cut off", "empty", "no job"])
    async def test_that_is_no_job_is_handed_over_as_it_is(self, world: World, content: bytes) -> None:
        world.put(content)
        async with first(world.inbox) as message:
            assert (message.body, message.tries) == (content, 1)
            await message.poisoned()
        assert world.poison() == [content]
        assert await finish_all(world.inbox) == []

    async def test_that_is_poison_is_moved(self, world: World) -> None:
        await world.queue.send(job=job())
        async with first(world.inbox) as message:
            await message.poisoned()
        assert world.poison() == [body(job())]
        assert await finish_all(world.inbox) == []


async def test_the_one_in_memory_delivers_twice_and_in_any_order_on_demand() -> None:
    queue = MemoryHealQueue()
    inbox = MemoryHealInbox(queue, order=lambda messages: messages[::-1])
    for number in (1, 2):
        await queue.send(job=job(number))
    queue.duplicate()
    seen: list[bytes] = []
    async for delivery in inbox.deliveries():
        async with delivery as message:
            seen.append(message.body)
    assert seen == [body(job(number)) for number in (2, 1, 2, 1)]


class TestOnDisk:
    async def test_a_process_that_is_killed_lets_its_message_go(self, tmp_path: Path) -> None:
        await FolderHealQueue(tmp_path).send(job=job())
        holder = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HOLDS_IN_A_PROCESS, str(tmp_path), stdout=asyncio.subprocess.PIPE
        )
        assert holder.stdout is not None
        assert await holder.stdout.readline() == b"1\n"
        assert await finish_all(FolderHealInbox(tmp_path)) == []
        os.kill(holder.pid, signal.SIGKILL)
        await holder.communicate()
        assert await finish_all(FolderHealInbox(tmp_path)) == [(body(job()), 2)]

    async def test_of_two_processes_one_has_it(self, tmp_path: Path) -> None:
        await FolderHealQueue(tmp_path).send(job=job())
        holders = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", HOLDS_IN_A_PROCESS, str(tmp_path), stdout=asyncio.subprocess.PIPE
            )
            for _ in range(2)
        ]
        said = await asyncio.gather(*(holder.stdout.readline() for holder in holders if holder.stdout))
        for holder in holders:
            with suppress(ProcessLookupError):
                holder.kill()
            await holder.communicate()
        assert sorted(said) == [b"1\n", b"nothing\n"]

    async def test_nothing_is_left_of_a_message_that_is_done_with(self, tmp_path: Path) -> None:
        world = InFolder(tmp_path)
        for number, of in enumerate((job(), job(2), job(3))):
            await world.queue.send(job=of, delay_seconds=0)
            async with first(world.inbox) as message:
                await (message.poisoned() if number else message.done())
        assert world.files_beside() == [".lock"]

    async def test_a_message_put_in_by_hand_begins_anew(self, tmp_path: Path) -> None:
        world = InFolder(tmp_path)
        world.put(b"{}")
        for tries in (1, 2):
            async with first(world.inbox) as message:
                assert message.tries == tries
        world.put(b"[]")
        assert await finish_all(world.inbox) == [(b"[]", 1)]

    async def test_what_is_known_of_a_message_may_be_garbled(self, tmp_path: Path) -> None:
        world = InFolder(tmp_path)
        await world.queue.send(job=job(), delay_seconds=60)
        (tmp_path / "queues" / f".{QUEUE}" / f"{job().job_id}.json").write_text("{")
        assert await finish_all(world.inbox) == [(body(job()), 1)]

    async def test_an_expired_message_is_handed_over(self, tmp_path: Path) -> None:
        world = InFolder(tmp_path)
        expired = job(expires_at=job().queued_at - timedelta(hours=1))
        await world.queue.send(job=expired)
        assert await finish_all(world.inbox) == [(body(expired), 1)]

    async def test_a_folder_that_cannot_be_made_is_told_as_such(self, tmp_path: Path) -> None:
        (tmp_path / "queues").write_text("a file")
        with pytest.raises(StoreError, match=f"^{QUEUE}: "):
            await finish_all(FolderHealInbox(tmp_path))


@pytest.mark.azurite
class TestAzure:
    async def test_a_message_is_renewed_while_its_block_lasts(self, azurite: Azurite) -> None:
        visibility = Visibility(seconds=2, renewed_every_seconds=0.5, back_after_seconds=1)
        async with in_azurite(azurite, visibility=visibility) as azure:
            await azure.queue.send(job=job())
            async with first(azure.inbox) as message:
                await asyncio.sleep(3.5)
                assert await finish_all(azure.other) == []
                await message.done()
            assert azure.count() == 0

    @pytest.mark.parametrize("action", [AnswerStatus(500, "InternalError"), AnswerStatus(503, "ServerBusy")])
    @pytest.mark.slow
    async def test_a_renewal_that_fails_is_made_up_for_by_the_next(
        self, azurite: Azurite, proxy: FaultProxy, action: Action
    ) -> None:
        visibility = Visibility(seconds=3, renewed_every_seconds=0.5)
        async with in_azurite(azurite, through=proxy.url, visibility=visibility) as azure:
            await azure.queue.send(job=job())
            proxy.inject(RENEW, action, times=2 * (1 + LIMITS.total))
            async with first(azure.inbox) as message:
                await asyncio.sleep(4.5)
                assert await finish_all(azure.other) == []
                await message.done()
            assert azure.count() == 0

    @pytest.mark.parametrize("how", ["done", "poisoned"])
    async def test_a_message_that_another_has_by_now_is_left_alone(self, azurite: Azurite, how: str) -> None:
        visibility = Visibility(seconds=1, renewed_every_seconds=1000)
        async with in_azurite(azurite, visibility=visibility) as azure:
            await azure.queue.send(job=job())
            async with first(azure.inbox) as ours:
                async with first(azure.other) as theirs:
                    assert theirs.tries == 2
                    await (ours.done() if how == "done" else ours.poisoned())
                    assert azure.count() == 1
                    await theirs.done()
                assert azure.count() == 0
            with pytest.raises(ResourceNotFoundError):
                azure.poisoned.peek_messages()

    async def test_done_again_or_after_its_answer_was_lost_is_as_good(
        self, azurite: Azurite, proxy: FaultProxy
    ) -> None:
        async with in_azurite(azurite, through=proxy.url) as azure:
            await azure.queue.send(job=job())
            proxy.inject(DELETE, LoseAnswer(), times=1)
            async with first(azure.inbox) as message:
                await message.done()
                await message.done()
            assert azure.count() == 0
            assert proxy.count(DELETE) == 2

    async def test_a_message_whose_pop_receipt_was_lost_comes_again(self, azurite: Azurite, proxy: FaultProxy) -> None:
        visibility = Visibility(seconds=2, renewed_every_seconds=0.5)
        async with in_azurite(azurite, through=proxy.url, visibility=visibility) as azure:
            await azure.queue.send(job=job())
            proxy.inject(RENEW, LoseAnswer(), times=1)
            async with first(azure.inbox) as message:
                await asyncio.sleep(1)
                await message.done()
            async with first(azure.other) as message:
                assert message.tries == 2
                await message.done()

    @pytest.mark.slow
    async def test_a_message_is_not_hidden_beyond_its_expiry(self, azurite: Azurite, proxy: FaultProxy) -> None:
        visibility = Visibility(seconds=300, renewed_every_seconds=0.3)
        async with in_azurite(azurite, through=proxy.url, visibility=visibility) as azure:
            await azure.queue.send(job=job(expires_at=datetime.now(UTC) + timedelta(seconds=3.5)))
            async with first(azure.inbox) as message:
                await asyncio.sleep(4)
                await message.done()
            renewals = [exchange for exchange in proxy.exchanges if RENEW(exchange.request)]
            assert renewals
            assert all(int(exchange.request.query["visibilitytimeout"]) <= 3 for exchange in renewals)
            assert all(exchange.status == 204 for exchange in renewals)

    async def test_poison_never_expires(self, azurite: Azurite) -> None:
        async with in_azurite(azurite) as azure:
            await azure.queue.send(job=job())
            async with first(azure.inbox) as message:
                await message.poisoned()
            (kept,) = azure.poisoned.peek_messages()
            assert kept.expires_on is not None
            assert kept.expires_on.year == 9999

    async def test_where_poison_cannot_be_put_the_message_comes_again(
        self, azurite: Azurite, proxy: FaultProxy
    ) -> None:
        async with in_azurite(azurite, through=proxy.url) as azure:
            await azure.queue.send(job=job())
            proxy.inject(on("POST", f"*/{POISON_QUEUE}/messages"), AnswerStatus(403, "AuthorizationFailure"))
            with pytest.raises(AccessDeniedError, match=f"^{POISON_QUEUE}: "):
                async with first(azure.inbox) as message:
                    await message.poisoned()
            async with first(azure.inbox) as message:
                assert message.tries == 2
                await message.done()

    async def test_a_queue_that_answers_nothing_else_is_no_empty_one(self, azurite: Azurite, proxy: FaultProxy) -> None:
        async with in_azurite(azurite, through=proxy.url) as azure:
            proxy.inject(RECEIVE, AnswerStatus(404, "WebsiteNotFound"))
            with pytest.raises(StoreError, match="404 WebsiteNotFound"):
                await finish_all(azure.inbox)

    async def test_no_secret_is_told_when_it_is_refused(self, azurite: Azurite, proxy: FaultProxy) -> None:
        async with in_azurite(azurite, through=proxy.url) as azure:
            proxy.inject(on(), AnswerStatus(403, "AuthorizationFailure", message="?sig=c2VjcmV0"))
            with pytest.raises(AccessDeniedError) as refused:
                await finish_all(azure.inbox)
            assert str(refused.value) == f"{QUEUE}: 403 AuthorizationFailure"

"""What the report store promises, on Azure Storage in its emulator."""

import asyncio
import hashlib
import threading
import tracemalloc
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobProperties, BlobServiceClient

from adapters.azure_blobs import connect_with_string
from adapters.azure_reports import AzureReportStore
from records.errors import AccessDeniedError, StoreError, StoreUnavailableError
from tests.estates import LIMITS
from tests.world.azurite import Azurite, StorageAccount
from tests.world.fault_proxy import FaultProxy
from tests.world.faults import AnswerStatus, LoseAnswer, on

pytestmark = pytest.mark.azurite

SIX: Final = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)
HTML: Final = "text/html; charset=utf-8"
LATEST: Final = "latest.html"
MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class World:
    """A store, and its container seen from outside."""

    store: AzureReportStore
    service: BlobServiceClient
    container: str

    async def save(self, text: str, *names: str, started_at: datetime = SIX, media_type: str = HTML) -> None:
        await self.store.save_report(
            names=names or [LATEST], chunks=iter([text]), media_type=media_type, started_at=started_at
        )

    def put(self, text: str) -> None:
        """Writes the latest as somebody else would."""
        self.service.get_blob_client(self.container, LATEST).upload_blob(text, overwrite=True)

    def names(self) -> list[str]:
        return sorted(self.service.get_container_client(self.container).list_blob_names())

    def read(self, name: str = LATEST) -> str:
        return bytes(self.service.get_blob_client(self.container, name).download_blob().readall()).decode()

    def properties(self, name: str = LATEST) -> BlobProperties:
        return self.service.get_blob_client(self.container, name).get_blob_properties()


@asynccontextmanager
async def open_world(azurite: Azurite, connection_string: str) -> AsyncIterator[World]:
    """The store by one connection string, and its container by Azurite's own."""
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        async with connect_with_string(connection_string, LIMITS)(None) as client:
            container = f"reports-{uuid.uuid4()}"
            yield World(AzureReportStore(client, container=container), service, container)


@pytest.fixture
async def world(azurite: Azurite) -> AsyncIterator[World]:
    async with open_world(azurite, azurite.connection_string) as opened:
        yield opened


@pytest.fixture
async def behind_proxy(azurite: Azurite, fault_proxy: FaultProxy) -> AsyncIterator[World]:
    async with open_world(azurite, azurite.connection_string_through(blob_url=fault_proxy.url)) as opened:
        yield opened


class TestAReport:
    async def test_makes_its_container(self, world: World) -> None:
        await world.save("<p>", "daily.html")
        assert world.names() == ["daily.html"]
        assert world.read("daily.html") == "<p>"

    @pytest.mark.parametrize("media_type", ["application/json", "text/markdown; charset=utf-8", HTML])
    async def test_has_its_media_type_and_is_not_to_be_cached(self, world: World, media_type: str) -> None:
        await world.save("x", media_type=media_type)
        settings = world.properties().content_settings
        assert (settings.content_type, settings.cache_control) == (media_type, "no-cache")

    async def test_says_when_its_run_started(self, world: World) -> None:
        await world.save("x", started_at=SIX + timedelta(microseconds=123456))
        assert world.properties().metadata == {"run_started_at": "2026-11-25T06:00:00.123456Z"}

    async def test_is_under_each_of_its_names(self, world: World) -> None:
        names = ["daily-2026-11-25.html", LATEST, "a/b/Süd 🦊.html"]
        await world.save("<p>", *names)
        assert world.names() == sorted(names)
        assert {world.read(name) for name in names} == {"<p>"}

    @pytest.mark.parametrize(
        "chunks",
        [
            pytest.param(["Plattform-Team „Süd“ ", "🦊", "\N{MINUS SIGN}2 serials\n"], id="in other scripts"),
            pytest.param([], id="of no chunk"),
            pytest.param(["", "a", "", "b", ""], id="of empty chunks"),
            pytest.param(["line\r\n", "line\n"], id="with both kinds of line breaks"),
        ],
    )
    async def test_is_its_chunks_in_utf_8(self, world: World, chunks: list[str]) -> None:
        await world.store.save_report(names=[LATEST], chunks=iter(chunks), media_type=HTML, started_at=SIX)
        assert world.read() == "".join(chunks)

    async def test_is_made_in_a_thread_of_its_own_once_for_all_names(self, world: World) -> None:
        threads: list[threading.Thread] = []

        def chunks() -> Iterator[str]:
            threads.append(threading.current_thread())
            yield "<p>"

        await world.store.save_report(names=["a", "b"], chunks=chunks(), media_type=HTML, started_at=SIX)
        assert len(threads) == 1
        assert threads[0] is not threading.current_thread()
        assert (world.read("a"), world.read("b")) == ("<p>", "<p>")

    async def test_that_breaks_while_it_is_made_leaves_the_one_before(self, world: World) -> None:
        def chunks() -> Iterator[str]:
            yield "<p>"
            raise ZeroDivisionError

        await world.save("before")
        with pytest.raises(ZeroDivisionError):
            await world.store.save_report(names=[LATEST], chunks=chunks(), media_type=HTML, started_at=SIX)
        assert world.read() == "before"

    @pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
    async def test_of_20_mib_arrives_whole(self, world: World) -> None:
        digest = hashlib.sha256()

        def chunks() -> Iterator[str]:
            for number in range(20 * 16):
                chunk = f"{number:08d}" * (MIB // 16 // 8)
                digest.update(chunk.encode())
                yield chunk

        await world.store.save_report(names=[LATEST], chunks=chunks(), media_type=HTML, started_at=SIX)
        assert world.properties().size == 20 * MIB
        assert hashlib.sha256(world.read().encode()).hexdigest() == digest.hexdigest()

    @pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
    async def test_of_20_mib_is_never_held_whole(self, world: World) -> None:
        chunks = ("x" * MIB for _ in range(20))
        await world.save("x")
        tracemalloc.start()
        try:
            await world.store.save_report(names=[LATEST], chunks=chunks, media_type=HTML, started_at=SIX)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak_bytes < 10 * MIB


class TestTheLatest:
    @pytest.mark.parametrize(
        ("started_at", "left"),
        [
            pytest.param(SIX - timedelta(microseconds=1), "first", id="not by an older run's"),
            pytest.param(SIX, "second", id="by the same run's"),
            pytest.param(SIX + timedelta(microseconds=1), "second", id="by a newer run's"),
        ],
    )
    async def test_is_replaced(self, world: World, started_at: datetime, left: str) -> None:
        await world.save("first")
        await world.save("second", started_at=started_at)
        assert world.read() == left

    async def test_stays_while_an_older_run_s_report_gets_its_own_name(self, world: World) -> None:
        await world.save("newer", "newer.html", LATEST)
        await world.save("older", "older.html", LATEST, started_at=SIX - timedelta(days=1))
        assert (world.read("older.html"), world.read()) == ("older", "newer")

    async def test_stays_as_it_is_when_an_older_run_comes_with_another_media_type(self, world: World) -> None:
        await world.save("newer")
        await world.save("older", started_at=SIX - timedelta(days=1), media_type="text/plain")
        assert world.properties().content_settings.content_type == HTML

    async def test_that_somebody_else_wrote_is_replaced(self, world: World) -> None:
        await world.save("first", "daily.html")
        world.put("by hand")
        await world.save("second")
        assert world.read() == "second"

    async def test_gets_shorter_with_a_shorter_report(self, world: World) -> None:
        await world.save("a longer report")
        await world.save("short")
        assert world.read() == "short"


class TestTwoAtOnce:
    @pytest.mark.parametrize("before", [False, True], ids=["at first", "after another run"])
    @pytest.mark.parametrize("later_first", [False, True], ids=["the later last", "the later first"])
    async def test_end_with_the_later_run_s(self, world: World, before: bool, later_first: bool) -> None:
        if before:
            await world.save("before", started_at=SIX - timedelta(days=1))
        runs = [("earlier", SIX), ("later", SIX + timedelta(hours=1))]
        await asyncio.gather(
            *(
                world.save(text, f"{text}.html", LATEST, started_at=started_at)
                for text, started_at in (reversed(runs) if later_first else runs)
            )
        )
        assert world.read() == "later"
        assert (world.read("earlier.html"), world.read("later.html")) == ("earlier", "later")

    async def test_of_one_run_leave_its_report(self, world: World) -> None:
        await asyncio.gather(*(world.save("<p>") for _ in range(3)))
        assert world.read() == "<p>"

    async def test_of_many_end_with_the_last_one_s(self, world: World) -> None:
        ended = await asyncio.gather(
            *(world.save(f"run {number}", started_at=SIX + timedelta(minutes=number)) for number in (2, 0, 3, 1)),
            return_exceptions=True,
        )
        assert {type(error) for error in ended if error} <= {StoreUnavailableError}
        assert world.read() == "run 3"


class TestWhenStorage:
    async def test_forbids_it_says_so_and_shows_no_key(self, azurite: Azurite) -> None:
        wrong_key = StorageAccount.generate("x").key
        connection_string = azurite.connection_string.replace(azurite.account_key, wrong_key)
        async with open_world(azurite, connection_string) as world:
            with pytest.raises(AccessDeniedError) as refused:
                await world.save("x")
        assert refused.value.place == f"{world.container}/{LATEST}"
        assert wrong_key not in str(refused.value)

    @pytest.mark.parametrize(
        ("method", "status", "code", "kind"),
        [
            ("HEAD", 403, "AuthorizationFailure", AccessDeniedError),
            ("PUT", 403, "AuthorizationPermissionMismatch", AccessDeniedError),
            ("HEAD", 503, "ServerBusy", StoreUnavailableError),
            ("PUT", 503, "ServerBusy", StoreUnavailableError),
            ("PUT", 412, "ConditionNotMet", StoreUnavailableError),
            ("PUT", 409, "BlobAlreadyExists", StoreUnavailableError),
        ],
    )
    async def test_refuses_it_is_a_store_error(
        self, behind_proxy: World, fault_proxy: FaultProxy, method: str, status: int, code: str, kind: type[StoreError]
    ) -> None:
        fault_proxy.inject(on(method, f"*/{LATEST}"), AnswerStatus(status, code))
        with pytest.raises(kind) as refused:
            await behind_proxy.save("x", "daily.html", LATEST)
        assert refused.value.place == f"{behind_proxy.container}/{LATEST}"
        assert behind_proxy.names() == ["daily.html"]

    async def test_forbids_making_the_container_is_a_store_error(
        self, behind_proxy: World, fault_proxy: FaultProxy
    ) -> None:
        fault_proxy.inject(on("PUT", restype="container"), AnswerStatus(403, "AuthorizationPermissionMismatch"))
        with pytest.raises(AccessDeniedError):
            await behind_proxy.save("x")
        with pytest.raises(ResourceNotFoundError):
            behind_proxy.names()

    @pytest.mark.parametrize("action", [AnswerStatus(503, "ServerBusy"), LoseAnswer()], ids=["is busy", "falls silent"])
    @pytest.mark.parametrize("before", [False, True], ids=["at first", "after another run"])
    async def test_works_again_after_a_while_has_the_report(
        self, behind_proxy: World, fault_proxy: FaultProxy, action: AnswerStatus | LoseAnswer, before: bool
    ) -> None:
        await behind_proxy.save("x", "daily.html")
        if before:
            await behind_proxy.save("before", started_at=SIX - timedelta(days=1))
        rule = fault_proxy.inject(on("PUT", f"*/{LATEST}"), action, times=2)
        await behind_proxy.save("<p>")
        assert rule.is_spent
        assert behind_proxy.read() == "<p>"

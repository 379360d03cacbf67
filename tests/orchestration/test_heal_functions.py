"""The functions of heals as the host calls them: its messages reach the worker, and its requests the levers."""

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, Final, cast

import pytest
from azure.functions import QueueMessage

from adapters.heal_messages import to_message
from adapters.settings import Settings
from drift.decide import job_id
from drift.healing.delivering import Deliveries
from drift.healing.levers import Levers
from drift.healing.worker import Fate, Healer
from drift.service import healing
from drift.service.healing import HealService
from records.errors import LeaseLostError, SettingsError, StoreUnavailableError
from records.heal_ledger import HealRow, HealStep
from records.heals import MOST_TRIES, POISON_QUEUE, QUEUE, HealJob
from tests.fakes_drift import MemoryCheckStore, MemoryHealLedger, MemoryHealQueue
from tests.service_world import (
    SIX,
    AppHost,
    InvocationContext,
    ServiceWorld,
    TraceContext,
    import_app,
    open_service_world,
)
from tests.world.azurite import Azurite

ROOT: Final = Path(__file__).parents[2]
CANARY: Final = "canary-5a7f0c"
CONTEXT: Final = InvocationContext(TraceContext())
GROUND: Final[dict[str, Any]] = {
    "market": "de",
    "stack": "network",
    "lineage": "edd2705f",
    "serial": 42,
    "fingerprint": "f" * 64,
}


def job(**changes: Any) -> HealJob:
    values: dict[str, Any] = {
        **GROUND,
        "job_id": job_id(**GROUND),
        "bundle_sha256": "b" * 64,
        "addresses": ("azurerm_subnet.a",),
        "queued_at": SIX,
        "expires_at": SIX + timedelta(hours=2),
    }
    return HealJob(**values | changes)


async def no_markets() -> tuple[str, ...]:
    return ()


def body_of(one: HealJob) -> bytes:
    return to_message(one)


@dataclass(slots=True)
class ListeningHealer:
    """Stands in for the worker: hears what the functions hand on, and does as it is told."""

    fate: Fate = Fate.DONE
    error: Exception | None = None
    healed: list[bytes] = field(default_factory=list)
    failed: list[bytes] = field(default_factory=list)

    async def heal(self, body: bytes) -> Fate:
        self.healed.append(body)
        if self.error:
            raise self.error
        return self.fate

    async def fail(self, body: bytes) -> None:
        self.failed.append(body)
        if self.error:
            raise self.error


@dataclass(slots=True)
class Functions:
    """The app's functions over a healer that listens, and levers in memory."""

    app: ModuleType
    healer: ListeningHealer = field(default_factory=ListeningHealer)
    queue: MemoryHealQueue = field(default_factory=lambda: MemoryHealQueue(clock=lambda: SIX))

    async def service(self) -> HealService:
        levers = Levers(
            ledger=MemoryHealLedger(),
            checks=MemoryCheckStore(),
            queue=self.queue,
            known_markets=no_markets,
            expires_after=timedelta(hours=2),
            clock=lambda: SIX,
        )
        deliveries = Deliveries(healer=cast(Healer, self.healer), queue=self.queue, clock=lambda: SIX)
        return HealService(deliveries=deliveries, levers=levers)

    async def deliver(self, function: str, body: bytes) -> None:
        await AppHost(self.app).functions[function](message=QueueMessage(id="1", body=body), context=CONTEXT)


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Functions:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    app = import_app()
    functions = Functions(app)
    monkeypatch.setattr(app, "heal_service", functions.service)
    return functions


class TestAMessage:
    @pytest.mark.parametrize("body", [b"", b"not JSON", b"\xff\xfe", body_of(job())])
    async def test_reaches_the_worker_as_it_is(self, functions: Functions, body: bytes) -> None:
        await functions.deliver("heal_stack", body)
        assert (functions.healer.healed, functions.healer.failed, functions.queue.sent) == ([body], [], [])

    async def test_that_failed_too_often_ends_its_job(self, functions: Functions) -> None:
        await functions.deliver("heal_poison", body_of(job()))
        assert (functions.healer.healed, functions.healer.failed) == ([], [body_of(job())])

    @pytest.mark.parametrize("function", ["heal_stack", "heal_poison"])
    @pytest.mark.parametrize("error", [StoreUnavailableError("heals", "503"), LeaseLostError("de/network")])
    async def test_that_cannot_be_worked_on_is_left_to_the_host(
        self, functions: Functions, function: str, error: Exception
    ) -> None:
        functions.healer.error = error
        with pytest.raises(type(error)):
            await functions.deliver(function, body_of(job()))

    async def test_whose_worker_breaks_is_left_to_the_host_without_what_it_broke_on(
        self, functions: Functions, caplog: pytest.LogCaptureFixture
    ) -> None:
        functions.healer.error = KeyError(CANARY)
        with pytest.raises(healing.HealBrokeError, match=r"^KeyError$") as caught:
            await functions.deliver("heal_stack", body_of(job()))
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
        assert [(one.name, one.levelno) for one in caplog.records] == [("drift.service.healing", logging.ERROR)]
        assert "in heal\n" in caplog.text
        assert CANARY not in caplog.text


class TestAMessageWhoseStackAnotherWorkerHas:
    async def deliver(self, functions: Functions, one: HealJob) -> list[int]:
        functions.healer.fate = Fate.LATER
        await functions.deliver("heal_stack", body_of(one))
        return functions.queue.delays

    async def test_comes_again_in_a_minute_as_it_was(self, functions: Functions) -> None:
        assert await self.deliver(functions, job()) == [60]
        assert functions.queue.sent == [job()]

    @pytest.mark.parametrize(
        ("seconds_left", "delays"),
        [(7200, [60]), (66, [60]), (65, [60]), (64, [59]), (6, [1]), (5, []), (0, []), (-1, [])],
    )
    async def test_comes_again_before_it_expires_or_never(
        self, functions: Functions, seconds_left: int, delays: list[int]
    ) -> None:
        assert await self.deliver(functions, job(expires_at=SIX + timedelta(seconds=seconds_left))) == delays

    async def test_is_left_to_the_host_where_it_cannot_be_sent(self, functions: Functions) -> None:
        functions.queue.refuse("send", StoreUnavailableError(QUEUE, "503"))
        with pytest.raises(StoreUnavailableError):
            await self.deliver(functions, job())


class TestAnAppThatCanHealNothing:
    @pytest.mark.parametrize("body", [body_of(job()), b"not JSON"])
    async def test_has_the_message_wait_and_no_try_of_it_counts(
        self, functions: Functions, body: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        functions.healer.error = SettingsError("there is no terraform")
        await functions.deliver("heal_stack", body)
        is_a_job = body == body_of(job())
        assert (functions.queue.sent, functions.queue.delays) == (([job()], [60]) if is_a_job else ([], []))
        assert "the message waits for an app that can heal: there is no terraform" in caplog.text

    async def test_leaves_it_to_the_host_where_it_cannot_be_sent(self, functions: Functions) -> None:
        functions.healer.error = SettingsError("there is no terraform")
        functions.queue.refuse("send", StoreUnavailableError(QUEUE, "503"))
        with pytest.raises(StoreUnavailableError):
            await functions.deliver("heal_stack", body_of(job()))


def test_the_host_tries_as_often_as_the_terminal_and_decodes_what_is_sent() -> None:
    queues = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))["extensions"]["queues"]
    assert queues["maxDequeueCount"] == MOST_TRIES
    assert queues["messageEncoding"] == "base64"
    # As the host names the queue of what failed.
    assert f"{QUEUE}-poison" == POISON_QUEUE


@pytest.fixture
async def world(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServiceWorld]:
    async with open_service_world(azurite, monkeypatch) as world:
        locks = world.estate.containers.registry.replace("registry", "locks")
        monkeypatch.setenv("LOCKS_CONTAINER", locks)
        app = import_app()
        monkeypatch.setattr(app, "utc_now", world.clock)
        yield ServiceWorld(world.azurite, world.estate, AppHost(app), world.reports_container, world.clock)
        await app.heal_service.close()


@pytest.mark.azurite
async def test_a_heal_goes_through_the_app_on_storage_and_is_told_over_http(world: ServiceWorld) -> None:
    """Of a market that has no records any more, so that it is held before there is anything to plan."""
    service: HealService = await world.host.module.heal_service()
    row = HealRow(job=job(), step=HealStep.QUEUED, run_id="plans-1").moved(HealStep.QUEUED, at=SIX)
    await service.levers.ledger.put(row=row, replaces=None)
    await world.host.functions["heal_stack"](message=QueueMessage(id="1", body=body_of(job())), context=CONTEXT)

    async def ask(function: str, method: str = "GET", **given: Any) -> tuple[int, dict[str, Any]]:
        response = await world.host.request(function, method=method, **given)
        return response.status_code, json.loads(response.get_body())

    status, told = await ask("get_heals")
    assert (status, [heal["step"] for heal in told["heals"]]) == (200, ["held"])
    status, told = await ask("get_holds")
    assert (status, [hold["job_id"] for hold in told["holds"]]) == (200, [job().job_id])
    body = json.dumps({"by": "anne@example.com", "reason": "gone for good"}).encode()
    status, told = await ask("approve_heal", "POST", job=job().job_id, body=body)
    assert (status, told["type"]) == (409, "urn:trueup:problem:lever-refused")
    status, told = await ask("reject_heal", "POST", job=job().job_id, body=body)
    assert (status, told["step"]) == (200, "rejected")
    status, told = await ask("pause_heals", "POST", body=body)
    assert (status, len(told["pauses"])) == (200, 1)
    status, told = await ask("resume_heals", "POST", body=body)
    assert (status, told["pauses"]) == (200, [])

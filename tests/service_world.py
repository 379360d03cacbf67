"""The Functions app in a test: its real functions, on storage of its own, called by the Durable hub of `tests.world`."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import ModuleType
from typing import Any, Final

import pytest
from azure.data.tables import TableServiceClient
from azure.durable_functions.models.utils import http_utils
from azure.functions import HttpRequest, HttpResponse
from azure.storage.blob import BlobServiceClient

from adapters.table_names import PINS_TABLE, RESULTS_TABLE, RUNS_TABLE, WORK_TABLE
from records.engine import RunRequest
from records.results import Run
from records.runs import WHOLE_SCOPE, Scope, Trigger
from tests.estates import AzuriteEstate, delete_tables, fresh_containers
from tests.world.azurite import Azurite
from tests.world.durable import DurableHub

SIX: Final = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)
DAILY: Final = "daily-2026-11-25"
FUNCTION_KEY: Final = "function-key-that-must-not-leak"
API: Final = "https://trueup.azurewebsites.net/api"


@dataclass(frozen=True, slots=True)
class TraceContext:
    trace_parent: str | None = None
    trace_state: str | None = None


@dataclass(frozen=True, slots=True)
class InvocationContext:
    """What the worker hands a function as ``context``."""

    trace_context: TraceContext
    invocation_id: str = "0"


@dataclass(frozen=True, slots=True)
class OrchestrationBody:
    """What the worker hands an orchestrator."""

    body: str


@dataclass(slots=True)
class AppHost:
    """Calls the functions of the app as the worker does: plain JSON in and out."""

    module: ModuleType
    functions: dict[str, Callable[..., Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.functions = {
            function.get_function_name(): function.get_user_function() for function in self.module.app.get_functions()
        }

    async def orchestrate(self, name: str, body: str, traceparent: str | None) -> str:
        state: str = self.functions[name](OrchestrationBody(body))
        return state

    async def act(self, name: str, input_json: str, traceparent: str | None) -> str:
        result = await self.functions[name](payload=json.loads(input_json), context=_invocation(traceparent))
        return json.dumps(result)

    async def tick(self, binding: str, *, traceparent: str | None = None) -> None:
        await self.functions["reconcile_daily"](timer=None, client=binding, context=_invocation(traceparent))

    async def request(
        self,
        function: str,
        *,
        method: str = "GET",
        path: str = "",
        body: bytes = b"",
        binding: str | None = None,
        **route_params: str,
    ) -> HttpResponse:
        request = HttpRequest(
            method=method, url=f"{API}/{path}?code={FUNCTION_KEY}", route_params=route_params, body=body
        )
        arguments = {"client": binding} if binding else {}
        response: HttpResponse = await self.functions[function](req=request, context=_invocation(None), **arguments)
        return response


@dataclass(slots=True)
class SetClock:
    """Tells the time that it was set to."""

    now: datetime = SIX

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True, slots=True)
class ServiceWorld:
    """The app on an estate of its own in Azurite, with a clock that stands still unless it is moved."""

    azurite: Azurite
    estate: AzuriteEstate
    host: AppHost
    reports_container: str
    clock: SetClock

    def set_clock(self, now: datetime) -> None:
        self.clock.now = now

    def rows(self) -> dict[str, list[Mapping[str, Any]]]:
        """All rows of all tables, without what storage adds."""
        with TableServiceClient.from_connection_string(self.azurite.connection_string) as service:
            return {
                table: [dict(row) for row in service.get_table_client(table).list_entities()]
                for table in (RESULTS_TABLE, RUNS_TABLE, WORK_TABLE, PINS_TABLE)
                if table in {known.name for known in service.list_tables()}
            }

    def report(self, name: str) -> bytes:
        return bytes(self.estate.service.get_blob_client(self.reports_container, name).download_blob().readall())

    def reports(self) -> list[str]:
        container = self.estate.service.get_container_client(self.reports_container)
        return sorted(container.list_blob_names()) if container.exists() else []

    def forget(self) -> None:
        """Leaves the estate as before its first run."""
        delete_tables(self.azurite.connection_string)
        for name in self.reports():
            self.estate.service.get_blob_client(self.reports_container, name).delete_blob()


@asynccontextmanager
async def open_service_world(
    azurite: Azurite, monkeypatch: pytest.MonkeyPatch, **settings: str
) -> AsyncIterator[ServiceWorld]:
    """An empty estate, and the app imported anew with settings that name it."""
    containers = fresh_containers()
    reports = containers.registry.replace("registry", "reports")
    environment = {
        "ESTATE_CONNECTION_STRING": azurite.connection_string,
        "REGISTRY_CONTAINER": containers.registry,
        "TRACKERS_CONTAINER": containers.trackers,
        "STATES_CONTAINER": containers.states,
        "REPORTS_CONTAINER": reports,
        "REREAD_DELAY_SECONDS": "0",
        "RETRY_TOTAL": "1",
        "RETRY_BACKOFF_SECONDS": "0.01",
        **settings,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    delete_tables(azurite.connection_string)
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        for container in (containers.registry, containers.trackers, containers.states):
            service.create_container(container)
        module = import_app()
        clock = SetClock()
        monkeypatch.setattr(module, "utc_now", clock)
        world = ServiceWorld(azurite, AzuriteEstate(service, containers), AppHost(module), reports, clock)
        try:
            yield world
        finally:
            await module.service.close()
            await http_utils._close_session()
            delete_tables(azurite.connection_string)


def import_app() -> ModuleType:
    """The app as a new process imports it: its settings are those of the environment now."""
    sys.modules.pop("function_app", None)
    return importlib.import_module("function_app")


def daily_request(scope: Scope = WHOLE_SCOPE) -> str:
    return json.dumps(RunRequest(run=Run(run_id=DAILY, started_at=SIX), trigger=Trigger.TIMER, scope=scope).to_json())


async def run_daily(world: ServiceWorld, hub: DurableHub, scope: Scope = WHOLE_SCOPE) -> None:
    """Starts the day's run past the timer, and runs it to its end."""
    await hub.start("reconcile_estate", DAILY, daily_request(scope))
    await hub.run(DAILY)


def _invocation(traceparent: str | None) -> InvocationContext:
    return InvocationContext(TraceContext(trace_parent=traceparent))

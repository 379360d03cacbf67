"""Durable Functions seen through its client binding: what is made of each answer, and of what it raises."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

import aiohttp
import pytest
from azure.durable_functions.models.DurableOrchestrationStatus import DurableOrchestrationStatus
from azure.durable_functions.models.OrchestrationRuntimeStatus import OrchestrationRuntimeStatus
from pydantic import JsonValue

from adapters.durable_engine import DurableEngine, OrchestrationStatus
from records.engine import Instance, InstanceState
from records.errors import EngineUnavailableError
from records.runs import Scope, Trigger
from tests.fakes_service import DAILY, request_of

KEY: Final = "system-key-that-must-not-leak"
URL: Final = f"http://127.0.0.1:17071/runtime/webhooks/durabletask/instances/{DAILY.run_id}?code={KEY}"
ORCHESTRATOR: Final = "reconcile_estate"
REQUEST: Final = request_of()
OTHER: Final = request_of(scope=Scope(markets=("de",)), trigger=Trigger.HTTP)

Answer = OrchestrationStatus | BaseException


def status(runtime_status: str | None, input_: object = None) -> OrchestrationStatus:
    """As the extension describes an orchestration that it knows."""
    described: OrchestrationStatus = DurableOrchestrationStatus.from_json(
        {
            "name": ORCHESTRATOR,
            "instanceId": DAILY.run_id,
            "createdTime": "2026-11-25T06:00:00Z",
            "runtimeStatus": runtime_status,
            "input": json.dumps(REQUEST.to_json()) if input_ is None else input_,
        }
    )
    return described


NONE_THERE: Final[OrchestrationStatus] = DurableOrchestrationStatus.from_json("")
"""What the client makes of a 404."""


class FakeClient:
    """A client binding that gives or raises what it is told to, and remembers what was started."""

    def __init__(self, *statuses: Answer, start: BaseException | None = None) -> None:
        self.started: list[tuple[str, str | None, JsonValue]] = []
        self.asked: list[tuple[str, bool]] = []
        self._statuses = list(statuses)
        self._start = start

    async def start_new(
        self, orchestration_function_name: str, instance_id: str | None = None, client_input: JsonValue = None
    ) -> str:
        self.started.append((orchestration_function_name, instance_id, client_input))
        if self._start:
            raise self._start
        return str(instance_id)

    async def get_status(
        self,
        instance_id: str,
        show_history: bool = False,
        show_history_output: bool = False,
        show_input: bool = False,
    ) -> OrchestrationStatus:
        self.asked.append((instance_id, show_input))
        answer = self._statuses.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def engine_of(client: FakeClient) -> DurableEngine:
    return DurableEngine(client, orchestrator=ORCHESTRATOR)


async def instance(given: Answer) -> Instance | None:
    return await engine_of(FakeClient(given)).instance(instance_id=DAILY.run_id)


async def start(client: FakeClient) -> None:
    await engine_of(client).start(instance_id=DAILY.run_id, request=REQUEST)


STATES: Final = {
    OrchestrationRuntimeStatus.Pending: InstanceState.RUNNING,
    OrchestrationRuntimeStatus.Running: InstanceState.RUNNING,
    OrchestrationRuntimeStatus.ContinuedAsNew: InstanceState.RUNNING,
    OrchestrationRuntimeStatus.Suspended: InstanceState.RUNNING,
    OrchestrationRuntimeStatus.Completed: InstanceState.COMPLETED,
    OrchestrationRuntimeStatus.Failed: InstanceState.FAILED,
    OrchestrationRuntimeStatus.Canceled: InstanceState.FAILED,
    OrchestrationRuntimeStatus.Terminated: InstanceState.FAILED,
}


class TestAnInstance:
    @pytest.mark.parametrize("runtime_status", OrchestrationRuntimeStatus, ids=lambda status: str(status.name))
    async def test_has_a_state_for_each_of_the_sdk_s(self, runtime_status: OrchestrationRuntimeStatus) -> None:
        found = await instance(status(runtime_status.name))
        assert found == Instance(state=STATES[runtime_status], request=REQUEST)

    async def test_of_no_state_is_taken_for_one_that_runs(self) -> None:
        found = await instance(status(None))
        assert found is not None
        assert found.state is InstanceState.RUNNING

    async def test_that_never_was_is_none(self) -> None:
        assert await instance(NONE_THERE) is None

    async def test_is_asked_for_with_its_input(self) -> None:
        client = FakeClient(status("Running"))
        await engine_of(client).instance(instance_id=DAILY.run_id)
        assert client.asked == [(DAILY.run_id, True)]

    @pytest.mark.parametrize(
        "input_",
        [
            pytest.param(json.dumps(OTHER.to_json()), id="as text"),
            pytest.param(OTHER.to_json(), id="as values"),
            pytest.param(OTHER.to_json() | {"of_a_later_version": 1}, id="with a field of a later version"),
        ],
    )
    async def test_has_what_was_asked_for(self, input_: object) -> None:
        found = await instance(status("Running", input_))
        assert found is not None
        assert found.request == OTHER

    @pytest.mark.parametrize(
        "input_",
        [
            pytest.param("", id="nothing"),
            pytest.param("not JSON", id="something else than JSON"),
            pytest.param("null", id="null"),
            pytest.param([], id="a list"),
            pytest.param(7, id="a number"),
            pytest.param({}, id="an empty object"),
            pytest.param({"run": {"run_id": "x"}, "trigger": "timer"}, id="an object that lacks something"),
            pytest.param(REQUEST.to_json() | {"trigger": "of a later version"}, id="a word of a later version"),
            pytest.param(REQUEST.to_json() | {"scope": {"regions": ["emea"]}}, id="a scope of a later version"),
        ],
    )
    async def test_of_a_foreign_input_has_no_request(self, input_: object) -> None:
        found = await instance(status("Running", input_))
        assert found == Instance(state=InstanceState.RUNNING, request=None)


RAISED: Final[list[Any]] = [
    pytest.param(lambda: Exception(f"The operation failed with an unexpected status code 401 {URL}"), id="a refusal"),
    pytest.param(lambda: Exception({"Message": URL, "ExceptionMessage": KEY}), id="a refusal with a document"),
    pytest.param(lambda: Exception(f"Orchestrator function '{KEY}' doesn't exist"), id="no such orchestrator"),
    pytest.param(lambda: KeyError(f"ExceptionMessage {KEY}"), id="a document of another form"),
    pytest.param(lambda: json.JSONDecodeError("Expecting value", URL, 0), id="an answer that is no JSON"),
    pytest.param(lambda: TypeError(URL), id="an answer of another form"),
    pytest.param(TimeoutError, id="a time-out"),
    pytest.param(lambda: TimeoutError(URL), id="a time-out with a URL"),
    pytest.param(lambda: aiohttp.ClientConnectionError(f"Cannot connect to {URL}"), id="no connection"),
    pytest.param(lambda: aiohttp.ServerDisconnectedError(URL), id="a connection that ended"),
    pytest.param(lambda: aiohttp.InvalidURL(URL), id="a URL that is none"),
    pytest.param(lambda: aiohttp.ServerTimeoutError(URL), id="aiohttp's own time-out"),
]


def shows_nothing_of_it(error: EngineUnavailableError) -> bool:
    """Also not in a traceback: what it came of must not be printed with it."""
    told = f"{error} {error!r} {error.args}"
    return KEY not in told and "http" not in told and error.__cause__ is None and error.__suppress_context__


class TestAnEngineThatRaises:
    @pytest.mark.parametrize("raised", RAISED)
    async def test_when_it_is_asked_is_unavailable_and_shows_no_url_and_no_key(
        self, raised: Callable[[], BaseException]
    ) -> None:
        with pytest.raises(EngineUnavailableError) as unavailable:
            await instance(raised())
        assert shows_nothing_of_it(unavailable.value)

    @pytest.mark.parametrize("then", [NONE_THERE, status("Completed"), status("Failed"), status("Terminated")])
    @pytest.mark.parametrize("raised", RAISED)
    async def test_when_it_is_to_start_one_is_unavailable_and_shows_no_url_and_no_key(
        self, raised: Callable[[], BaseException], then: OrchestrationStatus
    ) -> None:
        with pytest.raises(EngineUnavailableError) as unavailable:
            await start(FakeClient(then, start=raised()))
        assert shows_nothing_of_it(unavailable.value)

    @pytest.mark.parametrize("raised", RAISED)
    async def test_twice_is_unavailable_and_shows_no_url_and_no_key(self, raised: Callable[[], BaseException]) -> None:
        with pytest.raises(EngineUnavailableError) as unavailable:
            await start(FakeClient(raised(), start=raised()))
        assert shows_nothing_of_it(unavailable.value)

    @pytest.mark.parametrize(
        ("raised", "reason"),
        [
            (TimeoutError(URL), "Durable Functions does not answer (TimeoutError)"),
            (aiohttp.ServerDisconnectedError(URL), "Durable Functions does not answer (ServerDisconnectedError)"),
            (Exception(URL), "Durable Functions refused; the host's log says why"),
        ],
        ids=["in time", "at all", "well"],
    )
    async def test_says_what_kind_of_thing_it_was(self, raised: Exception, reason: str) -> None:
        with pytest.raises(EngineUnavailableError) as unavailable:
            await instance(raised)
        assert str(unavailable.value) == reason


class TestAStart:
    async def test_names_the_orchestrator_the_instance_and_what_is_asked_for(self) -> None:
        client = FakeClient()
        await start(client)
        assert client.started == [(ORCHESTRATOR, DAILY.run_id, REQUEST.to_json())]
        assert client.asked == []

    @pytest.mark.parametrize("runtime_status", ["Pending", "Running", "Suspended", "ContinuedAsNew"])
    @pytest.mark.parametrize("raised", RAISED)
    async def test_of_what_runs_already_is_silent(
        self, raised: Callable[[], BaseException], runtime_status: str
    ) -> None:
        client = FakeClient(status(runtime_status), start=raised())
        await start(client)
        assert len(client.started) == 1

    async def test_of_what_somebody_else_runs_is_silent_too(self) -> None:
        await start(FakeClient(status("Running", "foreign"), start=Exception(URL)))

    async def test_can_be_cancelled(self) -> None:
        with pytest.raises(asyncio.CancelledError):
            await start(FakeClient(start=asyncio.CancelledError()))

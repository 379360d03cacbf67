"""Durable Functions as an engine, through its client binding (``azure.durable_functions.DurableOrchestrationClient``)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import aiohttp
from pydantic import JsonValue

from records.engine import Instance, InstanceState, NoSuchMessageError, RunRequest
from records.errors import EngineUnavailableError


class Named(Protocol):
    """A member of an enumeration."""

    @property
    def name(self) -> str: ...


class OrchestrationStatus(Protocol):
    """What the client says of an orchestration; false where there is none."""

    @property
    def runtime_status(self) -> Named | None: ...

    @property
    def input_(self) -> object: ...

    def __bool__(self) -> bool: ...


class DurableClient(Protocol):
    """The client binding, as far as it is used."""

    async def start_new(
        self, orchestration_function_name: str, instance_id: str | None = None, client_input: JsonValue = None
    ) -> str: ...

    async def get_status(
        self,
        instance_id: str,
        show_history: bool = False,
        show_history_output: bool = False,
        show_input: bool = False,
    ) -> OrchestrationStatus: ...


_STATES: Final = {
    "Pending": InstanceState.RUNNING,
    "Running": InstanceState.RUNNING,
    "ContinuedAsNew": InstanceState.RUNNING,
    "Suspended": InstanceState.RUNNING,
    "Completed": InstanceState.COMPLETED,
    "Failed": InstanceState.FAILED,
    "Canceled": InstanceState.FAILED,
    "Terminated": InstanceState.FAILED,
}


class DurableEngine:
    """An `Engine` of one orchestrator function."""

    def __init__(self, client: DurableClient, *, orchestrator: str) -> None:
        self._client = client
        self._orchestrator = orchestrator

    async def instance(self, *, instance_id: str) -> Instance | None:
        with _translated():
            status = await self._client.get_status(instance_id, show_input=True)
        if not status:
            if _is_an_error(status):
                raise EngineUnavailableError("Durable Functions could not say what runs; the host's log says why")
            return None
        name = status.runtime_status.name if status.runtime_status else ""
        return Instance(state=_STATES.get(name, InstanceState.RUNNING), request=_request(status.input_))

    async def start(self, *, instance_id: str, request: RunRequest) -> None:
        try:
            with _translated():
                await self._client.start_new(self._orchestrator, instance_id, request.to_json())
        except EngineUnavailableError:
            # The extension refuses a second start of what runs (host.json: NonRunningStates) with a plain 409.
            instance = await self.instance(instance_id=instance_id)
            if instance is None or instance.state is not InstanceState.RUNNING:
                raise


def _is_an_error(status: OrchestrationStatus) -> bool:
    """The client makes the same object of a 404, which has no body, and of an error document."""
    return any(value for name, value in vars(status).items() if not name.startswith("_"))


def _request(value: object) -> RunRequest | None:
    try:
        return RunRequest.from_json(value)
    except NoSuchMessageError:
        return None


@contextmanager
def _translated() -> Iterator[None]:
    """The client raises plain exceptions whose text can hold the host's URL and key: only what kind it was is told."""
    try:
        yield
    except (TimeoutError, aiohttp.ClientError) as error:
        raise EngineUnavailableError(f"Durable Functions does not answer ({type(error).__name__})") from None
    except Exception:  # noqa: BLE001 (the client raises Exception itself for every status that it does not expect)
        raise EngineUnavailableError("Durable Functions refused; the host's log says why") from None

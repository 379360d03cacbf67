"""What starts and carries a run that is spread over many machines: Durable Functions, seen from within."""

from enum import StrEnum
from typing import Protocol, Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from records.results import Run
from records.runs import WHOLE_SCOPE, Scope, Trigger


class NoSuchMessageError(ValueError):
    """Something else than the message that was expected; the text names the fields that are wrong, and no value."""


class Message(BaseModel):
    """A value that an orchestration's history keeps, always as plain JSON: names and numbers, never a result."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def to_json(self) -> dict[str, JsonValue]:
        """Plain values, which the SDK writes as they are."""
        plain: dict[str, JsonValue] = self.model_dump(mode="json")
        return plain

    @classmethod
    def from_json(cls, value: object) -> Self:
        """From plain values, or from JSON text, as a history gives an input.

        Raises:
            NoSuchMessageError: it is no such message.
        """
        try:
            return cls.model_validate_json(value) if isinstance(value, str) else cls.model_validate(value)
        except ValidationError as error:
            wrong = [".".join(map(str, detail["loc"])) for detail in error.errors(include_input=False)]
            raise NoSuchMessageError(f"no {cls.__name__}: {', '.join(wrong)}") from None


class RunRequest(Message):
    """A run that was asked for."""

    run: Run
    trigger: Trigger
    scope: Scope = WHOLE_SCOPE


class InstanceState(StrEnum):
    """What the engine says of an orchestration."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class Instance(Message):
    """An orchestration that the engine knows; ``request`` is None where its input is not one of ours."""

    state: InstanceState
    request: RunRequest | None


class Engine(Protocol):
    """Starts orchestrations of the estate."""

    async def instance(self, *, instance_id: str) -> Instance | None:
        """What is known of it; None where there is no such orchestration.

        Raises:
            EngineUnavailableError: the engine does not answer.
        """

    async def start(self, *, instance_id: str, request: RunRequest) -> None:
        """Starts one. Where one of this id runs already, that one goes on and nothing is started.

        Raises:
            EngineUnavailableError: the engine did not take it.
        """

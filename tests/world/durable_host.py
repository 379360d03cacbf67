"""What a hub asks of whoever runs the functions, and the errors that a hub raises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class FunctionHost(Protocol):
    """Runs functions by name, as the worker does: in this process, in another one, or behind a wire."""

    async def orchestrate(self, name: str, body: str, traceparent: str | None) -> str:
        """Run one episode of an orchestrator over the context in `body`, and answer its state as JSON.

        An orchestrator that fails raises, with `$OutOfProcData$:` and the state at the end of the text.
        """
        ...

    async def act(self, name: str, input_json: str, traceparent: str | None) -> str:
        """Run an activity, JSON in and JSON out. Whatever it raises is the activity's failure."""
        ...


@dataclass(frozen=True, slots=True)
class ActivityCall:
    """One scheduled activity. A delivery that is repeated is the same call."""

    name: str
    input_json: str
    instance_id: str
    execution_id: str
    task_id: int
    traceparent: str | None = None


class AlreadyRunningError(Exception):
    """An instance of that id is pending or running, and only one that has ended may be replaced."""


class NonDeterministicError(Exception):
    """An orchestrator answered otherwise than its own history, or its earlier answer, says."""


class CrashedError(Exception):
    """The hub has stopped where a fault told it to; what survives is its snapshot."""


class StuckError(Exception):
    """Nothing is left to do and the instance has not ended, so it never would."""


class InjectedFailureError(Exception):
    """What an activity fails with when a fault makes it fail."""

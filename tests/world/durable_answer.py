"""What an orchestrator answered, as the SDK's `OrchestratorState` writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from tests.world.durable_shim import Action

_LABEL: Final = "$OutOfProcData$:"


@dataclass(frozen=True, slots=True)
class Answer:
    """`error` is the first line of a failure's text. Without `has_state` nothing but the failure is known."""

    actions: list[Action]
    is_done: bool = False
    output: Any = None
    custom_status: Any = None
    error: str | None = None
    has_state: bool = True


def read_answer(text: str) -> Answer:
    return _from_state(json.loads(text))


def read_failure(text: str) -> Answer:
    """Read the state behind the label, and pass over what a worker puts behind the state."""
    message, label, state = text.partition(_LABEL)
    if not label:
        return Answer(actions=[], error=_first_line(message), has_state=False)
    return _from_state(json.JSONDecoder().raw_decode(state)[0])


def _from_state(state: dict[str, Any]) -> Answer:
    if state.get("schemaVersion", 0) < 1:
        raise NotImplementedError("this hub does not speak the first schema of orchestrator states")
    error = state.get("error")
    return Answer(
        actions=state["actions"][0],
        is_done=state["isDone"],
        output=state.get("output"),
        custom_status=state.get("customStatus"),
        error=None if error is None else _first_line(error),
    )


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]

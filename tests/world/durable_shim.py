"""How the extension carries out what an orchestrator of another language asks for.

The SDK answers every episode with the list of all its actions so far. The extension replays that list over the
history: it starts the first action, awaits it, and only then looks at the next (`OutOfProcOrchestrationShim`,
`ProcessAsyncActionsV2`). A WhenAll or WhenAny is one action that starts all its children at once. So an action
behind one that is not done is not scheduled, however ready the orchestrator is for it
(Azure/azure-functions-durable-python, pull request 457).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Final

from tests.world.durable_history import (
    MESSAGES,
    SCHEDULING,
    Event,
    EventType,
    as_timestamp,
    event,
    read_timestamp,
    task_id_of,
)
from tests.world.durable_host import NonDeterministicError

Action = dict[str, Any]


class ActionType(IntEnum):
    """The numbers of the SDK's `ActionType`, of those that this hub speaks."""

    CALL_ACTIVITY = 0
    CALL_ACTIVITY_WITH_RETRY = 1
    CALL_SUB_ORCHESTRATOR = 2
    CALL_SUB_ORCHESTRATOR_WITH_RETRY = 3
    CONTINUE_AS_NEW = 4
    CREATE_TIMER = 5
    WHEN_ANY = 11
    WHEN_ALL = 12


_FAILURES: Final = frozenset({EventType.TASK_FAILED, EventType.SUB_ORCHESTRATION_INSTANCE_FAILED})


class _Task:
    """What .NET would await. It tells the one task that contains it, if any, when it settles."""

    __slots__ = ("container", "done", "failed")

    def __init__(self) -> None:
        self.container: _Task | None = None
        self.done = False
        self.failed = False

    def settle(self, *, failed: bool = False) -> None:
        if self.done:
            return
        self.done, self.failed = True, failed
        if self.container is not None:
            self.container.child_settled(self)

    def child_settled(self, child: _Task) -> None:
        raise NotImplementedError

    def contain(self, child: _Task) -> None:
        child.container = self
        if child.done:
            self.child_settled(child)


class _WhenAll(_Task):
    __slots__ = ("_pending",)

    def __init__(self, children: Sequence[_Task]) -> None:
        super().__init__()
        self._pending = len(children)
        for child in children:
            self.contain(child)
        if not children:
            self.settle()

    def child_settled(self, child: _Task) -> None:
        self._pending -= 1
        if not self._pending:
            self.settle()


class _WhenAny(_Task):
    def __init__(self, children: Sequence[_Task]) -> None:
        super().__init__()
        for child in children:
            self.contain(child)

    def child_settled(self, child: _Task) -> None:
        self.settle()


class _WithRetry(_Task):
    """A call that is made again after each failure. A timer follows the last failure too: the SDK counts on it."""

    __slots__ = ("_action", "_attempts", "_is_waiting", "_replay")

    def __init__(self, replay: ActionReplay, action: Action) -> None:
        super().__init__()
        self._replay = replay
        self._action = action
        self._attempts = 0
        self._is_waiting = False
        self._attempt()

    def child_settled(self, child: _Task) -> None:
        options = self._action["retryOptions"]
        if self._is_waiting:
            self._is_waiting = False
            if self._attempts < options["maxNumberOfAttempts"]:
                self._attempt()
            else:
                self.settle(failed=True)
        elif child.failed:
            self._is_waiting = True
            delay = timedelta(milliseconds=options["firstRetryIntervalInMilliseconds"])
            self.contain(self._replay.create_timer(as_timestamp(self._replay.now + delay)))
        else:
            self.settle()

    def _attempt(self) -> None:
        self._attempts += 1
        self.contain(self._replay.call(self._action))


class ActionReplay:
    """One orchestrator's actions, replayed over its history.

    `open` holds the tasks that nothing has answered: DurableTask.Core completes no orchestration before they are,
    except for timers that were cancelled.
    """

    def __init__(self, execution_id: str) -> None:
        self.now = datetime.min.replace(tzinfo=UTC)
        self.open: dict[int, _Task] = {}
        self.continues_with: str | None = None
        self._execution_id = execution_id
        self._actions: Sequence[Action] = ()
        self._cursor = 0
        self._current: _Task | None = None
        self._has_started = False
        self._next_id = 0
        self._scheduled: dict[int, Event] = {}

    @property
    def is_through(self) -> bool:
        """Whether every action so far is done with, which leaves only what the orchestrator says next."""
        return self._has_started and self._cursor == len(self._actions)

    @property
    def behind(self) -> Sequence[Action]:
        """The action that is awaited, and those that are not looked at until it is done."""
        return self._actions[self._cursor :]

    def extend(self, actions: Sequence[Action]) -> None:
        """Take the whole list anew; it begins with the one before."""
        self._actions = actions

    def process(self, one: Event) -> None:
        match EventType(one["EventType"]):
            case EventType.ORCHESTRATOR_STARTED:
                self.now = read_timestamp(one["Timestamp"])
            case EventType.EXECUTION_STARTED:
                self._has_started = True
                self._advance()
            case kind if kind in SCHEDULING:
                self._expect(one)
            case kind if kind in MESSAGES:
                task = self.open.pop(task_id_of(one), None)
                if task is not None:
                    task.settle(failed=kind in _FAILURES)
                    self._advance()
            case _:
                pass

    def take_scheduled(self) -> list[Event]:
        """The tasks that no history knows yet, in the order of their ids."""
        scheduled = list(self._scheduled.values())
        self._scheduled = {}
        return scheduled

    def call(self, action: Action) -> _Task:
        payload = action.get("input")
        if action["actionType"] in {ActionType.CALL_ACTIVITY, ActionType.CALL_ACTIVITY_WITH_RETRY}:
            # The extension passes an array of parameters, whose one element is a string of JSON.
            return self._schedule(
                EventType.TASK_SCHEDULED, Name=action["functionName"], Version="", Input=json.dumps([payload])
            )
        return self._schedule(
            EventType.SUB_ORCHESTRATION_INSTANCE_CREATED,
            Name=action["functionName"],
            Version="",
            InstanceId=action.get("instanceId") or f"{self._execution_id}:{self._next_id}",
            Input=json.dumps(payload),
        )

    def create_timer(self, fire_at: str, *, is_cancelled: bool = False) -> _Task:
        timer = self._schedule(EventType.TIMER_CREATED, FireAt=fire_at)
        if is_cancelled:
            self.open.pop(self._next_id - 1)
            timer.settle()
        return timer

    def _schedule(self, event_type: EventType, **fields: object) -> _Task:
        task_id = self._next_id
        self._next_id += 1
        self._scheduled[task_id] = event(event_type, task_id, **fields)
        self.open[task_id] = task = _Task()
        return task

    def _advance(self) -> None:
        while self._cursor < len(self._actions):
            if self._current is None:
                self._current = self._invoke(self._actions[self._cursor])
            if not self._current.done:
                return
            self._current = None
            self._cursor += 1

    def _invoke(self, action: Action) -> _Task:
        match action["actionType"]:
            case ActionType.CALL_ACTIVITY | ActionType.CALL_SUB_ORCHESTRATOR:
                return self.call(action)
            case ActionType.CALL_ACTIVITY_WITH_RETRY | ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY:
                return _WithRetry(self, action)
            case ActionType.CREATE_TIMER:
                return self.create_timer(action["fireAt"], is_cancelled=action["isCanceled"])
            case ActionType.WHEN_ALL:
                return _WhenAll([self._invoke(child) for child in action["compoundActions"]])
            case ActionType.WHEN_ANY:
                return _WhenAny([self._invoke(child) for child in action["compoundActions"]])
            case ActionType.CONTINUE_AS_NEW:
                self.continues_with = action["input"]
                return _WhenAll([])
            case unknown:
                raise NotImplementedError(f"this hub does not speak actions of type {unknown}: {action}")

    def _expect(self, recorded: Event) -> None:
        """DurableTask.Core compares kinds and names alone; what else differs is a bug that it would hide."""
        replayed = self._scheduled.pop(recorded["EventId"], None)
        if replayed is None or any(recorded.get(name) != value for name, value in replayed.items()):
            raise NonDeterministicError(f"the history has {recorded}, and the replay {replayed}")


def without_cancellations(action: Action) -> Action:
    """The action as it stood before any timer of it was cancelled: the one thing that may change afterwards."""
    kept = {name: value for name, value in action.items() if name != "isCanceled"}
    if "compoundActions" in kept:
        kept["compoundActions"] = [without_cancellations(child) for child in kept["compoundActions"]]
    return kept

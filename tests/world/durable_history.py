"""The history of a durable orchestration, event by event as the extension keeps it and sends it to the SDK.

The shapes are those of DurableTask.Core's history events in JSON; the SDK reads them in
`azure.durable_functions.models.TaskOrchestrationExecutor`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any, Final

Event = dict[str, Any]


class EventType(IntEnum):
    """The numbers of the SDK's `HistoryEventType`."""

    EXECUTION_STARTED = 0
    EXECUTION_COMPLETED = 1
    TASK_SCHEDULED = 4
    TASK_COMPLETED = 5
    TASK_FAILED = 6
    SUB_ORCHESTRATION_INSTANCE_CREATED = 7
    SUB_ORCHESTRATION_INSTANCE_COMPLETED = 8
    SUB_ORCHESTRATION_INSTANCE_FAILED = 9
    TIMER_CREATED = 10
    TIMER_FIRED = 11
    ORCHESTRATOR_STARTED = 12
    ORCHESTRATOR_COMPLETED = 13


SCHEDULING: Final = frozenset(
    {EventType.TASK_SCHEDULED, EventType.SUB_ORCHESTRATION_INSTANCE_CREATED, EventType.TIMER_CREATED},
)
# Each of these was a message before an episode took it up.
MESSAGES: Final = frozenset(
    {
        EventType.EXECUTION_STARTED,
        EventType.TASK_COMPLETED,
        EventType.TASK_FAILED,
        EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED,
        EventType.SUB_ORCHESTRATION_INSTANCE_FAILED,
        EventType.TIMER_FIRED,
    },
)
_PAYLOADS: Final = ("Input", "Result", "Reason", "Details")
# As the extension has it with Azure Storage. 1 is its V2, and the newer field is what a current SDK goes by.
_HOST_SETTINGS: Final = {
    "upperSchemaVersion": 1,
    "upperSchemaVersionNew": 3,
    "longRunningTimerIntervalDuration": "3.00:00:00",
    "maximumShortTimerDuration": "6.00:00:00",
    "defaultHttpAsyncRequestSleepTimeMillseconds": 30_000,
}


def event(event_type: EventType, event_id: int = -1, **fields: object) -> Event:
    """An event or message that no history holds yet; only those that schedule a task have an id of their own."""
    return {"EventType": int(event_type), "EventId": event_id, **fields}


def as_timestamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_timestamp(text: str) -> datetime:
    return datetime.fromisoformat(text)


def task_id_of(message: Event) -> int:
    """Which task a completion answers."""
    return int(message["TimerId"] if message["EventType"] == EventType.TIMER_FIRED else message["TaskScheduledId"])


@dataclass(slots=True)
class History:
    """One generation's events. Those up to `closed` belong to episodes that have ended, and survive a crash."""

    events: list[Event] = field(default_factory=list)
    closed: int = 0
    largest_payload_bytes: int = 0
    # Each event is written once, and once more when it has been played, so that a body costs one join.
    _texts: list[str] = field(default_factory=list)

    @classmethod
    def of_closed_episodes(cls, events: list[Event]) -> History:
        history = cls()
        for one in events:
            history._add(one)
        history.close_episode()
        return history

    def append(self, appended: Event, at: datetime) -> None:
        self._add({**appended, "IsPlayed": False, "Timestamp": as_timestamp(at)})

    def close_episode(self) -> None:
        for index in range(self.closed, len(self.events)):
            one = self.events[index]
            # DurableTask.Core marks what it has played, and it plays messages alone.
            if one["EventType"] in MESSAGES:
                one["IsPlayed"] = True
                self._texts[index] = json.dumps(one)
        self.closed = len(self.events)

    def open_episode(self) -> list[Event]:
        return self.events[self.closed :]

    @property
    def end(self) -> Event | None:
        """What the last episode ended the generation with, if it did."""
        last = self.events[self.closed - 2] if self.closed else None
        return last if last is not None and last["EventType"] == EventType.EXECUTION_COMPLETED else None

    def body(self, *, input_json: str | None, instance_id: str, parent_instance_id: str | None) -> str:
        """The orchestration context that the SDK reads, without the white space that the extension adds."""
        context = {
            "input": input_json,
            "instanceId": instance_id,
            "isReplaying": self.closed > 0,
            "parentInstanceId": parent_instance_id,
            **_HOST_SETTINGS,
        }
        return f'{{"history":[{",".join(self._texts)}],{json.dumps(context)[1:]}'

    def _add(self, added: Event) -> None:
        self.events.append(added)
        self._texts.append(json.dumps(added))
        payloads = (added.get(name) for name in _PAYLOADS)
        self.largest_payload_bytes = max(self.largest_payload_bytes, *map(size_bytes, payloads))


def size_bytes(text: str | None) -> int:
    if text is None:
        return 0
    return len(text) if text.isascii() else len(text.encode())

"""One orchestration instance: its history, the messages that wait for it, and what it has answered so far."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from tests.world.durable_answer import Answer
from tests.world.durable_history import (
    MESSAGES,
    SCHEDULING,
    Event,
    EventType,
    History,
    event,
    size_bytes,
    task_id_of,
)
from tests.world.durable_host import NonDeterministicError
from tests.world.durable_shim import Action, ActionReplay, without_cancellations
from tests.world.durable_status import InstanceMeasures, InstanceStatus, RuntimeStatus


def execution_started(
    *,
    instance_id: str,
    execution_id: str,
    name: str,
    input_json: str | None,
    traceparent: str | None,
    parent: Event | None = None,
) -> Event:
    return event(
        EventType.EXECUTION_STARTED,
        Name=name,
        Version=None,
        # The payload is a string of JSON, and the extension writes a payload as JSON once more.
        Input=None if input_json is None else json.dumps(input_json),
        OrchestrationInstance={"InstanceId": instance_id, "ExecutionId": execution_id},
        ParentInstance=parent,
        ParentTraceContext=None if traceparent is None else {"TraceParent": traceparent},
        Tags=None,
    )


@dataclass(slots=True)
class Instance:
    """`start` began the present generation; `awaiting` holds what it scheduled and has no answer to yet."""

    start: Event
    created_at: datetime
    updated_at: datetime
    history: History = field(default_factory=History)
    inbox: deque[Event] = field(default_factory=deque)
    awaiting: dict[int, Event] = field(default_factory=dict)
    custom_status_json: str | None = None
    end: Event | None = None
    finished_generation_event_counts: list[int] = field(default_factory=list)
    episode_count: int = 0
    largest_payload_bytes: int = 0
    largest_body_bytes: int = 0
    replay: ActionReplay | None = None
    _actions: list[Action] = field(default_factory=list)

    @classmethod
    def begin(cls, start: Event, at: datetime) -> Instance:
        return cls(start=start, created_at=at, updated_at=at, inbox=deque([start]))

    @property
    def id(self) -> str:
        return str(self.start["OrchestrationInstance"]["InstanceId"])

    @property
    def execution_id(self) -> str:
        return str(self.start["OrchestrationInstance"]["ExecutionId"])

    @property
    def name(self) -> str:
        return str(self.start["Name"])

    @property
    def parent(self) -> Event | None:
        parent: Event | None = self.start["ParentInstance"]
        return parent

    @property
    def traceparent(self) -> str | None:
        context = self.start["ParentTraceContext"]
        return None if context is None else str(context["TraceParent"])

    @property
    def input_json(self) -> str | None:
        return None if self.start["Input"] is None else str(json.loads(self.start["Input"]))

    @property
    def runtime_status(self) -> RuntimeStatus:
        if self.end is not None:
            return RuntimeStatus(self.end["OrchestrationStatus"])
        has_begun = self.history.events or self.finished_generation_event_counts
        return RuntimeStatus.RUNNING if has_begun else RuntimeStatus.PENDING

    @property
    def status(self) -> InstanceStatus:
        return InstanceStatus(
            instance_id=self.id,
            name=self.name,
            runtime_status=self.runtime_status,
            input_json=self.input_json,
            output=None if self.end is None else _read(self.end["Result"]),
            custom_status=_read(self.custom_status_json),
            created_at=self.created_at,
            updated_at=self.updated_at,
        )

    @property
    def measures(self) -> InstanceMeasures:
        return InstanceMeasures(
            instance_id=self.id,
            name=self.name,
            generation_event_counts=(*self.finished_generation_event_counts, len(self.history.events)),
            episode_count=self.episode_count,
            largest_payload_bytes=max(self.largest_payload_bytes, self.history.largest_payload_bytes),
            largest_body_bytes=self.largest_body_bytes,
        )

    def take_messages(self, at_most: int | None) -> list[Event]:
        count = len(self.inbox) if at_most is None else min(at_most, len(self.inbox))
        return [self.inbox.popleft() for _ in range(count)]

    def body(self) -> str:
        body = self.history.body(
            input_json=self.input_json,
            instance_id=self.id,
            parent_instance_id=None if self.parent is None else self.parent["OrchestrationInstance"]["InstanceId"],
        )
        self.episode_count += 1
        self.largest_body_bytes = max(self.largest_body_bytes, size_bytes(body))
        return body

    def follow(self, actions: list[Action]) -> list[Event]:
        """Replay the episode's answer, and give what it schedules anew."""
        has_cancelled = self._has_cancelled(actions)
        replay, new_events = self.replay, self.history.open_episode()
        # Past the end of the list so far, the extension would have met the new actions earlier in its replay.
        is_overtaken = replay is not None and replay.is_through and len(actions) > len(self._actions)
        if replay is None or is_overtaken or has_cancelled:
            replay, new_events = ActionReplay(self.execution_id), self.history.events
        self.replay, self._actions = replay, actions
        replay.extend(actions)
        for one in new_events:
            replay.process(one)
        return replay.take_scheduled()

    def ending(self, answer: Answer) -> Event | None:
        """What the answer ends the generation with. It does not while an action or a task of it is not done."""
        if not answer.has_state:
            return _execution_completed("Failed", answer.error)
        if self.replay is None or not self.replay.is_through or self.replay.open:
            return None
        if answer.error is not None:
            return _execution_completed("Failed", answer.error)
        if self.replay.continues_with is not None:
            return _execution_completed("ContinuedAsNew", self.replay.continues_with)
        return _execution_completed("Completed", answer.output) if answer.is_done else None

    def set_custom_status(self, status: Any) -> None:
        self.custom_status_json = _write(status)
        self.largest_payload_bytes = max(self.largest_payload_bytes, size_bytes(self.custom_status_json))

    def continue_as_new(self, input_json: str) -> None:
        self.finished_generation_event_counts.append(len(self.history.events))
        self.largest_payload_bytes = max(self.largest_payload_bytes, self.history.largest_payload_bytes)
        self.start = execution_started(
            instance_id=self.id,
            execution_id=uuid5(NAMESPACE_URL, self.execution_id).hex,
            name=self.name,
            input_json=input_json,
            traceparent=self.traceparent,
            parent=self.parent,
        )
        self.history, self.replay, self._actions = History(), None, []
        self.inbox = deque([self.start])
        self.awaiting = {}

    def as_json(self) -> dict[str, Any]:
        return {
            "start": self.start,
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "events": self.history.events,
            "custom_status_json": self.custom_status_json,
            "finished_generation_event_counts": self.finished_generation_event_counts,
            "episode_count": self.episode_count,
            "largest_payload_bytes": self.measures.largest_payload_bytes,
            "largest_body_bytes": self.largest_body_bytes,
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> tuple[Instance, list[Event]]:
        """Read what survived, and the activities and instances that the dropped episode had sent for already."""
        events: list[Event] = saved["events"]
        closed = 1 + max((i for i, e in enumerate(events) if _is(e, EventType.ORCHESTRATOR_COMPLETED)), default=-1)
        dropped = events[closed:]
        history = History.of_closed_episodes(events[:closed])
        redelivered = [_as_message(one) for one in dropped if one["EventType"] in MESSAGES]
        if not history.events and not redelivered:
            redelivered = [saved["start"]]
        instance = cls(
            start=saved["start"],
            created_at=datetime.fromisoformat(saved["created_at"]),
            updated_at=datetime.fromisoformat(saved["updated_at"]),
            history=history,
            inbox=deque(redelivered),
            custom_status_json=saved["custom_status_json"],
            finished_generation_event_counts=saved["finished_generation_event_counts"],
            episode_count=saved["episode_count"],
            largest_payload_bytes=saved["largest_payload_bytes"],
            largest_body_bytes=saved["largest_body_bytes"],
        )
        answered = {
            task_id_of(one)
            for one in (*history.events, *redelivered)
            if one["EventType"] in MESSAGES and not _is(one, EventType.EXECUTION_STARTED)
        }
        instance.awaiting = {
            one["EventId"]: one
            for one in history.events
            if one["EventType"] in SCHEDULING and one["EventId"] not in answered
        }
        return instance, [one for one in dropped if one["EventType"] in SCHEDULING - {EventType.TIMER_CREATED}]

    def _has_cancelled(self, actions: list[Action]) -> bool:
        """Hold an answer against the one before: it must begin with the same actions, save for cancelled timers."""
        known = len(self._actions)
        if actions[:known] == self._actions:
            return False
        for number, (before, now) in enumerate(zip_longest(self._actions, actions[:known])):
            if now is None or without_cancellations(before) != without_cancellations(now):
                raise NonDeterministicError(
                    f"{self.name} ({self.id}) answered {now} in episode {self.episode_count}, "
                    f"where it had answered {before} before (action {number})"
                )
        return True


def _execution_completed(status: str, result: Any) -> Event:
    return event(
        EventType.EXECUTION_COMPLETED,
        OrchestrationStatus=status,
        Result=None if result is None else _write(result),
    )


def _read(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _write(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _is(one: Event, event_type: EventType) -> bool:
    return bool(one["EventType"] == event_type)


def _as_message(consumed: Event) -> Event:
    return {name: value for name, value in consumed.items() if name not in {"IsPlayed", "Timestamp"}}

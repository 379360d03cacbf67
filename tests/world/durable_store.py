"""What a hub keeps: instances, their events one by one, the messages between them, and what a crash leaves.

A crash is as severe as at-least-once delivery allows. Events are kept as they are appended, but an episode that no
OrchestratorCompleted closed is dropped: the messages that it took up are delivered again, and those that it sent
stay sent. A completion that no episode took up is lost, and its activity runs again.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from tests.world.durable_answer import Answer
from tests.world.durable_clock import VirtualClock
from tests.world.durable_faults import DurableFaults
from tests.world.durable_history import Event, EventType, event, read_timestamp
from tests.world.durable_host import ActivityCall, AlreadyRunningError, CrashedError
from tests.world.durable_instance import Instance, execution_started
from tests.world.durable_status import RuntimeStatus

_ALREADY_EXISTS = "An Orchestration instance with the status {} already exists."


@dataclass(frozen=True, slots=True)
class RequestedTimer:
    """A timer as it was asked for, those between retries included."""

    instance_id: str
    task_id: int
    delay_seconds: float


class TaskAddress(NamedTuple):
    """Where a completion goes: to one task of one generation of one instance."""

    instance_id: str
    execution_id: str
    task_id: int


class DurableStore:
    """`ready` are the instances with messages, in the order in which the first of them came."""

    def __init__(self, clock: VirtualClock, faults: DurableFaults, *, submit: Callable[[ActivityCall], None]) -> None:
        self.instances: dict[str, Instance] = {}
        self.ready: dict[str, None] = {}
        self.timers: list[RequestedTimer] = []
        self.total_events = 0
        self._clock = clock
        self._faults = faults
        self._submit = submit
        self._start_count = 0
        self._due: list[tuple[datetime, int, TaskAddress, Event]] = []
        self._order = count()

    def start(self, name: str, instance_id: str, input_json: str | None, traceparent: str | None) -> None:
        existing = self.instances.get(instance_id)
        if existing is not None and existing.end is None:
            raise AlreadyRunningError(_ALREADY_EXISTS.format(existing.runtime_status))
        self._begin(instance_id, name=name, input_json=input_json, traceparent=traceparent, parent=None)

    def purge(self, instance_id: str) -> bool:
        return self.instances.pop(instance_id, None) is not None

    def open_episode(self, instance: Instance, at_most: int | None) -> None:
        self._clock.tick()
        self._append(instance, event(EventType.ORCHESTRATOR_STARTED))
        for message in instance.take_messages(at_most):
            self._append(instance, message)

    def close_episode(self, instance: Instance, answer: Answer) -> None:
        for scheduled in instance.follow(answer.actions) if answer.has_state else ():
            self._append(instance, scheduled)
            self._note_timer(instance, scheduled)
            instance.awaiting[scheduled["EventId"]] = scheduled
            self._send(instance, scheduled)
        if answer.custom_status is not None:
            instance.set_custom_status(answer.custom_status)
        ending = instance.ending(answer)
        if ending is not None:
            self._append(instance, ending)
        self._append(instance, event(EventType.ORCHESTRATOR_COMPLETED))
        instance.history.close_episode()
        self._conclude(instance)

    def deliver(self, address: TaskAddress, message: Event, *, name: str | None = None) -> None:
        """Hand a completion to the task that awaits it; a second one, or one for a task of the past, is ignored."""
        if self._awaits(address) and name in {None, self._awaited(address).get("Name")}:
            instance = self.instances[address.instance_id]
            del instance.awaiting[address.task_id]
            instance.inbox.append(message)
            self.ready[instance.id] = None

    def next_firing(self) -> datetime | None:
        while self._due and not self._awaits(self._due[0][2]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def fire_due(self) -> None:
        while (firing := self.next_firing()) is not None and firing <= self._clock.now:
            _, _, address, message = heapq.heappop(self._due)
            self.deliver(address, message)

    def as_json(self) -> dict[str, Any]:
        return {
            "now": self._clock.now.isoformat(),
            "start_count": self._start_count,
            "total_events": self.total_events,
            "instances": [instance.as_json() for instance in self.instances.values()],
        }

    def load(self, saved: dict[str, Any]) -> None:
        self._clock.advance_to(datetime.fromisoformat(saved["now"]))
        self._start_count = saved["start_count"]
        self.total_events = saved["total_events"]
        restored = [Instance.from_json(one) for one in saved["instances"]]
        self.instances = {instance.id: instance for instance, _ in restored}
        for instance, _ in restored:
            self._conclude(instance)
        for instance, already_sent in restored:
            for scheduled in (*already_sent, *instance.awaiting.values()):
                self._send(instance, scheduled)

    def _begin(self, instance_id: str, **started: Any) -> None:
        self._start_count += 1
        execution_id = uuid5(NAMESPACE_URL, f"{instance_id}/{self._start_count}").hex
        start = execution_started(instance_id=instance_id, execution_id=execution_id, **started)
        self.instances[instance_id] = Instance.begin(start, self._clock.now)
        self.ready[instance_id] = None

    def _append(self, instance: Instance, appended: Event) -> None:
        instance.history.append(appended, self._clock.now)
        instance.updated_at = self._clock.now
        self.total_events += 1
        if self._faults.crashes_at(self.total_events):
            raise CrashedError(f"after event {self.total_events}, of {instance.id}")

    def _conclude(self, instance: Instance) -> None:
        """Do what the end of an episode leads to. All of it follows from the events, so a restored hub does it too."""
        end = instance.history.end
        if end is not None:
            self.ready.pop(instance.id, None)
        if end is not None and end["OrchestrationStatus"] == "ContinuedAsNew":
            instance.continue_as_new(json.loads(end["Result"]))
        elif end is not None:
            instance.end = end
            instance.awaiting.clear()
            instance.inbox.clear()
            self._tell_parent(instance)
        if instance.inbox:
            self.ready[instance.id] = None

    def _send(self, instance: Instance, scheduled: Event) -> None:
        address = TaskAddress(instance.id, instance.execution_id, scheduled["EventId"])
        match EventType(scheduled["EventType"]):
            case EventType.TASK_SCHEDULED:
                self._submit(
                    ActivityCall(
                        name=scheduled["Name"],
                        input_json=_parameter(scheduled["Input"]),
                        traceparent=instance.traceparent,
                        **address._asdict(),
                    )
                )
            case EventType.TIMER_CREATED:
                fired = event(EventType.TIMER_FIRED, TimerId=address.task_id, FireAt=scheduled["FireAt"])
                heapq.heappush(self._due, (read_timestamp(scheduled["FireAt"]), next(self._order), address, fired))
            case _:
                self._start_child(instance, scheduled, address)

    def _start_child(self, parent: Instance, created: Event, address: TaskAddress) -> None:
        identity = {
            "Name": parent.name,
            "OrchestrationInstance": {"InstanceId": address.instance_id, "ExecutionId": address.execution_id},
            "TaskScheduleId": address.task_id,
            "Version": None,
        }
        child = self.instances.get(created["InstanceId"])
        if child is not None and child.parent == identity:
            # The message that starts it was sent before a crash, and is sent again.
            self._tell_parent(child)
        elif child is not None and child.end is None:
            reason = _ALREADY_EXISTS.format(child.runtime_status)
            failed = event(
                EventType.SUB_ORCHESTRATION_INSTANCE_FAILED, TaskScheduledId=address.task_id, Reason=reason, Details=""
            )
            self.deliver(address, failed)
        else:
            self._begin(
                created["InstanceId"],
                name=created["Name"],
                input_json=json.loads(created["Input"]),
                traceparent=parent.traceparent,
                parent=identity,
            )

    def _tell_parent(self, child: Instance) -> None:
        if child.end is None or child.parent is None:
            return
        address = TaskAddress(
            child.parent["OrchestrationInstance"]["InstanceId"],
            child.parent["OrchestrationInstance"]["ExecutionId"],
            child.parent["TaskScheduleId"],
        )
        if child.runtime_status is RuntimeStatus.COMPLETED:
            answered = event(
                EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED,
                TaskScheduledId=address.task_id,
                Result=child.end["Result"],
            )
        else:
            reason = f"Sub-orchestrator function '{child.name}' failed: {json.loads(child.end['Result'])}"
            answered = event(
                EventType.SUB_ORCHESTRATION_INSTANCE_FAILED, TaskScheduledId=address.task_id, Reason=reason, Details=""
            )
        self.deliver(address, answered)

    def _note_timer(self, instance: Instance, scheduled: Event) -> None:
        if scheduled["EventType"] == EventType.TIMER_CREATED:
            delay = read_timestamp(scheduled["FireAt"]) - self._clock.now
            self.timers.append(RequestedTimer(instance.id, scheduled["EventId"], delay.total_seconds()))

    def _awaits(self, address: TaskAddress) -> bool:
        instance = self.instances.get(address.instance_id)
        return (
            instance is not None
            and instance.execution_id == address.execution_id
            and address.task_id in instance.awaiting
        )

    def _awaited(self, address: TaskAddress) -> Event:
        return self.instances[address.instance_id].awaiting[address.task_id]


def _parameter(task_input: str) -> str:
    """The one parameter in a scheduled task's array: a string of JSON from the SDK, or any value."""
    (parameter,) = json.loads(task_input)
    return parameter if isinstance(parameter, str) else json.dumps(parameter)

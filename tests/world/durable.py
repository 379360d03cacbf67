"""A stand-in for the Durable Functions extension, whose .NET host cannot be had offline.

It keeps instances with their histories, hands every episode the whole history again, and delivers activities at
least once. The clock is virtual: timers fire when nothing else is left to do, and take no time. What it copies is
what Azure/azure-functions-durable-extension and Azure/durabletask do with Azure Storage and a language worker.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from tests.world.durable_activities import ActivityPool, within_trace
from tests.world.durable_answer import Answer, read_answer, read_failure
from tests.world.durable_clock import VirtualClock
from tests.world.durable_faults import DurableFaults
from tests.world.durable_history import Event
from tests.world.durable_host import (
    ActivityCall,
    AlreadyRunningError,
    CrashedError,
    FunctionHost,
    InjectedFailureError,
    NonDeterministicError,
    StuckError,
)
from tests.world.durable_instance import Instance
from tests.world.durable_status import InstanceMeasures, InstanceStatus, RuntimeStatus
from tests.world.durable_store import DurableStore, RequestedTimer, TaskAddress

__all__ = [
    "ActivityCall",
    "AlreadyRunningError",
    "CrashedError",
    "DurableFaults",
    "DurableHub",
    "FunctionHost",
    "InjectedFailureError",
    "InstanceMeasures",
    "InstanceStatus",
    "NonDeterministicError",
    "RequestedTimer",
    "RuntimeStatus",
    "StuckError",
    "VirtualClock",
]


class DurableHub:
    """A task hub and its host.

    `activities_at_once` bounds the activities that run, of all names together. `messages_at_once` bounds the
    completions that one episode takes up: with 1 an orchestrator is called for each.
    """

    def __init__(
        self,
        host: FunctionHost,
        *,
        clock: VirtualClock | None = None,
        faults: DurableFaults | None = None,
        activities_at_once: int | None = None,
        messages_at_once: int | None = None,
    ) -> None:
        self.clock = clock or VirtualClock()
        self._host = host
        self._messages_at_once = messages_at_once
        self._is_held = False
        self._is_stopping = False
        self._failure: Exception | None = None
        self._background: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        faults = faults or DurableFaults()
        self._activities = ActivityPool(
            host, faults, at_once=activities_at_once, answered=self._deliver, wake=self._wake.set
        )
        self._store = DurableStore(self.clock, faults, submit=self._activities.submit)
        self.clock.on_sleep = self._wake.set

    @classmethod
    def restore(
        cls,
        snapshot: str,
        host: FunctionHost,
        *,
        clock: VirtualClock | None = None,
        faults: DurableFaults | None = None,
        activities_at_once: int | None = None,
        messages_at_once: int | None = None,
    ) -> DurableHub:
        """Go on with what survived. The clock goes on from the snapshot's time, or stays where it is if later."""
        hub = cls(
            host,
            clock=clock,
            faults=faults,
            activities_at_once=activities_at_once,
            messages_at_once=messages_at_once,
        )
        hub._store.load(json.loads(snapshot))
        return hub

    def snapshot(self) -> str:
        """Write down what outlives the hub: events, and no activity that runs or message that was not taken up."""
        return json.dumps(self._store.as_json())

    @property
    def total_events(self) -> int:
        """How many events were appended in all, those of dropped episodes and earlier generations included."""
        return self._store.total_events

    @property
    def most_activities_at_once(self) -> Mapping[str, int]:
        """By name, the greatest number of an activity's executions that had a place at the same time."""
        return self._activities.most_at_once

    @property
    def timers(self) -> Sequence[RequestedTimer]:
        return self._store.timers

    def measures(self) -> Sequence[InstanceMeasures]:
        return [instance.measures for instance in self._store.instances.values()]

    def status(self, instance_id: str) -> InstanceStatus | None:
        instance = self._store.instances.get(instance_id)
        return None if instance is None else instance.status

    def history(self, instance_id: str) -> Sequence[Event]:
        """The events of an instance's present generation; KeyError when there is no such instance."""
        return self._store.instances[instance_id].history.events

    async def start(self, name: str, instance_id: str, input_json: str | None, traceparent: str | None = None) -> None:
        """Start an instance, in the place of one of that id that has ended.

        Raises AlreadyRunningError when one has not, as with `overridableExistingInstanceStates: NonRunningStates`.
        """
        self._refuse_after_failure()
        self._store.start(name, instance_id, input_json, traceparent)
        self._idle.clear()
        self._wake.set()

    def purge(self, instance_id: str) -> bool:
        """Forget an instance that has ended, and say whether there was one; ValueError when it has not ended."""
        status = self.status(instance_id)
        if status is not None and not status.has_ended:
            raise ValueError(
                "Only orchestrations in a terminal state can be purged, but the orchestration with instance ID "
                f"{instance_id} has status {status.runtime_status}"
            )
        return self._store.purge(instance_id)

    async def run(self, instance_id: str) -> InstanceStatus:
        """Run everything to its end, and tell how this instance ended.

        Raises StuckError when it did not, and KeyError when there is no such instance.
        """
        await self.run_until_idle()
        instance = self._store.instances[instance_id]
        if instance.end is None:
            waiting = instance.replay.behind if instance.replay else ()
            raise StuckError(
                f"{instance.name} ({instance_id}) waits for ever. Of its actions, the first of these is not done and "
                f"the others are not looked at until it is: {waiting}"
            )
        return instance.status

    async def run_until_idle(self) -> None:
        """Run until no instance can go on, or wait for it where `running()` does. What broke the hub is raised."""
        self._refuse_after_failure()
        if self._background is None:
            await self._drive(for_ever=False)
        else:
            await self._idle.wait()
        self._refuse_after_failure()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run whatever is started meanwhile, and stop for good: a snapshot can go on, this hub cannot.

        What broke the hub is raised at the end of the block.
        """
        self._background = asyncio.create_task(self._drive(for_ever=True))
        try:
            yield
        finally:
            self._is_stopping = True
            self._wake.set()
            # What broke it is raised below, unless the block has an error of its own.
            await asyncio.gather(self._background, return_exceptions=True)
            await self._activities.stop()
        self._refuse_after_failure()

    def hold(self, *, only_activities: bool = False) -> None:
        """Stop before the next episode: what starts stays Pending. Or stop activities alone: it stays Running."""
        self._is_held = not only_activities
        self._activities.is_held = True
        self._wake.set()

    def release(self) -> None:
        self._is_held = self._activities.is_held = False
        self._wake.set()

    async def _drive(self, *, for_ever: bool) -> None:
        try:
            while not self._is_stopping:
                if not await self._go_on():
                    self._idle.set()
                    if not for_ever:
                        return
                    await self._wait()
        except Exception as error:
            self._failure = error
            await self._activities.stop()
            raise
        finally:
            self._idle.set()

    async def _go_on(self) -> bool:
        """Take one step, or wait for one to become possible; False when none can."""
        store, activities = self._store, self._activities
        activities.dispatch()
        if self._is_held:
            await self._wait()
        elif store.ready:
            await self._run_episode(store.instances[next(iter(store.ready))])
        elif activities.is_holding_back or activities.running > self.clock.sleeping:
            await self._wait()
        else:
            return self._pass_time()
        return True

    async def _run_episode(self, instance: Instance) -> None:
        del self._store.ready[instance.id]
        self._store.open_episode(instance, self._messages_at_once)
        self._store.close_episode(instance, await self._ask(instance))
        # With a host that never awaits, nothing else would run while there are episodes.
        await asyncio.sleep(0)

    async def _ask(self, instance: Instance) -> Answer:
        body = instance.body()
        try:
            text = await self._host.orchestrate(instance.name, body, within_trace(instance.traceparent))
        except Exception as error:  # noqa: BLE001 (whatever an orchestrator raises ends its instance, and nothing else)
            return read_failure(str(error))
        return read_answer(text)

    def _pass_time(self) -> bool:
        """Move the clock to the next timer or the next waking, if there is one."""
        moments = [at for at in (self._store.next_firing(), self.clock.next_waking) if at is not None]
        if not moments:
            return False
        self.clock.advance_to(min(moments))
        self._store.fire_due()
        return True

    async def _wait(self) -> None:
        await self._wake.wait()
        self._wake.clear()

    def _deliver(self, call: ActivityCall, answered: Event) -> None:
        address = TaskAddress(call.instance_id, call.execution_id, call.task_id)
        self._store.deliver(address, answered, name=call.name)
        self._wake.set()

    def _refuse_after_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

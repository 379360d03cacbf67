"""The activities of a hub: which wait for a place, which run, and what comes of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import repeat
from uuid import uuid4

from tests.world.durable_faults import DurableFaults
from tests.world.durable_history import Event, EventType, event
from tests.world.durable_host import ActivityCall, FunctionHost, InjectedFailureError

Answered = Callable[[ActivityCall, Event], None]


class ActivityPool:
    """Runs the calls that it is given, in turn, and no more of them at once than it may.

    `most_at_once` counts an activity from when it has a place, so it holds for one that never awaits as well.
    """

    def __init__(
        self,
        host: FunctionHost,
        faults: DurableFaults,
        *,
        at_once: int | None,
        answered: Answered,
        wake: Callable[[], None],
    ) -> None:
        self.is_held = False
        self.most_at_once: dict[str, int] = {}
        self._host = host
        self._faults = faults
        self._at_once = at_once
        self._answered = answered
        self._wake = wake
        self._queue: deque[tuple[ActivityCall, int]] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._at_once_now: dict[str, int] = {}

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def is_holding_back(self) -> bool:
        return self.is_held and bool(self._queue)

    def submit(self, call: ActivityCall) -> None:
        deliveries, executions = self._faults.repeats(call)
        self._queue.extend(repeat((call, executions), deliveries))

    def dispatch(self) -> None:
        while self._queue and not self.is_held and (self._at_once is None or len(self._running) < self._at_once):
            call, executions = self._queue.popleft()
            now = self._at_once_now[call.name] = self._at_once_now.get(call.name, 0) + 1
            self.most_at_once[call.name] = max(now, self.most_at_once.get(call.name, 0))
            task = asyncio.create_task(self._deliver(call, executions))
            self._running.add(task)
            task.add_done_callback(self._left)

    async def stop(self) -> None:
        """Stop what runs where it awaits, as the end of a process does."""
        self._queue.clear()
        stopping = list(self._running)
        for task in stopping:
            task.cancel()
        await asyncio.gather(*stopping, return_exceptions=True)

    async def _deliver(self, call: ActivityCall, executions: int) -> None:
        try:
            for _ in range(executions):
                self._answered(call, await self._execute(call))
        finally:
            self._at_once_now[call.name] -= 1

    async def _execute(self, call: ActivityCall) -> Event:
        failing = self._faults.take_failure(call)
        try:
            _fail_if(failing == "before", "before the activity ran")
            result = await self._host.act(call.name, call.input_json, within_trace(call.traceparent))
            _fail_if(failing == "after", "after the activity ran")
        except Exception as error:  # noqa: BLE001 (whatever an activity raises is its failure)
            described = f"{type(error).__name__}: {error}"
            return event(
                EventType.TASK_FAILED,
                TaskScheduledId=call.task_id,
                Reason=f"Activity function '{call.name}' failed: {described}",
                Details=described,
            )
        return event(EventType.TASK_COMPLETED, TaskScheduledId=call.task_id, Result=result)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake()


def _fail_if(condition: bool, when: str) -> None:
    if condition:
        raise InjectedFailureError(when)


def within_trace(traceparent: str | None) -> str | None:
    """A new span of the same trace, as the host opens one for every function that it calls (W3C Trace Context)."""
    match (traceparent or "").split("-"):
        case [version, trace_id, _, flags]:
            return f"{version}-{trace_id}-{uuid4().hex[:16]}-{flags}"
        case _:
            return None

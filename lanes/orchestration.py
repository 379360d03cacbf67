"""The orchestrators: they yield, and nothing else. No clock, no setting, no I/O, so that each replay takes the same way.

A run's orchestrator starts a lane for each item that may be in work at once, and each lane takes its items one after another.
A lane that has done a page begins anew with the next, so that no history grows with the estate (ADR 0006).
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from lanes.messages import (
    FailRequest,
    FinishRequest,
    ItemOutcome,
    ItemReply,
    ItemRequest,
    LaneRequest,
    PageReply,
    PlanReply,
)
from records.engine import RunRequest

WAITS_BEFORE_ANOTHER_TRY: Final = (timedelta(seconds=30), timedelta(minutes=2))
"""Long enough for a throttled account to recover; the SDK's own retries, of seconds, have failed by then."""


class Task(Protocol):
    """Something scheduled, of which a yield gives the result or raises the failure."""


class Context(Protocol):
    """What these orchestrators use of ``azure.durable_functions.DurableOrchestrationContext``."""

    @property
    def current_utc_datetime(self) -> datetime: ...

    def get_input(self) -> object: ...

    def call_activity(self, name: str, input_: object) -> Task: ...

    def call_sub_orchestrator(self, name: str, input_: object) -> Task: ...

    def task_all(self, activities: list[Task]) -> Task: ...

    def create_timer(self, fire_at: datetime) -> Task: ...

    def continue_as_new(self, input_: object) -> None: ...


Steps = Generator[Task, object, None]


class RunFailedError(Exception):
    """Ends the orchestration as failed, so that Durable Functions shows it as what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Functions:
    """What a mechanism's functions are called in Azure: ``run`` and ``lane`` are its orchestrators, the others its activities.

    Each takes and gives the message that its name says: ``check_item`` an `ItemRequest` for an `ItemReply`, and so on. An
    activity raises where another try is worth it.
    """

    run: str
    lane: str
    plan_run: str
    read_page: str
    check_item: str
    finish_run: str
    fail_run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneRun:
    """A run that is dealt to lanes, carried out by a mechanism's ``functions``.

    Once it has had its time, ``run_limit``, no further item is begun. What is left has no outcome then.
    """

    functions: Functions
    run_limit: timedelta

    def run(self, context: Context) -> Steps:
        """One run: plan it, take its items in lanes, finish it."""
        request = RunRequest.from_json(context.get_input())
        try:
            plan = PlanReply.from_json((yield from _call(context, self.functions.plan_run, request.to_json())))
            if plan.refusal is None:
                yield from self._run_lanes(context, request, plan)
                finish = FinishRequest(request=request, digest=plan.digest)
                yield from _call(context, self.functions.finish_run, finish.to_json())
                return
            reason = plan.refusal
        except _StepFailedError as failure:
            reason = f"{failure.step} failed at each of {len(WAITS_BEFORE_ANOTHER_TRY) + 1} tries"
        yield from _call(context, self.functions.fail_run, FailRequest(request=request, reason=reason).to_json())
        raise RunFailedError(f"run {request.run.run_id}: {reason}")

    def lane(self, context: Context) -> Steps:
        """One page of one lane, then the next in a history of its own."""
        lane = LaneRequest.from_json(context.get_input())
        try:
            page = PageReply.from_json((yield from _call(context, self.functions.read_page, lane.to_json())))
            yield from self._check_each(context, lane, page.names)
        except _StepFailedError:
            # Its items have no outcome then, and the report says of each that it was not checked.
            pass
        if lane.page + 1 < lane.page_count and not self._is_over(context, lane):
            context.continue_as_new(lane.model_copy(update={"page": lane.page + 1}).to_json())

    def _is_over(self, context: Context, lane: LaneRequest) -> bool:
        return context.current_utc_datetime - lane.run.started_at > self.run_limit

    def _run_lanes(self, context: Context, request: RunRequest, plan: PlanReply) -> Steps:
        lanes = [
            context.call_sub_orchestrator(
                self.functions.lane,
                LaneRequest(
                    run=request.run,
                    stacks=request.scope.stacks,
                    digest=plan.digest,
                    lane=number,
                    page_count=page_count,
                ).to_json(),
            )
            for number, page_count in enumerate(plan.pages_by_lane)
        ]
        yield from _wait_for_all(context, lanes)

    def _check_each(self, context: Context, lane: LaneRequest, names: Sequence[str]) -> Steps:
        """Every item once, then those that may do better once more, and after a longer wait once again."""
        tries_left = len(WAITS_BEFORE_ANOTHER_TRY)
        waiting = yield from self._try_each(context, lane, names, tries_left)
        for wait in WAITS_BEFORE_ANOTHER_TRY:
            if not waiting:
                return
            yield context.create_timer(context.current_utc_datetime + wait)
            tries_left -= 1
            waiting = yield from self._try_each(context, lane, waiting, tries_left)

    def _try_each(
        self, context: Context, lane: LaneRequest, names: Iterable[str], tries_left: int
    ) -> Generator[Task, object, list[str]]:
        """The items that are worth another try."""
        waiting = []
        for name in names:
            if self._is_over(context, lane):
                return []
            request = ItemRequest(run=lane.run, name=name, stacks=lane.stacks, tries_left=tries_left)
            try:
                reply = ItemReply.from_json((yield context.call_activity(self.functions.check_item, request.to_json())))
            except Exception:  # noqa: BLE001 (Durable raises a plain Exception for a failed activity: a bad item ends no run)
                waiting.append(name)
            else:
                if reply.outcome is ItemOutcome.WORTH_ANOTHER_TRY:
                    waiting.append(name)
        return waiting


def _wait_for_all(context: Context, tasks: list[Task]) -> Steps:
    """Until each has ended, well or not: a lane that failed leaves items without an outcome, which the report tells."""
    if not tasks:
        return
    try:
        yield context.task_all(tasks)
    except Exception:  # noqa: BLE001 (as above; the first failure comes while the others still run)
        for task in tasks:
            try:
                yield task
            except Exception:  # noqa: BLE001, S112 (as above)
                continue


class _StepFailedError(Exception):
    """An activity failed at every try."""

    def __init__(self, step: str) -> None:
        super().__init__(step)
        self.step = step


def _call(context: Context, name: str, payload: object) -> Generator[Task, object, object]:
    """An activity's reply. An activity raises where another try is worth it, and replies where it is not.

    Raises:
        _StepFailedError: after the last try.
    """
    for wait in (*WAITS_BEFORE_ANOTHER_TRY, None):
        try:
            return (yield context.call_activity(name, payload))
        except Exception:  # noqa: BLE001 (as above)
            if wait is not None:
                yield context.create_timer(context.current_utc_datetime + wait)
    raise _StepFailedError(name)

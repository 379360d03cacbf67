"""The orchestrators: they yield, and nothing else. No clock, no setting, no I/O, so that each replay takes the same way.

The estate's orchestrator starts a lane for each market that may be in work at once, and each lane reconciles its markets one
after another. A lane that has done a page begins anew with the next, so that no history grows with the estate (ADR 0006).
"""

from collections.abc import Generator, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from reconcile.service.messages import (
    FailRequest,
    FinishRequest,
    LaneRequest,
    MarketReply,
    MarketRequest,
    PageReply,
    PlanReply,
    Verdicts,
)
from records.engine import RunRequest

ESTATE: Final = "reconcile_estate"
LANE: Final = "reconcile_lane"
PLAN_RUN: Final = "plan_run"
READ_PAGE: Final = "read_page"
RECONCILE_MARKET: Final = "reconcile_market"
FINISH_RUN: Final = "finish_run"
FAIL_RUN: Final = "fail_run"

WAITS_BEFORE_ANOTHER_TRY: Final = (timedelta(seconds=30), timedelta(minutes=2))
"""Long enough for a throttled account to recover; the SDK's own retries, of seconds, have failed by then."""

RUN_LIMIT: Final = timedelta(hours=8)
"""With every account out of reach a large estate would take days, and the next day's run would start on top of it."""


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


def reconcile_estate(context: Context) -> Steps:
    """One run: plan it, reconcile its markets in lanes, finish it."""
    request = RunRequest.from_json(context.get_input())
    try:
        plan = PlanReply.from_json((yield from _call(context, PLAN_RUN, request.to_json())))
        if plan.refusal is None:
            yield from _run_lanes(context, request, plan)
            finish = FinishRequest(request=request, digest=plan.digest)
            yield from _call(context, FINISH_RUN, finish.to_json())
            return
        reason = plan.refusal
    except _StepFailedError as failure:
        reason = f"{failure.step} failed at each of {len(WAITS_BEFORE_ANOTHER_TRY) + 1} tries"
    yield from _call(context, FAIL_RUN, FailRequest(request=request, reason=reason).to_json())
    raise RunFailedError(f"run {request.run.run_id}: {reason}")


def reconcile_lane(context: Context) -> Steps:
    """One page of one lane, then the next in a history of its own."""
    lane = LaneRequest.from_json(context.get_input())
    try:
        page = PageReply.from_json((yield from _call(context, READ_PAGE, lane.to_json())))
        yield from _reconcile_each(context, lane, page.markets)
    except _StepFailedError:
        # Its markets have no outcome then, and the report says of each that it was not checked.
        pass
    if lane.page + 1 < lane.page_count and not _is_over(context, lane):
        context.continue_as_new(lane.model_copy(update={"page": lane.page + 1}).to_json())


def _is_over(context: Context, lane: LaneRequest) -> bool:
    """Whether the run has had its time. What is left then has no outcome, and the report says so of each market."""
    return context.current_utc_datetime - lane.run.started_at > RUN_LIMIT


def _run_lanes(context: Context, request: RunRequest, plan: PlanReply) -> Steps:
    lanes = [
        context.call_sub_orchestrator(
            LANE,
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


def _reconcile_each(context: Context, lane: LaneRequest, markets: Sequence[str]) -> Steps:
    """Every market once, then those that may do better once more, and after a longer wait once again."""
    tries_left = len(WAITS_BEFORE_ANOTHER_TRY)
    waiting = yield from _try_each(context, lane, markets, tries_left)
    for wait in WAITS_BEFORE_ANOTHER_TRY:
        if not waiting:
            return
        yield context.create_timer(context.current_utc_datetime + wait)
        tries_left -= 1
        waiting = yield from _try_each(context, lane, waiting, tries_left)


def _try_each(
    context: Context, lane: LaneRequest, markets: Iterable[str], tries_left: int
) -> Generator[Task, object, list[str]]:
    """The markets that are worth another try."""
    waiting = []
    for market in markets:
        if _is_over(context, lane):
            return []
        request = MarketRequest(run=lane.run, market=market, stacks=lane.stacks, tries_left=tries_left)
        try:
            reply = MarketReply.from_json((yield context.call_activity(RECONCILE_MARKET, request.to_json())))
        except Exception:  # noqa: BLE001 (Durable raises a plain Exception for a failed activity: a bad market ends no run)
            waiting.append(market)
        else:
            if reply.verdicts is Verdicts.WORTH_ANOTHER_TRY:
                waiting.append(market)
    return waiting


def _wait_for_all(context: Context, tasks: list[Task]) -> Steps:
    """Until each has ended, well or not: a lane that failed leaves markets without an outcome, which the report tells."""
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

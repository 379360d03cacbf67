"""The first activity of a run: which markets there are to look at, dealt to lanes and kept in the table."""

from lanes.listing import registered_markets, tracked_stacks
from lanes.messages import PlanReply
from lanes.planning import keep_plan
from reconcile.estate_tally import of_the_estate
from reconcile.service.service import Service
from records.engine import RunRequest
from records.errors import StoreError, StoreUnavailableError
from records.faults import RecordKind
from records.ports import RecordReader
from records.report import Problem
from records.runs import RunRow, RunStatus


async def plan_run(service: Service, request: RunRequest) -> PlanReply:
    """Keeps the plan of a run, and the run's row as running.

    A refusal where the registry may not be listed or is not there: another try would change nothing.

    Raises:
        StoreError: storage was not to be reached, or did not take the plan.
    """
    try:
        markets, problems = await _markets(service.records, request)
    except StoreUnavailableError:
        raise
    except StoreError as error:
        return PlanReply(refusal=f"the registry cannot be listed ({error})")
    return await keep_plan(
        markets,
        run_id=request.run.run_id,
        width=service.width,
        problems=problems,
        work=service.work,
        runs=service.runs,
        running=lambda market_count: running(request, market_count=market_count),
    )


def running(request: RunRequest, *, market_count: int | None) -> RunRow:
    """The row of a run that has begun; ``market_count`` is None before it is known."""
    return RunRow(
        run_id=request.run.run_id,
        started_at=request.run.started_at,
        status=RunStatus.RUNNING,
        trigger=request.trigger,
        scope=request.scope,
        expected_markets=market_count,
    )


async def _markets(records: RecordReader, request: RunRequest) -> tuple[set[str], list[Problem]]:
    """Those that were asked for, or all that the registry or a tracker knows."""
    if request.scope.markets:
        return set(request.scope.markets), []
    known = await registered_markets(records)
    try:
        return known | (await tracked_stacks(records)).keys(), []
    except StoreError as error:
        return known, [of_the_estate(error, RecordKind.TRACKER)]

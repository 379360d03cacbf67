"""The first activities of a run: which markets there are to look at, dealt to lanes and kept in the table."""

from reconcile.estate import registered_markets, tracked_stacks
from reconcile.estate_tally import of_the_estate
from reconcile.service.dealing import deal
from reconcile.service.messages import LaneRequest, PageReply, PlanReply
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
    plan, pages = deal(markets, width=service.width, problems=problems)
    await service.work.save_plan(run_id=request.run.run_id, plan=plan, pages=pages)
    if await service.runs.run(run_id=request.run.run_id) is None:
        # Only the first time: delivered late, this must not set a run that has ended back to running.
        await service.runs.save_run(row=running(request, market_count=plan.market_count))
    return PlanReply(digest=plan.digest, pages_by_lane=plan.pages_by_lane)


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


async def read_page(service: Service, request: LaneRequest) -> PageReply:
    """The markets of one page.

    Raises:
        StoreError: the page cannot be read.
        LookupError: there is no such page; a plan is kept before any lane starts.
    """
    page = await service.work.page(
        run_id=request.run.run_id, digest=request.digest, lane=request.lane, number=request.page
    )
    if page is None:
        raise LookupError(f"run {request.run.run_id} has no page {request.page} of lane {request.lane}")
    return PageReply(markets=page.markets)


async def _markets(records: RecordReader, request: RunRequest) -> tuple[set[str], list[Problem]]:
    """Those that were asked for, or all that the registry or a tracker knows."""
    if request.scope.markets:
        return set(request.scope.markets), []
    known = await registered_markets(records)
    try:
        return known | (await tracked_stacks(records)).keys(), []
    except StoreError as error:
        return known, [of_the_estate(error, RecordKind.TRACKER)]

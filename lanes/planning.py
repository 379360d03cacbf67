"""Keeps what a run is to do in a table, and reads it again, a page or the whole."""

from collections.abc import Callable, Iterable, Sequence

from lanes.dealing import deal
from lanes.messages import LaneRequest, PageReply, PlanReply
from records.plans import LanePlan
from records.ports import OutcomeT, RowT, RunStore, WorkStore
from records.report import Problem


async def keep_plan(
    names: Iterable[str],
    *,
    run_id: str,
    width: int,
    problems: Sequence[Problem],
    work: WorkStore[OutcomeT],
    runs: RunStore[RowT],
    running: Callable[[int], RowT],
) -> PlanReply:
    """Keeps the plan of a run over these names, and its row, which ``running`` makes from how many they are.

    Raises:
        StoreError: storage was not to be reached, or did not take it.
    """
    plan, pages = deal(names, width=width, problems=problems)
    await work.save_plan(run_id=run_id, plan=plan, pages=pages)
    if await runs.run(run_id=run_id) is None:
        # Only the first time: delivered late, this must not set a run that has ended back to running.
        await runs.save_run(row=running(plan.item_count))
    return PlanReply(digest=plan.digest, pages_by_lane=plan.pages_by_lane)


async def read_page(work: WorkStore[OutcomeT], request: LaneRequest) -> PageReply:
    """The items of one page.

    Raises:
        StoreError: the page cannot be read.
        LookupError: there is no such page; a plan is kept before any lane starts.
    """
    page = await work.page(run_id=request.run.run_id, digest=request.digest, lane=request.lane, number=request.page)
    if page is None:
        raise LookupError(f"run {request.run.run_id} has no page {request.page} of lane {request.lane}")
    return PageReply(names=page.names)


async def read_lane_plan(work: WorkStore[OutcomeT], *, run_id: str, digest: str) -> tuple[LanePlan, set[str]]:
    """A plan, and the names on all its pages.

    Raises:
        StoreError: it cannot be read.
        LookupError: there is no such plan; it is kept before any lane starts.
    """
    plan = await work.plan(run_id=run_id, digest=digest)
    if plan is None:
        raise LookupError(f"run {run_id} has no plan {digest}")
    return plan, {name async for page in work.pages(run_id=run_id, digest=digest) for name in page.names}

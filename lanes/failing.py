"""Ends a run that came to no verdict on the estate."""

from collections.abc import Awaitable, Callable

from lanes.messages import FailRequest
from records.errors import StoreError
from records.ports import Clock, RowT, RunStore
from records.runs import RunStatus


async def end_as_failed(
    request: FailRequest,
    *,
    runs: RunStore[RowT],
    running: Callable[[], RowT],
    tell: Callable[[RowT], Awaitable[None]],
    clock: Clock,
) -> RowT:
    """Says that a run has failed, first to whoever watches (``tell``), then in its row; one that has ended stays as it is.

    ``running`` makes the row of a run that has none yet.

    Raises:
        StoreError: its row cannot be kept; whoever watches has been told by then.
    """
    try:
        before = await runs.run(run_id=request.request.run.run_id)
    except StoreError:
        before = None
    if before and before.status is not RunStatus.RUNNING:
        return before
    row = (before or running()).model_copy(
        update={"status": RunStatus.FAILED, "finished_at": clock(), "reason": request.reason}
    )
    await tell(row)
    await runs.save_run(row=row)
    return row

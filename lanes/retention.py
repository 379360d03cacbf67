"""Removes what is older than the retention: of a run its work first, since nothing finds that once the run's row is gone."""

from datetime import datetime

from records.ports import OutcomeT, RowT, RunStore, WorkStore


async def prune_old_runs(runs: RunStore[RowT], work: WorkStore[OutcomeT] | None, *, started_before: datetime) -> None:
    """``work`` is None where no run is spread over machines.

    Raises:
        StoreError: something could not be removed; a later run removes it.
    """
    if work:
        async for row in runs.runs(started_before=started_before):
            await work.prune_work(run_id=row.run_id)
    await runs.prune_runs(started_before=started_before)

"""Removes what is older than the retention: of a run its work first, since nothing finds that once the run's row is gone."""

from datetime import datetime

from records.ports import OutcomeT, PinStore, RowT, RunStore, WorkStore


async def prune_old_runs(
    runs: RunStore[RowT],
    work: WorkStore[OutcomeT] | None,
    *,
    pins: PinStore | None = None,
    started_before: datetime,
) -> None:
    """``work`` is None where no run is spread over machines, ``pins`` where runs tell of none.

    Raises:
        StoreError: something could not be removed; a later run removes it.
    """
    if work or pins:
        async for row in runs.runs(started_before=started_before):
            if work:
                await work.prune_work(run_id=row.run_id)
            if pins:
                await pins.prune_pins(run_id=row.run_id)
    await runs.prune_runs(started_before=started_before)

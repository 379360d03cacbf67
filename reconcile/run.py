"""One reconciliation of an estate in one process: what the terminal runs, and what Durable Functions spread out."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from reconcile.estate import (
    choose_markets,
    reconcile_side_by_side,
    registered_markets,
    shared_states,
    tracked_stacks,
    unregistered_states,
)
from reconcile.market import MarketReconciler
from records.errors import StoreError
from records.faults import RecordKind
from records.report import WHOLE_ESTATE, MarketOutcome, Problem, RunSummary, Tally
from records.store_faults import store_fault


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """Where a run tells how far it is: the markets' names once they are known, then each outcome."""

    on_markets: Callable[[list[str]], None]
    on_outcome: Callable[[MarketOutcome], None]


async def reconcile_estate(
    reconciler: MarketReconciler, *, wanted: Collection[str], width: int, progress: RunProgress
) -> RunSummary:
    """Reconciles the markets that are wanted, or all, and keeps the run's row.

    States that no registry entry names are looked for when all markets are read: else nearly all would seem to be such.

    Raises:
        UnknownMarketError: a wanted market is in no record.
        StoreError: the registry cannot be listed.
    """
    records = reconciler.records
    tally = Tally()
    known = await registered_markets(records)
    tracked: dict[str, set[str]] | None = None
    try:
        tracked = await tracked_stacks(records)
        known |= tracked.keys()
    except StoreError as error:
        tally.problems.append(_of_the_estate(error, RecordKind.TRACKER))
    markets = choose_markets(known, wanted)
    progress.on_markets(markets)
    named: set[str] = set()
    unread: set[str] = set()

    def reconcile(market: str) -> Awaitable[MarketOutcome]:
        return reconciler.reconcile(market, tracked=None if tracked is None else tracked.get(market, set()))

    async for outcome in reconcile_side_by_side(markets, reconcile, width=width):
        tally.add(outcome)
        tally.problems += shared_states(outcome, named)
        named.update(outcome.states)
        unread |= set() if outcome.names_all_its_states else {f"{outcome.market}/"}
        progress.on_outcome(outcome)
    unregistered: list[str] = []
    if not wanted:
        try:
            unregistered = await unregistered_states(records, named, unread=tuple(unread))
        except StoreError as error:
            tally.problems.append(_of_the_estate(error, RecordKind.STATE))
    await _keep_run(reconciler, tally, unregistered)
    return tally.summary(run=reconciler.run, finished_at=reconciler.clock(), unregistered_states=unregistered)


async def _keep_run(reconciler: MarketReconciler, tally: Tally, unregistered: list[str]) -> None:
    if reconciler.results is None:
        return
    summary = tally.summary(run=reconciler.run, finished_at=reconciler.clock(), unregistered_states=unregistered)
    row = summary.row()
    cutoff = reconciler.rules.oldest_kept(row.started_at)
    try:
        newest = await reconciler.results.newest_run()
        if newest and newest.run_id == row.run_id:
            row = row.model_copy(update={"started_at": newest.started_at})
        await reconciler.results.save_run(row=row)
        await reconciler.results.prune_runs(started_before=cutoff)
    except StoreError as error:
        tally.problems.append(_of_the_estate(error, RecordKind.RESULTS))


def _of_the_estate(error: StoreError, kind: RecordKind) -> Problem:
    return Problem.of(WHOLE_ESTATE, store_fault(error, kind=kind, blob=error.place))

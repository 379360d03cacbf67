"""One reconciliation of an estate in one process, as the terminal runs it; `reconcile.service` spreads one out."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from lanes.listing import choose_markets, registered_markets, tracked_stacks
from lanes.retention import prune_old_runs
from reconcile.estate import reconcile_side_by_side
from reconcile.estate_tally import EstateTally, of_the_estate
from reconcile.market import MarketReconciler
from reconcile.module_pins import keep_pins
from records.errors import StoreError
from records.faults import RecordKind
from records.names import is_market_key
from records.ports import PinStore, RunStore, WorkStore
from records.report import MarketOutcome, RunSummary
from records.runs import RunRow, Scope, Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """Where a run tells how far it is: the markets' names once they are known, then each outcome."""

    on_markets: Callable[[list[str]], None]
    on_outcome: Callable[[MarketOutcome], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStores:
    """Where a run is kept, and what it tells of module pins; ``work`` is where runs of the service keep theirs, which goes with
    them once they are too old.
    """

    runs: RunStore[RunRow]
    pins: PinStore
    work: WorkStore[MarketOutcome] | None = None


async def reconcile_estate(
    reconciler: MarketReconciler,
    *,
    kept_in: RunStores | None,
    wanted: Collection[str],
    width: int,
    progress: RunProgress,
) -> RunSummary:
    """Reconciles the markets that are wanted, or all, and keeps the run where ``kept_in`` says.

    Raises:
        UnknownMarketError: a wanted market is in no record.
        StoreError: the registry cannot be listed.
    """
    records = reconciler.records
    tally = EstateTally()
    known = await registered_markets(records)
    tracked: dict[str, set[str]] | None = None
    try:
        tracked = await tracked_stacks(records)
        known |= tracked.keys()
    except StoreError as error:
        tally.add_problems([of_the_estate(error, RecordKind.TRACKER)])
    markets = choose_markets(known, wanted)
    progress.on_markets(markets)

    def reconcile(market: str) -> Awaitable[MarketOutcome]:
        return reconciler.reconcile(market, tracked=None if tracked is None else tracked.get(market, set()))

    async for outcome in reconcile_side_by_side(markets, reconcile, width=width):
        tally.add(outcome)
        progress.on_outcome(outcome)
    if not wanted:
        await tally.find_unregistered_states(records)
        tally.add_up_pins()
    if kept_in:
        scope = Scope(markets=tuple(filter(is_market_key, markets)) if wanted else ())
        await _keep_run(kept_in, reconciler, tally, scope)
    return tally.summary(run=reconciler.run, finished_at=reconciler.clock())


async def _keep_run(stores: RunStores, reconciler: MarketReconciler, tally: EstateTally, scope: Scope) -> None:
    summary = tally.summary(run=reconciler.run, finished_at=reconciler.clock())
    row = summary.row(trigger=Trigger.TERMINAL, scope=scope, expected_markets=summary.markets)
    try:
        await stores.runs.save_run(row=row)
        if summary.pins:
            await keep_pins(stores.pins, run=reconciler.run, pins=summary.pins)
        oldest_kept = reconciler.rules.oldest_kept(row.started_at)
        await prune_old_runs(stores.runs, stores.work, pins=stores.pins, started_before=oldest_kept)
    except StoreError as error:
        tally.add_problems([of_the_estate(error, RecordKind.RESULTS)])

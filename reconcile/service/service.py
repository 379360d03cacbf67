"""All that the activities and the answers need of the world, opened once in a process."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from reconcile.market import MarketReconciler, Rules
from reconcile.service.schedule import Schedule
from records.ports import (
    Clock,
    MarketWorkStore,
    NewSpool,
    PinStore,
    RecordReader,
    ReportStore,
    ResultStore,
    RunStore,
    Telemetry,
)
from records.results import Run
from records.runs import RunRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """``width`` is how many markets are in work at once over all machines, ``market_limit_seconds`` how long one may take.

    ``runbook_url`` is what reports link to.
    """

    records: RecordReader
    results: ResultStore
    runs: RunStore[RunRow]
    work: MarketWorkStore
    pins: PinStore
    reports: ReportStore
    telemetry: Telemetry
    new_spool: NewSpool
    rules: Rules
    schedule: Schedule
    width: int
    market_limit_seconds: float
    runbook_url: str | None
    version: str
    clock: Clock
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def reconciler(self, run: Run) -> MarketReconciler:
        return MarketReconciler(
            records=self.records,
            results=self.results,
            run=run,
            rules=self.rules,
            clock=self.clock,
            sleep=self.sleep,
        )

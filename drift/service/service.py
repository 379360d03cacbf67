"""All that the activities of plan checks need of the world, opened once in a process."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from drift.concluding import Queueing
from drift.observing import StackObserver
from drift.policy import InvalidPolicy, Policy
from drift.situation import Unread
from records.drift_ports import CheckStore, CheckTelemetry, HealLedger
from records.plan_checks import CheckRunRow, StackObservation
from records.ports import Clock, RecordReader, RunStore, WorkStore
from records.resource_changes import ChangeHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckService:
    """``width`` is how many stacks are in work at once over all machines, ``plans_here`` how many in this process.

    ``kept_for`` is how long history and runs are kept.
    """

    records: RecordReader
    observer: StackObserver
    read_policy: Callable[[], Awaitable[Policy | InvalidPolicy | Unread]]
    changes: ChangeHistory
    checks: CheckStore
    ledger: HealLedger
    queueing: Queueing
    runs: RunStore[CheckRunRow]
    work: WorkStore[StackObservation]
    telemetry: CheckTelemetry
    width: int
    plans_here: asyncio.Semaphore
    kept_for: timedelta
    clock: Clock

    def oldest_kept(self, started_at: datetime) -> datetime:
        return started_at - self.kept_for

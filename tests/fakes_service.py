"""The service of `reconcile.service` in memory: an estate, its stores, an engine, and somebody who watches."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from adapters.outcome_spool import OutcomeSpool
from adapters.record_reader import BlobRecordReader
from reconcile.service.schedule import FiredSchedule
from reconcile.service.service import Service
from records.engine import Instance, InstanceState, RunRequest
from records.errors import EngineUnavailableError, StoreError
from records.report import Report, RunSummary
from records.results import Run, StackResult
from records.runs import WHOLE_SCOPE, RunRow, Scope, Trigger
from tests.estates import CONTAINERS, RULES, MemoryEstate
from tests.fakes import MemoryBlobStore, MemoryMarketWorkStore, MemoryPinStore, MemoryResultStore

SIX: Final = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)
DAILY: Final = Run(run_id="daily-2026-11-25", started_at=SIX)


def request_of(run: Run = DAILY, scope: Scope = WHOLE_SCOPE, trigger: Trigger = Trigger.TIMER) -> RunRequest:
    return RunRequest(run=run, trigger=trigger, scope=scope)


@dataclass(slots=True)
class MemoryReportStore:
    """A `ReportStore` in memory."""

    kept: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    media_types: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, StoreError] = field(default_factory=dict)

    def refuse(self, suffix: str, error: StoreError) -> None:
        """From now on, every report under a name that ends so."""
        self.refusals[suffix] = error

    def read(self, name: str) -> str:
        return self.kept[name][1]

    async def save_report(
        self, *, names: Sequence[str], chunks: Iterable[str], media_type: str, started_at: datetime
    ) -> None:
        text = "".join(chunks)
        for name in names:
            for suffix, error in self.refusals.items():
                if name.endswith(suffix):
                    raise error
            if name not in self.kept or self.kept[name][0] <= started_at:
                self.kept[name] = (started_at, text)
                self.media_types[name] = media_type


@dataclass(frozen=True, slots=True)
class Told:
    """What telemetry was told of a run."""

    row: RunRow
    summary: RunSummary | None
    results: tuple[StackResult, ...]


@dataclass(slots=True)
class RecordingTelemetry:
    """A `Telemetry` that remembers."""

    told: list[Told] = field(default_factory=list)

    async def run_ended(self, *, row: RunRow, report: Report | None) -> None:
        summary, results = (report.summary, tuple(report.results)) if report else (None, ())
        self.told.append(Told(row, summary, results))


@dataclass(slots=True)
class MemoryEngine:
    """An `Engine` that starts orchestrations and carries none of them on."""

    instances: dict[str, Instance] = field(default_factory=dict)
    is_down: bool = False

    def put(self, instance_id: str, state: InstanceState, request: RunRequest | None) -> None:
        self.instances[instance_id] = Instance(state=state, request=request)

    async def instance(self, *, instance_id: str) -> Instance | None:
        self._check()
        return self.instances.get(instance_id)

    async def start(self, *, instance_id: str, request: RunRequest) -> None:
        self._check()
        there = self.instances.get(instance_id)
        if there is None or there.state is not InstanceState.RUNNING:
            self.put(instance_id, InstanceState.RUNNING, request)

    def _check(self) -> None:
        if self.is_down:
            raise EngineUnavailableError("Durable Functions does not answer (TimeoutError)")


@dataclass(slots=True)
class ServiceBench:
    """A service on an empty estate in memory, with a clock that stands still unless it is moved."""

    blobs: MemoryBlobStore = field(
        default_factory=lambda: MemoryBlobStore(CONTAINERS.registry, CONTAINERS.trackers, CONTAINERS.states)
    )
    results: MemoryResultStore = field(default_factory=MemoryResultStore)
    work: MemoryMarketWorkStore = field(default_factory=MemoryMarketWorkStore)
    pins: MemoryPinStore = field(default_factory=MemoryPinStore)
    reports: MemoryReportStore = field(default_factory=MemoryReportStore)
    telemetry: RecordingTelemetry = field(default_factory=RecordingTelemetry)
    engine: MemoryEngine = field(default_factory=MemoryEngine)
    now: datetime = SIX

    @property
    def estate(self) -> MemoryEstate:
        return MemoryEstate(self.blobs)

    def service(self, **changes: Any) -> Service:
        values: dict[str, Any] = {
            "records": BlobRecordReader(self.blobs, CONTAINERS),
            "results": self.results,
            "runs": self.results,
            "work": self.work,
            "pins": self.pins,
            "reports": self.reports,
            "telemetry": self.telemetry,
            "new_spool": OutcomeSpool,
            "rules": RULES,
            "schedule": FiredSchedule(),
            "width": 4,
            "market_limit_seconds": 60,
            "runbook_url": None,
            "version": "0.0.0",
            "clock": lambda: self.now,
        }
        return Service(**values | changes)

"""The service of `drift.service` in memory: an estate, its stores, and somebody who watches."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from drift.policy import InvalidPolicy, Policy
from drift.service.checking import check_stack
from drift.service.finishing import finish_run
from drift.service.planning import plan_run
from drift.service.service import CheckService
from drift.situation import Unread
from lanes.messages import FinishRequest, ItemReply, ItemRequest
from records.engine import RunRequest
from records.plan_checks import CheckRunRow, StackCheck, StackObservation
from records.report import Problem
from records.results import Run
from records.runs import WHOLE_SCOPE, Scope, Trigger
from tests.fakes import MemoryRunStore, MemoryWorkStore
from tests.unit.drift_samples import ON
from tests.unit.observation_samples import Bench
from tests.unit.planner_fake import NOW, DriftEstate

RUN: Final = Run(run_id="plans-1", started_at=NOW)
KEPT_FOR: Final = timedelta(days=400)


def request_of(run: Run = RUN, scope: Scope = WHOLE_SCOPE) -> RunRequest:
    return RunRequest(run=run, trigger=Trigger.TIMER, scope=scope)


@dataclass(frozen=True, slots=True)
class Told:
    """What telemetry was told of a run."""

    row: CheckRunRow
    checks: tuple[StackCheck, ...]
    problems: tuple[Problem, ...]


@dataclass(slots=True)
class RecordingCheckTelemetry:
    """A `CheckTelemetry` that remembers."""

    told: list[Told] = field(default_factory=list)

    async def checks_ended(
        self, *, row: CheckRunRow, checks: Iterable[StackCheck], problems: Sequence[Problem]
    ) -> None:
        self.told.append(Told(row, tuple(checks), tuple(problems)))


@dataclass(slots=True)
class CheckServiceBench:
    """A service over an estate in memory, with healing on. The clock of its end stands still unless it is moved."""

    world: DriftEstate = field(default_factory=DriftEstate)
    ends: Bench = field(default_factory=Bench)
    runs: MemoryRunStore[CheckRunRow] = field(default_factory=lambda: MemoryRunStore(CheckRunRow))
    work: MemoryWorkStore[StackObservation] = field(default_factory=lambda: MemoryWorkStore(StackObservation))
    telemetry: RecordingCheckTelemetry = field(default_factory=RecordingCheckTelemetry)
    policy: Policy | InvalidPolicy | Unread = ON
    plan_limit_seconds: float = 30

    async def read_policy(self) -> Policy | InvalidPolicy | Unread:
        return self.policy

    def clock(self) -> datetime:
        return self.ends.now

    def service(self, **changes: Any) -> CheckService:
        values: dict[str, Any] = {
            "records": self.world.records,
            "observer": self.world.observer(plan_limit_seconds=self.plan_limit_seconds),
            "read_policy": self.read_policy,
            "changes": self.ends.changes,
            "checks": self.ends.checks,
            "ledger": self.ends.ledger,
            "queueing": self.ends.queueing,
            "runs": self.runs,
            "work": self.work,
            "telemetry": self.telemetry,
            "width": 4,
            "plans_here": asyncio.Semaphore(2),
            "kept_for": KEPT_FOR,
            "clock": self.clock,
        }
        return CheckService(**values | changes)

    async def check(self, name: str, run: Run = RUN, **changes: Any) -> ItemReply:
        return await check_stack(self.service(**changes), ItemRequest(run=run, name=name))

    async def look(self, request: RunRequest | None = None, *, without: str = "") -> FinishRequest:
        """Everything but the end of a run, with one stack left out."""
        request = request or request_of()
        plan = await plan_run(self.service(), request)
        async for page in self.work.pages(run_id=request.run.run_id, digest=plan.digest):
            for name in page.names:
                if name != without:
                    await self.check(name, request.run)
        return FinishRequest(request=request, digest=plan.digest)

    async def run_through(self, request: RunRequest | None = None, *, without: str = "") -> CheckRunRow:
        return await finish_run(self.service(), await self.look(request, without=without))

    async def check_of(self, name: str, run: Run = RUN) -> StackCheck:
        """As the table keeps it."""
        market, _, stack = name.rpartition("/")
        stored = await self.ends.checks.check_of_run(run=run, market=market, stack=stack)
        assert stored
        return stored.check

    async def kept(self, run: Run = RUN) -> CheckRunRow:
        row = await self.runs.run(run_id=run.run_id)
        assert row
        return row

"""Observations for the tests of what follows from them, and stores of checks and heals that can die at any write."""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from drift.brakes import Brakes
from drift.concluding import Concluded, Conclusion, Queueing
from drift.fingerprint import fingerprint, fleet_fingerprint
from drift.situation import FleetSpread
from records.findings import Finding, FindingKind
from records.heal_ledger import HealRow
from records.heals import HealJob
from records.plan_checks import PlannedStack, StackCheck, StackObservation, StoredCheck
from records.resource_changes import ResourceChange
from records.results import Run
from records.verdicts import Verdict
from tests.fakes_drift import MemoryCheckStore, MemoryHealLedger, MemoryHealQueue
from tests.unit.drift_samples import ON, finding

NOW: Final = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)
RUN: Final = Run(run_id="plans-1", started_at=NOW)
LATER_RUN: Final = Run(run_id="plans-2", started_at=NOW + timedelta(hours=1))
EXPIRES_AFTER: Final = timedelta(hours=6)
LINEAGE: Final = "edd2705f-7116-be1f-264c-8eebc32084c8"
CLICK: Final = finding()
ONE_OF_TWENTY: Final = FleetSpread(markets_with_it=1, markets_checked=20)


def brakes(**given: Any) -> Brakes:
    """None that holds anything; each argument is what is otherwise."""
    usual: dict[str, Any] = {"policy": ON, "pauses": (), "heals": (), "fleet": ONE_OF_TWENTY}
    return Brakes(**usual | given)


def plan_of(*findings: Finding, market: str = "de", **changes: Any) -> PlannedStack:
    touched = [one for one in findings if one.kind is not FindingKind.STALE_STATE]
    values: dict[str, Any] = {
        "findings": findings,
        "managed_resources": 100,
        "fingerprint": fingerprint(touched) if touched else None,
        "fleet_fingerprints": tuple(sorted({fleet_fingerprint([one], names=[market]) for one in touched})),
    }
    return PlannedStack(**values | changes)


def seen(market: str = "de", stack: str = "network", *findings: Finding, **changes: Any) -> StackObservation:
    """A healthy stack with these findings; ``changes`` replaces fields."""
    values: dict[str, Any] = {
        "subscription_id": f"s-{market}",
        "checked_at": NOW,
        "verdict": Verdict.HEALTHY,
        "lineage": LINEAGE,
        "serial": 42,
        "bundle_sha256": "9" * 64,
        "plan": plan_of(*findings, market=market),
    }
    return StackObservation(market=market, stack=stack, **values | changes)


def clicked(market: str = "de", stack: str = "network", **changes: Any) -> StackObservation:
    """A stack that would be healed."""
    return seen(market, stack, CLICK, **changes)


def unplanned(market: str = "de", stack: str = "network", **changes: Any) -> StackObservation:
    return seen(market, stack, **{"plan": None, "diagnostics": ("Terraform gave no plan.",)} | changes)


class CrashError(BaseException):
    """The process dies."""


@dataclass(slots=True)
class Steps:
    """The writes that were done, in order; the process dies once, before or after the one that ``dies_at`` names."""

    done: list[str] = field(default_factory=list)
    dies_at: tuple[str, str] | None = None

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self._die_at("before", name)
        yield
        self.done.append(name)
        self._die_at("after", name)

    def _die_at(self, when: str, name: str) -> None:
        if self.dies_at == (when, name):
            self.dies_at = None
            raise CrashError(f"{when} {name}")


class MortalCheckStore(MemoryCheckStore):
    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps = steps

    async def save_check(self, *, stored: StoredCheck) -> None:
        with self._steps.step("save_check"):
            await super().save_check(stored=stored)


class MortalLedger(MemoryHealLedger):
    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps = steps

    async def put(self, *, row: HealRow, replaces: str | None) -> str:
        with self._steps.step("put"):
            return await super().put(row=row, replaces=replaces)


class MortalQueue(MemoryHealQueue):
    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps = steps

    async def send(self, *, job: HealJob, delay_seconds: int = 0) -> None:
        with self._steps.step("send"):
            await super().send(job=job, delay_seconds=delay_seconds)


@dataclass(slots=True)
class MemoryChanges:
    """A `ChangeHistory` in memory, by resource id in lower case; ``asked`` has each question."""

    known: dict[str, ResourceChange] = field(default_factory=dict)
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    async def last_changes(
        self, *, subscription_id: str, resource_ids: Collection[str]
    ) -> Mapping[str, ResourceChange]:
        self.asked.append((subscription_id, tuple(resource_ids)))
        wanted = {resource_id.lower() for resource_id in resource_ids}
        return {known: change for known, change in self.known.items() if known in wanted}


@dataclass(slots=True)
class Bench:
    """What runs are concluded with. The clock stands still unless it is moved."""

    steps: Steps = field(default_factory=Steps)
    now: datetime = NOW
    changes: MemoryChanges = field(default_factory=MemoryChanges)
    checks: MortalCheckStore = field(init=False)
    ledger: MortalLedger = field(init=False)
    queue: MortalQueue = field(init=False)

    def __post_init__(self) -> None:
        self.checks, self.ledger, self.queue = (
            MortalCheckStore(self.steps),
            MortalLedger(self.steps),
            MortalQueue(self.steps),
        )

    @property
    def queueing(self) -> Queueing:
        return Queueing(queue=self.queue, expires_after=EXPIRES_AFTER)

    def conclusion(self, **changes: Any) -> Conclusion:
        """Of a run over the whole estate, with healing on."""
        values: dict[str, Any] = {
            "run": RUN,
            "policy": ON,
            "changes": self.changes,
            "checks": self.checks,
            "ledger": self.ledger,
            "queueing": self.queueing,
            "clock": lambda: self.now,
        }
        return Conclusion(**values | changes)

    async def conclude(self, *observations: StackObservation, **changes: Any) -> list[Concluded]:
        async def each() -> AsyncIterator[StackObservation]:
            for one in observations:
                yield one

        return [concluded async for concluded in self.conclusion(**changes).conclude(each)]

    async def check_of(self, *observations: StackObservation, **changes: Any) -> StackCheck:
        """The first one's check."""
        return (await self.conclude(*observations, **changes))[0].check

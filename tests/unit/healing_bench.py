"""The healer over an estate in memory, with the real judge and recorder; and a process that can die at each of its writes."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from adapters.heal_messages import to_message
from adapters.record_writer import BlobRecordWriter
from drift.checks import check_of, job_of
from drift.healing.delivering import Deliveries
from drift.healing.draining import drain
from drift.healing.levers import Levers, Person
from drift.healing.lock_watch import LockWatch
from drift.healing.worker import Fate, Healer
from drift.opening import Opening, open_job
from drift.policy import InvalidPolicy, Policy
from drift.situation import Unread
from recording.healed import HealedStackRecorder
from records.heal_ledger import HealRow, HealStep
from records.heals import HealJob
from records.plan_checks import HoldReason, StackCheck, StoredCheck
from records.record_log import LoggedWrite
from records.verdicts import Verdict
from tests.estates import CONTAINERS, state_bytes
from tests.fakes import MemoryRecordLog
from tests.fakes_drift import MemoryCheckStore, MemoryHealInbox, MemoryHealLedger, MemoryHealQueue, MemoryLeases
from tests.unit.drift_samples import ON
from tests.unit.healing_cloud import OWN_NAME, Cloud
from tests.unit.observation_samples import CrashError, brakes
from tests.unit.planner_fake import DriftEstate

EXPIRES_AFTER: Final = timedelta(hours=6)
LOCK_TIMEOUT_SECONDS: Final = 120
ALICE: Final = Person(by="alice@example.com", reason="I have looked.")
PATH: Final = ("de", "network")
HAPPY: Final = [HealStep.BEGUN, HealStep.JUDGED, HealStep.APPLYING, HealStep.APPLIED, HealStep.VERIFIED]


@dataclass(slots=True)
class Mortal:
    """Notes what a process does to the world, and has it die once: before or after the deed that ``dies_at`` names."""

    done: list[str] = field(default_factory=list)
    dies_at: tuple[str, str] | None = None

    def before(self, deed: str) -> None:
        self._die_at("before", deed)

    def after(self, deed: str) -> None:
        self.done.append(deed)
        self._die_at("after", deed)

    def _die_at(self, when: str, deed: str) -> None:
        if self.dies_at == (when, deed):
            self.dies_at = None
            raise CrashError(f"{when} {deed}")


class MortalLedger(MemoryHealLedger):
    """``on_put`` is called before each write, with its row."""

    def __init__(self, mortal: Mortal) -> None:
        super().__init__()
        self._mortal = mortal
        self.on_put: Callable[[HealRow], object] = lambda _row: None

    async def put(self, *, row: HealRow, replaces: str | None) -> str:
        self.on_put(row)
        deed = "its lock" if row.own_lock and row.step is HealStep.APPLYING else f"that it is {row.step}"
        self._mortal.before(deed)
        etag = await super().put(row=row, replaces=replaces)
        self._mortal.after(deed)
        return etag


class MortalLog(MemoryRecordLog):
    def __init__(self, mortal: Mortal) -> None:
        super().__init__()
        self._mortal = mortal

    async def save(self, *, writes: Sequence[LoggedWrite]) -> None:
        [write] = writes
        deed = f"its {write.kind} in the log as {write.status}"
        self._mortal.before(deed)
        await super().save(writes=writes)
        self._mortal.after(deed)


class MortalQueue(MemoryHealQueue):
    def __init__(self, mortal: Mortal, clock: Callable[[], datetime]) -> None:
        super().__init__(clock=clock)
        self._mortal = mortal

    async def send(self, *, job: HealJob, delay_seconds: int = 0) -> None:
        self._mortal.before("a message")
        await super().send(job=job, delay_seconds=delay_seconds)
        self._mortal.after("a message")


@dataclass(slots=True)
class RecordingHealTelemetry:
    """A `HealTelemetry` that remembers."""

    moved: list[HealRow] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    async def heal_moved(self, *, row: HealRow) -> None:
        self.moved.append(row)

    async def message_refused(self, *, why: str) -> None:
        self.refused.append(why)


@dataclass(slots=True)
class HealBench:
    """de/network, healthy, and a healer with healing on. ``now`` is the one time of all, a second later at each look."""

    mortal: Mortal = field(default_factory=Mortal)
    world: DriftEstate = field(default_factory=DriftEstate)
    checks: MemoryCheckStore = field(default_factory=MemoryCheckStore)
    leases: MemoryLeases = field(default_factory=MemoryLeases)
    telemetry: RecordingHealTelemetry = field(default_factory=RecordingHealTelemetry)
    policy: Policy | InvalidPolicy | Unread = ON
    cloud: Cloud = field(init=False)
    ledger: MortalLedger = field(init=False)
    log: MortalLog = field(init=False)
    queue: MortalQueue = field(init=False)

    def __post_init__(self) -> None:
        self.ledger, self.log = MortalLedger(self.mortal), MortalLog(self.mortal)
        self.queue = MortalQueue(self.mortal, lambda: self.now)
        self.cloud = self.world.planner.terraform = Cloud(self.world)
        self.world.deploy()
        self.world.track(state_md5=hashlib.md5(state_bytes(), usedforsecurity=False).hexdigest())
        self.cloud.before_apply = lambda: self.mortal.before("the apply")
        self.cloud.after_apply = lambda: self.mortal.after("the apply")
        self.world.blobs.before_write = lambda place: self.mortal.before(f"{place.container}/{place.name}")
        self.world.blobs.after_write = lambda place: self.mortal.after(f"{place.container}/{place.name}")

    @property
    def now(self) -> datetime:
        return self.world.now

    @now.setter
    def now(self, moment: datetime) -> None:
        self.world.now = moment

    def clock(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    async def read_policy(self) -> Policy | InvalidPolicy | Unread:
        return self.policy

    async def known_markets(self) -> tuple[str, ...]:
        return ("de", "fr")

    def lock_watch(self, own_name: str = OWN_NAME) -> LockWatch:
        return LockWatch(records=self.world.records, own_name=own_name, clock=self.clock)

    def healer(self, **changes: Any) -> Healer:
        values: dict[str, Any] = {
            "observer": self.world.observer(),
            "records": self.world.records,
            "ledger": self.ledger,
            "leases": self.leases,
            "recorder": HealedStackRecorder(
                records=self.world.records, writer=BlobRecordWriter(self.world.blobs, CONTAINERS), log=self.log
            ),
            "checks": self.checks,
            "read_policy": self.read_policy,
            "telemetry": self.telemetry,
            "lock_timeout_seconds": LOCK_TIMEOUT_SECONDS,
            "lock_watch": self.lock_watch(),
            "clock": self.clock,
        }
        return Healer(**values | changes)

    def deliveries(self, **changes: Any) -> Deliveries:
        return Deliveries(healer=self.healer(**changes), queue=self.queue, clock=self.clock)

    def levers(self) -> Levers:
        return Levers(
            ledger=self.ledger,
            checks=self.checks,
            queue=self.queue,
            known_markets=self.known_markets,
            expires_after=EXPIRES_AFTER,
            clock=self.clock,
        )

    async def check(self, market: str = "de", **changes: Any) -> StackCheck:
        """What a check finds now, as a run keeps it, whatever brakes there are beside the policy."""
        seen = await self.world.observe(market)
        check = check_of(seen, brakes(**{"policy": self.policy} | changes), now=self.now)
        plan = seen.plan
        stored = StoredCheck(
            run_id=f"plans-{self.now:%H%M%S}",
            run_started_at=self.now,
            fleet_fingerprints=plan.fleet_fingerprints if plan else (),
            check=check,
        )
        await self.checks.save_check(stored=stored)
        return check

    async def queued(self, check: StackCheck | None = None) -> bytes:
        """The message of a job for what is there now, whatever a check would decide on it."""
        check = check or await self.check()
        now = self.clock()
        job = job_of(check, queued_at=now, expires_at=now + EXPIRES_AFTER)
        opening = await open_job(self.ledger, job, check.findings, run_id=f"plans-{now:%H%M%S}")
        assert opening is Opening.OPENED, opening
        self.mortal.done.clear()
        return to_message(job)

    async def clicked(self, *addresses: str) -> bytes:
        """Somebody clicks, and a check queues the heal."""
        self.cloud.click(*addresses)
        return await self.queued()

    async def heal(self, message: bytes, **changes: Any) -> HealRow:
        """A healer takes a message to its end; returns the row of the job that was opened last."""
        assert await self.healer(**changes).heal(message) is Fate.DONE
        return self.row

    async def drain(self, **changes: Any) -> list[Exception | None]:
        """What went wrong with each message."""
        return [one.error async for one in drain(self.deliveries(**changes), MemoryHealInbox(self.queue))]

    @property
    def row(self) -> HealRow:
        return self.ledger.all_rows[-1]

    @property
    def steps(self) -> list[HealStep]:
        """Of that job, since it was last queued."""
        steps = [event.step for event in self.row.events]
        return steps[len(steps) - steps[::-1].index(HealStep.QUEUED) :]

    async def verdict(self) -> Verdict | None:
        judged = await self.world.observer().judge.judge("de", wanted=["network"])
        return judged.stacks[0].result.verdict

    async def assert_held(self, message: bytes, reason: HoldReason, saying: str = "", **changes: Any) -> HealRow:
        """It ends there, and nothing was applied."""
        row = await self.heal(message, **changes)
        assert (row.step, row.reason) == (HealStep.HELD, reason)
        assert saying in (row.events[-1].note or "")
        assert row.applying_since is None
        assert self.cloud.applies == []
        assert self.telemetry.moved == [row]
        return row

    async def assert_verified(self, *, applies: int = 1) -> None:
        """The cloud is as it was deployed, the records say so, and the ledger too."""
        assert self.row.step is HealStep.VERIFIED
        assert (self.row.applying_since, self.row.own_lock) == (None, None)
        assert self.cloud.real == self.cloud.code
        assert await self.verdict() is Verdict.HEALTHY
        assert not self.cloud.is_locked
        assert len(self.cloud.applies) == applies
        assert self.telemetry.moved[-1] == self.row

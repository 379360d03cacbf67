"""A `Planner` that 'deploys' plans that Terraform wrote, and an estate in memory whose stacks were deployed with a bundle."""

import asyncio
import base64
import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from adapters.blob_store import BlobPlace
from adapters.mapped_file import mapped
from adapters.record_reader import BlobRecordReader
from drift.observing import StackObserver
from reconcile.market import MarketReconciler
from records.bundles import bundle_blob
from records.errors import BundleError
from records.plan_checks import StackObservation
from records.registry import StateLocation
from records.results import Run
from records.terraform import Applied, Cause, DeployedRoot, FailedApply, MadePlan, NoAnswer, ReadT, Step
from records.tracker import Bundle
from tests.estates import CONTAINERS, RULES, MemoryEstate, entry, put_registry, put_state, put_tracker
from tests.fakes import MemoryBlobStore

PLANS: Final = Path(__file__).parents[1] / "golden" / "plans"
NOW: Final = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)
CLICK: Final = "in_place_change"
BUNDLE_MAX_BYTES: Final = 100


@dataclass(frozen=True, slots=True)
class Breaks:
    """The planner raises: when a module is deployed, or in the middle of its plan."""

    error: Exception
    in_the_plan: bool = False


@dataclass(frozen=True, slots=True)
class Hangs:
    """A plan that never ends by itself."""


Outcome = str | bytes | NoAnswer | Breaks | Hangs
"""A recorded plan by its name, a plan's JSON, or why there is none."""


def inconclusive(cause: Cause = Cause.FAILED, *, step: Step = Step.PLAN, **given: Any) -> NoAnswer:
    return NoAnswer(step=step, cause=cause, message=f"Terraform gave no plan ({cause}). Do something.", **given)


class Terraform(Protocol):
    """What plans and applies under locks, where a test is of more than looking."""

    async def plan(self, *, state: StateLocation, lock_timeout_seconds: int | None) -> Outcome: ...

    async def apply(
        self, document: bytes, *, state: StateLocation, lock_timeout_seconds: int
    ) -> Applied | FailedApply: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a planner was asked for."""

    content: bytes
    bundle: Bundle
    state: StateLocation
    subscription_id: str | None


@dataclass(slots=True)
class FakePlanner:
    """Gives each state the outcome in ``outcomes``, or the usual one. ``meanwhile`` is called in the middle of each plan.

    As a real one it refuses what has not the bundle's hash, and what it leaves on disk is gone with the block. Without a
    ``terraform`` it takes no lock and applies nothing.
    """

    usual: Outcome = CLICK
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    meanwhile: Callable[[], object] = lambda: None
    terraform: Terraform | None = None
    asked: list[Asked] = field(default_factory=list)
    in_work: int = 0
    most_in_work: int = 0
    stopped: int = 0
    folders: list[Path] = field(default_factory=list)

    @asynccontextmanager
    async def deployed(
        self, *, content: bytes, bundle: Bundle, state: StateLocation, subscription_id: str | None = None
    ) -> AsyncIterator[DeployedRoot]:
        self.asked.append(Asked(content=content, bundle=bundle, state=state, subscription_id=subscription_id))
        if hashlib.sha256(content).hexdigest() != bundle.sha256:
            raise BundleError(
                f"{bundle.blob}: the content has another hash than its name says. Deploy the stack again."
            )
        outcome = self.outcomes.get(state.key, self.usual)
        if isinstance(outcome, Breaks) and not outcome.in_the_plan:
            raise outcome.error
        folder = Path(tempfile.mkdtemp(prefix="trueup-fake-"))
        self.folders.append(folder)
        self.in_work += 1
        self.most_in_work = max(self.most_in_work, self.in_work)
        try:
            yield _FakeModule(self, outcome, state, folder)
        finally:
            self.in_work -= 1
            shutil.rmtree(folder)


@dataclass(frozen=True, slots=True)
class _FakeModule:
    planner: FakePlanner
    outcome: Outcome
    state: StateLocation
    folder: Path

    async def plan(self, *, lock_timeout_seconds: int | None = None) -> MadePlan | NoAnswer:
        terraform = self.planner.terraform
        assert terraform or lock_timeout_seconds is None, "a check takes no lock: it would move the state's blob"
        await asyncio.sleep(0)
        outcome = self.outcome
        if terraform:
            outcome = await terraform.plan(state=self.state, lock_timeout_seconds=lock_timeout_seconds)
        self.planner.meanwhile()
        match outcome:
            case NoAnswer() as none:
                return none
            case Breaks(error):
                raise error
            case Hangs():
                try:
                    await asyncio.Event().wait()
                finally:
                    self.planner.stopped += 1
            case bytes() as document:
                return self._made(document)
            case str() as name:
                return self._made((PLANS / f"{name}.json").read_bytes())
        raise AssertionError("an event that nobody sets came")

    async def read(self, plan: MadePlan, reader: Callable[[memoryview], ReadT]) -> ReadT:
        def read() -> ReadT:
            with mapped(plan.json_file) as document:
                return reader(document)

        return await asyncio.to_thread(read)

    async def apply(self, plan: MadePlan, *, lock_timeout_seconds: int) -> Applied | FailedApply:
        assert self.planner.terraform, "a check applies nothing"
        return await self.planner.terraform.apply(
            plan.json_file.read_bytes(), state=self.state, lock_timeout_seconds=lock_timeout_seconds
        )

    def _made(self, document: bytes) -> MadePlan:
        json_file = self.folder / "plan.json"
        json_file.write_bytes(document)
        has_changes = b'"applyable": false' not in document and b'"applyable":false' not in document
        return MadePlan(file=self.folder / "plan", json_file=json_file, has_changes=has_changes)


def bundle_bytes(market: str, stack: str) -> bytes:
    return f"the bundle of {market}/{stack}".encode()


def bundle_of(market: str, stack: str, content: bytes | None = None) -> dict[str, str]:
    """As a tracker names it."""
    sha256 = hashlib.sha256(bundle_bytes(market, stack) if content is None else content).hexdigest()
    return {"blob": bundle_blob(market, stack, sha256), "sha256": sha256}


def place(container: str, name: str) -> BlobPlace:
    return BlobPlace(container=container, name=name)


@dataclass(slots=True)
class DriftEstate:
    """An estate in memory, and what looks at its stacks. ``now`` is the time by its clock, a minute later at each look."""

    blobs: MemoryBlobStore = field(
        default_factory=lambda: MemoryBlobStore(
            CONTAINERS.registry, CONTAINERS.trackers, CONTAINERS.states, CONTAINERS.bundles
        )
    )
    planner: FakePlanner = field(default_factory=FakePlanner)
    now: datetime = NOW

    def clock(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now

    @property
    def estate(self) -> MemoryEstate:
        return MemoryEstate(self.blobs)

    @property
    def records(self) -> BlobRecordReader:
        return BlobRecordReader(self.blobs, CONTAINERS)

    def deploy(self, market: str = "de", stacks: Iterable[str] = ("network",), **registry: Any) -> None:
        """A market all of whose stacks are healthy."""
        stacks = tuple(stacks)
        put_registry(self.estate, market, {stack: entry(market, stack) for stack in stacks}, **registry)
        for stack in stacks:
            self.estate.put(CONTAINERS.bundles, bundle_of(market, stack)["blob"], bundle_bytes(market, stack))
            self.track(market, stack)
            put_state(self.estate, market, stack)

    def track(self, market: str = "de", stack: str = "network", **changes: Any) -> None:
        put_tracker(self.estate, market, stack, **{"bundle": bundle_of(market, stack)} | changes)

    def register(self, market: str = "de", stack: str = "network", **changes: Any) -> None:
        """The registry of a market with this one stack."""
        put_registry(self.estate, market, {stack: entry(market, stack, **changes)})

    def lock(self, *, metadata: bool = True) -> None:
        """As Terraform locks the state of de/network."""
        if metadata:
            info = (
                b'{"ID": "1", "Operation": "OperationTypeApply", "Who": "a@agent", "Created": "2026-11-25T06:00:00Z"}'
            )
            self.blobs.set_metadata(STATE, {"terraformlockid": base64.b64encode(info).decode()})
        self.blobs.lease(STATE)

    def unlock(self) -> None:
        self.blobs.release(STATE)
        self.blobs.set_metadata(STATE, {})

    def observer(self, **changes: Any) -> StackObserver:
        judge = MarketReconciler(
            records=self.records,
            results=None,
            run=Run(run_id="plans-of-today", started_at=NOW),
            rules=RULES,
            clock=self.clock,
        )
        values: dict[str, Any] = {
            "judge": judge,
            "records": self.records,
            "planner": self.planner,
            "bundle_max_bytes": BUNDLE_MAX_BYTES,
            "plan_limit_seconds": 30,
            "clock": self.clock,
        }
        return StackObserver(**values | changes)

    async def observe(self, market: str = "de", stack: str = "network", **changes: Any) -> StackObservation:
        return await self.observer(**changes).observe(market, stack)


Change = Callable[[DriftEstate], object]


def all_of(*changes: Change) -> Change:
    """One change after another."""

    def change(world: DriftEstate) -> None:
        for one in changes:
            one(world)

    return change


STATE: Final = place(CONTAINERS.states, "de/network.tfstate")
TRACKER: Final = place(CONTAINERS.trackers, "de/network.json")
REGISTRY: Final = place(CONTAINERS.registry, "de/subscription.json")
BUNDLE: Final = place(CONTAINERS.bundles, bundle_of("de", "network")["blob"])

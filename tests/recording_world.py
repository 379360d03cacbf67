"""An estate in memory whose records are written by the real commands' core, with a pipeline that deploys to it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

from adapters.blob_store import BlobPlace
from adapters.record_reader import BlobRecordReader
from adapters.record_writer import BlobRecordWriter
from reconcile.market import MarketReconciler
from recording.accept import accept_state, plan_acceptance
from recording.author import Author
from recording.book import RecordBook
from recording.deploy import Deploy, StateClaims
from recording.record import Recorded, record_deploy
from recording.repair import MarketRepairs, Repaired, apply_repairs, plan_repairs
from records.bundles import PackedBundle
from records.record_log import LoggedWrite, RecordCommand
from records.registry import StateLocation
from records.results import Run, StackResult
from records.tracker import TrackerRecord
from tests.estates import CONTAINERS, LINEAGE, RULES, MemoryEstate, state_bytes
from tests.fakes import MemoryBlobStore, MemoryRecordLog

NOW: Final = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)
MARKET: Final = "de"
STACK: Final = "network"
SUBSCRIPTION: Final = "s-de"
CONTENT: Final = b"PK a zip"
BUNDLE: Final = PackedBundle(content=CONTENT, sha256="9f" * 32, file_count=3)


def key_of(stack: str = STACK) -> str:
    return f"{MARKET}/{stack}.tfstate"


@dataclass(slots=True)
class World:
    """``estate`` takes records as other hands write them; the methods are what the commands do."""

    blobs: MemoryBlobStore = field(
        default_factory=lambda: MemoryBlobStore(
            CONTAINERS.registry, CONTAINERS.trackers, CONTAINERS.states, CONTAINERS.bundles
        )
    )
    log: MemoryRecordLog = field(default_factory=MemoryRecordLog)
    minutes: "count[int]" = field(default_factory=count)

    @property
    def estate(self) -> MemoryEstate:
        return MemoryEstate(self.blobs)

    @property
    def records(self) -> BlobRecordReader:
        return BlobRecordReader(self.blobs, CONTAINERS)

    @property
    def judge(self) -> MarketReconciler:
        return MarketReconciler(
            records=self.records, results=None, run=Run.named_by(NOW), rules=RULES, clock=lambda: NOW, sleep=no_wait
        )

    def author(self, command: RecordCommand, *, reason: str | None = None) -> Author:
        """Each a minute after the one before, as commands follow each other."""
        number = next(self.minutes)
        return Author(
            by="alice@example.com",
            command=command,
            at=NOW + timedelta(minutes=number),
            session_id=f"session{number}",
            reason=reason,
        )

    def book(self, author: Author) -> RecordBook:
        return RecordBook(writer=BlobRecordWriter(self.blobs, CONTAINERS), log=self.log, author=author)

    def apply(self, serial: int, *, stack: str = STACK, lineage: str = LINEAGE, size_bytes: int = 0) -> None:
        """Terraform writes a state."""
        self.estate.put(CONTAINERS.states, key_of(stack), state_bytes(serial, lineage=lineage, size_bytes=size_bytes))

    async def record(self, stack: str = STACK, **deploy: Any) -> Recorded:
        author = self.author(RecordCommand.RECORD)
        said: dict[str, Any] = {
            "market": MARKET,
            "stack": stack,
            "deployed_at": author.at,
            "run_id": author.session_id,
            "signed_in_to": SUBSCRIPTION,
            "state": StateClaims(initialised=StateLocation(key=key_of(stack))),
        }
        return await record_deploy(Deploy(**(said | deploy)), records=self.records, book=self.book(author))

    async def plan_repairs(self, market: str = MARKET) -> MarketRepairs:
        return await plan_repairs(
            market,
            wanted=(),
            judge=self.judge,
            records=self.records,
            log=self.log,
            author=self.author(RecordCommand.REPAIR),
        )

    async def repair(self, market: str = MARKET) -> tuple[Repaired, ...]:
        plan = await self.plan_repairs(market)
        book = self.book(self.author(RecordCommand.REPAIR))
        return await apply_repairs(plan, records=self.records, judge=self.judge, book=book)

    async def accept(self, stack: str = STACK, *, serial: int | None = None) -> StackResult | None:
        author = self.author(RecordCommand.ACCEPT, reason="hotfix")
        acceptance = await plan_acceptance(MARKET, stack, judge=self.judge, author=author, serial=serial)
        if acceptance is None:
            return None
        return await accept_state(acceptance, records=self.records, judge=self.judge, book=self.book(author))

    async def result(self, stack: str = STACK) -> StackResult:
        judged = await self.judge.judge(MARKET, wanted=(stack,))
        return judged.stacks[0].result

    async def verdicts(self) -> dict[str, str]:
        judged = await self.judge.judge(MARKET)
        return {one.result.stack: str(one.result.verdict) for one in judged.stacks}

    async def tracker(self, stack: str = STACK) -> TrackerRecord:
        reading = await self.records.tracker(market=MARKET, stack=stack, subscription_id=None)
        record = getattr(reading, "record", None)
        assert isinstance(record, TrackerRecord), reading
        return record

    async def text(self, container: str, blob: str) -> str:
        part = await self.blobs.read(BlobPlace(container=container, name=blob), length_bytes=1_000_000)
        return part.content.decode()

    async def logged(self, market: str = MARKET) -> list[LoggedWrite]:
        """Oldest first."""
        return [write async for write in self.log.writes(market=market)][::-1]


async def no_wait(_seconds: float) -> None:
    await asyncio.sleep(0)


class KilledError(BaseException):
    """The process is gone: nothing that catches exceptions sees it."""


def kill_at(world: World, number: int, *, after: bool) -> Callable[[], int]:
    """Has the process die before or after its write of this number, counting from 0, of blobs and rows alike.

    Returns what tells how many writes there were.
    """
    counted = count()
    written = 0

    def step(is_after: bool) -> None:
        nonlocal written
        if not is_after:
            written = next(counted)
        if written == number and is_after is after:
            raise KilledError

    world.blobs.before_write = lambda _place: step(False)
    world.blobs.after_write = lambda _place: step(True)
    save = world.log.save

    async def logged(*, writes: list[LoggedWrite]) -> None:
        step(False)
        await save(writes=writes)
        step(True)

    world.log.save = logged  # type: ignore[method-assign, assignment]
    return lambda: written + 1


def revive(world: World) -> None:
    """The next process runs undisturbed."""
    world.blobs.before_write = world.blobs.after_write = lambda _place: None
    world.log.save = MemoryRecordLog.save.__get__(world.log)  # type: ignore[method-assign]

"""What the plan checks need of the world beside `records.ports`, as Protocols; the adapters fulfil them. Times are UTC."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from records.heal_ledger import HealRow, LeverUse
from records.heals import HealJob
from records.plan_checks import CheckRunRow, CheckSketch, StackCheck, StoredCheck
from records.report import Problem
from records.results import Run


class CheckStore(Protocol):
    """Keeps plan checks: of each stack the latest and its history.

    Every method raises `StoreError`. Writes are idempotent: the same check of the same run written twice is there once.

    A latest check that this version cannot read is a `StoreUnavailableError` that names it: passed over, it would be a market
    fewer in which a drift is. The next check of its stack writes over it. In the history one is passed over.
    """

    async def save_check(self, *, stored: StoredCheck) -> None:
        """Becomes its stack's latest, unless a later run's is, and goes into its history; both or neither.

        What is too large for the store is kept without the values of its attributes.
        """

    async def check_of_run(self, *, run: Run, market: str, stack: str) -> StoredCheck | None:
        """A point read."""

    async def latest_of_stack(self, *, market: str, stack: str) -> StoredCheck | None:
        """A point read; None where the stack was never checked."""

    def sketches(self) -> AsyncIterator[CheckSketch]:
        """Of every stack of every market the latest, without its findings; in no order; one range read, a page at a time.

        One may be ahead of its check for as long as a write that was cut off has not been done again.
        """

    async def forget(self, *, market: str, stack: str) -> None:
        """Removes the latest of a stack that is no more; its history stays until it is pruned."""

    async def prune(self, *, started_before: datetime) -> None:
        """Removes history of runs that started before. The latest are kept, however old."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A ledger's row, and the tag under which it may be replaced."""

    row: HealRow
    etag: str


class HealLedger(Protocol):
    """Keeps a row for each job, and the levers that persons have pulled. Every method raises `StoreError`.

    The two are apart: who is let write jobs can be kept from pulling levers, and can then neither add, change nor end one.

    A row that this version cannot read is a `StoreUnavailableError` that names it: a job must not be taken for new that a later
    version has at work, nor a drift for one that was never healed, nor one that is held for none.
    """

    async def row(self, *, market: str, stack: str, job_id: str) -> Kept | None:
        """A point read."""

    async def put(self, *, row: HealRow, replaces: str | None) -> str:
        """Writes a row in place of the one with this tag, None for none; returns its new tag.

        Raises:
            BlobChangedError: there is another row, or one already; nothing was written. A write whose answer was lost, and that
                is sent again, finds its own work and is no such.
        """

    async def find(self, *, job_id: str) -> Kept | None:
        """A job of which only the id is known."""

    def of_stack(self, *, market: str, stack: str) -> AsyncIterator[HealRow]:
        """Every job of a stack, in no order."""

    def rows(self) -> AsyncIterator[HealRow]:
        """Every job, in no order, a page at a time."""

    async def pauses(self) -> Sequence[LeverUse]:
        """The pauses that are in force."""

    async def pull(self, *, use: LeverUse) -> None:
        """Keeps the use of a lever. A pause is in force from then on; `resume` ends that of its market, or the general one.

        A pause that is there already for the same market is replaced.
        """

    def uses(self, *, since: datetime | None = None) -> AsyncIterator[LeverUse]:
        """Newest first, a page at a time; with ``since`` none that is older, to the millisecond. They are kept as long as the
        rows, whose approvals count by them.
        """


class HealQueue(Protocol):
    """The queue ``auto-apply``, from its sending end."""

    async def send(self, *, job: HealJob, delay_seconds: int = 0) -> None:
        """Puts a job where a worker finds it after the delay, until it expires.

        Raises:
            StoreError: the queue did not take it, as far as is known.
        """


class Delivery(Protocol):
    """A message that this process has for a while, and that comes again to somebody unless it is done with."""

    @property
    def body(self) -> bytes: ...

    @property
    def tries(self) -> int:
        """How often it was delivered, this time included."""

    async def done(self) -> None:
        """Takes it out of the queue. One that is no longer ours is left to whoever has it."""

    async def poisoned(self) -> None:
        """Moves it to the queue `records.heals.POISON_QUEUE`."""


class HealInbox(Protocol):
    """The same queue from its receiving end, for a worker without the Functions host."""

    def deliveries(self) -> AsyncIterator[AbstractAsyncContextManager[Delivery]]:
        """Messages until none is left that can be had now. Each is ours while its block lasts, and renewed meanwhile.

        Raises:
            StoreError
        """


class StackLease(Protocol):
    """That this process, and no other, heals a stack."""

    @property
    def is_lost(self) -> bool:
        """Whether it could not be renewed in time: another may have it by now."""


class StackLeases(Protocol):
    """One worker a stack, over all machines (``locks/{market}/{stack}``)."""

    def held(self, *, market: str, stack: str) -> AbstractAsyncContextManager[StackLease | None]:
        """The stack's lease while the block lasts, renewed meanwhile; None where another has it.

        A process that is killed has it for a minute more at most.

        Raises:
            StoreError: on entering.
        """


class HealRecording(StrEnum):
    """What came of recording a heal."""

    RECORDED = "recorded"
    UNMOVED = "unmoved"
    """The records say what the state says: the apply left its serial alone, or it was recorded before."""
    NOT_OURS = "not_ours"
    """The tracker is of another deploy by now, or the state of another lineage: nothing was written."""


class HealRecorder(Protocol):
    """Writes tracker and registry after a heal, as the pipeline would after a deploy."""

    async def record_heal(self, *, job: HealJob, serial: int, at: datetime) -> HealRecording:
        """Brings tracker and registry to the state that has this serial, where the tracker says what the job was made on, or
        what an earlier record of this very job left.

        Safe to do again. Never raises but `StoreError` and `RecordError`, after which it may be done again.
        """


class CheckTelemetry(Protocol):
    """Tells whoever watches what a run of plan checks came to. Never raises, and holds no value of a resource."""

    async def checks_ended(
        self, *, row: CheckRunRow, checks: Iterable[StackCheck], problems: Sequence[Problem]
    ) -> None:
        """Once a run; there are neither checks nor problems where it failed. Returns when it has left, or cannot."""


class HealTelemetry(Protocol):
    """Tells whoever watches what came of a job. Never raises, and holds no value of a resource."""

    async def heal_moved(self, *, row: HealRow) -> None:
        """Once a step that ends a job, after it is in the ledger. Returns when it has left, or cannot."""

    async def message_refused(self, *, why: str) -> None:
        """A message that names no job of the ledger; ``why`` holds nothing of it."""

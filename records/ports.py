"""What the mechanisms need of the world, as Protocols; the adapters fulfil them.

Every method says what absence, failure and concurrency mean. Times are UTC.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol, TypeVar

from pydantic import BaseModel

from records.judged import JudgedMarket
from records.module_pins import PinSummary
from records.plans import LanePlan, Page
from records.readings import ContentSighting, Reading, StateHead
from records.record_log import LoggedWrite
from records.registry import RegistryRecord, StateLocation
from records.report import MarketOutcome, Problem, Report
from records.results import Coverage, Run, StackResult, StoredResult
from records.runs import AnyRunRow, RunRow
from records.tracker import Bundle, TrackerRecord

RowT = TypeVar("RowT", bound=AnyRunRow)
OutcomeT = TypeVar("OutcomeT", bound=BaseModel)


class Clock(Protocol):
    """Tells the time, so that a test or a copy of an estate can tell another."""

    def __call__(self) -> datetime:
        """The present moment, in UTC."""


class RecordReader(Protocol):
    """Reads the records of an estate. Safe to use from many tasks at once; nothing is written.

    A record that cannot be read comes back as `Unreadable`, never as an exception. Listings raise `StoreError`.
    """

    def registry_blobs(self) -> AsyncIterator[str]:
        """The names of all blobs in the registry, in order."""

    def tracker_blobs(self, *, market: str | None = None) -> AsyncIterator[str]:
        """The names of all tracker blobs, in order; of one market's folder and those below it where one is given."""

    def state_blobs(self, *, container: str | None = None) -> AsyncIterator[str]:
        """The names of all blobs in the estate's own state container, or in another one of its account, in order."""

    async def registry(self, *, market: str) -> Reading[RegistryRecord]: ...

    async def tracker(self, *, market: str, stack: str, subscription_id: str | None) -> Reading[TrackerRecord]: ...

    async def state(self, *, location: StateLocation, thorough: bool = False) -> Reading[StateHead]:
        """The state's head. ``thorough`` reads the whole blob where that is the only way to its MD5."""

    async def state_history(self, *, location: StateLocation) -> tuple[ContentSighting, ...]:
        """Snapshots and versions of a state, in no order; none where storage keeps none or does not say."""

    async def has_bundle(self, *, blob: str) -> bool:
        """Whether a bundle is there. Raises `StoreError`."""

    async def bundle(self, *, bundle: Bundle, max_bytes: int) -> bytes:
        """A bundle's content, whole and not yet held against its hash.

        Raises:
            BundleError: it has more than ``max_bytes``.
            StoreError: a BlobMissingError where it is not there.
        """

    def is_same_state(self, one: StateLocation, other: StateLocation) -> bool:
        """Whether both name one blob, however they spell it: what is the estate's own need not be said."""

    def is_in_shared_container(self, *, location: StateLocation) -> bool:
        """Whether `state_blobs` would list this state."""


class RecordWriter(Protocol):
    """Writes records. Never a state, and never over what its caller has not seen: each write names the ETag that it replaces.

    Every method raises `StoreError`, and returns where the blob is there, also where an answer was lost on the way.
    """

    async def write_tracker(self, *, record: TrackerRecord, replaces: str | None) -> str:
        """Returns the blob's new ETag. ``replaces`` is that of the blob it replaces; None where there must be none.

        Raises:
            BlobChangedError: the blob is no longer, or already, there in another form; nothing was written.
        """

    async def write_registry(self, *, record: RegistryRecord, replaces: str | None) -> str:
        """The same for a market's record."""

    async def write_bundle(self, *, blob: str, content: bytes) -> None:
        """Puts a bundle where its hash says, unless it is there already, whole."""

    async def tracker_text(self, *, market: str, stack: str) -> str:
        """A tracker as it is, also where it is no JSON, for the log; bytes that are no UTF-8 are escaped."""


class RecordLog(Protocol):
    """Keeps a row for each write of a record. Every method raises `StoreError`."""

    async def save(self, *, writes: Sequence[LoggedWrite]) -> None:
        """Keeps rows of one market, each in place of the row of the same ``write_id`` and time."""

    def writes(self, *, market: str, since: datetime | None = None) -> AsyncIterator[LoggedWrite]:
        """Newest first, a page at a time, back to ``since``. A row that this version cannot read is passed over."""

    async def markets(self) -> Sequence[str]:
        """Every market that has a row, sorted."""


class MarketJudge(Protocol):
    """Reads a market's records and says what they say together. Writes nothing."""

    async def judge(self, market: str, *, wanted: Collection[str] = ()) -> JudgedMarket:
        """The stacks that are ``wanted``, or all; what cannot be read is in the verdicts and problems, never an exception."""


class ResultStore(Protocol):
    """Keeps results: of each stack the latest and its history.

    Every method raises `StoreError`. Writes are idempotent: the same run written twice leaves the rows of one.
    """

    async def latest_of_market(self, *, market: str) -> Mapping[str, StoredResult]:
        """By stack; one partition read. A row of a form that this version cannot read is left out."""

    async def save_market(
        self, *, run: Run, market: str, results: Iterable[StackResult], coverage: Coverage = Coverage.WHOLE_MARKET
    ) -> None:
        """Writes one market's results of one run, together or not at all up to the limits of the store.

        They become their stacks' latest, unless a later run's are. Where the run covered the whole market, a stack that is
        not among them has no latest any more.
        """

    async def prune_market(self, *, market: str, started_before: datetime) -> None:
        """Removes history of runs that started before. The latest are kept, however old."""


class RunStore(Protocol[RowT]):
    """Keeps a row for each run of one mechanism. Every method raises `StoreError`."""

    async def save_run(self, *, row: RowT) -> None:
        """Replaces the row of the run with this id, and keeps the start of its first row."""

    async def run(self, *, run_id: str) -> RowT | None:
        """A point read. None where there is no such run, or its row is of a form that this version cannot read."""

    def runs(self, *, started_before: datetime | None = None) -> AsyncIterator[RowT]:
        """Newest first by their start, a page at a time. A row that this version cannot read is passed over."""

    async def prune_runs(self, *, started_before: datetime) -> None:
        """Removes runs that started before."""


class WorkStore(Protocol[OutcomeT]):
    """Keeps what a run that is spread over many machines has still to do, and what has come of it, until it is pruned.

    An outcome is what came of one item of a plan, and is kept under the item's name. Every method raises `StoreError`. Writes
    are idempotent: the same work written twice is there once.
    """

    async def save_plan(self, *, run_id: str, plan: LanePlan, pages: Iterable[Page]) -> None:
        """Keeps a plan and its pages under the plan's digest, so that another listing of the same run changes none."""

    async def plan(self, *, run_id: str, digest: str) -> LanePlan | None: ...

    async def page(self, *, run_id: str, digest: str, lane: int, number: int) -> Page | None: ...

    def pages(self, *, run_id: str, digest: str) -> AsyncIterator[Page]:
        """All pages of a plan, in no order."""

    async def save_outcome(self, *, run_id: str, name: str, outcome: OutcomeT) -> None:
        """Replaces what an earlier try of the same run left."""

    def outcomes(self, *, run_id: str) -> AsyncIterator[OutcomeT]:
        """In no order. One of a form that this version cannot read, or that is not there whole, is left out."""

    async def outcome(self, *, run_id: str, name: str) -> OutcomeT | None: ...

    async def outcome_count(self, *, run_id: str) -> int: ...

    async def prune_work(self, *, run_id: str) -> None: ...


class MarketWorkStore(WorkStore[MarketOutcome], Protocol):
    """The work of reconciliations: of each market its outcome, and what its own outcome cannot say."""

    async def save_late_problems(self, *, run_id: str, by_market: Mapping[str, Sequence[Problem]]) -> None:
        """What only the end of a run showed of a market; replaces what an earlier try of the same run left."""

    async def late_problems(self, *, run_id: str, market: str) -> Sequence[Problem]: ...


class PinStore(Protocol):
    """Keeps what each run of the whole estate tells of module pins, for people and queries to read.

    Every method raises `StoreError`.
    """

    async def save_pins(self, *, run: Run, pins: PinSummary) -> None:
        """Replaces what an earlier try of the same run left."""

    async def prune_pins(self, *, run_id: str) -> None: ...


class ReportStore(Protocol):
    """Keeps reports, to be opened by people and programs."""

    async def save_report(
        self, *, names: Sequence[str], chunks: Iterable[str], media_type: str, started_at: datetime
    ) -> None:
        """Writes one report under each name, except where the report of a run that started later is there.

        ``chunks`` is taken once, in a thread of its own. Raises `StoreError`.
        """


class Spool(Protocol):
    """Holds the results of a run outside memory. Goes through them as often as asked, sorted by market and stack."""

    def add(self, outcome: MarketOutcome) -> None: ...

    def __iter__(self) -> Iterator[StackResult]: ...


class NewSpool(Protocol):
    """Opens a spool that is gone when its block ends."""

    def __call__(self) -> AbstractContextManager[Spool]: ...


class Telemetry(Protocol):
    """Tells whoever watches what a run came to. Never raises, and says nothing of a record but names, serials and times."""

    async def run_ended(self, *, row: RunRow, report: Report | None) -> None:
        """Once a run; ``report`` is None where the run failed. Returns when what was said has left, or cannot."""

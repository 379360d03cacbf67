"""What the mechanisms need of the world, as Protocols; the adapters fulfil them.

Every method says what absence, failure and concurrency mean. Times are UTC.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from typing import Protocol

from records.readings import ContentSighting, Reading, StateHead
from records.registry import RegistryRecord, StateLocation
from records.report import RunRow
from records.results import Run, StackResult, StoredResult
from records.tracker import TrackerRecord


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

    def state_blobs(self) -> AsyncIterator[str]:
        """The names of all blobs in the estate's own state container, in order."""

    async def registry(self, *, market: str) -> Reading[RegistryRecord]: ...

    async def tracker(self, *, market: str, stack: str, subscription_id: str | None) -> Reading[TrackerRecord]: ...

    async def state(self, *, location: StateLocation, thorough: bool = False) -> Reading[StateHead]:
        """The state's head. ``thorough`` reads the whole blob where that is the only way to its MD5."""

    async def state_history(self, *, location: StateLocation) -> tuple[ContentSighting, ...]:
        """Snapshots and versions of a state, in no order; none where storage keeps none or does not say."""

    def is_in_shared_container(self, *, location: StateLocation) -> bool:
        """Whether `state_blobs` would list this state."""


class ResultStore(Protocol):
    """Keeps results: of each stack the latest and its history, and the runs.

    Every method raises `StoreError`. Writes are idempotent: the same run written twice leaves the rows of one.
    """

    async def latest_of_market(self, *, market: str) -> Mapping[str, StoredResult]:
        """By stack; one partition read. A row of a form that this version cannot read is left out."""

    async def latest_of_stack(self, *, market: str, stack: str) -> StoredResult | None:
        """A point read; None where the stack was never reconciled."""

    def history_of_stack(self, *, market: str, stack: str) -> AsyncIterator[StoredResult]:
        """Newest first; one partition read, a page at a time."""

    async def save_market(self, *, run: Run, market: str, results: Iterable[StackResult]) -> None:
        """Writes one market's results of one run, together or not at all up to the limits of the store.

        They become the market's latest, unless a later run's are: a stack that is not among them has no latest any more.
        """

    async def prune_market(self, *, market: str, started_before: datetime) -> int:
        """Removes history of runs that started before; returns how many rows. The latest are kept, however old."""

    async def save_run(self, *, row: RunRow) -> None: ...

    async def newest_run(self) -> RunRow | None:
        """By its start; one partition read. None where none was ever saved."""

    async def prune_runs(self, *, started_before: datetime) -> int:
        """Removes runs that started before; returns how many."""

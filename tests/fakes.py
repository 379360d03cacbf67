"""The stores in memory: small and real, and held to the same contract suites as the adapters."""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Generic

from pydantic import ValidationError

from adapters.blob_store import BlobPart, BlobPlace
from adapters.table_keys import newest_first
from records.errors import (
    BlobChangedError,
    BlobMissingError,
    ContainerMissingError,
    StoreError,
    StoreUnavailableError,
)
from records.locks import read_lock
from records.module_pins import PinSummary
from records.plans import LanePlan, Page
from records.ports import Clock, OutcomeT, RowT
from records.readings import BlobFacts, ContentSighting
from records.record_log import LoggedWrite
from records.report import MarketOutcome, Problem
from records.results import Coverage, Run, StackResult, StoredResult
from records.runs import RunRow

_EPOCH: Final = datetime(2026, 11, 20, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blob:
    content: bytes
    version: int
    last_modified: datetime
    content_md5: str | None
    leased: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    snapshots: tuple[ContentSighting, ...] = ()

    @property
    def etag(self) -> str:
        return f'"{self.version:x}"'


class MemoryBlobStore:
    """A `BlobStore` in memory. Every write, of metadata too, gives a blob a new ETag and a new Last-Modified.

    ``before_write`` and ``after_write`` are called with the place of each write that is asked for and that was done: they may
    change what is there, or raise. ``writes`` are those that were done, each with its media type.
    """

    def __init__(self, *containers: str, clock: Clock = lambda: _EPOCH) -> None:
        self.reads: list[BlobPlace] = []
        self.writes: list[tuple[BlobPlace, str]] = []
        self.before_write: Callable[[BlobPlace], None] = _nothing
        self.after_write: Callable[[BlobPlace], None] = _nothing
        self._clock = clock
        self._containers: dict[tuple[str | None, str], dict[str, _Blob]] = {}
        self._refusals: dict[str, StoreError] = {}
        self._refused_writes: dict[str, StoreError] = {}
        self._version = 0
        for container in containers:
            self.create_container(container)

    def create_container(self, container: str, *, account_url: str | None = None) -> None:
        self._containers.setdefault((account_url, container), {})

    def put(
        self, place: BlobPlace, content: bytes, *, last_modified: datetime | None = None, keeps_md5: bool = True
    ) -> None:
        """Writes a blob; ``keeps_md5`` is False for one that was uploaded in blocks, of which Azure keeps no MD5."""
        blobs = self._blobs(place.container, place.account_url)
        previous = blobs.get(place.name)
        blobs[place.name] = _Blob(
            content=content,
            version=self._next_version(),
            last_modified=last_modified or self._clock(),
            content_md5=_md5(content) if keeps_md5 else None,
            snapshots=previous.snapshots if previous else (),
        )

    def delete(self, place: BlobPlace) -> None:
        del self._blobs(place.container, place.account_url)[place.name]

    def set_metadata(self, place: BlobPlace, metadata: Mapping[str, str]) -> None:
        self._change(place, replace(self._blob(place), metadata=dict(metadata)))

    def lease(self, place: BlobPlace) -> None:
        self._change(place, replace(self._blob(place), leased=True))

    def release(self, place: BlobPlace) -> None:
        self._change(place, replace(self._blob(place), leased=False))

    def snapshot(self, place: BlobPlace) -> None:
        blob = self._blob(place)
        sighting = ContentSighting(at=blob.last_modified, content_md5=blob.content_md5)
        self._blobs(place.container, place.account_url)[place.name] = replace(
            blob, snapshots=(*blob.snapshots, sighting)
        )

    def refuse(self, place: BlobPlace | str, error: StoreError, *, writes: bool = False) -> None:
        """From now on: a blob's reads, or the listings of a container, or those with one prefix (``container/prefix``).

        With ``writes`` instead the writes of a blob, or of all the blobs of a container.
        """
        (self._refused_writes if writes else self._refusals)[str(place)] = error

    def heal(self) -> None:
        self._refusals.clear()
        self._refused_writes.clear()

    async def names(self, *, container: str, prefix: str = "") -> AsyncIterator[str]:
        self._check(container)
        self._check(f"{container}/{prefix}")
        for name in sorted(self._blobs(container, None)):
            if name.startswith(prefix):
                yield name

    async def read(
        self, place: BlobPlace, *, start_byte: int = 0, length_bytes: int, if_match: str | None = None
    ) -> BlobPart:
        self.reads.append(place)
        self._check(str(place))
        blob = self._blob(place)
        facts = BlobFacts(
            name=place.name,
            etag=blob.etag,
            last_modified=blob.last_modified,
            size_bytes=len(blob.content),
            content_md5=blob.content_md5,
            lock=read_lock(leased=blob.leased, metadata=blob.metadata),
        )
        if if_match not in {None, facts.etag}:
            raise BlobChangedError(str(place), "412 ConditionNotMet")
        return BlobPart(content=blob.content[start_byte : start_byte + length_bytes], facts=facts)

    async def write(self, place: BlobPlace, content: bytes, *, replaces: str | None, media_type: str) -> str:
        self.before_write(place)
        for refused in (place.container, str(place)):
            if refused in self._refused_writes:
                raise self._refused_writes[refused]
        blobs = self._blobs(place.container, place.account_url)
        present = blobs.get(place.name)
        if (present.etag if present else None) != replaces:
            if present and present.content == content:
                return present.etag
            raise BlobChangedError(str(place), "412 ConditionNotMet")
        if present and present.leased:
            raise StoreUnavailableError(str(place), "412 LeaseIdMissing")
        self.put(place, content)
        written = blobs[place.name]
        self.writes.append((place, media_type))
        self.after_write(place)
        return written.etag

    async def sightings(self, place: BlobPlace) -> tuple[ContentSighting, ...]:
        self._check(place.container)
        blob = self._blobs(place.container, place.account_url).get(place.name)
        return blob.snapshots if blob else ()

    async def close(self) -> None:
        """Memory holds nothing open."""

    def _change(self, place: BlobPlace, blob: _Blob) -> None:
        self._blobs(place.container, place.account_url)[place.name] = replace(
            blob, version=self._next_version(), last_modified=self._clock()
        )

    def _blob(self, place: BlobPlace) -> _Blob:
        blobs = self._blobs(place.container, place.account_url)
        if place.name not in blobs:
            raise BlobMissingError(str(place), "404 BlobNotFound")
        return blobs[place.name]

    def _blobs(self, container: str, account_url: str | None) -> dict[str, _Blob]:
        if (account_url, container) not in self._containers:
            raise ContainerMissingError(container, "404 ContainerNotFound")
        return self._containers[account_url, container]

    def _check(self, place: str) -> None:
        if place in self._refusals:
            raise self._refusals[place]

    def _next_version(self) -> int:
        self._version += 1
        return self._version


@dataclass(slots=True)
class _Market:
    """A market's rows: of each stack the latest, and its history by run; the text is a result's JSON."""

    newest: Run | None = None
    latest: dict[str, tuple[Run, str]] = field(default_factory=dict)
    history: dict[str, dict[str, tuple[Run, str]]] = field(default_factory=dict)


class MemoryRunStore(Generic[RowT]):
    """A `RunStore` in memory, of rows of the form ``row``, which keeps them as text as a table does."""

    def __init__(self, row: type[RowT]) -> None:
        self._row = row
        self._runs: dict[str, tuple[datetime, str]] = {}
        self._refusals: dict[str, StoreError] = {}

    def refuse(self, method: str, error: StoreError) -> None:
        """From now on, every call of the method of this name."""
        self._refusals[method] = error

    def spoil(self, run_id: str) -> None:
        """Rewrites what a run wrote in a form that nobody can read."""
        if run_id in self._runs:
            self._runs[run_id] = (self._runs[run_id][0], "{}")

    async def save_run(self, *, row: RowT) -> None:
        self._check("save_run")
        first = await self.run(run_id=row.run_id)
        started_at = first.started_at if first else row.started_at
        self._runs[row.run_id] = (started_at, row.model_copy(update={"started_at": started_at}).model_dump_json())

    async def run(self, *, run_id: str) -> RowT | None:
        self._check("run")
        return self._read(self._runs[run_id][1]) if run_id in self._runs else None

    async def runs(self, *, started_before: datetime | None = None) -> AsyncIterator[RowT]:
        self._check("runs")
        for started_at, text in sorted(self._runs.values(), reverse=True):
            row = self._read(text)
            if row and (started_before is None or started_at < started_before):
                yield row

    async def prune_runs(self, *, started_before: datetime) -> None:
        self._check("prune_runs")
        old = [run_id for run_id, (started_at, _) in self._runs.items() if started_at < started_before]
        for run_id in old:
            del self._runs[run_id]

    def _read(self, text: str) -> RowT | None:
        try:
            return self._row.model_validate_json(text)
        except ValidationError:
            return None

    def _check(self, method: str) -> None:
        if method in self._refusals:
            raise self._refusals[method]


class MemoryResultStore(MemoryRunStore[RunRow]):
    """A `ResultStore` in memory, which keeps rows as text as a table does, and the `RunStore` of its runs."""

    def __init__(self) -> None:
        super().__init__(RunRow)
        self._markets: dict[str, _Market] = {}

    def spoil(self, run_id: str) -> None:
        super().spoil(run_id)
        for market in self._markets.values():
            for rows in (market.latest, *market.history.values()):
                rows |= {key: (run, "{}") for key, (run, _) in rows.items() if run.run_id == run_id}

    def history(self, market: str, stack: str) -> list[StoredResult]:
        """What is kept of a stack, newest first."""
        rows = self._market(market).history.get(stack, {}).values()
        stored = map(_stored, sorted(rows, key=lambda row: row[0].started_at, reverse=True))
        return [item for item in stored if item]

    async def latest_of_market(self, *, market: str) -> Mapping[str, StoredResult]:
        self._check("latest_of_market")
        stored = {stack: _stored(row) for stack, row in self._market(market).latest.items()}
        return {stack: item for stack, item in stored.items() if item}

    async def save_market(
        self, *, run: Run, market: str, results: Iterable[StackResult], coverage: Coverage = Coverage.WHOLE_MARKET
    ) -> None:
        self._check("save_market")
        kept = self._market(market)
        rows = {result.stack: (run, result.model_dump_json()) for result in results}
        for stack, row in rows.items():
            kept.history.setdefault(stack, {})[run.run_id] = row
        if kept.newest and kept.newest.started_at > run.started_at:
            return
        newer = {stack: row for stack, row in kept.latest.items() if row[0].started_at > run.started_at}
        if coverage is Coverage.WHOLE_MARKET:
            kept.newest, kept.latest = run, {}
        kept.latest |= rows | newer

    async def prune_market(self, *, market: str, started_before: datetime) -> None:
        self._check("prune_market")
        for rows in self._market(market).history.values():
            old = [run_id for run_id, (run, _) in rows.items() if run.started_at < started_before]
            for run_id in old:
                del rows[run_id]

    def _market(self, market: str) -> _Market:
        return self._markets.setdefault(market, _Market())


class MemoryWorkStore(Generic[OutcomeT]):
    """A `WorkStore` in memory, of outcomes of the form ``outcome``, which keeps its rows as text as a table does."""

    def __init__(self, outcome: type[OutcomeT]) -> None:
        self._outcome = outcome
        self._plans: dict[tuple[str, str], str] = {}
        self._pages: dict[tuple[str, str], dict[tuple[int, int], str]] = {}
        self._outcomes: dict[str, dict[str, str]] = {}
        self._refusals: dict[str, StoreError] = {}

    def refuse(self, method: str, error: StoreError) -> None:
        """From now on, every call of the method of this name."""
        self._refusals[method] = error

    async def save_plan(self, *, run_id: str, plan: LanePlan, pages: Iterable[Page]) -> None:
        self._check("save_plan")
        key = (run_id, plan.digest)
        self._pages[key] = {(page.lane, page.number): page.model_dump_json() for page in pages}
        self._plans[key] = plan.model_dump_json()

    async def plan(self, *, run_id: str, digest: str) -> LanePlan | None:
        self._check("plan")
        text = self._plans.get((run_id, digest))
        return LanePlan.model_validate_json(text) if text else None

    async def page(self, *, run_id: str, digest: str, lane: int, number: int) -> Page | None:
        self._check("page")
        text = self._pages.get((run_id, digest), {}).get((lane, number))
        return Page.model_validate_json(text) if text else None

    async def pages(self, *, run_id: str, digest: str) -> AsyncIterator[Page]:
        self._check("pages")
        for text in self._pages.get((run_id, digest), {}).values():
            yield Page.model_validate_json(text)

    async def save_outcome(self, *, run_id: str, name: str, outcome: OutcomeT) -> None:
        self._check("save_outcome")
        self._outcomes.setdefault(run_id, {})[name] = outcome.model_dump_json()

    async def outcomes(self, *, run_id: str) -> AsyncIterator[OutcomeT]:
        self._check("outcomes")
        for text in self._outcomes.get(run_id, {}).values():
            yield self._outcome.model_validate_json(text)

    async def outcome(self, *, run_id: str, name: str) -> OutcomeT | None:
        self._check("outcome")
        text = self._outcomes.get(run_id, {}).get(name)
        return self._outcome.model_validate_json(text) if text else None

    async def outcome_count(self, *, run_id: str) -> int:
        self._check("outcome_count")
        return len(self._outcomes.get(run_id, {}))

    async def prune_work(self, *, run_id: str) -> None:
        self._check("prune_work")
        self._outcomes.pop(run_id, None)
        self._plans = {key: text for key, text in self._plans.items() if key[0] != run_id}
        self._pages = {key: rows for key, rows in self._pages.items() if key[0] != run_id}

    def _check(self, method: str) -> None:
        if method in self._refusals:
            raise self._refusals[method]


class MemoryMarketWorkStore(MemoryWorkStore[MarketOutcome]):
    """A `MarketWorkStore` in memory."""

    def __init__(self) -> None:
        super().__init__(MarketOutcome)
        self._late: dict[tuple[str, str], Sequence[Problem]] = {}

    async def save_late_problems(self, *, run_id: str, by_market: Mapping[str, Sequence[Problem]]) -> None:
        self._check("save_late_problems")
        self._late |= {(run_id, market): tuple(problems) for market, problems in by_market.items()}

    async def late_problems(self, *, run_id: str, market: str) -> Sequence[Problem]:
        self._check("late_problems")
        return self._late.get((run_id, market), ())

    async def prune_work(self, *, run_id: str) -> None:
        await super().prune_work(run_id=run_id)
        self._late = {key: problems for key, problems in self._late.items() if key[0] != run_id}


class MemoryPinStore:
    """A `PinStore` in memory."""

    def __init__(self) -> None:
        self._pins: dict[str, PinSummary] = {}
        self._refusals: dict[str, StoreError] = {}

    def refuse(self, method: str, error: StoreError) -> None:
        """From now on, every call of the method of this name."""
        self._refusals[method] = error

    def kept(self, run_id: str) -> PinSummary | None:
        """None where there is no such run, or it tells of none."""
        return self._pins.get(run_id)

    async def save_pins(self, *, run: Run, pins: PinSummary) -> None:
        self._check("save_pins")
        self._pins[run.run_id] = pins

    async def prune_pins(self, *, run_id: str) -> None:
        self._check("prune_pins")
        self._pins.pop(run_id, None)

    def _check(self, method: str) -> None:
        if method in self._refusals:
            raise self._refusals[method]


class MemoryRecordLog:
    """A `RecordLog` in memory, which keeps its rows as text as a table does."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, str]] = {}
        self._refusals: dict[str, StoreError] = {}

    def refuse(self, method: str, error: StoreError) -> None:
        """From now on, every call of the method of this name."""
        self._refusals[method] = error

    def spoil(self, write_id: str) -> None:
        """Rewrites a row in a form that nobody can read."""
        for rows in self._rows.values():
            rows |= {key: "{}" for key in rows if key.endswith(f":{write_id}")}

    async def save(self, *, writes: Sequence[LoggedWrite]) -> None:
        self._check("save")
        for write in writes:
            key = f"{newest_first(write.at)}:{write.write_id}"
            self._rows.setdefault(write.market, {})[key] = write.model_dump_json()

    async def writes(self, *, market: str, since: datetime | None = None) -> AsyncIterator[LoggedWrite]:
        self._check("writes")
        last = f"{newest_first(since)};" if since else ":"
        for key, text in sorted(self._rows.get(market, {}).items()):
            if key >= last:
                return
            try:
                write = LoggedWrite.model_validate_json(text)
            except ValidationError:
                continue
            yield write

    async def markets(self) -> Sequence[str]:
        self._check("markets")
        return sorted(self._rows)

    def _check(self, method: str) -> None:
        if method in self._refusals:
            raise self._refusals[method]


def _nothing(place: BlobPlace) -> None:
    """What a store's hooks do until a test has one of its own."""


def _stored(row: tuple[Run, str]) -> StoredResult | None:
    run, text = row
    try:
        result = StackResult.model_validate_json(text)
    except ValidationError:
        return None
    return StoredResult(run_id=run.run_id, run_started_at=run.started_at, result=result)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()

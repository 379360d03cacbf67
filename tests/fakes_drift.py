"""The stores of plan checks and heals in memory: small and real, and held to the same contract suites as the adapters."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from itertools import count

from pydantic import ValidationError

from adapters.table_names import HEALS_TABLE
from adapters.unreadable_rows import unreadable_check, unreadable_job
from records.drift_ports import Kept
from records.errors import BlobChangedError
from records.heal_ledger import HealRow, Lever, LeverUse
from records.heals import HealJob
from records.plan_checks import CheckSketch, StoredCheck, stack_path
from records.results import Run
from tests.fakes_healing import (
    MemoryDelivery,
    MemoryHealInbox,
    MemoryHealQueue,
    MemoryLease,
    MemoryLeases,
    MemoryMessage,
    Refusing,
)

__all__ = [
    "MemoryCheckStore",
    "MemoryDelivery",
    "MemoryHealInbox",
    "MemoryHealLedger",
    "MemoryHealQueue",
    "MemoryLease",
    "MemoryLeases",
    "MemoryMessage",
]

UNREADABLE = "{}"


class MemoryCheckStore(Refusing):
    """A `CheckStore` in memory, which keeps rows as text as a table does."""

    def __init__(self) -> None:
        super().__init__()
        self._latest: dict[tuple[str, str], tuple[datetime, str]] = {}
        self._history: dict[tuple[str, str], dict[Run, str]] = {}

    def spoil(self, run_id: str) -> None:
        """Rewrites what a run wrote in a form that nobody can read."""
        for name, rows in self._history.items():
            for run in rows:
                if run.run_id == run_id:
                    rows[run] = UNREADABLE
            started_at, text = self._latest.get(name, (None, UNREADABLE))
            stored = _stored(text)
            if started_at and stored and stored.run_id == run_id:
                self._latest[name] = (started_at, UNREADABLE)

    def history(self, market: str, stack: str) -> list[StoredCheck]:
        """What is kept of a stack, newest first."""
        rows = self._history.get((market, stack), {})
        stored = (_stored(rows[run]) for run in sorted(rows, key=lambda run: run.started_at, reverse=True))
        return [item for item in stored if item]

    async def save_check(self, *, stored: StoredCheck) -> None:
        self.check("save_check")
        name = (stored.check.market, stored.check.stack)
        text = stored.model_dump_json()
        self._history.setdefault(name, {})[Run(run_id=stored.run_id, started_at=stored.run_started_at)] = text
        if name not in self._latest or self._latest[name][0] <= stored.run_started_at:
            self._latest[name] = (stored.run_started_at, text)

    async def check_of_run(self, *, run: Run, market: str, stack: str) -> StoredCheck | None:
        self.check("check_of_run")
        text = self._history.get((market, stack), {}).get(run)
        return _stored(text) if text else None

    async def latest_of_stack(self, *, market: str, stack: str) -> StoredCheck | None:
        self.check("latest_of_stack")
        row = self._latest.get((market, stack))
        return _latest(market, stack, row[1]) if row else None

    async def sketches(self) -> AsyncIterator[CheckSketch]:
        self.check("sketches")
        for (market, stack), (_, text) in list(self._latest.items()):
            yield _latest(market, stack, text).sketch()

    async def forget(self, *, market: str, stack: str) -> None:
        self.check("forget")
        self._latest.pop((market, stack), None)

    async def prune(self, *, started_before: datetime) -> None:
        self.check("prune")
        for rows in self._history.values():
            old = [run for run in rows if run.started_at < started_before]
            for run in old:
                del rows[run]


class MemoryHealLedger(Refusing):
    """A `HealLedger` in memory, which keeps rows as text as a table does."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[tuple[str, str, str], tuple[str, str]] = {}
        self._pauses: dict[str | None, LeverUse] = {}
        self._uses: list[LeverUse] = []
        self._writes = count(1)

    @property
    def all_rows(self) -> list[HealRow]:
        """Every job, in the order in which they were first entered."""
        return [row for text, _ in self._rows.values() if (row := _row(text))]

    def put_text(self, job: HealJob, text: str) -> None:
        """A row as another version may have written it."""
        self._rows[job.market, job.stack, job.job_id] = (text, self._new_etag())

    def forget_rows(self) -> None:
        self._rows.clear()

    async def row(self, *, market: str, stack: str, job_id: str) -> Kept | None:
        self.check("row")
        kept = self._rows.get((market, stack, job_id))
        return _kept(job_id, *kept) if kept else None

    async def put(self, *, row: HealRow, replaces: str | None) -> str:
        self.check("put")
        key = (row.job.market, row.job.stack, row.job.job_id)
        _, present = self._rows.get(key, (None, None))
        if present != replaces:
            raise BlobChangedError(HEALS_TABLE, f"the row of job {row.job.job_id} is another")
        etag = self._new_etag()
        self._rows[key] = (row.model_dump_json(), etag)
        return etag

    async def find(self, *, job_id: str) -> Kept | None:
        self.check("find")
        found = [kept for (_, _, known), kept in self._rows.items() if known == job_id]
        return _kept(job_id, *found[0]) if found else None

    async def of_stack(self, *, market: str, stack: str) -> AsyncIterator[HealRow]:
        self.check("of_stack")
        for key, kept in list(self._rows.items()):
            if key[:2] == (market, stack):
                yield _kept(key[2], *kept).row

    async def rows(self) -> AsyncIterator[HealRow]:
        self.check("rows")
        for (_, _, job_id), kept in list(self._rows.items()):
            yield _kept(job_id, *kept).row

    async def pauses(self) -> Sequence[LeverUse]:
        self.check("pauses")
        return list(self._pauses.values())

    async def pull(self, *, use: LeverUse) -> None:
        self.check("pull")
        if use.lever is Lever.PAUSE:
            self._pauses[use.market] = use
        if use.lever is Lever.RESUME:
            self._pauses.pop(use.market, None)
        if use not in self._uses:
            self._uses.append(use)

    async def uses(self, *, since: datetime | None = None) -> AsyncIterator[LeverUse]:
        self.check("uses")
        for use in sorted(self._uses, key=lambda use: use.at, reverse=True):
            if since is None or use.at >= since:
                yield use

    def _new_etag(self) -> str:
        return f'"{next(self._writes)}"'


def _kept(job_id: str, text: str, etag: str) -> Kept:
    row = _row(text)
    if row is None:
        raise unreadable_job(job_id)
    return Kept(row=row, etag=etag)


def _row(text: str) -> HealRow | None:
    try:
        return HealRow.model_validate_json(text)
    except ValidationError:
        return None


def _latest(market: str, stack: str, text: str) -> StoredCheck:
    stored = _stored(text)
    if stored is None:
        raise unreadable_check(stack_path(market, stack))
    return stored


def _stored(text: str) -> StoredCheck | None:
    try:
        return StoredCheck.model_validate_json(text)
    except ValidationError:
        return None

"""The stores of plan checks in memory: small and real, and held to the same contract suites as the adapters."""

from collections.abc import AsyncIterator
from datetime import datetime

from pydantic import ValidationError

from adapters.heal_messages import to_message
from records.errors import StoreError, StoreUnavailableError
from records.heals import LEDGER_TABLE, HealJob, HealRow, HealStep, Opening
from records.plan_checks import StoredCheck
from records.results import Run

UNREADABLE = "{}"


class _Refusing:
    """Does as it should until it is told to refuse."""

    def __init__(self) -> None:
        self._refusals: dict[str, StoreError] = {}

    def refuse(self, method: str, error: StoreError) -> None:
        """From now on, every call of the method of this name."""
        self._refusals[method] = error

    def heal(self) -> None:
        self._refusals.clear()

    def _check(self, method: str) -> None:
        if method in self._refusals:
            raise self._refusals[method]


class MemoryCheckStore(_Refusing):
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

    async def save_check(self, *, stored: StoredCheck) -> None:
        self._check("save_check")
        name = (stored.check.market, stored.check.stack)
        text = stored.model_dump_json()
        self._history.setdefault(name, {})[Run(run_id=stored.run_id, started_at=stored.run_started_at)] = text
        if name not in self._latest or self._latest[name][0] <= stored.run_started_at:
            self._latest[name] = (stored.run_started_at, text)

    async def check_of_run(self, *, run: Run, market: str, stack: str) -> StoredCheck | None:
        self._check("check_of_run")
        text = self._history.get((market, stack), {}).get(run)
        return _stored(text) if text else None

    async def latest_of_stack(self, *, market: str, stack: str) -> StoredCheck | None:
        self._check("latest_of_stack")
        row = self._latest.get((market, stack))
        return _stored(row[1]) if row else None

    async def latest(self) -> AsyncIterator[StoredCheck]:
        self._check("latest")
        for _, text in list(self._latest.values()):
            stored = _stored(text)
            if stored:
                yield stored

    async def history_of_stack(self, *, market: str, stack: str) -> AsyncIterator[StoredCheck]:
        self._check("history_of_stack")
        rows = self._history.get((market, stack), {})
        for run in sorted(rows, key=lambda run: run.started_at, reverse=True):
            stored = _stored(rows[run])
            if stored:
                yield stored

    async def forget(self, *, market: str, stack: str) -> None:
        self._check("forget")
        self._latest.pop((market, stack), None)

    async def prune(self, *, started_before: datetime) -> int:
        self._check("prune")
        removed = 0
        for rows in self._history.values():
            old = [run for run in rows if run.started_at < started_before]
            for run in old:
                del rows[run]
            removed += len(old)
        return removed


class MemoryHealLedger(_Refusing):
    """A `HealLedger` in memory, which keeps rows as text as a table does."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[tuple[str, str, str], str] = {}

    @property
    def rows(self) -> list[HealRow]:
        """Every job, in the order in which they were first entered."""
        return [HealRow.model_validate_json(text) for text in self._rows.values()]

    def put_text(self, job: HealJob, text: str) -> None:
        """A row as another version may have written it."""
        self._rows[job.market, job.stack, job.job_id] = text

    async def open_job(self, *, job: HealJob, run_id: str) -> Opening:
        self._check("open_job")
        to_message(job)
        key = (job.market, job.stack, job.job_id)
        if key in self._rows and not _has_expired(self._rows[key], job):
            return Opening.ALREADY_OPEN
        self._rows[key] = HealRow(job=job, step=HealStep.QUEUED, run_id=run_id).model_dump_json()
        return Opening.OPENED

    async def job(self, *, market: str, stack: str, job_id: str) -> HealRow | None:
        self._check("job")
        text = self._rows.get((market, stack, job_id))
        if text is None:
            return None
        try:
            return HealRow.model_validate_json(text)
        except ValidationError:
            raise StoreUnavailableError(LEDGER_TABLE, f"this version cannot read the row of job {job_id}") from None


class MemoryHealQueue(_Refusing):
    """A `HealQueue` in memory. ``sent`` are its messages, in the order in which they came."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[HealJob] = []

    async def send(self, *, job: HealJob) -> None:
        self._check("send")
        self.sent.append(HealJob.model_validate_json(to_message(job)))


def _has_expired(text: str, new: HealJob) -> bool:
    try:
        row = HealRow.model_validate_json(text)
    except ValidationError:
        return False
    return row.step is HealStep.QUEUED and row.job.expires_at <= new.queued_at


def _stored(text: str) -> StoredCheck | None:
    try:
        return StoredCheck.model_validate_json(text)
    except ValidationError:
        return None

"""The ledger of heals beside an estate on disk: ``DIR/tables/heals/{market}/{stack}/{job id}.json``."""

import asyncio
from pathlib import Path
from typing import Final

from filelock import FileLock
from pydantic import ValidationError

from adapters.folder_writing import on_disk, replace_file
from adapters.heal_messages import to_message
from records.errors import StoreUnavailableError
from records.heals import LEDGER_TABLE, HealJob, HealRow, HealStep, Opening

_LOCK_WAIT_SECONDS: Final = 30
_LOCK_POLL_SECONDS: Final = 0.01


class FolderHealLedger:
    """A `HealLedger` in a folder, for many processes at once, of which one at a time enters a stack's jobs."""

    def __init__(self, root: Path) -> None:
        self._root = root / "tables" / LEDGER_TABLE

    async def open_job(self, *, job: HealJob, run_id: str) -> Opening:
        to_message(job)  # what no queue takes is not entered either, as in Azure
        return await asyncio.to_thread(self._open, HealRow(job=job, step=HealStep.QUEUED, run_id=run_id))

    async def job(self, *, market: str, stack: str, job_id: str) -> HealRow | None:
        return await asyncio.to_thread(self._job, market, stack, job_id)

    def _open(self, row: HealRow) -> Opening:
        job = row.job
        with on_disk(LEDGER_TABLE):
            file = self._file(job.market, job.stack, job.job_id)
            file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(file.with_name(".lock"), timeout=_LOCK_WAIT_SECONDS, poll_interval=_LOCK_POLL_SECONDS):
                if file.exists() and not _has_expired(file, job):
                    return Opening.ALREADY_OPEN
                replace_file(file, row.model_dump_json(indent=1).encode())
                return Opening.OPENED

    def _job(self, market: str, stack: str, job_id: str) -> HealRow | None:
        with on_disk(LEDGER_TABLE):
            try:
                return HealRow.model_validate_json(self._file(market, stack, job_id).read_bytes())
            except FileNotFoundError:
                return None
            except ValidationError:
                raise StoreUnavailableError(LEDGER_TABLE, f"this version cannot read the row of job {job_id}") from None

    def _file(self, market: str, stack: str, job_id: str) -> Path:
        return self._root / market / stack / f"{job_id}.json"


def _has_expired(file: Path, new: HealJob) -> bool:
    """What cannot be read has not: it may be a later version's, at work."""
    try:
        row = HealRow.model_validate_json(file.read_bytes())
    except ValidationError:
        return False
    return row.step is HealStep.QUEUED and row.job.expires_at <= new.queued_at

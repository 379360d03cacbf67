"""The ledger of heals beside an estate on disk: ``DIR/tables/heals/{market}/{stack}/{job id}.json``.

The levers are in ``DIR/tables/heallevers`` (`adapters.folder_levers`).
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from adapters.folder_levers import FolderLevers
from adapters.folder_writing import etag_of, locked, on_disk, replace_file
from adapters.table_names import HEALS_TABLE
from adapters.unreadable_rows import unreadable_job
from records.drift_ports import Kept
from records.errors import BlobChangedError
from records.heal_ledger import HealRow, LeverUse

_JOB_ID = re.compile(r"[0-9a-f]{64}")
_JOBS: Final = "[!.]*.json"


class FolderHealLedger:
    """A `HealLedger` in a folder, for many processes at once, of which one at a time writes a stack's jobs."""

    def __init__(self, root: Path) -> None:
        self._root = root / "tables" / HEALS_TABLE
        self._levers = FolderLevers(root)

    async def row(self, *, market: str, stack: str, job_id: str) -> Kept | None:
        return await asyncio.to_thread(_kept, self._file(market, stack, job_id))

    async def put(self, *, row: HealRow, replaces: str | None) -> str:
        return await asyncio.to_thread(self._put, row, replaces)

    async def find(self, *, job_id: str) -> Kept | None:
        # What is asked for may come from a person, and becomes a pattern.
        if not _JOB_ID.fullmatch(job_id):
            return None
        for file in await asyncio.to_thread(self._files, self._root, f"**/{job_id}.json"):
            return await asyncio.to_thread(_kept, file)
        return None

    async def of_stack(self, *, market: str, stack: str) -> AsyncIterator[HealRow]:
        for file in await asyncio.to_thread(self._files, self._root / market / stack, _JOBS):
            if kept := await asyncio.to_thread(_kept, file):
                yield kept.row

    async def rows(self) -> AsyncIterator[HealRow]:
        for file in await asyncio.to_thread(self._files, self._root, f"**/{_JOBS}"):
            if kept := await asyncio.to_thread(_kept, file):
                yield kept.row

    async def pauses(self) -> Sequence[LeverUse]:
        return await self._levers.pauses()

    async def pull(self, *, use: LeverUse) -> None:
        await self._levers.pull(use)

    def uses(self, *, since: datetime | None = None) -> AsyncIterator[LeverUse]:
        return self._levers.uses(since)

    def _put(self, row: HealRow, replaces: str | None) -> str:
        job = row.job
        file = self._file(job.market, job.stack, job.job_id)
        with on_disk(HEALS_TABLE):
            file.parent.mkdir(parents=True, exist_ok=True)
            with locked(file.with_name(".lock")):
                present = file.stat() if file.exists() else None
                if (etag_of(present) if present else None) == replaces:
                    return etag_of(replace_file(file, row.model_dump_json(indent=1).encode(), present))
        raise BlobChangedError(HEALS_TABLE, f"the row of job {job.job_id} is not the one that was to be replaced")

    def _file(self, market: str, stack: str, job_id: str) -> Path:
        return self._root / market / stack / f"{job_id}.json"

    def _files(self, folder: Path, pattern: str) -> list[Path]:
        with on_disk(HEALS_TABLE):
            return sorted(folder.glob(pattern))


def _kept(file: Path) -> Kept | None:
    with on_disk(HEALS_TABLE):
        try:
            # One open file is one write, whatever is put in its place meanwhile.
            with file.open("rb") as opened:
                etag, content = etag_of(os.fstat(opened.fileno())), opened.read()
        except FileNotFoundError:
            return None
    try:
        return Kept(row=HealRow.model_validate_json(content), etag=etag)
    except ValidationError:
        raise unreadable_job(file.stem) from None

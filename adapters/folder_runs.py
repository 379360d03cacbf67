"""The rows of runs beside an estate on disk: ``DIR/tables/{table}/{newest first}-{run}.json``."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Generic

from pydantic import ValidationError

from adapters.folder_writing import on_disk
from adapters.run_files import newest_files, remove_run_files, write_run_file
from records.ports import RowT


class FolderRunStore(Generic[RowT]):
    """A `RunStore` in a folder, of rows of the form ``row``, for one writer at a time."""

    def __init__(self, root: Path, *, table: str, row: type[RowT]) -> None:
        self._folder = root / "tables" / table
        self._row = row

    async def save_run(self, *, row: RowT) -> None:
        first = await self.run(run_id=row.run_id)
        if first:
            row = row.model_copy(update={"started_at": first.started_at})
        await asyncio.to_thread(write_run_file, self._folder, started_at=row.started_at, run_id=row.run_id, content=row)

    async def run(self, *, run_id: str) -> RowT | None:
        return next((row for row in await asyncio.to_thread(self._rows) if row.run_id == run_id), None)

    async def runs(self, *, started_before: datetime | None = None) -> AsyncIterator[RowT]:
        for row in await asyncio.to_thread(self._rows):
            if started_before is None or row.started_at < started_before:
                yield row

    async def prune_runs(self, *, started_before: datetime) -> None:
        await asyncio.to_thread(remove_run_files, self._folder, started_before=started_before)

    def _rows(self) -> list[RowT]:
        rows = []
        with on_disk(self._folder.name):
            for file in newest_files(self._folder):
                with suppress(ValidationError):
                    rows.append(self._row.model_validate_json(file.read_bytes()))
        return rows

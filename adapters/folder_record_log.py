"""The log of writes beside an estate on disk: ``DIR/tables/recordlog/{market}/{newest first}-{write id}.json``."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from adapters.folder_writing import on_disk, replace_file
from adapters.table_keys import newest_first
from adapters.table_names import RECORD_LOG_TABLE
from records.record_log import LoggedWrite

_AFTER_ALL: Final = ":"
"""Sorts behind the digits that every file's name begins with."""
_ROWS: Final = "[!.]*.json"


class FolderRecordLog:
    """A `RecordLog` in a folder, for many processes at once: each write has a file of its own."""

    def __init__(self, root: Path) -> None:
        self._root = root / "tables" / RECORD_LOG_TABLE

    async def save(self, *, writes: Sequence[LoggedWrite]) -> None:
        await asyncio.to_thread(self._save, writes)

    async def writes(self, *, market: str, since: datetime | None = None) -> AsyncIterator[LoggedWrite]:
        last = f"{newest_first(since)}:" if since else _AFTER_ALL
        for file in await asyncio.to_thread(self._newest_first, market):
            if file.name >= last:
                return
            write = await asyncio.to_thread(_read, file)
            if write:
                yield write

    async def markets(self) -> Sequence[str]:
        return await asyncio.to_thread(self._markets)

    def _save(self, writes: Sequence[LoggedWrite]) -> None:
        for write in writes:
            folder = self._root / write.market
            with on_disk(RECORD_LOG_TABLE):
                folder.mkdir(parents=True, exist_ok=True)
                file = folder / f"{newest_first(write.at)}-{write.write_id}.json"
                replace_file(file, write.model_dump_json(indent=1).encode())

    def _newest_first(self, market: str) -> list[Path]:
        with on_disk(RECORD_LOG_TABLE):
            return sorted((self._root / market).glob(_ROWS))

    def _markets(self) -> list[str]:
        with on_disk(RECORD_LOG_TABLE):
            return sorted({file.parent.relative_to(self._root).as_posix() for file in self._root.rglob(_ROWS)})


def _read(file: Path) -> LoggedWrite | None:
    with on_disk(RECORD_LOG_TABLE):
        try:
            return LoggedWrite.model_validate_json(file.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

"""Plan checks beside an estate on disk: ``DIR/tables/planchecks/{market}/{stack}/{newest first}-{run}.json``, and the latest.

The latest is ``latest.json`` beside them. A stack's name has no dot, so no market's folder is taken for another's file.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from adapters.folder_writing import locked, on_disk, replace_file
from adapters.table_keys import newest_first
from adapters.table_names import PLAN_CHECKS_TABLE
from adapters.unreadable_rows import unreadable_check
from records.plan_checks import CheckSketch, StoredCheck
from records.results import Run

_LATEST: Final = "latest.json"
_HISTORY: Final = "[0-9]*.json"


class FolderCheckStore:
    """A `CheckStore` in a folder, for many processes at once; it keeps every check whole."""

    def __init__(self, root: Path) -> None:
        self._root = root / "tables" / PLAN_CHECKS_TABLE

    async def save_check(self, *, stored: StoredCheck) -> None:
        await asyncio.to_thread(self._save, stored)

    async def check_of_run(self, *, run: Run, market: str, stack: str) -> StoredCheck | None:
        return await asyncio.to_thread(_read, self._folder(market, stack) / _name(run.started_at, run.run_id))

    async def latest_of_stack(self, *, market: str, stack: str) -> StoredCheck | None:
        return await asyncio.to_thread(self._latest, self._folder(market, stack) / _LATEST)

    async def sketches(self) -> AsyncIterator[CheckSketch]:
        """Each is made of its check: a file of its own would be a second write, for what is read from disk in no time."""
        for file in await asyncio.to_thread(self._files, self._root, f"**/{_LATEST}"):
            stored = await asyncio.to_thread(self._latest, file)
            if stored:
                yield stored.sketch()

    async def forget(self, *, market: str, stack: str) -> None:
        with on_disk(PLAN_CHECKS_TABLE):
            await asyncio.to_thread((self._folder(market, stack) / _LATEST).unlink, missing_ok=True)

    async def prune(self, *, started_before: datetime) -> None:
        await asyncio.to_thread(self._prune, started_before)

    def _folder(self, market: str, stack: str) -> Path:
        return self._root / market / stack

    def _files(self, folder: Path, pattern: str) -> list[Path]:
        with on_disk(PLAN_CHECKS_TABLE):
            return sorted(folder.glob(pattern))

    def _latest(self, file: Path) -> StoredCheck | None:
        content = _content(file)
        stored = _parsed(content) if content is not None else None
        if content is not None and stored is None:
            raise unreadable_check(file.parent.relative_to(self._root).as_posix())
        return stored

    def _save(self, stored: StoredCheck) -> None:
        """The latest goes first: whoever dies between the two is not found by `check_of_run`, and does both again."""
        folder = self._folder(stored.check.market, stored.check.stack)
        content = stored.model_dump_json(indent=1).encode()
        with on_disk(PLAN_CHECKS_TABLE):
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder / ".lock"):
                present = _read(folder / _LATEST)
                if present is None or present.run_started_at <= stored.run_started_at:
                    replace_file(folder / _LATEST, content)
                replace_file(folder / _name(stored.run_started_at, stored.run_id), content)

    def _prune(self, started_before: datetime) -> None:
        first_to_go = f"{newest_first(started_before)}:"
        old = [file for file in self._files(self._root, f"**/{_HISTORY}") if file.name >= first_to_go]
        with on_disk(PLAN_CHECKS_TABLE):
            for file in old:
                file.unlink(missing_ok=True)


def _name(started_at: datetime, run_id: str) -> str:
    return f"{newest_first(started_at)}-{run_id}.json"


def _read(file: Path) -> StoredCheck | None:
    content = _content(file)
    return _parsed(content) if content is not None else None


def _content(file: Path) -> bytes | None:
    with on_disk(PLAN_CHECKS_TABLE), suppress(FileNotFoundError):
        return file.read_bytes()
    return None


def _parsed(content: bytes) -> StoredCheck | None:
    with suppress(ValidationError):
        return StoredCheck.model_validate_json(content)
    return None

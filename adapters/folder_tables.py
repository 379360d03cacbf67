"""Results beside an estate on disk: ``DIR/tables/reconcileresults/{market}/{newest first}-{run}.json``.

A market's results of one run are one file, put in place by a rename: that is the transaction. The names sort newest first,
so a stack's latest is in the first file.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from adapters.folder_writing import on_disk
from adapters.run_files import newest_files, remove_run_files, write_run_file
from adapters.table_names import RESULTS_TABLE
from records.results import Coverage, Run, StackResult, StoredResult


class _MarketRun(BaseModel):
    """A file: one market's results of one run."""

    model_config = ConfigDict(frozen=True)

    run: Run
    coverage: Coverage = Coverage.WHOLE_MARKET
    results: tuple[StackResult, ...]


class FolderResultStore:
    """A `ResultStore` in a folder, for one writer at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root / "tables" / RESULTS_TABLE

    async def latest_of_market(self, *, market: str) -> Mapping[str, StoredResult]:
        return await asyncio.to_thread(self._latest, market)

    async def save_market(
        self, *, run: Run, market: str, results: Iterable[StackResult], coverage: Coverage = Coverage.WHOLE_MARKET
    ) -> None:
        file = _MarketRun(run=run, coverage=coverage, results=tuple(results))
        await asyncio.to_thread(
            write_run_file, self._folder(market), started_at=run.started_at, run_id=run.run_id, content=file
        )

    async def prune_market(self, *, market: str, started_before: datetime) -> None:
        kept = await asyncio.to_thread(self._files_of_the_latest, market)
        await asyncio.to_thread(remove_run_files, self._folder(market), started_before=started_before, keep=kept)

    def _latest(self, market: str) -> dict[str, StoredResult]:
        """Of each stack the newest result, back to the newest run that looked at all of them."""
        latest: dict[str, StoredResult] = {}
        for _, market_run in self._market_runs(market):
            latest = {item.result.stack: item for item in _stored(market_run)} | latest
            if market_run.coverage is Coverage.WHOLE_MARKET:
                break
        return latest

    def _files_of_the_latest(self, market: str) -> int:
        """How many of the newest files hold a latest result."""
        count = 0
        for number, market_run in self._market_runs(market):
            count = number + 1
            if market_run.coverage is Coverage.WHOLE_MARKET:
                break
        return count

    def _folder(self, market: str) -> Path:
        return self._root / market

    def _market_runs(self, market: str) -> Iterator[tuple[int, _MarketRun]]:
        """Newest first, with each file's place among all that there are."""
        with on_disk(RESULTS_TABLE):
            for number, file in enumerate(newest_files(self._folder(market))):
                with suppress(ValidationError):
                    yield number, _MarketRun.model_validate_json(file.read_bytes())


def _stored(market_run: _MarketRun) -> list[StoredResult]:
    run = market_run.run
    return [
        StoredResult(run_id=run.run_id, run_started_at=run.started_at, result=result) for result in market_run.results
    ]

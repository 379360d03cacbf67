"""Results beside an estate on disk: ``DIR/tables/reconcileresults/{market}/{newest first}-{run}.json``, and the runs.

A market's results of one run are one file, put in place by a rename: that is the transaction. The names sort newest first,
so a stack's latest is in the first file.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from adapters.table_keys import newest_first
from records.errors import AccessDeniedError, StoreUnavailableError
from records.results import Coverage, Run, StackResult, StoredResult
from records.runs import RunRow

_RESULTS: Final = "reconcileresults"
_RUNS: Final = "reconcileruns"
_KEY_LENGTH: Final = len("000000000000000-")


class _MarketRun(BaseModel):
    """A file: one market's results of one run."""

    model_config = ConfigDict(frozen=True)

    run: Run
    coverage: Coverage = Coverage.WHOLE_MARKET
    results: tuple[StackResult, ...]


class FolderResultStore:
    """A `ResultStore` and `RunStore` in a folder, for one writer at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root / "tables"

    async def latest_of_market(self, *, market: str) -> Mapping[str, StoredResult]:
        return await asyncio.to_thread(self._latest, market)

    async def latest_of_stack(self, *, market: str, stack: str) -> StoredResult | None:
        return (await self.latest_of_market(market=market)).get(stack)

    async def history_of_stack(self, *, market: str, stack: str) -> AsyncIterator[StoredResult]:
        for _, market_run in self._market_runs(market):
            for item in _stored(market_run):
                if item.result.stack == stack:
                    yield item

    async def save_market(
        self, *, run: Run, market: str, results: Iterable[StackResult], coverage: Coverage = Coverage.WHOLE_MARKET
    ) -> None:
        file = _MarketRun(run=run, coverage=coverage, results=tuple(results))
        await asyncio.to_thread(self._write, self._folder(market), run.started_at, run.run_id, file)

    async def prune_market(self, *, market: str, started_before: datetime) -> int:
        kept = await asyncio.to_thread(self._files_of_the_latest, market)
        removed = await asyncio.to_thread(self._prune, self._folder(market), started_before, kept)
        return len(removed)

    async def save_run(self, *, row: RunRow) -> None:
        first = await self.run(run_id=row.run_id)
        if first:
            row = row.model_copy(update={"started_at": first.started_at})
        await asyncio.to_thread(self._write, self._root / _RUNS, row.started_at, row.run_id, row)

    async def run(self, *, run_id: str) -> RunRow | None:
        return next((row for row in await asyncio.to_thread(self._run_rows) if row.run_id == run_id), None)

    async def runs(self, *, started_before: datetime | None = None) -> AsyncIterator[RunRow]:
        for row in await asyncio.to_thread(self._run_rows):
            if started_before is None or row.started_at < started_before:
                yield row

    async def prune_runs(self, *, started_before: datetime) -> Sequence[str]:
        removed = await asyncio.to_thread(self._prune, self._root / _RUNS, started_before, 0)
        return sorted(name[_KEY_LENGTH:].removesuffix(".json") for name in removed)

    def _run_rows(self) -> list[RunRow]:
        rows = []
        with _translated(_RUNS):
            for file in _newest_first(self._root / _RUNS):
                with suppress(ValidationError):
                    rows.append(RunRow.model_validate_json(file.read_bytes()))
        return rows

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
        return self._root / _RESULTS / market

    def _market_runs(self, market: str) -> Iterator[tuple[int, _MarketRun]]:
        """Newest first, with each file's place among all that there are."""
        with _translated(_RESULTS):
            for number, file in enumerate(_newest_first(self._folder(market))):
                with suppress(ValidationError):
                    yield number, _MarketRun.model_validate_json(file.read_bytes())

    def _write(self, folder: Path, started_at: datetime, run_id: str, content: BaseModel) -> None:
        with _translated(folder.name):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=folder, prefix=".", delete=False) as file:
                file.write(content.model_dump_json(indent=1))
            Path(file.name).replace(folder / f"{newest_first(started_at)}-{run_id}.json")

    def _prune(self, folder: Path, started_before: datetime, keep: int) -> list[str]:
        with _translated(folder.name):
            last_to_stay = f"{newest_first(started_before)}:"
            old = [file for file in _newest_first(folder)[keep:] if file.name >= last_to_stay]
            for file in old:
                file.unlink(missing_ok=True)
            return [file.name for file in old]


def _newest_first(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.json") if not file.name.startswith("."))


def _stored(market_run: _MarketRun) -> list[StoredResult]:
    run = market_run.run
    return [
        StoredResult(run_id=run.run_id, run_started_at=run.started_at, result=result) for result in market_run.results
    ]


@contextmanager
def _translated(place: str) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise AccessDeniedError(place, "the folder may not be written or read") from None
    except OSError as error:
        raise StoreUnavailableError(place, error.strerror or type(error).__name__) from None

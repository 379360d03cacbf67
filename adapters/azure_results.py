"""Results in Azure Table Storage.

Table ``reconcileresults``: a partition a market, with the rows ``latest:{stack}`` and ``history:{stack}:{newest first}:{run}``,
and ``latest`` for the run of the whole market that came last. One entity-group transaction a market and run writes them all. It
takes 100 rows at most, so a market of more than 49 stacks takes one for every 49 of them.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableEntity
from azure.data.tables.aio import TableClient, TableServiceClient
from pydantic import ValidationError

from adapters.azure_errors import service_code, translated
from adapters.azure_rows import (
    WRITTEN_BY_ANOTHER,
    delete_history,
    etag_of,
    if_unchanged,
    in_place_of,
    is_of_a_later_run,
    rows_between,
)
from adapters.azure_tables import REPLACE, ROWS_PER_TRANSACTION, TABLE_MISSING, Operation, reading, submit
from adapters.table_keys import LATEST, history_key, latest_key, market_key, starting_with
from adapters.table_names import RESULTS_TABLE
from records.errors import StoreUnavailableError
from records.results import Coverage, Run, StackResult, StoredResult

_STACKS_PER_TRANSACTION: Final = 49
_SAVE_ATTEMPTS: Final = 5


class AzureResultStore:
    """A `ResultStore` on a storage account's tables."""

    def __init__(self, service: TableServiceClient) -> None:
        self._service = service
        self._results: TableClient = service.get_table_client(RESULTS_TABLE)

    async def latest_of_market(self, *, market: str) -> Mapping[str, StoredResult]:
        with reading(RESULTS_TABLE):
            rows = rows_between(self._results, market_key(market), starting_with(LATEST))
            stored = [_stored(row) async for row in rows]
            return {item.result.stack: item for item in stored if item}
        return {}

    async def save_market(
        self, *, run: Run, market: str, results: Iterable[StackResult], coverage: Coverage = Coverage.WHOLE_MARKET
    ) -> None:
        pending = {result.stack: result for result in results}
        with translated(RESULTS_TABLE):
            for _ in range(_SAVE_ATTEMPTS):
                try:
                    present = await self._present_rows(market)
                    for operations in _transactions(run, market, pending, present, coverage):
                        await submit(self._results, operations)
                    return
                except HttpResponseError as error:
                    if service_code(error) == TABLE_MISSING:
                        await self._service.create_table_if_not_exists(RESULTS_TABLE)
                    elif service_code(error) not in WRITTEN_BY_ANOTHER:
                        raise
        raise StoreUnavailableError(RESULTS_TABLE, f"other runs kept writing market {market} at the same moment")

    async def prune_market(self, *, market: str, started_before: datetime) -> None:
        with reading(RESULTS_TABLE):
            await delete_history(self._results, market_key(market), started_before=started_before)

    async def _present_rows(self, market: str) -> dict[str, TableEntity]:
        """The market's own row and its stacks' latest, by key: with their ETags, without their results."""
        _, end = starting_with(LATEST)
        rows = rows_between(
            self._results, market_key(market), (LATEST, end), select=["PartitionKey", "RowKey", "run_started_at"]
        )
        return {str(row["RowKey"]): row async for row in rows}


def _transactions(
    run: Run, market: str, results: Mapping[str, StackResult], present: Mapping[str, TableEntity], coverage: Coverage
) -> Iterator[list[Operation]]:
    """What a run writes of a market, in transactions: each stack's rows together, then the stacks that are no more.

    A run that comes after a later one, such as an activity delivered again a day late, writes history alone. The market's
    own row says which run of the whole market came last, also where it found no stack at all.
    """
    market_row = present.get(LATEST)
    is_late = market_row is not None and is_of_a_later_run(market_row, run.started_at)
    is_whole = coverage is Coverage.WHOLE_MARKET and not is_late
    stacks = sorted(results)
    for start in range(0, max(len(stacks), 1), _STACKS_PER_TRANSACTION):
        operations: list[Operation] = []
        if start == 0 and is_whole:
            operations.append(_latest(_market_row(run, market), present))
        for stack in stacks[start : start + _STACKS_PER_TRANSACTION]:
            columns = _columns(run, market, results[stack])
            history = history_key(stack, started_at=run.started_at, run_id=run.run_id)
            operations.append(("upsert", columns | {"RowKey": history}, REPLACE))
            before = present.get(latest_key(stack))
            if not is_late and not (before and is_of_a_later_run(before, run.started_at)):
                operations.append(_latest(columns | {"RowKey": latest_key(stack)}, present))
        if operations:
            yield operations
    if is_whole:
        kept = {LATEST, *map(latest_key, stacks)}
        gone = [
            ("delete", dict(row), if_unchanged(str(row.metadata["etag"])))
            for key, row in present.items()
            if key not in kept and not is_of_a_later_run(row, run.started_at)
        ]
        for start in range(0, len(gone), ROWS_PER_TRANSACTION):
            yield gone[start : start + ROWS_PER_TRANSACTION]


def _market_row(run: Run, market: str) -> dict[str, Any]:
    return {
        "PartitionKey": market_key(market),
        "RowKey": LATEST,
        "run_id": run.run_id,
        "run_started_at": run.started_at,
    }


def _columns(run: Run, market: str, result: StackResult) -> dict[str, Any]:
    return {
        "PartitionKey": market_key(market),
        "run_id": run.run_id,
        "run_started_at": run.started_at,
        "verdict": str(result.verdict),
        "severity": str(result.severity),
        "result": result.model_dump_json(),
    }


def _latest(row: dict[str, Any], present: Mapping[str, TableEntity]) -> Operation:
    return in_place_of(etag_of(present.get(row["RowKey"])), row)


def _stored(row: Mapping[str, Any]) -> StoredResult | None:
    try:
        return StoredResult(
            run_id=row["run_id"],
            run_started_at=row["run_started_at"],
            result=StackResult.model_validate_json(row["result"]),
        )
    except (KeyError, ValidationError):
        return None

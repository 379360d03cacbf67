"""Results in Azure Table Storage.

Table ``reconcileresults``: a partition a market, with the rows ``latest:{stack}`` and ``history:{stack}:{newest first}:{run}``,
and ``latest`` for the run of the whole market that came last. One entity-group transaction a market and run writes them all. It
takes 100 rows at most, so a market of more than 49 stacks takes one for every 49 of them.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableEntity
from azure.data.tables.aio import TableClient, TableServiceClient
from pydantic import ValidationError

from adapters.azure_errors import service_code, translated
from adapters.azure_tables import REPLACE, ROWS_PER_TRANSACTION, TABLE_MISSING, Operation, delete_rows, reading, submit
from adapters.table_keys import HISTORY, LATEST, history_key, latest_key, market_key, starting_with
from adapters.table_names import RESULTS_TABLE
from records.errors import StoreUnavailableError
from records.results import Coverage, Run, StackResult, StoredResult

_STACKS_PER_TRANSACTION: Final = 49
_SAVE_ATTEMPTS: Final = 5
_WRITTEN_BY_ANOTHER_RUN: Final = {"UpdateConditionNotSatisfied", "EntityAlreadyExists", "ResourceNotFound"}
_RANGE: Final = "PartitionKey eq @partition and RowKey ge @first and RowKey lt @end"


class AzureResultStore:
    """A `ResultStore` on a storage account's tables."""

    def __init__(self, service: TableServiceClient) -> None:
        self._service = service
        self._results: TableClient = service.get_table_client(RESULTS_TABLE)

    async def latest_of_market(self, *, market: str) -> Mapping[str, StoredResult]:
        with reading(RESULTS_TABLE):
            stored = [_stored(row) async for row in self._rows(market, starting_with(LATEST))]
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
                    elif service_code(error) not in _WRITTEN_BY_ANOTHER_RUN:
                        raise
        raise StoreUnavailableError(RESULTS_TABLE, f"other runs kept writing market {market} at the same moment")

    async def prune_market(self, *, market: str, started_before: datetime) -> None:
        first, end = starting_with(HISTORY)
        with reading(RESULTS_TABLE):
            rows = self._results.query_entities(
                f"{_RANGE} and run_started_at lt @cutoff",
                parameters={"partition": market_key(market), "first": first, "end": end, "cutoff": started_before},
                select=["PartitionKey", "RowKey"],
            )
            await delete_rows(self._results, [row async for row in rows])

    def _rows(
        self, market: str, keys: tuple[str, str], *, select: list[str] | None = None
    ) -> AsyncIterator[TableEntity]:
        first, end = keys
        rows: AsyncIterator[TableEntity] = self._results.query_entities(
            _RANGE, parameters={"partition": market_key(market), "first": first, "end": end}, select=select
        )
        return rows

    async def _present_rows(self, market: str) -> dict[str, TableEntity]:
        """The market's own row and its stacks' latest, by key: with their ETags, without their results."""
        _, end = starting_with(LATEST)
        rows = self._rows(market, (LATEST, end), select=["PartitionKey", "RowKey", "run_started_at"])
        return {str(row["RowKey"]): row async for row in rows}


def _transactions(
    run: Run, market: str, results: Mapping[str, StackResult], present: Mapping[str, TableEntity], coverage: Coverage
) -> Iterator[list[Operation]]:
    """What a run writes of a market, in transactions: each stack's rows together, then the stacks that are no more.

    A run that comes after a later one, such as an activity delivered again a day late, writes history alone. The market's
    own row says which run of the whole market came last, also where it found no stack at all.
    """
    market_row = present.get(LATEST)
    is_late = market_row is not None and _is_newer(market_row, run)
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
            if not is_late and not (before and _is_newer(before, run)):
                operations.append(_latest(columns | {"RowKey": latest_key(stack)}, present))
        if operations:
            yield operations
    if is_whole:
        kept = {LATEST, *map(latest_key, stacks)}
        gone = [row for key, row in present.items() if key not in kept and not _is_newer(row, run)]
        for start in range(0, len(gone), ROWS_PER_TRANSACTION):
            yield [("delete", dict(row), _if_unchanged(row)) for row in gone[start : start + ROWS_PER_TRANSACTION]]


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
    before = present.get(row["RowKey"])
    return ("update", row, REPLACE | _if_unchanged(before)) if before else ("create", row, {})


def _is_newer(row: TableEntity, run: Run) -> bool:
    started_at = row.get("run_started_at")
    return isinstance(started_at, datetime) and started_at > run.started_at


def _if_unchanged(row: TableEntity) -> dict[str, Any]:
    return {"etag": row.metadata["etag"], "match_condition": MatchConditions.IfNotModified}


def _stored(row: Mapping[str, Any]) -> StoredResult | None:
    try:
        return StoredResult(
            run_id=row["run_id"],
            run_started_at=row["run_started_at"],
            result=StackResult.model_validate_json(row["result"]),
        )
    except (KeyError, ValidationError):
        return None

"""Rows of Azure's tables, as several stores read, replace and remove them."""

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableEntity
from azure.data.tables.aio import TableClient

from adapters.azure_errors import service_code
from adapters.azure_tables import REPLACE, ROWS_PER_TRANSACTION, TABLE_MISSING, Operation, delete_rows
from adapters.table_keys import HISTORY, starting_with

WRITTEN_BY_ANOTHER: Final = frozenset({"UpdateConditionNotSatisfied", "EntityAlreadyExists", "ResourceNotFound"})
"""What storage says of a row that is not the one that was to be replaced, is gone, or is there where none was to be."""
_ABSENT: Final = frozenset({"ResourceNotFound", "EntityNotFound", TABLE_MISSING})
_PARTITION: Final = "PartitionKey eq @partition"
_RANGE: Final = f"{_PARTITION} and RowKey ge @first and RowKey lt @end"
_KEYS: Final = ["PartitionKey", "RowKey"]
_TRANSACTION_BYTES: Final = 1_000_000
"""Storage takes 4 MiB; beyond 1 MiB aiohttp warns that a body holds up everything else."""
_OPERATION_BYTES: Final = 2048
"""What a row's headers and keys add to a transaction, at most."""


async def row_or_none(
    table: TableClient, partition: str, key: str, *, select: list[str] | None = None
) -> TableEntity | None:
    """A point read; None where there is no such row, or no table yet. Raises what the SDK does."""
    try:
        return await table.get_entity(partition, key, select=select)
    except HttpResponseError as error:
        # A 404 of any other kind, as of a gateway, does not say that the row is not there.
        if service_code(error) not in _ABSENT:
            raise
    return None


def rows_between(
    table: TableClient,
    partition: str,
    keys: tuple[str, str],
    *,
    select: list[str] | None = None,
    results_per_page: int | None = None,
) -> AsyncIterator[TableEntity]:
    """The rows of a half-open range of keys, in their order, a page at a time."""
    first, end = keys
    rows: AsyncIterator[TableEntity] = table.query_entities(
        _RANGE,
        parameters={"partition": partition, "first": first, "end": end},
        select=select,
        results_per_page=results_per_page,
    )
    return rows


async def delete_history(table: TableClient, partition: str, *, started_before: datetime) -> None:
    """Removes the history of runs that started before; a stack's latest is a row of its own, and stays."""
    first, end = starting_with(HISTORY)
    rows = table.query_entities(
        f"{_RANGE} and run_started_at lt @cutoff",
        parameters={"partition": partition, "first": first, "end": end, "cutoff": started_before},
        select=_KEYS,
    )
    await delete_rows(table, [row async for row in rows])


async def delete_partition(table: TableClient, partition: str) -> None:
    rows = table.query_entities(_PARTITION, parameters={"partition": partition}, select=_KEYS)
    await delete_rows(table, [row async for row in rows])


def upserts(rows: Iterable[dict[str, Any]]) -> Iterator[list[Operation]]:
    """What puts rows of one partition in place of whatever is there, as transactions, in their order."""
    operations: list[Operation] = []
    size_bytes = 0
    for row in rows:
        row_bytes = len(json.dumps(row, default=str)) + _OPERATION_BYTES
        if operations and (len(operations) == ROWS_PER_TRANSACTION or size_bytes + row_bytes > _TRANSACTION_BYTES):
            yield operations
            operations, size_bytes = [], 0
        operations.append(("upsert", row, REPLACE))
        size_bytes += row_bytes
    if operations:
        yield operations


def in_place_of(etag: str | None, row: dict[str, Any]) -> Operation:
    """Writes a row in place of the one with this ETag, None for none, or fails with one of `WRITTEN_BY_ANOTHER`."""
    return ("create", row, {}) if etag is None else ("update", row, REPLACE | if_unchanged(etag))


def if_unchanged(etag: str) -> dict[str, Any]:
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def etag_of(row: TableEntity | None) -> str | None:
    return str(row.metadata["etag"]) if row else None


def is_of_a_later_run(row: TableEntity, started_at: datetime) -> bool:
    of_row = row.get("run_started_at")
    return isinstance(of_row, datetime) and of_row > started_at

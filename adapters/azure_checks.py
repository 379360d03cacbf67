"""Plan checks in Azure Table Storage.

Table ``planchecks``: a partition a market, with the rows ``latest:{stack}`` and ``history:{stack}:{newest first}:{run}``, both
written in one entity-group transaction. A check is JSON, compressed, and goes on in ``check_1``, ``check_2``, … where it is
larger than a property may be (64 KiB); what people look for is in columns of its own.
"""

import gzip
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.data.tables import TableEntity
from azure.data.tables.aio import TableClient, TableServiceClient
from pydantic import ValidationError

from adapters.azure_errors import service_code, translated
from adapters.azure_tables import (
    PLAN_CHECKS_TABLE,
    REPLACE,
    TABLE_MISSING,
    Operation,
    delete_rows,
    reading,
    submit,
)
from adapters.check_shrinking import ever_smaller
from adapters.table_keys import HISTORY, LATEST, history_key, latest_key, market_key, starting_with
from records.errors import StoreUnavailableError
from records.plan_checks import StoredCheck
from records.results import Run

_PART_BYTES: Final = 60_000
_MOST_PARTS: Final = 6
"""Twice these in base64, as the transaction sends them, are less than 1 MiB: beyond, aiohttp warns that a body holds up
everything else."""
_SAVE_ATTEMPTS: Final = 5
_WRITTEN_BY_ANOTHER_RUN: Final = {"UpdateConditionNotSatisfied", "EntityAlreadyExists", "ResourceNotFound"}
_RANGE: Final = "PartitionKey eq @partition and RowKey ge @first and RowKey lt @end"
_ROWS_PER_PAGE: Final = 100


class AzureCheckStore:
    """A `CheckStore` on a storage account's tables."""

    def __init__(self, service: TableServiceClient) -> None:
        self._service = service
        self._table: TableClient = service.get_table_client(PLAN_CHECKS_TABLE)

    async def save_check(self, *, stored: StoredCheck) -> None:
        columns = _columns(stored)
        market, stack = stored.check.market, stored.check.stack
        key = history_key(stack, started_at=stored.run_started_at, run_id=stored.run_id)
        history: Operation = ("upsert", columns | {"RowKey": key}, REPLACE)
        latest = columns | {"RowKey": latest_key(stack)}
        with translated(PLAN_CHECKS_TABLE):
            for _ in range(_SAVE_ATTEMPTS):
                try:
                    present = await self._row(market, latest_key(stack), select=["RowKey", "run_started_at"])
                    is_late = present is not None and _is_newer(present, stored)
                    await submit(self._table, [history] if is_late else [history, _in_place_of(present, latest)])
                    return
                except HttpResponseError as error:
                    if service_code(error) == TABLE_MISSING:
                        await self._service.create_table_if_not_exists(PLAN_CHECKS_TABLE)
                    elif service_code(error) not in _WRITTEN_BY_ANOTHER_RUN:
                        raise
        raise StoreUnavailableError(
            PLAN_CHECKS_TABLE, f"other runs kept writing {stored.check.name} at the same moment"
        )

    async def check_of_run(self, *, run: Run, market: str, stack: str) -> StoredCheck | None:
        with translated(PLAN_CHECKS_TABLE):
            row = await self._row(market, history_key(stack, started_at=run.started_at, run_id=run.run_id))
        return _stored(row) if row else None

    async def latest_of_stack(self, *, market: str, stack: str) -> StoredCheck | None:
        with translated(PLAN_CHECKS_TABLE):
            row = await self._row(market, latest_key(stack))
        return _stored(row) if row else None

    async def latest(self) -> AsyncIterator[StoredCheck]:
        """Two requests a market, each where an index leads: a filter over all partitions would read their history too."""
        with reading(PLAN_CHECKS_TABLE):
            async for partition in self._partitions():
                async for row in self._rows(partition, starting_with(LATEST)):
                    stored = _stored(row)
                    if stored:
                        yield stored

    async def history_of_stack(self, *, market: str, stack: str) -> AsyncIterator[StoredCheck]:
        with reading(PLAN_CHECKS_TABLE):
            async for row in self._rows(market_key(market), starting_with(f"{HISTORY}:{stack}")):
                stored = _stored(row)
                if stored:
                    yield stored

    async def forget(self, *, market: str, stack: str) -> None:
        with reading(PLAN_CHECKS_TABLE):
            # The SDK takes a row that is not there for deleted.
            await self._table.delete_entity(market_key(market), latest_key(stack))

    async def prune(self, *, started_before: datetime) -> int:
        first, end = starting_with(HISTORY)
        removed = 0
        with reading(PLAN_CHECKS_TABLE):
            async for partition in self._partitions():
                rows = self._table.query_entities(
                    f"{_RANGE} and run_started_at lt @cutoff",
                    parameters={"partition": partition, "first": first, "end": end, "cutoff": started_before},
                    select=["PartitionKey", "RowKey"],
                )
                removed += await delete_rows(self._table, [row async for row in rows])
        return removed

    async def _partitions(self) -> AsyncIterator[str]:
        """Every market's, each found behind the one before."""
        partition = await self._next_partition("")
        while partition:
            yield partition
            partition = await self._next_partition(partition)

    async def _next_partition(self, last: str) -> str | None:
        rows = self._table.query_entities(
            "PartitionKey gt @last", parameters={"last": last}, select=["PartitionKey"], results_per_page=1
        )
        async for row in rows:
            return str(row["PartitionKey"])
        return None

    def _rows(self, partition: str, keys: tuple[str, str]) -> AsyncIterator[TableEntity]:
        first, end = keys
        rows: AsyncIterator[TableEntity] = self._table.query_entities(
            _RANGE,
            parameters={"partition": partition, "first": first, "end": end},
            results_per_page=_ROWS_PER_PAGE,
        )
        return rows

    async def _row(self, market: str, key: str, *, select: list[str] | None = None) -> TableEntity | None:
        with suppress(ResourceNotFoundError):
            return await self._table.get_entity(market_key(market), key, select=select)
        return None


def _columns(stored: StoredCheck) -> dict[str, Any]:
    check = stored.check
    parts = _parts(stored)
    return {
        "PartitionKey": market_key(check.market),
        "stack": check.stack,
        "run_id": stored.run_id,
        "run_started_at": stored.run_started_at,
        "decision": str(check.decision),
        "reason": str(check.reason) if check.reason else None,
        "verdict": str(check.verdict) if check.verdict else None,
        "job_id": check.job_id,
        "parts": len(parts),
        **{_column(number): part for number, part in enumerate(parts)},
    }


def _parts(stored: StoredCheck) -> list[bytes]:
    """Raises:
    StoreUnavailableError: a row takes it in no form.
    """
    for form in ever_smaller(stored):
        # Without a time of its own, so that the same check gives the same bytes.
        content = gzip.compress(form.model_dump_json().encode(), mtime=0)
        if len(content) <= _MOST_PARTS * _PART_BYTES:
            return [content[start : start + _PART_BYTES] for start in range(0, len(content), _PART_BYTES)]
    raise StoreUnavailableError(PLAN_CHECKS_TABLE, f"the check of {stored.check.name} is larger than a row may be")


def _stored(row: Mapping[str, Any]) -> StoredCheck | None:
    try:
        content = b"".join(row[_column(number)] for number in range(row["parts"]))
        return StoredCheck.model_validate_json(gzip.decompress(content))
    except (KeyError, TypeError, OSError, EOFError, zlib.error, ValidationError):
        return None


def _column(number: int) -> str:
    return f"check_{number}" if number else "check"


def _is_newer(row: TableEntity, than: StoredCheck) -> bool:
    started_at = row.get("run_started_at")
    return isinstance(started_at, datetime) and started_at > than.run_started_at


def _in_place_of(present: TableEntity | None, row: dict[str, Any]) -> Operation:
    if present is None:
        return ("create", row, {})
    unchanged = {"etag": present.metadata["etag"], "match_condition": MatchConditions.IfNotModified}
    return ("update", row, REPLACE | unchanged)

"""Plan checks in Azure Table Storage.

Table ``planchecks``: a partition a market, with the rows ``latest:{stack}`` and ``history:{stack}:{newest first}:{run}``, both
written in one entity-group transaction. A check is JSON in the columns ``check``, ``check_1``, … (`adapters.table_parts`);
what people look for is in columns of its own. The partition ``!latest``, as no market can be called, has a row
``{market}:{stack}`` for each stack with the sketch of its latest, so that all of them are one range of keys.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableEntity
from azure.data.tables.aio import TableClient, TableServiceClient

from adapters.azure_errors import service_code, translated
from adapters.azure_tables import REPLACE, TABLE_MISSING, Operation, delete_rows, reading, submit
from adapters.check_shrinking import ever_smaller
from adapters.table_keys import HISTORY, history_key, latest_key, market_key, starting_with
from adapters.table_names import PLAN_CHECKS_TABLE
from adapters.table_parts import MOST_PARTS, joined, parted
from records.errors import StoreUnavailableError
from records.plan_checks import CheckSketch, StoredCheck
from records.results import Run

SKETCHES_PARTITION: Final = "!latest"
_CHECK: Final = "check"
_SKETCH: Final = "sketch"
_MOST_PARTS: Final = MOST_PARTS // 2
"""A transaction has the check twice."""
_SAVE_ATTEMPTS: Final = 5
_WRITTEN_BY_ANOTHER_RUN: Final = {"UpdateConditionNotSatisfied", "EntityAlreadyExists", "ResourceNotFound"}
_ABSENT: Final = {"ResourceNotFound", "EntityNotFound", TABLE_MISSING}
_RANGE: Final = "PartitionKey eq @partition and RowKey ge @first and RowKey lt @end"


class AzureCheckStore:
    """A `CheckStore` on a storage account's tables."""

    def __init__(self, service: TableServiceClient) -> None:
        self._service = service
        self._table: TableClient = service.get_table_client(PLAN_CHECKS_TABLE)

    async def save_check(self, *, stored: StoredCheck) -> None:
        """The sketch goes first: whoever dies between the two is not found by `check_of_run`, and does both again."""
        columns, stack = _columns(stored), stored.check.stack
        check = columns | {"PartitionKey": market_key(stored.check.market)} | _check_parts(stored)
        key = history_key(stack, started_at=stored.run_started_at, run_id=stored.run_id)
        await self._keep_latest(stored, columns | _sketch_key(stored.check.market, stack) | _sketch_parts(stored))
        await self._keep_latest(
            stored, check | {"RowKey": latest_key(stack)}, along=[("upsert", check | {"RowKey": key}, REPLACE)]
        )

    async def check_of_run(self, *, run: Run, market: str, stack: str) -> StoredCheck | None:
        with translated(PLAN_CHECKS_TABLE):
            key = history_key(stack, started_at=run.started_at, run_id=run.run_id)
            row = await self._row(market_key(market), key)
        return _stored(row) if row else None

    async def latest_of_stack(self, *, market: str, stack: str) -> StoredCheck | None:
        with translated(PLAN_CHECKS_TABLE):
            row = await self._row(market_key(market), latest_key(stack))
        return _stored(row) if row else None

    async def sketches(self) -> AsyncIterator[CheckSketch]:
        rows = self._table.query_entities("PartitionKey eq @partition", parameters={"partition": SKETCHES_PARTITION})
        with reading(PLAN_CHECKS_TABLE):
            async for row in rows:
                if sketch := _sketch(row):
                    yield sketch

    async def forget(self, *, market: str, stack: str) -> None:
        """The sketch goes last, as who forgets finds the stack by it."""
        sketch = _sketch_key(market, stack)
        with reading(PLAN_CHECKS_TABLE):
            # The SDK takes a row that is not there for deleted.
            await self._table.delete_entity(market_key(market), latest_key(stack))
            await self._table.delete_entity(sketch["PartitionKey"], sketch["RowKey"])

    async def prune(self, *, started_before: datetime) -> None:
        first, end = starting_with(HISTORY)
        with reading(PLAN_CHECKS_TABLE):
            async for partition in self._partitions():
                rows = self._table.query_entities(
                    f"{_RANGE} and run_started_at lt @cutoff",
                    parameters={"partition": partition, "first": first, "end": end, "cutoff": started_before},
                    select=["PartitionKey", "RowKey"],
                )
                await delete_rows(self._table, [row async for row in rows])

    async def _partitions(self) -> AsyncIterator[str]:
        """Every market's, each found behind the one before; they all sort behind that of the sketches."""
        partition = await self._next_partition(SKETCHES_PARTITION)
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

    async def _keep_latest(self, stored: StoredCheck, row: dict[str, Any], *, along: Sequence[Operation] = ()) -> None:
        """Writes a row, unless a later run's is there, in one transaction with what is written in any case."""
        with translated(PLAN_CHECKS_TABLE):
            for _ in range(_SAVE_ATTEMPTS):
                try:
                    present = await self._row(row["PartitionKey"], row["RowKey"], select=["RowKey", "run_started_at"])
                    is_late = present is not None and _is_newer(present, stored)
                    operations = [*along] if is_late else [*along, _in_place_of(present, row)]
                    if operations:
                        await submit(self._table, operations)
                    return
                except HttpResponseError as error:
                    if service_code(error) == TABLE_MISSING:
                        await self._service.create_table_if_not_exists(PLAN_CHECKS_TABLE)
                    elif service_code(error) not in _WRITTEN_BY_ANOTHER_RUN:
                        raise
        raise StoreUnavailableError(
            PLAN_CHECKS_TABLE, f"other runs kept writing {stored.check.name} at the same moment"
        )

    async def _row(self, partition: str, key: str, *, select: list[str] | None = None) -> TableEntity | None:
        try:
            return await self._table.get_entity(partition, key, select=select)
        except HttpResponseError as error:
            # A 404 of any other kind, as of a gateway, does not say that the stack was never checked.
            if service_code(error) not in _ABSENT:
                raise
        return None


def _columns(stored: StoredCheck) -> dict[str, Any]:
    check = stored.check
    return {
        "stack": check.stack,
        "run_id": stored.run_id,
        "run_started_at": stored.run_started_at,
        "decision": str(check.decision),
        "reason": str(check.reason) if check.reason else None,
        "verdict": str(check.verdict) if check.verdict else None,
        "job_id": check.job_id,
    }


def _check_parts(stored: StoredCheck) -> dict[str, Any]:
    """Raises:
    StoreUnavailableError: a row takes it in no form.
    """
    for form in ever_smaller(stored):
        columns = parted(form.model_dump_json(), column=_CHECK, most_parts=_MOST_PARTS)
        if columns is not None:
            return columns
    raise _is_too_large(stored)


def _sketch_parts(stored: StoredCheck) -> dict[str, Any]:
    """All of it, fingerprints too: they are in the check as well, which has half the room."""
    columns = parted(stored.sketch().model_dump_json(), column=_SKETCH)
    if columns is None:
        raise _is_too_large(stored)
    return columns


def _is_too_large(stored: StoredCheck) -> StoreUnavailableError:
    return StoreUnavailableError(PLAN_CHECKS_TABLE, f"the check of {stored.check.name} is larger than a row may be")


def _sketch_key(market: str, stack: str) -> dict[str, str]:
    return {"PartitionKey": SKETCHES_PARTITION, "RowKey": f"{market_key(market)}:{stack}"}


def _stored(row: Mapping[str, Any]) -> StoredCheck | None:
    try:
        return StoredCheck.model_validate_json(joined(row, column=_CHECK))
    except ValueError:
        return None


def _sketch(row: Mapping[str, Any]) -> CheckSketch | None:
    try:
        return CheckSketch.model_validate_json(joined(row, column=_SKETCH))
    except ValueError:
        return None


def _is_newer(row: TableEntity, than: StoredCheck) -> bool:
    started_at = row.get("run_started_at")
    return isinstance(started_at, datetime) and started_at > than.run_started_at


def _in_place_of(present: TableEntity | None, row: dict[str, Any]) -> Operation:
    if present is None:
        return ("create", row, {})
    unchanged = {"etag": present.metadata["etag"], "match_condition": MatchConditions.IfNotModified}
    return ("update", row, REPLACE | unchanged)

"""Plan checks in Azure Table Storage.

Table ``planchecks``: a partition a market, with the rows ``latest:{stack}`` and ``history:{stack}:{newest first}:{run}``, both
written in one entity-group transaction. A check is JSON in the columns ``check``, ``check_1``, … (`adapters.table_parts`);
what people look for is in columns of its own. The partition ``!latest``, as no market can be called, has a row
``{market}:{stack}`` for each stack with the sketch of its latest, so that all of them are one range of keys.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from azure.core.exceptions import HttpResponseError
from azure.data.tables.aio import TableClient, TableServiceClient

from adapters.azure_errors import service_code, translated
from adapters.azure_rows import WRITTEN_BY_ANOTHER, delete_history, etag_of, in_place_of, is_of_a_later_run, row_or_none
from adapters.azure_tables import REPLACE, TABLE_MISSING, Operation, reading, submit
from adapters.check_shrinking import ever_smaller
from adapters.table_keys import history_key, latest_key, market_key
from adapters.table_names import PLAN_CHECKS_TABLE
from adapters.table_parts import MOST_PARTS, joined, parted
from adapters.unreadable_rows import unreadable_check
from records.errors import StoreUnavailableError
from records.plan_checks import CheckSketch, StoredCheck, stack_path
from records.results import Run

SKETCHES_PARTITION: Final = "!latest"
_CHECK: Final = "check"
_SKETCH: Final = "sketch"
_MOST_PARTS: Final = MOST_PARTS // 2
"""A transaction has the check twice."""
_SAVE_ATTEMPTS: Final = 5


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
            row = await row_or_none(self._table, market_key(market), key)
        return _stored(row) if row else None

    async def latest_of_stack(self, *, market: str, stack: str) -> StoredCheck | None:
        with translated(PLAN_CHECKS_TABLE):
            row = await row_or_none(self._table, market_key(market), latest_key(stack))
        stored = _stored(row) if row else None
        if row and stored is None:
            raise unreadable_check(stack_path(market, stack))
        return stored

    async def sketches(self) -> AsyncIterator[CheckSketch]:
        rows = self._table.query_entities("PartitionKey eq @partition", parameters={"partition": SKETCHES_PARTITION})
        with reading(PLAN_CHECKS_TABLE):
            async for row in rows:
                yield _sketch(row)

    async def forget(self, *, market: str, stack: str) -> None:
        """The sketch goes last, as who forgets finds the stack by it."""
        sketch = _sketch_key(market, stack)
        with reading(PLAN_CHECKS_TABLE):
            # The SDK takes a row that is not there for deleted.
            await self._table.delete_entity(market_key(market), latest_key(stack))
            await self._table.delete_entity(sketch["PartitionKey"], sketch["RowKey"])

    async def prune(self, *, started_before: datetime) -> None:
        with reading(PLAN_CHECKS_TABLE):
            async for partition in self._partitions():
                await delete_history(self._table, partition, started_before=started_before)

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
                    present = await row_or_none(
                        self._table, row["PartitionKey"], row["RowKey"], select=["RowKey", "run_started_at"]
                    )
                    is_late = present is not None and is_of_a_later_run(present, stored.run_started_at)
                    operations = [*along] if is_late else [*along, in_place_of(etag_of(present), row)]
                    if operations:
                        await submit(self._table, operations)
                    return
                except HttpResponseError as error:
                    if service_code(error) == TABLE_MISSING:
                        await self._service.create_table_if_not_exists(PLAN_CHECKS_TABLE)
                    elif service_code(error) not in WRITTEN_BY_ANOTHER:
                        raise
        raise StoreUnavailableError(
            PLAN_CHECKS_TABLE, f"other runs kept writing {stored.check.name} at the same moment"
        )


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


def _sketch(row: Mapping[str, Any]) -> CheckSketch:
    try:
        return CheckSketch.model_validate_json(joined(row, column=_SKETCH))
    except ValueError:
        raise unreadable_check(str(row["RowKey"]).replace(":", "/")) from None

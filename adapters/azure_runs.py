"""The rows of runs in Azure Table Storage.

Table ``reconcileruns``, or ``plancheckruns``, one partition: each run has a row under its start, newest first, and the same row
under its id.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, Generic

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableEntity
from azure.data.tables.aio import TableClient, TableServiceClient
from pydantic import ValidationError

from adapters.azure_errors import translated
from adapters.azure_tables import delete_rows, reading, writing
from adapters.table_keys import RUNS_PARTITION, newest_first, run_by_id_key, run_key
from records.ports import RowT
from records.runs import AnyRunRow

_AFTER_ALL_STARTS: Final = ":"
"""Sorts behind the digits that a start's key begins with, and before the keys of ids."""


class AzureRunStore(Generic[RowT]):
    """A `RunStore` on a table of a storage account, of rows of the form ``row``."""

    def __init__(self, service: TableServiceClient, *, table: str, row: type[RowT]) -> None:
        self._service = service
        self._name = table
        self._table: TableClient = service.get_table_client(table)
        self._row = row

    async def save_run(self, *, row: RowT) -> None:
        first = await self.run(run_id=row.run_id)
        if first:
            row = row.model_copy(update={"started_at": first.started_at})

        async def write() -> None:
            for key in (run_key(started_at=row.started_at, run_id=row.run_id), run_by_id_key(row.run_id)):
                await self._table.upsert_entity(_columns(row) | {"RowKey": key}, mode="replace")

        await writing(self._service, self._name, write)

    async def run(self, *, run_id: str) -> RowT | None:
        with translated(self._name), suppress(ResourceNotFoundError):
            return self._read(await self._table.get_entity(RUNS_PARTITION, run_by_id_key(run_id)))
        return None

    async def runs(self, *, started_before: datetime | None = None) -> AsyncIterator[RowT]:
        with reading(self._name):
            async for entity in self._by_start(started_before):
                row = self._read(entity)
                if row:
                    yield row

    async def prune_runs(self, *, started_before: datetime) -> None:
        with reading(self._name):
            found = self._by_start(started_before, select=["RowKey", "run_id"])
            old = {str(row["run_id"]): str(row["RowKey"]) async for row in found}
            # Its row under its start goes last: while that is there, a later run finds what is left.
            for keys in ([run_by_id_key(run_id) for run_id in old], list(old.values())):
                await delete_rows(self._table, [{"PartitionKey": RUNS_PARTITION, "RowKey": key} for key in keys])

    def _by_start(
        self, started_before: datetime | None, *, select: list[str] | None = None
    ) -> AsyncIterator[TableEntity]:
        """The rows under their starts, newest first."""
        first = f"{newest_first(started_before)};" if started_before else ""
        rows: AsyncIterator[TableEntity] = self._table.query_entities(
            "PartitionKey eq @partition and RowKey gt @first and RowKey lt @end",
            parameters={"partition": RUNS_PARTITION, "first": first, "end": _AFTER_ALL_STARTS},
            select=select,
            results_per_page=100,
        )
        return rows

    def _read(self, entity: dict[str, Any]) -> RowT | None:
        try:
            return self._row.model_validate_json(str(entity["row"]))
        except (KeyError, ValidationError):
            return None


def _columns(row: AnyRunRow) -> dict[str, Any]:
    return {
        "PartitionKey": RUNS_PARTITION,
        "run_id": row.run_id,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "status": str(row.status),
        "row": row.model_dump_json(),
    }

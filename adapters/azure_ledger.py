"""The ledger of heals in Azure Table Storage.

Table ``heals``: a partition a market, with the rows ``{stack}:{job id}``, so that a stack's jobs are one range of keys. A row
is JSON in the columns ``row``, ``row_1``, … (`adapters.table_parts`); what people look for is in columns of its own. The
levers are in a table of their own (`adapters.azure_levers`), which who may write jobs need not be let write.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableEntity
from azure.data.tables.aio import TableClient, TableServiceClient

from adapters.azure_errors import service_code, translated
from adapters.azure_levers import AzureLevers
from adapters.azure_rows import WRITTEN_BY_ANOTHER, etag_of, in_place_of, row_or_none, rows_between
from adapters.azure_tables import Operation, reading, submit, with_table
from adapters.table_keys import market_key, starting_with
from adapters.table_names import HEALS_TABLE
from adapters.table_parts import joined, parted
from adapters.unreadable_rows import unreadable_job
from records.drift_ports import Kept
from records.errors import BlobChangedError, StoreUnavailableError
from records.heal_ledger import HealRow, LeverUse

_ROW: Final = "row"
_ROWS_PER_PAGE: Final = 100


class AzureHealLedger:
    """A `HealLedger` on a storage account's tables.

    Each write has an id of its own in the row, by which it knows its own work again where the answer to it was lost. Only where
    another has replaced that row before it looked does it say that nothing was written, and is wrong.
    """

    def __init__(self, service: TableServiceClient) -> None:
        self._service = service
        self._table: TableClient = service.get_table_client(HEALS_TABLE)
        self._levers = AzureLevers(service)

    async def row(self, *, market: str, stack: str, job_id: str) -> Kept | None:
        with translated(HEALS_TABLE):
            entity = await row_or_none(self._table, market_key(market), _key(stack, job_id))
        return _kept(entity) if entity else None

    async def put(self, *, row: HealRow, replaces: str | None) -> str:
        columns = _columns(row)
        with translated(HEALS_TABLE):
            etag = await self._etag_of_written(in_place_of(replaces, columns))
            if etag is None:
                # So is a request refused that did its work, whose answer was lost, and that was sent again.
                present = await row_or_none(self._table, columns["PartitionKey"], columns["RowKey"])
                etag = etag_of(present) if present and present.get("write") == columns["write"] else None
        if etag is None:
            raise BlobChangedError(
                HEALS_TABLE, f"the row of job {row.job.job_id} is not the one that was to be replaced"
            )
        return etag

    async def find(self, *, job_id: str) -> Kept | None:
        """Reads the whole table, as no index leads there; jobs are few."""
        with reading(HEALS_TABLE):
            async for entity in self._table.query_entities(
                "job_id eq @job", parameters={"job": job_id}, results_per_page=_ROWS_PER_PAGE
            ):
                return _kept(entity)
        return None

    async def of_stack(self, *, market: str, stack: str) -> AsyncIterator[HealRow]:
        with reading(HEALS_TABLE):
            async for entity in rows_between(
                self._table, market_key(market), starting_with(stack), results_per_page=_ROWS_PER_PAGE
            ):
                yield _kept(entity).row

    async def rows(self) -> AsyncIterator[HealRow]:
        with reading(HEALS_TABLE):
            async for entity in self._table.list_entities(results_per_page=_ROWS_PER_PAGE):
                yield _kept(entity).row

    async def pauses(self) -> Sequence[LeverUse]:
        return await self._levers.pauses()

    async def pull(self, *, use: LeverUse) -> None:
        await self._levers.pull(use)

    def uses(self, *, since: datetime | None = None) -> AsyncIterator[LeverUse]:
        return self._levers.uses(since)

    async def _etag_of_written(self, operation: Operation) -> str | None:
        """Of the row that it wrote; None where it was refused because of the row that is there, or is not."""
        try:
            answers = await with_table(self._service, HEALS_TABLE, lambda: submit(self._table, [operation]))
        except HttpResponseError as error:
            if service_code(error) not in WRITTEN_BY_ANOTHER:
                raise
            return None
        return str(answers[0]["etag"])


def _columns(row: HealRow) -> dict[str, Any]:
    """Raises:
    StoreUnavailableError: a row of a table cannot hold it.
    """
    job = row.job
    parts = parted(row.model_dump_json(), column=_ROW)
    if parts is None:
        raise StoreUnavailableError(HEALS_TABLE, f"job {job.job_id} is larger than a row may be")
    return {
        "PartitionKey": market_key(job.market),
        "RowKey": _key(job.stack, job.job_id),
        "stack": job.stack,
        "job_id": job.job_id,
        "step": str(row.step),
        "reason": str(row.reason) if row.reason else None,
        "fingerprint": job.fingerprint,
        "run_id": row.run_id,
        "queued_at": job.queued_at,
        "expires_at": job.expires_at,
        "write": uuid4().hex,
        **parts,
    }


def _kept(entity: TableEntity) -> Kept:
    try:
        row = HealRow.model_validate_json(joined(entity, column=_ROW))
    except ValueError:
        raise unreadable_job(entity.get("job_id")) from None
    return Kept(row=row, etag=str(entity.metadata["etag"]))


def _key(stack: str, job_id: str) -> str:
    return f"{stack}:{job_id}"

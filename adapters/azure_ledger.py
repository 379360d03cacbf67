"""The ledger of heals in Azure Table Storage.

Table ``heals``: a partition a market, with the rows ``{stack}:{job id}``, so that a stack's jobs are one range of keys. What
people look for is in columns of its own; jobs are few, so all that are open are found by a filter on ``step``.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.data.tables import TableEntity
from azure.data.tables.aio import TableClient, TableServiceClient

from adapters.azure_errors import service_code, translated
from adapters.azure_tables import HEALS_TABLE, REPLACE, TABLE_MISSING, Operation, submit
from adapters.heal_messages import to_message
from adapters.table_keys import market_key
from records.errors import StoreUnavailableError
from records.heals import HealJob, HealRow, HealStep, Opening

_MADE_BY_ANOTHER: Final = "EntityAlreadyExists"
_CHANGED_BY_ANOTHER: Final = {"UpdateConditionNotSatisfied", "ResourceNotFound"}
_ABSENT: Final = {"ResourceNotFound", "EntityNotFound", TABLE_MISSING}


class AzureHealLedger:
    """A `HealLedger` on a storage account's tables.

    Each opening has an id of its own in the row, by which it knows its own work again where the answer to it was lost.
    """

    def __init__(self, service: TableServiceClient) -> None:
        self._service = service
        self._table: TableClient = service.get_table_client(HEALS_TABLE)

    async def open_job(self, *, job: HealJob, run_id: str) -> Opening:
        columns = _columns(job, run_id)
        with translated(HEALS_TABLE):
            if await self._is_done(("create", columns, {}), unless={_MADE_BY_ANOTHER}):
                return Opening.OPENED
            present = await self._entity(job.market, job.stack, job.job_id)
            if present is not None and not _is_by(columns, present) and _has_expired(present, job):
                unchanged = {"etag": present.metadata["etag"], "match_condition": MatchConditions.IfNotModified}
                if await self._is_done(("update", columns, REPLACE | unchanged), unless=_CHANGED_BY_ANOTHER):
                    return Opening.OPENED
                present = await self._entity(job.market, job.stack, job.job_id)
        return Opening.OPENED if present is not None and _is_by(columns, present) else Opening.ALREADY_OPEN

    async def job(self, *, market: str, stack: str, job_id: str) -> HealRow | None:
        with translated(HEALS_TABLE):
            entity = await self._entity(market, stack, job_id)
        if entity is None:
            return None
        row = _row(entity)
        if row is None:
            raise StoreUnavailableError(HEALS_TABLE, f"this version cannot read the row of job {job_id}")
        return row

    async def _is_done(self, operation: Operation, *, unless: set[str]) -> bool:
        """Does it, or leaves it where another was first."""
        try:
            await self._submit(operation)
        except HttpResponseError as error:
            if service_code(error) not in unless:
                raise
            return False
        return True

    async def _submit(self, operation: Operation) -> None:
        try:
            await submit(self._table, [operation])
        except HttpResponseError as error:
            if service_code(error) != TABLE_MISSING:
                raise
            await self._service.create_table_if_not_exists(HEALS_TABLE)
            await submit(self._table, [operation])

    async def _entity(self, market: str, stack: str, job_id: str) -> TableEntity | None:
        try:
            return await self._table.get_entity(market_key(market), _key(stack, job_id))
        except ResourceNotFoundError as error:
            # A 404 of any other kind, as of a gateway, does not say that there is no such job.
            if service_code(error) not in _ABSENT:
                raise
        return None


def _columns(job: HealJob, run_id: str) -> dict[str, Any]:
    return {
        "PartitionKey": market_key(job.market),
        "RowKey": _key(job.stack, job.job_id),
        "stack": job.stack,
        "job_id": job.job_id,
        "step": str(HealStep.QUEUED),
        "run_id": run_id,
        "queued_at": job.queued_at,
        "expires_at": job.expires_at,
        # As bytes: text would take two a character, and not all of a message would fit in a property.
        "job": to_message(job),
        "opening": uuid4().hex,
    }


def _row(entity: Mapping[str, Any]) -> HealRow | None:
    try:
        return HealRow(
            job=HealJob.model_validate_json(entity["job"]), step=HealStep(entity["step"]), run_id=entity["run_id"]
        )
    except (KeyError, ValueError):
        return None


def _is_by(columns: Mapping[str, Any], entity: Mapping[str, Any]) -> bool:
    return bool(entity.get("opening") == columns["opening"])


def _has_expired(entity: Mapping[str, Any], new: HealJob) -> bool:
    """What cannot be read has not: it may be a later version's, at work."""
    row = _row(entity)
    return row is not None and row.step is HealStep.QUEUED and row.job.expires_at <= new.queued_at


def _key(stack: str, job_id: str) -> str:
    return f"{stack}:{job_id}"

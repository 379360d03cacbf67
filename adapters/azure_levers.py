"""The levers of healing in Azure Table Storage: what is paused, and who has done what.

Table ``heallevers``: its one partition has a row ``pause:{market}`` for each pause that is in force, ``pause:*`` for that of
all markets, and a row ``use:{newest first}:{hash}`` for every use. A pause and its use are written in one transaction.

The identity that plans writes jobs, and may only read this table: it can neither lift a pause nor approve anything.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableEntity
from azure.data.tables.aio import TableClient, TableServiceClient
from pydantic import ValidationError

from adapters.azure_errors import service_code
from adapters.azure_rows import rows_between
from adapters.azure_tables import REPLACE, Operation, reading, submit, writing
from adapters.lever_names import use_hash
from adapters.table_keys import market_key, newest_first, starting_with
from adapters.table_names import HEAL_LEVERS_TABLE
from records.errors import StoreUnavailableError
from records.heal_ledger import Lever, LeverUse

_PARTITION: Final = "levers"
_PAUSE: Final = "pause"
_USE: Final = "use"
_ALL_MARKETS: Final = "*"
_NO_SUCH_ROW: Final = "ResourceNotFound"
_ROWS_PER_PAGE: Final = 100


class AzureLevers:
    """The part of a `HealLedger` that persons act on. A use that is told twice is there once."""

    def __init__(self, service: TableServiceClient) -> None:
        self._service = service
        self._table: TableClient = service.get_table_client(HEAL_LEVERS_TABLE)

    async def pauses(self) -> Sequence[LeverUse]:
        """Raises:
        StoreError: also where one cannot be read. It is not passed over: what somebody has paused would be healed.
        """
        with reading(HEAL_LEVERS_TABLE):
            return [_pause(row) async for row in self._rows(*starting_with(_PAUSE))]
        return []

    async def uses(self, since: datetime | None) -> AsyncIterator[LeverUse]:
        first, end = starting_with(_USE)
        if since:
            _, end = starting_with(f"{_USE}:{newest_first(since)}")
        with reading(HEAL_LEVERS_TABLE):
            async for row in self._rows(first, end):
                if use := _use(row):
                    yield use

    async def pull(self, use: LeverUse) -> None:
        async def write() -> None:
            try:
                await submit(self._table, [*_of_its_pause(use), _of_itself(use)])
            except HttpResponseError as error:
                if service_code(error) != _NO_SUCH_ROW:
                    raise
                # Nothing was paused, or the answer to the first try was lost.
                await submit(self._table, [_of_itself(use)])

        await writing(self._service, HEAL_LEVERS_TABLE, write)

    def _rows(self, first: str, end: str) -> AsyncIterator[TableEntity]:
        return rows_between(self._table, _PARTITION, (first, end), results_per_page=_ROWS_PER_PAGE)


def _of_its_pause(use: LeverUse) -> Sequence[Operation]:
    key = f"{_PAUSE}:{market_key(use.market) if use.market else _ALL_MARKETS}"
    match use.lever:
        case Lever.PAUSE:
            return [("upsert", _columns(use, key), REPLACE)]
        case Lever.RESUME:
            return [("delete", {"PartitionKey": _PARTITION, "RowKey": key}, {})]
        case Lever.APPROVE | Lever.REJECT | Lever.RETRY:
            return []


def _of_itself(use: LeverUse) -> Operation:
    return ("upsert", _columns(use, f"{_USE}:{newest_first(use.at)}:{use_hash(use)}"), REPLACE)


def _columns(use: LeverUse, key: str) -> dict[str, Any]:
    return {
        "PartitionKey": _PARTITION,
        "RowKey": key,
        "lever": str(use.lever),
        "by": use.by,
        "at": use.at,
        "market": use.market,
        "job_id": use.job_id,
        "use": use.model_dump_json(),
    }


def _pause(row: Mapping[str, Any]) -> LeverUse:
    use = _use(row)
    if use is None:
        raise StoreUnavailableError(HEAL_LEVERS_TABLE, f"this version cannot read the row {row.get('RowKey')}")
    return use


def _use(row: Mapping[str, Any]) -> LeverUse | None:
    try:
        return LeverUse.model_validate_json(row.get("use") or "")
    except ValidationError:
        return None

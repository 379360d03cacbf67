"""The log of writes in Azure Table Storage.

Table ``recordlog``: a partition a market, with the rows ``{newest first}:{write id}``. What people look for is in columns of
its own. A text that is larger than a property may be goes on in ``after_1``, ``after_2``, … A property takes 64 KiB and a row
1 MiB, in UTF-16
(https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model).
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from itertools import count, takewhile
from typing import Any, Final

from azure.data.tables.aio import TableClient, TableServiceClient
from pydantic import ValidationError

from adapters.azure_rows import upserts
from adapters.azure_tables import reading, submit, writing
from adapters.table_keys import market_key, newest_first
from adapters.table_names import RECORD_LOG_TABLE
from records.record_log import LoggedWrite

_CHUNK_CHARACTERS: Final = 16 * 1024
"""Fits in a property also where every character takes two units of UTF-16."""
_MOST_BYTES: Final = {"before": 448 * 1024, "after": 448 * 1024, "reason": 32 * 1024}
"""So that all three fit in a row, as it is kept and as it is sent."""
_MARKER_BYTES: Final = 400
_ROWS_PER_PAGE: Final = 100
_AFTER_ALL: Final = ":"
"""Sorts behind the digits that every key begins with."""


class AzureRecordLog:
    """A `RecordLog` on a storage account's tables. A text that a row cannot hold is cut, and says so at its end."""

    def __init__(self, service: TableServiceClient) -> None:
        self._service = service
        self._table: TableClient = service.get_table_client(RECORD_LOG_TABLE)

    async def save(self, *, writes: Sequence[LoggedWrite]) -> None:
        # A transaction may name a row once.
        rows = {row["RowKey"]: row for row in map(_row, writes)}

        async def write() -> None:
            for operations in upserts(rows.values()):
                await submit(self._table, operations)

        await writing(self._service, RECORD_LOG_TABLE, write)

    async def writes(self, *, market: str, since: datetime | None = None) -> AsyncIterator[LoggedWrite]:
        last = f"{newest_first(since)};" if since else _AFTER_ALL
        with reading(RECORD_LOG_TABLE):
            async for row in self._table.query_entities(
                "PartitionKey eq @partition and RowKey lt @last",
                parameters={"partition": market_key(market), "last": last},
                results_per_page=_ROWS_PER_PAGE,
            ):
                write = _write(row)
                if write:
                    yield write

    async def markets(self) -> Sequence[str]:
        found: set[str] = set()
        with reading(RECORD_LOG_TABLE):
            while keys := await self._next_partitions(max(found, default="")):
                found |= keys
        return sorted(key.replace(":", "/") for key in found)

    async def _next_partitions(self, last: str) -> set[str]:
        """Those of a page of rows behind a partition: a page that ends in a long one is followed by what comes after it."""
        rows = self._table.query_entities("PartitionKey gt @last", parameters={"last": last}, select=["PartitionKey"])
        # A page can be empty and have another behind it.
        async for page in rows.by_page():
            keys = {str(row["PartitionKey"]) async for row in page}
            if keys:
                return keys
        return set()


def _row(write: LoggedWrite) -> dict[str, Any]:
    columns: dict[str, Any] = write.model_dump(mode="json", exclude=set(_MOST_BYTES), exclude_none=True)
    for name, most_bytes in _MOST_BYTES.items():
        columns |= _chunks(name, getattr(write, name), most_bytes)
    return columns | {
        "PartitionKey": market_key(write.market),
        "RowKey": f"{newest_first(write.at)}:{write.write_id}",
        "at": write.at,
    }


def _write(row: Mapping[str, Any]) -> LoggedWrite | None:
    texts = {name: _joined(row, name) for name in _MOST_BYTES if name in row}
    try:
        # A column without a value is not there.
        return LoggedWrite.model_validate({"stack": None, **row, **texts})
    except ValidationError:
        return None


def _chunks(name: str, text: str | None, most_bytes: int) -> dict[str, str]:
    """The columns that hold a text; none where there is none."""
    if text is None:
        return {}
    text = _cut(text, most_bytes)
    starts = range(0, max(len(text), 1), _CHUNK_CHARACTERS)
    return {_column(name, number): text[start : start + _CHUNK_CHARACTERS] for number, start in enumerate(starts)}


def _joined(row: Mapping[str, Any], name: str) -> str:
    columns = takewhile(row.__contains__, (_column(name, number) for number in count()))
    return "".join(str(row[column]) for column in columns)


def _column(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


def _cut(text: str, most_bytes: int) -> str:
    """The text, or as much of it as this many bytes hold, and what was cut off."""
    # No character takes less than two bytes.
    head = text[: most_bytes // 2 + 1]
    if _size_bytes(head) <= most_bytes:
        return text
    room = most_bytes - _MARKER_BYTES
    kept = text[: bisect_right(range(len(head)), room, key=lambda end: _size_bytes(head[:end])) - 1]
    whole = hashlib.sha256(text.encode()).hexdigest()
    return f"{kept}\n[cut here: {len(text) - len(kept):,} more characters; sha256 of the whole text: {whole}]"


def _size_bytes(text: str) -> int:
    """What a text takes in a row: as UTF-16, in which it is kept, or as escaped JSON, in which it is sent."""
    return max(len(text.encode("utf-16-le")), len(json.dumps(text)))

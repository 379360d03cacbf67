"""What a run spread over many machines has to do and has done, in Azure Table Storage.

Table ``reconcilework``, or ``plancheckwork``: a partition a run, with the rows ``plan:{digest}``,
``page:{digest}:{lane}:{number}``, ``outcome:{name}!{part}`` and, for reconciliations, ``late:{market}``. An outcome is JSON,
compressed, and split where it is larger than a property may be (64 KiB).
"""

import gzip
import hashlib
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Generic

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableEntity
from azure.data.tables.aio import TableClient, TableServiceClient
from pydantic import TypeAdapter, ValidationError

from adapters.azure_errors import translated
from adapters.azure_rows import delete_partition, rows_between, upserts
from adapters.azure_tables import REPLACE, Operation, reading, submit, writing
from adapters.table_keys import market_key, starting_with
from adapters.table_names import WORK_TABLE
from records.errors import StoreUnavailableError
from records.names import is_market_key
from records.plans import LanePlan, Page
from records.ports import OutcomeT
from records.report import MarketOutcome, Problem

_PART_BYTES: Final = 60_000
_MOST_PARTS: Final = 50
"""So that all parts of an outcome, in base64, fit in one transaction, of 4 MiB."""
_PLAN: Final = "plan"
_PAGE: Final = "page"
_OUTCOME: Final = "outcome"
_LATE: Final = "late"
_PROBLEMS: Final = TypeAdapter(list[Problem])
_MOST_LATE_PROBLEMS: Final = 20
"""So that they fit in one property; a report has them all."""
_PART: Final = "!"
"""Stands in no name that is part of a key, and sorts before all that does: so the parts of an outcome follow each other."""


class AzureWorkStore(Generic[OutcomeT]):
    """A `WorkStore` on a table of a storage account, of outcomes of the form ``outcome``."""

    def __init__(self, service: TableServiceClient, *, table: str, outcome: type[OutcomeT]) -> None:
        self._service = service
        self._name = table
        self._table: TableClient = service.get_table_client(table)
        self._outcome = outcome

    async def save_plan(self, *, run_id: str, plan: LanePlan, pages: Iterable[Page]) -> None:
        rows = [
            {"RowKey": _page_key(plan.digest, page.lane, page.number), "page": page.model_dump_json()} for page in pages
        ]
        # The plan's own row comes last: where it is, all its pages are.
        rows.append({"RowKey": _plan_key(plan.digest), "plan": plan.model_dump_json()})
        await self._write_all([row | {"PartitionKey": run_id} for row in rows])

    async def plan(self, *, run_id: str, digest: str) -> LanePlan | None:
        row = await self._row(run_id, _plan_key(digest))
        return LanePlan.model_validate_json(str(row["plan"])) if row else None

    async def page(self, *, run_id: str, digest: str, lane: int, number: int) -> Page | None:
        row = await self._row(run_id, _page_key(digest, lane, number))
        return Page.model_validate_json(str(row["page"])) if row else None

    async def pages(self, *, run_id: str, digest: str) -> AsyncIterator[Page]:
        with reading(self._name):
            async for row in rows_between(self._table, run_id, starting_with(f"{_PAGE}:{digest}")):
                yield Page.model_validate_json(str(row["page"]))

    async def save_outcome(self, *, run_id: str, name: str, outcome: OutcomeT) -> None:
        content = gzip.compress(outcome.model_dump_json().encode(), mtime=0)
        parts = [content[start : start + _PART_BYTES] for start in range(0, len(content), _PART_BYTES)]
        if len(parts) > _MOST_PARTS:
            raise StoreUnavailableError(self._name, f"the outcome of {name} is larger than a transaction takes")
        operations: list[Operation] = [
            (
                "upsert",
                {
                    "PartitionKey": run_id,
                    "RowKey": _outcome_key(name, number),
                    "parts": len(parts),
                    "content": part,
                },
                REPLACE,
            )
            for number, part in enumerate(parts)
        ]
        await writing(self._service, self._name, lambda: submit(self._table, operations))

    async def outcomes(self, *, run_id: str) -> AsyncIterator[OutcomeT]:
        with reading(self._name):
            async for outcome in self._joined(rows_between(self._table, run_id, starting_with(_OUTCOME))):
                yield outcome

    async def outcome(self, *, run_id: str, name: str) -> OutcomeT | None:
        with reading(self._name):
            rows = rows_between(self._table, run_id, (_outcome_key(name, 0), f"{_outcome_key(name, _MOST_PARTS)};"))
            async for outcome in self._joined(rows):
                return outcome
        return None

    async def outcome_count(self, *, run_id: str) -> int:
        first_part = f"{_PART}{0:02d}"
        with reading(self._name):
            rows = rows_between(self._table, run_id, starting_with(_OUTCOME), select=["RowKey"])
            return sum([str(row["RowKey"]).endswith(first_part) async for row in rows])
        return 0

    async def prune_work(self, *, run_id: str) -> None:
        with reading(self._name):
            await delete_partition(self._table, run_id)

    async def _write_all(self, rows: Sequence[dict[str, Any]]) -> None:
        async def write() -> None:
            for operations in upserts(rows):
                await submit(self._table, operations)

        await writing(self._service, self._name, write)

    async def _row(self, run_id: str, key: str) -> TableEntity | None:
        with translated(self._name), suppress(ResourceNotFoundError):
            return await self._table.get_entity(run_id, key)
        return None

    async def _joined(self, rows: AsyncIterator[TableEntity]) -> AsyncIterator[OutcomeT]:
        """Outcomes from their parts, which follow each other. An earlier, larger one may have left parts behind the last."""
        parts: list[bytes] = []
        part_count = 0
        async for row in rows:
            number = int(str(row["RowKey"]).rpartition(_PART)[2])
            if number == 0:
                parts, part_count = [], int(row.get("parts", 0))
            if number != len(parts) or number >= part_count:
                continue
            content = row.get("content")
            parts.append(content if isinstance(content, bytes) else b"")
            if len(parts) == part_count:
                outcome = self._read(b"".join(parts))
                if outcome:
                    yield outcome

    def _read(self, content: bytes) -> OutcomeT | None:
        try:
            return self._outcome.model_validate_json(gzip.decompress(content))
        except (OSError, EOFError, zlib.error, ValidationError):
            return None


class AzureMarketWorkStore(AzureWorkStore[MarketOutcome]):
    """A `MarketWorkStore` on the table of reconciliations."""

    def __init__(self, service: TableServiceClient) -> None:
        super().__init__(service, table=WORK_TABLE, outcome=MarketOutcome)

    async def save_late_problems(self, *, run_id: str, by_market: Mapping[str, Sequence[Problem]]) -> None:
        rows = [
            {
                "PartitionKey": run_id,
                "RowKey": _late_key(market),
                "problems": _PROBLEMS.dump_json(list(problems[:_MOST_LATE_PROBLEMS])).decode(),
            }
            for market, problems in by_market.items()
        ]
        await self._write_all(rows)

    async def late_problems(self, *, run_id: str, market: str) -> Sequence[Problem]:
        row = await self._row(run_id, _late_key(market))
        return _PROBLEMS.validate_json(str(row["problems"])) if row else []


def _plan_key(digest: str) -> str:
    return f"{_PLAN}:{digest}"


def _page_key(digest: str, lane: int, number: int) -> str:
    return f"{_PAGE}:{digest}:{lane:04d}:{number:06d}"


def _late_key(market: str) -> str:
    return f"{_LATE}:{_spelling(market)}"


def _outcome_key(name: str, part: int) -> str:
    return f"{_OUTCOME}:{_spelling(name)}{_PART}{part:02d}"


def _spelling(name: str) -> str:
    """A name as part of a key. A stack's path has the form of a market's key. What has not can be spelt with anything, such as
    the folder of no market, or be too long, so its hash stands for it.
    """
    return market_key(name) if is_market_key(name) else f"!{hashlib.sha256(name.encode()).hexdigest()}"

"""Reads what stores keep for people and for queries alone: the history of results and of plan checks, and module pins.

Rows come as they are found, in the order of their names or keys.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from pydantic import BaseModel

from adapters.table_keys import HISTORY, market_key, starting_with
from adapters.table_names import PINS_TABLE, PLAN_CHECKS_TABLE, RESULTS_TABLE
from adapters.table_parts import joined
from records.module_pins import DeployedModulePins, DeployedMovedTag, LooseReference, PinSummary
from records.plan_checks import StoredCheck
from records.results import Run, StackResult, StoredResult

_Form = TypeVar("_Form", bound=BaseModel)


class _MarketRun(BaseModel):
    run: Run
    results: tuple[StackResult, ...]


def results_in_folder(root: Path, market: str, stack: str) -> list[StoredResult]:
    files = sorted((root / "tables" / RESULTS_TABLE / market).glob("*.json"))
    return [
        StoredResult(run_id=kept.run.run_id, run_started_at=kept.run.started_at, result=result)
        for kept in (_MarketRun.model_validate_json(file.read_bytes()) for file in files)
        for result in kept.results
        if result.stack == stack
    ]


def results_in_tables(service: TableServiceClient, market: str, stack: str) -> list[StoredResult]:
    return [
        StoredResult(
            run_id=row["run_id"],
            run_started_at=row["run_started_at"],
            result=StackResult.model_validate_json(row["result"]),
        )
        for row in _history(service, RESULTS_TABLE, market, stack)
    ]


def checks_in_folder(root: Path, market: str, stack: str) -> list[StoredCheck]:
    files = sorted((root / "tables" / PLAN_CHECKS_TABLE / market / stack).glob("[0-9]*.json"))
    return [StoredCheck.model_validate_json(file.read_bytes()) for file in files]


def checks_in_tables(service: TableServiceClient, market: str, stack: str) -> list[StoredCheck]:
    rows = _history(service, PLAN_CHECKS_TABLE, market, stack)
    return [StoredCheck.model_validate_json(joined(row, column="check")) for row in rows]


def pins_in_folder(root: Path, run_id: str) -> PinSummary | None:
    files = list((root / "tables" / PINS_TABLE).glob(f"[0-9]*-{run_id}.json"))
    assert len(files) <= 1
    return PinSummary.model_validate_json(files[0].read_bytes()) if files else None


def pins_in_tables(service: TableServiceClient, run_id: str) -> PinSummary | None:
    """Sorted, as the keys of the rows are digests."""
    rows = _entities(service, PINS_TABLE, "PartitionKey eq @partition", {"partition": run_id})
    if "summary" not in {row["RowKey"] for row in rows}:
        return None

    def models(kind: str, form: type[_Form]) -> Iterator[_Form]:
        return (form.model_validate_json(row["row"]) for row in rows if row["RowKey"].startswith(f"{kind}:"))

    return PinSummary(
        modules=tuple(sorted(models("module", DeployedModulePins), key=lambda one: one.module)),
        loose=tuple(sorted(models("loose", LooseReference), key=lambda one: one.source)),
        moved_tags=tuple(sorted(models("moved", DeployedMovedTag), key=lambda one: one.tag)),
    )


def _history(service: TableServiceClient, table: str, market: str, stack: str) -> list[dict[str, Any]]:
    first, end = starting_with(f"{HISTORY}:{stack}")
    keys = {"partition": market_key(market), "first": first, "end": end}
    return _entities(service, table, "PartitionKey eq @partition and RowKey ge @first and RowKey lt @end", keys)


def _entities(service: TableServiceClient, table: str, query: str, values: dict[str, str]) -> list[dict[str, Any]]:
    """None where nothing was written to the table yet."""
    with suppress(ResourceNotFoundError):
        return list(service.get_table_client(table).query_entities(query, parameters=values))
    return []

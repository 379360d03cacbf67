"""Where the contracts of results and runs are held: in memory, in a folder, and on Azure's tables in their emulator."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient

from adapters.folder_runs import FolderRunStore
from adapters.folder_tables import FolderResultStore
from adapters.table_keys import RUNS_PARTITION, newest_first, run_key
from adapters.table_names import PLAN_CHECK_RUNS_TABLE, RESULTS_TABLE, RUNS_TABLE
from records.plan_checks import CheckRunRow, Decision, HoldReason
from records.ports import ResultStore, RunStore
from records.results import Run, StoredResult
from records.runs import AnyRunRow, RunRow, RunStatus
from records.verdicts import Verdict
from tests.estates import AzureStores, delete_tables, open_azure_stores
from tests.fakes import MemoryResultStore, MemoryRunStore
from tests.kept_rows import results_in_folder, results_in_tables

SIX: Final = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
UNKNOWN_FORM: Final = '{"verdict": "of a later version"}'


def run(day: int, *, run_id: str | None = None) -> Run:
    started_at = SIX + timedelta(days=day)
    return Run(run_id=run_id, started_at=started_at) if run_id else Run.named_by(started_at)


def reconciled(of: Run, *, count: int = 3, **changes: Any) -> RunRow:
    """The row of a reconciliation of this many markets."""
    values: dict[str, Any] = {
        "run_id": of.run_id,
        "started_at": of.started_at,
        "finished_at": of.started_at + timedelta(minutes=2, microseconds=5),
        "markets": count,
        "counts": {Verdict.HEALTHY: 2, Verdict.PIPELINE_DRIFT: 1},
        "problem_count": 1,
        "unregistered_state_count": 4,
    }
    return RunRow(**values | changes)


def planned(of: Run, *, count: int = 3, **changes: Any) -> CheckRunRow:
    """The row of a run of plan checks of this many stacks."""
    values: dict[str, Any] = {
        "run_id": of.run_id,
        "started_at": of.started_at,
        "finished_at": of.started_at + timedelta(minutes=9, microseconds=5),
        "expected_stacks": 3,
        "checked_stacks": count,
        "counts": {Decision.CLEAN: 2, Decision.HOLD: 1},
        "holds": {HoldReason.FROZEN: 1},
        "queued_jobs": 2,
        "problem_count": 1,
    }
    return CheckRunRow(**values | changes)


@dataclass(frozen=True, slots=True)
class Runs:
    """Whose runs a store keeps: in which table, and of what form; ``row`` gives the row of one that has finished."""

    table: str
    form: type[AnyRunRow]
    row: Callable[..., Any]

    def running(self, of: Run, **changes: Any) -> Any:
        return self.form(run_id=of.run_id, started_at=of.started_at, status=RunStatus.RUNNING, **changes)


RECONCILIATIONS: Final = Runs(RUNS_TABLE, RunRow, reconciled)
PLAN_CHECKS: Final = Runs(PLAN_CHECK_RUNS_TABLE, CheckRunRow, planned)


class World(Protocol):
    """A store, and somebody who does to it what the store itself never does."""

    @property
    def store(self) -> ResultStore: ...

    @property
    def runs(self) -> RunStore[Any]: ...

    @property
    def of(self) -> Runs: ...

    def history(self, market: str, stack: str) -> list[StoredResult]:
        """What is kept of a stack, in the order in which it is kept."""

    def spoil(self, run_id: str) -> None:
        """Rewrites all that a run wrote in a form that nobody can read."""

    def put_row_of_an_earlier_version(self, by: Run, text: str) -> None:
        """A run's row as it was kept before runs had a row under their ids."""


class InMemory:
    def __init__(self, of: Runs) -> None:
        self.of = of
        self.store = MemoryResultStore()
        self.runs: MemoryRunStore[Any] = MemoryRunStore(of.form)

    def history(self, market: str, stack: str) -> list[StoredResult]:
        return self.store.history(market, stack)

    def spoil(self, run_id: str) -> None:
        self.store.spoil(run_id)
        self.runs.spoil(run_id)

    def put_row_of_an_earlier_version(self, by: Run, text: str) -> None:
        self.runs._runs[by.run_id] = (by.started_at, text)


class InFolder:
    def __init__(self, root: Path, of: Runs) -> None:
        self.of = of
        self.store = FolderResultStore(root)
        self.runs: FolderRunStore[Any] = FolderRunStore(root, table=of.table, row=of.form)
        self._root = root

    def history(self, market: str, stack: str) -> list[StoredResult]:
        return results_in_folder(self._root, market, stack)

    def spoil(self, run_id: str) -> None:
        for file in self._root.rglob(f"*-{run_id}.json"):
            file.write_text(UNKNOWN_FORM)

    def put_row_of_an_earlier_version(self, by: Run, text: str) -> None:
        folder = self._root / "tables" / self.of.table
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{newest_first(by.started_at)}-{by.run_id}.json").write_text(text)


class InAzurite:
    def __init__(self, service: TableServiceClient, stores: AzureStores, of: Runs) -> None:
        self.of = of
        self.store = stores.results
        self.runs: RunStore[Any] = stores.runs if of is RECONCILIATIONS else stores.check_runs
        self._service = service

    def history(self, market: str, stack: str) -> list[StoredResult]:
        return results_in_tables(self._service, market, stack)

    def spoil(self, run_id: str) -> None:
        for name, column in ((RESULTS_TABLE, "result"), (self.of.table, "row")):
            table = self._service.get_table_client(name)
            # A table that nothing was written to is not there.
            with suppress(ResourceNotFoundError):
                for row in table.query_entities("run_id eq @run", parameters={"run": run_id}):
                    table.update_entity({**row, column: UNKNOWN_FORM})

    def put_row_of_an_earlier_version(self, by: Run, text: str) -> None:
        entity: dict[str, Any] = {
            "PartitionKey": RUNS_PARTITION,
            "RowKey": run_key(started_at=by.started_at, run_id=by.run_id),
            "run_id": by.run_id,
            "started_at": by.started_at,
            "row": text,
        }
        self._service.create_table_if_not_exists(self.of.table).upsert_entity(entity)


BACKENDS: Final = [
    pytest.param("memory"),
    pytest.param("folder"),
    pytest.param("azurite", marks=pytest.mark.azurite),
]


@asynccontextmanager
async def open_world(request: pytest.FixtureRequest, root: Path, of: Runs = RECONCILIATIONS) -> AsyncIterator[World]:
    """The world that a fixture's parameter, one of `BACKENDS`, names."""
    match request.param:
        case "memory":
            yield InMemory(of)
        case "folder":
            yield InFolder(root, of)
        case _:
            connection_string = request.getfixturevalue("azurite").connection_string
            with TableServiceClient.from_connection_string(connection_string) as service:
                async with open_azure_stores(connection_string) as stores:
                    yield InAzurite(service, stores, of)
            delete_tables(connection_string)

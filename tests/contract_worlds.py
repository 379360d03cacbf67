"""Where the contracts of results and runs are held: in memory, in a folder, and on Azure's tables in their emulator."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient

from adapters.azure_tables import RESULTS_TABLE, RUNS_TABLE
from adapters.folder_tables import FolderResultStore
from adapters.table_keys import RUNS_PARTITION, newest_first, run_key
from records.ports import ResultStore, RunStore
from records.results import Run
from tests.estates import AzureStores, delete_tables, open_azure_stores
from tests.fakes import MemoryResultStore

SIX: Final = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
UNKNOWN_FORM: Final = '{"verdict": "of a later version"}'


def run(day: int, *, run_id: str | None = None) -> Run:
    started_at = SIX + timedelta(days=day)
    return Run(run_id=run_id, started_at=started_at) if run_id else Run.named_by(started_at)


class World(Protocol):
    """A store, and somebody who does to it what the store itself never does."""

    @property
    def store(self) -> ResultStore: ...

    @property
    def runs(self) -> RunStore: ...

    def spoil(self, run_id: str) -> None:
        """Rewrites all that a run wrote in a form that nobody can read."""

    def put_row_of_an_earlier_version(self, by: Run, text: str) -> None:
        """A run's row as it was kept before runs had a row under their ids."""


class InMemory:
    def __init__(self) -> None:
        self.store = self.runs = MemoryResultStore()

    def spoil(self, run_id: str) -> None:
        self.store.spoil(run_id)

    def put_row_of_an_earlier_version(self, by: Run, text: str) -> None:
        self.store._runs[by.run_id] = (by.started_at, text)


class InFolder:
    def __init__(self, root: Path) -> None:
        self.store = self.runs = FolderResultStore(root)
        self._root = root

    def spoil(self, run_id: str) -> None:
        for file in self._root.rglob(f"*-{run_id}.json"):
            file.write_text(UNKNOWN_FORM)

    def put_row_of_an_earlier_version(self, by: Run, text: str) -> None:
        folder = self._root / "tables" / RUNS_TABLE
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{newest_first(by.started_at)}-{by.run_id}.json").write_text(text)


class InAzurite:
    def __init__(self, service: TableServiceClient, stores: AzureStores) -> None:
        self.store = stores.results
        self.runs = stores.runs
        self._service = service

    def spoil(self, run_id: str) -> None:
        for name, column in ((RESULTS_TABLE, "result"), (RUNS_TABLE, "row")):
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
        self._service.create_table_if_not_exists(RUNS_TABLE).upsert_entity(entity)


BACKENDS: Final = [
    pytest.param("memory"),
    pytest.param("folder"),
    pytest.param("azurite", marks=pytest.mark.azurite),
]


@asynccontextmanager
async def open_world(request: pytest.FixtureRequest, root: Path) -> AsyncIterator[World]:
    """The world that a fixture's parameter, one of `BACKENDS`, names."""
    match request.param:
        case "memory":
            yield InMemory()
        case "folder":
            yield InFolder(root)
        case _:
            connection_string = request.getfixturevalue("azurite").connection_string
            with TableServiceClient.from_connection_string(connection_string) as service:
                async with open_azure_stores(connection_string) as stores:
                    yield InAzurite(service, stores)
            delete_tables(connection_string)

"""Where the contract of plan checks is held: in memory, in a folder, and on Azure's tables in their emulator."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient

from adapters import azure_tables
from adapters.azure_checks import AzureCheckStore
from adapters.folder_checks import FolderCheckStore
from adapters.table_names import PLAN_CHECKS_TABLE
from records.drift_ports import CheckStore
from records.findings import AttributeChange, Finding, FindingKind
from records.plan_checks import CheckSketch, Decision, HoldReason, StackCheck, StoredCheck
from records.results import Run
from records.verdicts import Verdict
from tests.contract_worlds import SIX
from tests.estates import LIMITS
from tests.fakes_drift import MemoryCheckStore
from tests.kept_rows import checks_in_folder, checks_in_tables
from tests.world.azurite import Azurite


class World(Protocol):
    """A store, and somebody who does to it what the store itself never does."""

    @property
    def store(self) -> CheckStore: ...

    def history(self, market: str, stack: str) -> list[StoredCheck]:
        """What is kept of a stack, in the order in which it is kept."""

    def spoil(self, run_id: str) -> None:
        """Rewrites what a run wrote in a form that nobody can read."""


class InMemory:
    def __init__(self) -> None:
        self.store = MemoryCheckStore()

    def history(self, market: str, stack: str) -> list[StoredCheck]:
        return self.store.history(market, stack)

    def spoil(self, run_id: str) -> None:
        self.store.spoil(run_id)


class InFolder:
    def __init__(self, root: Path) -> None:
        self.store = FolderCheckStore(root)
        self._root = root

    def history(self, market: str, stack: str) -> list[StoredCheck]:
        return checks_in_folder(self._root, market, stack)

    def spoil(self, run_id: str) -> None:
        for file in self._root.rglob("*.json"):
            if run_id in file.read_text():
                file.write_text('{"run_id": "cut off')


class InAzurite:
    def __init__(self, store: AzureCheckStore, service: TableServiceClient) -> None:
        self.store = store
        self.table = service.get_table_client(PLAN_CHECKS_TABLE)
        self._service = service

    def history(self, market: str, stack: str) -> list[StoredCheck]:
        return checks_in_tables(self._service, market, stack)

    def spoil(self, run_id: str) -> None:
        for row in self.table.query_entities("run_id eq @run", parameters={"run": run_id}):
            self.table.update_entity({**row, "check": b"of a later version", "sketch": b"of a later version"})


@asynccontextmanager
async def open_check_world(request: pytest.FixtureRequest, root: Path) -> AsyncIterator[World]:
    """The world that a fixture's parameter, one of `tests.contract_worlds.BACKENDS`, names."""
    match request.param:
        case "memory":
            yield InMemory()
        case "folder":
            yield InFolder(root)
        case _:
            async with in_azurite(request.getfixturevalue("azurite")) as opened:
                yield opened


@asynccontextmanager
async def in_azurite(azurite: Azurite, *, through: str | None = None) -> AsyncIterator[InAzurite]:
    connection_string = azurite.connection_string_through(table_url=through)
    with TableServiceClient.from_connection_string(azurite.connection_string) as service:
        try:
            async with azure_tables.connect_with_string(connection_string, LIMITS) as tables:
                yield InAzurite(AzureCheckStore(tables), service)
        finally:
            with suppress(ResourceNotFoundError):
                service.delete_table(PLAN_CHECKS_TABLE)


def finding(number: int = 0, *attributes: AttributeChange) -> Finding:
    return Finding(
        address=f'azurerm_network_security_rule.hub["{number}"]',
        type="azurerm_network_security_rule",
        kind=FindingKind.PORTAL_DRIFT,
        actions=("update",),
        destructive=False,
        attributes=attributes or (AttributeChange(path="access", before="Allow „für alle“ 🦊", after="Deny"),),
    )


def check(stack: str = "network", *, market: str = "de", **changes: Any) -> StackCheck:
    values: dict[str, Any] = {
        "market": market,
        "stack": stack,
        "decision": Decision.HOLD,
        "reason": HoldReason.DRY_RUN,
        "why": "The mode is dry-run.",
        "job_id": "a" * 64,
        "fingerprint": "f" * 64,
        "verdict": Verdict.HEALTHY,
        "lineage": "edd2705f",
        "serial": 42,
        "bundle_sha256": "b" * 64,
        "checked_at": SIX,
        "findings": (finding(),),
    }
    return StackCheck(**values | changes)


def stored(by: Run, of: StackCheck | None = None) -> StoredCheck:
    return StoredCheck(
        run_id=by.run_id, run_started_at=by.started_at, fleet_fingerprints=("c" * 64,), check=of or check()
    )


async def save(world: World, *checks: StoredCheck) -> None:
    for item in checks:
        await world.store.save_check(stored=item)


def history(world: World, stack: str = "network", market: str = "de") -> list[StoredCheck]:
    return world.history(market, stack)


async def sketches(world: World) -> list[CheckSketch]:
    return sorted([item async for item in world.store.sketches()], key=lambda item: item.name)


async def all_latest(world: World) -> list[tuple[str, str]]:
    """Name and run of each, of which the store has the sketch."""
    latest: list[tuple[str, str]] = []
    for sketch in await sketches(world):
        whole = await world.store.latest_of_stack(market=sketch.market, stack=sketch.stack)
        assert whole is not None
        assert whole.sketch() == sketch
        latest.append((sketch.name, whole.run_id))
    return latest


CLEAN: Final = check(
    decision=Decision.CLEAN, reason=None, job_id=None, fingerprint=None, verdict=None, findings=(), serial=None
)

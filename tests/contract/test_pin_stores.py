"""What every store of module pins promises: the one in memory, the folder, and Azure's table in its emulator."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.folder_pins import FolderPinStore
from records.module_pins import (
    DeployedCommit,
    DeployedModulePins,
    DeployedMovedTag,
    LooseReference,
    ModuleVersion,
    PinSummary,
)
from records.ports import PinStore
from tests.contract_worlds import BACKENDS, run
from tests.estates import delete_tables, open_azure_stores
from tests.fakes import MemoryPinStore
from tests.world.azurite import Azurite


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PinStore]:
    match request.param:
        case "memory":
            yield MemoryPinStore()
        case "folder":
            yield FolderPinStore(tmp_path)
        case _:
            azurite: Azurite = request.getfixturevalue("azurite")
            delete_tables(azurite.connection_string)
            async with open_azure_stores(azurite.connection_string) as stores:
                yield stores.pins


def summary(modules: int = 3, versions: int = 2) -> PinSummary:
    return PinSummary(
        modules=tuple(
            DeployedModulePins(
                module=f"mod/{number:04d}",
                package="example.com/a?b#c\\d",
                within=f"mod/{number:04d}",
                newest="1.0.0",
                stack_count=2,
                versions=tuple(
                    ModuleVersion(
                        pinned_to=f"1.0.{version}", firmness="hard", stack_count=1, stacks=("de/app",), behind=version
                    )
                    for version in range(versions)
                ),
            )
            for number in range(modules)
        ),
        loose=(
            LooseReference(source="git::https://x/y?ref=main", firmness="floating", reason="branch", stack_count=1),
        ),
        moved_tags=(
            DeployedMovedTag(
                package="x/y",
                tag="kv/v1.0.0",
                recorded=(DeployedCommit(commit="a" * 40, stack_count=1, stacks=("de/app",)),),
            ),
        ),
    )


async def test_what_was_kept_of_a_run_is_given_back(store: PinStore) -> None:
    await store.save_pins(run=run(1), pins=summary())
    assert await store.pins(run_id=run(1).run_id) == summary()
    assert await store.pins(run_id=run(2).run_id) is None


async def test_nothing_is_kept_before_the_first_run(store: PinStore) -> None:
    assert await store.pins(run_id="none") is None
    await store.prune_pins(run_id="none")


async def test_a_run_that_is_kept_again_replaces_what_it_had(store: PinStore) -> None:
    await store.save_pins(run=run(1), pins=summary(modules=5))
    await store.save_pins(run=run(1), pins=summary(modules=2))
    assert await store.pins(run_id=run(1).run_id) == summary(modules=2)


async def test_a_run_without_modules_is_known_and_empty(store: PinStore) -> None:
    await store.save_pins(run=run(1), pins=PinSummary())
    assert await store.pins(run_id=run(1).run_id) == PinSummary()


async def test_more_modules_than_a_transaction_takes_are_kept(store: PinStore) -> None:
    await store.save_pins(run=run(1), pins=summary(modules=250))
    found = await store.pins(run_id=run(1).run_id)
    assert found
    assert len(found.modules) == 250


async def test_pruning_a_run_leaves_the_others(store: PinStore) -> None:
    for day in (1, 2):
        await store.save_pins(run=run(day), pins=summary())
    await store.prune_pins(run_id=run(1).run_id)
    assert await store.pins(run_id=run(1).run_id) is None
    assert await store.pins(run_id=run(2).run_id) == summary()


async def test_a_module_of_very_many_versions_still_fits(store: PinStore) -> None:
    await store.save_pins(run=run(1), pins=summary(modules=1, versions=2_000))
    found = await store.pins(run_id=run(1).run_id)
    assert found
    assert len(found.modules[0].versions) >= 20

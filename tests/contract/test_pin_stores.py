"""What every store of module pins promises: the one in memory, the folder, and Azure's table in its emulator."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient

from adapters.azure_pins import rows_of
from adapters.folder_pins import FolderPinStore
from records.module_pins import (
    MOST_STACKS_NAMED,
    DeployedCommit,
    DeployedModulePins,
    DeployedMovedTag,
    LooseReference,
    ModuleVersion,
    PinSummary,
)
from records.names import is_market_key
from records.ports import PinStore
from tests.contract_worlds import BACKENDS, run
from tests.estates import delete_tables, open_azure_stores
from tests.fakes import MemoryPinStore
from tests.kept_rows import pins_in_folder, pins_in_tables
from tests.world.azurite import Azurite


@dataclass(frozen=True, slots=True)
class World:
    """A store, and what is kept of a run in it."""

    store: PinStore
    kept: Callable[[str], PinSummary | None]


@pytest.fixture(params=BACKENDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    match request.param:
        case "memory":
            memory = MemoryPinStore()
            yield World(memory, memory.kept)
        case "folder":
            yield World(FolderPinStore(tmp_path), partial(pins_in_folder, tmp_path))
        case _:
            azurite: Azurite = request.getfixturevalue("azurite")
            delete_tables(azurite.connection_string)
            with TableServiceClient.from_connection_string(azurite.connection_string) as service:
                async with open_azure_stores(azurite.connection_string) as stores:
                    yield World(stores.pins, partial(pins_in_tables, service))


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


async def test_what_was_kept_of_a_run_is_given_back(world: World) -> None:
    await world.store.save_pins(run=run(1), pins=summary())
    assert world.kept(run(1).run_id) == summary()
    assert world.kept(run(2).run_id) is None


async def test_nothing_is_kept_before_the_first_run(world: World) -> None:
    assert world.kept("none") is None
    await world.store.prune_pins(run_id="none")


async def test_a_run_that_is_kept_again_replaces_what_it_had(world: World) -> None:
    await world.store.save_pins(run=run(1), pins=summary(modules=5))
    await world.store.save_pins(run=run(1), pins=summary(modules=2))
    assert world.kept(run(1).run_id) == summary(modules=2)


async def test_a_run_without_modules_is_known_and_empty(world: World) -> None:
    await world.store.save_pins(run=run(1), pins=PinSummary())
    assert world.kept(run(1).run_id) == PinSummary()


async def test_more_modules_than_a_transaction_takes_are_kept(world: World) -> None:
    await world.store.save_pins(run=run(1), pins=summary(modules=250))
    found = world.kept(run(1).run_id)
    assert found
    assert len(found.modules) == 250


async def test_pruning_a_run_leaves_the_others(world: World) -> None:
    for day in (1, 2):
        await world.store.save_pins(run=run(day), pins=summary())
    await world.store.prune_pins(run_id=run(1).run_id)
    assert world.kept(run(1).run_id) is None
    assert world.kept(run(2).run_id) == summary()


MARKET = "/".join(["m" * 63] * 6)
"""As long as a market's key is, but for ten characters; a stack's name has 63 at most."""
STACKS = tuple(f"{MARKET}/{number:03d}/{'s' * 63}" for number in range(MOST_STACKS_NAMED))
LONGEST = "ü" * 2_000


@pytest.mark.parametrize("pinned_to", ["1.0.{}", "branch-{}-" + LONGEST], ids=["versions", "branches"])
async def test_a_module_of_very_many_versions_and_the_longest_names_still_fits(world: World, pinned_to: str) -> None:
    versions = tuple(
        ModuleVersion(pinned_to=pinned_to.format(number), firmness="hard", stack_count=1_000, stacks=STACKS)
        for number in range(500)
    )
    modules = tuple(
        DeployedModulePins(
            module=f"{number:03d}{LONGEST}", package=LONGEST, within=LONGEST, stack_count=500_000, versions=versions
        )
        for number in range(40)
    )
    await world.store.save_pins(run=run(1), pins=PinSummary(modules=modules))
    found = world.kept(run(1).run_id)
    assert found
    assert [one.stack_count for one in found.modules] == [500_000] * 40
    kept = found.modules[0].versions
    assert [one.pinned_to for one in kept] == [one.pinned_to for one in versions[: len(kept)]]
    assert len(kept) >= (20 if pinned_to == "1.0.{}" else 1)


async def test_a_tag_that_was_moved_over_very_many_commits_still_fits(world: World) -> None:
    recorded = tuple(DeployedCommit(commit=f"{number:040x}", stack_count=1_000, stacks=STACKS) for number in range(500))
    loose = tuple(
        LooseReference(
            source=f"{number}{LONGEST}",
            pinned_to=LONGEST,
            firmness="floating",
            reason="branch",
            stack_count=9,
            stacks=STACKS,
        )
        for number in range(40)
    )
    moved = DeployedMovedTag(package=LONGEST, tag="kv/v1.0.0", recorded=recorded)
    await world.store.save_pins(run=run(1), pins=PinSummary(moved_tags=(moved,), loose=loose))
    found = world.kept(run(1).run_id)
    assert found
    (kept,) = found.moved_tags
    assert len(kept.recorded) >= 20
    assert [one.commit for one in kept.recorded] == [one.commit for one in recorded[: len(kept.recorded)]]
    assert set(found.loose) == set(loose)


def test_what_is_kept_of_a_long_row_is_the_most_that_fits() -> None:
    def module(versions: int, stacks: int) -> DeployedModulePins:
        version = ModuleVersion(pinned_to="1.0.0", firmness="hard", stack_count=90, stacks=STACKS[:stacks])
        return DeployedModulePins(module="kv", package="x/y", stack_count=90, versions=(version,) * versions)

    def kept(given: DeployedModulePins) -> DeployedModulePins:
        (row,) = rows_of(PinSummary(modules=(given,)))
        assert (row["versions"], row["stacks"]) == (len(given.versions), 90)
        return DeployedModulePins.model_validate_json(row["row"])

    assert is_market_key(STACKS[0].rpartition("/")[0])
    assert kept(module(5, 10)) == module(5, 10)
    assert kept(module(12, 10)) == module(12, 3)
    assert kept(module(30, 10)) == module(20, 3)
    longest = module(30, 0).model_copy(update={"package": "p" * 28_800})
    assert kept(longest) == longest.model_copy(update={"versions": longest.versions[:5]})

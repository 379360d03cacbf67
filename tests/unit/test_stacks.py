"""Which stacks are checked: all that a record names, and a problem for whatever could not be listed."""

import asyncio
from typing import Any, Final

import pytest

from adapters.blob_store import BlobPlace
from adapters.record_reader import BlobRecordReader
from drift.stacks import StackList, list_stacks
from records.errors import (
    AccessDeniedError,
    BlobMissingError,
    ContainerMissingError,
    StoreUnavailableError,
    UnknownMarketError,
    UnknownStackError,
)
from records.faults import FaultCode, RecordKind
from records.report import WHOLE_ESTATE
from records.runs import WHOLE_SCOPE, Scope
from tests.estates import CONTAINERS, entry, put_healthy_market, put_registry, put_tracker
from tests.unit.planner_fake import DriftEstate

FORBIDDEN: Final = AccessDeniedError("there", "403 AuthorizationPermissionMismatch")


@pytest.fixture
def world() -> DriftEstate:
    return DriftEstate()


async def listed(world: DriftEstate, scope: Scope = WHOLE_SCOPE) -> StackList:
    return await list_stacks(world.records, scope)


def problems_of(found: StackList) -> list[tuple[str, RecordKind, FaultCode]]:
    return [(problem.market, problem.record, problem.code) for problem in found.problems]


async def test_an_empty_estate_has_no_stacks(world: DriftEstate) -> None:
    assert await listed(world) == StackList((), ())


async def test_stacks_are_those_that_a_registry_or_a_tracker_names_sorted(world: DriftEstate) -> None:
    put_registry(world.estate, "emea/fr", {"network": entry("emea/fr", "network"), "app": entry("emea/fr", "app")})
    put_tracker(world.estate, "emea/fr", "data")
    put_tracker(world.estate, "emea/fr", "app")
    put_tracker(world.estate, "de", "left")
    assert await listed(world) == StackList(("de/left", "emea/fr/app", "emea/fr/data", "emea/fr/network"), ())


async def test_what_is_no_tracker_and_no_registry_is_no_stack(world: DriftEstate) -> None:
    world.estate.put(CONTAINERS.registry, "de/readme.md", b"")
    world.estate.put(CONTAINERS.trackers, "de/readme.md", b"")
    world.estate.put(CONTAINERS.trackers, "stray.json", b"")
    assert await listed(world) == StackList((), ())


@pytest.mark.parametrize(
    ("scope", "stacks"),
    [
        pytest.param(Scope(markets=("de",)), ("de/app", "de/network"), id="a market"),
        pytest.param(Scope(markets=("de", "fr"), stacks=("app",)), ("de/app", "fr/app"), id="a stack of two"),
        pytest.param(Scope(stacks=("network",)), ("de/network", "uk/network"), id="a stack wherever it is"),
    ],
)
async def test_the_scope_is(world: DriftEstate, scope: Scope, stacks: tuple[str, ...]) -> None:
    put_healthy_market(world.estate, "de")
    put_healthy_market(world.estate, "fr", ["app"])
    put_healthy_market(world.estate, "uk", ["network"])
    assert (await listed(world, scope)).stacks == stacks


async def test_a_market_that_no_record_names_is_refused(world: DriftEstate) -> None:
    put_healthy_market(world.estate, "de")
    with pytest.raises(UnknownMarketError, match="no record names market fr; there are: de"):
        await listed(world, Scope(markets=("de", "fr")))


async def test_a_stack_that_no_record_names_is_refused_with_those_that_there_are(world: DriftEstate) -> None:
    put_healthy_market(world.estate, "de")
    put_healthy_market(world.estate, "fr", ["network"])
    with pytest.raises(UnknownStackError, match="has stack data, web; there are: app, network"):
        await listed(world, Scope(stacks=("app", "data", "web")))
    with pytest.raises(UnknownStackError, match="has stack app; there are: network"):
        await listed(world, Scope(markets=("fr",), stacks=("app",)))


async def test_a_stack_that_may_be_in_a_market_that_cannot_be_read_is_not_refused(world: DriftEstate) -> None:
    put_healthy_market(world.estate, "de")
    world.estate.put(CONTAINERS.registry, "fr/subscription.json", b"{")
    found = await listed(world, Scope(stacks=("data",)))
    assert found.stacks == ()
    assert problems_of(found) == [("fr", RecordKind.REGISTRY, FaultCode.NOT_JSON)]


async def test_of_a_market_whose_registry_cannot_be_read_the_tracked_stacks_are_checked(world: DriftEstate) -> None:
    put_healthy_market(world.estate, "de")
    world.blobs.refuse(BlobPlace(container=CONTAINERS.registry, name="de/subscription.json"), FORBIDDEN)
    found = await listed(world)
    assert found.stacks == ("de/app", "de/network")
    assert problems_of(found) == [("de", RecordKind.REGISTRY, FaultCode.FORBIDDEN)]


async def test_where_the_trackers_cannot_be_listed_the_registered_stacks_are_checked(world: DriftEstate) -> None:
    put_healthy_market(world.estate, "de")
    put_tracker(world.estate, "fr", "left")
    world.blobs.refuse("trackers/", FORBIDDEN)
    found = await listed(world)
    assert found.stacks == ("de/app", "de/network")
    assert problems_of(found) == [(WHOLE_ESTATE, RecordKind.TRACKER, FaultCode.FORBIDDEN)]


@pytest.mark.parametrize(
    "error",
    [ContainerMissingError("registry", "404"), FORBIDDEN, StoreUnavailableError("registry", "503")],
    ids=lambda error: type(error).__name__,
)
async def test_where_the_registry_cannot_be_listed_nothing_can_be_said(world: DriftEstate, error: Any) -> None:
    put_healthy_market(world.estate, "de")
    world.blobs.refuse("registry/", error)
    with pytest.raises(type(error)):
        await listed(world)


async def test_a_registry_record_that_vanishes_after_it_was_listed_is_a_problem(world: DriftEstate) -> None:
    put_registry(world.estate, "de", {"app": entry("de", "app")})
    gone = BlobPlace(container=CONTAINERS.registry, name="de/subscription.json")
    world.blobs.refuse(gone, BlobMissingError(str(gone), "404 BlobNotFound"))
    found = await listed(world)
    assert found.stacks == ()
    assert problems_of(found) == [("de", RecordKind.REGISTRY, FaultCode.VANISHED)]


NO_STACK: Final = "no stack's name: lower-case letters, digits and '-', 63 at most"
LONG: Final = "x" * 81


async def test_names_that_no_market_or_stack_can_have_are_problems_and_not_silent(world: DriftEstate) -> None:
    put_registry(world.estate, "de", {name: entry("de", "app") for name in ("app", "Big", LONG)})
    put_tracker(world.estate, "de", "Small")
    put_healthy_market(world.estate, "Süd", ["app"])
    found = await listed(world)
    assert found.stacks == ("de/app",)
    assert sorted((problem.market, problem.blob, problem.message) for problem in found.problems) == [
        (
            "Süd",
            "Süd/subscription.json",
            "the folder is no market's key: segments of lower-case letters, digits and '-', joined by '/'",
        ),
        ("de", "de/Small.json", f"the file is {NO_STACK}"),
        ("de", "de/subscription.json", f"'Big' is {NO_STACK}"),
        ("de", "de/subscription.json", f"'{'x' * 80}…' is {NO_STACK}"),
    ]
    assert {problem.code for problem in found.problems} == {FaultCode.INVALID_NAME}
    assert all(problem.remedy for problem in found.problems)


async def test_a_market_is_not_another_in_whose_folder_it_is(world: DriftEstate) -> None:
    put_healthy_market(world.estate, "emea", ["app"])
    put_healthy_market(world.estate, "emea/fr", ["network"])
    assert (await listed(world, Scope(markets=("emea",)))).stacks == ("emea/app",)
    assert (await listed(world, Scope(markets=("emea/fr",)))).stacks == ("emea/fr/network",)


async def test_registries_are_read_side_by_side_and_not_all_at_once(world: DriftEstate) -> None:
    for number in range(40):
        put_healthy_market(world.estate, f"m{number}", ["app"])
    counting = _Counting(world.blobs, CONTAINERS)
    assert len((await list_stacks(counting, WHOLE_SCOPE)).stacks) == 40
    assert 1 < counting.most_at_once <= 16


class _Counting(BlobRecordReader):
    at_once = 0
    most_at_once = 0

    async def registry(self, *, market: str) -> Any:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        return await super().registry(market=market)

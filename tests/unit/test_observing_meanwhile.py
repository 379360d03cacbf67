"""What becomes of a plan when the records move while it is made, and of a lock that is seen before or after it."""

from typing import Final

import pytest

from drift.checks import check_of
from records.errors import AccessDeniedError, StoreUnavailableError
from records.locks import UNREADABLE_LOCK, Lock
from records.plan_checks import Decision, HoldReason, StackObservation
from records.verdicts import Verdict
from tests.estates import SERIAL, put_state, state_bytes
from tests.unit.observation_samples import brakes
from tests.unit.planner_fake import NOW, REGISTRY, STATE, TRACKER, Change, DriftEstate, all_of, bundle_of, inconclusive

FORBIDDEN: Final = AccessDeniedError("there", "403 AuthorizationPermissionMismatch")
DOWN: Final = StoreUnavailableError("there", "503 ServerBusy")


@pytest.fixture
def world() -> DriftEstate:
    """One healthy stack, in which somebody has opened a rule."""
    made = DriftEstate()
    made.deploy()
    return made


def outcome_of(seen: StackObservation) -> Decision | HoldReason:
    """What follows where healing is on and nothing else stands in the way."""
    check = check_of(seen, brakes(), now=NOW)
    return check.reason or check.decision


def deploy_another_bundle(world: DriftEstate) -> None:
    world.track(bundle=bundle_of("de", "network", b"the next one"))


def move_the_state(world: DriftEstate) -> None:
    world.register(state={"key": "de/elsewhere.tfstate"})
    put_state(world.estate, "de", "elsewhere")


MOVED: Final[dict[str, Change]] = {
    "an apply raises the serial": lambda world: put_state(world.estate, "de", "network", SERIAL + 1),
    "a whole deploy ends": all_of(
        lambda world: put_state(world.estate, "de", "network", SERIAL + 1),
        lambda world: world.track(serial=SERIAL + 1),
        lambda world: world.register(serial=SERIAL + 1),
    ),
    "the state is written with the same serial": lambda world: put_state(
        world.estate, "de", "network", size_bytes=4096
    ),
    "the state gets another lineage": lambda world: put_state(world.estate, "de", "network", lineage="another"),
    "the state vanishes": lambda world: world.blobs.delete(STATE),
    "the state is emptied": lambda world: world.estate.put(STATE.container, STATE.name, b""),
    "the state can no longer be read": lambda world: world.blobs.refuse(STATE, FORBIDDEN),
    "the registry names another state": move_the_state,
    "the registry names another subscription": lambda world: world.deploy(subscription_id="s-other"),
    "the registry can no longer be read": lambda world: world.blobs.refuse(REGISTRY, DOWN),
    "the registry is garbled": lambda world: world.estate.put(REGISTRY.container, REGISTRY.name, b"{"),
    "the registry vanishes": lambda world: world.blobs.delete(REGISTRY),
    "another bundle is deployed": deploy_another_bundle,
    "the tracker loses its bundle": lambda world: world.track(bundle=None),
    "the tracker vanishes": lambda world: world.blobs.delete(TRACKER),
    "the tracker can no longer be read": lambda world: world.blobs.refuse(TRACKER, DOWN),
    "the trackers cannot be listed": lambda world: world.blobs.refuse("trackers/de/", DOWN),
    "the stack is forgotten": all_of(
        lambda world: world.blobs.delete(TRACKER), lambda world: world.blobs.delete(REGISTRY)
    ),
}


@pytest.mark.parametrize("case", MOVED)
async def test_a_plan_is_of_neither_deploy_and_counts_for_nothing_where_meanwhile(
    world: DriftEstate, case: str
) -> None:
    world.planner.meanwhile = lambda: MOVED[case](world)
    seen = await world.observe()
    assert len(world.planner.asked) == 1
    assert seen.plan is None
    assert seen.diagnostics == (
        "The records moved while the plan was made, so it is of neither deploy. The next check plans anew.",
    )
    assert outcome_of(seen) is HoldReason.INCONCLUSIVE


VERDICT_MOVED: Final[dict[Verdict, Change]] = {
    Verdict.REGISTRY_AHEAD: lambda world: world.register(serial=SERIAL + 1),
    Verdict.TRACKER_AHEAD: lambda world: world.track(serial=SERIAL + 1),
    Verdict.STATE_FORKED: lambda world: world.track(state_md5="0" * 32),
}


@pytest.mark.parametrize("verdict", VERDICT_MOVED)
async def test_records_that_disagree_only_once_the_plan_is_made_hold_it(world: DriftEstate, verdict: Verdict) -> None:
    world.planner.meanwhile = lambda: VERDICT_MOVED[verdict](world)
    seen = await world.observe()
    assert seen.plan
    assert seen.verdict is verdict
    assert outcome_of(seen) is HoldReason.RECORDS_DISAGREE


async def test_records_that_disagreed_before_the_plan_hold_it_though_they_agree_afterwards(world: DriftEstate) -> None:
    world.track(serial=SERIAL - 1)
    world.planner.meanwhile = world.track
    seen = await world.observe()
    assert seen.plan
    assert seen.verdict is Verdict.TRACKER_BEHIND
    assert outcome_of(seen) is HoldReason.RECORDS_DISAGREE


async def test_a_lock_that_is_there_before_the_plan_holds_it_though_it_is_gone_afterwards(world: DriftEstate) -> None:
    world.lock()
    world.planner.meanwhile = world.unlock
    seen = await world.observe()
    assert seen.verdict is Verdict.HEALTHY
    assert seen.plan
    assert seen.lock == Lock(ID="1", Operation="OperationTypeApply", Who="a@agent", Created=NOW)
    assert outcome_of(seen) is HoldReason.LOCKED


@pytest.mark.parametrize("metadata", [True, False], ids=["says who holds it", "says nothing"])
async def test_a_lock_that_appears_while_the_plan_is_made_holds_it_whether_it(
    world: DriftEstate, metadata: bool
) -> None:
    world.planner.meanwhile = lambda: world.lock(metadata=metadata)
    seen = await world.observe()
    assert seen.verdict is Verdict.HEALTHY
    assert seen.plan
    assert seen.lock
    assert (seen.lock == UNREADABLE_LOCK) is not metadata
    assert outcome_of(seen) is HoldReason.LOCKED


async def test_a_lock_that_came_and_went_with_somebody_elses_plan_changes_nothing(world: DriftEstate) -> None:
    world.planner.meanwhile = lambda: all_of(DriftEstate.lock, DriftEstate.unlock)(world)
    seen = await world.observe()
    assert seen.plan
    assert seen.lock is None
    assert outcome_of(seen) is Decision.HEAL


async def test_where_storage_keeps_no_md5_a_blob_that_was_touched_may_have_changed(world: DriftEstate) -> None:
    world.blobs.put(STATE, state_bytes(), keeps_md5=False)
    assert outcome_of(await world.observe()) is Decision.HEAL
    world.planner.meanwhile = lambda: world.blobs.put(STATE, state_bytes(size_bytes=4096), keeps_md5=False)
    assert outcome_of(await world.observe()) is HoldReason.INCONCLUSIVE


async def test_the_records_are_not_read_again_where_there_is_no_plan(world: DriftEstate) -> None:
    world.planner.usual = inconclusive()
    world.planner.meanwhile = world.blobs.reads.clear
    await world.observe()
    assert world.blobs.reads == []

"""What repair writes and what it leaves to a person; and a person who takes a change for the truth."""

import json
from datetime import timedelta
from typing import Any

import pytest

import recording.following
from adapters.blob_store import BlobPlace
from records.errors import BlobChangedError, RefusedWriteError
from records.record_log import RecordCommand, WriteStatus, WrittenKind
from records.tracker import HistoryAction
from records.verdicts import Verdict
from tests.estates import CONTAINERS, LINEAGE, SERIAL, entry, put_registry, put_tracker
from tests.recording_world import BUNDLE, MARKET, NOW, STACK, SUBSCRIPTION, World, key_of
from tests.world.state_blob import LOCK_METADATA_KEY, LockInfo

TRACKER = f"{MARKET}/{STACK}.json"
REGISTRY = f"{MARKET}/subscription.json"
OTHER_LINEAGE = "11111111-2222-3333-4444-555555555555"
DEPLOY = {"release": "2026.11.3", "commit": "4f1c0de", "deployed_at": "2026-11-23T05:12:00Z"}
KNOWN = {"run_id": "20261123.4", "bundle": {"blob": "de/network/aa.zip", "sha256": "aa" * 32}, "modules": []}


@pytest.fixture(autouse=True)
def _without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording.following, "_FIRST_WAIT_SECONDS", 0)


@pytest.fixture
def world() -> World:
    return World()


def put(world: World, *, state: int | None, tracker: dict[str, Any] | None, registry: dict[str, Any] | None) -> None:
    """A stack whose records say this; an empty one says the serial of all tests, None is no record."""
    if state is not None:
        world.apply(state)
    if tracker is not None:
        put_tracker(world.estate, MARKET, STACK, **(DEPLOY | KNOWN | tracker))
    put_registry(world.estate, MARKET, {} if registry is None else {STACK: entry(MARKET, STACK, **(DEPLOY | registry))})


MENDED = [
    pytest.param(
        {"serial": SERIAL - 2}, {}, Verdict.TRACKER_BEHIND, WrittenKind.TRACKER, id="a tracker that is behind"
    ),
    pytest.param({"serial": SERIAL + 9}, {}, Verdict.TRACKER_AHEAD, WrittenKind.TRACKER, id="a tracker that is ahead"),
    pytest.param(
        {}, {"serial": SERIAL - 1}, Verdict.REGISTRY_BEHIND, WrittenKind.REGISTRY, id="an entry that is behind"
    ),
    pytest.param({}, {"serial": SERIAL + 1}, Verdict.REGISTRY_AHEAD, WrittenKind.REGISTRY, id="an entry that is ahead"),
    pytest.param(
        {"lineage": OTHER_LINEAGE}, {}, Verdict.LINEAGE_MISMATCH, WrittenKind.TRACKER, id="a tracker of another lineage"
    ),
    pytest.param(
        {}, {"lineage": OTHER_LINEAGE}, Verdict.LINEAGE_MISMATCH, WrittenKind.REGISTRY, id="an entry of another lineage"
    ),
    pytest.param({"serial": "42"}, {}, Verdict.UNREADABLE, WrittenKind.TRACKER, id="a tracker that is garbled"),
    pytest.param(
        {"state": {"key": key_of()}, "subscription_id": SUBSCRIPTION},
        None,
        Verdict.UNREGISTERED,
        WrittenKind.REGISTRY,
        id="an entry that is gone",
    ),
]


@pytest.mark.parametrize(("tracker", "registry", "verdict", "kind"), MENDED)
async def test_the_odd_one_out_is_mended_and_nothing_else_is_written(
    world: World, tracker: dict[str, Any], registry: dict[str, Any] | None, verdict: Verdict, kind: WrittenKind
) -> None:
    put(world, state=SERIAL, tracker=tracker, registry=registry)
    assert (await world.result()).verdict is verdict
    plan = await world.plan_repairs()
    assert world.blobs.writes == []
    (correction,) = plan.corrections
    assert (correction.kind, correction.verdict) == (kind, verdict)
    (repaired,) = await world.repair()
    assert repaired.is_mended
    written = {place.container for place, _ in world.blobs.writes}
    assert written == {CONTAINERS.trackers if kind is WrittenKind.TRACKER else CONTAINERS.registry}
    result = await world.result()
    assert (result.verdict, result.serials.state, result.release) == (Verdict.HEALTHY, SERIAL, "2026.11.3")


LEFT_ALONE = [
    pytest.param(SERIAL + 2, {}, {}, Verdict.PIPELINE_DRIFT, id="the state is ahead"),
    pytest.param(SERIAL - 2, {}, {}, Verdict.STATE_ROLLED_BACK, id="the state is behind"),
    pytest.param(None, {}, {}, Verdict.STATE_MISSING, id="the state is gone"),
    pytest.param(SERIAL, {"state_md5": "0" * 32}, {}, Verdict.STATE_FORKED, id="the state is forked"),
    pytest.param(
        SERIAL, {"state_md5": "0" * 32}, {"serial": 7}, Verdict.STATE_FORKED, id="a fork with an entry behind"
    ),
    pytest.param(SERIAL, {"serial": 7}, {"serial": 8}, Verdict.RECORDS_SPLIT, id="all three differ"),
    pytest.param(SERIAL, {"serial": 7}, {"serial": None}, Verdict.PIPELINE_DRIFT, id="two records alone"),
    pytest.param(SERIAL, None, {"serial": 7}, Verdict.PIPELINE_DRIFT, id="tier 2"),
    pytest.param(
        SERIAL,
        {"lineage": OTHER_LINEAGE, "serial": 3},
        {"serial": 4},
        Verdict.LINEAGE_MISMATCH,
        id="a lineage and a serial",
    ),
    pytest.param(SERIAL, {"market": "fr"}, {}, Verdict.UNREADABLE, id="a tracker that was copied"),
    pytest.param(SERIAL, {"schema_version": 2}, {}, Verdict.UNREADABLE, id="a tracker of a later schema"),
    pytest.param(SERIAL, {}, {"serial": "x"}, Verdict.UNREADABLE, id="an entry that cannot be read"),
    pytest.param(SERIAL, {}, None, Verdict.UNREGISTERED, id="a tracker that does not say where the state is"),
    pytest.param(
        SERIAL + 1, {"state": {"key": key_of()}}, None, Verdict.UNREGISTERED, id="a tracker that the state contradicts"
    ),
    pytest.param(None, {"state": {"key": key_of()}}, None, Verdict.UNREGISTERED, id="a tracker whose state is gone"),
]


@pytest.mark.parametrize(("state", "tracker", "registry", "verdict"), LEFT_ALONE)
async def test_what_no_two_records_agree_on_is_left_to_a_person(
    world: World, state: int | None, tracker: dict[str, Any] | None, registry: dict[str, Any] | None, verdict: Verdict
) -> None:
    put(world, state=state, tracker=tracker, registry=registry)
    plan = await world.plan_repairs()
    assert plan.corrections == ()
    assert [alone.result.verdict for alone in plan.left_alone] == [verdict]
    assert await world.repair() == ()
    assert world.blobs.writes == []
    assert await world.logged() == []


async def test_while_a_deploy_runs_nothing_is_repaired(world: World) -> None:
    put(world, state=SERIAL, tracker={"serial": 7}, registry={})
    lock_state(world)
    plan = await world.plan_repairs()
    assert plan.corrections == ()
    assert [alone.result.verdict for alone in plan.left_alone] == [Verdict.IN_FLIGHT]


async def test_a_corrected_tracker_names_no_bundle_and_no_run_of_an_earlier_deploy(world: World) -> None:
    put(
        world,
        state=SERIAL,
        tracker={"serial": 7, "release": "old", "x_note": 1, "bundle": KNOWN["bundle"]},
        registry={},
    )
    (correction,) = (await world.plan_repairs()).corrections
    assert "bundle" in correction.why
    await world.repair()
    tracker = await world.tracker()
    assert (tracker.release, tracker.serial, tracker.bundle, tracker.run_id) == ("2026.11.3", SERIAL, None, None)
    assert tracker.model_extra == {"x_note": 1}
    (written,) = tracker.history or ()
    assert (written.action, written.by, written.serial) == (HistoryAction.REPAIR, "alice@example.com", 7)


async def test_a_record_that_has_changed_since_it_was_judged_is_not_written(world: World) -> None:
    put(world, state=SERIAL, tracker={"serial": 7}, registry={})
    world.blobs.before_write = lambda place: put_tracker(world.estate, MARKET, STACK, serial=9)
    (repaired,) = await world.repair()
    assert repaired.verdict is None
    assert (await world.tracker()).serial == 9
    assert [row.status for row in await world.logged()] == [WriteStatus.REFUSED]


async def test_all_entries_of_a_market_are_mended_in_one_write(world: World) -> None:
    stacks = ("app", "data", "network")
    for stack in stacks:
        world.apply(SERIAL, stack=stack)
        put_tracker(world.estate, MARKET, stack)
    put_registry(world.estate, MARKET, {stack: entry(MARKET, stack, serial=7) for stack in stacks}, x=1)
    assert [one.is_mended for one in await world.repair()] == [True, True, True]
    assert [place.name for place, _ in world.blobs.writes] == [REGISTRY]
    assert json.loads(await world.text(CONTAINERS.registry, REGISTRY))["x"] == 1
    assert {row.stack for row in await world.logged()} == set(stacks)


async def test_a_market_whose_record_is_gone_is_made_anew_from_its_trackers(world: World) -> None:
    for stack in ("app", "data"):
        world.apply(SERIAL, stack=stack)
        put_tracker(world.estate, MARKET, stack, state={"key": key_of(stack)}, subscription_id=SUBSCRIPTION)
    assert [one.is_mended for one in await world.repair()] == [True, True]
    assert await world.verdicts() == {"app": "healthy", "data": "healthy"}


async def test_the_row_of_a_write_has_what_was_there_and_what_is(world: World) -> None:
    put(world, state=SERIAL, tracker={}, registry={"serial": 7})
    await world.repair()
    (row,) = await world.logged()
    assert (row.command, row.kind, row.stack, row.by) == (
        RecordCommand.REPAIR, WrittenKind.REGISTRY, STACK, "alice@example.com",
    )  # fmt: skip
    assert row.before is not None
    assert (json.loads(row.before)["serial"], json.loads(row.after)["serial"]) == (7, SERIAL)
    assert row.etag_before != row.etag_after


ACCEPTED = [
    pytest.param(SERIAL + 2, {}, {}, id="the state is ahead"),
    pytest.param(SERIAL - 2, {}, {}, id="the state was rolled back"),
    pytest.param(SERIAL, {"state_md5": "0" * 32}, {}, id="the state is forked"),
    pytest.param(SERIAL, {"serial": 7}, {"serial": 8}, id="all three differ"),
    pytest.param(SERIAL, {"lineage": OTHER_LINEAGE}, {"lineage": OTHER_LINEAGE}, id="the state is of another lineage"),
    pytest.param(SERIAL, None, {"serial": 7}, id="tier 2"),
    pytest.param(SERIAL, None, {"serial": None}, id="tier 3"),
    pytest.param(SERIAL, None, {"serial": None, "deployed_at": None}, id="nothing to compare"),
]


@pytest.mark.parametrize(("state", "tracker", "registry"), ACCEPTED)
async def test_a_state_that_a_person_accepts_is_the_truth(
    world: World, state: int, tracker: dict[str, Any] | None, registry: dict[str, Any]
) -> None:
    put(world, state=state, tracker=tracker, registry=registry)
    result = await world.accept()
    assert result is not None
    assert (result.verdict, result.tier, result.serials.state) == (Verdict.HEALTHY, 1, state)
    record = await world.tracker()
    (written,) = record.history or ()
    assert (written.action, written.by, written.reason) == (HistoryAction.ACCEPT, "alice@example.com", "hotfix")
    assert written.serial == (None if tracker is None else tracker.get("serial", SERIAL))
    rows = await world.logged()
    assert {row.reason for row in rows} == {"hotfix"}


async def test_accepting_leaves_what_the_last_deploy_was(world: World) -> None:
    put(world, state=SERIAL + 2, tracker={"x_note": 1}, registry={})
    await world.accept()
    record = await world.tracker()
    assert (record.run_id, record.release, record.lineage) == ("20261123.4", "2026.11.3", LINEAGE)
    assert record.bundle is not None
    assert record.model_extra == {"x_note": 1}


async def test_a_healthy_stack_has_nothing_to_accept(world: World) -> None:
    put(world, state=SERIAL, tracker={}, registry={})
    assert await world.accept() is None
    assert world.blobs.writes == []


@pytest.mark.parametrize(
    ("state", "tracker", "registry", "says"),
    [
        pytest.param(SERIAL, {"serial": 7}, {}, "trueup repair", id="the tracker is the odd one out"),
        pytest.param(SERIAL, {}, {"serial": 7}, "trueup repair", id="the registry is the odd one out"),
        pytest.param(None, {}, {}, "state_missing", id="there is no state"),
        pytest.param(SERIAL, {"market": "fr"}, {}, "tracker", id="a record that cannot be read"),
        pytest.param(SERIAL, None, None, "no record names this stack", id="no such stack"),
    ],
)
async def test_what_cannot_be_accepted_is_refused_with_its_reason(
    world: World, state: int | None, tracker: dict[str, Any] | None, registry: dict[str, Any] | None, says: str
) -> None:
    put(world, state=state, tracker=tracker, registry=registry)
    with pytest.raises(RefusedWriteError, match=says):
        await world.accept()
    assert world.blobs.writes == []


async def test_a_serial_that_nobody_looked_at_is_not_accepted(world: World) -> None:
    put(world, state=SERIAL + 2, tracker={}, registry={})
    with pytest.raises(RefusedWriteError, match=f"{SERIAL + 2} and not {SERIAL + 1}"):
        await world.accept(serial=SERIAL + 1)
    assert (await world.accept(serial=SERIAL + 2)) is not None


async def test_nothing_is_accepted_while_a_deploy_runs(world: World) -> None:
    put(world, state=SERIAL + 2, tracker={}, registry={})
    lock_state(world)
    with pytest.raises(RefusedWriteError, match="a deploy is running"):
        await world.accept()


async def test_a_tracker_that_changed_since_it_was_judged_is_not_written_over(world: World) -> None:
    put(world, state=SERIAL + 2, tracker={}, registry={})
    world.blobs.before_write = lambda place: put_tracker(world.estate, MARKET, STACK, serial=SERIAL + 5)
    with pytest.raises(BlobChangedError):
        await world.accept()
    assert (await world.tracker()).serial == SERIAL + 5


async def test_the_history_keeps_the_last_fifty(world: World) -> None:
    put(world, state=SERIAL, tracker={}, registry={})
    for serial in range(SERIAL + 1, SERIAL + 56):
        world.apply(serial)
        await world.accept()
    history = (await world.tracker()).history or ()
    assert [one.serial for one in history] == list(range(SERIAL + 5, SERIAL + 55))


async def test_the_history_outlives_a_deploy(world: World) -> None:
    put(world, state=SERIAL + 2, tracker={}, registry={})
    await world.accept()
    await world.record(bundle=BUNDLE)
    assert len((await world.tracker()).history or ()) == 1


def lock_state(world: World) -> None:
    place = BlobPlace(container=CONTAINERS.states, name=key_of())
    world.blobs.lease(place)
    lock = LockInfo.make(created=NOW - timedelta(minutes=5)).to_metadata_value(key_of())
    world.blobs.set_metadata(place, {LOCK_METADATA_KEY: lock})

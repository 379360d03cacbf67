"""What a heal leaves on record: alone, beside a pipeline, cut off and done again; the real verdicts are the judge."""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recording.following
from adapters.blob_store import BlobPlace
from adapters.record_writer import BlobRecordWriter
from recording.healed import HealedStackRecorder
from records.drift_ports import HealRecorder, HealRecording
from records.errors import BlobChangedError, RecordError, StoreUnavailableError
from records.heals import HealJob
from records.readings import Present
from records.record_log import LoggedWrite, RecordCommand, WriteStatus, WrittenKind
from records.registry import StateLocation
from records.tracker import HistoryAction
from records.verdicts import Verdict
from tests.estates import CONTAINERS, LINEAGE, SERIAL, entry, put_registry, put_tracker, state_bytes
from tests.interleaving import interleaved
from tests.recording_world import BUNDLE, MARKET, NOW, STACK, KilledError, World, key_of, kill_at, revive
from tests.world.state_blob import LOCK_METADATA_KEY, LockInfo

JOB_ID: Final = "ab" * 32
AT: Final = NOW + timedelta(minutes=30, microseconds=250_000)
"""When the heal's apply has ended; the world's commands begin at `NOW` and follow each other by the minute."""
AT_TEXT: Final = "2026-11-25T06:30:00Z"
TRACKER: Final = f"{MARKET}/{STACK}.json"
REGISTRY: Final = f"{MARKET}/subscription.json"
STATE_PLACE: Final = BlobPlace(container=CONTAINERS.states, name=key_of())
TRACKER_PLACE: Final = BlobPlace(container=CONTAINERS.trackers, name=TRACKER)
REGISTRY_PLACE: Final = BlobPlace(container=CONTAINERS.registry, name=REGISTRY)
OTHER_LINEAGE: Final = "11111111-2222-3333-4444-555555555555"
OTHER_STACKS: Final[dict[str, Any]] = {
    "app": entry(MARKET, "app", serial=7) | {"cost_centre": 7},
    "broken": {"serial": "not a number", "x": 1},
}
OF_A_DEPLOY: Final[dict[str, Any]] = {
    "release": "2026.11.3",
    "commit": "4f1c0de",
    "deployed_at": "2026-11-23T05:12:00Z",
}
TRACKED: Final[dict[str, Any]] = OF_A_DEPLOY | {
    "subscription_id": "s-de",
    "run_id": "20261123.4",
    "run_url": "https://dev.azure.com/run",
    "deployed_by": "pipeline",
    "terraform_version": "1.9.0",
    "outcome": "failed",
    "bundle": {"blob": "de/network/9f.zip", "sha256": BUNDLE.sha256, "root": "stacks/network"},
    "modules": [{"name": "keyvault", "source": "git::https://example.com/kv", "version": "1.2.3"}],
    "state": {"key": key_of()},
    "history": [{"at": "2026-11-01T00:00:00Z", "action": "accept", "by": "bob", "reason": "hotfix"}],
    "x_note": {"keep": [1]},
}
WRITES: Final = 6
"""Of a heal: tracker and registry, and a row before and after each."""
KILLED: Final = [(number, after) for number in range(WRITES) for after in (False, True)]


@pytest.fixture(autouse=True)
def _without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording.following, "_FIRST_WAIT_SECONDS", 0)


@pytest.fixture
def world() -> World:
    """A stack whose records agree, as another hand than trueup's has written them, beside two others."""
    world = World()
    put(world)
    return world


def put(world: World, **tracker: Any) -> None:
    """Three records that agree, but for what the tracker is given to say."""
    world.apply(SERIAL)
    put_tracker(world.estate, MARKET, STACK, **(TRACKED | {"state_md5": md5_of(SERIAL)} | tracker))
    put_entry(world)


def md5_of(serial: int) -> str:
    return hashlib.md5(state_bytes(serial), usedforsecurity=False).hexdigest()


def put_entry(world: World, **changes: Any) -> None:
    own = entry(MARKET, STACK, **OF_A_DEPLOY) | {"cost_centre": 5} | changes
    put_registry(world.estate, MARKET, OTHER_STACKS | {STACK: own}, x_owner=["a"])


def job() -> HealJob:
    values: dict[str, Any] = {
        "job_id": JOB_ID,
        "market": MARKET,
        "stack": STACK,
        "lineage": LINEAGE,
        "serial": SERIAL,
        "bundle_sha256": BUNDLE.sha256,
        "fingerprint": "f" * 64,
        "addresses": ("azurerm_subnet.a",),
        "queued_at": NOW,
        "expires_at": NOW + timedelta(hours=2),
    }
    return HealJob(**values)


def recorder(world: World) -> HealRecorder:
    return HealedStackRecorder(records=world.records, writer=BlobRecordWriter(world.blobs, CONTAINERS), log=world.log)


async def recorded(world: World, *, serial: int | None = None) -> HealRecording:
    """Of a heal whose worker has seen the state as it is, or at this serial."""
    if serial is None:
        state = await world.records.state(location=StateLocation(key=key_of()))
        serial = state.record.serial if isinstance(state, Present) else SERIAL + 1
    return await recorder(world).record_heal(job=job(), serial=serial, at=AT)


async def documents(world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tracker and registry as they are."""
    tracker, registry = [
        json.loads(await world.text(container, blob))
        for container, blob in ((CONTAINERS.trackers, TRACKER), (CONTAINERS.registry, REGISTRY))
    ]
    return tracker, registry


def written(world: World) -> list[str]:
    return [place.container for place, _ in world.blobs.writes]


async def verdict(world: World) -> Verdict:
    return (await world.result()).verdict


class TestAHealThatMovedTheSerial:
    async def test_is_healthy_and_would_be_drift_without_its_record(self, world: World) -> None:
        world.apply(SERIAL + 2)
        assert await verdict(world) is Verdict.PIPELINE_DRIFT
        assert await recorded(world) is HealRecording.RECORDED
        result = await world.result()
        assert (result.verdict, result.tier, result.serials.state) == (Verdict.HEALTHY, 1, SERIAL + 2)

    async def test_says_what_is_new_in_the_tracker_and_keeps_all_else(self, world: World) -> None:
        before, _ = await documents(world)
        world.apply(SERIAL + 1)
        await recorded(world)
        after, _ = await documents(world)
        new = {
            "serial": SERIAL + 1,
            "lineage": LINEAGE,
            "state_md5": md5_of(SERIAL + 1),
            "terraform_version": "1.11.4",
            "run_id": JOB_ID,
            "deployed_by": "trueup",
            "deployed_at": AT_TEXT,
        }
        assert after == {key: value for key, value in (before | new).items() if key not in {"run_url", "outcome"}}

    async def test_has_the_registry_follow_and_no_other_stack(self, world: World) -> None:
        world.apply(SERIAL + 1)
        await recorded(world)
        _, registry = await documents(world)
        own = entry(MARKET, STACK, **OF_A_DEPLOY) | {"cost_centre": 5, "serial": SERIAL + 1, "deployed_at": AT_TEXT}
        assert registry["stacks"] == OTHER_STACKS | {STACK: own}
        assert registry["x_owner"] == ["a"]

    async def test_leaves_a_row_for_each_write(self, world: World) -> None:
        before, _ = await documents(world)
        world.apply(SERIAL + 1)
        await recorded(world)
        rows = await world.logged()
        assert {(row.kind, row.stack, row.status) for row in rows} == {
            (WrittenKind.TRACKER, STACK, WriteStatus.WRITTEN),
            (WrittenKind.REGISTRY, STACK, WriteStatus.WRITTEN),
        }
        assert {(row.by, row.command, row.run_id, row.at, row.reason) for row in rows} == {
            ("trueup", RecordCommand.HEAL, JOB_ID, AT, None)
        }
        tracker = next(row for row in rows if row.kind is WrittenKind.TRACKER)
        assert json.loads(tracker.before or "") == before
        assert tracker.after == await world.text(CONTAINERS.trackers, TRACKER)

    async def test_is_recorded_once(self, world: World) -> None:
        world.apply(SERIAL + 1)
        await recorded(world)
        blobs, rows = written(world), await world.logged()
        assert await recorded(world) is HealRecording.UNMOVED
        assert (written(world), await world.logged()) == (blobs, rows)

    async def test_is_recorded_where_the_tracker_gives_neither_lineage_nor_content(self, world: World) -> None:
        put(world, lineage=None, state_md5=None)
        world.apply(SERIAL + 1)
        assert await recorded(world) is HealRecording.RECORDED
        assert (await world.tracker()).lineage == LINEAGE
        assert await verdict(world) is Verdict.HEALTHY

    async def test_gives_a_vote_to_an_entry_without_one(self, world: World) -> None:
        put_entry(world, serial=None)
        world.apply(SERIAL + 1)
        await recorded(world)
        assert (await world.result()).serials.registry == SERIAL + 1

    async def test_gives_an_md5_also_where_storage_keeps_none(self, world: World) -> None:
        """Without one a state that is forked afterwards would be healthy."""
        world.blobs.put(STATE_PLACE, state_bytes(SERIAL + 1), keeps_md5=False)
        await recorded(world)
        assert (await world.tracker()).state_md5 is not None
        assert await verdict(world) is Verdict.HEALTHY
        world.blobs.put(STATE_PLACE, state_bytes(SERIAL + 1, size_bytes=5_000), keeps_md5=False)
        assert await verdict(world) is Verdict.STATE_FORKED

    async def test_is_a_heal_of_a_stack_that_trueup_has_recorded(self) -> None:
        world = World()
        world.apply(SERIAL)
        await world.record(bundle=BUNDLE, release="1")
        world.apply(SERIAL + 1)
        assert await recorded(world) is HealRecording.RECORDED
        assert await verdict(world) is Verdict.HEALTHY
        tracker = await world.tracker()
        assert (tracker.release, tracker.bundle and tracker.bundle.sha256) == ("1", BUNDLE.sha256)
        assert await world.repair() == ()


class TestAHealThatLeftTheSerial:
    async def test_and_the_content_writes_nothing(self, world: World) -> None:
        before = await documents(world)
        assert await recorded(world) is HealRecording.UNMOVED
        assert (written(world), await world.logged(), await documents(world)) == ([], [], before)

    async def test_and_the_content_writes_nothing_where_the_entry_differs_on_purpose(self, world: World) -> None:
        put_entry(world, release="of another hand", serial=None)
        assert await recorded(world) is HealRecording.UNMOVED
        assert written(world) == []

    async def test_and_moved_the_content_is_recorded(self, world: World) -> None:
        world.apply(SERIAL, size_bytes=5_000)
        assert await verdict(world) is Verdict.STATE_FORKED
        assert await recorded(world) is HealRecording.RECORDED
        assert await verdict(world) is Verdict.HEALTHY
        assert (await world.tracker()).run_id == JOB_ID
        assert await recorded(world) is HealRecording.UNMOVED

    async def test_and_moved_the_content_is_recorded_each_time_that_the_job_comes_back(self, world: World) -> None:
        """The same drift over the same serial is the same job."""
        for size_bytes in (5_000, 9_000):
            world.apply(SERIAL, size_bytes=size_bytes)
            assert await recorded(world) is HealRecording.RECORDED
            assert await verdict(world) is Verdict.HEALTHY

    async def test_has_an_entry_follow_that_has_fallen_behind_meanwhile(self, world: World) -> None:
        put_entry(world, serial=SERIAL - 1)
        assert await recorded(world) is HealRecording.RECORDED
        assert written(world) == [CONTAINERS.registry]
        assert await verdict(world) is Verdict.HEALTHY


def _moved(world: World, **tracker: Any) -> None:
    put(world, **tracker)
    world.apply(SERIAL + 1)


NOT_OURS: Final[dict[str, Callable[[World], None]]] = {
    "the tracker is of another serial": lambda world: _moved(world, serial=SERIAL + 1, run_id="another"),
    "the tracker has no serial": lambda world: _moved(world, serial=None),
    "the tracker is of another lineage": lambda world: _moved(world, lineage=OTHER_LINEAGE),
    "the tracker names another bundle": lambda world: _moved(
        world, bundle={"blob": "de/network/aa.zip", "sha256": "aa" * 32}
    ),
    "the tracker names no bundle": lambda world: _moved(world, bundle=None),
    "the tracker is of another state": lambda world: _moved(world, state={"key": "de/moved.tfstate"}),
    "the tracker is gone": lambda world: world.blobs.delete(TRACKER_PLACE),
    "the registry is gone": lambda world: world.blobs.delete(REGISTRY_PLACE),
    "the entry is gone": lambda world: put_registry(world.estate, MARKET, OTHER_STACKS),
    "the state is gone": lambda world: world.blobs.delete(STATE_PLACE),
    "the state is empty": lambda world: world.blobs.put(STATE_PLACE, b""),
    "the state is of another lineage": lambda world: world.apply(SERIAL + 1, lineage=OTHER_LINEAGE),
    "the state was rolled back": lambda world: world.apply(SERIAL - 1),
    "a tracker of this very job is of another lineage": lambda world: _moved(
        world, run_id=JOB_ID, lineage=OTHER_LINEAGE
    ),
}


@pytest.mark.parametrize("case", NOT_OURS)
async def test_a_heal_of_what_is_no_longer_there_writes_nothing(world: World, case: str) -> None:
    world.apply(SERIAL + 1)
    NOT_OURS[case](world)
    assert await recorded(world) is HealRecording.NOT_OURS
    assert (written(world), await world.logged()) == ([], [])


@pytest.mark.parametrize("now", [SERIAL, SERIAL + 2], ids=["behind", "ahead"])
async def test_a_state_of_another_serial_than_the_worker_saw_is_not_ours(world: World, now: int) -> None:
    world.apply(now)
    assert await recorded(world, serial=SERIAL + 1) is HealRecording.NOT_OURS
    assert (written(world), await world.logged()) == ([], [])


UNREADABLE: Final[dict[str, Callable[[World], None]]] = {
    "the tracker is of another schema": lambda world: _moved(world, schema_version=2),
    "the tracker is broken": lambda world: world.estate.put(CONTAINERS.trackers, TRACKER, b"{"),
    "the tracker was copied": lambda world: _moved(world, stack="app"),
    "the tracker is of another subscription": lambda world: _moved(world, subscription_id="s-fr"),
    "the tracker may not be read": lambda world: world.blobs.refuse(
        TRACKER_PLACE, StoreUnavailableError("trackers", "503")
    ),
    "the registry is broken": lambda world: world.estate.put(CONTAINERS.registry, REGISTRY, b"{"),
    "the entry is broken": lambda world: put_entry(world, serial="x"),
    "the state is broken": lambda world: world.blobs.put(STATE_PLACE, b"{"),
}


@pytest.mark.parametrize("case", UNREADABLE)
async def test_what_cannot_be_read_is_an_error_and_nothing_is_written(world: World, case: str) -> None:
    world.apply(SERIAL + 1)
    UNREADABLE[case](world)
    with pytest.raises(RecordError):
        await recorded(world)
    assert (written(world), await world.logged()) == ([], [])


async def test_a_state_that_somebody_has_locked_is_recorded_as_it_is(world: World) -> None:
    """Whoever goes to apply has not written it yet, or its serial would be another."""
    world.apply(SERIAL + 1)
    world.blobs.lease(STATE_PLACE)
    lock = LockInfo.make(created=NOW).to_metadata_value(key_of())
    world.blobs.set_metadata(STATE_PLACE, {LOCK_METADATA_KEY: lock})
    assert await recorded(world) is HealRecording.RECORDED
    assert await verdict(world) is Verdict.HEALTHY


class TestAHealWhoseRecordDied:
    @pytest.mark.parametrize("content", [{"serial": SERIAL + 1}, {"serial": SERIAL, "size_bytes": 5_000}])
    @pytest.mark.parametrize(("number", "after"), KILLED)
    async def test_is_healthy_once_it_is_done_again(
        self, world: World, number: int, after: bool, content: dict[str, Any]
    ) -> None:
        world.apply(**content)
        await self.die(world, number, after=after)
        await recorded(world)
        assert await verdict(world) is Verdict.HEALTHY
        tracker, registry = await documents(world)
        assert (tracker["run_id"], registry["stacks"][STACK]["deployed_at"]) == (JOB_ID, AT_TEXT)
        assert sorted(written(world)) == [CONTAINERS.registry, CONTAINERS.trackers]
        assert len(await world.logged()) == 2

    @pytest.mark.parametrize("state", [TRACKED["state"], None], ids=["of which it says where it is", "of the entry's"])
    @pytest.mark.parametrize("content", [{"serial": SERIAL + 1}, {"serial": SERIAL, "size_bytes": 5_000}])
    @pytest.mark.parametrize(("number", "after"), KILLED[1:])
    async def test_is_finished_by_repair(
        self, world: World, number: int, after: bool, content: dict[str, Any], state: dict[str, str] | None
    ) -> None:
        put(world, state=state)
        world.estate.put(CONTAINERS.bundles, TRACKED["bundle"]["blob"], BUNDLE.content)
        world.apply(**content)
        await self.die(world, number, after=after)
        assert all(one.is_mended for one in await world.repair())
        assert await verdict(world) is Verdict.HEALTHY
        tracker, registry = await documents(world)
        assert (tracker["run_id"], tracker["bundle"]) == (JOB_ID, TRACKED["bundle"])
        assert registry["stacks"][STACK]["deployed_at"] == AT_TEXT
        assert await recorded(world) is HealRecording.UNMOVED

    async def test_without_a_row_is_left_by_repair_to_a_person(self, world: World) -> None:
        world.apply(SERIAL + 1)
        await self.die(world, 0, after=False)
        assert await world.repair() == ()
        assert await verdict(world) is Verdict.PIPELINE_DRIFT

    @pytest.mark.parametrize(("number", "after"), KILLED)
    async def test_and_that_applied_again_is_recorded_at_the_later_serial(
        self, world: World, number: int, after: bool
    ) -> None:
        """The worker that takes the job over has found some of the drift left, and applied once more."""
        world.apply(SERIAL + 1)
        await self.die(world, number, after=after)
        await recorded(world)
        world.apply(SERIAL + 3)
        assert await recorded(world) is HealRecording.RECORDED
        assert (await world.tracker()).serial == SERIAL + 3
        assert await verdict(world) is Verdict.HEALTHY
        kept = {json.loads(row.after)["serial"] for row in await world.logged() if row.kind is WrittenKind.TRACKER}
        assert kept == {SERIAL + 1, SERIAL + 3}

    async def test_leaves_alone_a_state_that_was_written_since(self, world: World) -> None:
        world.apply(SERIAL + 1)
        await self.die(world, 2, after=True)
        world.apply(SERIAL + 5)
        blobs = written(world)
        assert await recorded(world, serial=SERIAL + 1) is HealRecording.NOT_OURS
        assert written(world) == blobs

    @pytest.mark.parametrize("gone", [TRACKER_PLACE, REGISTRY_PLACE], ids=["the tracker", "the registry"])
    async def test_is_not_ours_once_a_record_is_gone(self, world: World, gone: BlobPlace) -> None:
        put(world, subscription_id=None)
        world.apply(SERIAL + 1)
        world.blobs.after_write = lambda _place: world.blobs.delete(gone)
        with pytest.raises(BlobChangedError):
            await recorded(world)
        revive(world)
        assert await recorded(world) is HealRecording.NOT_OURS

    async def test_of_a_row_is_not_recorded(self, world: World) -> None:
        world.apply(SERIAL + 1)
        world.log.refuse("save", StoreUnavailableError("recordlog", "503"))
        with pytest.raises(StoreUnavailableError):
            await recorded(world)
        assert written(world) == []

    async def test_of_a_registry_that_takes_none_is_done_again(self, world: World) -> None:
        world.apply(SERIAL + 1)
        world.blobs.refuse(CONTAINERS.registry, StoreUnavailableError("registry", "503"), writes=True)
        with pytest.raises(StoreUnavailableError):
            await recorded(world)
        assert await verdict(world) is Verdict.REGISTRY_BEHIND
        world.blobs.heal()
        assert await recorded(world) is HealRecording.RECORDED
        assert await verdict(world) is Verdict.HEALTHY

    @staticmethod
    async def die(world: World, number: int, *, after: bool) -> None:
        kill_at(world, number, after=after)
        with pytest.raises(KilledError):
            await recorded(world)
        revive(world)


class TestWhatRepairMakesOfABegunHeal:
    """One that died with its row in the log alone."""

    @pytest.fixture
    async def begun(self, world: World) -> World:
        world.estate.put(CONTAINERS.bundles, TRACKED["bundle"]["blob"], BUNDLE.content)
        world.apply(SERIAL + 1)
        await TestAHealWhoseRecordDied.die(world, 0, after=True)
        return world

    async def test_says_what_it_would_finish(self, begun: World) -> None:
        (correction,) = (await begun.plan_repairs()).corrections
        assert (correction.kind, correction.verdict) == (WrittenKind.TRACKER, Verdict.PIPELINE_DRIFT)
        assert f"heal {JOB_ID}" in correction.why

    @pytest.mark.parametrize(
        "tracker",
        [
            pytest.param({"bundle": {"blob": "de/network/aa.zip", "sha256": "aa" * 32}}, id="of another bundle"),
            pytest.param({"serial": SERIAL + 1, "state_md5": None}, id="of the same content"),
        ],
    )
    async def test_nothing_over_a_tracker_that_another_hand_wrote(self, begun: World, tracker: dict[str, Any]) -> None:
        put_tracker(begun.estate, MARKET, STACK, **(TRACKED | tracker))
        kinds = {one.kind for one in (await begun.plan_repairs()).corrections}
        assert WrittenKind.TRACKER not in kinds

    async def test_nothing_where_the_tracker_is_gone(self, begun: World) -> None:
        begun.blobs.delete(TRACKER_PLACE)
        assert (await begun.plan_repairs()).corrections == ()

    async def test_nothing_of_a_state_that_has_moved_on(self, begun: World) -> None:
        begun.apply(SERIAL + 2)
        assert await begun.repair() == ()

    async def test_nothing_after_a_person_has_accepted_it(self, begun: World) -> None:
        begun.minutes = iter(range(60, 99))  # type: ignore[assignment]
        assert await begun.accept() is not None
        assert await begun.repair() == ()
        assert [one.action for one in (await begun.tracker()).history or ()] == [HistoryAction.ACCEPT] * 2
        assert await recorded(begun) is HealRecording.NOT_OURS

    async def test_one_that_was_refused_before_it_died(self, world: World) -> None:
        """Another hand had added a note to the tracker between its reading and its write."""
        world.estate.put(CONTAINERS.bundles, TRACKED["bundle"]["blob"], BUNDLE.content)
        world.apply(SERIAL + 1)
        noted = TRACKED | {"state_md5": md5_of(SERIAL), "x_note": "new"}
        world.blobs.before_write = lambda _place: put_tracker(world.estate, MARKET, STACK, **noted)
        with pytest.raises(KilledError):
            await self.recorded_until_refused(world)
        revive(world)
        (repaired,) = await world.repair()
        assert (repaired.is_mended, (await world.tracker()).run_id) == (True, JOB_ID)

    @staticmethod
    async def recorded_until_refused(world: World) -> None:
        save = world.log.save

        async def die_once_refused(*, writes: list[LoggedWrite]) -> None:
            await save(writes=writes)
            if any(write.status is WriteStatus.REFUSED for write in writes):
                raise KilledError

        world.log.save = die_once_refused  # type: ignore[method-assign, assignment]
        await recorded(world)

    async def test_nothing_of_one_that_gave_way(self, world: World) -> None:
        """A person, whose command had begun before the heal's record, accepted what it left."""
        world.apply(SERIAL + 1)
        accepted = dict(TRACKED, serial=SERIAL + 1, state_md5=md5_of(SERIAL + 1))
        world.blobs.before_write = lambda place: put_tracker(world.estate, MARKET, STACK, **accepted)
        assert await recorded(world) is HealRecording.NOT_OURS
        revive(world)
        (row,) = await world.logged()
        assert (row.command, row.status) == (RecordCommand.HEAL, WriteStatus.REFUSED)
        assert WrittenKind.TRACKER not in {one.kind for one in (await world.plan_repairs()).corrections}


class TestAPipelineAtTheSameTime:
    async def test_that_records_between_reading_and_writing_stands(self, world: World) -> None:
        world.apply(SERIAL + 1)

        def deploy(_place: BlobPlace) -> None:
            world.blobs.before_write = lambda _place: None
            world.apply(SERIAL + 2)
            put_tracker(world.estate, MARKET, STACK, **(TRACKED | {"serial": SERIAL + 2, "run_id": "pipeline"}))

        world.blobs.before_write = deploy
        assert await recorded(world) is HealRecording.NOT_OURS
        tracker, registry = await documents(world)
        assert (tracker["serial"], tracker["run_id"]) == (SERIAL + 2, "pipeline")
        assert registry["stacks"][STACK]["serial"] == SERIAL
        assert {row.status for row in await world.logged()} == {WriteStatus.REFUSED}

    async def test_that_rewrites_the_same_deploy_is_written_over(self, world: World) -> None:
        """Another hand adds a note: the ground is still that of the job."""
        world.apply(SERIAL + 1)

        def note(_place: BlobPlace) -> None:
            world.blobs.before_write = lambda _place: None
            put_tracker(world.estate, MARKET, STACK, **(TRACKED | {"x_note": "new"}))

        world.blobs.before_write = note
        assert await recorded(world) is HealRecording.RECORDED
        tracker, _ = await documents(world)
        assert (tracker["x_note"], tracker["run_id"]) == ("new", JOB_ID)
        assert await verdict(world) is Verdict.HEALTHY

    async def test_whose_entry_of_another_stack_comes_between_keeps_it(self, world: World) -> None:
        world.apply(SERIAL + 1)
        theirs = OTHER_STACKS | {"app": entry(MARKET, "app", serial=8)}

        def write_theirs(place: BlobPlace) -> None:
            if place == REGISTRY_PLACE:
                world.blobs.before_write = lambda _place: None
                put_registry(world.estate, MARKET, theirs | {STACK: entry(MARKET, STACK)})

        world.blobs.before_write = write_theirs
        assert await recorded(world) is HealRecording.RECORDED
        _, registry = await documents(world)
        assert registry["stacks"]["app"] == theirs["app"]
        assert await verdict(world) is Verdict.HEALTHY

    @given(data=st.data())
    @settings(max_examples=60, deadline=None)
    async def test_is_what_is_on_record_in_the_end(self, data: st.DataObject) -> None:
        """It applies after the heal, which Terraform's lock makes sure of, and names another bundle."""
        world = World()
        put(world)
        world.apply(SERIAL + 1)

        async def deploy() -> None:
            world.apply(SERIAL + 2)
            world.minutes = iter(range(31, 99))  # type: ignore[assignment]
            await world.record(run_id="pipeline", release="new")

        await interleaved(world, [lambda: recorded(world, serial=SERIAL + 1), deploy], data)
        tracker, registry = await documents(world)
        assert (tracker["run_id"], tracker["serial"], "bundle" in tracker) == ("pipeline", SERIAL + 2, False)
        assert registry["stacks"][STACK]["release"] == "new"
        assert await verdict(world) is Verdict.HEALTHY
        assert await world.repair() == ()

    @pytest.mark.parametrize("dies_at", [None, 0], ids=["records", "dies with its row alone"])
    async def test_of_which_the_heal_has_recorded_the_content_goes_over_it(
        self, world: World, dies_at: int | None
    ) -> None:
        """It had applied before the heal was recorded, and records after it."""
        world.apply(SERIAL + 2)
        assert await recorded(world) is HealRecording.RECORDED
        world.minutes = iter(range(31, 99))  # type: ignore[assignment]
        if dies_at is None:
            await world.record(run_id="pipeline")
        else:
            kill_at(world, dies_at, after=True)
            with pytest.raises(KilledError):
                await world.record(run_id="pipeline")
            revive(world)
            await world.repair()
        assert ((await world.tracker()).run_id, await verdict(world)) == ("pipeline", Verdict.HEALTHY)

"""What a pipeline calls after every deploy, and what it leaves: alone, beside others, and cut off."""

import asyncio
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recording.following
from recording.deploy import StateClaims
from recording.record import Recording
from records.errors import (
    ContainerMissingError,
    RecordError,
    RefusedWriteError,
    StoreUnavailableError,
)
from records.record_log import RecordCommand, WriteStatus, WrittenKind
from records.registry import StateLocation
from records.tracker import Outcome
from records.verdicts import Verdict
from tests.estates import CONTAINERS, LINEAGE, entry, put_registry, put_tracker
from tests.interleaving import interleaved
from tests.recording_world import BUNDLE, MARKET, STACK, SUBSCRIPTION, KilledError, World, key_of, kill_at, revive

TRACKER = f"{MARKET}/{STACK}.json"
REGISTRY = f"{MARKET}/subscription.json"
WRITES = 9
"""Of a deploy with a bundle: three blobs, and a row before and after each."""


@pytest.fixture(autouse=True)
def _without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording.following, "_FIRST_WAIT_SECONDS", 0)


@pytest.fixture
def world() -> World:
    return World()


class TestADeploy:
    async def test_of_a_new_market_makes_all_its_records(self, world: World) -> None:
        world.apply(1)
        recorded = await world.record(release="2026.11.3", commit="4f1c0de", bundle=BUNDLE)
        assert recorded.recording is Recording.RECORDED
        result = await world.result()
        assert (result.verdict, result.tier, result.release) == (Verdict.HEALTHY, 1, "2026.11.3")
        registry = json.loads(await world.text(CONTAINERS.registry, REGISTRY))
        assert registry == {
            "schema_version": 1,
            "market": MARKET,
            "subscription_id": SUBSCRIPTION,
            "stacks": {
                STACK: {
                    "state": {"key": key_of()},
                    "lineage": LINEAGE,
                    "serial": 1,
                    "release": "2026.11.3",
                    "commit": "4f1c0de",
                    "deployed_at": "2026-11-25T06:00:00Z",
                }
            },
        }

    async def test_that_changed_nothing_is_recorded_too(self, world: World) -> None:
        world.apply(3)
        await world.record(release="1")
        await world.record(release="2")
        assert (await world.result()).release == "2"
        assert (await world.tracker()).serial == 3

    async def test_records_what_the_state_says_and_no_serial_of_its_own(self, world: World) -> None:
        world.apply(1)
        await world.record()
        world.apply(7, lineage="another-lineage")
        await world.record()
        tracker = await world.tracker()
        assert (tracker.serial, tracker.lineage, tracker.terraform_version) == (7, "another-lineage", "1.11.4")
        assert (await world.result()).verdict is Verdict.HEALTHY

    async def test_keeps_what_this_version_does_not_know(self, world: World) -> None:
        stacks = {
            STACK: entry(MARKET, STACK) | {"cost_centre": 7, "state": {"key": key_of(), "tier": "hot"}},
            "app": {"serial": "not a number", "x": 1},
        }
        put_registry(world.estate, MARKET, stacks, x_owner=["a"])
        put_tracker(world.estate, MARKET, STACK, x_note="keep", run_id="old", bundle=None, release="old")
        world.apply(43)
        await world.record(run_id="new")
        registry = json.loads(await world.text(CONTAINERS.registry, REGISTRY))
        tracker = json.loads(await world.text(CONTAINERS.trackers, TRACKER))
        assert registry["x_owner"] == ["a"]
        assert registry["stacks"]["app"] == stacks["app"]
        assert registry["stacks"][STACK]["cost_centre"] == 7
        assert registry["stacks"][STACK]["state"] == {"key": key_of(), "tier": "hot"}
        assert (tracker["x_note"], tracker["run_id"]) == ("keep", "new")
        assert "release" not in tracker
        assert registry["stacks"][STACK]["serial"] == tracker["serial"] == 43

    async def test_mends_an_entry_whose_fields_it_writes_anyway(self, world: World) -> None:
        put_registry(world.estate, MARKET, {STACK: entry(MARKET, STACK, serial="41", deployed_at=5)})
        world.apply(42)
        await world.record()
        assert (await world.result()).verdict is Verdict.HEALTHY

    async def test_names_a_bundle_only_once_it_is_there(self, world: World) -> None:
        world.apply(1)
        world.blobs.refuse(CONTAINERS.bundles, ContainerMissingError(CONTAINERS.bundles, "404"), writes=True)
        with pytest.raises(ContainerMissingError):
            await world.record(bundle=BUNDLE)
        assert not await exists(world, CONTAINERS.trackers, TRACKER)

    async def test_leaves_a_row_for_each_write(self, world: World) -> None:
        world.apply(1)
        await world.record(bundle=BUNDLE)
        rows = await world.logged()
        assert [(row.kind, row.stack, row.status) for row in rows if row.kind is WrittenKind.TRACKER] == [
            (WrittenKind.TRACKER, STACK, WriteStatus.WRITTEN)
        ]
        of_the_stack = {(kind, STACK) for kind in WrittenKind}
        assert {(row.kind, row.stack) for row in rows} == of_the_stack | {(WrittenKind.REGISTRY, None)}
        assert {row.status for row in rows} == {WriteStatus.WRITTEN}
        assert {(row.by, row.command, row.run_id) for row in rows} == {
            ("alice@example.com", RecordCommand.RECORD, None)
        }
        tracker = next(row for row in rows if row.kind is WrittenKind.TRACKER)
        assert tracker.before is None
        assert tracker.after == await world.text(CONTAINERS.trackers, TRACKER)

    async def test_is_not_recorded_where_its_row_cannot_be_kept(self, world: World) -> None:
        world.apply(1)
        world.log.refuse("save", StoreUnavailableError("recordlog", "503"))
        with pytest.raises(StoreUnavailableError):
            await world.record()
        assert world.blobs.writes == []


class TestAFailedApply:
    async def test_that_moved_the_state_is_recorded_as_failed(self, world: World) -> None:
        world.apply(1)
        await world.record()
        world.apply(2)
        assert (await world.record(outcome=Outcome.FAILED)).recording is Recording.RECORDED
        assert (await world.tracker()).outcome is Outcome.FAILED
        assert (await world.result()).verdict is Verdict.HEALTHY

    async def test_is_forgotten_by_the_next_that_succeeds(self, world: World) -> None:
        world.apply(1)
        await world.record(outcome=Outcome.FAILED)
        await world.record()
        assert (await world.tracker()).outcome is None

    async def test_that_moved_nothing_is_not_recorded(self, world: World) -> None:
        world.apply(1)
        await world.record(run_id="good")
        before = len(world.blobs.writes)
        assert (await world.record(outcome=Outcome.FAILED)).recording is Recording.NOTHING_MOVED
        assert len(world.blobs.writes) == before
        assert (await world.tracker()).run_id == "good"

    @pytest.mark.parametrize("lineage", [None, LINEAGE], ids=["no lineage", "its lineage"])
    async def test_that_moved_nothing_is_not_recorded_where_a_tracker_has(
        self, world: World, lineage: str | None
    ) -> None:
        world.apply(1)
        put_tracker(world.estate, MARKET, STACK, serial=1, lineage=lineage)
        assert (await world.record(outcome=Outcome.FAILED)).recording is Recording.NOTHING_MOVED

    async def test_without_a_state_is_not_recorded(self, world: World) -> None:
        assert (await world.record(outcome=Outcome.FAILED)).recording is Recording.NOTHING_MOVED

    async def test_that_moved_nothing_blesses_no_drift_where_the_pipeline_knows_the_serial(self, world: World) -> None:
        world.apply(1)
        await world.record()
        world.apply(3)
        recorded = await world.record(outcome=Outcome.FAILED, serial_before=3)
        assert recorded.recording is Recording.NOTHING_MOVED
        assert (await world.result()).verdict is Verdict.PIPELINE_DRIFT

    async def test_of_a_tier_2_stack_that_moved_nothing_is_not_recorded(self, world: World) -> None:
        put_registry(world.estate, MARKET, {STACK: entry(MARKET, STACK, serial=4)})
        world.apply(4)
        assert (await world.record(outcome=Outcome.FAILED)).recording is Recording.NOTHING_MOVED
        world.apply(5)
        assert (await world.record(outcome=Outcome.FAILED)).recording is Recording.RECORDED


class TestRefusals:
    async def test_a_deploy_without_a_state_says_where_it_looked(self, world: World) -> None:
        with pytest.raises(RefusedWriteError, match=r"no state at de/network\.tfstate"):
            await world.record()

    async def test_nothing_says_where_the_state_is(self, world: World) -> None:
        with pytest.raises(RefusedWriteError, match="--state-key"):
            await world.record(state=StateClaims())

    async def test_a_folder_of_another_stack_s_state(self, world: World) -> None:
        put_registry(world.estate, MARKET, {STACK: entry(MARKET, STACK)})
        world.apply(42)
        world.apply(42, stack="app")
        with pytest.raises(RefusedWriteError, match=r"de/app\.tfstate.*de/network\.tfstate"):
            await world.record(state=StateClaims(initialised=StateLocation(key=key_of("app"))))
        assert world.blobs.writes == []

    async def test_a_stack_that_was_moved_is_asked_for_by_name(self, world: World) -> None:
        put_registry(world.estate, MARKET, {STACK: entry(MARKET, STACK)})
        world.apply(42, stack="elsewhere")
        await world.record(state=StateClaims(asked_for=StateLocation(key=key_of("elsewhere"))))
        result = await world.result()
        assert (result.verdict, result.evidence.state.blob) == (Verdict.HEALTHY, key_of("elsewhere"))

    async def test_a_new_market_whose_subscription_nobody_says(self, world: World) -> None:
        world.apply(1)
        with pytest.raises(RefusedWriteError, match="--subscription-id"):
            await world.record(signed_in_to=None)

    async def test_another_market_s_subscription(self, world: World) -> None:
        put_registry(world.estate, MARKET, {})
        world.apply(1)
        with pytest.raises(RefusedWriteError, match="--subscription-id"):
            await world.record(subscription_id="s-fr")

    async def test_the_pipeline_s_own_subscription_need_not_be_the_market_s(self, world: World) -> None:
        put_registry(world.estate, MARKET, {})
        world.apply(1)
        await world.record(signed_in_to="s-hub")
        assert (await world.tracker()).subscription_id == SUBSCRIPTION

    async def test_a_state_that_cannot_be_read(self, world: World) -> None:
        world.estate.put(CONTAINERS.states, key_of(), b"{broken")
        with pytest.raises(RecordError):
            await world.record()

    async def test_a_tracker_of_a_later_schema_is_left_as_it_is(self, world: World) -> None:
        put_tracker(world.estate, MARKET, STACK, schema_version=2)
        world.apply(1)
        with pytest.raises(RecordError, match="schema_version"):
            await world.record()
        assert world.blobs.writes == []

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"{", id="no JSON"),
            pytest.param(b"\xff\xfe{", id="no UTF-8"),
            pytest.param(b'{"schema_version": 1}', id="without a market"),
            pytest.param(b'{"schema_version": 1, "market": "fr", "stack": "x"}', id="another stack's"),
        ],
    )
    async def test_a_tracker_that_is_broken_or_copied_is_written_anew_and_kept_in_the_log(
        self, world: World, content: bytes
    ) -> None:
        world.estate.put(CONTAINERS.trackers, TRACKER, content)
        world.apply(1)
        await world.record()
        assert (await world.result()).verdict is Verdict.HEALTHY
        row = next(row for row in await world.logged() if row.kind is WrittenKind.TRACKER)
        assert row.before == content.decode("utf-8", "backslashreplace")

    async def test_a_registry_record_that_is_broken_costs_the_entry_and_not_the_tracker(self, world: World) -> None:
        world.estate.put(CONTAINERS.registry, REGISTRY, b"{")
        world.apply(1)
        with pytest.raises(RecordError, match=r"subscription\.json"):
            await world.record()
        assert (await world.tracker()).serial == 1
        assert await world.text(CONTAINERS.registry, REGISTRY) == "{"


class TestSideBySide:
    async def test_twenty_stacks_of_one_market_are_all_there(self, world: World) -> None:
        stacks = [f"stack-{number}" for number in range(20)]
        for stack in stacks:
            world.apply(1, stack=stack)
        await asyncio.gather(*(world.record(stack) for stack in stacks))
        assert await world.verdicts() == dict.fromkeys(stacks, "healthy")

    @given(st.data())
    @settings(max_examples=150, deadline=None)
    def test_however_the_writes_of_deploys_come_the_last_is_on_record(self, data: st.DataObject) -> None:
        """Deploys of one stack, whose applies Terraform's lock keeps apart and whose records nothing does."""
        world = World()
        deploys = data.draw(st.integers(2, 4), label="deploys")
        no_ops = data.draw(st.sets(st.integers(1, deploys - 1)), label="deploys that change nothing")

        async def deploy(number: int) -> None:
            if number not in no_ops:
                world.apply(10 + number)
            await world.record(run_id=f"run-{number}", release=f"{number}")

        asyncio.run(interleaved(world, [lambda n=n: deploy(n) for n in range(deploys)], data))  # type: ignore[misc]
        result = asyncio.run(world.result())
        assert (result.verdict, result.release) == (Verdict.HEALTHY, f"{deploys - 1}")
        assert result.serials.state == max(10 + number for number in range(deploys) if number not in no_ops)

    @given(st.data())
    @settings(max_examples=150, deadline=None)
    def test_deploys_of_different_stacks_lose_none_of_their_entries(self, data: st.DataObject) -> None:
        world = World()
        stacks = ["app", "data", "network"]
        for number, stack in enumerate(stacks):
            world.apply(number, stack=stack)
        asyncio.run(interleaved(world, [lambda s=s: world.record(s) for s in stacks], data))  # type: ignore[misc]
        assert asyncio.run(world.verdicts()) == dict.fromkeys(stacks, "healthy")


class TestCutOff:
    """A process that dies at any of its writes, before it or after it."""

    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize("number", range(WRITES))
    @pytest.mark.parametrize("first", [True, False], ids=["the first deploy", "a later deploy"])
    async def test_repair_finishes_what_was_begun(self, world: World, first: bool, number: int, after: bool) -> None:
        world.apply(1)
        await world.record("app", state=StateClaims(initialised=StateLocation(key=key_of())))
        world.apply(1, stack="data")
        if not first:
            await world.record("data", bundle=replace(BUNDLE, sha256="1e" * 32))
        world.apply(2, stack="data")
        tell_writes = kill_at(world, number, after=after)
        with pytest.raises(KilledError):
            await world.record("data", release="2", bundle=BUNDLE, run_id="cut-off")
        assert tell_writes() == number + 1
        revive(world)
        begun_in_vain = number == 0 and not after
        if begun_in_vain:
            return
        for repaired in await world.repair():
            assert repaired.is_mended
        assert await world.verdicts() == {"app": "healthy", "data": "healthy"}
        tracker = await world.tracker("data")
        assert (tracker.run_id, tracker.release, tracker.serial) == ("cut-off", "2", 2)
        if tracker.bundle:
            assert await world.records.has_bundle(blob=tracker.bundle.blob)

    async def test_there_are_no_more_writes_than_that(self, world: World) -> None:
        world.apply(1)
        tell_writes = kill_at(world, 99, after=True)
        await world.record(bundle=BUNDLE)
        assert tell_writes() == WRITES

    @pytest.mark.parametrize("number", range(WRITES))
    async def test_recording_again_finishes_it_too(self, world: World, number: int) -> None:
        world.apply(1)
        kill_at(world, number, after=True)
        with pytest.raises(KilledError):
            await world.record(bundle=BUNDLE)
        revive(world)
        await world.record(bundle=BUNDLE, release="again")
        result = await world.result()
        assert (result.verdict, result.release) == (Verdict.HEALTHY, "again")

    async def test_what_was_begun_is_not_finished_once_the_state_has_moved(self, world: World) -> None:
        world.apply(1)
        await world.record()
        world.apply(2)
        kill_at(world, 0, after=True)
        with pytest.raises(KilledError):
            await world.record()
        revive(world)
        world.apply(3)
        assert await world.repair() == ()
        assert (await world.result()).verdict is Verdict.PIPELINE_DRIFT

    async def test_what_was_begun_before_another_write_is_history(self, world: World) -> None:
        world.apply(1)
        kill_at(world, 0, after=True)
        with pytest.raises(KilledError):
            await world.record()
        revive(world)
        world.apply(2)
        await world.record()
        world.apply(1)
        assert await world.repair() == ()
        assert (await world.result()).verdict is Verdict.STATE_ROLLED_BACK


async def exists(world: World, container: str, blob: str) -> bool:
    return blob in [name async for name in world.blobs.names(container=container)]

"""What adopting makes of states and of the records there are: what comes to tier 1, what is left alone, and what is cut off."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recording.following
from adapters.blob_store import BlobPlace
from recording.adopt import Adopted, adopt_states, not_written, plan_adoptions
from recording.adoption import Adopting
from recording.placing import Place, Placing, StateSource
from recording.registered_states import checked_by_registry
from records.errors import (
    AccessDeniedError,
    ContainerMissingError,
    RefusedWriteError,
    StoreError,
    StoreUnavailableError,
)
from records.record_log import RecordCommand, WriteStatus
from records.tracker import HistoryAction
from records.verdicts import Verdict
from tests.estates import CONTAINERS, LINEAGE, SERIAL, entry, put_registry, put_state, put_tracker, state_bytes
from tests.interleaving import interleaved
from tests.recording_world import BUNDLE, MARKET, NOW, STACK, SUBSCRIPTION, KilledError, World, key_of
from tests.world.state_blob import LOCK_METADATA_KEY, LockInfo

TRACKER = f"{MARKET}/{STACK}.json"
REGISTRY = f"{MARKET}/subscription.json"
OTHER_LINEAGE = "11111111-2222-3333-4444-555555555555"
DEPLOY = {"release": "2026.11.3", "commit": "4f1c0de", "deployed_at": "2026-11-20T00:00:00Z"}
LATER = {"deployed_at": "2026-11-22T00:00:00Z"}
"""Of a record, against a state that is of 2026-11-20 in every test."""
NO_SERIAL: dict[str, Any] = {"serial": None, "lineage": None}
SUBSCRIPTIONS = {market: f"s-{market}" for market in ("de", "fr", "at")}
OWN = StateSource()


@pytest.fixture(autouse=True)
def _without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording.following, "_FIRST_WAIT_SECONDS", 0)


@pytest.fixture
def world() -> World:
    return World()


def place(stack: str = STACK, market: str = MARKET, **more: Any) -> Place:
    return Place(**({"blob": f"{market}/{stack}.tfstate", "market": market, "stack": stack} | more))


async def adopt(
    world: World,
    *places: Place,
    writes: bool = True,
    subscriptions: dict[str, str] | None = None,
    source: StateSource = OWN,
) -> list[Adopted]:
    """As the command does it: looks at all, then writes."""
    author = world.author(RecordCommand.ADOPT)
    adoptions = await plan_adoptions(
        places or [place()],
        source=source,
        subscriptions=SUBSCRIPTIONS if subscriptions is None else subscriptions,
        records=world.records,
        judge=world.judge,
        author=author,
        width=4,
    )
    if not writes:
        return list(not_written(adoptions))
    return list(
        await adopt_states(adoptions, records=world.records, judge=world.judge, book=world.book(author), width=4)
    )


def put(world: World, *, state: int | None, tracker: dict[str, Any] | None, registry: dict[str, Any] | None) -> None:
    """A stack whose records say this; an empty one says the serial of all tests, None is no record."""
    if state is not None:
        world.apply(state)
    if tracker is not None:
        put_tracker(world.estate, MARKET, STACK, **tracker)
    put_registry(world.estate, MARKET, {} if registry is None else {STACK: entry(MARKET, STACK, **registry)})


async def documents(world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tracker, and the stack's entry in the registry."""
    tracker = json.loads(await world.text(CONTAINERS.trackers, TRACKER))
    registry = json.loads(await world.text(CONTAINERS.registry, REGISTRY))
    return tracker, registry["stacks"][STACK]


def content(world: World) -> dict[str, bytes]:
    """Every blob, so that a test can say that not a byte was written."""
    return {
        f"{container}/{name}": blob.content
        for (_, container), blobs in world.blobs._containers.items()
        for name, blob in blobs.items()
    }


class TestAnEstateWithoutRecords:
    async def test_gets_all_its_records_with_the_state_as_it_is(self, world: World) -> None:
        world.apply(7)
        (adopted,) = await adopt(world)
        assert (adopted.verdict, adopted.has_its_records, adopted.adoption.before) == (Verdict.HEALTHY, True, None)
        tracker, stack_entry = await documents(world)
        state = await world.blobs.read(BlobPlace(container=CONTAINERS.states, name=key_of()), length_bytes=1)
        assert tracker == {
            "schema_version": 1,
            "market": MARKET,
            "stack": STACK,
            "subscription_id": SUBSCRIPTION,
            "lineage": LINEAGE,
            "serial": 7,
            "state_md5": state.facts.content_md5,
            "terraform_version": "1.11.4",
            "state": {"key": key_of()},
            "history": [{"at": "2026-11-25T06:00:00Z", "action": "adopt", "by": "alice@example.com"}],
        }
        assert stack_entry == {"state": {"key": key_of()}, "lineage": LINEAGE, "serial": 7}
        assert (await world.result()).tier == 1

    async def test_is_only_looked_at_without_yes(self, world: World) -> None:
        world.apply(7)
        before = content(world)
        (adopted,) = await adopt(world, writes=False)
        assert (adopted.adoption.adopting, adopted.verdict, adopted.has_its_records) == (Adopting.ADOPT, None, False)
        assert adopted.adoption.tracker is not None
        assert adopted.adoption.entry is not None
        assert (content(world), await world.logged()) == (before, [])
        await adopt(world)
        tracker, stack_entry = await documents(world)
        shown = adopted.adoption
        assert shown.tracker is not None
        assert shown.entry is not None
        assert tracker | {"history": None} == shown.tracker.model_dump(mode="json", exclude_unset=True) | {
            "history": None
        }
        assert stack_entry == shown.entry.model_dump(mode="json", exclude_unset=True)

    async def test_has_a_market_s_entries_in_one_write_and_a_row_for_each(self, world: World) -> None:
        stacks = [f"s{number:02}" for number in range(12)]
        for stack in stacks:
            world.apply(3, stack=stack)
        await adopt(world, *map(place, stacks))
        assert await world.verdicts() == dict.fromkeys(stacks, "healthy")
        assert [one.name for one, _ in world.blobs.writes if one.container == CONTAINERS.registry] == [REGISTRY]
        rows = await world.logged()
        assert sorted((row.kind, row.stack or "") for row in rows) == sorted(
            [("registry", ""), *(("tracker", stack) for stack in stacks), *(("registry", stack) for stack in stacks)]
        )
        assert {(row.status, row.command) for row in rows} == {(WriteStatus.WRITTEN, RecordCommand.ADOPT)}

    async def test_says_where_a_state_is_that_is_not_in_the_estates_own_container(self, world: World) -> None:
        world.estate.put("de-states", "net.tfstateenv:prod", state_bytes(7))
        source = StateSource(container="de-states")
        (adopted,) = await adopt(world, place(blob="net.tfstateenv:prod"), source=source)
        assert adopted.verdict is Verdict.HEALTHY
        _, stack_entry = await documents(world)
        assert stack_entry["state"] == {"key": "net.tfstate", "workspace": "prod", "container": "de-states"}

    async def test_keeps_the_stacks_that_its_registry_record_has(self, world: World) -> None:
        put_registry(world.estate, MARKET, {"old": {"serial": "broken", "x": 1}}, x_owner=["a"])
        world.apply(7)
        await adopt(world, subscriptions={})
        registry = json.loads(await world.text(CONTAINERS.registry, REGISTRY))
        assert (registry["x_owner"], registry["stacks"]["old"]) == (["a"], {"serial": "broken", "x": 1})
        assert list(registry["stacks"]) == ["old", STACK]

    async def test_a_state_of_which_storage_keeps_no_md5_is_adopted_without(self, world: World) -> None:
        where = BlobPlace(container=CONTAINERS.states, name=key_of())
        world.blobs.put(where, state_bytes(7), keeps_md5=False)
        (adopted,) = await adopt(world)
        tracker, _ = await documents(world)
        assert (adopted.verdict, tracker.get("state_md5")) == (Verdict.HEALTHY, None)

    async def test_a_state_without_an_md5_is_read_whole_beside_a_tracker_that_has_one(self, world: World) -> None:
        where = BlobPlace(container=CONTAINERS.states, name=key_of())
        world.blobs.put(where, state_bytes(SERIAL), keeps_md5=False)
        md5 = hashlib.md5(state_bytes(SERIAL), usedforsecurity=False).hexdigest()
        put_tracker(world.estate, MARKET, STACK, state_md5=md5)
        (adopted,) = await adopt(world)
        assert adopted.verdict is Verdict.HEALTHY

    async def test_a_deploy_after_it_is_recorded_like_any_other_and_keeps_its_history(self, world: World) -> None:
        world.apply(7)
        await adopt(world)
        world.apply(8)
        await world.record(bundle=BUNDLE, release="2")
        result, tracker = await world.result(), await world.tracker()
        assert (result.verdict, result.release, len(tracker.history or ())) == (Verdict.HEALTHY, "2", 1)

    async def test_what_is_written_outside_the_pipeline_after_it_is_drift(self, world: World) -> None:
        world.apply(7)
        await adopt(world)
        world.apply(8)
        assert (await world.result()).verdict is Verdict.PIPELINE_DRIFT


ADOPTED = [
    pytest.param(SERIAL, None, {}, Verdict.HEALTHY, id="tier 2"),
    pytest.param(SERIAL, None, {"lineage": None}, Verdict.HEALTHY, id="tier 2 without a lineage"),
    pytest.param(SERIAL, {"serial": None}, {}, Verdict.HEALTHY, id="tier 2 with a tracker without a serial"),
    pytest.param(SERIAL, None, NO_SERIAL | DEPLOY, Verdict.HEALTHY, id="tier 3"),
    pytest.param(SERIAL, NO_SERIAL | DEPLOY, NO_SERIAL, Verdict.HEALTHY, id="tier 3 by the tracker's time"),
    pytest.param(
        SERIAL, None, NO_SERIAL | LATER, Verdict.REGISTRY_AHEAD, id="tier 3, and a deploy that changed nothing"
    ),
    pytest.param(SERIAL, None, NO_SERIAL, Verdict.UNVERIFIABLE, id="nothing to compare"),
    pytest.param(SERIAL, {"serial": None}, None, Verdict.UNREGISTERED, id="a tracker alone that claims nothing"),
    pytest.param(SERIAL, {}, None, Verdict.UNREGISTERED, id="a tracker alone that does not say where the state is"),
    pytest.param(
        SERIAL,
        {"lineage": None, "state": {"key": key_of()}, "subscription_id": SUBSCRIPTION},
        None,
        Verdict.UNREGISTERED,
        id="a tracker alone that says where the state is",
    ),
]


@pytest.mark.parametrize(("state", "tracker", "registry", "verdict"), ADOPTED)
async def test_a_stack_whose_records_do_not_contradict_its_state_comes_to_tier_1(
    world: World, state: int, tracker: dict[str, Any] | None, registry: dict[str, Any] | None, verdict: Verdict
) -> None:
    put(world, state=state, tracker=tracker, registry=registry)
    before = await world.result()
    assert before.verdict is verdict
    (adopted,) = await adopt(world)
    assert (adopted.adoption.before, adopted.verdict) == (before.model_copy(), Verdict.HEALTHY)
    result = await world.result()
    assert (result.verdict, result.tier, result.notes) == (Verdict.HEALTHY, 1, ())
    assert result.serials.registry == result.serials.tracker == state
    written = len(world.blobs.writes)
    (again,) = await adopt(world)
    assert (again.adoption.adopting, again.has_its_records, len(world.blobs.writes)) == (
        Adopting.UNCHANGED,
        True,
        written,
    )


ALONE = [
    pytest.param(SERIAL + 2, None, {}, Verdict.PIPELINE_DRIFT, id="tier 2, ahead"),
    pytest.param(SERIAL - 2, None, {}, Verdict.STATE_ROLLED_BACK, id="tier 2, behind"),
    pytest.param(SERIAL, None, NO_SERIAL | {"deployed_at": "2026-11-19T00:00:00Z"}, Verdict.PIPELINE_DRIFT, id="tier 3, ahead"),
    pytest.param(SERIAL, None, {"lineage": OTHER_LINEAGE}, Verdict.LINEAGE_MISMATCH, id="tier 2 lineages"),
    pytest.param(SERIAL, None, NO_SERIAL | {"lineage": OTHER_LINEAGE}, Verdict.LINEAGE_MISMATCH, id="tier 3 lineages"),
    pytest.param(SERIAL, NO_SERIAL | {"lineage": OTHER_LINEAGE}, NO_SERIAL, Verdict.LINEAGE_MISMATCH, id="a tracker's lineage"),
    pytest.param(SERIAL + 2, {}, {}, Verdict.PIPELINE_DRIFT, id="tier 1, ahead"),
    pytest.param(SERIAL - 2, {}, {}, Verdict.STATE_ROLLED_BACK, id="tier 1, behind"),
    pytest.param(SERIAL, {"state_md5": "0" * 32}, {}, Verdict.STATE_FORKED, id="a fork"),
    pytest.param(SERIAL, {"state_md5": "0" * 32}, NO_SERIAL, Verdict.STATE_FORKED, id="a fork, and an entry without a vote"),
    pytest.param(SERIAL, {"serial": 7}, {}, Verdict.TRACKER_BEHIND, id="a tracker that is behind"),
    pytest.param(SERIAL, {"serial": 99}, {}, Verdict.TRACKER_AHEAD, id="a tracker that is ahead"),
    pytest.param(SERIAL, {}, {"serial": 7}, Verdict.REGISTRY_BEHIND, id="an entry that is behind"),
    pytest.param(SERIAL, {}, {"serial": 99}, Verdict.REGISTRY_AHEAD, id="an entry that is ahead"),
    pytest.param(SERIAL, {"serial": 7}, {"serial": 8}, Verdict.RECORDS_SPLIT, id="all three differ"),
    pytest.param(SERIAL, {"serial": 7}, NO_SERIAL, Verdict.PIPELINE_DRIFT, id="two records alone"),
    pytest.param(SERIAL, {"lineage": OTHER_LINEAGE}, {}, Verdict.LINEAGE_MISMATCH, id="a tracker of another lineage"),
    pytest.param(None, {}, {}, Verdict.STATE_MISSING, id="tier 1 without a state"),
    pytest.param(None, None, {}, Verdict.STATE_MISSING, id="tier 2 without a state"),
    pytest.param(SERIAL, {"market": "fr"}, {}, Verdict.UNREADABLE, id="a tracker that was copied"),
    pytest.param(SERIAL, {"schema_version": 2}, None, Verdict.UNREADABLE, id="a tracker alone, of a later schema"),
    pytest.param(SERIAL, {}, {"serial": "x"}, Verdict.UNREADABLE, id="an entry that cannot be read"),
    pytest.param(SERIAL, None, {"deployed_at": "x"}, Verdict.UNREADABLE, id="an entry alone that cannot be read"),
    pytest.param(SERIAL + 1, {}, None, Verdict.UNREGISTERED, id="a tracker alone, of another serial"),
    pytest.param(SERIAL, {"lineage": OTHER_LINEAGE}, None, Verdict.UNREGISTERED, id="a tracker alone, of another lineage"),
    pytest.param(SERIAL, {"state_md5": "0" * 32}, None, Verdict.UNREGISTERED, id="a tracker alone, of other content"),
    pytest.param(SERIAL, {"state": {"key": "de/x"}}, None, Verdict.UNREGISTERED, id="a tracker alone, of another state"),
    pytest.param(None, {}, None, Verdict.UNREGISTERED, id="a tracker alone, whose state is gone"),
]  # fmt: skip


@pytest.mark.parametrize(("state", "tracker", "registry", "verdict"), ALONE)
async def test_a_stack_whose_records_disagree_with_its_state_is_left_alone_to_the_byte(
    world: World, state: int | None, tracker: dict[str, Any] | None, registry: dict[str, Any] | None, verdict: Verdict
) -> None:
    put(world, state=state, tracker=tracker, registry=registry)
    assert (await world.result()).verdict is verdict
    before = content(world)
    (adopted,) = await adopt(world)
    assert (adopted.adoption.adopting, adopted.verdict, adopted.has_its_records) == (Adopting.LEFT_ALONE, None, False)
    assert adopted.adoption.why
    assert (content(world), await world.logged()) == (before, [])


def test_every_verdict_is_in_the_tables() -> None:
    seen = {row.values[3] for row in ADOPTED + ALONE}
    assert set(Verdict) - seen == {Verdict.IN_FLIGHT, Verdict.NOT_DEPLOYED}


class TestOfAState:
    async def test_that_is_locked_and_on_no_record_who_holds_it_is_told(self, world: World) -> None:
        world.apply(7)
        lock_state(world)
        (adopted,) = await adopt(world)
        assert adopted.adoption.adopting is Adopting.LEFT_ALONE
        assert "holds its lock since 2026-11-25 05:55 UTC" in (adopted.adoption.why or "")
        assert world.blobs.writes == []

    async def test_that_is_in_flight_is_left_alone(self, world: World) -> None:
        put(world, state=SERIAL, tracker=None, registry=NO_SERIAL)
        lock_state(world)
        (adopted,) = await adopt(world)
        before = adopted.adoption.before
        assert before is not None
        assert (before.verdict, adopted.adoption.adopting) == (Verdict.IN_FLIGHT, Adopting.LEFT_ALONE)

    @pytest.mark.parametrize(
        ("state", "says"),
        [
            pytest.param(b"", "holds no state yet", id="is empty"),
            pytest.param(b"{", "cannot be read: it ends before its JSON does", id="is cut off"),
            pytest.param(None, "There is no such blob", id="is not there"),
        ],
    )
    async def test_that_cannot_be_adopted_the_reason_is_told_and_the_others_are_adopted(
        self, world: World, state: bytes | None, says: str
    ) -> None:
        if state is not None:
            world.estate.put(CONTAINERS.states, key_of(), state)
        world.apply(7, stack="app")
        app, network = await adopt(world, place(), place("app"))
        assert app.verdict is Verdict.HEALTHY
        assert says in (network.adoption.why or "")
        assert await world.verdicts() == {"app": "healthy"}

    async def test_that_is_registered_and_not_deployed_has_all_that_it_needs(self, world: World) -> None:
        put(world, state=None, tracker=None, registry=NO_SERIAL)
        world.estate.put(CONTAINERS.states, key_of(), b"")
        (adopted,) = await adopt(world)
        assert (adopted.adoption.adopting, adopted.has_its_records) == (Adopting.UNCHANGED, True)

    async def test_that_the_registry_has_elsewhere_the_place_is_told(self, world: World) -> None:
        put(world, state=SERIAL, tracker=None, registry={"state": {"key": "de/moved", "container": "de-states"}})
        (adopted,) = await adopt(world)
        assert "its state is de/moved in de-states" in (adopted.adoption.why or "")

    @pytest.mark.parametrize("own", [{"container": CONTAINERS.states}, {"workspace": "default"}, {"container": None}])
    async def test_whose_entry_spells_the_place_out_it_is_the_same(self, world: World, own: dict[str, Any]) -> None:
        put(world, state=SERIAL, tracker=None, registry={"state": {"key": key_of()} | own})
        (adopted,) = await adopt(world)
        assert adopted.verdict is Verdict.HEALTHY
        assert (await documents(world))[1]["state"] == {"key": key_of()} | own

    async def test_that_moves_while_it_is_looked_at_only_what_was_judged_is_adopted(self, world: World) -> None:
        """Else a change that nobody recorded would be on record as if it were right."""
        put(world, state=SERIAL, tracker=None, registry={})
        author = world.author(RecordCommand.ADOPT)
        judge = world.judge

        class Judge:
            async def judge(self, market: str, *, wanted: Any = ()) -> Any:
                judged = await judge.judge(market, wanted=wanted)
                world.apply(SERIAL + 1)
                return judged

        options: dict[str, Any] = {"source": OWN, "subscriptions": {}, "records": world.records, "author": author}
        (adoption,) = await plan_adoptions([place()], judge=Judge(), width=1, **options)
        assert adoption.tracker is not None
        assert adoption.tracker.serial == SERIAL
        (adopted,) = await adopt_states(
            [adoption], records=world.records, judge=judge, book=world.book(author), width=1
        )
        assert (adopted.verdict, adopted.has_its_records) == (Verdict.PIPELINE_DRIFT, False)


class TestWhatIsKept:
    async def test_what_this_version_does_not_know_and_what_the_entry_says_of_the_deploy(self, world: World) -> None:
        put(
            world,
            state=SERIAL,
            tracker={"serial": None, "x_note": 1, "run_id": "7"} | DEPLOY,
            registry=DEPLOY | {"cost_centre": 7, "state": {"key": key_of(), "tier": "hot"}},
        )
        await adopt(world)
        tracker, stack_entry = await documents(world)
        assert (tracker["x_note"], tracker["run_id"], tracker["release"]) == (1, "7", "2026.11.3")
        assert stack_entry == {
            "state": {"key": key_of(), "tier": "hot"}, "lineage": LINEAGE, "serial": SERIAL, "cost_centre": 7,
        } | DEPLOY  # fmt: skip

    async def test_a_run_of_another_deploy_than_the_entrys_is_not(self, world: World) -> None:
        put(world, state=SERIAL, tracker={"serial": None, "run_id": "7", "release": "old", "x": 1}, registry=DEPLOY)
        await adopt(world)
        tracker, _ = await documents(world)
        assert (tracker.get("run_id"), tracker["release"], tracker["x"]) == (None, "2026.11.3", 1)

    async def test_what_only_the_tracker_says_of_the_deploy(self, world: World) -> None:
        put(world, state=SERIAL, tracker=NO_SERIAL | DEPLOY | {"run_id": "7"}, registry=NO_SERIAL)
        await adopt(world)
        tracker, stack_entry = await documents(world)
        assert (tracker["run_id"], stack_entry["release"], stack_entry["deployed_at"]) == (
            "7", "2026.11.3", DEPLOY["deployed_at"],
        )  # fmt: skip

    async def test_all_of_a_tracker_that_lacked_only_its_entry(self, world: World) -> None:
        bundle = {"blob": "de/network/aa.zip", "sha256": "aa" * 32}
        put(world, state=SERIAL, tracker=DEPLOY | {"bundle": bundle, "run_id": "7"}, registry=None)
        await adopt(world)
        tracker, _ = await documents(world)
        assert (tracker["bundle"], tracker["run_id"], tracker["state"]) == (bundle, "7", {"key": key_of()})
        (written,) = (await world.tracker()).history or ()
        assert (written.action, written.serial) == (HistoryAction.ADOPT, SERIAL)

    async def test_a_healthy_entry_is_not_moved_to_where_its_tracker_says_that_the_state_is(self, world: World) -> None:
        put(world, state=SERIAL, tracker={"state": {"key": "de/other"}}, registry=NO_SERIAL)
        (adopted,) = await adopt(world)
        assert (adopted.adoption.adopting, world.blobs.writes) == (Adopting.UNCHANGED, [])

    async def test_a_healthy_entry_that_says_more_than_its_tracker_is_not_written_over(self, world: World) -> None:
        put(world, state=SERIAL, tracker={}, registry=NO_SERIAL | DEPLOY)
        (adopted,) = await adopt(world)
        assert (adopted.adoption.adopting, world.blobs.writes) == (Adopting.UNCHANGED, [])


class TestTheSubscription:
    async def test_of_new_markets_that_nothing_says_is_asked_for_all_at_once(self, world: World) -> None:
        for market in ("de", "fr"):
            put_state(world.estate, market, "app")
        with pytest.raises(RefusedWriteError, match=r"that of de, fr: pass --subscription"):
            await adopt(world, place("app"), place("app", "fr"), subscriptions={"at": "s"})
        assert world.blobs.writes == []

    async def test_of_more_than_ten_markets_is_asked_for_with_ten_of_them(self, world: World) -> None:
        with pytest.raises(RefusedWriteError, match=r"m09 …: pass"):
            await adopt(world, *(place("app", f"m{number:02}") for number in range(11)), subscriptions={})

    async def test_may_come_from_the_mapping(self, world: World) -> None:
        world.apply(7)
        (adopted,) = await adopt(world, place(subscription_id="s-1"), subscriptions={})
        assert adopted.verdict is Verdict.HEALTHY
        assert (await world.tracker()).subscription_id == "s-1"

    async def test_is_known_from_the_trackers_of_an_adoption_that_was_cut_off(self, world: World) -> None:
        world.apply(SERIAL)
        put_tracker(world.estate, MARKET, STACK, subscription_id="s-1", state={"key": key_of()})
        (adopted,) = await adopt(world, subscriptions={})
        assert (adopted.adoption.adopting, adopted.verdict) == (Adopting.REGISTER, Verdict.HEALTHY)

    @pytest.mark.parametrize("registered", [True, False], ids=["the registry's", "another of the mapping's"])
    async def test_that_is_not_the_same_twice_is_refused(self, world: World, registered: bool) -> None:
        if registered:
            put_registry(world.estate, MARKET, {})
        with pytest.raises(RefusedWriteError, match="several subscriptions"):
            await adopt(world, place(subscription_id="s-1"))

    async def test_is_the_same_in_another_case(self, world: World) -> None:
        put_registry(world.estate, MARKET, {})
        world.apply(7)
        await adopt(world, subscriptions={MARKET: SUBSCRIPTION.upper()})
        assert (await world.tracker()).subscription_id == SUBSCRIPTION

    async def test_of_a_new_market_may_be_spelt_in_several_cases(self, world: World) -> None:
        for stack in ("app", "data", STACK):
            world.apply(SERIAL, stack=stack)
        put_tracker(world.estate, MARKET, "app", subscription_id="S-1", state={"key": key_of("app")})
        put_tracker(world.estate, MARKET, "data", subscription_id="s-1", state={"key": key_of("data")})
        outcomes = await adopt(world, *map(place, ("app", "data", STACK)), subscriptions={MARKET: "s-1"})
        assert [one.verdict for one in outcomes] == [Verdict.HEALTHY] * 3

    async def test_of_a_tracker_that_is_not_the_markets_leaves_that_one_alone(self, world: World) -> None:
        for stack in ("app", STACK):
            world.apply(SERIAL, stack=stack)
        put_tracker(world.estate, MARKET, STACK, subscription_id="s-2", state={"key": key_of()})
        app, network = await adopt(world, place("app"), place(), subscriptions={MARKET: "s-1"})
        assert app.verdict is Verdict.HEALTHY
        assert "another subscription" in (network.adoption.why or "")


class TestTheRegistrysOwnNames:
    async def check(self, world: World, *places: Place, source: StateSource = OWN) -> Placing:
        placing = Placing(places=places, unplaced=())
        return await checked_by_registry(placing, source=source, records=world.records, width=4)

    async def test_a_state_that_is_on_record_under_another_name_has_no_place(self, world: World) -> None:
        """A pattern that swaps market and stack matches all there is."""
        put_registry(world.estate, "de", {"app": entry("de", "app")})
        swapped = place("de", "app", blob="de/app.tfstate")
        placing = await self.check(world, swapped, place("new"))
        assert [one.name for one in placing.places] == ["de/new"]
        (unplaced,) = placing.unplaced
        assert unplaced.why == "it would be app/de, and the registry has it as de/app"

    async def test_also_where_the_entry_is_otherwise_broken_or_names_the_container(self, world: World) -> None:
        put_registry(
            world.estate, "de", {"app": {"serial": "x", "state": {"key": "b", "container": CONTAINERS.states}}}
        )
        assert len((await self.check(world, place(blob="b"))).unplaced) == 1

    @pytest.mark.parametrize(
        ("registered", "source"),
        [
            pytest.param({"key": key_of()}, OWN, id="under its own name"),
            pytest.param({"key": key_of(), "container": "de-states"}, OWN, id="in another container"),
            pytest.param({"key": key_of()}, StateSource(container="de-states"), id="in the estate's own container"),
        ],
    )
    async def test_a_state_keeps_its_place_that_is_on_record(
        self, world: World, registered: dict[str, Any], source: StateSource
    ) -> None:
        put_registry(world.estate, MARKET, {STACK: {"state": registered}})
        assert (await self.check(world, place(), source=source)).unplaced == ()

    async def test_a_record_that_cannot_be_read_names_nothing_and_stops_nothing(self, world: World) -> None:
        world.estate.put(CONTAINERS.registry, "fr/subscription.json", b"{")
        world.estate.put(CONTAINERS.registry, "Not A Market/subscription.json", b"{}")
        assert len((await self.check(world, place())).places) == 1

    async def test_a_registry_that_cannot_be_listed_is_an_error_and_one_that_is_not_there_is_none(
        self, world: World
    ) -> None:
        world.blobs.refuse(CONTAINERS.registry, ContainerMissingError("registry", "404"))
        assert len((await self.check(world, place())).places) == 1
        world.blobs.refuse(CONTAINERS.registry, AccessDeniedError("registry", "403"))
        with pytest.raises(AccessDeniedError):
            await self.check(world, place())


REFUSALS = [
    pytest.param("registry/fr/subscription.json", id="the registry record"),
    pytest.param("trackers/fr/network.json", id="a tracker"),
]


class TestOneBadMarket:
    """Never stops the rest, and is never passed over in silence."""

    @pytest.fixture
    def three(self, world: World) -> list[Place]:
        for market in ("at", "de", "fr"):
            for stack in ("app", STACK):
                put_state(world.estate, market, stack)
        return [place(stack, market) for market in ("at", "de", "fr") for stack in ("app", STACK)]

    @pytest.mark.parametrize("refused", REFUSALS)
    @pytest.mark.parametrize("error", [AccessDeniedError, StoreUnavailableError])
    async def test_whose_records_cannot_be_written(
        self, world: World, three: list[Place], refused: str, error: type[StoreError]
    ) -> None:
        world.blobs.refuse(refused, error(refused, "no"), writes=True)
        outcomes = await adopt(world, *three)
        well = [one for one in outcomes if one.has_its_records]
        assert [one.adoption.place.name for one in well][:4] == ["at/app", "at/network", "de/app", "de/network"]
        failed = [one for one in outcomes if not one.has_its_records]
        assert {(one.adoption.place.market, one.has_failed) for one in failed} == {("fr", True)}
        remedy = {AccessDeniedError: "Give trueup's identity the role", StoreUnavailableError: "then run again."}[error]
        assert all(remedy in (one.why or "") and (one.why or "").startswith(f"{refused}: no. ") for one in failed)
        world.blobs.heal()
        assert all(one.has_its_records for one in await adopt(world, *three))

    @pytest.mark.parametrize("content", [b"{", b'{"schema_version": 2}', b""])
    async def test_whose_registry_record_cannot_be_read(self, world: World, three: list[Place], content: bytes) -> None:
        world.estate.put(CONTAINERS.registry, "fr/subscription.json", content)
        outcomes = await adopt(world, *three)
        assert [one.has_its_records for one in outcomes] == [True] * 4 + [False] * 2
        assert "fr/subscription.json" in (outcomes[-1].adoption.why or "")
        assert not [one for one, _ in world.blobs.writes if one.name.startswith("fr/")]

    async def test_whose_trackers_cannot_be_listed(self, world: World, three: list[Place]) -> None:
        world.blobs.refuse(f"{CONTAINERS.trackers}/fr/", StoreUnavailableError("trackers", "503"))
        outcomes = await adopt(world, *three)
        assert [one.has_its_records for one in outcomes] == [True] * 4 + [False] * 2
        assert "records cannot be read" in (outcomes[-1].adoption.why or "")

    async def test_whose_registry_record_breaks_while_it_is_adopted(self, world: World, three: list[Place]) -> None:
        def break_it(written: BlobPlace) -> None:
            if written.name == "fr/app.json":
                world.estate.put(CONTAINERS.registry, "fr/subscription.json", b"{")

        world.blobs.after_write = break_it
        outcomes = await adopt(world, *three)
        assert [one.has_its_records for one in outcomes] == [True] * 4 + [False] * 2
        assert all(one.has_failed for one in outcomes[4:])
        assert "Restore the last good version" in (outcomes[4].why or "")

    async def test_whose_log_takes_no_row_has_nothing_written(self, world: World, three: list[Place]) -> None:
        world.log.refuse("save", AccessDeniedError("recordlog", "403"))
        outcomes = await adopt(world, *three)
        assert all(one.has_failed and (one.why or "").startswith("recordlog: 403. Give ") for one in outcomes)
        assert world.blobs.writes == []

    async def test_without_a_container_for_its_trackers_says_to_make_it(self, world: World, three: list[Place]) -> None:
        world.blobs.refuse(CONTAINERS.trackers, ContainerMissingError("trackers", "404"))
        outcomes = await adopt(world, *three)
        assert all("Create the container" in (one.adoption.why or "") for one in outcomes)


class TestBesideOthers:
    async def test_a_tracker_that_a_pipeline_wrote_meanwhile_stands(self, world: World) -> None:
        world.apply(7)
        world.blobs.before_write = lambda _: put_tracker(world.estate, MARKET, STACK, serial=8)
        (adopted,) = await adopt(world)
        assert (adopted.has_its_records, adopted.has_failed) == (False, False)
        assert "Run it again" in (adopted.why or "")
        assert (await world.tracker()).serial == 8

    async def test_an_entry_that_a_pipeline_wrote_meanwhile_stands(self, world: World) -> None:
        """Of a deploy that writes the registry alone: the entry of the state before it must not come back."""
        put(world, state=SERIAL, tracker=None, registry=DEPLOY)
        newer = entry(MARKET, STACK, serial=SERIAL + 1, release="newer")

        def deploy(written: BlobPlace) -> None:
            world.blobs.after_write = lambda _: None
            world.apply(SERIAL + 1)
            put_registry(world.estate, MARKET, {STACK: newer})

        world.blobs.after_write = deploy
        (adopted,) = await adopt(world)
        assert (adopted.verdict, adopted.has_its_records) == (Verdict.TRACKER_BEHIND, False)
        assert "Somebody else" in (adopted.why or "")
        assert (await documents(world))[1] == newer
        assert [one.is_mended for one in await world.repair()] == [True]

    @pytest.mark.parametrize("broken", [{"serial": "x"}, None], ids=["is broken", "is gone"])
    async def test_an_entry_that_was_read_and_then_stands_as_it_is(
        self, world: World, broken: dict[str, Any] | None
    ) -> None:
        put(world, state=SERIAL, tracker=None, registry=DEPLOY)
        after: dict[str, Any] = {STACK: entry(MARKET, STACK, **broken)} if broken else {}
        world.blobs.before_write = lambda _: put_registry(world.estate, MARKET, after)
        (adopted,) = await adopt(world)
        assert not adopted.has_its_records
        assert json.loads(await world.text(CONTAINERS.registry, REGISTRY))["stacks"] == after

    async def test_an_entry_that_says_already_what_it_should_is_no_obstacle(self, world: World) -> None:
        put(world, state=SERIAL, tracker=None, registry=DEPLOY)
        (shown,) = await adopt(world, writes=False)
        assert shown.adoption.entry is not None
        same = shown.adoption.entry.model_dump(mode="json", exclude_unset=True)
        assert shown.adoption.entry_before is not None
        put_registry(world.estate, MARKET, {STACK: same | {"serial": None}})
        world.blobs.before_write = lambda _: put_registry(world.estate, MARKET, {STACK: same})
        (adopted,) = await adopt(world)
        assert (adopted.verdict, adopted.why) == (Verdict.HEALTHY, None)
        assert [one.name for one, _ in world.blobs.writes] == [TRACKER]

    async def test_a_registry_record_that_vanishes_while_it_is_judged_is_not_taken_for_none(self, world: World) -> None:
        put(world, state=SERIAL, tracker=None, registry=NO_SERIAL)
        world.apply(7, stack="new")

        async def vanish(_seconds: float) -> None:
            world.blobs.delete(BlobPlace(container=CONTAINERS.registry, name=REGISTRY))

        adoptions = await plan_adoptions(
            [place(), place("new")],
            source=OWN,
            subscriptions=SUBSCRIPTIONS,
            records=world.records,
            judge=replace(world.judge, sleep=vanish),
            author=world.author(RecordCommand.ADOPT),
            width=4,
        )
        assert [one.adopting for one in adoptions] == [Adopting.LEFT_ALONE] * 2
        assert "gone when it was read" in (adoptions[1].why or "")

    @given(st.data())
    @settings(max_examples=100, deadline=None)
    def test_however_the_writes_of_a_deploy_and_two_adoptions_come_the_deploy_is_on_record(
        self, data: st.DataObject
    ) -> None:
        world = World()
        for stack in ("app", STACK):
            world.apply(7, stack=stack)
        is_registered = data.draw(st.booleans(), label="tier 2 before")
        if is_registered:
            put_registry(world.estate, MARKET, {STACK: entry(MARKET, STACK, serial=7, release="old")})

        async def deploy() -> None:
            world.apply(8)
            await world.record(release="new")

        both = [place("app"), place()]
        steps: list[Callable[[], Any]] = [lambda: adopt(world, *both), deploy, lambda: adopt(world, *both)]
        order = data.draw(st.permutations(steps), label="order of beginning")
        asyncio.run(interleaved(world, order, data))
        asyncio.run(adopt(world, *both))
        assert asyncio.run(world.verdicts()) == {"app": "healthy", STACK: "healthy"}
        assert asyncio.run(world.result()).release == "new"


class TestCutOff:
    """A process that dies at any of its writes, before it or after it, and is run again."""

    @staticmethod
    def estate() -> World:
        """A stack of each way in."""
        world = World()
        for stack in ("new", "tier-2", "tier-3", "tracked"):
            world.apply(SERIAL, stack=stack)
        put_tracker(world.estate, MARKET, "tracked", **DEPLOY)
        put_registry(
            world.estate,
            MARKET,
            {
                "tier-2": entry(MARKET, "tier-2", **(DEPLOY | {"lineage": None, "x": 1})),
                "tier-3": {"state": {"key": key_of("tier-3")}} | LATER,
            },
        )
        return world

    PLACES = tuple(place(stack) for stack in ("new", "tier-2", "tier-3", "tracked"))

    async def test_it_ends_with_what_an_undisturbed_one_leaves(self) -> None:
        undisturbed = self.estate()
        writes = die_at(undisturbed, 999)
        await adopt(undisturbed, *self.PLACES)
        expected = without_times(content(undisturbed))
        assert writes() == 15
        for number in range(writes() * 2):
            world = self.estate()
            die_at(world, number)
            with pytest.raises(KilledError):
                await adopt(world, *self.PLACES)
            revive(world)
            await adopt(world, *self.PLACES)
            assert without_times(content(world)) == expected, f"killed at step {number}"
            results = (await world.judge.judge(MARKET)).stacks
            assert {(one.result.verdict, one.result.tier) for one in results} == {(Verdict.HEALTHY, 1)}

    async def test_of_a_new_market_too(self) -> None:
        for number in range(99):
            world = World()
            world.apply(7)
            writes = die_at(world, number)
            try:
                await adopt(world)
            except KilledError:
                revive(world)
                assert [one.has_its_records for one in await adopt(world)] == [True]
            else:
                assert writes() * 2 == number
                return
        pytest.fail("it never came to its end")


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_is_adopted_is_healthy_in_tier_1_and_nothing_else_is_touched(data: st.DataObject) -> None:
    world = World()
    serials = st.sampled_from([None, SERIAL - 1, SERIAL])
    lineages = st.sampled_from([None, LINEAGE, OTHER_LINEAGE])
    times = st.sampled_from([None, "2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z"])
    md5s = st.sampled_from([None, "0" * 32])
    said = {"serial": serials, "lineage": lineages, "deployed_at": times, "release": st.sampled_from([None, "1", "2"])}
    locations = st.sampled_from([None, {"key": key_of()}, {"key": "de/other"}])
    tracker = data.draw(
        st.none() | st.fixed_dictionaries(said | {"state_md5": md5s, "state": locations}), label="tracker"
    )
    registry = data.draw(st.none() | st.fixed_dictionaries(said), label="registry")
    put(world, state=SERIAL, tracker=tracker, registry=registry)
    judged = asyncio.run(world.judge.judge(MARKET)).stacks
    before = content(world)
    (adopted,) = asyncio.run(adopt(world))
    after = content(world)
    for one in judged:
        is_quiet = one.result.verdict is Verdict.REGISTRY_AHEAD and one.result.tier == 3
        if is_quiet or one.result.verdict in {Verdict.HEALTHY, Verdict.UNVERIFIABLE}:
            assert adopted.adoption.adopting is not Adopting.LEFT_ALONE
    if adopted.adoption.adopting is Adopting.LEFT_ALONE:
        assert (adopted.adoption.why or "").endswith(".")
        assert after == before
        return
    result = asyncio.run(world.result())
    assert (result.verdict, result.tier) == (Verdict.HEALTHY, 1)
    assert {name for name in after if after[name] != before.get(name)} <= {
        f"trackers/{TRACKER}",
        f"registry/{REGISTRY}",
    }
    asyncio.run(adopt(world))
    assert content(world) == after


def lock_state(world: World) -> None:
    where = BlobPlace(container=CONTAINERS.states, name=key_of())
    world.blobs.lease(where)
    lock = LockInfo.make(created=NOW - timedelta(minutes=5)).to_metadata_value(key_of())
    world.blobs.set_metadata(where, {LOCK_METADATA_KEY: lock})


def die_at(world: World, number: int) -> Callable[[], int]:
    """Has the process die at this step, of two for each write of blobs and rows: the tasks beside it write no more either.

    Returns what tells how many writes were begun.
    """
    steps = count()
    begun = 0

    def step(*, begins: bool) -> None:
        nonlocal begun
        begun += begins
        if next(steps) >= number:
            raise KilledError

    world.blobs.before_write = lambda _: step(begins=True)
    world.blobs.after_write = lambda _: step(begins=False)
    save = world.log.save

    async def logged(*, writes: Any) -> None:
        step(begins=True)
        await save(writes=writes)
        step(begins=False)

    world.log.save = logged  # type: ignore[method-assign]
    return lambda: begun


def revive(world: World) -> None:
    world.blobs.before_write = world.blobs.after_write = lambda _: None
    world.log.save = type(world.log).save.__get__(world.log)  # type: ignore[method-assign]


def without_times(blobs: dict[str, bytes]) -> dict[str, Any]:
    """Records as they are, but for when each was adopted, and that it may have been begun twice."""
    found: dict[str, Any] = {}
    for name, blob in blobs.items():
        found[name] = record = json.loads(blob) if blob.startswith(b"{") else blob
        if isinstance(record, dict):
            for written in record.get("history", ()):
                written.pop("at")
    return found

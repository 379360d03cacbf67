"""What makes repair and adopt write, rule by rule: which rows of the log count, what confirms a record, and who is later."""

import io
import json
from datetime import timedelta
from itertools import count
from typing import Any, Final

import pytest
from rich.console import Console

import recording.following
from adapters.blob_store import BlobPlace
from recording.adopt import plan_adoptions
from recording.adoption import Adopting
from recording.placing import Place, StateSource
from recording.render.repairs import render_repairs, repairs_document
from recording.repair import Repaired, apply_repairs
from records.errors import AccessDeniedError
from records.record_log import LoggedWrite, RecordCommand, WriteStatus, WrittenKind
from records.tracker import HistoryAction
from records.verdicts import Verdict
from tests.estates import CONTAINERS, SERIAL, entry, put_registry, put_tracker
from tests.recording_world import MARKET, NOW, STACK, SUBSCRIPTION, KilledError, World, key_of, kill_at, revive
from tests.world.state_blob import LOCK_METADATA_KEY, LockInfo

TRACKER: Final = f"{MARKET}/{STACK}.json"
REGISTRY: Final = f"{MARKET}/subscription.json"
OTHER_LINEAGE: Final = "11111111-2222-3333-4444-555555555555"
OTHER_MD5: Final = "0" * 32
IN_THE_ESTATE: Final[dict[str, Any]] = {"state": {"key": key_of()}}
EARLIER, LATER = "2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z"
MINUTES_LOOKED_BACK: Final = 30 * 24 * 60


@pytest.fixture(autouse=True)
def _without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording.following, "_FIRST_WAIT_SECONDS", 0)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def begun(world: World) -> World:
    """A deploy that left serial 2 was cut off when it had but its row in the log; the records are of the one before it."""
    world.apply(1)
    await world.record(run_id="before")
    world.apply(2)
    kill_at(world, 0, after=True)
    with pytest.raises(KilledError):
        await world.record(run_id="cut-off")
    revive(world)
    return world


class TestWhatTheLogSays:
    async def test_a_deploy_that_was_begun_is_finished(self, begun: World) -> None:
        (repaired,) = await begun.repair()
        assert (repaired.is_mended, (await begun.tracker()).run_id) == (True, "cut-off")

    async def test_so_is_the_first_of_a_market(self, world: World) -> None:
        world.apply(1)
        kill_at(world, 0, after=True)
        with pytest.raises(KilledError):
            await world.record(run_id="cut-off")
        revive(world)
        (repaired,) = await world.repair()
        assert (repaired.is_mended, (await world.tracker()).run_id) == (True, "cut-off")

    async def test_one_that_was_refused_and_died_before_it_tried_again_is_finished(self, world: World) -> None:
        """Another deploy's belated record came between its reading and its write."""
        world.apply(1)
        await world.record(run_id="before")
        world.apply(3)
        world.blobs.before_write = lambda place: put_tracker(
            world.estate, MARKET, STACK, serial=2, run_id="belated", **IN_THE_ESTATE
        )
        save = world.log.save

        async def die_once_refused(*, writes: list[LoggedWrite]) -> None:
            await save(writes=writes)
            if any(write.status is WriteStatus.REFUSED for write in writes):
                raise KilledError

        world.log.save = die_once_refused  # type: ignore[method-assign, assignment]
        with pytest.raises(KilledError):
            await world.record(run_id="cut-off")
        revive(world)
        (repaired,) = await world.repair()
        assert (repaired.is_mended, (await world.tracker()).run_id) == (True, "cut-off")

    async def test_what_a_person_wrote_afterwards_ends_it(self, begun: World) -> None:
        assert await begun.accept() is not None
        assert await begun.repair() == ()
        (written,) = (await begun.tracker()).history or ()
        assert written.action is HistoryAction.ACCEPT

    async def test_what_a_person_had_only_begun_does_not_hide_it(self, begun: World) -> None:
        kill_at(begun, 0, after=True)
        with pytest.raises(KilledError):
            await begun.accept()
        revive(begun)
        (row,) = [row for row in await begun.logged() if row.command is RecordCommand.ACCEPT]
        assert (row.kind, row.status) == (WrittenKind.TRACKER, WriteStatus.BEGUN)
        (repaired,) = await begun.repair()
        assert (repaired.is_mended, (await begun.tracker()).run_id) == (True, "cut-off")

    async def test_one_whose_tracker_is_there_lacks_its_entry_alone(self, world: World) -> None:
        world.apply(1)
        await world.record()
        world.apply(2)
        kill_at(world, 1, after=True)
        with pytest.raises(KilledError):
            await world.record(run_id="cut-off")
        revive(world)
        (correction,) = (await world.plan_repairs()).corrections
        assert (correction.kind, correction.verdict) == (WrittenKind.REGISTRY, Verdict.REGISTRY_BEHIND)

    @pytest.mark.parametrize(
        ("minutes", "finished"),
        [
            pytest.param(MINUTES_LOOKED_BACK - 1, 1, id="not quite thirty days"),
            pytest.param(MINUTES_LOOKED_BACK + 1, 0, id="more than thirty days"),
        ],
    )
    async def test_thirty_days_are_looked_back(self, begun: World, minutes: int, finished: int) -> None:
        (row,) = [row for row in await begun.logged() if row.status is WriteStatus.BEGUN]
        begun.minutes = count(int((row.at - NOW) / timedelta(minutes=1)) + minutes)
        assert len((await begun.plan_repairs()).corrections) == finished


class TestABegunDeploy:
    async def test_is_not_finished_with_other_content_of_its_serial(self, begun: World) -> None:
        begun.apply(2, size_bytes=5_000)
        assert await begun.repair() == ()
        assert (await begun.tracker()).run_id == "before"

    async def test_is_not_finished_with_its_serial_of_another_lineage(self, begun: World) -> None:
        begun.apply(2, lineage=OTHER_LINEAGE)
        assert await begun.repair() == ()

    async def test_is_not_finished_while_another_runs(self, begun: World) -> None:
        lock_state(begun)
        plan = await begun.plan_repairs()
        assert plan.corrections == ()
        assert [alone.result.verdict for alone in plan.left_alone] == [Verdict.IN_FLIGHT]

    async def test_is_not_finished_while_the_registry_cannot_be_read(self, begun: World) -> None:
        begun.estate.put(CONTAINERS.registry, REGISTRY, b"{")
        plan = await begun.plan_repairs()
        assert (plan.corrections, len(plan.problems)) == ((), 1)
        assert await begun.repair() == ()
        assert (await begun.tracker()).run_id == "before"

    @pytest.mark.parametrize(
        ("minutes", "run_id"),
        [
            pytest.param(1, "by hand", id="a later one stands"),
            pytest.param(0, "cut-off", id="one of the same time is finished over"),
            pytest.param(-1, "cut-off", id="an earlier one is finished over"),
            pytest.param(None, "cut-off", id="one without a time is finished over"),
        ],
    )
    async def test_is_weighed_against_a_tracker_that_another_hand_wrote(
        self, begun: World, minutes: int | None, run_id: str
    ) -> None:
        """Such a hand leaves no row in the log that would end what was begun."""
        (row,) = [row for row in await begun.logged() if row.status is WriteStatus.BEGUN]
        time = {} if minutes is None else {"deployed_at": f"{row.at + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"}
        put_tracker(begun.estate, MARKET, STACK, serial=2, run_id="by hand", **IN_THE_ESTATE, **time)
        (repaired,) = await begun.repair()
        assert (repaired.is_mended, (await begun.tracker()).run_id) == (True, run_id)


UNCONFIRMED = [
    pytest.param(IN_THE_ESTATE | {"state_md5": OTHER_MD5}, None, id="an unregistered fork"),
    pytest.param(IN_THE_ESTATE | {"lineage": OTHER_LINEAGE}, None, id="an unregistered tracker of another lineage"),
    pytest.param(IN_THE_ESTATE | {"serial": SERIAL - 1}, None, id="an unregistered tracker of another serial"),
    pytest.param(None, {"lineage": OTHER_LINEAGE}, id="a broken tracker and an entry of another lineage"),
    pytest.param(None, {"serial": SERIAL - 1}, id="a broken tracker and an entry of another serial"),
    pytest.param(None, {"serial": None}, id="a broken tracker and an entry without a vote"),
]


@pytest.mark.parametrize(("tracker", "registry"), UNCONFIRMED)
async def test_a_record_that_the_state_does_not_confirm_corrects_no_other(
    world: World, tracker: dict[str, Any] | None, registry: dict[str, Any] | None
) -> None:
    put(world, tracker=tracker, registry=registry)
    plan = await world.plan_repairs()
    assert (plan.corrections, len(plan.left_alone)) == ((), 1)
    assert await world.repair() == ()
    assert world.blobs.writes == []


CONFIRMED = [
    pytest.param(IN_THE_ESTATE, None, id="an unregistered tracker without an MD5"),
    pytest.param(IN_THE_ESTATE | {"lineage": None}, None, id="an unregistered tracker without a lineage"),
    pytest.param(None, {}, id="a broken tracker and an entry of the state"),
    pytest.param(None, {"lineage": None}, id="a broken tracker and an entry without a lineage"),
]


@pytest.mark.parametrize(("tracker", "registry"), CONFIRMED)
async def test_one_that_it_does_confirm_corrects_the_other(
    world: World, tracker: dict[str, Any] | None, registry: dict[str, Any] | None
) -> None:
    put(world, tracker=tracker, registry=registry)
    (repaired,) = await world.repair()
    assert repaired.is_mended


FOLLOWED = [
    pytest.param(LATER, EARLIER, True, id="an earlier entry"),
    pytest.param(LATER, None, True, id="an entry without a time"),
    pytest.param(EARLIER, LATER, False, id="a later entry"),
    pytest.param(LATER, LATER, False, id="an entry of the same time"),
    pytest.param(None, EARLIER, False, id="a tracker without a time"),
    pytest.param(None, None, False, id="neither with a time"),
]


@pytest.mark.parametrize(("tracker", "registry", "follows"), FOLLOWED)
async def test_the_entry_of_a_healthy_stack_follows_a_later_tracker_alone(
    world: World, tracker: str | None, registry: str | None, follows: bool
) -> None:
    put(
        world,
        tracker=IN_THE_ESTATE | {"release": "2", "deployed_at": tracker},
        registry={"release": "1", "deployed_at": registry},
    )
    assert (await world.result()).verdict is Verdict.HEALTHY
    assert [one.correction.kind for one in await world.repair()] == [WrittenKind.REGISTRY] * follows
    assert (await world.result()).verdict is Verdict.HEALTHY
    said = json.loads(await world.text(CONTAINERS.registry, REGISTRY))
    assert said["stacks"][STACK]["release"] == ("2" if follows else "1")


async def test_the_entry_of_a_healthy_stack_follows_no_tracker_that_other_hands_keep(world: World) -> None:
    """Such a tracker does not say where its state is; the two may differ on purpose."""
    put(world, tracker={"release": "2", "deployed_at": LATER}, registry={"release": "1", "deployed_at": EARLIER})
    assert await world.repair() == ()
    assert world.blobs.writes == []


class TestATrackerWhoseEntryCannotBeWritten:
    async def test_is_written_only_in_part(self, begun: World) -> None:
        begun.blobs.refuse(CONTAINERS.registry, AccessDeniedError(CONTAINERS.registry, "403"), writes=True)
        repaired, document, text = await repair_and_tell(begun)
        assert (repaired.why_not, repaired.verdict, repaired.is_mended) == (None, Verdict.REGISTRY_BEHIND, False)
        assert repaired.only_in_part is not None
        assert "403" in repaired.only_in_part
        assert (await begun.tracker()).run_id == "cut-off"
        assert (document["written"], document["why_not"], document["only_in_part"]) == (
            True,
            None,
            repaired.only_in_part,
        )
        assert "The tracker is written; the registry's entry is not" in text

    async def test_is_not_taken_for_one_that_was_not_written_itself(self, world: World) -> None:
        put(world, tracker=None, registry={})
        world.blobs.refuse(CONTAINERS.trackers, AccessDeniedError(CONTAINERS.trackers, "403"), writes=True)
        repaired, document, text = await repair_and_tell(world)
        assert (repaired.only_in_part, repaired.verdict) == (None, None)
        assert (document["written"], document["only_in_part"]) == (False, None)
        assert "Not written." in text


ADOPTED = [
    pytest.param(None, True, Adopting.LEFT_ALONE, id="tier 2 and locked"),
    pytest.param(None, False, Adopting.ADOPT, id="tier 2 and free"),
    pytest.param({}, True, Adopting.UNCHANGED, id="tier 1 and locked"),
]


@pytest.mark.parametrize(("tracker", "locked", "adopting"), ADOPTED)
async def test_a_state_that_somebody_is_at_is_not_adopted(
    world: World, tracker: dict[str, Any] | None, locked: bool, adopting: Adopting
) -> None:
    world.apply(SERIAL)
    put_registry(world.estate, MARKET, {STACK: entry(MARKET, STACK)})
    if tracker is not None:
        put_tracker(world.estate, MARKET, STACK, **tracker)
    if locked:
        lock_state(world)
    (adoption,) = await plan_adoptions(
        [Place(blob=key_of(), market=MARKET, stack=STACK)],
        source=StateSource(),
        subscriptions={MARKET: SUBSCRIPTION},
        records=world.records,
        judge=world.judge,
        author=world.author(RecordCommand.ADOPT),
        width=1,
    )
    assert adoption.adopting is adopting
    assert ("lock" in (adoption.why or "")) is (adopting is Adopting.LEFT_ALONE)


async def repair_and_tell(world: World) -> tuple[Repaired, dict[str, Any], str]:
    """The one repair of a market, its part of the JSON answer, and the text."""
    plan = await world.plan_repairs()
    book = world.book(world.author(RecordCommand.REPAIR))
    (repaired,) = await apply_repairs(plan, records=world.records, judge=world.judge, book=book)
    by_stack = {(MARKET, STACK): repaired}
    document: Any = repairs_document([plan], by_stack, written=True)
    text = io.StringIO()
    Console(file=text, width=200).print(render_repairs([plan], by_stack, written=True))
    return repaired, document["corrections"][0], text.getvalue()


def put(world: World, *, tracker: dict[str, Any] | None, registry: dict[str, Any] | None) -> None:
    """A stack of the serial of all tests; a tracker that is None is broken, an entry that is None is gone."""
    world.apply(SERIAL)
    if tracker is None:
        world.estate.put(CONTAINERS.trackers, TRACKER, b"{")
    else:
        put_tracker(world.estate, MARKET, STACK, **tracker)
    put_registry(world.estate, MARKET, {} if registry is None else {STACK: entry(MARKET, STACK, **registry)})


def lock_state(world: World) -> None:
    place = BlobPlace(container=CONTAINERS.states, name=key_of())
    world.blobs.lease(place)
    lock = LockInfo.make(created=NOW - timedelta(minutes=5)).to_metadata_value(key_of())
    world.blobs.set_metadata(place, {LOCK_METADATA_KEY: lock})

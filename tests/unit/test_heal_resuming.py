"""A job that is gone on with after an apply that was cut off: what is ours is known from what is not."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import pytest

from drift.healing.judging import GONE_OVER, why_not_resumed
from records.errors import RecordError, StoreUnavailableError
from records.faults import Fault, FaultCode, RecordKind
from records.findings import FindingKind
from records.heal_ledger import HealRow, HealStep, Lever, LeverUse, OwnLock
from records.plan_checks import HoldReason
from records.readings import Present
from records.verdicts import Verdict
from tests.estates import SERIAL
from tests.unit.healing_bench import ALICE, HealBench
from tests.unit.healing_cloud import OTHER, OWN_NAME, RDP, SSH, CutOff
from tests.unit.observation_samples import CLICK, NOW, CrashError, seen
from tests.unit.planner_fake import bundle_of, inconclusive
from tests.unit.test_heal_holds import shows
from tests.unit.test_heal_laws import row_for

DOWN: Final = StoreUnavailableError("there", "503 ServerBusy")
FAULT: Final = Fault(
    code=FaultCode.NOT_JSON, record=RecordKind.TRACKER, blob="de/network.json", message="it is no JSON", remedy="Mend."
)


@pytest.fixture
def bench() -> HealBench:
    return HealBench()


async def cut_off(
    bench: HealBench, *clicks: str, after: int, writes_state: bool = False, leaves_lock: bool = False
) -> bytes:
    """The message of a job whose worker died in the middle of its apply."""
    message = await bench.clicked(*clicks)
    bench.cloud.cut_off = CutOff(after=after, writes_state=writes_state, leaves_lock=leaves_lock, dies=CrashError)
    with pytest.raises(CrashError, match="in the middle of the apply"):
        await bench.healer().heal(message)
    assert bench.row.step is HealStep.APPLYING
    assert bench.row.applying_since
    return message


async def seen_to_end(bench: HealBench, *clicks: str, after: int | None = None) -> bytes:
    """The message of a job whose worker died once it had kept what its apply left."""
    message = await bench.clicked(*clicks)
    bench.cloud.cut_off = CutOff(after=after) if after is not None else None
    bench.mortal.dies_at = ("after", "that it is applied")
    with pytest.raises(CrashError):
        await bench.healer().heal(message)
    bench.leases.taken.clear()
    assert bench.row.step is HealStep.APPLIED
    return message


async def recorded(bench: HealBench) -> tuple[int | None, datetime | None]:
    tracker = await bench.world.records.tracker(market="de", stack="network", subscription_id=None)
    assert isinstance(tracker, Present)
    return tracker.record.serial, tracker.record.deployed_at


class TestWhatIsLeft:
    @pytest.mark.parametrize("after", range(3), ids=["none of it was done", "one of two", "both"])
    async def test_of_an_apply_whose_state_was_lost_is_applied(self, bench: HealBench, after: int) -> None:
        message = await cut_off(bench, SSH, RDP, after=after)
        await bench.heal(message)
        done: dict[str, str] = {}
        for one in bench.cloud.applies:
            assert not done.keys() & one.keys(), "nothing is applied twice"
            done |= one
        assert done == {SSH: "Deny", RDP: "Deny"}
        await bench.assert_verified(applies=1 if after == 2 else 2)
        assert await recorded(bench) == (SERIAL, None)

    @pytest.mark.parametrize("after", range(3), ids=["all of it", "one of two", "nothing"])
    async def test_is_a_persons_on_a_state_that_was_written_which_may_have_been_by_anybody(
        self, bench: HealBench, after: int
    ) -> None:
        message = await cut_off(bench, SSH, RDP, after=after, writes_state=True)
        before = dict(bench.cloud.real)
        row = await bench.heal(message)
        assert (row.step, row.reason) == (HealStep.HELD, HoldReason.RECORDS_DISAGREE)
        assert "An apply of this job was cut off" in str(row.events[-1].note) or "nothing says that it was by" in str(
            row.events[-1].note
        )
        assert (len(bench.cloud.applies), bench.cloud.real, bench.world.blobs.writes) == (1, before, [])

    async def test_is_shown_as_a_change_that_waits_where_the_state_was_written(self, bench: HealBench) -> None:
        """As it would be if somebody else had deployed it: nothing of it reads as drift any more."""
        await cut_off(bench, SSH, RDP, after=1, writes_state=True)
        seen = await bench.world.observe()
        assert seen.verdict is Verdict.PIPELINE_DRIFT
        assert seen.plan
        assert [(one.address, one.kind) for one in seen.plan.findings] == [(SSH, FindingKind.PENDING_CHANGE)]

    async def test_and_moves_the_serial_is_on_record_at_the_last_one(self, bench: HealBench) -> None:
        message = await cut_off(bench, SSH, RDP, after=1)
        bench.cloud.moves_serial = True
        await bench.heal(message)
        await bench.assert_verified(applies=2)
        assert (await recorded(bench))[0] == bench.cloud.serial == SERIAL + 1

    async def test_is_nothing_and_what_was_seen_to_be_done_is_on_record_as_of_when_that_began(
        self, bench: HealBench
    ) -> None:
        """Too early is better than too late."""
        bench.cloud.moves_serial = True
        message = await seen_to_end(bench, SSH)
        began = bench.row.applying_since
        await bench.heal(message)
        await bench.assert_verified()
        assert await recorded(bench) == (SERIAL + 1, began)

    async def test_is_clicked_again_and_applied_on_the_state_that_ours_was_seen_to_leave(
        self, bench: HealBench
    ) -> None:
        bench.cloud.moves_serial = True
        message = await seen_to_end(bench, SSH)
        bench.cloud.click(SSH)
        await bench.heal(message)
        await bench.assert_verified(applies=2)
        assert (await recorded(bench))[0] == bench.cloud.serial == SERIAL + 2

    async def test_of_an_apply_that_failed_is_a_persons_once_its_worker_has_died(self, bench: HealBench) -> None:
        message = await seen_to_end(bench, SSH, RDP, after=1)
        assert bench.row.left_serial == SERIAL + 1
        row = await bench.heal(message)
        assert (row.step, row.reason) == (HealStep.HELD, HoldReason.RECORDS_DISAGREE)
        assert (len(bench.cloud.applies), bench.world.blobs.writes) == (1, [])

    async def test_is_held_by_a_pause(self, bench: HealBench) -> None:
        message = await cut_off(bench, SSH, RDP, after=1)
        await bench.ledger.pull(use=LeverUse(lever=Lever.PAUSE, by="alice", reason="x", at=NOW))
        row = await bench.heal(message)
        assert (row.step, row.reason) == (HealStep.HELD, HoldReason.PAUSED)
        assert row.applying_since, "it goes on from there when it is retried"
        assert await bench.verdict() is Verdict.HEALTHY
        assert len(bench.cloud.applies) == 1

        await bench.levers().resume(ALICE, market=None)
        await bench.levers().retry(ALICE, job_id=row.job.job_id)
        assert await bench.drain() == [None]
        await bench.assert_verified(applies=2)

    async def test_is_not_held_by_a_pause_where_it_is_nothing(self, bench: HealBench) -> None:
        message = await cut_off(bench, after=1)
        await bench.ledger.pull(use=LeverUse(lever=Lever.PAUSE, by="alice", reason="x", at=NOW))
        await bench.heal(message)
        await bench.assert_verified()

    async def test_is_gone_on_with_though_the_message_has_expired(self, bench: HealBench) -> None:
        message = await cut_off(bench, SSH, RDP, after=1)
        bench.now = bench.row.job.expires_at
        await bench.heal(message)
        await bench.assert_verified(applies=2)

    async def test_waits_where_records_cannot_be_written(self, bench: HealBench) -> None:
        bench.cloud.moves_serial = True
        message = await seen_to_end(bench, SSH)
        bench.world.blobs.refuse("trackers", DOWN, writes=True)
        with pytest.raises(StoreUnavailableError):
            await bench.healer().heal(message)
        bench.world.blobs.heal()
        await bench.heal(message)
        await bench.assert_verified()


def another_bundle(bench: HealBench) -> None:
    bundle = bundle_of("de", "network", b"the next one")
    bench.world.estate.put("bundles", bundle["blob"], b"the next one")
    bench.world.track(bundle=bundle)


def pipeline_deploys(bench: HealBench) -> None:
    """The same bundle once more, by whoever deploys."""
    bench.cloud.deploy_by_hand()
    bench.world.track(serial=bench.cloud.serial, run_id="pipeline")
    bench.world.register(serial=bench.cloud.serial)


def another_lineage(bench: HealBench) -> None:
    bench.cloud.lineage = "another"
    bench.cloud.write_state(SERIAL)


NOT_WHAT_WAS_JUDGED: Final = "what a plan shows now is not what was judged"
NOT_OF_OURS: Final = "the records are not what it can have left (verdict {})"
SOMEBODY_ELSE: Final[dict[str, tuple[Callable[[HealBench], object], HoldReason, str]]] = {
    "somebody clicks on something else": (
        lambda bench: bench.cloud.click(OTHER),
        HoldReason.RECORDS_DISAGREE,
        NOT_WHAT_WAS_JUDGED,
    ),
    "what is left becomes another value": (
        lambda bench: bench.cloud.real.update({SSH: "Ask"}),
        HoldReason.RECORDS_DISAGREE,
        NOT_WHAT_WAS_JUDGED,
    ),
    "a stranger deploys other code": (
        lambda bench: bench.cloud.deploy_by_hand(other="Ask"),
        HoldReason.RECORDS_DISAGREE,
        NOT_WHAT_WAS_JUDGED,
    ),
    "the plan would move or import something": (
        shows("moved_block"),
        HoldReason.RECORDS_DISAGREE,
        NOT_WHAT_WAS_JUDGED,
    ),
    "the plan would delete something": (
        shows("removed_block_destroys"),
        HoldReason.RECORDS_DISAGREE,
        NOT_WHAT_WAS_JUDGED,
    ),
    "another bundle is deployed": (another_bundle, HoldReason.RECORDS_DISAGREE, NOT_OF_OURS.format("healthy")),
    "the state gets another lineage": (
        another_lineage,
        HoldReason.RECORDS_DISAGREE,
        NOT_OF_OURS.format("lineage_mismatch"),
    ),
    "the state is rolled back": (
        lambda bench: bench.cloud.write_state(SERIAL - 1),
        HoldReason.RECORDS_DISAGREE,
        NOT_OF_OURS.format("state_rolled_back"),
    ),
    "the registry is ahead": (
        lambda bench: bench.world.register(serial=SERIAL + 9),
        HoldReason.RECORDS_DISAGREE,
        NOT_OF_OURS.format("registry_ahead"),
    ),
    "there is no plan": (shows(inconclusive()), HoldReason.INCONCLUSIVE, "no plan to judge: Terraform gave no plan"),
    "somebody locks the state": (
        lambda bench: bench.cloud.lock("1", "bob@laptop"),
        HoldReason.LOCKED,
        "by bob@laptop.",
    ),
}


@pytest.mark.parametrize("case", SOMEBODY_ELSE)
async def test_a_job_that_was_cut_off_is_held_and_nothing_is_touched_where(bench: HealBench, case: str) -> None:
    change, reason, saying = SOMEBODY_ELSE[case]
    message = await cut_off(bench, SSH, RDP, after=1)
    change(bench)
    before = (dict(bench.cloud.real), await bench.verdict())
    row = await bench.heal(message)
    assert (row.step, row.reason) == (HealStep.HELD, reason)
    assert saying in str(row.events[-1].note)
    assert row.applying_since, "whether it was applied is still not known"
    assert (bench.cloud.real, await bench.verdict()) == before
    assert len(bench.cloud.applies) == 1
    assert bench.world.blobs.writes == []
    assert bench.telemetry.moved == [row]


@pytest.mark.parametrize(("serial", "goes_on"), [(SERIAL - 1, False), (SERIAL, True), (SERIAL + 1, True)])
def test_no_apply_sets_a_serial_back(serial: int, goes_on: bool) -> None:
    one = seen("de", "network", CLICK)
    assert (why_not_resumed(row_for(one), one.model_copy(update={"serial": serial})) is None) is goes_on


async def test_a_job_that_was_cut_off_finds_the_records_of_a_deploy_that_went_over_it(bench: HealBench) -> None:
    """The pipeline has undone the rest, and left the serial: then all is as it should be."""
    message = await cut_off(bench, SSH, RDP, after=1)
    bench.cloud.real = dict(bench.cloud.code)
    await bench.heal(message)
    await bench.assert_verified()


async def test_a_job_that_was_cut_off_is_superseded_where_the_pipeline_deploys_the_same_once_more(
    bench: HealBench,
) -> None:
    message = await cut_off(bench, SSH, RDP, after=1, writes_state=True)
    pipeline_deploys(bench)
    row = await bench.heal(message)
    assert (row.step, row.events[-1].note) == (HealStep.SUPERSEDED, GONE_OVER)
    assert len(bench.cloud.applies) == 1


class TestALockThatAnApplyHasLeft:
    async def test_is_known_as_our_own_and_never_forced(self, bench: HealBench) -> None:
        message = await cut_off(bench, SSH, RDP, after=1, leaves_lock=True)
        own = bench.row.own_lock
        assert own == OwnLock(id="apply-0", who=OWN_NAME)
        row = await bench.heal(message)
        assert (row.step, row.reason) == (HealStep.HELD, HoldReason.LOCKED)
        note = str(row.events[-1].note)
        assert f"by a worker of our own that died ({OWN_NAME}, lock apply-0)" in note
        assert "run `terraform force-unlock apply-0`, then retry the job" in note
        assert bench.cloud.is_locked
        assert len(bench.cloud.applies) == 1
        assert row.own_lock == own

    async def test_and_a_person_forces_lets_a_retry_go_on(self, bench: HealBench) -> None:
        message = await cut_off(bench, SSH, RDP, after=1, leaves_lock=True)
        row = await bench.heal(message)
        bench.cloud.unlock()
        await bench.levers().retry(ALICE, job_id=row.job.job_id)
        noted: list[OwnLock | None] = []
        bench.ledger.on_put = lambda row: noted.append(row.own_lock) if row.step is HealStep.APPLYING else None
        assert await bench.drain() == [None]
        await bench.assert_verified(applies=2)
        first, second = (OwnLock(id=f"apply-{number}", who=OWN_NAME) for number in range(2))
        assert noted == [None, second]
        assert (row.own_lock, bench.row.own_lock) == (first, None)

    @pytest.mark.parametrize("could_be_noted", [True, False])
    async def test_is_known_too_where_terraform_alone_was_killed(self, bench: HealBench, could_be_noted: bool) -> None:
        message = await bench.clicked(SSH, RDP)
        bench.cloud.cut_off = CutOff(after=1, leaves_lock=True)

        def fail_once(row: HealRow) -> None:
            if row.step is HealStep.APPLYING and row.own_lock:
                bench.ledger.on_put = lambda _row: None
                raise DOWN

        if not could_be_noted:
            bench.ledger.on_put = fail_once
        row = await bench.heal(message)
        assert (row.step, row.reason) == (HealStep.HELD, HoldReason.LOCKED)
        assert "`terraform force-unlock apply-0`" in str(row.events[-1].note)
        assert row.own_lock == OwnLock(id="apply-0", who=OWN_NAME)
        assert row.applying_since
        assert bench.world.blobs.writes == []

    async def test_is_a_strangers_where_it_has_another_id(self, bench: HealBench) -> None:
        message = await cut_off(bench, SSH, RDP, after=1)
        bench.cloud.lock("another", OWN_NAME)
        row = await bench.heal(message)
        assert row.reason is HoldReason.LOCKED
        assert "force-unlock" not in str(row.events[-1].note)

    async def test_is_of_nobody_known_where_there_was_no_time_to_note_it(self, bench: HealBench) -> None:
        message = await bench.clicked(SSH, RDP)
        bench.cloud.cut_off = CutOff(after=1, leaves_lock=True, dies=CrashError)
        with pytest.raises(CrashError):
            await bench.healer(lock_watch=bench.lock_watch("trueup@elsewhere")).heal(message)
        row = await bench.heal(message)
        assert row.reason is HoldReason.LOCKED
        assert "force-unlock" not in str(row.events[-1].note)


async def test_records_that_cannot_be_trusted_hold_a_job_that_was_cut_off_back(bench: HealBench) -> None:
    message = await cut_off(bench, SSH, after=1)

    class Distrusting:
        async def record_heal(self, **_given: Any) -> Any:
            raise RecordError(FAULT)

    with pytest.raises(RecordError):
        await bench.healer(recorder=Distrusting()).heal(message)
    assert bench.row.step is HealStep.BEGUN
    await bench.heal(message)
    await bench.assert_verified()


async def test_a_rest_that_does_not_go_away_is_not_converged(bench: HealBench) -> None:
    message = await cut_off(bench, SSH, RDP, after=1)
    bench.cloud.undone_again = True
    row = await bench.heal(message)
    assert (row.step, row.applying_since) == (HealStep.NOT_CONVERGED, None)
    assert len(bench.cloud.applies) == 2

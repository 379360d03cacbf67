"""The way of a job that nothing stands in the way of, and what supersedes it before anything is applied."""

from collections.abc import Callable
from typing import Final

import pytest

from records.heal_ledger import HealStep, OwnLock
from records.plan_checks import HoldReason
from records.readings import Present
from records.terraform import Cause, FailedApply, Reach, Step
from records.verdicts import Verdict
from tests.estates import SERIAL
from tests.unit.healing_bench import HAPPY, LOCK_TIMEOUT_SECONDS, HealBench
from tests.unit.healing_cloud import OTHER, OWN_NAME, RDP, SSH, CutOff
from tests.unit.planner_fake import bundle_bytes, bundle_of, inconclusive


@pytest.fixture
def bench() -> HealBench:
    return HealBench()


class TestAClick:
    @pytest.mark.parametrize("moves_serial", [False, True], ids=["leaves the serial alone", "moves the serial"])
    async def test_is_undone_and_the_records_are_healthy_where_that(self, bench: HealBench, moves_serial: bool) -> None:
        bench.cloud.moves_serial = moves_serial
        row = await bench.heal(await bench.clicked())
        await bench.assert_verified()
        assert bench.steps == HAPPY
        assert bench.cloud.applies == [{SSH: "Deny"}]
        assert bench.cloud.serial == SERIAL + moves_serial
        assert "brought to the state" in str(row.events[-1].note) if moves_serial else not bench.world.blobs.writes
        assert [told.step for told in bench.telemetry.moved] == [HealStep.VERIFIED]

    async def test_is_on_record_as_of_when_its_apply_ended(self, bench: HealBench) -> None:
        """And not of when it was written: a deploy that ends in between is the later one."""
        bench.cloud.moves_serial = True
        row = await bench.heal(await bench.clicked())
        tracker = await bench.world.records.tracker(market="de", stack="network", subscription_id=None)
        assert isinstance(tracker, Present)
        assert tracker.record.deployed_at == row.events[-2].at

    async def test_is_planned_and_applied_under_terraforms_lock_and_looked_at_without(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.cloud.plans.clear()
        await bench.heal(message)
        assert bench.cloud.plans == [LOCK_TIMEOUT_SECONDS, None]

    async def test_has_its_lock_noted_while_it_is_applied(self, bench: HealBench) -> None:
        message = await bench.clicked()
        noted: list[OwnLock | None] = []
        bench.ledger.on_put = lambda row: noted.append(row.own_lock)
        await bench.heal(message)
        assert noted == [None, None, None, *[OwnLock(id="apply-0", who=OWN_NAME)] * 2, None]

    async def test_whose_lock_is_a_strangers_has_none_noted(self, bench: HealBench) -> None:
        message = await bench.clicked()
        await bench.heal(message, lock_watch=bench.lock_watch("trueup@elsewhere"))
        assert "its lock" not in bench.mortal.done
        await bench.assert_verified()

    async def test_that_comes_back_is_the_same_job_on_the_same_serial_and_another_on_the_next(
        self, bench: HealBench
    ) -> None:
        jobs = []
        for moves_serial in (False, True, False):
            bench.cloud.moves_serial = moves_serial
            row = await bench.heal(await bench.clicked())
            assert row.step is HealStep.VERIFIED
            jobs.append(row.job.job_id)
        assert jobs[0] == jobs[1] != jobs[2]
        assert [row.applied_at != () for row in bench.ledger.all_rows] == [True, True]

    async def test_on_several_rules_is_undone_in_one_apply(self, bench: HealBench) -> None:
        await bench.heal(await bench.clicked(SSH, RDP))
        await bench.assert_verified()
        assert bench.cloud.applies == [{SSH: "Deny", RDP: "Deny"}]


def another_bundle(bench: HealBench) -> None:
    bundle = bundle_of("de", "network", b"the next one")
    bench.world.estate.put("bundles", bundle["blob"], b"the next one")
    bench.world.track(bundle=bundle)


def another_lineage(bench: HealBench) -> None:
    bench.cloud.lineage = "another"
    bench.cloud.write_state(SERIAL)


SUPERSEDING: Final[dict[str, tuple[Callable[[HealBench], object], str]]] = {
    "the state has another serial": (lambda bench: bench.cloud.write_state(), "The state's serial is another"),
    "the state was rolled back": (lambda bench: bench.cloud.write_state(SERIAL - 1), "The state's serial is another"),
    "the state has another lineage": (another_lineage, "The state's lineage is another"),
    "another bundle is deployed": (another_bundle, "The bundle is another"),
    "somebody clicks on something else too": (lambda bench: bench.cloud.click(OTHER), "The drift is another one"),
    "the click becomes another": (
        lambda bench: bench.cloud.real.update({SSH: "Deny", RDP: "Allow"}),
        "The drift is another one",
    ),
    "the click is undone": (lambda bench: bench.cloud.real.update({SSH: "Deny"}), "The drift is gone."),
    "the code has changed its mind": (
        lambda bench: bench.cloud.code.update({SSH: "Allow"}),
        "The drift is gone. What differs is in the state alone.",
    ),
}


@pytest.mark.parametrize("case", SUPERSEDING)
async def test_a_job_is_superseded_where_meanwhile(bench: HealBench, case: str) -> None:
    change, saying = SUPERSEDING[case]
    message = await bench.clicked()
    change(bench)
    row = await bench.heal(message)
    assert row.step is HealStep.SUPERSEDED
    assert saying in (row.events[-1].note or "")
    assert bench.cloud.applies == []
    assert bench.telemetry.moved == [row]
    assert row.applying_since is None


@pytest.mark.parametrize("case", [case for case in SUPERSEDING if "state" in case or "bundle" in case])
async def test_nothing_is_applied_where_the_ground_moves_while_it_is_planned(bench: HealBench, case: str) -> None:
    message = await bench.clicked()
    bench.world.planner.meanwhile = lambda: SUPERSEDING[case][0](bench)
    await bench.assert_held(message, HoldReason.INCONCLUSIVE, "The records moved while the plan was made")


class TestAnApplyThatFails:
    async def test_as_stale_after_a_strangers_apply_is_not_recorded_as_ours(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.cloud.before_apply = lambda: bench.cloud.deploy_by_hand(ssh="Allow", other="Ask")
        row = await bench.heal(message)
        assert (row.step, row.reason) == (HealStep.HELD, HoldReason.RECORDS_DISAGREE)
        assert "nothing says that it was by the apply of this job alone" in str(row.events[-1].note)
        assert "Saved plan is stale" in str(row.events[-2].note)
        assert bench.cloud.applies == []
        assert await bench.verdict() is Verdict.PIPELINE_DRIFT
        assert bench.world.blobs.writes == []

    async def test_and_undid_the_click_all_the_same_is_verified(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.cloud.cut_off = CutOff(after=1)
        row = await bench.heal(message)
        assert "creating NSG Rule" in str(row.events[-2].note)
        await bench.assert_verified()

    async def test_halfway_is_not_converged_and_its_part_is_on_record(self, bench: HealBench) -> None:
        message = await bench.clicked(SSH, RDP)
        bench.cloud.cut_off = CutOff(after=1)
        row = await bench.heal(message)
        assert row.step is HealStep.NOT_CONVERGED
        assert row.events[-1].note == f"After the apply there is still, or again: {SSH}."
        assert row.applying_since is None
        assert await bench.verdict() is Verdict.HEALTHY
        assert bench.cloud.applies == [{RDP: "Deny"}]

    async def test_since_somebody_has_the_lock_by_then_changes_nothing(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.cloud.before_apply = lambda: bench.cloud.lock("1", "bob@laptop")
        row = await bench.assert_held(message, HoldReason.LOCKED, "by bob@laptop.")
        assert (bench.steps, row.own_lock, row.applied_at) == ([*HAPPY[:3], HealStep.HELD], None, ())

    async def test_since_it_was_not_started_changes_nothing(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.cloud.refuses = FailedApply(
            failure=inconclusive(Cause.NO_ROOM, step=Step.APPLY), reach=Reach.NOT_STARTED, most_writes=1
        )
        row = await bench.assert_held(message, HoldReason.INCONCLUSIVE, "no_room")
        assert (bench.steps, row.applied_at) == ([*HAPPY[:3], HealStep.HELD], ())

    async def test_and_finished_nothing_though_it_wrote_the_state_is_put_on_record(self, bench: HealBench) -> None:
        """It had begun a change, so Terraform had not refused its plan: what had drifted is in the state by its hand."""
        message = await bench.clicked()
        bench.cloud.cut_off = CutOff(after=0)
        assert (await bench.heal(message)).step is HealStep.NOT_CONVERGED
        assert await bench.verdict() is Verdict.HEALTHY

    async def test_before_it_began_a_change_puts_nothing_on_record(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.cloud.before_apply = lambda: bench.cloud.deploy_by_hand(None, ssh="Allow")
        row = await bench.heal(message)
        assert (row.step, row.reason) == (HealStep.HELD, HoldReason.RECORDS_DISAGREE)
        assert bench.world.blobs.writes == []


async def test_a_click_that_is_there_again_after_the_apply_is_not_converged(bench: HealBench) -> None:
    message = await bench.clicked()
    bench.cloud.undone_again = True
    bench.cloud.moves_serial = True
    row = await bench.heal(message)
    assert (row.step, row.applying_since) == (HealStep.NOT_CONVERGED, None)
    assert await bench.verdict() is Verdict.HEALTHY


async def test_a_click_on_something_else_after_the_apply_is_no_matter_of_this_job(bench: HealBench) -> None:
    message = await bench.clicked()
    bench.cloud.during_apply = lambda: bench.cloud.click(OTHER)
    assert (await bench.heal(message)).step is HealStep.VERIFIED


async def test_no_plan_is_believed_that_gives_no_answer(bench: HealBench) -> None:
    message = await bench.clicked()
    bench.cloud.shows = inconclusive()
    await bench.assert_held(message, HoldReason.INCONCLUSIVE, "Terraform gave no plan")


async def test_a_bundle_that_is_gone_holds_the_job(bench: HealBench) -> None:
    message = await bench.clicked()
    bench.world.estate.put("bundles", bundle_of("de", "network")["blob"], bundle_bytes("de", "network") + b"!")
    await bench.assert_held(message, HoldReason.INCONCLUSIVE, "Deploy the stack again")

"""What somebody else has done to a state is not taken for the work of a heal: neither applied over nor put on record."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import pytest

from adapters.check_shrinking import ever_smaller
from adapters.heal_messages import to_message
from drift.policy_rules import Rule
from records.heal_ledger import HealRow, HealStep
from records.plan_checks import HoldReason
from records.readings import Present
from records.verdicts import Verdict
from tests.estates import SERIAL
from tests.unit.drift_samples import ON
from tests.unit.healing_bench import ALICE, HAPPY, HealBench
from tests.unit.healing_cloud import AS_DEPLOYED, OTHER, OWN_NAME, RDP, SSH, CutOff
from tests.unit.observation_samples import CrashError
from tests.unit.planner_fake import inconclusive

ASKING: Final = ON.model_copy(update={"rules": (Rule.model_validate({"do": "ask"}),)})


@pytest.fixture
def bench() -> HealBench:
    return HealBench()


async def die(bench: HealBench, message: bytes) -> None:
    with pytest.raises(CrashError):
        await bench.healer().heal(message)


async def killed_before_its_apply(bench: HealBench) -> bytes:
    """The message of a job that is known to be applying, and that Terraform never began to apply."""
    message = await bench.clicked(SSH)
    bench.mortal.dies_at = ("before", "the apply")
    await die(bench, message)
    assert bench.row.step is HealStep.APPLYING
    return message


async def held_after_it(bench: HealBench) -> None:
    """The same, held since by a worker that could not look."""
    message = await killed_before_its_apply(bench)
    bench.cloud.shows = inconclusive()
    assert (await bench.heal(message)).reason is HoldReason.INCONCLUSIVE
    bench.cloud.shows = None


def assert_a_persons(bench: HealBench, *, applies: int = 0) -> None:
    """It is held, and what the stranger left is as it was: in the cloud, and against the records."""
    assert (bench.row.step, bench.row.reason) == (HealStep.HELD, HoldReason.RECORDS_DISAGREE)
    assert len(bench.cloud.applies) == applies
    assert bench.world.blobs.writes == []


class TestADeployAfterAWorkerThatWasKilledBeforeItsApply:
    async def test_that_adopts_the_click_is_not_undone(self, bench: HealBench) -> None:
        message = await killed_before_its_apply(bench)
        bench.cloud.deploy_by_hand(ssh="Allow")
        await bench.heal(message)
        assert_a_persons(bench)
        assert bench.cloud.real[SSH] == "Allow"
        assert await bench.verdict() is Verdict.PIPELINE_DRIFT

    async def test_that_adopts_the_click_is_not_undone_by_a_retry_a_day_later(self, bench: HealBench) -> None:
        await held_after_it(bench)
        bench.now += timedelta(days=1)
        bench.cloud.deploy_by_hand(ssh="Allow")
        await bench.levers().retry(ALICE, job_id=bench.row.job.job_id)
        assert await bench.drain() == [None]
        assert_a_persons(bench)
        assert bench.cloud.real[SSH] == "Allow"

    async def test_that_undoes_the_click_is_not_put_on_record_as_ours(self, bench: HealBench) -> None:
        """It may be of another bundle, which no plan of this one shows."""
        message = await killed_before_its_apply(bench)
        bench.cloud.deploy_by_hand()
        before = await bench.verdict()
        await bench.heal(message)
        assert_a_persons(bench)
        assert await bench.verdict() is before is Verdict.PIPELINE_DRIFT

    async def test_is_another_ground_once_a_check_has_found_the_drift_anew(self, bench: HealBench) -> None:
        await held_after_it(bench)
        bench.now += timedelta(days=30)
        message = await bench.queued()
        assert bench.row.applying_since is None, "a check has found the records healthy"
        bench.cloud.deploy_by_hand(ssh="Allow")
        assert (await bench.heal(message)).step is HealStep.SUPERSEDED
        assert (bench.cloud.applies, bench.cloud.real[SSH]) == ([], "Allow")

    async def test_that_did_not_come_leaves_the_job_to_be_applied(self, bench: HealBench) -> None:
        await bench.heal(await killed_before_its_apply(bench))
        await bench.assert_verified()


class TestAStrangersApplyAfterOurs:
    @pytest.mark.parametrize("step", [HealStep.APPLIED, HealStep.VERIFIED])
    @pytest.mark.parametrize("moves_serial", [False, True])
    async def test_is_not_put_on_record(self, bench: HealBench, moves_serial: bool, step: HealStep) -> None:
        """While the ledger keeps what came of ours, say: nothing is recorded but the serial that ours has left."""
        bench.cloud.moves_serial = moves_serial
        message = await bench.clicked(SSH)

        def deploy(row: HealRow) -> None:
            if row.step is step:
                bench.cloud.deploy_by_hand(ssh="Deny", other="Ask")

        bench.ledger.on_put = deploy
        await bench.heal(message)
        tracker = await bench.world.records.tracker(market="de", stack="network", subscription_id=None)
        assert isinstance(tracker, Present)
        is_in_time = moves_serial and step is HealStep.VERIFIED
        assert tracker.record.serial == SERIAL + is_in_time
        is_unrecorded = moves_serial and not is_in_time
        assert (bench.row.step, bench.row.reason) == (
            (HealStep.HELD, HoldReason.RECORDS_DISAGREE) if is_unrecorded else (HealStep.VERIFIED, None)
        )
        assert bench.cloud.serial == SERIAL + moves_serial + 1
        assert await bench.verdict() is Verdict.PIPELINE_DRIFT


class TestADeployBetweenTheJudgementAndTheApply:
    """Terraform refuses the plan as stale, and what the state says by then is the deploy's."""

    @pytest.mark.parametrize("ssh", ["Allow", "Deny"], ids=["that adopts the click", "that undoes the click"])
    async def test_is_not_put_on_record_as_ours(self, bench: HealBench, ssh: str) -> None:
        message = await bench.clicked(SSH)
        bench.cloud.before_apply = lambda: bench.cloud.deploy_by_hand(ssh=ssh)
        await bench.heal(message)
        assert_a_persons(bench)
        assert bench.cloud.real[SSH] == ssh
        assert await bench.verdict() is Verdict.PIPELINE_DRIFT

    async def test_is_not_undone_by_a_later_click(self, bench: HealBench) -> None:
        message = await bench.clicked(SSH)
        bench.cloud.before_apply = lambda: bench.cloud.deploy_by_hand(ssh="Allow")
        await bench.heal(message)
        bench.cloud.before_apply = lambda: None
        bench.cloud.click(RDP)
        assert (await bench.check()).reason is HoldReason.RECORDS_DISAGREE


class TestADeployBetweenTheEndOfAnApplyAndTheLookAtItsState:
    @pytest.mark.parametrize("moves_serial", [False, True])
    @pytest.mark.parametrize(
        "rules", [{"other": "Ask"}, {"ssh": "Allow"}, {}], ids=["of more", "of the click", "of it all"]
    )
    async def test_is_not_put_on_record_as_ours(
        self, bench: HealBench, rules: dict[str, str], moves_serial: bool
    ) -> None:
        bench.cloud.moves_serial = moves_serial
        bench.cloud.after_apply = lambda: bench.cloud.deploy_by_hand(**rules, outputs="another")
        await bench.heal(await bench.clicked(SSH))
        assert_a_persons(bench, applies=1)
        assert await bench.verdict() is Verdict.PIPELINE_DRIFT

    async def test_is_not_put_on_record_after_an_apply_that_failed_halfway(self, bench: HealBench) -> None:
        message = await bench.clicked(SSH, RDP)
        bench.cloud.cut_off = CutOff(after=1)
        bench.cloud.after_apply = lambda: bench.cloud.deploy_by_hand(ssh="Allow")
        await bench.heal(message)
        assert_a_persons(bench, applies=1)
        assert bench.cloud.real[SSH] == "Allow"


class TestADeployAfterAWorkerThatDiedInItsApply:
    @pytest.mark.parametrize("after", [0, 1, 2])
    @pytest.mark.parametrize("writes_state", [False, True])
    @pytest.mark.parametrize(
        "rules", [{"ssh": "Allow"}, {"rdp": "Allow"}, {"ssh": "Allow", "rdp": "Allow"}, {}], ids=str
    )
    async def test_is_neither_undone_nor_put_on_record(
        self, bench: HealBench, rules: dict[str, str], writes_state: bool, after: int
    ) -> None:
        message = await bench.clicked(SSH, RDP)
        bench.cloud.cut_off = CutOff(after=after, writes_state=writes_state, dies=CrashError)
        await die(bench, message)
        bench.cloud.deploy_by_hand(**rules)
        await bench.heal(message)
        assert_a_persons(bench, applies=1)
        assert bench.cloud.real == AS_DEPLOYED | {
            f"azurerm_network_security_rule.{name}": access for name, access in rules.items()
        }

    async def test_is_neither_where_ours_was_seen_to_end(self, bench: HealBench) -> None:
        bench.cloud.moves_serial = True
        message = await bench.clicked(SSH, RDP)
        bench.mortal.dies_at = ("after", "that it is applied")
        await die(bench, message)
        bench.cloud.deploy_by_hand(ssh="Allow")
        await bench.heal(message)
        assert_a_persons(bench, applies=1)


class TestALockUnderOurOwnName:
    """A pipeline on the same machine, or on one of the same name, as the same user."""

    async def test_that_an_apply_does_not_get_past_is_not_called_our_own(self, bench: HealBench) -> None:
        message = await bench.clicked(SSH)
        bench.cloud.before_apply = lambda: bench.cloud.lock("a-pipelines", OWN_NAME)
        row = await bench.assert_held(message, HoldReason.LOCKED, f"by {OWN_NAME}.")
        assert "force-unlock" not in str(row.events[-1].note)
        assert row.own_lock is None

    async def test_that_a_plan_does_not_get_past_is_not_called_our_own(self, bench: HealBench) -> None:
        message = await bench.clicked(SSH)
        bench.cloud.before_plan = lambda: bench.cloud.lock("a-pipelines", OWN_NAME)
        assert (await bench.assert_held(message, HoldReason.INCONCLUSIVE)).own_lock is None
        bench.cloud.before_plan = lambda: None
        assert (await bench.heal(await retried(bench))).reason is HoldReason.LOCKED
        assert "force-unlock" not in str(bench.row.events[-1].note)

    async def test_that_is_there_after_an_apply_that_gave_its_own_back_is_not_called_our_own(
        self, bench: HealBench
    ) -> None:
        message = await bench.clicked(SSH, RDP)
        bench.cloud.cut_off = CutOff(after=1)
        bench.cloud.after_apply = lambda: bench.cloud.lock("a-pipelines", OWN_NAME)
        row = await bench.heal(message)
        assert row.step is HealStep.NOT_CONVERGED


async def test_an_apply_that_never_got_the_lock_is_no_heal_to_the_breaker(bench: HealBench) -> None:
    message = await bench.clicked(SSH)
    bench.cloud.before_apply = lambda: bench.cloud.lock("1", "bob@laptop")
    for _ in range(4):
        await bench.assert_held(message, HoldReason.LOCKED, "by bob@laptop.")
        bench.telemetry.moved.clear()
        bench.cloud.unlock()
        message = await retried(bench)
    assert bench.row.applied_at == ()
    bench.cloud.before_apply = lambda: None
    await bench.heal(message)
    await bench.assert_verified()


async def retried(bench: HealBench) -> bytes:
    bench.now += timedelta(minutes=1)
    await bench.levers().retry(ALICE, job_id=bench.row.job.job_id)
    return to_message(bench.row.job)


class TestAnApplyThatFailedAndMovedTheState:
    MEANWHILE: Final[dict[str, Callable[[HealBench], object]]] = {
        "somebody clicked on something else": lambda bench: bench.cloud.click(OTHER),
        "what is left became another value": lambda bench: bench.cloud.real.update({SSH: "Half"}),
    }

    @pytest.mark.parametrize("clicks", [(SSH, RDP), (RDP,)], ids=["halfway", "at its end"])
    @pytest.mark.parametrize("case", MEANWHILE)
    async def test_is_a_persons_where_meanwhile(self, bench: HealBench, case: str, clicks: tuple[str, ...]) -> None:
        """Neither verified nor merely not converged: the records no longer say what the state says."""
        message = await bench.clicked(*clicks)
        bench.cloud.cut_off = CutOff(after=1)
        bench.cloud.during_apply = lambda: self.MEANWHILE[case](bench)
        await bench.heal(message)
        assert_a_persons(bench, applies=1)
        assert bench.steps == [*HAPPY[:4], HealStep.HELD]
        assert await bench.verdict() is Verdict.PIPELINE_DRIFT


class TestAJobThatWasApprovedFromACheckTooLargeToKeepWhole:
    async def approved(self, bench: HealBench, form: int) -> None:
        bench.cloud.click(SSH, RDP)
        bench.policy = ASKING
        check = await bench.check()
        stored = await bench.checks.latest_of_stack(market="de", stack="network")
        assert stored
        assert check.job_id
        await bench.checks.save_check(stored=list(ever_smaller(stored))[form])
        await bench.levers().approve(ALICE, job_id=check.job_id)

    @pytest.mark.parametrize("form", range(3))
    async def test_is_gone_on_with_after_its_worker_died_halfway(self, bench: HealBench, form: int) -> None:
        await self.approved(bench, form)
        bench.cloud.cut_off = CutOff(after=1, writes_state=False, dies=CrashError)
        with pytest.raises(CrashError):
            await bench.drain()
        assert await bench.drain() == [None]
        await bench.assert_verified(applies=2)

    @pytest.mark.parametrize("form", range(3))
    async def test_has_on_record_what_an_apply_that_failed_halfway_did(self, bench: HealBench, form: int) -> None:
        await self.approved(bench, form)
        bench.cloud.cut_off = CutOff(after=1)
        assert await bench.drain() == [None]
        assert bench.row.step is HealStep.NOT_CONVERGED
        assert await bench.verdict() is Verdict.HEALTHY

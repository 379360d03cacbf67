"""What a worker makes of a message before it touches a stack: duplicates, old ones, expired ones, and other workers."""

from datetime import timedelta
from typing import Any, Final

import pytest

from adapters.heal_messages import to_message
from drift.healing.worker import Fate
from records.errors import StackBusyError, StoreUnavailableError
from records.heal_ledger import ENDED, HealRow, HealStep
from records.heals import HealJob
from tests.fakes_healing import MemoryLease
from tests.unit.healing_bench import HAPPY, PATH, HealBench
from tests.unit.healing_cloud import RDP, SSH, CutOff
from tests.unit.observation_samples import CrashError

DOWN: Final = StoreUnavailableError("heals", "503 ServerBusy")


@pytest.fixture
def bench() -> HealBench:
    return HealBench()


async def assert_untouched(bench: HealBench, message: bytes, fate: Fate = Fate.DONE) -> None:
    """The message is done with, and nothing was planned, applied, written or told."""
    rows, reads = bench.ledger.all_rows, len(bench.world.blobs.reads)
    told = [row for row in rows if to_message(row.job) == message]
    bench.cloud.plans.clear()
    bench.mortal.done.clear()
    bench.telemetry.moved.clear()
    applies = len(bench.cloud.applies)
    assert await bench.healer().heal(message) is fate
    assert bench.ledger.all_rows == rows
    assert (bench.cloud.plans, bench.mortal.done) == ([], [])
    assert bench.telemetry.moved == [row for row in told if row.has_ended], "its worker may have died before it told"
    assert len(bench.world.blobs.reads) == reads
    assert len(bench.cloud.applies) == applies


async def put(bench: HealBench, **changes: Any) -> None:
    kept = await bench.ledger.find(job_id=bench.row.job.job_id)
    assert kept
    await bench.ledger.put(row=kept.row.model_copy(update=changes), replaces=kept.etag)


@pytest.mark.parametrize("step", sorted(ENDED))
async def test_another_message_of_a_job_that_has_ended_changes_nothing(bench: HealBench, step: HealStep) -> None:
    message = await bench.clicked()
    await put(bench, step=step)
    await assert_untouched(bench, message)
    assert bench.telemetry.refused == []


async def test_a_message_that_is_delivered_three_times_heals_once(bench: HealBench) -> None:
    message = await bench.clicked()
    await bench.heal(message)
    for _ in range(2):
        await assert_untouched(bench, message)
    assert bench.row.step is HealStep.VERIFIED
    assert bench.cloud.applies == [{SSH: "Deny"}]


async def test_a_message_of_before_the_job_was_queued_anew_changes_nothing(bench: HealBench) -> None:
    older = await bench.clicked()
    await bench.heal(older)
    newer = await bench.clicked()
    assert HealJob.model_validate_json(older).job_id == HealJob.model_validate_json(newer).job_id
    await assert_untouched(bench, older)
    assert bench.row.step is HealStep.QUEUED
    assert (await bench.heal(newer)).step is HealStep.VERIFIED


class TestAMessageThatHasExpired:
    async def test_ends_its_job(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.now = bench.row.job.expires_at - timedelta(seconds=1)
        row = await bench.heal(message)
        assert row.step is HealStep.EXPIRED
        assert bench.telemetry.moved == [row]
        assert bench.cloud.applies == []
        assert bench.leases.taken == {}

    async def test_does_not_a_moment_before(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.now = bench.row.job.expires_at - timedelta(seconds=3)
        assert (await bench.heal(message)).step is HealStep.VERIFIED

    async def test_ends_one_that_was_begun_and_not_applied(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.mortal.dies_at = ("after", "that it is judged")
        with pytest.raises(CrashError):
            await bench.healer().heal(message)
        bench.now = bench.row.job.expires_at
        assert (await bench.heal(message)).step is HealStep.EXPIRED

    async def test_is_queued_anew_by_the_next_check(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.now = bench.row.job.expires_at
        await bench.heal(message)
        assert (await bench.heal(await bench.queued())).step is HealStep.VERIFIED
        assert bench.steps == HAPPY


class TestAnotherWorker:
    async def test_that_has_the_stack_leaves_the_message_for_later(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.leases.taken[PATH] = MemoryLease()
        await assert_untouched(bench, message, Fate.LATER)
        bench.leases.taken.clear()
        assert (await bench.heal(message)).step is HealStep.VERIFIED

    async def test_that_has_another_stack_is_none_of_ours(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.leases.taken["de", "app"] = MemoryLease()
        assert (await bench.heal(message)).step is HealStep.VERIFIED

    async def test_that_ended_the_job_while_this_one_waited_for_the_lease_has_ended_it(self, bench: HealBench) -> None:
        message = await bench.clicked()
        held = bench.leases.held

        def held_after_the_other(*, market: str, stack: str) -> Any:
            kept = bench.ledger._rows[market, stack, bench.row.job.job_id]
            row = HealRow.model_validate_json(kept[0]).model_copy(update={"step": HealStep.VERIFIED})
            bench.ledger.put_text(row.job, row.model_dump_json())
            return held(market=market, stack=stack)

        bench.leases.held = held_after_the_other  # type: ignore[method-assign]
        assert await bench.healer().heal(message) is Fate.DONE
        assert bench.cloud.plans == [None], "by the check alone"
        assert bench.cloud.applies == []

    async def test_is_not_known_where_no_lease_can_be_had(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.leases.refuse("held", DOWN)
        with pytest.raises(StoreUnavailableError):
            await bench.healer().heal(message)
        assert bench.row.step is HealStep.QUEUED


class TestAMessageThatIsNoJobOfTheLedger:
    async def test_is_refused_where_there_is_no_such_row(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.ledger._rows.clear()
        await assert_untouched(bench, message)
        assert bench.telemetry.refused == ["the ledger has no such job"]

    @pytest.mark.parametrize("body", [b"", b"{}", b"x" * 60_000])
    async def test_is_refused_where_it_is_no_job_at_all(
        self, bench: HealBench, body: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        await assert_untouched(bench, body)
        [why] = bench.telemetry.refused
        assert why in caplog.text
        await bench.healer().fail(body)
        assert bench.telemetry.refused == [why, why]

    async def test_is_refused_where_it_says_something_else(self, bench: HealBench) -> None:
        job = HealJob.model_validate_json(await bench.clicked())
        forged = job.model_copy(update={"bundle_sha256": "0" * 64})
        await assert_untouched(bench, forged.model_dump_json().encode())
        assert bench.telemetry.refused == ["it is not what the ledger says of this job"]

    async def test_is_an_error_where_the_row_is_of_a_later_version(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.ledger.put_text(bench.row.job, "{}")
        with pytest.raises(StoreUnavailableError):
            await bench.healer().heal(message)
        assert bench.cloud.applies == []


class TestAMessageThatFailedTooOften:
    async def test_ends_its_job_and_is_told(self, bench: HealBench) -> None:
        message = await bench.clicked()
        await bench.healer().fail(message)
        assert bench.row.step is HealStep.FAILED
        assert bench.telemetry.moved == [bench.row]
        await assert_untouched(bench, message)

    async def test_leaves_known_that_it_may_have_been_applied(self, bench: HealBench) -> None:
        message = await bench.clicked(SSH, RDP)
        bench.cloud.cut_off = CutOff(after=1, dies=CrashError)
        with pytest.raises(CrashError):
            await bench.healer().heal(message)
        await bench.healer().fail(message)
        assert bench.row.step is HealStep.FAILED
        assert bench.row.applying_since

    async def test_and_is_an_older_one_fails_no_job_that_was_queued_anew(self, bench: HealBench) -> None:
        older = await bench.clicked()
        await bench.heal(older)
        await bench.clicked()
        await bench.healer().fail(older)
        assert bench.row.step is HealStep.QUEUED

    async def test_and_whose_stack_another_worker_has_has_not_failed(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.leases.taken[PATH] = MemoryLease()
        with pytest.raises(StackBusyError, match="de/network"):
            await bench.healer().fail(message)
        assert bench.steps == []
        assert bench.telemetry.moved == []
        bench.leases.taken.clear()
        await bench.healer().fail(message)
        assert bench.steps == [HealStep.FAILED]

    async def test_and_has_expired_meanwhile_has_failed_all_the_same(self, bench: HealBench) -> None:
        message = await bench.clicked()
        bench.now = bench.row.job.expires_at
        await bench.healer().fail(message)
        assert bench.row.step is HealStep.FAILED

    async def test_is_not_queued_anew_by_a_check(self, bench: HealBench) -> None:
        await bench.healer().fail(await bench.clicked())
        with pytest.raises(AssertionError, match="already_open"):
            await bench.queued()

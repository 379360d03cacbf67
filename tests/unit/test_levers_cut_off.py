"""A lever whose process dies between its use, the row and the message; and two hands on one job at one moment."""

from typing import Final

import pytest

from records.errors import RefusedLeverError, StoreUnavailableError
from records.heal_ledger import HealRow, HealStep, Lever
from records.heals import HealJob
from tests.unit.healing_bench import ALICE, HealBench
from tests.unit.observation_samples import CrashError
from tests.unit.test_levers import APPROVE, BOB, OF_A_JOB, REJECT, RETRY, Pull, at_step, held_by_a_check, put, uses

DOWN: Final = StoreUnavailableError("heals", "503 ServerBusy")
QUEUEING: Final = {Lever.APPROVE: APPROVE, Lever.RETRY: RETRY}


@pytest.fixture
def bench() -> HealBench:
    return HealBench()


async def ready(bench: HealBench, lever: Lever) -> str:
    """A job that this lever can be pulled for."""
    return await at_step(bench, HealStep.FAILED) if lever is Lever.RETRY else await held_by_a_check(bench)


async def die(bench: HealBench, pull: Pull, job_id: str, when: str, deed: str) -> None:
    bench.mortal.dies_at = (when, deed)
    with pytest.raises(CrashError):
        await pull(bench.levers(), job_id)


@pytest.mark.parametrize("lever", OF_A_JOB)
async def test_a_use_is_on_record_before_anything_follows_from_it(bench: HealBench, lever: Lever) -> None:
    job_id = await ready(bench, lever)
    rows = bench.ledger.all_rows
    bench.ledger.refuse("pull", DOWN)
    with pytest.raises(StoreUnavailableError):
        await OF_A_JOB[lever](bench.levers(), job_id)
    assert (bench.ledger.all_rows, bench.queue.sent) == (rows, [])
    bench.ledger.heal()
    await die(bench, OF_A_JOB[lever], job_id, "before", "that it is rejected" if lever is Lever.REJECT else QUEUED)
    assert await uses(bench) == [(lever, ALICE.by, job_id)]
    assert (bench.ledger.all_rows, bench.queue.sent) == (rows, [])


QUEUED: Final = "that it is queued"


@pytest.mark.parametrize("lever", QUEUEING)
async def test_one_that_dies_before_its_row_can_be_pulled_again(bench: HealBench, lever: Lever) -> None:
    job_id = await ready(bench, lever)
    await die(bench, QUEUEING[lever], job_id, "before", QUEUED)
    await QUEUEING[lever](bench.levers(), job_id)
    await bench.drain()
    await bench.assert_verified()


@pytest.mark.parametrize("lever", QUEUEING)
@pytest.mark.parametrize(("when", "deed"), [("after", QUEUED), ("before", "a message")])
async def test_one_that_dies_before_its_message_has_it_sent_by_a_retry_which_keeps_the_approval(
    bench: HealBench, lever: Lever, when: str, deed: str
) -> None:
    job_id = await ready(bench, lever)
    await die(bench, QUEUEING[lever], job_id, when, deed)
    assert bench.row.step is HealStep.QUEUED
    assert bench.queue.sent == []
    await bench.levers().retry(BOB, job_id=job_id)
    assert await bench.drain() == [None]
    await bench.assert_verified()


@pytest.mark.parametrize("lever", QUEUEING)
async def test_one_that_dies_after_its_message_has_done_all(bench: HealBench, lever: Lever) -> None:
    job_id = await ready(bench, lever)
    await die(bench, QUEUEING[lever], job_id, "after", "a message")
    await bench.drain()
    await bench.assert_verified()


async def test_a_rejection_that_dies_before_its_row_can_be_said_again(bench: HealBench) -> None:
    job_id = await held_by_a_check(bench)
    await die(bench, REJECT, job_id, "before", "that it is rejected")
    assert (await REJECT(bench.levers(), job_id)).step is HealStep.REJECTED


async def test_a_message_that_overtakes_its_own_row_is_never_sent(bench: HealBench) -> None:
    """The row is written first: a message that no row speaks of is refused, and gone."""
    job_id = await held_by_a_check(bench)
    await APPROVE(bench.levers(), job_id)
    assert [deed for deed in bench.mortal.done if deed in {QUEUED, "a message"}] == [QUEUED, "a message"]


@pytest.mark.parametrize("first", OF_A_JOB)
@pytest.mark.parametrize("second", OF_A_JOB)
async def test_of_two_hands_on_a_held_job_at_one_moment_one_is_told_to_look_again(
    bench: HealBench, first: Lever, second: Lever
) -> None:
    job_id = await held_by_a_worker(bench)
    moved_on: list[HealRow] = []

    def be_overtaken(_row: HealRow) -> None:
        """Somebody else's hand comes between this one's look and its write."""
        bench.ledger.on_put = lambda _row: None
        row = bench.row.moved(HealStep.REJECTED if second is Lever.REJECT else HealStep.QUEUED, at=bench.clock())
        bench.ledger.put_text(row.job, row.model_dump_json())
        moved_on.append(row)

    bench.ledger.on_put = be_overtaken
    with pytest.raises(RefusedLeverError, match="was moved on by somebody else at this moment; look at it again"):
        await OF_A_JOB[first](bench.levers(), job_id)
    assert bench.ledger.all_rows == moved_on
    assert bench.queue.sent == []


async def held_by_a_worker(bench: HealBench) -> str:
    job_id = await held_by_a_check(bench)
    await bench.queued()
    await bench.healer().heal(bench.row.job.model_dump_json().encode())
    assert bench.row.step is HealStep.HELD
    return job_id


async def test_a_job_that_no_row_is_of_is_entered_by_one_of_two_hands(bench: HealBench) -> None:
    job_id = await held_by_a_check(bench)

    def be_overtaken(row: HealRow) -> None:
        bench.ledger.on_put = lambda _row: None
        bench.ledger.put_text(row.job, row.model_copy(update={"run_id": "another"}).model_dump_json())

    bench.ledger.on_put = be_overtaken
    with pytest.raises(RefusedLeverError, match="moved on by somebody else"):
        await APPROVE(bench.levers(), job_id)
    assert [row.run_id for row in bench.ledger.all_rows] == ["another"]
    assert bench.queue.sent == []


async def test_a_worker_that_has_begun_is_overtaken_by_no_hand(bench: HealBench) -> None:
    """A rejection that comes while the job is at work is refused; one that comes before stops it."""
    message = await bench.clicked()
    job_id = HealJob.model_validate_json(message).job_id
    await put(bench, HealStep.BEGUN)
    for pull in OF_A_JOB.values():
        with pytest.raises(RefusedLeverError):
            await pull(bench.levers(), job_id)
    assert bench.row.step is HealStep.BEGUN
    await bench.heal(message)
    await bench.assert_verified()

"""A worker that dies anywhere: the next delivery of the same message ends with the cloud, the records and the ledger right."""

from typing import Final

import pytest

from records.errors import BlobChangedError, LeaseLostError, StoreUnavailableError, UnverifiedHealError
from records.heal_ledger import HealRow, HealStep
from records.plan_checks import HoldReason
from records.verdicts import Verdict
from tests.fakes_healing import MemoryLease
from tests.unit.healing_bench import HAPPY, PATH, HealBench
from tests.unit.healing_cloud import RDP, SSH
from tests.unit.observation_samples import CrashError
from tests.unit.planner_fake import inconclusive

DOWN: Final = StoreUnavailableError("heals", "503 ServerBusy")
BEFORE_THE_RECORD: Final = [
    "that it is begun",
    "that it is judged",
    "that it is applying",
    "its lock",
    "the apply",
    "that it is applied",
]
RECORD: Final = [
    "its tracker in the log as begun",
    "trackers/de/network.json",
    "its tracker in the log as written",
    "its registry in the log as begun",
    "registry/de/subscription.json",
    "its registry in the log as written",
]
DEEDS: Final = {
    False: [*BEFORE_THE_RECORD, "that it is verified"],
    True: [*BEFORE_THE_RECORD, *RECORD, "that it is verified"],
}
UNKNOWN: Final = [
    (True, "before", "its lock"),
    (True, "after", "its lock"),
    (True, "after", "the apply"),
    (True, "before", "that it is applied"),
]
"""The state was written, and nothing says by whom."""
DEATHS: Final = [
    pytest.param(moves, when, deed, id=f"{when} {deed}, where the serial {'moves' if moves else 'stays'}")
    for moves, deeds in DEEDS.items()
    for deed in deeds
    for when in ("before", "after")
    if (moves, when, deed) not in UNKNOWN
]


@pytest.fixture
def bench() -> HealBench:
    return HealBench()


@pytest.mark.parametrize("moves_serial", DEEDS)
async def test_the_deeds_of_a_heal_are_those_that_it_dies_at_below(bench: HealBench, moves_serial: bool) -> None:
    bench.cloud.moves_serial = moves_serial
    await bench.heal(await bench.clicked())
    assert bench.mortal.done == DEEDS[moves_serial]


async def die(bench: HealBench, message: bytes, when: str, deed: str) -> None:
    bench.mortal.dies_at = (when, deed)
    with pytest.raises(CrashError, match=f"{when} {deed}"):
        await bench.healer().heal(message)
    bench.leases.taken.clear()


@pytest.mark.parametrize(("moves_serial", "when", "deed"), DEATHS)
async def test_a_worker_that_dies_is_gone_on_from(bench: HealBench, moves_serial: bool, when: str, deed: str) -> None:
    bench.cloud.moves_serial = moves_serial
    message = await bench.clicked()
    await die(bench, message, when, deed)
    await bench.healer().heal(message)
    assert bench.row.step is HealStep.VERIFIED
    assert bench.cloud.applies == [{SSH: "Deny"}], "the drift is undone once"
    assert bench.cloud.real == bench.cloud.code
    assert await bench.verdict() is Verdict.HEALTHY
    assert (bench.row.applying_since, bench.row.own_lock) == (None, None)
    assert bench.telemetry.moved == [bench.row]


@pytest.mark.parametrize(("moves_serial", "when", "deed"), UNKNOWN)
async def test_a_state_that_was_written_is_a_persons_where_the_apply_was_not_seen_to_end(
    bench: HealBench, moves_serial: bool, when: str, deed: str
) -> None:
    bench.cloud.moves_serial = moves_serial
    message = await bench.clicked()
    await die(bench, message, when, deed)
    for gone in (False, True):
        bench.cloud.real = dict(bench.cloud.code) if gone else bench.cloud.real
        row = await bench.heal(message)
        assert (row.step, row.reason) == (HealStep.HELD, HoldReason.RECORDS_DISAGREE)
        assert (len(bench.cloud.applies), bench.world.blobs.writes) == (1, [])


@pytest.mark.parametrize(("moves_serial", "when", "deed"), DEATHS)
async def test_two_deaths_at_the_same_place_are_one(bench: HealBench, moves_serial: bool, when: str, deed: str) -> None:
    bench.cloud.moves_serial = moves_serial
    message = await bench.clicked()
    await die(bench, message, when, deed)
    bench.mortal.dies_at = (when, deed)
    for _ in range(2):
        try:
            await bench.healer().heal(message)
        except CrashError:
            bench.leases.taken.clear()
    assert bench.row.step is HealStep.VERIFIED
    assert bench.cloud.applies == [{SSH: "Deny"}]
    assert await bench.verdict() is Verdict.HEALTHY


@pytest.mark.parametrize(("moves_serial", "when", "deed"), DEATHS)
async def test_a_job_whose_drift_is_gone_when_it_is_gone_on_with_applies_nothing_more(
    bench: HealBench, moves_serial: bool, when: str, deed: str
) -> None:
    bench.cloud.moves_serial = moves_serial
    message = await bench.clicked()
    await die(bench, message, when, deed)
    applies = len(bench.cloud.applies)
    bench.cloud.real = dict(bench.cloud.code)
    await bench.healer().heal(message)
    assert bench.row.step is (HealStep.VERIFIED if _may_have_applied(bench.row) else HealStep.SUPERSEDED)
    assert len(bench.cloud.applies) == applies
    assert await bench.verdict() is Verdict.HEALTHY


def _may_have_applied(row: HealRow) -> bool:
    return any(event.step is HealStep.APPLYING for event in row.events)


@pytest.mark.parametrize(("moves_serial", "when", "deed"), DEATHS)
async def test_what_was_clicked_since_is_never_applied_over(
    bench: HealBench, moves_serial: bool, when: str, deed: str
) -> None:
    bench.cloud.moves_serial = moves_serial
    message = await bench.clicked()
    await die(bench, message, when, deed)
    applies = len(bench.cloud.applies)
    bench.cloud.click(RDP)
    await bench.healer().heal(message)
    assert (bench.row.step is HealStep.VERIFIED) is ((when, deed) == ("after", "that it is verified"))
    assert len(bench.cloud.applies) == applies
    assert bench.cloud.real[RDP] == "Allow"


@pytest.mark.parametrize("step", [step for step in HAPPY if step is not HealStep.VERIFIED])
async def test_a_ledger_that_is_down_at_a_step_leaves_the_job_to_the_next_delivery(
    bench: HealBench, step: HealStep
) -> None:
    message = await bench.clicked()
    bench.ledger.on_put = lambda row: bench.ledger.refuse("put", DOWN) if row.step is step else None
    with pytest.raises(StoreUnavailableError):
        await bench.healer().heal(message)
    assert len(bench.cloud.applies) == (step is HealStep.APPLIED)
    bench.ledger.on_put = lambda _row: None
    bench.ledger.heal()
    await bench.heal(message)
    await bench.assert_verified()


BEFORE_THE_APPLY: Final = [HealStep.BEGUN, HealStep.JUDGED, HealStep.APPLYING]


@pytest.mark.parametrize("step", BEFORE_THE_APPLY)
async def test_a_job_that_somebody_else_moves_on_is_theirs_and_not_applied(bench: HealBench, step: HealStep) -> None:
    message = await bench.clicked()

    def be_moved(row: HealRow) -> None:
        if row.step is step:
            bench.ledger.put_text(row.job, bench.row.model_copy(update={"run_id": "another"}).model_dump_json())

    bench.ledger.on_put = be_moved
    with pytest.raises(BlobChangedError):
        await bench.healer().heal(message)
    assert bench.cloud.applies == []
    assert bench.row.run_id == "another"


@pytest.mark.parametrize("step", [HealStep.BEGUN, HealStep.JUDGED])
async def test_a_worker_that_has_lost_its_lease_applies_nothing(bench: HealBench, step: HealStep) -> None:
    message = await bench.clicked()

    def lose(row: HealRow) -> None:
        if row.step is step:
            bench.leases.taken[PATH].is_lost = True

    bench.ledger.on_put = lose
    with pytest.raises(LeaseLostError, match="de/network"):
        await bench.healer().heal(message)
    assert bench.cloud.applies == []
    assert (bench.row.step, bench.row.applying_since) == (HealStep.JUDGED, None)
    bench.ledger.on_put = lambda _row: None
    await bench.heal(message)
    await bench.assert_verified()


async def test_a_lease_is_given_back_however_a_heal_ends(bench: HealBench) -> None:
    message = await bench.clicked()
    bench.ledger.refuse("put", DOWN)
    with pytest.raises(StoreUnavailableError):
        await bench.healer().heal(message)
    assert bench.leases.taken == {}
    bench.leases.taken["fr", "network"] = MemoryLease()
    bench.ledger.heal()
    await bench.heal(message)
    assert list(bench.leases.taken) == [("fr", "network")]


@pytest.mark.parametrize("case", ["a plan gives no answer", "the state cannot be read"])
async def test_where_nothing_says_what_came_of_an_apply_the_next_delivery_looks_again(
    bench: HealBench, case: str
) -> None:
    message = await bench.clicked()
    bench.cloud.moves_serial = True

    def fail() -> None:
        if bench.cloud.applies and case == "a plan gives no answer":
            bench.cloud.shows = inconclusive()
        elif bench.cloud.applies:
            bench.world.blobs.refuse("tfstate/de/network.tfstate", DOWN)

    bench.cloud.before_plan = fail
    bench.cloud.after_apply = fail
    with pytest.raises(UnverifiedHealError, match="de/network: "):
        await bench.healer().heal(message)
    assert bench.row.step is HealStep.APPLIED
    assert bench.row.applying_since
    assert bench.world.blobs.writes == []
    assert bench.telemetry.moved == []

    bench.cloud.before_plan, bench.cloud.shows = lambda: None, None
    bench.world.blobs.heal()
    row = await bench.heal(message)
    if case == "a plan gives no answer":
        await bench.assert_verified()
        assert bench.steps == [*HAPPY[:4], HealStep.BEGUN, HealStep.VERIFIED]
    else:
        assert (row.step, row.reason) == (HealStep.HELD, HoldReason.RECORDS_DISAGREE)
        assert len(bench.cloud.applies) == 1

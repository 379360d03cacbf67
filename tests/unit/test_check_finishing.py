"""The end of a run that is spread over machines: what was not looked at is never clean, and twice is once."""

from datetime import timedelta
from typing import Final

import pytest

from adapters.blob_store import BlobPlace
from drift.policy import KillSwitch, Policy
from drift.service.finishing import finish_run
from drift.service.planning import plan_run
from lanes.messages import FinishRequest
from records.errors import StoreUnavailableError
from records.faults import FaultCode
from records.plan_checks import CheckRunRow, Decision, HoldReason
from records.report import WHOLE_ESTATE
from records.results import Run
from records.runs import WHOLE_SCOPE, RunStatus, Scope, Trigger
from tests.estates import CONTAINERS
from tests.unit.check_service_bench import KEPT_FOR, RUN, CheckServiceBench, request_of
from tests.unit.drift_samples import INVALID, ON
from tests.unit.observation_samples import CrashError, clicked
from tests.unit.planner_fake import NOW, PLANS, inconclusive

DOWN: Final = StoreUnavailableError("plancheckwork", "503 ServerBusy")
LATER: Final = Run(run_id="plans-2", started_at=NOW + timedelta(hours=4))


@pytest.fixture
def bench() -> CheckServiceBench:
    """Four markets: a click in de, nothing in the others."""
    made = CheckServiceBench()
    made.world.planner.usual = "no_change"
    made.world.planner.outcomes["de/app.tfstate"] = "in_place_change"
    for market in ("de", "es", "fr", "uk"):
        made.world.deploy(market, ["app"])
    return made


async def test_a_whole_run_keeps_each_check_queues_the_heal_and_tells_telemetry(bench: CheckServiceBench) -> None:
    bench.world.planner.outcomes["fr/app.tfstate"] = inconclusive()
    row = await bench.run_through()
    assert row == await bench.kept()
    assert row == CheckRunRow(
        run_id=RUN.run_id,
        started_at=NOW,
        finished_at=NOW,
        status=RunStatus.FINISHED,
        trigger=Trigger.TIMER,
        scope=WHOLE_SCOPE,
        expected_stacks=4,
        checked_stacks=4,
        unplanned_stacks=1,
        counts={Decision.CLEAN: 2, Decision.HEAL: 1, Decision.HOLD: 1},
        holds={HoldReason.INCONCLUSIVE: 1},
        queued_jobs=1,
    )
    assert (await bench.check_of("de/app")).decision is Decision.HEAL
    assert (await bench.check_of("fr/app")).reason is HoldReason.INCONCLUSIVE
    assert [job.market for job in bench.ends.queue.sent] == ["de"]
    [told] = bench.telemetry.told
    assert told.row == row
    assert sorted(check.name for check in told.checks) == ["de/app", "es/app", "fr/app", "uk/app"]


async def test_telemetry_is_given_no_value_of_a_resource(bench: CheckServiceBench) -> None:
    bench.world.planner.outcomes["de/app.tfstate"] = "sensitive_attribute_drifted"
    await bench.run_through()
    [told] = bench.telemetry.told
    [check] = [check for check in told.checks if check.findings]
    assert [found.attributes for found in check.findings] == [()]
    assert "planted-password" in (PLANS / "sensitive_attribute_drifted.json").read_text()
    kept = await bench.check_of("de/app")
    assert kept.findings[0].attributes
    assert "planted-password" not in kept.model_dump_json()


@pytest.mark.parametrize("missing", ["de/app", "uk/app"], ids=["has drifted", "has not"])
async def test_a_stack_that_was_not_looked_at_is_inconclusive_whether_it(
    bench: CheckServiceBench, missing: str
) -> None:
    row = await bench.run_through(without=missing)
    check = await bench.check_of(missing)
    assert (check.decision, check.reason) == (Decision.HOLD, HoldReason.INCONCLUSIVE)
    assert check.diagnostics[0].startswith("The run ended without having looked at it")
    assert check.job_id is None
    assert (row.expected_stacks, row.checked_stacks, row.unplanned_stacks) == (4, 3, 1)
    assert row.counts.get(Decision.CLEAN) == (3 if missing == "de/app" else 2)
    assert row.exit_status == 2


async def test_a_run_that_looked_at_nothing_has_no_clean_stack(bench: CheckServiceBench) -> None:
    plan = await plan_run(bench.service(), request_of())
    row = await finish_run(bench.service(), FinishRequest(request=request_of(), digest=plan.digest))
    assert row.counts == {Decision.HOLD: 4}
    assert (row.expected_stacks, row.checked_stacks, row.unplanned_stacks) == (4, 0, 4)
    assert row.exit_status == 2


async def test_what_was_seen_of_a_stack_that_is_not_in_the_plan_counts_for_nothing(bench: CheckServiceBench) -> None:
    request = await bench.look()
    await bench.work.save_outcome(run_id=RUN.run_id, name="xx/app", outcome=clicked("xx", "app"))
    row = await finish_run(bench.service(), request)
    assert row.checked_stacks == 4
    assert [job.market for job in bench.ends.queue.sent] == ["de"]


async def test_the_same_stack_under_two_names_counts_once(bench: CheckServiceBench) -> None:
    request = await bench.look()
    seen = await bench.work.outcome(run_id=RUN.run_id, name="de/app")
    assert seen
    await bench.work.save_outcome(run_id=RUN.run_id, name="again", outcome=seen)
    assert (await finish_run(bench.service(), request)).counts[Decision.HEAL] == 1


async def test_delivered_twice_it_decides_queues_and_tells_once(bench: CheckServiceBench) -> None:
    request = await bench.look()
    first = await finish_run(bench.service(), request)
    before = await bench.check_of("de/app")
    bench.policy = Policy()
    again = await finish_run(bench.service(), request)
    assert again == first
    assert await bench.check_of("de/app") == before
    assert bench.ends.steps.done.count("save_check") == 4
    assert len(bench.ends.queue.sent) == 1
    assert len(bench.telemetry.told) == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", ["save_check", "put", "send"])
async def test_a_machine_that_dies_in_it_leaves_a_run_that_another_ends(
    bench: CheckServiceBench, when: str, write: str
) -> None:
    request = await bench.look()
    bench.ends.steps.dies_at = (when, write)
    with pytest.raises(CrashError):
        await finish_run(bench.service(), request)
    assert bench.telemetry.told == []
    assert (await bench.kept()).status is RunStatus.RUNNING
    row = await finish_run(bench.service(), request)
    assert row.counts == {Decision.CLEAN: 3, Decision.HEAL: 1}
    assert len(bench.ends.queue.sent) == (0 if (when, write) in {("after", "put"), ("before", "send")} else 1)
    assert len(bench.telemetry.told) == 1


async def test_where_its_row_cannot_be_kept_it_is_told_and_tried_again(bench: CheckServiceBench) -> None:
    request = await bench.look()
    bench.runs.refuse("save_run", DOWN)
    with pytest.raises(StoreUnavailableError):
        await finish_run(bench.service(), request)
    assert len(bench.telemetry.told) == 1


@pytest.mark.parametrize("method", ["plan", "pages", "outcomes"])
async def test_where_what_was_seen_cannot_be_read_nothing_is_decided(bench: CheckServiceBench, method: str) -> None:
    request = await bench.look()
    bench.work.refuse(method, DOWN)
    with pytest.raises(StoreUnavailableError):
        await finish_run(bench.service(), request)
    assert bench.ends.steps.done == []


async def test_the_policy_is_that_of_the_end(bench: CheckServiceBench) -> None:
    request = await bench.look()
    bench.policy = ON.model_copy(update={"kill_switch": KillSwitch(why="migration")})
    await finish_run(bench.service(), request)
    assert (await bench.check_of("de/app")).reason is HoldReason.PAUSED
    assert bench.ends.queue.sent == []


async def test_a_brake_that_names_no_market_is_one_problem_and_holds_nothing(bench: CheckServiceBench) -> None:
    request = await bench.look()
    bench.policy = ON.model_copy(update={"kill_switch": KillSwitch(why="migration", market=("emae/de",))})
    row = await finish_run(bench.service(), request)
    assert row.problem_count == 1
    assert [problem.code for problem in bench.telemetry.told[0].problems] == [FaultCode.INVALID_FIELD]
    assert len(bench.ends.queue.sent) == 1


async def test_a_policy_that_is_invalid_is_one_problem_and_holds(bench: CheckServiceBench) -> None:
    bench.policy = INVALID
    row = await bench.run_through()
    assert row.problem_count == 1
    [told] = bench.telemetry.told
    assert [(one.market, one.code) for one in told.problems] == [(WHOLE_ESTATE, FaultCode.INVALID_FIELD)]
    assert row.counts == {Decision.CLEAN: 3, Decision.HOLD: 1}


async def test_what_could_not_be_listed_is_a_problem_of_the_end(bench: CheckServiceBench) -> None:
    bench.world.blobs.refuse("trackers/", DOWN)
    row = await bench.run_through()
    assert row.problem_count == 1
    assert row.exit_status == 2


async def test_an_event_of_the_fleet_is_known_over_all_machines(bench: CheckServiceBench) -> None:
    bench.world.planner.outcomes |= {f"{market}/app.tfstate": "in_place_change" for market in ("es", "fr")}
    row = await bench.run_through()
    assert row.holds == {HoldReason.FLEET_WIDE: 3}
    assert bench.ends.queue.sent == []


async def latest(bench: CheckServiceBench) -> list[str]:
    return sorted([sketch.name async for sketch in bench.ends.checks.sketches()])


def retire_uk(bench: CheckServiceBench) -> None:
    bench.world.blobs.delete(BlobPlace(container=CONTAINERS.registry, name="uk/subscription.json"))
    bench.world.blobs.delete(BlobPlace(container=CONTAINERS.trackers, name="uk/app.json"))


async def test_the_latest_of_a_stack_that_is_no_more_is_forgotten(bench: CheckServiceBench) -> None:
    await bench.run_through()
    retire_uk(bench)
    await bench.run_through(request_of(LATER))
    assert await latest(bench) == ["de/app", "es/app", "fr/app"]


@pytest.mark.parametrize("case", ["the run is of a part", "something could not be listed"])
async def test_no_latest_is_forgotten_where(bench: CheckServiceBench, case: str) -> None:
    await bench.run_through()
    retire_uk(bench)
    scope = Scope(markets=("de",)) if case == "the run is of a part" else WHOLE_SCOPE
    if scope == WHOLE_SCOPE:
        bench.world.blobs.refuse("trackers/", DOWN)
    await bench.run_through(request_of(LATER, scope))
    assert "uk/app" in await latest(bench)


async def test_history_runs_and_work_that_are_too_old_go(bench: CheckServiceBench) -> None:
    await bench.run_through()
    much_later = Run(run_id="plans-3", started_at=NOW + KEPT_FOR + timedelta(seconds=1))
    await bench.run_through(request_of(much_later))
    assert await bench.runs.run(run_id=RUN.run_id) is None
    assert await bench.work.outcome_count(run_id=RUN.run_id) == 0
    assert await bench.ends.checks.check_of_run(run=RUN, market="de", stack="app") is None
    assert await bench.check_of("de/app", much_later)


@pytest.mark.parametrize("method", ["sketches", "prune"])
async def test_what_cannot_be_pruned_ends_no_run(bench: CheckServiceBench, method: str) -> None:
    bench.ends.checks.refuse(method, DOWN)
    assert (await bench.run_through()).status is RunStatus.FINISHED


async def test_a_run_without_a_plan_cannot_be_ended(bench: CheckServiceBench) -> None:
    with pytest.raises(LookupError):
        await finish_run(bench.service(), FinishRequest(request=request_of(), digest="none"))
    assert await bench.runs.run(run_id=RUN.run_id) is None

"""The activities of plan checks over memory: what is planned, what is kept of a stack, and when a run is started."""

import asyncio
import logging
from datetime import timedelta
from typing import Any, Final

import pytest

from drift.service.checking import check_stack
from drift.service.finishing import fail_run
from drift.service.functions import PLAN_CHECKS
from drift.service.planning import plan_run
from drift.service.starting import INSTANCES, start_scheduled
from lanes.messages import FailRequest, ItemOutcome, ItemReply, ItemRequest, LaneRequest, PlanReply
from lanes.planning import read_page
from records.engine import InstanceState, RunRequest
from records.errors import (
    AccessDeniedError,
    ContainerMissingError,
    EngineUnavailableError,
    SettingsError,
    StoreError,
    StoreUnavailableError,
    UnknownMarketError,
)
from records.names import is_run_id
from records.plan_checks import CheckRunRow
from records.results import Run
from records.runs import EXIT_RUN_FAILED, RunStatus, Scope, Trigger
from records.terraform import Cause
from tests.fakes_service import MemoryEngine
from tests.unit.check_service_bench import RUN, CheckServiceBench, request_of
from tests.unit.planner_fake import NOW, Breaks, Hangs, inconclusive

DOWN: Final = StoreUnavailableError("plancheckwork", "503 ServerBusy")


@pytest.fixture
def bench() -> CheckServiceBench:
    """Three markets, each with a click."""
    made = CheckServiceBench()
    for market in ("de", "fr", "uk"):
        made.world.deploy(market, ["app"])
    return made


class TestAPlanOfARun:
    async def test_is_of_all_stacks_dealt_to_lanes(self, bench: CheckServiceBench) -> None:
        reply = await plan_run(bench.service(width=2), request_of())
        assert (len(reply.pages_by_lane), reply.refusal) == (2, None)
        names: list[str] = []
        for lane in range(2):
            request = LaneRequest(run=RUN, digest=reply.digest, lane=lane, page_count=1)
            names += (await read_page(bench.work, request)).names
        assert sorted(names) == ["de/app", "fr/app", "uk/app"]

    async def test_leaves_a_row_that_says_it_runs(self, bench: CheckServiceBench) -> None:
        scope = Scope(stacks=("app",))
        await plan_run(bench.service(), request_of(scope=scope))
        assert await bench.kept() == CheckRunRow(
            run_id=RUN.run_id,
            started_at=NOW,
            status=RunStatus.RUNNING,
            trigger=Trigger.TIMER,
            scope=scope,
            expected_stacks=3,
        )
        assert (await bench.kept()).exit_status is None

    @pytest.mark.parametrize("error", [AccessDeniedError("registry", "403"), ContainerMissingError("registry", "404")])
    async def test_is_refused_where_the_registry_may_not_be_listed(
        self, bench: CheckServiceBench, error: StoreError
    ) -> None:
        bench.world.blobs.refuse("registry/", error)
        reply = await plan_run(bench.service(), request_of())
        assert reply == PlanReply(refusal=f"the registry cannot be listed ({error})")
        assert await bench.runs.run(run_id=RUN.run_id) is None

    async def test_is_worth_another_try_where_storage_is_down(self, bench: CheckServiceBench) -> None:
        bench.world.blobs.refuse("registry/", DOWN)
        with pytest.raises(StoreUnavailableError):
            await plan_run(bench.service(), request_of())

    async def test_is_not_of_a_market_that_nobody_knows(self, bench: CheckServiceBench) -> None:
        with pytest.raises(UnknownMarketError):
            await plan_run(bench.service(), request_of(scope=Scope(markets=("es",))))

    async def test_has_pages_that_must_be_there(self, bench: CheckServiceBench) -> None:
        reply = await plan_run(bench.service(), request_of())
        with pytest.raises(LookupError):
            await read_page(bench.work, LaneRequest(run=RUN, digest=reply.digest, lane=9, page_count=1))

    async def test_delivered_late_sets_no_run_back_to_running(self, bench: CheckServiceBench) -> None:
        ended = await bench.run_through()
        await plan_run(bench.service(), request_of())
        assert await bench.kept() == ended


class TestAStack:
    async def test_is_looked_at_and_kept(self, bench: CheckServiceBench) -> None:
        assert await bench.check("de/app") == ItemReply(outcome=ItemOutcome.KEPT)
        seen = await bench.work.outcome(run_id=RUN.run_id, name="de/app")
        assert seen
        assert seen.name == "de/app"
        assert seen.plan
        assert bench.ends.steps.done == [], "nothing is decided yet"

    async def test_delivered_twice_is_there_once(self, bench: CheckServiceBench) -> None:
        await bench.check("de/app")
        bench.world.planner.usual = "no_change"
        await bench.check("de/app")
        assert await bench.work.outcome_count(run_id=RUN.run_id) == 1
        seen = await bench.work.outcome(run_id=RUN.run_id, name="de/app")
        assert seen
        assert seen.plan
        assert seen.plan.findings == ()

    @pytest.mark.parametrize(
        ("outcome", "saying"),
        [
            pytest.param(inconclusive(Cause.KILLED), "Terraform gave no plan", id="its plan gives no answer"),
            pytest.param(
                Breaks(SettingsError("there is no terraform")), "there is no terraform", id="a setting is wrong"
            ),
            pytest.param(
                Breaks(RuntimeError("planted-secret")), "Looking at it broke with RuntimeError", id="it breaks"
            ),
            pytest.param(
                Breaks(RuntimeError("planted-secret"), in_the_plan=True), "RuntimeError", id="its plan breaks"
            ),
        ],
    )
    async def test_is_kept_without_a_plan_and_not_tried_again_where(
        self, bench: CheckServiceBench, caplog: pytest.LogCaptureFixture, outcome: Any, saying: str
    ) -> None:
        bench.world.planner.usual = outcome
        with caplog.at_level(logging.DEBUG):
            assert await bench.check("de/app") == ItemReply(outcome=ItemOutcome.KEPT)
        seen = await bench.work.outcome(run_id=RUN.run_id, name="de/app")
        assert seen
        assert seen.plan is None
        assert saying in seen.diagnostics[0]
        assert "planted-secret" not in caplog.text + seen.model_dump_json()

    async def test_that_cannot_be_kept_is_tried_again(self, bench: CheckServiceBench) -> None:
        bench.work.refuse("save_outcome", DOWN)
        with pytest.raises(StoreUnavailableError):
            await bench.check("de/app")

    @pytest.mark.parametrize("most", [1, 2, 3])
    async def test_waits_until_a_process_has_room_for_its_plan(self, bench: CheckServiceBench, most: int) -> None:
        bench.world.planner.usual, bench.plan_limit_seconds = Hangs(), 0.05
        service = bench.service(plans_here=asyncio.Semaphore(most))
        names = ["de/app", "fr/app", "uk/app"]
        await asyncio.gather(*(check_stack(service, ItemRequest(run=RUN, name=name)) for name in names))
        assert bench.world.planner.most_in_work == most
        assert bench.world.planner.in_work == 0
        assert await bench.work.outcome_count(run_id=RUN.run_id) == 3


class TestAStart:
    @pytest.fixture
    def engine(self) -> MemoryEngine:
        return MemoryEngine()

    HANGS_AFTER: Final = PLAN_CHECKS.run_limit + timedelta(hours=1)

    def hang(self, engine: MemoryEngine, instance_id: str) -> RunRequest:
        request = request_of(Run(run_id=f"of-{instance_id}", started_at=NOW - self.HANGS_AFTER))
        engine.put(instance_id, InstanceState.RUNNING, request)
        return request

    @pytest.mark.parametrize("before", [None, InstanceState.COMPLETED, InstanceState.FAILED])
    async def test_starts_a_run_where_none_is_in_work(self, engine: MemoryEngine, before: InstanceState | None) -> None:
        if before:
            engine.put(INSTANCES[0], before, request_of())
        run = await start_scheduled(engine, lambda: NOW)
        assert run
        assert (run.run_id, run.started_at) == ("plans-20261125T060000000Z", NOW)
        assert is_run_id(run.run_id)
        started = engine.instances[INSTANCES[0]]
        assert started.state is InstanceState.RUNNING
        assert started.request == request_of(run)

    async def test_leaves_a_run_that_is_in_work_alone_and_says_so(
        self, engine: MemoryEngine, caplog: pytest.LogCaptureFixture
    ) -> None:
        first = await start_scheduled(engine, lambda: NOW)
        assert first
        assert await start_scheduled(engine, lambda: NOW + timedelta(hours=4)) is None
        assert engine.instances[INSTANCES[0]].request == request_of(first)
        assert "still in work" in caplog.text
        assert list(engine.instances) == [INSTANCES[0]]

    @pytest.mark.parametrize("hanging", [0, 1])
    async def test_leaves_a_run_that_hangs_behind_and_names_it(
        self, engine: MemoryEngine, caplog: pytest.LogCaptureFixture, hanging: int
    ) -> None:
        left_behind = self.hang(engine, INSTANCES[hanging])
        run = await start_scheduled(engine, lambda: NOW)
        assert run
        assert engine.instances[INSTANCES[1 - hanging]].request == request_of(run)
        assert engine.instances[INSTANCES[hanging]].request == left_behind
        assert f"the plan checks of orchestration {INSTANCES[hanging]} hang" in caplog.text

    async def test_takes_no_run_for_hanging_before_its_limit_and_an_hour_are_over(self, engine: MemoryEngine) -> None:
        self.hang(engine, INSTANCES[0])
        assert await start_scheduled(engine, lambda: NOW - timedelta(microseconds=1)) is None
        assert list(engine.instances) == [INSTANCES[0]]

    @pytest.mark.parametrize("second", [0, 1])
    async def test_starts_nothing_beside_a_run_that_is_in_work_though_the_other_hangs(
        self, engine: MemoryEngine, second: int
    ) -> None:
        self.hang(engine, INSTANCES[1 - second])
        engine.put(INSTANCES[second], InstanceState.RUNNING, request_of())
        before = dict(engine.instances)
        assert await start_scheduled(engine, lambda: NOW) is None
        assert engine.instances == before

    async def test_starts_nothing_where_both_hang(self, engine: MemoryEngine) -> None:
        hanging = {instance_id: self.hang(engine, instance_id) for instance_id in INSTANCES}
        assert await start_scheduled(engine, lambda: NOW) is None
        assert {name: engine.instances[name].request for name in INSTANCES} == hanging

    async def test_takes_a_run_of_which_nothing_is_known_for_one_in_work(self, engine: MemoryEngine) -> None:
        engine.put(INSTANCES[0], InstanceState.RUNNING, None)
        assert await start_scheduled(engine, lambda: NOW) is None

    async def test_is_for_the_next_tick_where_the_engine_is_down(self, engine: MemoryEngine) -> None:
        engine.is_down = True
        with pytest.raises(EngineUnavailableError):
            await start_scheduled(engine, lambda: NOW)

    def test_is_of_functions_that_are_each_named_once(self) -> None:
        names = [getattr(PLAN_CHECKS.functions, name) for name in PLAN_CHECKS.functions.__slots__]
        assert len(set(names)) == len(names) == 7


class TestAFailure:
    REASON: Final = "list_stacks failed at each of 3 tries"

    async def fail(self, bench: CheckServiceBench) -> CheckRunRow:
        return await fail_run(bench.service(), FailRequest(request=request_of(), reason=self.REASON))

    @pytest.mark.parametrize("was_planned", [True, False])
    async def test_is_kept_and_told(self, bench: CheckServiceBench, was_planned: bool) -> None:
        if was_planned:
            await plan_run(bench.service(), request_of())
        bench.ends.now += timedelta(hours=1)
        row = await self.fail(bench)
        assert row == await bench.kept()
        assert (row.status, row.reason, row.finished_at) == (RunStatus.FAILED, self.REASON, NOW + timedelta(hours=1))
        assert row.expected_stacks == (3 if was_planned else None)
        assert row.exit_status == EXIT_RUN_FAILED
        assert [(told.row, told.checks, told.problems) for told in bench.telemetry.told] == [(row, (), ())]

    async def test_delivered_twice_is_told_once(self, bench: CheckServiceBench) -> None:
        assert await self.fail(bench) == await self.fail(bench)
        assert len(bench.telemetry.told) == 1

    async def test_of_a_run_that_has_ended_changes_nothing(self, bench: CheckServiceBench) -> None:
        ended = await bench.run_through()
        assert await self.fail(bench) == ended
        assert [told.row for told in bench.telemetry.told] == [ended]

    async def test_is_told_though_no_row_can_be_kept(self, bench: CheckServiceBench) -> None:
        bench.runs.refuse("run", DOWN)
        bench.runs.refuse("save_run", DOWN)
        with pytest.raises(StoreUnavailableError):
            await self.fail(bench)
        assert [told.row.status for told in bench.telemetry.told] == [RunStatus.FAILED]

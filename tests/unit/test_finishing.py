"""A run's activities over memory: what is planned, what is kept of a market, and what all of it comes to at the end."""

import asyncio
import json
from datetime import timedelta
from typing import Any, Final

import pytest

from adapters.blob_store import BlobPlace
from lanes.messages import (
    FailRequest,
    FinishRequest,
    ItemOutcome,
    ItemReply,
    ItemRequest,
    LaneRequest,
    PlanReply,
)
from lanes.planning import read_page
from reconcile.render.ordering import headline, told_of
from reconcile.service.checking import reconcile_market
from reconcile.service.finishing import fail_run, finish_run
from reconcile.service.planning import plan_run
from records.engine import RunRequest
from records.errors import (
    AccessDeniedError,
    BlobChangedError,
    ContainerMissingError,
    StoreError,
    StoreUnavailableError,
)
from records.faults import FaultCode, RecordKind
from records.report import MarketOutcome, RunSummary
from records.results import Run
from records.runs import WHOLE_SCOPE, RunRow, RunStatus, Scope, Trigger
from records.verdicts import Verdict
from tests.estates import CONTAINERS, put_healthy_market, put_state, put_tracker
from tests.fakes import MemoryResultStore
from tests.fakes_service import DAILY, SIX, ServiceBench, request_of
from tests.unit.report_samples import stack_result

DOWN: Final = StoreUnavailableError("reconcileruns", "503 ServerBusy")
FORBIDDEN: Final = AccessDeniedError("reports/daily", "403 AuthorizationPermissionMismatch")
SUFFIXES: Final = ["html", "json", "md"]
OF_DAILY: Final = [f"{DAILY.run_id}.{suffix}" for suffix in SUFFIXES]
LATEST: Final = [f"latest.{suffix}" for suffix in SUFFIXES]
TOMORROW: Final = Run(run_id="daily-2026-11-26", started_at=SIX + timedelta(days=1))


@pytest.fixture
def bench() -> ServiceBench:
    """Three healthy markets."""
    made = ServiceBench()
    for market in ("de", "fr", "uk"):
        put_healthy_market(made.estate, market)
    return made


async def check(bench: ServiceBench, market: str, request: RunRequest, **changes: Any) -> ItemReply:
    message = ItemRequest(run=request.run, name=market, stacks=request.scope.stacks)
    return await reconcile_market(bench.service(**changes), message)


async def plan_and_check(bench: ServiceBench, request: RunRequest, *, without: str = "") -> FinishRequest:
    """Everything but the end of a run, with one market left out."""
    plan = await plan_run(bench.service(), request)
    async for page in bench.work.pages(run_id=request.run.run_id, digest=plan.digest):
        for market in page.names:
            if market != without:
                await check(bench, market, request)
    return FinishRequest(request=request, digest=plan.digest)


async def run_through(bench: ServiceBench, request: RunRequest | None = None, *, without: str = "") -> RunRow:
    return await finish_run(bench.service(), await plan_and_check(bench, request or request_of(), without=without))


def report_of(bench: ServiceBench, run: Run = DAILY) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(bench.reports.read(f"{run.run_id}.json"))
    return report


def problems(bench: ServiceBench, run: Run = DAILY) -> list[tuple[str, str]]:
    return [(problem["market"], problem["code"]) for problem in report_of(bench, run)["problems"]]


async def kept(bench: ServiceBench, run: Run = DAILY) -> RunRow:
    row = await bench.results.run(run_id=run.run_id)
    assert row is not None
    return row


def summary_told(bench: ServiceBench) -> RunSummary:
    summary = bench.telemetry.told[-1].summary
    assert summary is not None
    return summary


class TestAPlan:
    async def test_is_of_all_markets_that_registry_or_trackers_know(self, bench: ServiceBench) -> None:
        put_tracker(bench.estate, "pt", "network")
        bench.estate.put(CONTAINERS.registry, "Bad Name?/subscription.json", b"{}")
        bench.estate.put(CONTAINERS.registry, "notes.txt", b"")
        reply = await plan_run(bench.service(), request_of())
        pages = [page async for page in bench.work.pages(run_id=DAILY.run_id, digest=reply.digest)]
        assert sorted(market for page in pages for market in page.names) == ["Bad Name?", "de", "fr", "pt", "uk"]
        assert reply.pages_by_lane == (1, 1, 1, 1)
        assert reply.refusal is None

    async def test_of_some_markets_is_of_these_and_looks_none_up(self, bench: ServiceBench) -> None:
        bench.blobs.refuse(CONTAINERS.registry, DOWN)
        reply = await plan_run(bench.service(), request_of(scope=Scope(markets=("de", "xx"))))
        pages = [page async for page in bench.work.pages(run_id=DAILY.run_id, digest=reply.digest)]
        assert sorted(market for page in pages for market in page.names) == ["de", "xx"]

    async def test_is_read_page_by_page(self, bench: ServiceBench) -> None:
        reply = await plan_run(bench.service(), request_of())
        lane = LaneRequest(run=DAILY, digest=reply.digest, lane=1, page_count=1)
        assert (await read_page(bench.work, lane)).names == ("fr",)
        for missing in ({"lane": 9}, {"page": 1}, {"digest": "another"}):
            with pytest.raises(LookupError):
                await read_page(bench.work, lane.model_copy(update=missing))

    async def test_sets_the_run_to_running(self, bench: ServiceBench) -> None:
        await plan_run(bench.service(), request_of(scope=Scope(stacks=("app",)), trigger=Trigger.HTTP))
        row = await kept(bench)
        assert (row.status, row.trigger, row.scope) == (RunStatus.RUNNING, Trigger.HTTP, Scope(stacks=("app",)))
        assert (row.expected_markets, row.finished_at, row.started_at) == (3, None, SIX)

    @pytest.mark.parametrize("end", [RunStatus.FINISHED, RunStatus.FAILED])
    async def test_delivered_late_does_not_set_a_run_that_has_ended_back_to_running(
        self, bench: ServiceBench, end: RunStatus
    ) -> None:
        if end is RunStatus.FINISHED:
            await run_through(bench)
        else:
            await fail_run(bench.service(), FailRequest(request=request_of(), reason="…"))
        before = await kept(bench)
        await plan_run(bench.service(), request_of())
        assert await kept(bench) == before
        assert before.status is end

    @pytest.mark.parametrize(
        "error",
        [
            AccessDeniedError("registry", "403 AuthorizationPermissionMismatch"),
            ContainerMissingError("registry", "404 ContainerNotFound"),
        ],
        ids=["may not be listed", "is not there"],
    )
    async def test_is_refused_where_the_registry(self, bench: ServiceBench, error: StoreError) -> None:
        bench.blobs.refuse(CONTAINERS.registry, error)
        reply = await plan_run(bench.service(), request_of())
        assert reply == PlanReply(refusal=f"the registry cannot be listed ({error})")
        assert await bench.results.run(run_id=DAILY.run_id) is None

    async def test_raises_where_the_registry_does_not_answer(self, bench: ServiceBench) -> None:
        bench.blobs.refuse(CONTAINERS.registry, StoreUnavailableError("registry", "503 ServerBusy"))
        with pytest.raises(StoreUnavailableError):
            await plan_run(bench.service(), request_of())
        assert await bench.results.run(run_id=DAILY.run_id) is None

    @pytest.mark.parametrize("error", [DOWN, FORBIDDEN], ids=["does not answer", "refuses"])
    async def test_raises_where_the_table_of_work(self, bench: ServiceBench, error: StoreError) -> None:
        bench.work.refuse("save_plan", error)
        with pytest.raises(type(error)):
            await plan_run(bench.service(), request_of())

    @pytest.mark.parametrize("error", [DOWN, FORBIDDEN], ids=["do not answer", "refuse"])
    async def test_goes_on_with_a_problem_of_the_estate_where_the_trackers(
        self, bench: ServiceBench, error: StoreError
    ) -> None:
        bench.blobs.refuse(f"{CONTAINERS.trackers}/", error)
        row = await run_through(bench)
        assert problems(bench) == [("*", "unavailable" if error is DOWN else "forbidden")]
        assert (row.markets, row.unread_markets, row.problem_count) == (3, 0, 1)
        assert headline(summary_told(bench), told_of(())) == "All 6 stacks in 3 markets agree; 1 problem"


class TestAMarket:
    async def test_that_is_well_is_kept(self, bench: ServiceBench) -> None:
        assert await check(bench, "de", request_of()) == ItemReply(outcome=ItemOutcome.KEPT)
        outcome = await bench.work.outcome(run_id=DAILY.run_id, name="de")
        assert outcome is not None
        assert [result.verdict for result in outcome.results] == [Verdict.HEALTHY] * 2

    async def test_twice_leaves_the_rows_of_once(self, bench: ServiceBench) -> None:
        put_state(bench.estate, "de", "app", 44)
        before = Run(run_id="daily-2026-11-24", started_at=SIX - timedelta(days=1))
        await check(bench, "de", request_of(before))
        await check(bench, "de", request_of())
        once = await rows(bench, "de")
        bench.now += timedelta(minutes=40)
        await check(bench, "de", request_of())
        assert await rows(bench, "de") == once
        assert await bench.work.outcome_count(run_id=DAILY.run_id) == 1

    async def test_twice_at_once_leaves_the_rows_of_once(self, bench: ServiceBench) -> None:
        await check(bench, "de", request_of())
        once = await rows(bench, "de")
        await asyncio.gather(*(check(bench, "de", request_of()) for _ in range(3)))
        assert await rows(bench, "de") == once

    async def test_of_some_stacks_is_looked_at_no_further(self, bench: ServiceBench) -> None:
        await check(bench, "de", request_of(TOMORROW, Scope(stacks=("app",))))
        outcome = await bench.work.outcome(run_id=TOMORROW.run_id, name="de")
        assert outcome is not None
        assert [result.stack for result in outcome.results] == ["app"]
        assert {place.name for place in bench.blobs.reads} == {
            "de/app.json",
            "de/app.tfstate",
            "de/subscription.json",
        }

    async def test_over_its_time_is_a_problem_that_is_worth_another_try(self, bench: ServiceBench) -> None:
        put_state(bench.estate, "de", "app", 44)

        async def too_long(_: float) -> None:
            await asyncio.Event().wait()

        reply = await check(bench, "de", request_of(), market_limit_seconds=0.01, sleep=too_long)
        assert reply.outcome is ItemOutcome.WORTH_ANOTHER_TRY
        outcome = await bench.work.outcome(run_id=DAILY.run_id, name="de")
        assert outcome is not None
        assert [(one.market, one.record, one.code) for one in outcome.problems] == [
            ("de", RecordKind.REGISTRY, FaultCode.UNAVAILABLE)
        ]
        assert "longer than 0.01 s" in outcome.problems[0].message
        assert (outcome.results, outcome.names_all_its_states) == ((), False)

    async def test_over_its_time_keeps_what_an_earlier_run_found(self, bench: ServiceBench) -> None:
        await check(bench, "de", request_of())
        put_state(bench.estate, "de", "app", 44)

        async def too_long(_: float) -> None:
            await asyncio.Event().wait()

        await check(bench, "de", request_of(TOMORROW), market_limit_seconds=0.01, sleep=too_long)
        latest = await bench.results.latest_of_market(market="de")
        assert {stored.run_id for stored in latest.values()} == {DAILY.run_id}

    @pytest.mark.parametrize(
        ("place", "error", "outcome"),
        [
            ("registry/de/subscription.json", DOWN, ItemOutcome.WORTH_ANOTHER_TRY),
            ("trackers/de/app.json", DOWN, ItemOutcome.WORTH_ANOTHER_TRY),
            ("tfstate/de/app.tfstate", DOWN, ItemOutcome.WORTH_ANOTHER_TRY),
            ("trackers/de/", DOWN, ItemOutcome.WORTH_ANOTHER_TRY),
            ("tfstate/de/app.tfstate", BlobChangedError("tfstate", "412"), ItemOutcome.WORTH_ANOTHER_TRY),
            ("registry/de/subscription.json", FORBIDDEN, ItemOutcome.KEPT),
            ("tfstate/de/app.tfstate", FORBIDDEN, ItemOutcome.KEPT),
            ("trackers/de/", FORBIDDEN, ItemOutcome.KEPT),
        ],
        ids=lambda value: f"{value}",
    )
    async def test_is_worth_another_try_where_a_fault_may_pass(
        self, bench: ServiceBench, place: str, error: StoreError, outcome: ItemOutcome
    ) -> None:
        bench.blobs.refuse(place, error)
        assert (await check(bench, "de", request_of())).outcome is outcome

    @pytest.mark.parametrize("method", ["latest_of_market", "save_market"])
    async def test_whose_results_could_not_be_kept_is_worth_another_try(self, bench: ServiceBench, method: str) -> None:
        bench.results.refuse(method, DOWN)
        assert (await check(bench, "de", request_of())).outcome is ItemOutcome.WORTH_ANOTHER_TRY

    async def test_that_breaks_is_a_problem_and_not_worth_another_try(self, bench: ServiceBench) -> None:
        class Broken(MemoryResultStore):
            async def latest_of_market(self, *, market: str) -> Any:
                raise ZeroDivisionError

        assert (await check(bench, "de", request_of(), results=Broken())).outcome is ItemOutcome.KEPT
        outcome = await bench.work.outcome(run_id=DAILY.run_id, name="de")
        assert outcome is not None
        assert [one.code for one in outcome.problems] == [FaultCode.UNEXPECTED]

    async def test_whose_outcome_cannot_be_kept_is_an_error(self, bench: ServiceBench) -> None:
        bench.work.refuse("save_outcome", DOWN)
        with pytest.raises(StoreUnavailableError):
            await check(bench, "de", request_of())


async def rows(bench: ServiceBench, market: str) -> list[Any]:
    """All that is kept of a market."""
    latest = await bench.results.latest_of_market(market=market)
    history = [bench.results.history(market, stack) for stack in sorted(latest)]
    return [latest, history, await bench.work.outcome(run_id=DAILY.run_id, name=market)]


class TestTheEndOfARun:
    async def test_writes_reports_a_row_and_telemetry(self, bench: ServiceBench) -> None:
        put_state(bench.estate, "fr", "app", 44)
        bench.estate.put(CONTAINERS.states, "left-behind.tfstate", b"x")
        request = await plan_and_check(bench, request_of())
        bench.now += timedelta(minutes=3)
        row = await finish_run(bench.service(), request)
        assert row == await kept(bench)
        assert (row.status, row.trigger, row.scope, row.duration_seconds) == (
            RunStatus.FINISHED,
            Trigger.TIMER,
            WHOLE_SCOPE,
            180,
        )
        assert (row.expected_markets, row.markets, row.unread_markets, row.problem_count) == (3, 3, 0, 0)
        assert row.counts == {Verdict.HEALTHY: 5, Verdict.PIPELINE_DRIFT: 1}
        assert (row.unregistered_state_count, row.exit_status) == (1, 2)
        assert sorted(bench.reports.kept) == sorted([*OF_DAILY, *LATEST])
        assert {name: bench.reports.media_types[name] for name in OF_DAILY} == {
            f"{DAILY.run_id}.html": "text/html; charset=utf-8",
            f"{DAILY.run_id}.json": "application/json",
            f"{DAILY.run_id}.md": "text/markdown; charset=utf-8",
        }
        [told] = bench.telemetry.told
        assert told.row == row
        assert [(result.market, result.stack) for result in told.results] == [
            (market, stack) for market in ("de", "fr", "uk") for stack in ("app", "network")
        ]

    async def test_twice_writes_the_same_and_tells_telemetry_once(self, bench: ServiceBench) -> None:
        request = await plan_and_check(bench, request_of())
        row = await finish_run(bench.service(), request)
        reports = dict(bench.reports.kept)
        assert await finish_run(bench.service(), request) == row
        assert await kept(bench) == row
        assert bench.reports.kept == reports
        assert len(bench.telemetry.told) == 1

    async def test_whose_row_is_not_taken_is_told_again_by_the_next_try(self, bench: ServiceBench) -> None:
        request = await plan_and_check(bench, request_of())
        bench.results.refuse("save_run", DOWN)
        with pytest.raises(StoreUnavailableError):
            await finish_run(bench.service(), request)
        assert (await kept(bench)).status is RunStatus.RUNNING
        assert len(bench.telemetry.told) == 1

    @pytest.mark.parametrize("method", ["plan", "pages", "outcomes"])
    async def test_that_cannot_read_what_was_done_ends_nothing(self, bench: ServiceBench, method: str) -> None:
        request = await plan_and_check(bench, request_of())
        bench.work.refuse(method, DOWN)
        with pytest.raises(StoreUnavailableError):
            await finish_run(bench.service(), request)
        assert (bench.telemetry.told, bench.reports.kept) == ([], {})
        assert (await kept(bench)).status is RunStatus.RUNNING

    async def test_of_a_plan_that_is_not_there_is_an_error(self, bench: ServiceBench) -> None:
        with pytest.raises(LookupError):
            await finish_run(bench.service(), FinishRequest(request=request_of(), digest="another"))

    async def test_counts_no_outcome_that_its_plan_does_not_name(self, bench: ServiceBench) -> None:
        request = await plan_and_check(bench, request_of())
        stray = MarketOutcome(market="xx", results=(stack_result("xx", "app"),))
        await bench.work.save_outcome(run_id=DAILY.run_id, name="xx", outcome=stray)
        row = await finish_run(bench.service(), request)
        assert (row.markets, row.counts) == (3, {Verdict.HEALTHY: 6})

    async def test_of_an_older_run_that_comes_late_leaves_the_latest_reports(self, bench: ServiceBench) -> None:
        older = await plan_and_check(bench, request_of())
        await run_through(bench, request_of(TOMORROW))
        await finish_run(bench.service(), older)
        assert json.loads(bench.reports.read("latest.json"))["run_id"] == TOMORROW.run_id
        assert report_of(bench)["run_id"] == DAILY.run_id


class TestAMarketWithoutAnOutcome:
    async def test_is_a_problem_and_not_among_those_looked_at(self, bench: ServiceBench) -> None:
        row = await run_through(bench, without="fr")
        assert problems(bench) == [("fr", "not_checked")]
        assert (row.expected_markets, row.markets, row.unread_markets, row.problem_count) == (3, 2, 1, 1)
        assert (row.counts, row.exit_status) == ({Verdict.HEALTHY: 4}, 2)

    async def test_is_in_the_headline(self, bench: ServiceBench) -> None:
        await run_through(bench, without="fr")
        assert (
            headline(summary_told(bench), told_of(())) == "All 4 stacks in 2 markets agree; 1 market could not be read"
        )
        assert "All 4 stacks in 2 markets agree; 1 market could not be read" in bench.reports.read("latest.md")

    async def test_is_told_beside_one_that_was_looked_at_and_not_read(self, bench: ServiceBench) -> None:
        bench.estate.put(CONTAINERS.registry, "uk/subscription.json", b"not JSON")
        row = await run_through(bench, without="fr")
        assert problems(bench) == [("fr", "not_checked"), ("uk", "not_json")]
        assert (row.markets, row.unread_markets) == (2, 2)
        assert (
            headline(summary_told(bench), told_of(())) == "All 2 stacks in 1 market agree; 2 markets could not be read"
        )

    async def test_can_be_all_there_is(self) -> None:
        bench = ServiceBench()
        put_healthy_market(bench.estate, "de")
        row = await run_through(bench, without="de")
        assert (row.expected_markets, row.markets, row.unread_markets, row.exit_status) == (1, 0, 1, 2)
        assert headline(summary_told(bench), told_of(())) == "No stack was compared; 1 market could not be read"

    async def test_has_no_unregistered_states(self, bench: ServiceBench) -> None:
        put_healthy_market(bench.estate, "fr/south")
        bench.estate.put(CONTAINERS.states, "fr/left-behind.tfstate", b"x")
        bench.estate.put(CONTAINERS.states, "fr-left-behind.tfstate", b"x")
        await run_through(bench, without="fr")
        assert report_of(bench)["unregistered_states"] == ["fr-left-behind.tfstate"]

    async def test_keeps_what_an_earlier_run_found(self, bench: ServiceBench) -> None:
        await run_through(bench)
        await run_through(bench, request_of(TOMORROW), without="fr")
        latest = await bench.results.latest_of_market(market="fr")
        assert {stored.run_id for stored in latest.values()} == {DAILY.run_id}


class TestARunOfAPart:
    @pytest.mark.parametrize(
        "scope", [Scope(markets=("de",)), Scope(stacks=("app",))], ids=["of a market", "of a stack"]
    )
    async def test_has_reports_of_its_own_and_looks_for_no_unregistered_states(
        self, bench: ServiceBench, scope: Scope
    ) -> None:
        bench.estate.put(CONTAINERS.states, "left-behind.tfstate", b"x")
        row = await run_through(bench, request_of(scope=scope, trigger=Trigger.HTTP))
        assert sorted(bench.reports.kept) == OF_DAILY
        assert (row.scope, row.unregistered_state_count, row.exit_status) == (scope, 0, 0)

    async def test_that_names_a_stack_that_no_market_has_is_not_all_well(self, bench: ServiceBench) -> None:
        row = await run_through(bench, request_of(scope=Scope(stacks=("app", "nope", "none"))))
        fields = [(one["field"], one["blob"]) for one in report_of(bench)["problems"]]
        assert fields == [("stacks.none", "*"), ("stacks.nope", "*")]
        assert (row.counts, row.problem_count, row.unread_markets, row.exit_status) == ({Verdict.HEALTHY: 3}, 2, 0, 2)

    async def test_that_names_a_stack_in_one_market_says_where(self, bench: ServiceBench) -> None:
        await run_through(bench, request_of(scope=Scope(markets=("de",), stacks=("nope",))))
        [problem] = report_of(bench)["problems"]
        assert (problem["market"], problem["blob"], problem["code"]) == ("*", "de/subscription.json", "not_found")

    async def test_that_names_a_market_that_no_record_has_is_not_all_well(self, bench: ServiceBench) -> None:
        row = await run_through(bench, request_of(scope=Scope(markets=("xx",))))
        assert problems(bench) == [("xx", "not_found")]
        assert (row.markets, row.unread_markets, row.exit_status) == (1, 1, 2)

    async def test_leaves_the_other_stacks_as_they_were(self, bench: ServiceBench) -> None:
        await run_through(bench)
        await run_through(bench, request_of(TOMORROW, Scope(stacks=("app",))))
        latest = await bench.results.latest_of_market(market="de")
        assert {stack: stored.run_id for stack, stored in latest.items()} == {
            "app": TOMORROW.run_id,
            "network": DAILY.run_id,
        }

    async def test_says_that_a_stack_is_in_no_market_that_could_be_read(self, bench: ServiceBench) -> None:
        bench.blobs.refuse(BlobPlace(container=CONTAINERS.registry, name="de/subscription.json"), FORBIDDEN)
        await run_through(bench, request_of(scope=Scope(markets=("de",), stacks=("app",))))
        assert problems(bench) == [("*", "not_found"), ("de", "forbidden")]
        assert "no market that could be read" in summary_told(bench).problems[0].message


class TestAReportThatCannotBeKept:
    @pytest.mark.parametrize("error", [DOWN, FORBIDDEN], ids=["for now", "for want of a role"])
    async def test_is_a_problem_in_the_row_and_takes_nothing_from_the_verdicts(
        self, bench: ServiceBench, error: StoreError
    ) -> None:
        bench.reports.refuse("html", error)
        row = await run_through(bench)
        assert (row.status, row.counts, row.unread_markets) == (RunStatus.FINISHED, {Verdict.HEALTHY: 6}, 0)
        assert (row.problem_count, row.exit_status) == (1, 2)
        assert sorted(bench.reports.kept) == [f"{DAILY.run_id}.json", f"{DAILY.run_id}.md", "latest.json", "latest.md"]
        [problem] = summary_told(bench).problems
        assert (problem.market, problem.record, problem.blob) == ("*", RecordKind.RESULTS, error.place)

    async def test_can_be_all_of_them(self, bench: ServiceBench) -> None:
        bench.reports.refuse("", DOWN)
        row = await run_through(bench)
        assert (row.problem_count, bench.reports.kept) == (3, {})
        assert (await kept(bench)) == row


class TestARunThatFails:
    async def test_is_told_and_kept_as_failed(self, bench: ServiceBench) -> None:
        await plan_run(bench.service(), request_of())
        bench.now += timedelta(minutes=5)
        row = await fail_run(bench.service(), FailRequest(request=request_of(), reason="…"))
        assert row == await kept(bench)
        assert (row.status, row.exit_status, row.finished_at) == (RunStatus.FAILED, 1, bench.now)
        assert (row.expected_markets, row.started_at) == (3, SIX)
        [told] = bench.telemetry.told
        assert (told.row, told.summary) == (row, None)

    async def test_before_its_plan_is_kept_too(self, bench: ServiceBench) -> None:
        request = request_of(scope=Scope(markets=("de",)), trigger=Trigger.HTTP)
        row = await fail_run(bench.service(), FailRequest(request=request, reason="…"))
        assert (row.status, row.trigger, row.scope) == (RunStatus.FAILED, Trigger.HTTP, Scope(markets=("de",)))
        assert row.expected_markets is None

    async def test_after_it_has_finished_stays_finished(self, bench: ServiceBench) -> None:
        finished = await run_through(bench)
        assert await fail_run(bench.service(), FailRequest(request=request_of(), reason="…")) == finished
        assert await kept(bench) == finished
        assert len(bench.telemetry.told) == 1

    async def test_for_want_of_storage_is_told_all_the_same(self, bench: ServiceBench) -> None:
        bench.results.refuse("run", DOWN)
        bench.results.refuse("save_run", DOWN)
        with pytest.raises(StoreUnavailableError):
            await fail_run(bench.service(), FailRequest(request=request_of(), reason="…"))
        [told] = bench.telemetry.told
        assert (told.row.run_id, told.row.status, told.row.exit_status) == (DAILY.run_id, RunStatus.FAILED, 1)

    async def test_and_is_told_so_twice_tells_telemetry_once(self, bench: ServiceBench) -> None:
        once = await fail_run(bench.service(), FailRequest(request=request_of(), reason="…"))
        bench.now += timedelta(minutes=5)
        assert await fail_run(bench.service(), FailRequest(request=request_of(), reason="…")) == once
        assert len(bench.telemetry.told) == 1


class TestPruning:
    LONG_AFTER: Final = Run(run_id="daily-2028-11-25", started_at=SIX.replace(year=2028))

    async def test_removes_runs_that_are_older_than_the_retention_with_their_work(self, bench: ServiceBench) -> None:
        for run in (DAILY, TOMORROW, self.LONG_AFTER):
            await run_through(bench, request_of(run))
        assert [row.run_id async for row in bench.results.runs()] == [self.LONG_AFTER.run_id]
        for run in (DAILY, TOMORROW):
            assert await bench.work.outcome_count(run_id=run.run_id) == 0
        assert await bench.work.outcome_count(run_id=self.LONG_AFTER.run_id) == 3

    async def test_keeps_runs_within_the_retention(self, bench: ServiceBench) -> None:
        for run in (DAILY, TOMORROW):
            await run_through(bench, request_of(run))
        assert await bench.work.outcome_count(run_id=DAILY.run_id) == 3
        assert len([row async for row in bench.results.runs()]) == 2

    @pytest.mark.parametrize("failing", ["runs", "work"])
    async def test_that_fails_takes_nothing_from_the_run(self, bench: ServiceBench, failing: str) -> None:
        await run_through(bench)
        if failing == "runs":
            bench.results.refuse("prune_runs", DOWN)
        else:
            bench.work.refuse("prune_work", DOWN)
        row = await run_through(bench, request_of(self.LONG_AFTER))
        assert (await kept(bench, self.LONG_AFTER)) == row
        assert (row.status, row.problem_count) == (RunStatus.FINISHED, 0)

    async def test_of_work_that_fails_is_made_up_for_by_a_later_run(self, bench: ServiceBench) -> None:
        await run_through(bench)
        bench.work.refuse("prune_work", DOWN)
        await run_through(bench, request_of(self.LONG_AFTER))
        bench.work._refusals.clear()
        day_after = Run(run_id="daily-2028-11-26", started_at=self.LONG_AFTER.started_at + timedelta(days=1))
        await run_through(bench, request_of(day_after))
        assert await bench.work.outcome_count(run_id=DAILY.run_id) == 0

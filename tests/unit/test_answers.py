"""What HTTP answers: of a run, of a market, of the service's health, and when something stands in its way."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import pytest

from adapters.record_reader import BlobRecordReader
from answering.answers import Answer, answered, problem
from answering.asking import BadRequestError, BodyTooLargeError, FieldError
from lanes.messages import ItemRequest
from reconcile.service import answers
from reconcile.service.answers import answer_health, answer_market, answer_run, answer_start
from reconcile.service.checking import reconcile_market
from reconcile.service.identity import run_on_demand
from records.engine import InstanceState, RunRequest
from records.errors import (
    AccessDeniedError,
    BlobChangedError,
    BlobMissingError,
    ContainerMissingError,
    EngineUnavailableError,
    SettingsError,
    StoreUnavailableError,
)
from records.report import MarketOutcome
from records.results import Run
from records.runs import RunRow, RunStatus, Scope, Trigger
from records.verdicts import Verdict
from tests.estates import CONTAINERS, put_healthy_market, put_registry, put_state
from tests.fakes_service import DAILY, SIX, ServiceBench, request_of
from tests.unit.report_samples import problem as problem_of
from tests.unit.report_samples import stack_result

API: Final = "https://trueup.azurewebsites.net/api"
SECRET: Final = "AccountKey=hunter2"
PART: Final = Scope(markets=("de",))
PART_RUN: Final = run_on_demand(PART, started_at=SIX)
OTHER_PART_RUN: Final = run_on_demand(PART, started_at=SIX + timedelta(days=1))
PART_INSTANCE: Final = PART_RUN.run_id.rpartition("-")[0]
DOWN: Final = StoreUnavailableError("reconcileruns", "503 ServerBusy")
FORBIDDEN: Final = AccessDeniedError("registry", "403 AuthorizationPermissionMismatch")


@pytest.fixture
def bench() -> ServiceBench:
    return ServiceBench()


def told(answer: Answer) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(answer.body)
    return content


def row(run: Run = DAILY, status: RunStatus = RunStatus.FINISHED, **changes: Any) -> RunRow:
    values: dict[str, Any] = {
        "run_id": run.run_id,
        "started_at": run.started_at,
        "finished_at": None if status is RunStatus.RUNNING else run.started_at + timedelta(minutes=3),
        "status": status,
        "trigger": Trigger.TIMER,
        "expected_markets": 3,
    }
    return RunRow(**values | changes)


FINISHED: Final = row(
    markets=3,
    unread_markets=1,
    counts={Verdict.HEALTHY: 4, Verdict.PIPELINE_DRIFT: 1},
    problem_count=1,
    reports=(f"{DAILY.run_id}.json", f"{DAILY.run_id}.html"),
)
RUNNING: Final = row(status=RunStatus.RUNNING)
RUNNING_PART: Final = row(PART_RUN, RunStatus.RUNNING, trigger=Trigger.HTTP, scope=PART, expected_markets=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the table and the engine know of a run."""

    run: Run = DAILY
    row: RunRow | None = None
    instances: dict[str, tuple[InstanceState, RunRequest | None]] = field(default_factory=dict)


def daily_is(state: InstanceState, request: RunRequest | None = None) -> dict[str, Any]:
    return {DAILY.run_id: (state, request or request_of())}


def part_is(state: InstanceState, run: Run) -> dict[str, Any]:
    return {PART_INSTANCE: (state, request_of(run, PART, Trigger.HTTP))}


RUNS: Final = [
    pytest.param(Known(row=RUNNING, instances=daily_is(InstanceState.RUNNING)), "running", id="that is in work"),
    pytest.param(Known(instances=daily_is(InstanceState.RUNNING)), "running", id="that has no row yet"),
    pytest.param(Known(row=FINISHED, instances=daily_is(InstanceState.COMPLETED)), "finished", id="that is done"),
    pytest.param(Known(row=FINISHED), "finished", id="that the engine has forgotten"),
    pytest.param(
        Known(row=FINISHED, instances=daily_is(InstanceState.FAILED)), "finished", id="whose orchestration failed late"
    ),
    pytest.param(Known(row=row(status=RunStatus.FAILED)), "failed", id="that failed"),
    pytest.param(Known(row=RUNNING, instances=daily_is(InstanceState.FAILED)), "failed", id="that died"),
    pytest.param(Known(instances=daily_is(InstanceState.FAILED)), "failed", id="that died before its first row"),
    pytest.param(Known(row=RUNNING), "failed", id="that was cut off and forgotten"),
    pytest.param(
        Known(run=PART_RUN, row=RUNNING_PART, instances=part_is(InstanceState.RUNNING, PART_RUN)),
        "running",
        id="on demand that is in work",
    ),
    pytest.param(
        Known(run=PART_RUN, row=RUNNING_PART, instances=part_is(InstanceState.RUNNING, OTHER_PART_RUN)),
        "failed",
        id="on demand that was cut off before the same was asked for again",
    ),
    pytest.param(
        Known(row=row(Run(run_id="nightly-7", started_at=SIX)), run=Run(run_id="nightly-7", started_at=SIX)),
        "finished",
        id="of the command line",
    ),
]

NO_RUNS: Final = [
    pytest.param(Known(), id="that never was"),
    pytest.param(Known(run=Run(run_id="nightly-7", started_at=SIX)), id="of a name that is no run's of the service"),
    pytest.param(
        Known(run=PART_RUN, instances=part_is(InstanceState.RUNNING, OTHER_PART_RUN)),
        id="whose orchestration does another run of its scope",
    ),
    pytest.param(Known(instances={DAILY.run_id: (InstanceState.RUNNING, None)}), id="whose orchestration is foreign"),
    pytest.param(Known(instances=daily_is(InstanceState.COMPLETED)), id="that was pruned"),
]


class TestARun:
    async def _ask(self, bench: ServiceBench, known: Known) -> Answer:
        if known.row:
            await bench.results.save_run(row=known.row)
        for instance_id, (state, request) in known.instances.items():
            bench.engine.put(instance_id, state, request)
        return await answered(answer_run(bench.service(), bench.engine, run_id=known.run.run_id))

    @pytest.mark.parametrize(("known", "status"), RUNS)
    async def test_is_told_as_it_is(self, bench: ServiceBench, known: Known, status: str) -> None:
        answer = await self._ask(bench, known)
        view = told(answer)
        assert (answer.status, view["run_id"], view["status"]) == (200, known.run.run_id, status)
        assert ("Retry-After" in answer.headers) == (status == "running")
        assert (view["exit_status"] is None) == (status == "running")
        assert (view["remedy"] is None) == (status != "failed")
        assert set(view["reports"].values()) == set(known.row.reports if known.row and status == "finished" else ())

    @pytest.mark.parametrize("known", NO_RUNS)
    async def test_is_not_there(self, bench: ServiceBench, known: Known) -> None:
        answer = await self._ask(bench, known)
        assert (answer.status, told(answer)["type"]) == (404, "urn:trueup:problem:no-such-run")

    async def test_that_is_done_says_what_it_came_to(self, bench: ServiceBench) -> None:
        view = told(await self._ask(bench, Known(row=FINISHED)))
        assert view == {
            "run_id": "daily-2026-11-25",
            "status": "finished",
            "trigger": "timer",
            "scope": {"markets": [], "stacks": []},
            "started_at": "2026-11-25T06:00:00Z",
            "finished_at": "2026-11-25T06:03:00Z",
            "exit_status": 2,
            "markets": {"expected": 3, "checked": 3, "unread": 1},
            "counts": {"healthy": 4, "pipeline_drift": 1},
            "problem_count": 1,
            "unregistered_state_count": 0,
            "reports": {
                "json": "daily-2026-11-25.json",
                "html": "daily-2026-11-25.html",
            },
            "reason": None,
            "remedy": None,
        }

    async def test_in_work_counts_the_markets_that_are_done(self, bench: ServiceBench) -> None:
        for market in ("de", "fr"):
            await bench.work.save_outcome(run_id=DAILY.run_id, name=market, outcome=MarketOutcome(market=market))
        await bench.work.save_outcome(run_id="another", name="uk", outcome=MarketOutcome(market="uk"))
        view = told(await self._ask(bench, Known(row=RUNNING, instances=daily_is(InstanceState.RUNNING))))
        assert view["markets"] == {"expected": 3, "checked": 2, "unread": None}
        assert (view["finished_at"], view["counts"]) == (None, {})

    async def test_that_has_no_row_yet_is_told_by_what_was_asked_for(self, bench: ServiceBench) -> None:
        known = Known(run=PART_RUN, instances=part_is(InstanceState.RUNNING, PART_RUN))
        view = told(await self._ask(bench, known))
        assert (view["trigger"], view["scope"]) == ("http", {"markets": ["de"], "stacks": []})
        assert view["markets"] == {"expected": None, "checked": 0, "unread": None}

    async def test_that_is_done_can_be_told_while_the_engine_is_down(self, bench: ServiceBench) -> None:
        bench.engine.is_down = True
        assert (await self._ask(bench, Known(row=FINISHED))).status == 200
        assert (await self._ask(bench, Known(run=PART_RUN, row=RUNNING_PART))).status == 503

    async def test_is_asked_for_by_an_id_that_a_run_can_have(self, bench: ServiceBench) -> None:
        answer = await answered(answer_run(bench.service(), bench.engine, run_id="../runs"))
        assert (answer.status, told(answer)["type"]) == (400, "urn:trueup:problem:bad-request")


class TestAStart:
    async def test_says_where_to_ask_how_far_the_run_is(self, bench: ServiceBench) -> None:
        answer = await answered(answer_start(bench.service(), bench.engine, body=b'{"markets": ["de"]}', api_url=API))
        status_url = f"{API}/runs/{PART_RUN.run_id}"
        assert answer.status == 202
        assert told(answer) == {
            "run_id": PART_RUN.run_id,
            "started_at": "2026-11-25T06:00:00Z",
            "started_by": "this_request",
            "status_url": status_url,
        }
        assert answer.headers == {"Location": status_url, "Retry-After": "10"}
        assert (await answer_run(bench.service(), bench.engine, run_id=PART_RUN.run_id)).status == 200

    async def test_of_what_runs_already_gives_the_run_that_does(self, bench: ServiceBench) -> None:
        bench.engine.put(DAILY.run_id, InstanceState.RUNNING, request_of())
        view = told(await answered(answer_start(bench.service(), bench.engine, body=b"", api_url=API)))
        assert (view["run_id"], view["started_by"]) == (DAILY.run_id, "an_earlier_one")

    async def test_without_an_engine_is_not_possible(self, bench: ServiceBench) -> None:
        bench.engine.is_down = True
        answer = await answered(answer_start(bench.service(), bench.engine, body=b"", api_url=API))
        assert (answer.status, answer.headers["Retry-After"]) == (503, "10")


class TestAMarket:
    async def _ask(self, bench: ServiceBench, market: str = "de") -> Answer:
        return await answered(answer_market(bench.service(), market=market))

    async def _reconcile(self, bench: ServiceBench, run: Run, market: str = "de", *stacks: str) -> None:
        bench.now = run.started_at + timedelta(seconds=30)
        await reconcile_market(bench.service(), ItemRequest(run=run, name=market, stacks=stacks))

    async def test_that_no_run_has_found_is_not_there(self, bench: ServiceBench) -> None:
        await self._reconcile(bench, DAILY, "de")
        answer = await self._ask(bench, "fr")
        assert (answer.status, told(answer)["type"]) == (404, "urn:trueup:problem:no-such-market")

    @pytest.mark.parametrize("market", ["", "DE", "de/", "../de", "de\n", "a b", "*"])
    async def test_is_asked_for_by_a_name_that_a_market_can_have(self, bench: ServiceBench, market: str) -> None:
        assert (await self._ask(bench, market)).status == 400

    async def test_is_told_with_its_evidence(self, bench: ServiceBench) -> None:
        put_healthy_market(bench.estate, "emea/fr", ["network", "app"])
        put_state(bench.estate, "emea/fr", "network", 44)
        await self._reconcile(bench, DAILY, "emea/fr")
        answer = await self._ask(bench, "emea/fr")
        view = told(answer)
        assert (answer.status, view["market"], view["subscription_id"]) == (200, "emea/fr", "s-emea/fr")
        assert [(stack["stack"], stack["verdict"]) for stack in view["stacks"]] == [
            ("app", "healthy"),
            ("network", "pipeline_drift"),
        ]
        assert {stack["run_id"] for stack in view["stacks"]} == {DAILY.run_id}
        assert view["stacks"][1]["evidence"]["state"]["blob"] == "emea/fr/network.tfstate"
        assert view["stacks"][1]["first_seen_at"] == "2026-11-25T06:00:30Z"

    async def test_is_not_one_that_is_nested_in_it(self, bench: ServiceBench) -> None:
        put_healthy_market(bench.estate, "emea/fr")
        await self._reconcile(bench, DAILY, "emea/fr")
        assert (await self._ask(bench, "emea")).status == 404

    async def test_is_verified_when_its_stack_was_that_was_looked_at_longest_ago(self, bench: ServiceBench) -> None:
        put_healthy_market(bench.estate, "de", ["app", "network"])
        await self._reconcile(bench, DAILY)
        later = run_on_demand(Scope(stacks=("app",)), started_at=SIX + timedelta(hours=3))
        await self._reconcile(bench, later, "de", "app")
        view = told(await self._ask(bench))
        assert view["verified_at"] == "2026-11-25T06:00:00Z"
        assert {stack["stack"]: (stack["verified_at"], stack["run_id"]) for stack in view["stacks"]} == {
            "app": ("2026-11-25T09:00:00Z", later.run_id),
            "network": ("2026-11-25T06:00:00Z", DAILY.run_id),
        }

    async def test_says_since_when_each_stack_is_healthy(self, bench: ServiceBench) -> None:
        put_healthy_market(bench.estate, "de", ["app", "network"])
        days = [Run(run_id=f"daily-{day}", started_at=SIX + timedelta(days=day)) for day in range(4)]
        await self._reconcile(bench, days[0])
        put_state(bench.estate, "de", "app", 43)
        await self._reconcile(bench, days[1])
        put_state(bench.estate, "de", "app", 42)
        for run in days[2:]:
            await self._reconcile(bench, run)
        healthy_since = {stack["stack"]: stack["healthy_since"] for stack in told(await self._ask(bench))["stacks"]}
        assert healthy_since == {"app": "2026-11-27T06:00:30Z", "network": "2026-11-25T06:00:30Z"}

    async def test_shows_what_the_newest_run_of_the_estate_could_not_read(self, bench: ServiceBench) -> None:
        put_healthy_market(bench.estate, "de", ["app"])
        await self._reconcile(bench, DAILY)
        await bench.results.save_run(row=row())
        assert told(await self._ask(bench))["problems"] == []
        tomorrow = Run(run_id="daily-2026-11-26", started_at=SIX + timedelta(days=1))
        bench.estate.put(CONTAINERS.registry, "de/subscription.json", b"not JSON")
        await self._reconcile(bench, tomorrow)
        await bench.results.save_run(row=row(tomorrow))
        view = told(await self._ask(bench))
        assert [problem["code"] for problem in view["problems"]] == ["not_json"]
        assert [(stack["stack"], stack["run_id"]) for stack in view["stacks"]] == [("app", DAILY.run_id)]

    async def test_that_could_never_be_read_is_there_for_its_problems(self, bench: ServiceBench) -> None:
        bench.estate.put(CONTAINERS.registry, "de/subscription.json", b"not JSON")
        await self._reconcile(bench, DAILY)
        await bench.results.save_run(row=row())
        answer = await self._ask(bench)
        view = told(answer)
        assert (answer.status, view["stacks"], view["verified_at"], view["owner"]) == (200, [], None, None)
        assert len(view["problems"]) == 1

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param(row(PART_RUN, scope=PART), id="of a part of the estate"),
            pytest.param(row(PART_RUN, RunStatus.RUNNING), id="that is in work"),
            pytest.param(row(PART_RUN, RunStatus.FAILED), id="that failed"),
        ],
    )
    async def test_shows_nothing_of_another_run(self, bench: ServiceBench, other: RunRow) -> None:
        put_healthy_market(bench.estate, "de", ["app"])
        await self._reconcile(bench, DAILY)
        await bench.results.save_run(row=row())
        await bench.results.save_run(row=other.model_copy(update={"started_at": SIX + timedelta(hours=1)}))
        await bench.work.save_outcome(
            run_id=other.run_id, name="de", outcome=MarketOutcome(market="de", problems=(problem_of("de"),))
        )
        assert told(await self._ask(bench))["problems"] == []

    async def test_has_the_owner_and_subscription_of_whichever_stack_gives_them(self, bench: ServiceBench) -> None:
        results = [
            stack_result("de", "app", owner=None, subscription_id=None),
            stack_result("de", "network", owner="Plattform-Team „Süd“"),
        ]
        await bench.results.save_market(run=DAILY, market="de", results=results)
        view = told(await self._ask(bench))
        assert (view["owner"], view["subscription_id"]) == ("Plattform-Team „Süd“", results[1].subscription_id)

    @pytest.mark.parametrize("method", ["latest_of_market", "runs"])
    async def test_that_cannot_be_looked_up_is_no_404(self, bench: ServiceBench, method: str) -> None:
        bench.results.refuse(method, DOWN)
        assert (await self._ask(bench)).status == 503


class TestHealth:
    async def test_is_ok_with_the_run_of_the_estate_that_came_last(self, bench: ServiceBench) -> None:
        await bench.results.save_run(row=FINISHED)
        for hour, newer in enumerate(
            (
                row(PART_RUN, scope=PART),
                row(Run(run_id="failed", started_at=SIX), RunStatus.FAILED),
                row(Run(run_id="in-work", started_at=SIX), RunStatus.RUNNING),
            ),
            start=1,
        ):
            await bench.results.save_run(row=newer.model_copy(update={"started_at": SIX + timedelta(hours=hour)}))
        answer = await answered(answer_health(bench.service()))
        assert (answer.status, answer.media_type) == (200, "application/json")
        assert told(answer) == {
            "status": "ok",
            "version": "0.0.0",
            "registry": "ok",
            "results": "ok",
            "last_run": {
                "run_id": DAILY.run_id,
                "started_at": "2026-11-25T06:00:00Z",
                "finished_at": "2026-11-25T06:03:00Z",
                "exit_status": 2,
            },
        }

    async def test_is_ok_before_the_first_run(self, bench: ServiceBench) -> None:
        put_registry(bench.estate, "de", {})
        answer = await answered(answer_health(bench.service()))
        assert (answer.status, told(answer)["last_run"]) == (200, None)

    @pytest.mark.parametrize("error", [FORBIDDEN, DOWN, ContainerMissingError("registry", "404 ContainerNotFound")])
    async def test_is_not_ok_without_the_registry(self, bench: ServiceBench, error: Any) -> None:
        await bench.results.save_run(row=FINISHED)
        bench.blobs.refuse(CONTAINERS.registry, error)
        answer = await answered(answer_health(bench.service()))
        view = told(answer)
        assert (answer.status, view["status"], view["results"]) == (503, "unavailable", "ok")
        assert view["registry"] == str(error)
        assert view["last_run"]["run_id"] == DAILY.run_id

    async def test_is_not_ok_without_the_results(self, bench: ServiceBench) -> None:
        bench.results.refuse("runs", DOWN)
        answer = await answered(answer_health(bench.service()))
        view = told(answer)
        assert (answer.status, view["registry"], view["last_run"]) == (503, "ok", None)
        assert view["results"] == "reconcileruns: 503 ServerBusy"

    @pytest.mark.parametrize("hanging", ["registry", "results"])
    async def test_is_not_ok_where_something_does_not_answer(
        self, bench: ServiceBench, monkeypatch: pytest.MonkeyPatch, hanging: str
    ) -> None:
        async def silence(*_: object) -> AsyncIterator[Any]:
            await asyncio.Event().wait()
            yield

        monkeypatch.setattr(answers, "_HEALTH_LIMIT_SECONDS", 0.01)
        if hanging == "registry":
            monkeypatch.setattr(BlobRecordReader, "registry_blobs", silence)
        else:
            monkeypatch.setattr(type(bench.results), "runs", silence)
        answer = await answered(answer_health(bench.service()))
        assert (answer.status, told(answer)[hanging]) == (503, "no answer within 0.01 s")


ERRORS: Final = [
    (BodyTooLargeError(), 413, "body-too-large"),
    (BadRequestError("a market's key is …"), 400, "bad-request"),
    (DOWN, 503, "unavailable"),
    (EngineUnavailableError("Durable Functions does not answer (TimeoutError)"), 503, "unavailable"),
    (FORBIDDEN, 503, "storage-refused"),
    (ContainerMissingError("reconcileruns", "404 TableNotFound"), 503, "storage-refused"),
    (BlobMissingError("registry/de", "404 BlobNotFound"), 503, "storage-refused"),
    (BlobChangedError("reconcileruns", "412 ConditionNotMet"), 503, "storage-refused"),
    (SettingsError("ESTATE_ACCOUNT_URL: must be a plain https URL"), 500, "misconfigured"),
    (KeyError(SECRET), 500, "broken"),
    (ValueError(SECRET), 500, "broken"),
    (TimeoutError(SECRET), 500, "broken"),
    (ExceptionGroup(SECRET, [ValueError(SECRET)]), 500, "broken"),
]


class TestWhatStandsInTheWay:
    async def _answer(self, error: Exception) -> Answer:
        async def broken() -> Answer:
            raise error

        return await answered(broken())

    @pytest.mark.parametrize(
        ("error", "status", "kind"), ERRORS, ids=[f"{type(error).__name__} is {status}" for error, status, _ in ERRORS]
    )
    async def test_is_told_as_a_problem(self, error: Exception, status: int, kind: str) -> None:
        answer = await self._answer(error)
        view = told(answer)
        assert (answer.status, view["status"], answer.media_type) == (status, status, "application/problem+json")
        assert view["type"] == f"urn:trueup:problem:{kind}"
        assert sorted(view) == ["detail", "errors", "status", "title", "type"]
        assert all(view[name] for name in ("title", "detail"))
        assert ("Retry-After" in answer.headers) == (kind == "unavailable")

    async def test_leaves_nothing_of_what_it_said_in_answer_or_log(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG):
            answer = await self._answer(ValueError(SECRET))
        assert told(answer)["detail"] == "ValueError; the app's log says where"
        assert "test_answers.py" in caplog.text
        assert SECRET not in caplog.text + answer.body

    async def test_names_the_place_that_storage_refused(self) -> None:
        detail = told(await self._answer(FORBIDDEN))["detail"]
        assert detail == "registry: 403 AuthorizationPermissionMismatch; see docs/configuration.md#identity"

    async def test_names_the_fields_that_are_wrong(self) -> None:
        error = FieldError(field="markets[0]", message="String should match pattern")
        answer = await self._answer(BadRequestError("the body …", (error,)))
        assert told(answer)["errors"] == [{"field": "markets[0]", "message": "String should match pattern"}]

    async def test_is_no_problem_where_nothing_does(self) -> None:
        async def well() -> Answer:
            return problem(404, "no-such-run", "There is no such run", "…")

        assert (await answered(well())).status == 404

    async def test_lets_a_call_be_cancelled(self) -> None:
        async def endless() -> Answer:
            await asyncio.Event().wait()
            raise AssertionError

        task = asyncio.create_task(answered(endless()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

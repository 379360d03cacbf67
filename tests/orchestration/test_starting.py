"""How a run is started and asked after: by the timer and over HTTP, through the real app and the face of the hub."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from azure.functions import HttpResponse

from adapters.table_names import RUNS_TABLE
from records.errors import EngineUnavailableError
from records.runs import RunRow, Trigger
from tests.estates import put_healthy_market, put_state
from tests.service_world import API, DAILY, FUNCTION_KEY, SIX, ServiceWorld, open_service_world
from tests.world.azurite import Azurite
from tests.world.durable import DurableFaults, DurableHub
from tests.world.durable_http import SYSTEM_KEY, client_binding_json, serve_durable_http
from tests.world.fault_proxy import FaultProxy
from tests.world.faults import AnswerStatus, on

pytestmark = [
    pytest.mark.azurite,
    pytest.mark.filterwarnings("ignore:azure.functions df_loads was called without expected_type"),
]

SIX_IN_BERLIN: Final = SIX - timedelta(hours=1)
TICK: Final = timedelta(minutes=15)
DAY: Final = timedelta(days=1)
NEXT_DAILY: Final = "daily-2026-11-26"
NOBODY_LISTENS: Final = "http://127.0.0.1:1"
RUN_ROWS: Final = on("GET", f"*/{RUNS_TABLE}*")


class CountingHub(DurableHub):
    """Knows which runs were started, and not only asked for."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.started: list[str] = []

    async def start(self, name: str, instance_id: str, input_json: str | None, traceparent: str | None = None) -> None:
        await super().start(name, instance_id, input_json, traceparent)
        self.started.append(json.loads(input_json or "")["run"]["run_id"])


@dataclass(slots=True)
class Clock:
    """Each look at it is a millisecond later, so that no two runs have the same name by chance."""

    now: datetime = SIX_IN_BERLIN

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


@dataclass(slots=True)
class App:
    """The app, the hub behind it, and all that anybody was answered."""

    world: ServiceWorld
    hub: CountingHub
    binding: str
    clock: Clock = field(default_factory=Clock)

    async def tick(self, at: datetime | None = None) -> list[str]:
        """The runs that have been started by then."""
        self.clock.now = at or self.clock.now
        await self.world.host.tick(self.binding)
        return self.hub.started

    async def post(self, scope: Any = None) -> dict[str, Any]:
        response = await self.ask("start_run", method="POST", body=b"" if scope is None else json.dumps(scope).encode())
        assert (response.status_code, response.mimetype) == (202, "application/json")
        started: dict[str, Any] = json.loads(response.get_body())
        assert response.headers["Location"] == started["status_url"] == f"{API}/runs/{started['run_id']}"
        return started

    async def get(self, run_id: str) -> dict[str, Any]:
        response = await self.ask("get_run", run_id=run_id)
        assert (response.status_code, response.mimetype) == (200, "application/json")
        run: dict[str, Any] = json.loads(response.get_body())
        assert run["run_id"] == run_id
        assert ("Retry-After" in response.headers) == (run["status"] == "running")
        return run

    async def ask(self, function: str, *, method: str = "GET", body: bytes = b"", **route: str) -> HttpResponse:
        response = await self.world.host.request(
            function, method=method, path="reconcile", body=body, binding=self.binding, **route
        )
        answered = f"{dict(response.headers)} {response.get_body().decode()}"
        for secret in (SYSTEM_KEY, FUNCTION_KEY, self.world.azurite.account_key, "sig=", "/runtime/webhooks"):
            assert secret not in answered
        return response


def problem_of(response: HttpResponse) -> dict[str, Any]:
    assert response.mimetype == "application/problem+json"
    problem: dict[str, Any] = json.loads(response.get_body())
    assert problem["status"] == response.status_code
    return problem


@asynccontextmanager
async def open_app(
    azurite: Azurite, monkeypatch: pytest.MonkeyPatch, *, faults: DurableFaults | None = None, **settings: str
) -> AsyncIterator[App]:
    settings |= {"RECONCILE_TIME_ZONE": "Europe/Berlin", "FAN_OUT_WIDTH": "1"}
    async with open_service_world(azurite, monkeypatch, **settings) as world:
        for market in ("de", "fr", "uk"):
            put_healthy_market(world.estate, market, ["network"])
        hub = CountingHub(world.host, faults=faults)
        async with serve_durable_http(hub) as url:
            app = App(world, hub, client_binding_json(url))
            monkeypatch.setattr(world.host.module, "utc_now", app.clock)
            yield app


@pytest.fixture
async def app(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[App]:
    async with open_app(azurite, monkeypatch) as opened:
        yield opened


class TestATick:
    async def test_at_six_and_not_before_starts_the_run_of_the_day(self, app: App) -> None:
        assert await app.tick(SIX_IN_BERLIN - TICK) == []
        assert await app.tick(SIX_IN_BERLIN) == [DAILY]
        await app.hub.run_until_idle()
        run = await app.get(DAILY)
        assert (run["status"], run["trigger"], run["counts"]) == ("finished", "timer", {"healthy": 3})

    async def test_starts_none_while_the_day_s_run_waits_or_runs_or_has_ended(self, app: App) -> None:
        await app.tick()
        assert await app.tick(SIX_IN_BERLIN + TICK) == [DAILY]
        async with app.hub.running():
            app.hub.hold(only_activities=True)
            assert await app.tick(SIX_IN_BERLIN + 2 * TICK) == [DAILY]
            app.hub.release()
            await app.hub.run_until_idle()
            assert await app.tick(SIX_IN_BERLIN + 3 * TICK) == [DAILY]

    async def test_starts_none_before_the_next_day_after_the_engine_has_forgotten_the_run(self, app: App) -> None:
        await app.tick()
        await app.hub.run_until_idle()
        assert app.hub.purge(DAILY)
        assert await app.tick(SIX_IN_BERLIN + TICK) == [DAILY]
        assert await app.tick(SIX_IN_BERLIN + DAY - TICK) == [DAILY]
        assert await app.tick(SIX_IN_BERLIN + DAY) == [DAILY, NEXT_DAILY]

    async def test_and_another_at_the_same_moment_start_one(self, app: App) -> None:
        await asyncio.gather(*(app.world.host.tick(app.binding) for _ in range(5)))
        assert app.hub.started == [DAILY]

    async def test_starts_a_run_though_one_of_the_terminal_is_named_like_a_day_to_come(self, app: App) -> None:
        service = await app.world.host.module.service()
        foreign = RunRow(run_id="daily-2027-01-01", started_at=SIX_IN_BERLIN, trigger=Trigger.TERMINAL)
        await service.runs.save_run(row=foreign)
        assert len(await app.tick(SIX_IN_BERLIN + TICK)) == 1

    @pytest.mark.parametrize("is_remembered", [True, False], ids=["which the engine knows", "which only its row tells"])
    async def test_starts_none_after_the_day_s_run_has_failed(self, app: App, is_remembered: bool) -> None:
        app.world.estate.service.delete_container(app.world.estate.containers.registry)
        await app.tick()
        await app.hub.run_until_idle()
        assert (await app.get(DAILY))["status"] == "failed"
        assert is_remembered or app.hub.purge(DAILY)
        assert await app.tick(SIX_IN_BERLIN + TICK) == [DAILY]

    @pytest.mark.parametrize("status", [403, 503])
    async def test_starts_no_second_run_where_the_rows_of_runs_cannot_be_read(
        self, azurite: Azurite, table_fault_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, status: int
    ) -> None:
        through_proxy = azurite.connection_string_through(table_url=table_fault_proxy.url)
        async with open_app(azurite, monkeypatch, RESULTS_CONNECTION_STRING=through_proxy) as app:
            await app.tick()
            await app.hub.run_until_idle()
            rule = table_fault_proxy.inject(RUN_ROWS, AnswerStatus(status, "Refused"))
            assert await app.tick(SIX_IN_BERLIN + TICK) == [DAILY]
            assert rule.used > 0
            assert await app.tick(SIX_IN_BERLIN + DAY) == [DAILY, NEXT_DAILY]


SAME_SCOPES = [
    pytest.param(None, {}, id="no body and an empty one"),
    pytest.param({"markets": ["fr", "de"]}, {"markets": ["de", "fr"]}, id="another order"),
    pytest.param({"markets": ["de", "fr"]}, {"markets": ["fr", "de", "de", "fr"]}, id="duplicates"),
    pytest.param({"stacks": ["network"]}, {"stacks": ["network", "network"]}, id="stacks"),
]


class TestAPost:
    @pytest.mark.parametrize(("first", "second"), SAME_SCOPES)
    async def test_of_the_same_scope_is_given_that_run_until_it_has_ended(
        self, app: App, first: Any, second: Any
    ) -> None:
        started = await app.post(first)
        assert started["started_by"] == "this_request"
        assert await app.post(second) == started | {"started_by": "an_earlier_one"}
        assert app.hub.started == [started["run_id"]]
        await app.hub.run_until_idle()
        again = await app.post(second)
        assert again["started_by"] == "this_request"
        assert app.hub.started == [started["run_id"], again["run_id"]]
        assert (await app.get(started["run_id"]))["status"] == "finished"
        assert (await app.get(again["run_id"]))["status"] == "running"

    async def test_of_another_scope_is_a_run_of_its_own_beside_that_of_the_day(self, app: App) -> None:
        whole = (await app.post({}))["run_id"]
        assert await app.tick() == [whole, DAILY]
        scopes = ({"markets": ["de"]}, {"markets": ["fr"]}, {"stacks": ["network"]})
        others = [(await app.post(scope))["run_id"] for scope in scopes]
        assert app.hub.started == [whole, DAILY, *others]
        assert len({whole, *others}) == 4

    async def test_of_the_whole_estate_is_given_the_day_s_run_until_that_has_ended(self, app: App) -> None:
        await app.tick()
        given = await app.post({})
        assert (given["run_id"], given["started_by"], app.hub.started) == (DAILY, "an_earlier_one", [DAILY])
        await app.hub.run_until_idle()
        assert app.hub.started == [DAILY, (await app.post({}))["run_id"]]

    @pytest.mark.parametrize("scope", [{}, {"markets": ["de"]}], ids=["the whole estate", "one market"])
    async def test_and_another_at_the_same_moment_are_told_the_same_run(self, app: App, scope: Any) -> None:
        told = await asyncio.gather(*(app.post(scope) for _ in range(5)))
        assert [one["run_id"] for one in told] == app.hub.started * 5
        assert [one["started_by"] for one in told].count("this_request") == 1


class TestAGet:
    async def test_of_a_run_that_waits_for_the_engine(self, app: App) -> None:
        async with app.hub.running():
            app.hub.hold()
            await app.tick()
            run = await app.get(DAILY)
            assert (run["status"], run["finished_at"], run["exit_status"]) == ("running", None, None)
            assert run["markets"] == {"expected": None, "checked": 0, "unread": None}

    async def test_of_a_run_that_runs_says_how_far_it_is(self, app: App) -> None:
        held = hold_after_the_first_market(app)
        async with app.hub.running():
            await app.tick()
            await asyncio.wait_for(held.wait(), 30)
            run = await app.get(DAILY)
            assert (run["status"], run["reports"]) == ("running", {})
            assert run["markets"] == {"expected": 3, "checked": 1, "unread": None}

    async def test_of_a_run_that_has_finished_says_what_it_came_to(self, app: App) -> None:
        put_state(app.world.estate, "fr", "network", 99)
        started = await app.post({"markets": ["fr", "de", "fr"]})
        await app.hub.run_until_idle()
        run = await app.get(started["run_id"])
        assert (run["status"], run["trigger"], run["exit_status"]) == ("finished", "http", 2)
        assert run["scope"] == {"markets": ["de", "fr"], "stacks": []}
        assert run["counts"] == {"healthy": 1, "pipeline_drift": 1}
        assert run["markets"] == {"expected": 2, "checked": 2, "unread": 0}
        assert sorted(run["reports"].values()) == app.world.reports()

    @pytest.mark.parametrize("step", ["finish_run", "*"], ids=["and has a row", "before it had a row"])
    async def test_of_a_run_that_has_failed_says_so(
        self, azurite: Azurite, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        faults = DurableFaults()
        faults.fail_first(1000, step)
        async with open_app(azurite, monkeypatch, faults=faults) as app:
            await app.tick()
            await app.hub.run_until_idle()
            run = await app.get(DAILY)
            assert (run["status"], run["exit_status"], run["reports"]) == ("failed", 1, {})
            assert "POST /api/reconcile" in run["remedy"]
            assert await app.tick() == [DAILY]

    @pytest.mark.parametrize(
        ("status", "kind", "run_ids"),
        [
            (404, "no-such-run", [DAILY, "daily-2026-02-30", "request-0123456789abcdef-20261125T060000000Z", "x"]),
            (400, "bad-request", ["", ".", "../runs", "a b", "a'b", "a" * 65, "é", "daily\n"]),
        ],
        ids=["of a run that is not known", "of what is no run's id"],
    )
    async def test_is_a_problem(self, app: App, status: int, kind: str, run_ids: list[str]) -> None:
        for run_id in run_ids:
            problem = problem_of(await app.ask("get_run", run_id=run_id))
            assert (run_id, problem["status"], problem["type"]) == (run_id, status, f"urn:trueup:problem:{kind}")


class TestWithoutAnEngine:
    @pytest.fixture(autouse=True)
    def _nobody_listens(self, app: App) -> None:
        app.binding = client_binding_json(NOBODY_LISTENS)

    async def test_a_post_and_a_get_of_a_run_without_a_row_are_told_that_a_service_is_away(self, app: App) -> None:
        for response in (await app.ask("start_run", method="POST"), await app.ask("get_run", run_id=DAILY)):
            problem = problem_of(response)
            assert (problem["status"], problem["type"]) == (503, "urn:trueup:problem:unavailable")
            assert "Retry-After" in response.headers
            assert "127.0.0.1" not in response.get_body().decode()

    async def test_a_tick_fails_and_names_no_url(self, app: App) -> None:
        with pytest.raises(EngineUnavailableError) as failed:
            await app.tick()
        assert str(failed.value) == "Durable Functions does not answer (ClientConnectorError)"
        assert failed.value.__suppress_context__

    async def test_what_has_ended_is_answered_all_the_same(self, app: App) -> None:
        async with serve_durable_http(app.hub) as url:
            away, app.binding = app.binding, client_binding_json(url)
            await app.tick()
            await app.hub.run_until_idle()
            app.binding = away
        assert (await app.get(DAILY))["status"] == "finished"


def hold_after_the_first_market(app: App) -> asyncio.Event:
    """Lets the hub start no further activity once one market is done, and tells when that is so."""
    held = asyncio.Event()
    reconcile_market = app.world.host.functions["reconcile_market"]

    async def reconcile_and_hold(**arguments: Any) -> Any:
        reply = await reconcile_market(**arguments)
        app.hub.hold(only_activities=True)
        held.set()
        return reply

    app.world.host.functions["reconcile_market"] = reconcile_and_hold
    return held

"""Door 1, Azure: binds triggers to `reconcile.service`, and its answers to HTTP. What is decided is decided there."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from adapters.bootstrap import OpenedOnce, open_azure_estate, spare_the_collector, utc_now
from adapters.durable_engine import DurableEngine
from adapters.outcome_spool import OutcomeSpool
from adapters.settings import load_settings
from adapters.telemetry import configure_telemetry, invocation_span
from reconcile.market import Rules
from reconcile.service import answers, asking, checking, finishing, messages, orchestration, planning, starting
from reconcile.service.schedule import TICK, Schedule, daily_schedule, fired_schedule
from reconcile.service.service import Service
from records.engine import RunRequest
from records.errors import SettingsError
from records.version import VERSION

settings = load_settings()
telemetry = configure_telemetry(settings)
spare_the_collector()


def _schedule() -> Schedule:
    if settings.reconcile_time_zone is None:
        return fired_schedule(settings.reconcile_schedule)
    try:
        return daily_schedule(settings.reconcile_schedule, settings.reconcile_time_zone)
    except ValueError as error:
        raise SettingsError(f"RECONCILE_SCHEDULE, RECONCILE_TIME_ZONE: {error} (docs/configuration.md)") from None


schedule = _schedule()


@asynccontextmanager
async def _open_service() -> AsyncIterator[Service]:
    async with open_azure_estate(settings) as estate:
        yield Service(
            records=estate.records,
            results=estate.results,
            runs=estate.runs,
            work=estate.work,
            reports=estate.reports,
            telemetry=telemetry,
            new_spool=OutcomeSpool,
            rules=Rules(
                in_flight_minutes=settings.in_flight_minutes,
                reread_delay_seconds=settings.reread_delay_seconds,
                retention_days=settings.retention_days,
            ),
            schedule=schedule,
            width=settings.fan_out_width,
            market_limit_seconds=settings.market_limit_seconds,
            version=VERSION,
            clock=utc_now,
        )


service = OpenedOnce(_open_service)
app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)


def _engine(client: df.DurableOrchestrationClient) -> DurableEngine:
    return DurableEngine(client, orchestrator=orchestration.ESTATE)


async def _respond(answer: Awaitable[answers.Answer]) -> func.HttpResponse:
    given = await answers.answered(answer)
    return func.HttpResponse(
        given.body, status_code=given.status, headers=dict(given.headers), mimetype=given.media_type
    )


@app.function_name("reconcile_daily")
@app.timer_trigger(
    arg_name="timer",
    schedule=settings.reconcile_schedule if settings.reconcile_time_zone is None else TICK,
    run_on_startup=False,
    use_monitor=True,
)
@app.durable_client_input(client_name="client")
async def reconcile_daily(
    timer: func.TimerRequest, client: df.DurableOrchestrationClient, context: func.Context
) -> None:
    """Starts the day's run where it is due."""
    with invocation_span("reconcile_daily", context.trace_context):
        await starting.start_day(await service(), _engine(client))


@app.function_name(orchestration.ESTATE)
@app.orchestration_trigger(context_name="context")
def reconcile_estate(context: df.DurableOrchestrationContext) -> orchestration.Steps:
    """One run of the estate, or of a part of it."""
    return orchestration.reconcile_estate(context)


@app.function_name(orchestration.LANE)
@app.orchestration_trigger(context_name="context")
def reconcile_lane(context: df.DurableOrchestrationContext) -> orchestration.Steps:
    """Markets of a run, one after another."""
    return orchestration.reconcile_lane(context)


@app.function_name(orchestration.PLAN_RUN)
@app.activity_trigger(input_name="payload")
async def plan_run(payload: object, context: func.Context) -> dict[str, Any]:
    """Which markets there are to look at."""
    request = RunRequest.from_json(payload)
    with invocation_span(orchestration.PLAN_RUN, context.trace_context, run_id=request.run.run_id):
        return (await planning.plan_run(await service(), request)).to_json()


@app.function_name(orchestration.READ_PAGE)
@app.activity_trigger(input_name="payload")
async def read_page(payload: object, context: func.Context) -> dict[str, Any]:
    """The markets of one page of a lane."""
    request = messages.LaneRequest.from_json(payload)
    with invocation_span(orchestration.READ_PAGE, context.trace_context, run_id=request.run.run_id):
        return (await planning.read_page(await service(), request)).to_json()


@app.function_name(orchestration.RECONCILE_MARKET)
@app.activity_trigger(input_name="payload")
async def reconcile_market(payload: object, context: func.Context) -> dict[str, Any]:
    """One market subscription."""
    request = messages.MarketRequest.from_json(payload)
    with invocation_span(
        orchestration.RECONCILE_MARKET, context.trace_context, run_id=request.run.run_id, market=request.market
    ):
        return (await checking.reconcile_market(await service(), request)).to_json()


@app.function_name(orchestration.FINISH_RUN)
@app.activity_trigger(input_name="payload")
async def finish_run(payload: object, context: func.Context) -> None:
    """What all markets came to."""
    request = messages.FinishRequest.from_json(payload)
    with invocation_span(orchestration.FINISH_RUN, context.trace_context, run_id=request.request.run.run_id):
        await finishing.finish_run(await service(), request)


@app.function_name(orchestration.FAIL_RUN)
@app.activity_trigger(input_name="payload")
async def fail_run(payload: object, context: func.Context) -> None:
    """That a run ended without a verdict on the estate."""
    request = messages.FailRequest.from_json(payload)
    with invocation_span(orchestration.FAIL_RUN, context.trace_context, run_id=request.request.run.run_id):
        await finishing.fail_run(await service(), request)


@app.function_name("start_run")
@app.route(route="reconcile", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start_run(
    req: func.HttpRequest, client: df.DurableOrchestrationClient, context: func.Context
) -> func.HttpResponse:
    """POST /api/reconcile: a run on demand."""

    async def answer() -> answers.Answer:
        return await answers.answer_start(
            await service(), _engine(client), body=req.get_body(), api_url=asking.api_url_of(req.url)
        )

    with invocation_span("start_run", context.trace_context):
        return await _respond(answer())


@app.function_name("get_run")
@app.route(route="runs/{run_id}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def get_run(
    req: func.HttpRequest, client: df.DurableOrchestrationClient, context: func.Context
) -> func.HttpResponse:
    """GET /api/runs/{run_id}: how far it is, and what it came to."""

    async def answer() -> answers.Answer:
        return await answers.answer_run(await service(), _engine(client), run_id=req.route_params["run_id"])

    with invocation_span("get_run", context.trace_context):
        return await _respond(answer())


@app.function_name("get_market")
@app.route(route="markets/{*market}", methods=["GET"])
async def get_market(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """GET /api/markets/{market}: what runs there, since when verified, with the evidence."""

    async def answer() -> answers.Answer:
        return await answers.answer_market(await service(), market=req.route_params.get("market", ""))

    with invocation_span("get_market", context.trace_context):
        return await _respond(answer())


@app.function_name("get_health")
@app.route(route="health", methods=["GET"])
async def get_health(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """GET /api/health: whether what trueup stands on answers."""

    async def answer() -> answers.Answer:
        return await answers.answer_health(await service())

    with invocation_span("get_health", context.trace_context):
        return await _respond(answer())

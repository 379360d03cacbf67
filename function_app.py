"""Door 1, Azure: binds triggers to `reconcile.service` and `drift.service`, which decide, and their answers to HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, TypeVar

import azure.durable_functions as df
import azure.functions as func

from adapters.bootstrap import OpenedOnce, open_azure_estate, spare_the_collector, utc_now
from adapters.drift_bootstrap import open_azure_drift_stores, terraform_options
from adapters.durable_engine import DurableEngine
from adapters.outcome_spool import OutcomeSpool
from adapters.settings import load_settings
from adapters.telemetry import configure_watchers, invocation_span
from adapters.terraform_cli import TerraformCli
from drift.concluding import Queueing
from drift.observing import StackObserver
from drift.policy import Limits
from drift.policy_reading import read_policy
from drift.service import checking as plan_checking
from drift.service import finishing as plan_finishing
from drift.service import planning as plan_planning
from drift.service import starting as plan_starting
from drift.service.functions import CHECK_ON_SCHEDULE, PLAN_CHECKS
from drift.service.service import CheckService
from lanes import messages
from lanes import planning as lane_planning
from lanes.activities import Activities
from lanes.orchestration import LaneRun, Steps
from reconcile.market import MarketReconciler, Rules
from reconcile.service import answers, asking, checking, finishing, planning, starting
from reconcile.service.orchestration import RECONCILIATION
from reconcile.service.schedule import TICK, Schedule, daily_schedule, fired_schedule
from reconcile.service.service import Service
from records.engine import Message, RunRequest
from records.errors import SettingsError
from records.plan_checks import market_and_stack
from records.results import Run
from records.runs import AnyRunRow
from records.version import VERSION

_MIB: Final = 1024**2

OpenedT = TypeVar("OpenedT")
MessageT = TypeVar(
    "MessageT",
    RunRequest,
    messages.LaneRequest,
    messages.ItemRequest,
    messages.FinishRequest,
    messages.FailRequest,
)
ReplyT = TypeVar("ReplyT")

settings = load_settings()
watchers = configure_watchers(settings)
rules = Rules(
    in_flight_minutes=settings.in_flight_minutes,
    reread_delay_seconds=settings.reread_delay_seconds,
    retention_days=settings.retention_days,
)
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
            telemetry=watchers.runs,
            new_spool=OutcomeSpool,
            rules=rules,
            schedule=schedule,
            width=settings.fan_out_width,
            market_limit_seconds=settings.market_limit_seconds,
            version=VERSION,
            clock=utc_now,
        )


@asynccontextmanager
async def _open_check_service() -> AsyncIterator[CheckService]:
    async with open_azure_estate(settings) as estate, open_azure_drift_stores(estate, settings) as stores:
        yield CheckService(
            records=estate.records,
            observer=StackObserver(
                judge=MarketReconciler(
                    records=estate.records,
                    results=estate.results,
                    run=Run.named_by(utc_now()),
                    rules=rules,
                    clock=utc_now,
                ),
                records=estate.records,
                planner=TerraformCli(terraform_options(settings, estate_folder=None)),
                bundle_max_bytes=settings.bundle_max_mib * _MIB,
                plan_limit_seconds=settings.plan_limit_seconds,
                clock=utc_now,
            ),
            read_policy=lambda: read_policy(
                stores.policy,
                mode=settings.heal_mode,
                limits=Limits.model_validate(settings, from_attributes=True),
            ),
            changes=stores.changes,
            checks=stores.checks,
            queueing=Queueing(
                ledger=stores.ledger,
                queue=stores.queue,
                expires_after=timedelta(minutes=settings.heal_expires_minutes),
            ),
            runs=stores.check_runs,
            work=stores.check_work,
            telemetry=watchers.checks,
            width=settings.plan_check_width,
            plans_here=asyncio.Semaphore(settings.plans_per_instance),
            kept_for=timedelta(days=settings.retention_days),
            clock=utc_now,
        )


service = OpenedOnce(_open_service)
check_service = OpenedOnce(_open_check_service)
app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)


def _engine(client: df.DurableOrchestrationClient) -> DurableEngine:
    return DurableEngine(client, orchestrator=RECONCILIATION.functions.run)


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


def _on(
    opened: OpenedOnce[OpenedT], act: Callable[[OpenedT, MessageT], Awaitable[ReplyT]]
) -> Callable[[MessageT], Awaitable[ReplyT]]:
    async def acted(message: MessageT) -> ReplyT:
        return await act(await opened(), message)

    return acted


def _bind_lanes(lanes: LaneRun, activities: Activities) -> None:
    """The orchestrators of a mechanism, and the activities that they call."""
    names = lanes.functions
    _bind_orchestrator(names.run, lanes.run)
    _bind_orchestrator(names.lane, lanes.lane)
    _bind_activity(names.plan_run, RunRequest, activities.plan_run, activities)
    _bind_activity(names.read_page, messages.LaneRequest, activities.read_page, activities)
    _bind_activity(names.check_item, messages.ItemRequest, activities.check_item, activities)
    _bind_activity(names.finish_run, messages.FinishRequest, activities.finish_run, activities)
    _bind_activity(names.fail_run, messages.FailRequest, activities.fail_run, activities)


def _bind_orchestrator(name: str, orchestrate: Callable[[df.DurableOrchestrationContext], Steps]) -> None:
    @app.function_name(name)
    @app.orchestration_trigger(context_name="context")
    def orchestrator(context: df.DurableOrchestrationContext) -> Steps:
        return orchestrate(context)


def _bind_activity(
    name: str,
    message: type[MessageT],
    act: Callable[[MessageT], Awaitable[Message | AnyRunRow]],
    activities: Activities,
) -> None:
    @app.function_name(name)
    @app.activity_trigger(input_name="payload")
    async def activity(payload: object, context: func.Context) -> object:
        request = message.from_json(payload)
        with invocation_span(name, context.trace_context, **activities.about(request)):
            reply = await act(request)
        # A row is in the table: what ends a run answers nothing.
        return reply.to_json() if isinstance(reply, Message) else None


_bind_lanes(
    RECONCILIATION,
    Activities(
        plan_run=_on(service, planning.plan_run),
        read_page=_on(service, lambda opened, request: lane_planning.read_page(opened.work, request)),
        check_item=_on(service, checking.reconcile_market),
        finish_run=_on(service, finishing.finish_run),
        fail_run=_on(service, finishing.fail_run),
        market_of=lambda name: name,
    ),
)
_bind_lanes(
    PLAN_CHECKS,
    Activities(
        plan_run=_on(check_service, plan_planning.plan_run),
        read_page=_on(check_service, lambda opened, request: lane_planning.read_page(opened.work, request)),
        check_item=_on(check_service, plan_checking.check_stack),
        finish_run=_on(check_service, plan_finishing.finish_run),
        fail_run=_on(check_service, plan_finishing.fail_run),
        market_of=lambda name: market_and_stack(name)[0],
    ),
)


@app.function_name(CHECK_ON_SCHEDULE)
@app.timer_trigger(arg_name="timer", schedule=settings.plan_check_schedule, run_on_startup=False, use_monitor=True)
@app.durable_client_input(client_name="client")
async def check_plans_on_schedule(
    timer: func.TimerRequest, client: df.DurableOrchestrationClient, context: func.Context
) -> None:
    """Starts the plan checks of the estate, where none are in work."""
    with invocation_span(CHECK_ON_SCHEDULE, context.trace_context):
        await plan_starting.start_scheduled(DurableEngine(client, orchestrator=PLAN_CHECKS.functions.run), utc_now)

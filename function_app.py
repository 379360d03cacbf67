"""Door 1, Azure: binds triggers to `reconcile.service` and `drift.service`, which decide, and their answers to HTTP."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import azure.durable_functions as df
import azure.functions as func

from adapters.clock import utc_now
from adapters.durable_engine import DurableEngine
from adapters.invocation_spans import invocation_span
from adapters.opened_once import OpenedOnce
from adapters.process import spare_the_collector
from adapters.settings import load_settings
from adapters.telemetry import configure_watchers
from answering.answers import Answer, answered
from assembly.services import open_check_service, open_heal_service, open_service
from drift.service import checking as plan_checking
from drift.service import finishing as plan_finishing
from drift.service import healing, levers_http
from drift.service import planning as plan_planning
from drift.service import starting as plan_starting
from drift.service.functions import CHECK_ON_SCHEDULE, PLAN_CHECKS
from lanes import messages
from lanes import planning as lane_planning
from lanes.activities import Activities
from lanes.orchestration import LaneRun, Steps
from reconcile.service import answers, asking, checking, finishing, planning, starting
from reconcile.service.functions import RECONCILIATION
from reconcile.service.schedule import TICK, Schedule, daily_schedule, fired_schedule
from records.engine import Message, RunRequest
from records.errors import SettingsError
from records.heals import POISON_QUEUE, QUEUE
from records.plan_checks import market_and_stack
from records.runs import AnyRunRow

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
spare_the_collector()


def _schedule() -> Schedule:
    if settings.reconcile_time_zone is None:
        return fired_schedule(settings.reconcile_schedule)
    try:
        return daily_schedule(settings.reconcile_schedule, settings.reconcile_time_zone)
    except ValueError as error:
        raise SettingsError(f"RECONCILE_SCHEDULE, RECONCILE_TIME_ZONE: {error} (docs/configuration.md)") from None


schedule = _schedule()


service = OpenedOnce(lambda: open_service(settings, watchers.runs, schedule, clock=utc_now))
check_service = OpenedOnce(lambda: open_check_service(settings, watchers.checks, clock=utc_now))
heal_service = OpenedOnce(lambda: open_heal_service(settings, watchers.heals, clock=utc_now))
app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)


def _engine(client: df.DurableOrchestrationClient) -> DurableEngine:
    return DurableEngine(client, orchestrator=RECONCILIATION.functions.run)


async def _respond(answer: Awaitable[Answer]) -> func.HttpResponse:
    given = await answered(answer)
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

    async def answer() -> Answer:
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

    async def answer() -> Answer:
        return await answers.answer_run(await service(), _engine(client), run_id=req.route_params["run_id"])

    with invocation_span("get_run", context.trace_context):
        return await _respond(answer())


@app.function_name("get_market")
@app.route(route="markets/{*market}", methods=["GET"])
async def get_market(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """GET /api/markets/{market}: what runs there, since when verified, with the evidence."""

    async def answer() -> Answer:
        return await answers.answer_market(await service(), market=req.route_params.get("market", ""))

    with invocation_span("get_market", context.trace_context):
        return await _respond(answer())


@app.function_name("get_health")
@app.route(route="health", methods=["GET"])
async def get_health(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """GET /api/health: whether what trueup stands on answers."""

    async def answer() -> Answer:
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


@app.function_name(healing.HEAL)
@app.queue_trigger(arg_name="message", queue_name=QUEUE, connection=healing.QUEUE_CONNECTION)
async def heal_stack(message: func.QueueMessage, context: func.Context) -> None:
    """Takes a heal from the queue. Raising, it has the host try the message again, and in the end move it to the next queue."""
    with invocation_span(healing.HEAL, context.trace_context):
        await healing.heal_message(await heal_service(), message.get_body())


@app.function_name(healing.FAIL)
@app.queue_trigger(arg_name="message", queue_name=POISON_QUEUE, connection=healing.QUEUE_CONNECTION)
async def heal_poison(message: func.QueueMessage, context: func.Context) -> None:
    """Ends a heal whose message has failed as often as it may."""
    with invocation_span(healing.FAIL, context.trace_context):
        await healing.fail_message(await heal_service(), message.get_body())


def _bind_lever(route: levers_http.Route) -> None:
    @app.function_name(route.function)
    @app.route(route=route.path, methods=[route.method])
    async def lever(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        async def answer() -> Answer:
            job_id = req.route_params.get("job", "")
            asked = levers_http.Asked(body=req.get_body(), job_id=job_id, query=req.params)
            return await route.answer(await heal_service(), asked)

        with invocation_span(route.function, context.trace_context):
            return await _respond(answer())


for lever_route in levers_http.ROUTES:
    _bind_lever(lever_route)

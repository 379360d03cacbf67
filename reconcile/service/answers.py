"""What HTTP answers: JSON for what was asked, ``application/problem+json`` (RFC 9457) for what went wrong.

Nothing that opens a door is in an answer: no key, no signed URL, no management URL of the engine.
"""

import asyncio
import logging
from collections.abc import Awaitable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from traceback import format_tb
from typing import Final

from reconcile.market import not_found
from reconcile.service.asking import (
    MOST_BODY_BYTES,
    BadRequestError,
    BodyTooLargeError,
    FieldError,
    parse_market,
    parse_run_id,
    parse_scope,
)
from reconcile.service.identity import instance_of
from reconcile.service.planning import running
from reconcile.service.service import Service
from reconcile.service.starting import start_on_demand
from reconcile.service.views import (
    HealthView,
    LastRun,
    MarketView,
    ProblemView,
    RunView,
    StackView,
    StartedView,
    View,
)
from records.engine import Engine, InstanceState
from records.errors import EngineUnavailableError, SettingsError, StoreError, StoreUnavailableError
from records.report import Problem
from records.results import StoredResult
from records.runs import RunRow, RunStatus, Trigger

_LOG: Final = logging.getLogger(__name__)
_POLL_AFTER_SECONDS: Final = 10
_HEALTH_LIMIT_SECONDS: Final = 20
_OK: Final = "ok"
_SPREAD: Final = (Trigger.TIMER, Trigger.HTTP)
"""What starts the runs that keep the outcome of each market; the terminal keeps none."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, before it is bound to a framework."""

    status: int
    content: View
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> str:
        return self.content.model_dump_json(indent=1)


async def answer_start(service: Service, engine: Engine, *, body: bytes, api_url: str) -> Answer:
    """202 and where to ask how far the run is."""
    started = await start_on_demand(service, engine, parse_scope(body))
    status_url = f"{api_url}/runs/{started.run.run_id}"
    return Answer(
        202,
        StartedView.of(started, status_url=status_url),
        headers={"Location": status_url, "Retry-After": str(_POLL_AFTER_SECONDS)},
    )


async def answer_run(service: Service, engine: Engine, *, run_id: str) -> Answer:
    """How far a run is, and what it came to."""
    row = await _run(service, engine, parse_run_id(run_id))
    if row is None:
        return problem(404, "no-such-run", "There is no such run", "No run of this id is known, or it was pruned.")
    if row.status is not RunStatus.RUNNING:
        return Answer(200, RunView.of(row, checked=row.markets))
    checked = await service.work.outcome_count(run_id=run_id)
    return Answer(200, RunView.of(row, checked=checked), headers={"Retry-After": str(_POLL_AFTER_SECONDS)})


async def answer_market(service: Service, *, market: str) -> Answer:
    """What runs in a market, since when that is verified, and by which evidence."""
    stored = await service.results.latest_of_market(market=parse_market(market))
    problems = await _newest_problems(service, market, stored.values())
    if not stored and not problems:
        return problem(
            404,
            "no-such-market",
            "Nothing is known of this market",
            "No run has found a stack in it. Check its key, or ask for a run with POST /api/reconcile.",
        )
    stacks = tuple(StackView.of(stored[stack]) for stack in sorted(stored))
    return Answer(200, MarketView.of(market, stacks, problems))


async def answer_health(service: Service) -> Answer:
    """200 where the tables and the registry can be read, else 503; with the run of the whole estate that came last."""
    newest: RunRow | None = None
    registry = results = f"no answer within {_HEALTH_LIMIT_SECONDS} s"
    try:
        async with asyncio.timeout(_HEALTH_LIMIT_SECONDS):
            try:
                newest = await _newest_of_the_estate(service)
                results = _OK
            except StoreError as error:
                results = str(error)
            try:
                async for _ in service.records.registry_blobs():
                    break
                registry = _OK
            except StoreError as error:
                registry = str(error)
    except TimeoutError:
        pass
    is_well = registry == results == _OK
    return Answer(
        200 if is_well else 503,
        HealthView(
            status="ok" if is_well else "unavailable",
            version=service.version,
            registry=registry,
            results=results,
            last_run=LastRun.of(newest) if newest else None,
        ),
    )


def problem(
    status: int,
    kind: str,
    title: str,
    detail: str,
    *,
    errors: tuple[FieldError, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """A problem; ``kind`` is its stable name for programs."""
    content = ProblemView(type=f"urn:trueup:problem:{kind}", title=title, status=status, detail=detail, errors=errors)
    return Answer(status, content, media_type="application/problem+json", headers=headers or {})


async def answered(answer: Awaitable[Answer]) -> Answer:
    """The answer, or the problem that stood in its way."""
    try:
        return await answer
    except BodyTooLargeError:
        return problem(
            413, "body-too-large", "The body is too large", f"It may hold {MOST_BODY_BYTES:,} bytes; leave markets out."
        )
    except BadRequestError as error:
        return problem(400, "bad-request", "The request cannot be understood", error.detail, errors=error.errors)
    except (StoreUnavailableError, EngineUnavailableError) as error:
        return problem(
            503,
            "unavailable",
            "A service behind trueup does not answer",
            str(error),
            headers={"Retry-After": str(_POLL_AFTER_SECONDS)},
        )
    except StoreError as error:
        return problem(503, "storage-refused", "Storage refused", f"{error}; see docs/configuration.md#identity")
    except SettingsError as error:
        return problem(500, "misconfigured", "A setting is missing or wrong", str(error))
    except Exception as error:  # noqa: BLE001 (the last door: an asker gets a line, and no values)
        _LOG.error("%s\n%s", type(error).__name__, "".join(format_tb(error.__traceback__)))
        return problem(500, "broken", "trueup broke", f"{type(error).__name__}; the app's log says where")


async def _run(service: Service, engine: Engine, run_id: str) -> RunRow | None:
    """A run's row, set right by what the engine knows: a run that has no row yet, or one that died and left it running."""
    row = await service.runs.run(run_id=run_id)
    if row and row.status is not RunStatus.RUNNING:
        return row
    instance_id = instance_of(run_id)
    instance = await engine.instance(instance_id=instance_id) if instance_id else None
    if instance is None or instance.request is None or instance.request.run.run_id != run_id:
        # The engine remembers another run of the same scope, or none: one that has not ended will not do so any more.
        return row.model_copy(update={"status": RunStatus.FAILED}) if row else None
    if row is None and instance.state is InstanceState.COMPLETED:
        # Its row is not there any more: it was pruned.
        return None
    row = row or running(instance.request, market_count=None)
    return row.model_copy(update={"status": RunStatus.FAILED}) if instance.state is InstanceState.FAILED else row


async def _newest_problems(service: Service, market: str, stored: Iterable[StoredResult]) -> tuple[Problem, ...]:
    """What the service's newest run of the whole estate could not read of a market, where no later run has looked at it."""
    newest = await _newest_of_the_estate(service, by=_SPREAD)
    looked_at = [item.run_started_at for item in stored]
    if newest is None or (looked_at and min(looked_at) > newest.started_at):
        return ()
    outcome = await service.work.outcome(run_id=newest.run_id, name=market)
    late = await service.work.late_problems(run_id=newest.run_id, market=market)
    if outcome is None and not late and looked_at:
        return (Problem.of(market, not_found(market)),)
    return (*(outcome.problems if outcome else ()), *late)


async def _newest_of_the_estate(service: Service, *, by: Container[Trigger] = tuple(Trigger)) -> RunRow | None:
    async for row in service.runs.runs():
        if row.scope.is_whole_estate and row.status is RunStatus.FINISHED and row.trigger in by:
            return row
    return None

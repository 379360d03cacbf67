"""What HTTP answers of reconciling: how far a run is, what runs in a market, and whether the service is well."""

import asyncio
from collections.abc import Container, Iterable
from typing import Final

from answering.answers import ASK_AGAIN_AFTER_SECONDS, Answer, problem
from answering.asking import parse_market
from reconcile.service.asking import parse_run_id, parse_scope
from reconcile.service.identity import instance_of
from reconcile.service.planning import running
from reconcile.service.service import Service
from reconcile.service.starting import start_on_demand
from reconcile.service.views import (
    HealthView,
    LastRun,
    MarketView,
    RunView,
    StackView,
    StartedView,
)
from records.engine import Engine, InstanceState
from records.errors import StoreError
from records.market_faults import not_found
from records.report import Problem
from records.results import StoredResult
from records.runs import RunRow, RunStatus, Trigger

_HEALTH_LIMIT_SECONDS: Final = 20
_OK: Final = "ok"
_SPREAD: Final = (Trigger.TIMER, Trigger.HTTP)
"""What starts the runs that keep the outcome of each market; the terminal keeps none."""


async def answer_start(service: Service, engine: Engine, *, body: bytes, api_url: str) -> Answer:
    """202 and where to ask how far the run is."""
    started = await start_on_demand(service, engine, parse_scope(body))
    status_url = f"{api_url}/runs/{started.run.run_id}"
    return Answer(
        202,
        StartedView.of(started, status_url=status_url),
        headers={"Location": status_url, "Retry-After": str(ASK_AGAIN_AFTER_SECONDS)},
    )


async def answer_run(service: Service, engine: Engine, *, run_id: str) -> Answer:
    """How far a run is, and what it came to."""
    row = await _run(service, engine, parse_run_id(run_id))
    if row is None:
        return problem(404, "no-such-run", "There is no such run", "No run of this id is known, or it was pruned.")
    if row.status is not RunStatus.RUNNING:
        return Answer(200, RunView.of(row, checked=row.markets))
    checked = await service.work.outcome_count(run_id=run_id)
    return Answer(200, RunView.of(row, checked=checked), headers={"Retry-After": str(ASK_AGAIN_AFTER_SECONDS)})


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

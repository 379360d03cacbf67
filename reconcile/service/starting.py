"""Starts a run once: the day's, and one on demand."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from reconcile.service.identity import daily_run, day_of, instance_of, run_on_demand
from reconcile.service.service import Service
from records.engine import Engine, InstanceState, RunRequest
from records.errors import StoreError
from records.ports import RunStore
from records.results import Run
from records.runs import RunRow, Scope, Trigger


class StartedBy(StrEnum):
    """Whose run an asker is given."""

    THIS_REQUEST = "this_request"
    AN_EARLIER_ONE = "an_earlier_one"


@dataclass(frozen=True, slots=True)
class Started:
    """A run that runs now."""

    run: Run
    by: StartedBy


async def start_day(service: Service, engine: Engine) -> Run | None:
    """Starts the run of the local day where it is due and has not been started, however often and late it is asked for.

    A day whose run has failed has had its run: telemetry has told, and a person can start one on demand.

    Raises:
        EngineUnavailableError: the engine does not answer, or did not take it; the next tick tries again.
    """
    now = service.clock()
    day = service.schedule.due_day(now, last_served=await _last_served(service.runs))
    if day is None:
        return None
    run = daily_run(day, started_at=now)
    # Between its start and its first row, only the engine knows of a run.
    if await engine.instance(instance_id=run.run_id) is not None:
        return None
    await engine.start(instance_id=run.run_id, request=RunRequest(run=run, trigger=Trigger.TIMER))
    return run


async def start_on_demand(service: Service, engine: Engine, scope: Scope) -> Started:
    """Starts a run of this scope, or gives the one that is running already, the day's included.

    Raises:
        EngineUnavailableError: the engine does not answer, or did not take it.
    """
    now = service.clock()
    run = run_on_demand(scope, started_at=now)
    instance_id = str(instance_of(run.run_id))
    today = service.schedule.day_at(now)
    # Yesterday's may still be in work just after midnight.
    of_the_days = [daily_run(day, started_at=now).run_id for day in (today, today - timedelta(days=1))]
    for candidate in [instance_id, *(of_the_days if scope.is_whole_estate else [])]:
        running = await _running(engine, candidate)
        if running:
            return Started(running, StartedBy.AN_EARLIER_ONE)
    await engine.start(instance_id=instance_id, request=RunRequest(run=run, trigger=Trigger.HTTP, scope=scope))
    # Somebody may have asked for the same at the same moment: what runs now is what both are told.
    winner = await _running(engine, instance_id) or run
    return Started(winner, StartedBy.THIS_REQUEST if winner == run else StartedBy.AN_EARLIER_ONE)


async def _running(engine: Engine, instance_id: str) -> Run | None:
    instance = await engine.instance(instance_id=instance_id)
    if instance is None or instance.state is not InstanceState.RUNNING or instance.request is None:
        return None
    return instance.request.run


async def _last_served(runs: RunStore[RunRow]) -> date | None:
    """The day of the newest daily run; None where none is known. Not knowing starts no second run: the engine is asked too."""
    try:
        async for row in runs.runs():
            day = day_of(row.run_id)
            if day and row.trigger is Trigger.TIMER:
                return day
    except StoreError:
        return None
    return None

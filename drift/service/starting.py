"""Starts a run of plan checks: one at a time over the whole estate."""

import logging
from typing import Final

from records.engine import Engine, InstanceState, RunRequest
from records.ports import Clock
from records.results import Run
from records.runs import Trigger

_LOG: Final = logging.getLogger(__name__)
INSTANCE: Final = "plan-checks"
"""Named by what it does and not by its time, so that a run that is still in work is not joined by the next."""
RUN_PREFIX: Final = "plans-"


async def start_scheduled(engine: Engine, clock: Clock) -> Run | None:
    """Starts a run, unless one is in work: that one goes on, and nothing is started.

    Raises:
        EngineUnavailableError: the engine does not answer, or did not take it; the next tick tries again.
    """
    instance = await engine.instance(instance_id=INSTANCE)
    if instance and instance.state is InstanceState.RUNNING:
        _LOG.warning("the plan checks of before are still in work, so none are started (PLAN_CHECK_SCHEDULE)")
        return None
    now = clock()
    run = Run(run_id=f"{RUN_PREFIX}{Run.named_by(now).run_id}", started_at=now)
    await engine.start(instance_id=INSTANCE, request=RunRequest(run=run, trigger=Trigger.TIMER))
    return run

"""Starts a run of plan checks: one at a time over the whole estate."""

import logging
from datetime import timedelta
from typing import Final

from drift.service.functions import PLAN_CHECKS
from records.engine import Engine, InstanceState, RunRequest
from records.ports import Clock
from records.results import Run
from records.runs import Trigger

_LOG: Final = logging.getLogger(__name__)
INSTANCES: Final = ("plan-checks", "plan-checks-2")
"""Named by what they do and not by their time, so that a run that is still in work is not joined by the next. The second is for
when the first hangs: no name can be started again while its instance is in work.
"""
RUN_PREFIX: Final = "plans-"
_HANGS_AFTER: Final = PLAN_CHECKS.run_limit + timedelta(hours=1)


async def start_scheduled(engine: Engine, clock: Clock) -> Run | None:
    """Starts a run, unless one is in work: that one goes on, and nothing is started. One that hangs is left behind.

    Raises:
        EngineUnavailableError: the engine does not answer, or did not take it; the next tick tries again.
    """
    now = clock()
    free: list[str] = []
    for instance_id in INSTANCES:
        instance = await engine.instance(instance_id=instance_id)
        if instance is None or instance.state is not InstanceState.RUNNING:
            free.append(instance_id)
        elif instance.request is None or now - instance.request.run.started_at < _HANGS_AFTER:
            _LOG.warning("the plan checks of before are still in work, so none are started (PLAN_CHECK_SCHEDULE)")
            return None
        else:
            _LOG.error(
                "the plan checks of orchestration %s hang; end it: docs/runbook.md#a-run-that-hangs", instance_id
            )
    if not free:
        return None
    run = Run(run_id=f"{RUN_PREFIX}{Run.named_by(now).run_id}", started_at=now)
    await engine.start(instance_id=free[0], request=RunRequest(run=run, trigger=Trigger.TIMER))
    return run

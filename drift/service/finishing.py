"""The last activity of a run: what follows for each stack, as a row, as a job, and as telemetry."""

import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from drift.concluding import Conclusion
from drift.guarding import unseen
from drift.service.planning import running
from drift.service.service import CheckService
from drift.tally import CheckTally
from lanes.failing import end_as_failed
from lanes.messages import FailRequest, FinishRequest
from lanes.planning import read_lane_plan
from lanes.retention import prune_old_runs
from records.errors import StoreError
from records.plan_checks import CheckRunRow, StackCheck, StackObservation
from records.runs import RunStatus

_LOG: Final = logging.getLogger(__name__)
_NOT_LOOKED_AT: Final = (
    "The run ended without having looked at it: each try failed, or was cut off. Look at the app's log for its name."
)


async def finish_run(service: CheckService, request: FinishRequest) -> CheckRunRow:
    """Concludes a run whose lanes have ended. Delivered twice it decides and queues nothing twice, and tells telemetry once.

    Raises:
        StoreError: what the run has seen cannot be read, or its row cannot be kept.
    """
    asked = request.request
    run_id = asked.run.run_id
    before = await service.runs.run(run_id=run_id)
    plan, names = await read_lane_plan(service.work, run_id=run_id, digest=request.digest)
    policy = await service.read_policy()
    conclusion = Conclusion(
        run=asked.run,
        policy=policy,
        changes=service.changes,
        checks=service.checks,
        ledger=service.ledger,
        queueing=service.queueing,
        clock=service.clock,
    )
    tally = CheckTally(problems=list(plan.problems))
    tally.add_policy(policy)
    if asked.scope.is_whole_estate:
        tally.add_idle_brakes(policy, names)
    seen = _Seen(service, run_id, frozenset(names))
    checks: list[StackCheck] = []
    async for concluded in conclusion.conclude(seen.observations):
        tally.add(concluded)
        checks.append(_without_values(concluded.check))
    tally.add_requeued(*await conclusion.requeue_cut_off())
    row = tally.row(
        run=asked.run,
        finished_at=service.clock(),
        trigger=asked.trigger,
        scope=asked.scope,
        expected_stacks=plan.item_count,
        unseen_stacks=seen.missing_count,
    )
    if before is None or before.status is RunStatus.RUNNING:
        # Before the row says that the run has ended: told twice is better than never.
        await service.telemetry.checks_ended(row=row, checks=checks, problems=tally.problems)
    await service.runs.save_run(row=row)
    await _prune(service, row, names, knows_all_stacks=not plan.problems)
    return row


async def fail_run(service: CheckService, request: FailRequest) -> CheckRunRow:
    """Says that a run ended without having looked at the estate; one that has ended already stays as it is.

    Raises:
        StoreError: its row cannot be kept; telemetry has been told by then.
    """

    async def tell(row: CheckRunRow) -> None:
        _LOG.error("run %s of plan checks failed: %s", row.run_id, row.reason)
        await service.telemetry.checks_ended(row=row, checks=(), problems=())

    return await end_as_failed(
        request,
        runs=service.runs,
        running=lambda: running(request.request, stack_count=None),
        tell=tell,
        clock=service.clock,
    )


@dataclass(slots=True)
class _Seen:
    """What a run has seen of the stacks that it was to look at; of the others, that it has not."""

    service: CheckService
    run_id: str
    names: frozenset[str]
    missing_count: int = field(default=0, init=False)

    async def observations(self) -> AsyncIterator[StackObservation]:
        missing = set(self.names)
        async for seen in self.service.work.outcomes(run_id=self.run_id):
            if seen.name in missing:
                missing.remove(seen.name)
                yield seen
        self.missing_count = len(missing)
        for name in sorted(missing):
            yield unseen(name, _NOT_LOOKED_AT, self.service.clock)


def _without_values(check: StackCheck) -> StackCheck:
    """As telemetry takes it: a run's checks are all held at once, and values are what is large in them."""
    findings = tuple(finding.model_copy(update={"attributes": ()}) for finding in check.findings)
    return check.model_copy(update={"findings": findings})


async def _prune(service: CheckService, row: CheckRunRow, names: set[str], *, knows_all_stacks: bool) -> None:
    """Removes what is too old, and the latest of stacks that are no more. What cannot be removed today is another day."""
    if row.scope.is_whole_estate and knows_all_stacks:
        with suppress(StoreError):
            async for sketch in service.checks.sketches():
                if sketch.name not in names:
                    await service.checks.forget(market=sketch.market, stack=sketch.stack)
    with suppress(StoreError):
        oldest_kept = service.oldest_kept(row.started_at)
        await service.checks.prune(started_before=oldest_kept)
        await prune_old_runs(service.runs, service.work, started_before=oldest_kept)

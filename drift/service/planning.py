"""The first activities of a run: which stacks there are to check, dealt to lanes and kept in the table."""

from drift.service.service import CheckService
from drift.stacks import list_stacks
from lanes import planning
from lanes.messages import PlanReply
from records.engine import RunRequest
from records.errors import StoreError, StoreUnavailableError
from records.plan_checks import CheckRunRow
from records.runs import RunStatus


async def plan_run(service: CheckService, request: RunRequest) -> PlanReply:
    """Keeps the plan of a run, and the run's row as running.

    A refusal where the registry may not be listed or is not there: another try would change nothing.

    Raises:
        StoreError: storage was not to be reached, or did not take the plan.
    """
    try:
        listed = await list_stacks(service.records, request.scope)
    except StoreUnavailableError:
        raise
    except StoreError as error:
        return PlanReply(refusal=f"the registry cannot be listed ({error})")
    return await planning.keep_plan(
        listed.stacks,
        run_id=request.run.run_id,
        width=service.width,
        problems=listed.problems,
        work=service.work,
        runs=service.runs,
        running=lambda stack_count: running(request, stack_count=stack_count),
    )


def running(request: RunRequest, *, stack_count: int | None) -> CheckRunRow:
    """The row of a run that has begun; ``stack_count`` is None before it is known."""
    return CheckRunRow(
        run_id=request.run.run_id,
        started_at=request.run.started_at,
        status=RunStatus.RUNNING,
        trigger=request.trigger,
        scope=request.scope,
        expected_stacks=stack_count,
    )

"""One run of plan checks in one process, as the terminal runs it; `drift.service` spreads one over machines."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from drift.concluding import Conclusion
from drift.guarding import guarded
from drift.observing import StackObserver
from drift.stacks import list_stacks
from drift.tally import CheckTally, sorted_problems
from lanes.side_by_side import side_by_side
from records.errors import StoreError
from records.faults import RecordKind
from records.plan_checks import CheckReport, CheckRunRow, StackCheck, StackObservation
from records.ports import RunStore
from records.report import WHOLE_ESTATE, Problem
from records.runs import Scope, Trigger
from records.store_faults import store_fault


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckProgress:
    """Where a run tells how far it is: the stacks once they are known, each that is begun, and what was seen of it."""

    on_stacks: Callable[[tuple[str, ...]], None]
    on_begin: Callable[[str], None]
    on_seen: Callable[[StackObservation], None]


async def check_estate(
    observer: StackObserver,
    conclusion: Conclusion,
    *,
    runs: RunStore[CheckRunRow] | None,
    scope: Scope,
    width: int,
    progress: CheckProgress,
) -> CheckReport:
    """Checks the stacks in scope, and keeps the run's row where ``runs`` is given.

    Raises:
        UnknownMarketError, UnknownStackError: one was asked for that no record names.
        StoreError: the registry cannot be listed.
        SettingsError: there is no Terraform, or no place to run it.
    """
    listed = await list_stacks(observer.records, scope)
    progress.on_stacks(listed.stacks)
    tally = CheckTally(problems=list(listed.problems))
    tally.add_policy(conclusion.policy)
    if scope.is_whole_estate:
        tally.add_idle_brakes(conclusion.policy, listed.stacks)

    async def observe(path: str) -> StackObservation:
        progress.on_begin(path)
        return await guarded(path, observer.observe, observer.clock)

    seen: list[StackObservation] = []
    async for one in side_by_side(listed.stacks, observe, width=width):
        seen.append(one)
        progress.on_seen(one)
    seen.sort(key=lambda one: (one.market, one.stack))

    async def observations() -> AsyncIterator[StackObservation]:
        for one in seen:
            yield one

    checks: list[StackCheck] = []
    queued: list[str] = []
    async for concluded in conclusion.conclude(observations):
        tally.add(concluded)
        checks.append(concluded.check)
        if concluded.is_queued and concluded.check.job_id:
            queued.append(concluded.check.job_id)
    tally.add_requeued(*await conclusion.requeue_cut_off())
    finished_at = conclusion.clock()
    if runs:
        row = tally.row(
            run=conclusion.run,
            finished_at=finished_at,
            trigger=Trigger.TERMINAL,
            scope=scope,
            expected_stacks=len(listed.stacks),
        )
        try:
            await runs.save_run(row=row)
        except StoreError as error:
            fault = store_fault(error, kind=RecordKind.RESULTS, blob=error.place)
            tally.add_problems([Problem.of(WHOLE_ESTATE, fault)])
    return CheckReport(
        run_id=conclusion.run.run_id,
        started_at=conclusion.run.started_at,
        finished_at=finished_at,
        counts=dict(sorted(tally.counts.items())),
        problems=sorted_problems(tally.problems),
        queued=None if conclusion.queueing is None else tuple(sorted(queued)),
        results=tuple(checks),
    )

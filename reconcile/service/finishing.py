"""The last activity of a run: what all markets came to, as reports, as a row, and as telemetry."""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from lanes.failing import end_as_failed
from lanes.messages import FailRequest, FinishRequest
from lanes.planning import read_lane_plan
from lanes.retention import prune_old_runs
from reconcile.estate_tally import EstateTally, of_the_estate
from reconcile.module_pins import keep_pins
from reconcile.render.html import render_html
from reconcile.render.json import render_json
from reconcile.render.markdown import render_markdown
from reconcile.service.planning import running
from reconcile.service.service import Service
from records.engine import RunRequest
from records.errors import StoreError
from records.faults import Fault, FaultCode, RecordKind
from records.names import registry_blob
from records.plans import LanePlan
from records.ports import Spool
from records.report import WHOLE_ESTATE, Problem, Report
from records.runs import RunRow, RunStatus

_LOG: Final = logging.getLogger(__name__)
LATEST: Final = "latest"
_FORMATS: Final[dict[str, tuple[str, Callable[[Report], Iterator[str]]]]] = {
    "json": ("application/json", render_json),
    "md": ("text/markdown; charset=utf-8", render_markdown),
    "html": ("text/html; charset=utf-8", render_html),
}


async def finish_run(service: Service, request: FinishRequest) -> RunRow:
    """Reports a run whose lanes have ended. Delivered twice it writes the same again, and tells telemetry once.

    Raises:
        StoreError: what the run has done cannot be read, or its row cannot be kept.
    """
    asked = request.request
    run_id = asked.run.run_id
    before = await service.runs.run(run_id=run_id)
    with service.new_spool() as spool:
        tally, plan = await _add_up(service, request, spool)
        if asked.scope.is_whole_estate:
            await tally.find_unregistered_states(service.records)
            await keep_pins(service.pins, run=asked.run, pins=tally.add_up_pins())
        finished_at = service.clock()
        report = Report(tally.summary(run=asked.run, finished_at=finished_at), spool, service.runbook_url)
        kept, problems = await _save_reports(service, asked, report)
        tally.add_problems(problems)
        # Again, since a report that could not be kept is a problem that only the row can tell.
        report = Report(tally.summary(run=asked.run, finished_at=finished_at), spool, service.runbook_url)
        row = report.summary.row(trigger=asked.trigger, scope=asked.scope, expected_markets=plan.item_count).model_copy(
            update={"reports": kept}
        )
        if before is None or before.status is RunStatus.RUNNING:
            # Before the row says that the run has ended: told twice is better than never.
            await service.telemetry.run_ended(row=row, report=report)
    await service.runs.save_run(row=row)
    await _prune(service, row)
    return row


async def fail_run(service: Service, request: FailRequest) -> RunRow:
    """Says that a run ended without a verdict on the estate; one that has ended already stays as it is.

    Raises:
        StoreError: its row cannot be kept; telemetry has been told by then.
    """

    async def tell(row: RunRow) -> None:
        _LOG.error("run %s failed: %s", row.run_id, row.reason)
        await service.telemetry.run_ended(row=row, report=None)

    return await end_as_failed(
        request,
        runs=service.runs,
        running=lambda: running(request.request, market_count=None),
        tell=tell,
        clock=service.clock,
    )


async def _add_up(service: Service, request: FinishRequest, spool: Spool) -> tuple[EstateTally, LanePlan]:
    """All that the plan names, with a problem for each market that has no outcome."""
    run_id = request.request.run.run_id
    plan, missing = await read_lane_plan(service.work, run_id=run_id, digest=request.digest)
    tally = EstateTally()
    tally.add_problems(plan.problems)
    found_stacks: set[str] = set()
    async for outcome in service.work.outcomes(run_id=run_id):
        if outcome.market in missing:
            missing.remove(outcome.market)
            tally.add(outcome)
            spool.add(outcome)
            found_stacks.update(result.stack for result in outcome.results)
    tally.add_unchecked(missing)
    tally.add_problems(_of_unknown_stacks(request.request, found_stacks))
    await service.work.save_late_problems(run_id=run_id, by_market=tally.late)
    return tally, plan


async def _save_reports(service: Service, asked: RunRequest, report: Report) -> tuple[tuple[str, ...], list[Problem]]:
    """Writes the report in each format, and gives the run's own blobs. What cannot be kept is a problem, and takes nothing from
    the verdicts.
    """
    kept, problems = [], []
    for suffix, (media_type, render) in _FORMATS.items():
        own = f"{asked.run.run_id}.{suffix}"
        names = [own]
        if asked.scope.is_whole_estate:
            names.append(f"{LATEST}.{suffix}")
        try:
            await service.reports.save_report(
                names=names, chunks=_lazily(render, report), media_type=media_type, started_at=asked.run.started_at
            )
            kept.append(own)
        except StoreError as error:
            problems.append(of_the_estate(error, RecordKind.RESULTS))
    return tuple(kept), problems


def _lazily(render: Callable[[Report], Iterator[str]], report: Report) -> Iterator[str]:
    """Begins to render where the first chunk is taken, since some formats go through all results before that."""
    yield from render(report)


async def _prune(service: Service, row: RunRow) -> None:
    """Removes what is older than the retention. What cannot be removed today is removed another day."""
    with suppress(StoreError):
        await prune_old_runs(
            service.runs, service.work, pins=service.pins, started_before=service.rules.oldest_kept(row.started_at)
        )


def _of_unknown_stacks(asked: RunRequest, found: set[str]) -> list[Problem]:
    unknown = sorted(set(asked.scope.stacks) - found)
    return [
        Problem.of(
            WHOLE_ESTATE,
            Fault(
                code=FaultCode.NOT_FOUND,
                record=RecordKind.REGISTRY,
                blob=registry_blob(asked.scope.markets[0]) if len(asked.scope.markets) == 1 else "*",
                field=f"stacks.{stack}",
                message=f"no market that could be read has a stack {stack}",
                remedy="Mend the markets that could not be read; else correct the name, or restore the stack's entry.",
            ),
        )
        for stack in unknown
    ]

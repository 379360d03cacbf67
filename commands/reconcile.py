"""``trueup reconcile``: compares the records of an estate and prints the report."""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from enum import StrEnum
from typing import IO, Annotated, Final

import typer

from adapters.bootstrap import Estate
from adapters.clock import utc_now
from adapters.outcome_spool import OutcomeSpool
from adapters.settings import Settings, load_settings
from assembly.estates import opened_estate, rules_of
from commands.options import EstateOption, MarketsOption, OutputOption, parsed_time
from commands.printing import opened, print_to, progress_bar
from reconcile.market import MarketReconciler
from reconcile.render.html import render_html
from reconcile.render.json import render_json
from reconcile.render.markdown import render_markdown
from reconcile.render.terminal import render_terminal
from reconcile.run import RunProgress, RunStores, reconcile_estate
from records.names import is_named_by_the_service, is_run_id
from records.report import MarketOutcome, Report, RunSummary
from records.results import Run

EXAMPLE: Final = "Example: trueup reconcile --estate examples/estate --format html --output report.html"


class Format(StrEnum):
    """How a report is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"


def reconcile(
    estate: EstateOption = None,
    market: MarketsOption = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print the report.")] = Format.TABLE,
    output: OutputOption = None,
    run_id: Annotated[
        str | None,
        typer.Option(help="Name the run: the same run twice writes the same rows.", metavar="ID"),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            help="Judge ages as of this time, for a copy of an estate. Default: now.",
            metavar="TIME",
            show_default=False,
        ),
    ] = None,
    save: Annotated[bool, typer.Option(help="Keep the results, for 'since when'.")] = True,
) -> int:
    """Compare state, tracker and registry of every stack, and say which one is wrong.

    Exit status: 0 all healthy or not deployed, 2 something is not, 1 the run failed.
    """
    settings = load_settings()
    moment = parsed_time(as_of, option="--as-of")
    _check_run_id(run_id)
    if save and moment and moment > utc_now():
        raise typer.BadParameter(
            "--as-of: a time to come needs --no-save, or later runs would count as older than this one"
        )
    started_at = moment or utc_now()
    run = Run(run_id=run_id, started_at=started_at) if run_id else Run.named_by(started_at)
    with OutcomeSpool() as spool, opened(output) as file:
        summary = asyncio.run(
            _reconcile(
                opened_estate(estate, settings),
                settings,
                run,
                as_of=moment,
                wanted=market or [],
                spool=spool,
                save=save,
            )
        )
        _write(Report(summary, spool, settings.runbook_url), format_, file)
    return summary.exit_status


async def _reconcile(
    opening: AbstractAsyncContextManager[Estate],
    settings: Settings,
    run: Run,
    *,
    as_of: datetime | None,
    wanted: list[str],
    spool: OutcomeSpool,
    save: bool,
) -> RunSummary:
    with progress_bar() as bar:
        task = bar.add_task("reconciling", total=None)

        def on_outcome(outcome: MarketOutcome) -> None:
            spool.add(outcome)
            bar.advance(task)

        async with opening as estate:
            reconciler = MarketReconciler(
                records=estate.records,
                results=estate.results if save else None,
                run=run,
                rules=rules_of(settings),
                clock=(lambda: as_of) if as_of else utc_now,
            )
            return await reconcile_estate(
                reconciler,
                kept_in=RunStores(runs=estate.runs, pins=estate.pins, work=estate.work) if save else None,
                wanted=wanted,
                width=settings.fan_out_width,
                progress=RunProgress(
                    on_markets=lambda markets: bar.update(task, total=len(markets)), on_outcome=on_outcome
                ),
            )


def _write(report: Report, format_: Format, file: IO[str]) -> None:
    match format_:
        case Format.TABLE:
            print_to(file, render_terminal(report))
        case Format.JSON:
            file.writelines(render_json(report))
        case Format.MARKDOWN:
            file.writelines(render_markdown(report))
        case Format.HTML:
            file.writelines(render_html(report))


def _check_run_id(run_id: str | None) -> None:
    if run_id is None:
        return
    if not is_run_id(run_id):
        raise typer.BadParameter("--run-id: letters, digits, '.', '_' and '-', 64 at most")
    if is_named_by_the_service(run_id):
        raise typer.BadParameter("--run-id: names that begin with 'daily-' or 'request-' are the service's runs")

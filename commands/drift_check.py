"""``trueup drift check``: plans what was deployed to each stack, and says what was changed outside Terraform."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Final

import typer

from adapters.clock import utc_now
from adapters.settings import Settings, load_settings
from assembly.drift_estates import open_drift_estate
from commands.options import EstateOption, MarketsOption, OutputOption, check_market, check_stack
from commands.printing import opened, print_to
from commands.stack_lines import stack_lines
from drift.concluding import Conclusion
from drift.render.json import render_json
from drift.render.markdown import render_markdown
from drift.render.terminal import render_terminal
from drift.run import CheckProgress, check_estate
from records.plan_checks import CheckReport
from records.resource_changes import NoChangeHistory
from records.results import Run
from records.runs import MOST_MARKETS_ASKED_FOR, MOST_STACKS_ASKED_FOR, Scope

EXAMPLE: Final = "Example: trueup drift check --market de --stack network --format json"


class Format(StrEnum):
    """How a check is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


def check(
    estate: EstateOption = None,
    market: MarketsOption = None,
    stack: Annotated[
        list[str] | None, typer.Option("--stack", help="Only this stack; repeat it for more.", metavar="STACK")
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print the checks.")] = Format.TABLE,
    output: OutputOption = None,
    queue: Annotated[
        bool, typer.Option("--queue", help="Queue what is to be healed. Without this nothing is queued.")
    ] = False,
    save: Annotated[bool, typer.Option(help="Keep the checks, for their history and for other runs.")] = True,
) -> int:
    """Plan what was deployed to each stack, and say what was changed outside Terraform, by whom, and what follows.

    Needs Terraform (TF_BINARY). Nothing is applied.

    Exit status: 0 all clean, 2 anything is not, 1 the run failed.
    """
    if queue and not save:
        raise typer.BadParameter("--queue: a job is queued for a check that is kept, so not with --no-save")
    settings = load_settings()
    scope = _scope(market or [], stack or [])
    with opened(output) as file:
        with stack_lines() as progress:
            report, has_asked = asyncio.run(
                _check(estate, settings, scope, keeps=save, queues=queue, progress=progress)
            )
        _write(report, format_, file, has_asked=has_asked)
    return report.exit_status


async def _check(
    folder: Path | None, settings: Settings, scope: Scope, *, keeps: bool, queues: bool, progress: CheckProgress
) -> tuple[CheckReport, bool]:
    """The report, and whether anybody was asked who had changed what."""
    run = Run.named_by(utc_now())
    async with open_drift_estate(folder, settings) as opened_estate:
        stores = opened_estate.stores
        conclusion = Conclusion(
            run=run,
            policy=await opened_estate.read_policy(),
            changes=stores.changes,
            checks=stores.checks if keeps else None,
            ledger=stores.ledger,
            queueing=opened_estate.queueing if queues else None,
            clock=utc_now,
        )
        report = await check_estate(
            opened_estate.observer,
            conclusion,
            runs=stores.check_runs if keeps else None,
            scope=scope,
            width=settings.plans_per_instance,
            progress=progress,
        )
        return report, not isinstance(stores.changes, NoChangeHistory)


def _scope(markets: list[str], stacks: list[str]) -> Scope:
    for name in markets:
        check_market(name)
    for name in stacks:
        check_stack(name)
    if len(markets) > MOST_MARKETS_ASKED_FOR or len(stacks) > MOST_STACKS_ASKED_FOR:
        raise typer.BadParameter(
            f"at most {MOST_MARKETS_ASKED_FOR} markets and {MOST_STACKS_ASKED_FOR} stacks can be named; name none for all"
        )
    return Scope(markets=tuple(markets), stacks=tuple(stacks)).normalised()


def _write(report: CheckReport, format_: Format, file: IO[str], *, has_asked: bool) -> None:
    match format_:
        case Format.TABLE:
            print_to(file, render_terminal(report, has_asked=has_asked))
        case Format.JSON:
            file.writelines(render_json(report))
        case Format.MARKDOWN:
            file.writelines(render_markdown(report, has_asked=has_asked))

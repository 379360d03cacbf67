"""``trueup drift check``: plans what was deployed to each stack, and says what was changed outside Terraform."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Final

import typer

from adapters.bootstrap import open_azure_estate, open_folder_estate, utc_now
from adapters.drift_bootstrap import (
    DriftStores,
    open_azure_drift_stores,
    open_folder_drift_stores,
    terraform_options,
)
from adapters.settings import Settings, load_settings
from adapters.terraform_cli import TerraformCli
from commands.estates import judge_of
from commands.options import EstateOption, MarketsOption, OutputOption
from commands.printing import opened, print_to
from commands.stack_lines import stack_lines
from drift.concluding import Conclusion, Queueing
from drift.observing import StackObserver
from drift.policy import Limits
from drift.policy_reading import read_policy
from drift.render.json import render_json
from drift.render.markdown import render_markdown
from drift.render.terminal import render_terminal
from drift.run import CheckProgress, check_estate
from records.names import is_market_key, is_stack_name
from records.plan_checks import CheckReport
from records.results import Run
from records.runs import MOST_MARKETS_ASKED_FOR, MOST_STACKS_ASKED_FOR, Scope

EXAMPLE: Final = "Example: trueup drift check --market de --stack network --format json"
_MIB: Final = 1024**2


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
            report = asyncio.run(_check(estate, settings, scope, keeps=save, queues=queue, progress=progress))
        _write(report, format_, file)
    return report.exit_status


async def _check(
    folder: Path | None, settings: Settings, scope: Scope, *, keeps: bool, queues: bool, progress: CheckProgress
) -> CheckReport:
    run = Run.named_by(utc_now())
    async with _opened(folder, settings, run) as (observer, stores):
        conclusion = Conclusion(
            run=run,
            is_whole_estate=scope.is_whole_estate,
            policy=await read_policy(
                stores.policy,
                mode=settings.heal_mode,
                limits=Limits.model_validate(settings, from_attributes=True),
            ),
            changes=stores.changes,
            checks=stores.checks if keeps else None,
            queueing=_queueing(stores, settings) if queues else None,
            clock=utc_now,
        )
        return await check_estate(
            observer,
            conclusion,
            runs=stores.check_runs if keeps else None,
            scope=scope,
            width=settings.plans_per_instance,
            progress=progress,
        )


@asynccontextmanager
async def _opened(
    folder: Path | None, settings: Settings, run: Run
) -> AsyncIterator[tuple[StackObserver, DriftStores]]:
    async with AsyncExitStack() as stack:
        if folder:
            estate = await stack.enter_async_context(open_folder_estate(folder, settings))
            stores = await stack.enter_async_context(open_folder_drift_stores(folder, settings))
        else:
            in_azure = await stack.enter_async_context(open_azure_estate(settings))
            estate = in_azure
            stores = await stack.enter_async_context(open_azure_drift_stores(in_azure, settings))
        yield (
            StackObserver(
                judge=judge_of(estate, settings, run),
                records=estate.records,
                planner=TerraformCli(terraform_options(settings, estate_folder=folder)),
                bundle_max_bytes=settings.bundle_max_mib * _MIB,
                plan_limit_seconds=settings.plan_limit_seconds,
                clock=utc_now,
            ),
            stores,
        )


def _queueing(stores: DriftStores, settings: Settings) -> Queueing:
    return Queueing(
        ledger=stores.ledger,
        queue=stores.queue,
        expires_after=timedelta(minutes=settings.heal_expires_minutes),
    )


def _scope(markets: list[str], stacks: list[str]) -> Scope:
    for name in markets:
        if not is_market_key(name):
            raise typer.BadParameter(f"--market {name}: segments of lower-case letters, digits and '-', joined by '/'")
    for name in stacks:
        if not is_stack_name(name):
            raise typer.BadParameter(f"--stack {name}: lower-case letters, digits and '-', 63 at most")
    if len(markets) > MOST_MARKETS_ASKED_FOR or len(stacks) > MOST_STACKS_ASKED_FOR:
        raise typer.BadParameter(
            f"at most {MOST_MARKETS_ASKED_FOR} markets and {MOST_STACKS_ASKED_FOR} stacks can be named; name none for all"
        )
    return Scope(markets=tuple(markets), stacks=tuple(stacks)).normalised()


def _write(report: CheckReport, format_: Format, file: IO[str]) -> None:
    match format_:
        case Format.TABLE:
            print_to(file, render_terminal(report))
        case Format.JSON:
            file.writelines(render_json(report))
        case Format.MARKDOWN:
            file.writelines(render_markdown(report))

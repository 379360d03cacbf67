"""``trueup record``: what a pipeline calls after every deploy."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from adapters.bundle_zip import pack_bundle
from adapters.clock import utc_now
from adapters.pipeline_environment import current_pipeline, current_workspace
from adapters.settings import Settings, load_settings
from adapters.state_locations import location_in_azure, location_of_options, location_on_disk
from adapters.terraform_backend import read_backend
from assembly.estates import opened_estate
from commands.options import (
    Answer,
    AnswerOption,
    ByOption,
    EstateOption,
    check_market,
    check_stack,
    long_text,
    parsed_time,
    short_text,
)
from commands.writing import author_of, book_of, tell, working
from recording.author import Author
from recording.deploy import Deploy, StateClaims
from recording.record import Recorded, record_deploy
from recording.render.recorded import recorded_document, render_recorded
from records.record_log import RecordCommand
from records.registry import Elsewhere, StateLocation
from records.tracker import Outcome

EXAMPLE: Final = (
    "Example: trueup record --market de --stack network --bundle . --var-file de.tfvars --outcome succeeded"
)
_BUNDLE: Final = "What was deployed"
_DEPLOY: Final = "The deploy"
_PLACE: Final = "Where the state is"


def record(
    market: Annotated[str, typer.Option(help="The market that was deployed to.", metavar="MARKET")],
    stack: Annotated[str, typer.Option(help="The stack that was deployed.", metavar="STACK")],
    estate: EstateOption = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            help="The root module's folder, as deployed: kept, so that it can be planned again.",
            metavar="DIR",
            rich_help_panel=_BUNDLE,
        ),
    ] = None,
    var_file: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file that -var-file named; repeat it in the same order.", metavar="FILE", rich_help_panel=_BUNDLE
        ),
    ] = None,
    outcome: Annotated[Outcome, typer.Option(help="How the apply ended.")] = Outcome.SUCCEEDED,
    release: Annotated[
        str | None,
        typer.Option(
            help="The release that was deployed. Default: the pipeline's tag.",
            metavar="NAME",
            callback=short_text,
            rich_help_panel=_DEPLOY,
        ),
    ] = None,
    commit: Annotated[
        str | None,
        typer.Option(
            help="Its commit. Default: the pipeline's.", metavar="SHA", callback=short_text, rich_help_panel=_DEPLOY
        ),
    ] = None,
    run_id: Annotated[
        str | None,
        typer.Option(
            help="The run. Default: the pipeline's.", metavar="ID", callback=short_text, rich_help_panel=_DEPLOY
        ),
    ] = None,
    run_url: Annotated[
        str | None,
        typer.Option(
            help="Where the run can be read. Default: the pipeline's.",
            metavar="URL",
            callback=long_text,
            rich_help_panel=_DEPLOY,
        ),
    ] = None,
    by: ByOption = None,
    subscription_id: Annotated[
        str | None,
        typer.Option(
            help="The market's subscription; needed where the registry does not have it.",
            metavar="ID",
            callback=short_text,
            rich_help_panel=_PLACE,
        ),
    ] = None,
    state_key: Annotated[
        str | None,
        typer.Option(
            help="The state's key. Default: that of the folder's backend, else the registry's.",
            metavar="KEY",
            rich_help_panel=_PLACE,
        ),
    ] = None,
    state_workspace: Annotated[
        str | None, typer.Option(help="With --state-key: its workspace.", metavar="NAME", rich_help_panel=_PLACE)
    ] = None,
    state_container: Annotated[
        str | None, typer.Option(help="With --state-key: its container.", metavar="NAME", rich_help_panel=_PLACE)
    ] = None,
    state_account_url: Annotated[
        str | None,
        typer.Option(help="With --state-key: its account's blob endpoint.", metavar="URL", rich_help_panel=_PLACE),
    ] = None,
    serial_before: Annotated[
        int | None,
        typer.Option(
            help="The state's serial before the apply: a failed one that left it so is not recorded. Without it a failed apply "
            "is recorded wherever the state is not what the records say, whoever moved it.",
            min=0,
            rich_help_panel=_DEPLOY,
        ),
    ] = None,
    serial_after: Annotated[
        int | None,
        typer.Option(
            help="The state's serial after the apply: where it is another one by now, nothing is recorded.",
            min=0,
            rich_help_panel=_DEPLOY,
        ),
    ] = None,
    deployed_at: Annotated[
        str | None,
        typer.Option(
            help="When the apply ended. Default: now.", metavar="TIME", show_default=False, rich_help_panel=_DEPLOY
        ),
    ] = None,
    format_: AnswerOption = Answer.TEXT,
) -> int:
    """Record a deploy: its bundle, its tracker, and its entry in the registry.

    Reads lineage, serial and MD5 of the state as they are after `terraform apply`. Safe to run again.

    Exit status: 0 recorded, or nothing to record; 1 failed.
    """
    settings, pipeline = load_settings(), current_pipeline()
    check_market(market)
    check_stack(stack)
    if var_file and not bundle:
        raise typer.BadParameter("--var-file needs --bundle")
    asked_for = location_of_options(
        key=state_key, workspace=state_workspace, container=state_container, account_url=state_account_url
    )
    moment = _deploy_time(deployed_at)
    workspace = current_workspace() if bundle else None
    with working("packing the bundle"):
        packed = (
            pack_bundle(bundle, variable_files=var_file or (), max_bytes=settings.bundle_max_bytes) if bundle else None
        )
    for warning in packed.warnings if packed else ():
        Console(stderr=True, highlight=False).print(f"trueup: {warning}", style="yellow", markup=False, soft_wrap=True)
    author = author_of(RecordCommand.RECORD, by=by, pipeline=pipeline, run_id=run_id)
    deploy = Deploy(
        market=market,
        stack=stack,
        deployed_at=moment or author.at.replace(microsecond=0),
        outcome=outcome,
        release=release or pipeline.release,
        commit=commit or pipeline.commit,
        run_id=author.run_id,
        run_url=run_url or pipeline.run_url,
        subscription_id=subscription_id,
        signed_in_to=pipeline.subscription_id,
        serial_before=serial_before,
        serial_after=serial_after,
        state=StateClaims(
            asked_for=asked_for,
            initialised=_initialised(bundle, workspace, estate, settings) if bundle and asked_for is None else None,
        ),
        bundle=packed,
        modules=packed.modules if packed else (),
    )
    with working("recording"):
        recorded = asyncio.run(_record(deploy, author, estate, settings))
    tell(
        format_,
        text=render_recorded(recorded, name=deploy.name, bundle=packed),
        document=recorded_document(recorded, market=market, stack=stack, bundle=packed),
    )
    return 0


async def _record(deploy: Deploy, author: Author, folder: Path | None, settings: Settings) -> Recorded:
    async with opened_estate(folder, settings, may_be_new=True) as estate:
        return await record_deploy(deploy, records=estate.records, book=book_of(estate, author))


def _initialised(
    folder: Path, workspace: str | None, estate: Path | None, settings: Settings
) -> StateLocation | Elsewhere | None:
    backend = read_backend(folder, workspace=workspace)
    if backend is None:
        return None
    return location_on_disk(backend, settings, estate=estate) if estate else location_in_azure(backend, settings)


def _deploy_time(text: str | None) -> datetime | None:
    moment = parsed_time(text, option="--deployed-at")
    if moment and moment > utc_now():
        raise typer.BadParameter("--deployed-at: it is yet to come")
    return moment

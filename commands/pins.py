"""``trueup pins``: how firmly each module call is pinned, and where an estate has left its library."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Final

import typer

from adapters.settings import Settings, load_settings
from assembly.deployed_modules import TrackedCalls, read_deployed
from assembly.estates import opened_estate
from assembly.pin_audits import LibraryPaths, audit_pins
from commands.options import EstateOption, MarketsOption, OutputOption
from commands.printing import opened, print_to
from commands.writing import working
from pins.audit import Audit
from pins.render.json import render_json
from pins.render.markdown import render_markdown
from pins.render.sarif import render_sarif
from pins.render.terminal import render_terminal

EXAMPLE: Final = "Example: trueup pins stacks/ --library-file library.yaml --format sarif --output pins.sarif"


class Format(StrEnum):
    """How an audit is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    SARIF = "sarif"


def pins(
    directories: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="DIR|ZIP",
            help="Folders of configuration, with every module in them, and bundles.",
            show_default=False,
        ),
    ] = None,
    estate: EstateOption = None,
    trackers: Annotated[
        bool,
        typer.Option(
            "--trackers",
            help="Read the estate's trackers too, in the account that the settings name. --estate does so.",
        ),
    ] = False,
    market: MarketsOption = None,
    library: Annotated[
        Path | None,
        typer.Option(help="The library's git repository: tells tags that were moved.", metavar="DIR"),
    ] = None,
    library_file: Annotated[
        Path | None,
        typer.Option(
            help="Which module owns which resource types: tells forks. Default: library.yaml in --library, if it is there.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    fetched: Annotated[
        bool, typer.Option("--fetched", help="Also read the modules that `terraform init` fetched into `.terraform`.")
    ] = False,
    format_: Annotated[Format, typer.Option("--format", help="How to print the audit.")] = Format.TABLE,
    output: OutputOption = None,
) -> int:
    """Audit module pins: every module call, how firmly it is pinned, forks of the library, and tags that were moved.

    Nothing is fetched and nothing is written.

    Exit status: 0 all pinned, 2 something needs a person, 1 it failed.
    """
    reads_trackers = trackers or estate is not None
    if not directories and not reads_trackers:
        raise typer.BadParameter("give a folder or a bundle, or --estate or --trackers for what is deployed")
    if market and not reads_trackers:
        raise typer.BadParameter("--market chooses among trackers: it needs --estate or --trackers")
    settings = load_settings()
    with opened(output) as file:
        with working("reading"):
            found = audit_pins(
                directories or [],
                asyncio.run(_deployed(estate, settings, market or [])) if reads_trackers else None,
                LibraryPaths(repository=library, file=library_file),
                fetched=fetched,
                max_bundle_bytes=settings.bundle_max_bytes,
                on_nothing_in=_tell_nothing_in,
            )
        _write(found, format_, file)
    return found.exit_status


def _tell_nothing_in(place: Path) -> None:
    typer.echo(f"{place}: there is no configuration in it", err=True)


async def _deployed(folder: Path | None, settings: Settings, wanted: list[str]) -> TrackedCalls:
    async with opened_estate(folder, settings) as estate:
        return await read_deployed(estate.records, wanted=wanted, width=settings.fan_out_width)


def _write(found: Audit, format_: Format, file: IO[str]) -> None:
    match format_:
        case Format.TABLE:
            print_to(file, render_terminal(found))
        case Format.JSON:
            file.writelines(render_json(found))
        case Format.MARKDOWN:
            file.writelines(render_markdown(found))
        case Format.SARIF:
            file.writelines(render_sarif(found))

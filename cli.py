"""Door 2, the terminal: ``trueup …``. Binds arguments to the mechanisms and errors to exit statuses."""

import asyncio
import io
import logging
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from traceback import format_tb
from typing import IO, Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from adapters.bootstrap import (
    Estate,
    discard_stdout,
    open_azure_estate,
    open_folder_estate,
    spare_the_collector,
    utc_now,
)
from adapters.outcome_spool import OutcomeSpool
from adapters.settings import Settings, load_settings
from reconcile.market import MarketReconciler, Rules
from reconcile.render.html import render_html
from reconcile.render.json import render_json
from reconcile.render.markdown import render_markdown
from reconcile.render.terminal import render_terminal
from reconcile.run import RunProgress, reconcile_estate
from records.errors import TrueupError
from records.names import is_named_by_the_service, is_run_id
from records.report import MarketOutcome, Report, RunSummary
from records.results import Run
from records.runs import EXIT_RUN_FAILED
from records.timestamps import parse_utc
from records.version import VERSION

_WIDTH_IN_A_PIPE: Final = 200
_INTERRUPTED: Final = 130
_PIPE_CLOSED: Final = 141
_WRONG_USAGE: Final[tuple[type[Any], ...]] = tuple(
    # Typer brings a click of its own, whose base class it does not export.
    kind
    for kind in typer.BadParameter.__mro__
    if kind.__name__ == "ClickException"
)

app = typer.Typer(
    name="trueup",
    help="Keeps a Terraform estate on Azure honest.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Format(StrEnum):
    """How a report is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"


@app.callback(invoke_without_command=True)
def _trueup(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """Keeps a Terraform estate on Azure honest."""
    if version:
        typer.echo(f"trueup {VERSION}")
        raise typer.Exit


@app.command(
    epilog="Example: trueup reconcile --estate examples/estate --format html --output report.html",
)
def reconcile(
    estate: Annotated[
        Path | None,
        typer.Option(help="An estate on disk; without it, the account that the settings name.", metavar="DIR"),
    ] = None,
    market: Annotated[
        list[str] | None, typer.Option(help="Only this market; repeat it for more.", metavar="MARKET")
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print the report.")] = Format.TABLE,
    output: Annotated[Path | None, typer.Option(help="Write the report to this file.", metavar="FILE")] = None,
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
    moment = _parsed_time(as_of)
    _check_run_id(run_id)
    if save and moment and moment > utc_now():
        raise typer.BadParameter(
            "--as-of: a time to come needs --no-save, or later runs would count as older than this one"
        )
    started_at = moment or utc_now()
    run = Run(run_id=run_id, started_at=started_at) if run_id else Run.named_by(started_at)
    opened = open_folder_estate(estate, settings) if estate else open_azure_estate(settings)
    with OutcomeSpool() as spool, _opened(output) as file:
        summary = asyncio.run(
            _reconcile(opened, settings, run, as_of=moment, wanted=market or [], spool=spool, save=save)
        )
        _write(Report(summary=summary, results=spool), format_, file)
    return summary.exit_status


async def _reconcile(
    opened: AbstractAsyncContextManager[Estate],
    settings: Settings,
    run: Run,
    *,
    as_of: datetime | None,
    wanted: list[str],
    spool: OutcomeSpool,
    save: bool,
) -> RunSummary:
    with _progress_bar() as bar:
        task = bar.add_task("reconciling", total=None)

        def on_outcome(outcome: MarketOutcome) -> None:
            spool.add(outcome)
            bar.advance(task)

        async with opened as estate:
            reconciler = MarketReconciler(
                records=estate.records,
                results=estate.results if save else None,
                run=run,
                rules=Rules(
                    in_flight_minutes=settings.in_flight_minutes,
                    reread_delay_seconds=settings.reread_delay_seconds,
                    retention_days=settings.retention_days,
                ),
                clock=(lambda: as_of) if as_of else utc_now,
            )
            return await reconcile_estate(
                reconciler,
                runs=estate.runs if save else None,
                work=estate.work,
                wanted=wanted,
                width=settings.fan_out_width,
                progress=RunProgress(
                    on_markets=lambda markets: bar.update(task, total=len(markets)), on_outcome=on_outcome
                ),
            )


def _write(report: Report, format_: Format, file: IO[str]) -> None:
    match format_:
        case Format.TABLE:
            width = None if file.isatty() else _WIDTH_IN_A_PIPE
            Console(file=file, width=width, highlight=False).print(render_terminal(report))
        case Format.JSON:
            file.writelines(render_json(report))
        case Format.MARKDOWN:
            file.writelines(render_markdown(report))
        case Format.HTML:
            file.writelines(render_html(report))


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[str]]:
    """Where the report goes: known to be writable before the run begins, and replaced only by a whole report.

    A link is followed, and what is no regular file, such as ``/dev/stdout``, is written to as it is.
    """
    if output is None:
        yield sys.stdout
        return
    if output.is_dir():
        raise typer.BadParameter(f"--output: {output} is a folder, not a file")
    if output.exists() and not output.is_file():
        with output.open("w", encoding="utf-8") as file:
            yield file
        return
    target = output.resolve()
    draft = target.with_name(f".{target.name}.part")
    try:
        with draft.open("w", encoding="utf-8") as file:
            yield file
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _progress_bar() -> Progress:
    """On a terminal only, and on stderr, so that a pipe gets the report and nothing else."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("markets"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _parsed_time(text: str | None) -> datetime | None:
    try:
        return parse_utc(text) if text else None
    except ValueError as error:
        raise typer.BadParameter(f"--as-of: {error}") from None


def _check_run_id(run_id: str | None) -> None:
    if run_id is None:
        return
    if not is_run_id(run_id):
        raise typer.BadParameter("--run-id: letters, digits, '.', '_' and '-', 64 at most")
    if is_named_by_the_service(run_id):
        raise typer.BadParameter("--run-id: names that begin with 'daily-' or 'request-' are the service's runs")


def main() -> None:
    """Runs a command. A wrong usage exits with 1, not with click's 2: that says that something is not healthy."""
    spare_the_collector()
    # azure-identity warns of each way in which it could not sign in; our error says what to do.
    logging.getLogger("azure").setLevel(logging.ERROR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A report holds minus signs and arrows, which a pipe on Windows could not encode.
            stream.reconfigure(encoding="utf-8")
    try:
        status = app(standalone_mode=False)
    except _WRONG_USAGE as error:
        error.show()
        status = EXIT_RUN_FAILED
    except BrokenPipeError:
        discard_stdout()
        status = _PIPE_CLOSED
    except (TrueupError, OSError) as error:
        Console(stderr=True, highlight=False).print(f"trueup: {error}", style="red", markup=False)
        status = EXIT_RUN_FAILED
    except (typer.Abort, KeyboardInterrupt):
        status = _INTERRUPTED
    except Exception as error:  # noqa: BLE001 (the last door: a person gets a line and where it broke, and no values)
        lines = "".join(format_tb(error.__traceback__))
        print(f"{lines}trueup: broke with {type(error).__name__}; please report it with these lines", file=sys.stderr)  # noqa: T201
        status = EXIT_RUN_FAILED
    sys.exit(status)


if __name__ == "__main__":
    main()

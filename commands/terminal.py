"""``trueup …``: binds the commands, and errors to exit statuses. `cli` opens this door."""

import io
import logging
import sys
from traceback import format_tb
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from adapters.process import discard_stdout, spare_the_collector
from commands import (
    accept,
    adopt,
    drift_check,
    drift_heal,
    drift_history,
    drift_holds,
    drift_levers,
    pins,
    reconcile,
    record,
    repair,
)
from commands.help import HELP_OPTIONS, Command, CommandGroup
from records.errors import RecordError, StoreError, TrueupError
from records.runs import EXIT_RUN_FAILED
from records.store_faults import told
from records.version import VERSION

_INTERRUPTED: Final = 130
_PIPE_CLOSED: Final = 141
_WRONG_USAGE: Final[tuple[type[Any], ...]] = tuple(
    # Typer brings a click of its own, whose base class it does not export.
    kind
    for kind in typer.BadParameter.__mro__
    if kind.__name__ == "ClickException"
)


class _Commands(CommandGroup):
    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 (types of Typer's own click, which it does not export)
        """Ends as whoever reads has, as behind ``| head``: to Typer that is a failure of the command."""
        try:
            status = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            discard_stdout()
            raise typer.Exit(_PIPE_CLOSED) from None
        return status


app = typer.Typer(
    name="trueup",
    cls=_Commands,
    help="Keeps a Terraform estate on Azure honest.",
    context_settings=HELP_OPTIONS,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _trueup(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """Keeps a Terraform estate on Azure honest."""
    if version:
        typer.echo(f"trueup {VERSION}")
        raise typer.Exit


app.command(cls=Command, epilog=reconcile.EXAMPLE)(reconcile.reconcile)
app.command(cls=Command, epilog=record.EXAMPLE)(record.record)
app.command(cls=Command, epilog=repair.EXAMPLE)(repair.repair)
app.command(cls=Command, epilog=accept.EXAMPLE)(accept.accept)
app.command(cls=Command, epilog=adopt.EXAMPLE)(adopt.adopt)
app.command(cls=Command, epilog=pins.EXAMPLE)(pins.pins)

drift = typer.Typer(
    cls=CommandGroup,
    help="Portal drift: live resources that were changed outside Terraform.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
drift.command(cls=Command, epilog=drift_check.EXAMPLE)(drift_check.check)
drift.command(cls=Command, epilog=drift_heal.EXAMPLE)(drift_heal.heal)
drift.command(cls=Command, epilog=drift_holds.EXAMPLE)(drift_holds.holds)
drift.command(cls=Command, epilog=drift_history.EXAMPLE)(drift_history.history)
drift.command(cls=Command, epilog=drift_levers.APPROVE_EXAMPLE)(drift_levers.approve)
drift.command(cls=Command, epilog=drift_levers.REJECT_EXAMPLE)(drift_levers.reject)
drift.command(cls=Command, epilog=drift_levers.RETRY_EXAMPLE)(drift_levers.retry)
drift.command(cls=Command, epilog=drift_levers.PAUSE_EXAMPLE)(drift_levers.pause)
drift.command(cls=Command, epilog=drift_levers.RESUME_EXAMPLE)(drift_levers.resume)
app.add_typer(drift, name="drift")


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
    except (TrueupError, OSError) as error:
        text = told(error) if isinstance(error, RecordError | StoreError) else str(error)
        Console(stderr=True, highlight=False).print(f"trueup: {text}", style="red", markup=False, soft_wrap=True)
        status = EXIT_RUN_FAILED
    except (typer.Abort, KeyboardInterrupt):
        status = _INTERRUPTED
    except Exception as error:  # noqa: BLE001 (the last door: a person gets a line and where it broke, and no values)
        lines = "".join(format_tb(error.__traceback__))
        print(f"{lines}trueup: broke with {type(error).__name__}; please report it with these lines", file=sys.stderr)  # noqa: T201 (beside the report, for a person)
        status = EXIT_RUN_FAILED
    sys.exit(status)

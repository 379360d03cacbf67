"""Where a command's output goes: a file that is replaced whole or not at all, or stdout; progress to a terminal alone."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_WIDER_THAN_ANY_LINE: Final = 100_000


@contextmanager
def opened(output: Path | None) -> Iterator[IO[str]]:
    """Where the report goes: known to be writable before the run begins, and replaced only by a whole report.

    A link is followed, and what is no regular file, such as ``/dev/stdout``, is written to as it is. Where a file's report is
    is said on stderr once it is whole.

    Raises:
        typer.BadParameter: it cannot be written to.
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
        drafted = draft.open("w", encoding="utf-8")
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise typer.BadParameter(f"--output: {output} cannot be written: {why}") from None
    try:
        with drafted as file:
            yield file
        draft.replace(target)
        print(f"The report is in {output}", file=sys.stderr)  # noqa: T201 (beside the report, for a person)
    finally:
        draft.unlink(missing_ok=True)


def print_to(file: IO[str], renderable: RenderableType) -> None:
    """In colour and as wide as the terminal; in a pipe plain, a line however long as one, and without blanks at line ends."""
    if file.isatty():
        Console(file=file, highlight=False).print(renderable)
    else:
        file.writelines(_unwrapped(renderable))


def _unwrapped(renderable: RenderableType) -> Iterator[str]:
    """A line at a time: Rich pads most of them to the width, which as a whole would be much to hold."""
    line = ""
    for segment in Console(file=io.StringIO(), width=_WIDER_THAN_ANY_LINE, highlight=False).render(renderable):
        line += segment.text
        if line.endswith("\n"):
            yield f"{line.rstrip()}\n"
            line = ""


def progress_bar(unit: str = "markets") -> Progress:
    """On a terminal only, and on stderr, so that a pipe gets the report and nothing else."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )

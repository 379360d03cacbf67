"""``trueup accept``: a person takes an out-of-pipeline change for the truth."""

import asyncio
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from adapters.pipeline_environment import current_pipeline
from adapters.settings import Settings, load_settings
from assembly.estates import open_judged_estate
from commands.options import Answer, AnswerOption, EstateOption, ReasonOption, short_text
from commands.writing import author_of, book_of, tell, working
from recording.accept import Acceptance, accept_state, plan_acceptance
from recording.author import Author
from recording.render.acceptance import accepted_document, render_accepted
from records.record_log import RecordCommand
from records.results import StackResult
from records.runs import EXIT_ALL_HEALTHY, EXIT_NEEDS_A_PERSON

EXAMPLE: Final = "Example: trueup accept --market de --stack network --by alice@example.com --reason 'hotfix INC-4711'"


class _Done(NamedTuple):
    acceptance: Acceptance | None
    after: StackResult | None


def accept(
    market: Annotated[str, typer.Option(help="The stack's market.", metavar="MARKET")],
    stack: Annotated[str, typer.Option(help="The stack whose state is taken for the truth.", metavar="STACK")],
    by: Annotated[str, typer.Option(help="Who decides it.", metavar="WHO", callback=short_text)],
    reason: ReasonOption,
    estate: EstateOption = None,
    serial: Annotated[
        int | None,
        typer.Option(help="The serial that you have looked at: another one is refused.", min=0, metavar="N"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")] = False,
    format_: AnswerOption = Answer.TEXT,
) -> int:
    """Take a state that was written outside the pipeline for the truth: tracker and registry then say what it says.

    Who, when and why is kept in the tracker's history. The change must still come into the code: the next deploy
    undoes what the code does not know.

    Exit status: 0 healthy now, 2 not, 1 refused or failed.
    """
    settings = load_settings()
    author = author_of(RecordCommand.ACCEPT, by=by, pipeline=current_pipeline(), reason=reason)
    with working("accepting"):
        done = asyncio.run(_accept(market, stack, estate, settings, author, serial=serial, writes=not dry_run))
    tell(
        format_,
        text=render_accepted(done.acceptance, done.after, name=f"{market}/{stack}"),
        document=accepted_document(done.acceptance, done.after),
    )
    is_healthy = done.acceptance is None or (done.after is not None and not done.after.needs_a_person)
    return EXIT_ALL_HEALTHY if is_healthy else EXIT_NEEDS_A_PERSON


async def _accept(
    market: str,
    stack: str,
    folder: Path | None,
    settings: Settings,
    author: Author,
    *,
    serial: int | None,
    writes: bool,
) -> _Done:
    async with open_judged_estate(folder, settings) as opened:
        acceptance = await plan_acceptance(market, stack, judge=opened.judge, author=author, serial=serial)
        if acceptance is None or not writes:
            return _Done(acceptance, None)
        after = await accept_state(
            acceptance, records=opened.estate.records, judge=opened.judge, book=book_of(opened.estate, author)
        )
        return _Done(acceptance, after)

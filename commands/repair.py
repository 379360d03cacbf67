"""``trueup repair``: mends the record that the other two contradict."""

import asyncio
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from adapters.pipeline_environment import current_pipeline
from adapters.settings import Settings, load_settings
from assembly.estates import JudgedEstate, open_judged_estate
from commands.options import Answer, AnswerOption, ByOption, EstateOption, MarketsOption, YesOption
from commands.printing import progress_bar
from commands.writing import author_of, book_of, tell
from lanes.listing import choose_markets, known_markets
from lanes.side_by_side import all_side_by_side
from recording.author import Author
from recording.render.repairs import render_repairs, repairs_document
from recording.repair import MarketRepairs, Repaired, apply_repairs, check_all_known, plan_repairs
from records.record_log import RecordCommand
from records.runs import EXIT_ALL_HEALTHY, EXIT_NEEDS_A_PERSON

EXAMPLE: Final = "Example: trueup repair --market de --stack network --yes"


class _Done(NamedTuple):
    planned: list[MarketRepairs]
    repaired: dict[tuple[str, str], Repaired]


def repair(
    estate: EstateOption = None,
    market: MarketsOption = None,
    stack: Annotated[
        list[str] | None, typer.Option(help="Only this stack; repeat it for more.", metavar="STACK")
    ] = None,
    yes: YesOption = False,
    by: ByOption = None,
    format_: AnswerOption = Answer.TEXT,
) -> int:
    """Correct a tracker or a registry entry that the other two records contradict. A state is never touched.

    Shows the corrected record and why; writes it with --yes, unless it has changed meanwhile.

    Exit status: 0 all healthy or not deployed, 2 something is not or was not written, 1 failed.
    """
    settings = load_settings()
    author = author_of(RecordCommand.REPAIR, by=by, pipeline=current_pipeline())
    done = asyncio.run(_repair(estate, settings, author, market or [], stack or [], writes=yes))
    tell(
        format_,
        text=render_repairs(done.planned, done.repaired, written=yes),
        document=repairs_document(done.planned, done.repaired, written=yes),
    )
    is_well = all(
        not one.left_alone and not one.problems and len(one.corrections) == _mended(done, one) for one in done.planned
    )
    return EXIT_ALL_HEALTHY if is_well else EXIT_NEEDS_A_PERSON


async def _repair(
    folder: Path | None, settings: Settings, author: Author, wanted: list[str], stacks: list[str], *, writes: bool
) -> _Done:
    with progress_bar() as bar:
        task = bar.add_task("looking", total=None)
        async with open_judged_estate(folder, settings) as opened:
            records = opened.estate.records
            known = await known_markets(records)
            markets = choose_markets(known | set(await opened.estate.log.markets()), wanted)
            bar.update(task, total=len(markets))

            async def planned(market: str) -> MarketRepairs:
                found = await plan_repairs(
                    market, wanted=stacks, judge=opened.judge, records=records, log=opened.estate.log, author=author
                )
                bar.advance(task)
                return found

            plans = await all_side_by_side(markets, planned, width=settings.fan_out_width)
            check_all_known(plans, stacks)
            return _Done(plans, await _written(plans, opened, author) if writes else {})


async def _written(plans: list[MarketRepairs], opened: JudgedEstate, author: Author) -> dict[tuple[str, str], Repaired]:
    records, book = opened.estate.records, book_of(opened.estate, author)
    repaired = [
        one
        for plan in plans
        if plan.corrections
        for one in await apply_repairs(plan, records=records, judge=opened.judge, book=book)
    ]
    return {(one.correction.market, one.correction.stack): one for one in repaired}


def _mended(done: _Done, market: MarketRepairs) -> int:
    found = [done.repaired.get((one.market, one.stack)) for one in market.corrections]
    return sum(one is not None and one.is_mended for one in found)

"""``trueup adopt``: the way into the records for an estate that never had any."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from adapters.blob_lists import listed_blobs, mapping_rows
from adapters.pipeline_environment import current_pipeline
from adapters.settings import Settings, load_settings
from assembly.estates import open_judged_estate
from commands.options import Answer, AnswerOption, ByOption, EstateOption, YesOption
from commands.printing import progress_bar
from commands.writing import author_of, book_of, tell
from recording.adopt import Adopted, adopt_states, not_written, plan_adoptions
from recording.author import Author
from recording.placing import (
    Placing,
    Row,
    StateSource,
    compiled_pattern,
    is_subscription_id,
    place_states,
    state_source,
)
from recording.registered_states import checked_by_registry
from recording.render.adoptions import adoptions_document, render_adoptions, render_unplaced
from records.names import is_market_key
from records.ports import RecordReader
from records.record_log import RecordCommand
from records.runs import EXIT_ALL_HEALTHY, EXIT_NEEDS_A_PERSON, EXIT_RUN_FAILED

EXAMPLE: Final = (
    r"Example: trueup adopt --pattern '(?P<market>.+)/(?P<stack>[^/]+)\.tfstate' --subscription de=SUBSCRIPTION-ID"
)


class _Wanted(NamedTuple):
    mapping: re.Pattern[str] | Sequence[Row]
    exclude: Sequence[str]
    blobs: Sequence[str] | None
    source: StateSource
    subscriptions: Mapping[str, str]


class _Done(NamedTuple):
    placing: Placing
    outcomes: Sequence[Adopted]


def adopt(
    estate: EstateOption = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            help="A regular expression over a state's whole name, with the groups (?P<market>…) and (?P<stack>…).",
            metavar="REGEX",
        ),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(help="Instead: a CSV file with the columns key,market,stack[,subscription_id].", metavar="FILE"),
    ] = None,
    states: Annotated[
        Path | None,
        typer.Option(
            help="The states' blob names, one a line; - is stdin. Default: all in the container.", metavar="FILE"
        ),
    ] = None,
    container: Annotated[
        str | None, typer.Option(help="The states' container. Default: STATES_CONTAINER.", metavar="NAME")
    ] = None,
    account_url: Annotated[
        str | None, typer.Option(help="The states' account, where it is not the estate's own.", metavar="URL")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Leave out the states that match; repeat it for more.", metavar="GLOB")
    ] = None,
    subscription: Annotated[
        list[str] | None,
        typer.Option(help="The subscription of a market that is new; repeat it for more.", metavar="MARKET=ID"),
    ] = None,
    yes: YesOption = False,
    by: ByOption = None,
    format_: AnswerOption = Answer.TEXT,
) -> int:
    """Write trackers and registry entries for states that have none, as they are; tier 2 and 3 stacks come to tier 1.

    Shows what it would write; writes with --yes. All states need a place, or nothing is written. Where the records
    there are disagree with a state, the stack is left alone.

    Exit status: 0 all have their records, 2 some do not yet, 1 a state has no place, or a write failed.
    """
    settings = load_settings()
    if (pattern is None) == (mapping is None):
        raise typer.BadParameter("pass --pattern or --mapping, one of them")
    if account_url and states is None:
        raise typer.BadParameter("--account-url needs --states: only the estate's own containers are listed")
    author = author_of(RecordCommand.ADOPT, by=by, pipeline=current_pipeline())
    wanted = _Wanted(
        mapping=mapping_rows(mapping) if mapping else compiled_pattern(pattern or ""),
        exclude=exclude or (),
        blobs=listed_blobs(states) if states else None,
        source=state_source(
            container=None if container == settings.states_container else container, account_url=account_url
        ),
        subscriptions=_subscriptions(subscription or ()),
    )
    placing, outcomes = asyncio.run(_adopt(estate, settings, author, wanted, writes=yes))
    unplaced = placing.unplaced
    tell(
        format_,
        text=render_unplaced(unplaced, placed_count=len(placing.places))
        if unplaced
        else render_adoptions(outcomes, written=yes),
        document=adoptions_document(outcomes, unplaced, written=yes and not unplaced),
    )
    if unplaced or any(one.has_failed for one in outcomes):
        return EXIT_RUN_FAILED
    return EXIT_ALL_HEALTHY if all(one.has_its_records for one in outcomes) else EXIT_NEEDS_A_PERSON


async def _adopt(folder: Path | None, settings: Settings, author: Author, wanted: _Wanted, *, writes: bool) -> _Done:
    width = settings.fan_out_width
    async with open_judged_estate(folder, settings, may_be_new=True) as opened:
        records, judge = opened.estate.records, opened.judge
        with progress_bar() as bar:
            looking = bar.add_task("looking", total=None)
            placing = place_states(await _blobs(records, wanted), wanted.mapping, exclude=wanted.exclude)
            if not placing.unplaced:
                placing = await checked_by_registry(placing, source=wanted.source, records=records, width=width)
            if placing.unplaced:
                return _Done(placing, ())
            bar.update(looking, total=len({place.market for place in placing.places}))
            adoptions = await plan_adoptions(
                placing.places,
                source=wanted.source,
                subscriptions=wanted.subscriptions,
                records=records,
                judge=judge,
                author=author,
                width=width,
                on_market=lambda: bar.advance(looking),
            )
        if not writes:
            return _Done(placing, not_written(adoptions))
        with progress_bar() as bar:
            writing = bar.add_task("writing", total=len({one.place.market for one in adoptions}))
            outcomes = await adopt_states(
                adoptions,
                records=records,
                judge=judge,
                book=book_of(opened.estate, author),
                width=width,
                on_market=lambda: bar.advance(writing),
            )
        return _Done(placing, outcomes)


async def _blobs(records: RecordReader, wanted: _Wanted) -> Sequence[str]:
    if wanted.blobs is not None:
        return wanted.blobs
    return [blob async for blob in records.state_blobs(container=wanted.source.container)]


def _subscriptions(pairs: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        market, _, subscription_id = pair.partition("=")
        if not is_market_key(market) or not is_subscription_id(subscription_id):
            raise typer.BadParameter(f"--subscription {pair}: it should be MARKET=ID")
        if found.setdefault(market, subscription_id) != subscription_id:
            raise typer.BadParameter(f"--subscription: {market} has two")
    return found

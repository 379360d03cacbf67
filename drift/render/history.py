"""The history of healing: every step of every job, and every use of a lever, in one timeline."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Final

from pydantic import BaseModel, ConfigDict, JsonValue
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from drift.render.steps import STYLES, step_word
from drift.render.wording import job_name
from records.heal_ledger import HealRow, HealStep, Lever, LeverUse
from records.plan_checks import HoldReason, stack_path
from records.spelling import counted, visible
from records.timestamps import UtcTime

SCHEMA_VERSION: Final = 1
MOST_MOMENTS: Final = 500
"""On a terminal, the newest; the JSON has them all."""

_ALL_MARKETS: Final = "all markets"
_NOTE_INDENT: Final = (0, 0, 0, 12)


class Moment(BaseModel):
    """A step of a job, or a lever that somebody pulled. ``market`` and ``stack`` are None for a pause of all of them.

    ``reason`` is why a job is held, at the step that holds it now; ``note`` what was said.
    """

    model_config = ConfigDict(frozen=True)

    at: UtcTime
    market: str | None
    stack: str | None
    job_id: str | None
    step: HealStep | None = None
    lever: Lever | None = None
    reason: HoldReason | None = None
    by: str | None
    note: str | None


def timeline(
    rows: Iterable[HealRow],
    uses: Iterable[LeverUse],
    *,
    markets: Collection[str] = (),
    stacks: Collection[str] = (),
) -> list[Moment]:
    """All that happened to these stacks, newest first; pauses that they were under are of it. Names of none are all.

    Where two things bear the same time, a lever comes before the step that follows from it.
    """
    jobs = {row.job.job_id: row for row in rows}
    moments = [
        *(_of_use(use, jobs) for use in sorted(uses, key=lambda use: (use.at, use.lever, use.market or ""))),
        *(moment for row in sorted(jobs.values(), key=_place) for moment in _of_row(row)),
    ]
    wanted = [moment for moment in moments if _is_of(moment, markets, stacks)]
    return sorted(wanted, key=lambda moment: moment.at)[::-1]


def render_history(moments: Sequence[Moment]) -> RenderableType:
    """A Rich renderable: a line a moment under its day, what was said below it."""
    if not moments:
        return Text("Nothing has happened yet", style="bold")
    return Group(*_parts(moments))


def history_document(moments: Sequence[Moment]) -> JsonValue:
    """The contract of ``--format json``."""
    return {"schema_version": SCHEMA_VERSION, "moments": [moment.model_dump(mode="json") for moment in moments]}


def _parts(moments: Sequence[Moment]) -> Iterator[RenderableType]:
    shown = moments[:MOST_MOMENTS]
    widths = tuple(max(map(cell_len, column)) for column in zip(*map(_cells, shown), strict=True))
    for day, of_the_day in groupby(shown, key=lambda moment: moment.at.date()):
        yield Text(f"{day.isoformat()} (UTC)", style="underline")
        for moment in of_the_day:
            yield _line(moment, widths)
            if moment.note:
                yield Padding(Text(visible(moment.note), style="dim", overflow="fold"), _NOTE_INDENT)
        yield Text()
    if (left_out := len(moments) - len(shown)) > 0:
        yield Text(f"# {counted(left_out, 'older moment')}, which --format json lists", style="dim")
    jobs = {moment.job_id for moment in moments if moment.job_id}
    pulled = sum(moment.lever is not None for moment in moments)
    told = f"{counted(len(jobs), 'job')}, {counted(len(moments) - pulled, 'step')}"
    yield Text(f"{told}, {counted(pulled, 'use')} of a lever", style="bold")


def _line(moment: Moment, widths: tuple[int, ...]) -> Text:
    where, job, what = (
        cell + " " * (width - cell_len(cell)) for cell, width in zip(_cells(moment), widths, strict=True)
    )
    style = "cyan" if moment.lever else STYLES.get(moment.step, "") if moment.step else ""
    by = f"  by {visible(moment.by)}" if moment.by else ""
    text = Text.assemble(f"  {_clock(moment.at)}  ", (where, "bold"), f"  {job}  ", (what, style), by, overflow="fold")
    text.rstrip()
    return text


def _cells(moment: Moment) -> tuple[str, str, str]:
    where = stack_path(moment.market, moment.stack) if moment.market and moment.stack else moment.market
    what = step_word(moment.step, moment.reason) if moment.step else str(moment.lever).upper()
    return visible(where or _ALL_MARKETS), job_name(moment.job_id or ""), what


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}"


def _of_row(row: HealRow) -> Iterator[Moment]:
    for event in row.events:
        is_last = event is row.events[-1]
        yield Moment(
            at=event.at,
            market=row.job.market,
            stack=row.job.stack,
            job_id=row.job.job_id,
            step=event.step,
            reason=row.reason if is_last else None,
            by=event.by,
            note=event.note,
        )


def _of_use(use: LeverUse, jobs: Mapping[str, HealRow]) -> Moment:
    row = jobs.get(use.job_id or "")
    return Moment(
        at=use.at,
        market=use.market,
        stack=row.job.stack if row else None,
        job_id=use.job_id,
        lever=use.lever,
        by=use.by,
        note=use.reason,
    )


def _is_of(moment: Moment, markets: Collection[str], stacks: Collection[str]) -> bool:
    """A pause is of every stack that it was for."""
    in_market = not markets or moment.market is None or moment.market in markets
    is_pause = moment.lever is not None and moment.job_id is None
    return in_market and (not stacks or is_pause or moment.stack in stacks)


def _place(row: HealRow) -> tuple[str, str, str]:
    return row.job.market, row.job.stack, row.job.job_id

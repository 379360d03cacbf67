"""``trueup drift history``: every step of every heal, and every use of a lever."""

import asyncio
from pathlib import Path
from typing import Annotated, Final

import typer

from adapters.settings import Settings, load_settings
from assembly.drift_estates import open_drift_estate
from commands.options import EstateOption, Listing, ListingOption, MarketsOption
from commands.writing import tell, working
from drift.render.history import Moment, history_document, render_history, timeline
from lanes.listing import choose_markets

EXAMPLE: Final = "Example: trueup drift history --market de --stack network"


def history(
    estate: EstateOption = None,
    market: MarketsOption = None,
    stack: Annotated[
        list[str] | None, typer.Option("--stack", help="Only this stack; repeat it for more.", metavar="STACK")
    ] = None,
    format_: ListingOption = Listing.TABLE,
) -> int:
    """Tell what became of every heal, step by step, and what people did about it; newest first. Times are UTC.

    Exit status: 0, or 1 it failed.
    """
    with working("looking"):
        moments = asyncio.run(_history(estate, load_settings(), market or [], stack or []))
    tell(format_, text=render_history(moments), document=history_document(moments))
    return 0


async def _history(folder: Path | None, settings: Settings, markets: list[str], stacks: list[str]) -> list[Moment]:
    async with open_drift_estate(folder, settings) as opened:
        ledger = opened.stores.ledger
        rows = [row async for row in ledger.rows()]
        uses = [use async for use in ledger.uses()]
        if markets:
            known = await opened.known_markets() | {row.job.market for row in rows}
            choose_markets(known | {use.market for use in uses if use.market}, markets)
    return timeline(rows, uses, markets=markets, stacks=stacks)

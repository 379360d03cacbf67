"""``trueup drift holds``: what waits for a person, and why."""

import asyncio
from pathlib import Path
from typing import Final

from adapters.settings import Settings, load_settings
from assembly.drift_estates import open_drift_estate
from commands.options import EstateOption, Listing, ListingOption, MarketsOption
from commands.writing import tell, working
from drift.healing.waiting import holds as find_holds
from drift.render.holds import Holds, holds_document, render_holds
from lanes.listing import choose_markets
from records.drift_ports import CheckStore
from records.runs import EXIT_ALL_HEALTHY, EXIT_NEEDS_A_PERSON

EXAMPLE: Final = "Example: trueup drift holds --market de"


def holds(estate: EstateOption = None, market: MarketsOption = None, format_: ListingOption = Listing.TABLE) -> int:
    """List the heals that are withheld: which stack, why, since when, what to do, and whether it can be approved.

    As the last check of each stack found it, or a worker since. Nothing is planned.

    Exit status: 0 there is none, 2 there are some, 1 it failed.
    """
    with working("looking"):
        found = asyncio.run(_holds(estate, load_settings(), market or []))
    tell(format_, text=render_holds(found), document=holds_document(found))
    return EXIT_NEEDS_A_PERSON if found.holds else EXIT_ALL_HEALTHY


async def _holds(folder: Path | None, settings: Settings, wanted: list[str]) -> Holds:
    async with open_drift_estate(folder, settings) as opened:
        stores = opened.stores
        found = await find_holds(stores.ledger, stores.checks)
        pauses = await stores.ledger.pauses()
        if wanted:
            markets = choose_markets(await opened.known_markets() | {hold.market for hold in found}, wanted)
            found = [hold for hold in found if hold.market in markets]
            pauses = [pause for pause in pauses if pause.market in {None, *markets}]
        was_checked = bool(found) or await _was_checked(stores.checks, wanted)
        return Holds(holds=tuple(found), pauses=tuple(pauses), was_checked=was_checked)


async def _was_checked(checks: CheckStore, wanted: list[str]) -> bool:
    async for sketch in checks.sketches():
        if not wanted or sketch.market in wanted:
            return True
    return False

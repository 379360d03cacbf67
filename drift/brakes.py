"""Reads what the ledger knows that withholds a heal: pauses, and earlier heals of the same drift. Unread is not none."""

from datetime import datetime

from drift.situation import Unread
from records.drift_ports import HealLedger
from records.errors import StoreError
from records.heal_ledger import LeverUse


async def read_pauses(ledger: HealLedger) -> tuple[LeverUse, ...] | Unread:
    """Those in force, of any market."""
    try:
        return tuple(await ledger.pauses())
    except StoreError as error:
        return Unread(f"The pauses cannot be read: {error}.")


async def read_heals(
    ledger: HealLedger, *, market: str, stack: str, fingerprint: str | None
) -> tuple[datetime, ...] | Unread:
    """When this drift was healed, or was tried to be, on whatever serial; none where there is no drift."""
    if fingerprint is None:
        return ()
    try:
        rows = [row async for row in ledger.of_stack(market=market, stack=stack)]
    except StoreError as error:
        return Unread(f"The earlier heals cannot be read: {error}.")
    return tuple(moment for row in rows if row.job.fingerprint == fingerprint for moment in row.applied_at)

"""What withholds a heal beside the stack itself, and what the ledger knows of it: pauses, and earlier heals of the same drift.

What could not be read is not none.
"""

from dataclasses import dataclass
from datetime import datetime

from drift.policy import InvalidPolicy, Policy
from drift.situation import FleetSpread, Unread
from records.drift_ports import HealLedger
from records.errors import StoreError
from records.heal_ledger import Approval, LeverUse


@dataclass(frozen=True, slots=True, kw_only=True)
class Brakes:
    """As a `drift.situation.Situation` has them, which says what each is."""

    policy: Policy | InvalidPolicy | Unread
    pauses: tuple[LeverUse, ...] | Unread
    heals: tuple[datetime, ...] | Unread
    fleet: FleetSpread | Unread
    approvals: tuple[Approval, ...] | Unread = ()


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

"""What withholds a heal beside the stack itself, and the pauses that the ledger knows of.

What could not be read is not none.
"""

from dataclasses import dataclass
from datetime import datetime

from drift.policy import InvalidPolicy, Policy
from drift.situation import FleetSpread, Refusal, Unread
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
    refusals: tuple[Refusal, ...] | Unread = ()
    approvals: tuple[Approval, ...] | Unread = ()


async def read_pauses(ledger: HealLedger) -> tuple[LeverUse, ...] | Unread:
    """Those in force, of any market."""
    try:
        return tuple(await ledger.pauses())
    except StoreError as error:
        return Unread(f"The pauses cannot be read: {error}.")

"""Tells an event of the fleet from a click: in how many markets the same drift is, the markets' own names aside."""

from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from drift.situation import FleetSpread, Unread
from records.drift_ports import CheckStore
from records.errors import StoreError
from records.plan_checks import CheckSketch, HoldReason
from records.verdicts import Verdict

OTHERS_COUNT_FOR: Final = timedelta(hours=24)
"""How long ago a stack may have been checked that is not looked at now, and still count."""


@dataclass(slots=True)
class Fleet:
    """Adds up the markets that were checked. Only those with a plan count: of the others nothing is known.

    ``unknown`` says why the spread cannot be told, where a part of the fleet could not be looked at.
    """

    unknown: Unread | None = None
    _checked: set[str] = field(default_factory=set)
    _markets_by_fingerprint: dict[str, set[str]] = field(default_factory=dict)

    def add(self, market: str, fleet_fingerprints: Iterable[str]) -> None:
        """A stack that was planned, with what was found in it."""
        self._checked.add(market)
        for one in fleet_fingerprints:
            self._markets_by_fingerprint.setdefault(one, set()).add(market)

    def spread(self, fleet_fingerprints: Iterable[str]) -> FleetSpread | Unread:
        """How far the most widespread of these findings goes."""
        if self.unknown:
            return self.unknown
        counts = (len(self._markets_by_fingerprint.get(one, ())) for one in fleet_fingerprints)
        return FleetSpread(markets_with_it=max(counts, default=0), markets_checked=len(self._checked))

    async def add_others(self, checks: CheckStore, *, apart_from: Set[str], now: datetime) -> None:
        """What was found lately in other stacks: who looks at one market alone must not pass the brake by."""
        try:
            async for other in checks.sketches():
                is_late = other.checked_at < now - OTHERS_COUNT_FOR
                if other.name not in apart_from and not is_late and _was_planned(other):
                    self.add(other.market, other.fleet_fingerprints)
        except StoreError as error:
            self.unknown = Unread(f"The checks of the other markets cannot be read: {error}.")


def _was_planned(other: CheckSketch) -> bool:
    """Whether it says anything of drift. Held for a policy that could not be read, a stack has been planned all the same."""
    if other.verdict is Verdict.NOT_DEPLOYED:
        return False
    return other.reason is not HoldReason.INCONCLUSIVE or bool(other.fleet_fingerprints)

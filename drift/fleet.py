"""Tells an event of the fleet from a click: in how many markets the same drift is, the markets' own names aside."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from drift.situation import FleetSpread, Unread


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

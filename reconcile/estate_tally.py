"""Adds the markets of a run up to its summary, with what only all of them together show."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from reconcile.estate import shared_states, unregistered_states
from reconcile.module_pins import PinTally
from records.errors import StoreError
from records.faults import Fault, FaultCode, RecordKind
from records.module_pins import PinSummary
from records.names import registry_blob
from records.ports import RecordReader
from records.report import WHOLE_ESTATE, MarketOutcome, Problem, RunSummary, Tally
from records.results import Run
from records.store_faults import store_fault


@dataclass(slots=True)
class EstateTally:
    """Takes outcomes in any order and keeps none of their results."""

    tally: Tally = field(default_factory=Tally)
    unregistered: tuple[str, ...] = ()
    pins: PinSummary | None = None
    late: dict[str, list[Problem]] = field(default_factory=dict)
    """The problems of a market that its own outcome does not have, since only all markets together show them."""
    _pins: PinTally = field(default_factory=PinTally)
    _named: set[str] = field(default_factory=set)
    _unread: set[str] = field(default_factory=set)

    def add(self, outcome: MarketOutcome) -> None:
        self.tally.add(outcome)
        self._pins.add(outcome.modules)
        self._add_late(shared_states(outcome, self._named))
        self._named.update(outcome.states)
        if not outcome.names_all_its_states:
            self._unread.add(f"{outcome.market}/")

    def add_problems(self, problems: Iterable[Problem]) -> None:
        self.tally.problems += problems

    def add_unchecked(self, markets: Iterable[str]) -> None:
        """Markets that nothing has come of: each is a problem, so that none falls silent."""
        for market in sorted(markets):
            self._unread.add(f"{market}/")
            self._add_late([Problem.of(market, _not_checked(market))])

    def _add_late(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self.add_problems([problem])
            self.late.setdefault(problem.market, []).append(problem)

    async def find_unregistered_states(self, records: RecordReader) -> None:
        """Once all markets of the estate are added: else nearly all states would seem to be such."""
        try:
            found = await unregistered_states(records, self._named, unread=tuple(self._unread))
        except StoreError as error:
            self.add_problems([of_the_estate(error, RecordKind.STATE)])
        else:
            self.unregistered = tuple(found)

    def add_up_pins(self) -> PinSummary:
        """Once all markets of the estate are added: the versions of a part of it would be no spread."""
        self.pins = self._pins.summary()
        return self.pins

    def summary(self, *, run: Run, finished_at: datetime) -> RunSummary:
        return self.tally.summary(
            run=run, finished_at=finished_at, unregistered_states=self.unregistered, pins=self.pins
        )


def _not_checked(market: str) -> Fault:
    return Fault(
        code=FaultCode.NOT_CHECKED,
        record=RecordKind.REGISTRY,
        blob=registry_blob(market),
        message="the run ended without an outcome for it: each try failed, was cut off, or was not come to",
        remedy="Look at the app's log for the market's name, then run again.",
    )


def of_the_estate(error: StoreError, kind: RecordKind) -> Problem:
    return Problem.of(WHOLE_ESTATE, store_fault(error, kind=kind, blob=error.place))

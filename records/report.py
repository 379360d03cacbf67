"""The report of a run: a summary of bounded size, and the results, which are passed on and never all held."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from records.faults import Fault, FaultCode, RecordKind
from records.module_pins import PinSummary
from records.modules import DeployedModule
from records.names import is_market_key
from records.results import Run, StackResult
from records.runs import RunRow, RunStatus, Scope, Trigger, exit_status
from records.timestamps import UtcTime
from records.verdicts import Verdict

WHOLE_ESTATE: Final = "*"
"""Stands where a market's key would in a problem that is no single market's; no key can be so."""


class Problem(Fault):
    """A fault that cost a market its verdicts, or a name that no stack can have; ``market`` is as it is spelt there."""

    market: str

    @classmethod
    def of(cls, market: str, fault: Fault) -> "Problem":
        return cls(market=market, **fault.model_dump())

    @property
    def costs_verdicts(self) -> bool:
        """Whether its market has no verdicts for it.

        Not where only a stack's name is wrong, two stacks share a state, or only trueup's own results could not be kept.
        """
        if self.market == WHOLE_ESTATE or self.record is RecordKind.RESULTS or self.code is FaultCode.SHARED_STATE:
            return False
        return self.code is not FaultCode.INVALID_NAME or not is_market_key(self.market)


class MarketOutcome(BaseModel):
    """What came of one market: its results, sorted by stack, and what could not be read of it."""

    model_config = ConfigDict(frozen=True)

    market: str
    results: tuple[StackResult, ...] = ()
    problems: tuple[Problem, ...] = ()
    states: tuple[str, ...] = ()
    """Blob names in the shared state container that this market's registry record names."""
    names_all_its_states: bool = False
    """Whether ``states`` is all of them: not where the record, or the place of a state in it, could not be read."""
    modules: tuple[DeployedModule, ...] = ()
    """The module calls that its trackers tell of, those of a stack together."""


class RunSummary(BaseModel):
    """All of a report but its results. ``markets`` is the number of markets looked at; ``counts`` holds what occurred.

    ``pins`` is None for a run over a part of the estate, whose versions would be no spread.
    """

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = 1
    run_id: str
    started_at: UtcTime
    finished_at: UtcTime
    markets: int
    counts: dict[Verdict, int]
    problems: tuple[Problem, ...] = ()
    unregistered_states: tuple[str, ...] = ()
    pins: PinSummary | None = None

    @property
    def exit_status(self) -> int:
        """0 where every stack is healthy or not deployed and every market was read, else 2."""
        return exit_status(self.counts, problem_count=len(self.problems))

    @property
    def unread_markets(self) -> tuple[str, ...]:
        """The markets that a problem cost their verdicts, as they are spelt there, sorted."""
        return tuple(sorted({problem.market for problem in self.problems if problem.costs_verdicts}))

    @property
    def unchecked_market_count(self) -> int:
        """How many of the unread markets were not even looked at, and so are not among ``markets``."""
        return sum(problem.code is FaultCode.NOT_CHECKED for problem in self.problems)

    def row(self, *, trigger: Trigger, scope: Scope, expected_markets: int) -> RunRow:
        return RunRow(
            run_id=self.run_id,
            started_at=self.started_at,
            finished_at=self.finished_at,
            status=RunStatus.FINISHED,
            trigger=trigger,
            scope=scope,
            expected_markets=expected_markets,
            markets=self.markets,
            unread_markets=len(self.unread_markets),
            counts=self.counts,
            problem_count=len(self.problems),
            unregistered_state_count=len(self.unregistered_states),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What the renderers take. ``results`` can be gone through more than once, sorted by market and stack.

    ``runbook_url`` is where its readers find the runbook that remedies name; None where nobody has said.
    """

    summary: RunSummary
    results: Iterable[StackResult]
    runbook_url: str | None = None


@dataclass(slots=True)
class Tally:
    """Adds outcomes up to a summary, so that no result need be kept for it."""

    markets: int = 0
    counts: Counter[Verdict] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)

    def add(self, outcome: MarketOutcome) -> None:
        self.markets += 1
        self.counts.update(result.verdict for result in outcome.results)
        self.problems.extend(outcome.problems)

    def summary(
        self,
        *,
        run: Run,
        finished_at: datetime,
        unregistered_states: Iterable[str],
        pins: PinSummary | None = None,
    ) -> RunSummary:
        return RunSummary(
            run_id=run.run_id,
            started_at=run.started_at,
            finished_at=finished_at,
            markets=self.markets,
            counts=dict(sorted(self.counts.items())),
            problems=tuple(sorted(self.problems, key=lambda p: (p.market, p.record, p.blob, p.field or ""))),
            unregistered_states=tuple(sorted(unregistered_states)),
            pins=pins,
        )

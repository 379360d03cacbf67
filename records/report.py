"""The report of a run: a summary of bounded size, and the results, which are passed on and never all held."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from records.faults import Fault
from records.results import Run, StackResult
from records.timestamps import UtcTime
from records.verdicts import NEEDS_NOBODY, Verdict

EXIT_ALL_HEALTHY: Final = 0
EXIT_RUN_FAILED: Final = 1
EXIT_NEEDS_A_PERSON: Final = 2
"""The exit statuses of ``terraform plan -detailed-exitcode``."""

WHOLE_ESTATE: Final = "*"
"""Stands where a market's key would in a problem that is no single market's; no key can be so."""


class Problem(Fault):
    """A fault that cost a market its verdicts, or a name that no stack can have; ``market`` is as it is spelt there."""

    market: str

    @classmethod
    def of(cls, market: str, fault: Fault) -> "Problem":
        return cls(market=market, **fault.model_dump())


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


class RunSummary(BaseModel):
    """All of a report but its results. ``markets`` is the number of markets looked at; ``counts`` holds what occurred."""

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = 1
    run_id: str
    started_at: UtcTime
    finished_at: UtcTime
    markets: int
    counts: dict[Verdict, int]
    problems: tuple[Problem, ...] = ()
    unregistered_states: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        """0 where every stack is healthy or not deployed and every market was read, else 2."""
        all_well = not self.problems and NEEDS_NOBODY.issuperset(self.counts)
        return EXIT_ALL_HEALTHY if all_well else EXIT_NEEDS_A_PERSON

    def row(self) -> "RunRow":
        return RunRow(
            run_id=self.run_id,
            started_at=self.started_at,
            finished_at=self.finished_at,
            markets=self.markets,
            counts=self.counts,
            problem_count=len(self.problems),
            unregistered_state_count=len(self.unregistered_states),
        )


class RunRow(BaseModel):
    """A run as the table keeps it: of bounded size, however many markets could not be read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run_id: str
    started_at: UtcTime
    finished_at: UtcTime
    markets: int
    counts: dict[Verdict, int]
    problem_count: int
    unregistered_state_count: int


@dataclass(frozen=True, slots=True)
class Report:
    """What the renderers take. ``results`` can be gone through more than once, sorted by market and stack."""

    summary: RunSummary
    results: Iterable[StackResult]


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

    def summary(self, *, run: Run, finished_at: datetime, unregistered_states: Iterable[str]) -> RunSummary:
        return RunSummary(
            run_id=run.run_id,
            started_at=run.started_at,
            finished_at=finished_at,
            markets=self.markets,
            counts=dict(sorted(self.counts.items())),
            problems=tuple(sorted(self.problems, key=lambda p: (p.market, p.record, p.blob, p.field or ""))),
            unregistered_states=tuple(sorted(unregistered_states)),
        )

"""A run as a record: what was asked for, by whom, and the row that tells how far it came and what it found."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from records.names import MarketKey, StackName
from records.timestamps import UtcTime
from records.verdicts import NEEDS_NOBODY, Verdict

EXIT_ALL_HEALTHY: Final = 0
EXIT_RUN_FAILED: Final = 1
EXIT_NEEDS_A_PERSON: Final = 2
"""The exit statuses of ``terraform plan -detailed-exitcode``."""

MOST_MARKETS_ASKED_FOR: Final = 500
MOST_STACKS_ASKED_FOR: Final = 20
"""Stacks are named again to each market's activity, so they are fewer."""


class Trigger(StrEnum):
    """What started a run."""

    TIMER = "timer"
    HTTP = "http"
    TERMINAL = "terminal"


class RunStatus(StrEnum):
    """How far a run has come. ``failed``: it ended without a verdict on the estate, whatever its rows say."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


class Scope(BaseModel):
    """The markets and stacks to look at; an empty tuple is all there are. Sorted, so that equal scopes are equal values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    markets: Annotated[tuple[MarketKey, ...], Field(max_length=MOST_MARKETS_ASKED_FOR)] = ()
    stacks: Annotated[tuple[StackName, ...], Field(max_length=MOST_STACKS_ASKED_FOR)] = ()

    @property
    def is_whole_estate(self) -> bool:
        return not self.markets and not self.stacks

    def normalised(self) -> "Scope":
        return Scope(markets=tuple(sorted(set(self.markets))), stacks=tuple(sorted(set(self.stacks))))


WHOLE_SCOPE: Final = Scope()


class AnyRunRow(BaseModel):
    """What a run's row tells whichever mechanism's it is.

    ``finished_at`` is None while it runs; ``reason`` says why it failed.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    run_id: str
    started_at: UtcTime
    finished_at: UtcTime | None = None
    status: RunStatus = RunStatus.FINISHED
    trigger: Trigger = Trigger.TERMINAL
    scope: Scope = WHOLE_SCOPE
    reason: str | None = None

    @property
    def duration_seconds(self) -> float | None:
        return None if self.finished_at is None else (self.finished_at - self.started_at).total_seconds()


class RunRow(AnyRunRow):
    """A reconciliation as the table keeps it: of bounded size, however many markets could not be read.

    ``markets`` is how many were looked at, of ``expected_markets``; ``unread_markets`` of these have no verdicts. Both are
    None in rows of before they were counted. ``reports`` are the blobs that its report is in.
    """

    expected_markets: int | None = None
    markets: int = 0
    unread_markets: int | None = None
    counts: dict[Verdict, int] = {}
    problem_count: int = 0
    unregistered_state_count: int = 0
    reports: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int | None:
        """0 all healthy or not deployed, 2 something is not, 1 the run failed; None while it runs."""
        match self.status:
            case RunStatus.RUNNING:
                return None
            case RunStatus.FAILED:
                return EXIT_RUN_FAILED
            case RunStatus.FINISHED:
                return exit_status(self.counts, problem_count=self.problem_count)


def exit_status(counts: dict[Verdict, int], *, problem_count: int) -> int:
    """0 where every stack is healthy or not deployed and every market was read, else 2."""
    all_well = not problem_count and NEEDS_NOBODY.issuperset(counts)
    return EXIT_ALL_HEALTHY if all_well else EXIT_NEEDS_A_PERSON

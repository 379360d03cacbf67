"""The JSON that HTTP answers with, as models."""

from typing import Literal

from answering.answers import View
from reconcile.service.starting import Started, StartedBy
from records.report import Problem
from records.results import StackResult, StoredResult
from records.runs import RunRow, RunStatus, Scope, Trigger
from records.timestamps import UtcTime
from records.verdicts import Verdict

_REMEDY_OF_A_FAILED_RUN = "Look at the app's log for the run's id; then ask for a run with POST /api/reconcile."


class StartedView(View):
    """A run that runs now. ``started_by`` tells whether this request started it or an earlier one did."""

    run_id: str
    started_at: UtcTime
    started_by: StartedBy
    status_url: str

    @classmethod
    def of(cls, started: Started, *, status_url: str) -> "StartedView":
        run = started.run
        return cls(run_id=run.run_id, started_at=run.started_at, started_by=started.by, status_url=status_url)


class MarketCounts(View):
    """How many markets a run has to look at, has looked at, and could not read; None where that is not known yet."""

    expected: int | None
    checked: int
    unread: int | None


class RunView(View):
    """How far a run is, and what it came to. ``reports`` are blobs of the reports container, by format."""

    run_id: str
    status: RunStatus
    trigger: Trigger
    scope: Scope
    started_at: UtcTime
    finished_at: UtcTime | None
    exit_status: int | None
    markets: MarketCounts
    counts: dict[Verdict, int]
    problem_count: int
    unregistered_state_count: int
    reports: dict[str, str]
    reason: str | None
    remedy: str | None

    @classmethod
    def of(cls, row: RunRow, *, checked: int) -> "RunView":
        return cls(
            run_id=row.run_id,
            status=row.status,
            trigger=row.trigger,
            scope=row.scope,
            started_at=row.started_at,
            finished_at=row.finished_at,
            exit_status=row.exit_status,
            markets=MarketCounts(expected=row.expected_markets, checked=checked, unread=row.unread_markets),
            counts=row.counts,
            problem_count=row.problem_count,
            unregistered_state_count=row.unregistered_state_count,
            reports={name.rpartition(".")[2]: name for name in row.reports},
            reason=row.reason,
            remedy=_REMEDY_OF_A_FAILED_RUN if row.status is RunStatus.FAILED else None,
        )


class StackView(StackResult):
    """What runs in one stack, with the run that verified it last, and when that run started."""

    verified_at: UtcTime
    run_id: str

    @classmethod
    def of(cls, stored: StoredResult) -> "StackView":
        return cls(verified_at=stored.run_started_at, run_id=stored.run_id, **stored.result.model_dump())


class MarketView(View):
    """What runs in one market. ``verified_at`` is when the stack that was looked at longest ago was looked at.

    ``problems`` is what the newest run of the whole estate could not read of it: then the stacks are as they were before.
    """

    market: str
    subscription_id: str | None
    owner: str | None
    verified_at: UtcTime | None
    problems: tuple[Problem, ...]
    stacks: tuple[StackView, ...]

    @classmethod
    def of(cls, market: str, stacks: tuple[StackView, ...], problems: tuple[Problem, ...]) -> "MarketView":
        return cls(
            market=market,
            subscription_id=next((stack.subscription_id for stack in stacks if stack.subscription_id), None),
            owner=next((stack.owner for stack in stacks if stack.owner), None),
            verified_at=min((stack.verified_at for stack in stacks), default=None),
            problems=problems,
            stacks=stacks,
        )


class LastRun(View):
    """The newest run of the whole estate that has finished."""

    run_id: str
    started_at: UtcTime
    finished_at: UtcTime | None
    exit_status: int | None

    @classmethod
    def of(cls, row: RunRow) -> "LastRun":
        return cls(
            run_id=row.run_id, started_at=row.started_at, finished_at=row.finished_at, exit_status=row.exit_status
        )


class HealthView(View):
    """Whether what trueup stands on answers: a word or the reason why not for each."""

    status: Literal["ok", "unavailable"]
    version: str
    registry: str
    results: str
    last_run: LastRun | None

"""What came of checking one stack by a plan: what was seen, and what follows: heal, hold with a reason, or clean."""

from enum import StrEnum
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from records.findings import Finding
from records.locks import Lock
from records.names import MarketKey, StackName
from records.report import Problem
from records.runs import EXIT_ALL_HEALTHY, EXIT_NEEDS_A_PERSON, EXIT_RUN_FAILED, AnyRunRow, RunStatus
from records.timestamps import UtcTime
from records.verdicts import Verdict

_FROZEN: Final = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Decision(StrEnum):
    """What follows from a check."""

    CLEAN = "clean"
    HEAL = "heal"
    HOLD = "hold"


class HoldReason(StrEnum):
    """Why a heal is withheld, in the order in which the first that applies is given."""

    INCONCLUSIVE = "inconclusive"
    PAUSED = "paused"
    FROZEN = "frozen"
    RECORDS_DISAGREE = "records_disagree"
    LOCKED = "locked"
    UNSAFE = "unsafe"
    DESTRUCTIVE = "destructive"
    PROTECTED = "protected"
    MIXED = "mixed"
    PENDING_CHANGE = "pending_change"
    BLAST_RADIUS = "blast_radius"
    OSCILLATING = "oscillating"
    FLEET_WIDE = "fleet_wide"
    APPROVAL_REQUIRED = "approval_required"
    DRY_RUN = "dry_run"


class PlannedStack(BaseModel):
    """What a plan of the deployed bundle shows, masked.

    ``managed_resources`` counts those of the stack's state, data sources apart. ``carried_along`` are the addresses that an
    apply would move or import, ``late_reads`` the data sources that it alone would read and something may be made of,
    ``changed_outputs`` the outputs that it would change: they are no finding, and still no part of a heal. ``fingerprint``
    (`drift.fingerprint`) names the drift, None where an apply would change nothing. ``fleet_fingerprints`` name each finding
    with the market's names set aside, so that the same event is known again in another market.
    """

    model_config = _FROZEN

    findings: tuple[Finding, ...] = ()
    managed_resources: int = 0
    carried_along: tuple[str, ...] = ()
    late_reads: tuple[str, ...] = ()
    changed_outputs: tuple[str, ...] = ()
    fingerprint: str | None = None
    fleet_fingerprints: tuple[str, ...] = ()

    @property
    def does_more(self) -> bool:
        """Whether an apply would do anything that no finding tells."""
        return bool(self.carried_along or self.late_reads or self.changed_outputs)


class StackObservation(BaseModel):
    """One stack as a check saw it, before anything is decided. It holds no secret.

    ``verdict`` is None where the records could not be judged. ``lineage``, ``serial`` and ``lock`` are the state's. ``plan`` is
    None where there is none to judge: then ``diagnostics`` say why, one line each.
    """

    model_config = _FROZEN

    market: MarketKey
    stack: StackName
    subscription_id: str | None = None
    checked_at: UtcTime
    verdict: Verdict | None = None
    lineage: str | None = None
    serial: int | None = None
    bundle_sha256: str | None = None
    lock: Lock | None = None
    plan: PlannedStack | None = None
    diagnostics: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return stack_path(self.market, self.stack)


class StackCheck(BaseModel):
    """One stack's result, as ``trueup drift check --format json`` prints it; ``reason`` is given with a hold alone.

    ``why`` is the decision in a sentence. ``diagnostics`` are Terraform's own words or ours, one line each, masked: on why a
    plan is inconclusive, or on what a policy has dropped. ``job_id`` and ``fingerprint`` name the drift; None where an apply
    would change nothing.
    """

    model_config = _FROZEN

    market: MarketKey
    stack: StackName
    decision: Decision
    reason: HoldReason | None = None
    why: str = ""
    job_id: str | None = None
    fingerprint: str | None = None
    verdict: Verdict | None = None
    lineage: str | None = None
    serial: int | None = None
    bundle_sha256: str | None = None
    subscription_id: str | None = None
    checked_at: UtcTime
    diagnostics: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def name(self) -> str:
        return stack_path(self.market, self.stack)


class StoredCheck(BaseModel):
    """A check as the table keeps it: with its run, when that started (UTC), and what makes its drift known in other markets."""

    model_config = _FROZEN

    run_id: str
    run_started_at: UtcTime
    fleet_fingerprints: tuple[str, ...] = ()
    check: StackCheck

    def sketch(self) -> "CheckSketch":
        check = self.check
        return CheckSketch(
            market=check.market,
            stack=check.stack,
            run_started_at=self.run_started_at,
            checked_at=check.checked_at,
            decision=check.decision,
            reason=check.reason,
            verdict=check.verdict,
            job_id=check.job_id,
            fleet_fingerprints=self.fleet_fingerprints,
        )


class CheckSketch(BaseModel):
    """A check without its findings: what a run must know of every other stack, and what a list of them shows."""

    model_config = _FROZEN

    market: MarketKey
    stack: StackName
    run_started_at: UtcTime
    checked_at: UtcTime
    decision: Decision
    reason: HoldReason | None = None
    verdict: Verdict | None = None
    job_id: str | None = None
    fleet_fingerprints: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return stack_path(self.market, self.stack)


class CheckRunRow(AnyRunRow):
    """A run of plan checks as the table keeps it, of bounded size.

    ``checked_stacks`` of ``expected_stacks`` were looked at; ``unplanned_stacks`` of these are inconclusive. ``queued_jobs``
    is how many heals it has queued.
    """

    expected_stacks: int | None = None
    checked_stacks: int = 0
    unplanned_stacks: int = 0
    counts: dict[Decision, int] = Field(default_factory=dict)
    holds: dict[HoldReason, int] = Field(default_factory=dict)
    queued_jobs: int = 0
    problem_count: int = 0

    @property
    def exit_status(self) -> int | None:
        """0 all clean, 2 something is not, 1 the run failed; None while it runs."""
        match self.status:
            case RunStatus.RUNNING:
                return None
            case RunStatus.FAILED:
                return EXIT_RUN_FAILED
            case RunStatus.FINISHED:
                return exit_status(self.counts, problem_count=self.problem_count)


class CheckReport(BaseModel):
    """A run of plan checks, as ``trueup drift check --format json`` prints it; ``results`` are sorted by market and stack.

    ``problems`` are what could not be looked at at all, and what could not be kept or queued. ``queued`` are the jobs that this
    run put into the queue, sorted; None where it was to queue none.
    """

    model_config = _FROZEN

    schema_version: Literal[1] = 1
    run_id: str
    started_at: UtcTime
    finished_at: UtcTime
    counts: dict[Decision, int]
    queued: tuple[str, ...] | None = None
    problems: tuple[Problem, ...] = ()
    results: tuple[StackCheck, ...] = ()

    @property
    def exit_status(self) -> int:
        """0 all clean, 2 something is not."""
        return exit_status(self.counts, problem_count=len(self.problems))


def exit_status(counts: dict[Decision, int], *, problem_count: int) -> int:
    """0 where every stack is clean and nothing stood in the way of looking, else 2."""
    all_well = not problem_count and {Decision.CLEAN}.issuperset(counts)
    return EXIT_ALL_HEALTHY if all_well else EXIT_NEEDS_A_PERSON


def stack_path(market: str, stack: str) -> str:
    """A stack of an estate by one name. A stack's own name has no slash, so `market_and_stack` takes it apart again."""
    return f"{market}/{stack}"


def market_and_stack(path: str) -> tuple[str, str]:
    market, _, stack = path.rpartition("/")
    return market, stack

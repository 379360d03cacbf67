"""Adds the checks of a run up to its row."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from drift.concluding import Concluded
from drift.policy import InvalidPolicy, Policy, idle_brakes
from drift.situation import Unread
from records.faults import Fault, FaultCode, RecordKind
from records.plan_checks import CheckRunRow, Decision, HoldReason, market_and_stack
from records.policy_source import POLICY_BLOB
from records.report import WHOLE_ESTATE, Problem
from records.results import Run
from records.runs import RunStatus, Scope, Trigger


@dataclass(slots=True)
class CheckTally:
    """Takes checks in any order and keeps none."""

    problems: list[Problem] = field(default_factory=list)
    counts: Counter[Decision] = field(default_factory=Counter)
    holds: Counter[HoldReason] = field(default_factory=Counter)
    queued_jobs: int = 0

    def add(self, concluded: Concluded) -> None:
        self.counts[concluded.check.decision] += 1
        if concluded.check.reason:
            self.holds[concluded.check.reason] += 1
        self.queued_jobs += concluded.is_queued
        self.problems += concluded.problems

    def add_requeued(self, count: int, problems: Iterable[Problem]) -> None:
        self.queued_jobs += count
        self.problems += problems

    def add_problems(self, problems: Iterable[Problem]) -> None:
        self.problems += problems

    def add_policy(self, policy: Policy | InvalidPolicy | Unread) -> None:
        """A policy that cannot be used is told once, and not by the stacks alone that it holds: others are clean."""
        match policy:
            case InvalidPolicy(faults, name):
                self.problems += [
                    _of_policy(name, FaultCode.INVALID_FIELD, str(fault), "Correct it; until then nothing is healed.")
                    for fault in faults
                ]
            case Unread(why):
                self.problems.append(
                    _of_policy(POLICY_BLOB, FaultCode.UNAVAILABLE, why, "Until it can be read nothing is healed.")
                )

    def add_idle_brakes(self, policy: Policy | InvalidPolicy | Unread, stacks: Iterable[str]) -> None:
        """What in the policy holds nothing, since no market of a whole estate is called so; told, and healing goes on.

        A market that could not be looked at is one all the same.
        """
        markets = {market_and_stack(path)[0] for path in stacks}
        markets |= {problem.market for problem in self.problems}.difference({WHOLE_ESTATE})
        if not isinstance(policy, Policy) or not markets:
            return
        for brake in idle_brakes(policy, markets):
            is_a_region = any(market.startswith(f"{brake.glob}/") for market in markets)
            remedy = (
                f"{brake.glob}/* stands for all markets below it." if is_a_region else "Correct it, or take it out."
            )
            message = f"{brake.field}: no market is called {brake.glob}, so it holds nothing"
            self.problems.append(_of_policy(POLICY_BLOB, FaultCode.INVALID_FIELD, message, remedy))

    def row(
        self,
        *,
        run: Run,
        finished_at: datetime,
        trigger: Trigger,
        scope: Scope,
        expected_stacks: int,
        unseen_stacks: int = 0,
    ) -> CheckRunRow:
        """``unseen_stacks`` are those that the run did not come to; they are among the inconclusive ones."""
        return CheckRunRow(
            run_id=run.run_id,
            started_at=run.started_at,
            finished_at=finished_at,
            status=RunStatus.FINISHED,
            trigger=trigger,
            scope=scope,
            expected_stacks=expected_stacks,
            checked_stacks=self.counts.total() - unseen_stacks,
            unplanned_stacks=self.holds[HoldReason.INCONCLUSIVE],
            counts=dict(sorted(self.counts.items())),
            holds={reason: self.holds[reason] for reason in HoldReason if self.holds[reason]},
            queued_jobs=self.queued_jobs,
            problem_count=len(self.problems),
        )


def sorted_problems(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda problem: (problem.market, problem.record, problem.blob, problem.message)))


def _of_policy(name: str, code: FaultCode, message: str, remedy: str) -> Problem:
    fault = Fault(code=code, record=RecordKind.POLICY, blob=name, message=message, remedy=remedy)
    return Problem.of(WHOLE_ESTATE, fault)

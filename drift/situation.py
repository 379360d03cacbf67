"""All that a decision looks at, as one value: gathered by others, judged by `drift.conditions` and `drift.decide`."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from drift.policy import InvalidPolicy, Policy
from drift.policy_rules import RuleAction, RuledFinding, rule_on
from records.heal_ledger import Approval, LeverUse
from records.locks import Lock
from records.plan_checks import PlannedStack
from records.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Inconclusive:
    """There is no plan to judge; the diagnostics say why, one line each, masked."""

    diagnostics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unread:
    """Stands for what could not be learnt, and says why in a few words. It is never taken for absence."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSpread:
    """In how many of the markets that were checked this drift is, the market's names aside; its own is one of them."""

    markets_with_it: int
    markets_checked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A job that a person has rejected, or that has failed, and that would undo some of this drift. ``sentence`` says so."""

    at: datetime
    sentence: str


@dataclass(frozen=True, kw_only=True)  # no slots: `ruled` is worked out once and kept
class Situation:
    """One stack at one moment. Times are UTC.

    ``lock`` is None where the state is not locked, our worker's own lock apart. ``pauses`` are those in force, of any market.
    ``heals`` are the times at which this drift was healed, or was tried to be; ``refusals`` the jobs that wait for a person's
    word on it. ``approvals`` are of this very job, by its `drift.decide.job_id`, and on record as uses of the lever.
    """

    now: datetime
    market: str
    stack: str
    plan: PlannedStack | Inconclusive
    verdict: Verdict | Unread
    lock: Lock | Unread | None
    policy: Policy | InvalidPolicy | Unread
    pauses: tuple[LeverUse, ...] | Unread
    heals: tuple[datetime, ...] | Unread
    fleet: FleetSpread | Unread
    refusals: tuple[Refusal, ...] | Unread = ()
    approvals: tuple[Approval, ...] | Unread = ()

    @cached_property
    def ruled(self) -> tuple[RuledFinding, ...]:
        """Every finding with what the policy says of it, in an order that owes nothing to the plan's."""
        findings = self.plan.findings if isinstance(self.plan, PlannedStack) else ()
        rules = self.policy.rules if isinstance(self.policy, Policy) else ()
        return tuple(
            rule_on(rules, self.market, self.stack, finding)
            for finding in sorted(findings, key=lambda finding: (finding.address, finding.model_dump_json()))
        )

    @property
    def touched(self) -> tuple[RuledFinding, ...]:
        """All that an apply of this plan would change: an apply does not know what a policy ignores."""
        return tuple(ruled for ruled in self.ruled if ruled.finding.is_touched_by_apply)

    @property
    def counting(self) -> tuple[RuledFinding, ...]:
        """What calls for a heal or a hold."""
        return tuple(ruled for ruled in self.touched if ruled.action is not RuleAction.IGNORE)

    @property
    def ignored(self) -> tuple[RuledFinding, ...]:
        """What the policy has dropped, wholly or in some attributes."""
        return tuple(ruled for ruled in self.ruled if ruled.ignored_by is not None)

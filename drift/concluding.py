"""Ends a run of plan checks: decides on each stack once all have been seen, keeps the check, and queues the heal.

Only the whole run shows an event of the fleet, so nothing is queued before every stack has been looked at. For one stack the
order is: decide, keep the check, enter the job in the ledger, send its message. Whoever dies between two of these and begins
again finds the check, and decides nothing twice; finds the job, and sends nothing twice (docs/adr/0015-plan-checks.md).
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from drift.attribution import attributed, ids_to_ask
from drift.deciding import check_of, job_of
from drift.fleet import Fleet
from drift.policy import InvalidPolicy, Policy
from drift.situation import Unread
from lanes.side_by_side import all_side_by_side
from records.drift_ports import CheckStore, HealLedger, HealQueue
from records.errors import StoreError
from records.faults import RecordKind
from records.heals import Opening
from records.plan_checks import Decision, HoldReason, StackCheck, StackObservation, StoredCheck
from records.ports import Clock
from records.report import Problem
from records.resource_changes import ChangeHistory, ResourceChange
from records.results import Run
from records.store_faults import store_fault
from records.verdicts import Verdict

_OTHERS_COUNT_FOR: Final = timedelta(hours=24)
"""How long ago a market may have been checked that a run leaves out, and still count for the fleet."""
_ASKED_AT_ONCE: Final = 8
"""Subscriptions: one that Azure does not answer for holds up no other."""

Observations = Callable[[], AsyncIterator[StackObservation]]
"""Goes through all that a run has seen, as often as asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queueing:
    """Where heals go. A job that nobody has taken by then expires, and a later check may queue it anew."""

    ledger: HealLedger
    queue: HealQueue
    expires_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """A stack's check; whether a job for it is open in the queue; and what could not be kept or queued of it."""

    check: StackCheck
    is_queued: bool = False
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What ending a run takes. ``checks`` is None where nothing is kept, ``queueing`` where nothing is queued."""

    run: Run
    is_whole_estate: bool
    policy: Policy | InvalidPolicy | Unread
    changes: ChangeHistory
    checks: CheckStore | None
    queueing: Queueing | None
    clock: Clock

    async def conclude(self, observations: Observations) -> AsyncIterator[Concluded]:
        """Each stack's check, in the order of the observations. What cannot be kept or queued is told with it."""
        fleet, authors = await self._gather(observations)
        async for seen in observations():
            yield await self._conclude(seen, fleet, authors)

    async def _gather(self, observations: Observations) -> tuple[Fleet, dict[str, ResourceChange]]:
        """What only all stacks together show, and who changed what, with one question a subscription."""
        fleet = Fleet()
        stacks: set[str] = set()
        to_ask: dict[str, set[str]] = {}
        async for seen in observations():
            stacks.add(seen.name)
            if seen.plan and seen.verdict is not Verdict.NOT_DEPLOYED:
                fleet.add(seen.market, seen.plan.fleet_fingerprints)
            for subscription_id, resource_ids in ids_to_ask([seen]).items():
                to_ask.setdefault(subscription_id, set()).update(resource_ids)
        await self._add_others(fleet, stacks)

        async def ask(subscription_id: str) -> Mapping[str, ResourceChange]:
            resource_ids = sorted(to_ask[subscription_id])
            return await self.changes.last_changes(subscription_id=subscription_id, resource_ids=resource_ids)

        answers = await all_side_by_side(sorted(to_ask), ask, width=_ASKED_AT_ONCE)
        authors = {resource_id: change for answer in answers for resource_id, change in answer.items()}
        return fleet, authors

    async def _add_others(self, fleet: Fleet, stacks: set[str]) -> None:
        """What was found lately in stacks that this run does not look at: who checks one market must not pass the brake by."""
        if self.checks is None or self.is_whole_estate:
            return
        since = self.clock() - _OTHERS_COUNT_FOR
        try:
            async for stored in self.checks.latest():
                check = stored.check
                if check.name in stacks or check.checked_at < since or not _was_planned(stored):
                    continue
                fleet.add(check.market, stored.fleet_fingerprints)
        except StoreError as error:
            fleet.unknown = Unread(f"The checks of the other markets cannot be read: {error}.")

    async def _conclude(self, seen: StackObservation, fleet: Fleet, authors: dict[str, ResourceChange]) -> Concluded:
        try:
            check = await self._kept(seen) or await self._decide(seen, fleet, authors)
        except StoreError as error:
            # Without a check on record no job may be in the queue.
            check = self._judge(seen, fleet, authors)
            return Concluded(check=check, problems=(_of_results(check, error),))
        if check.decision is not Decision.HEAL or self.checks is None or self.queueing is None:
            return Concluded(check=check)
        try:
            await self._queue(check, self.queueing)
        except StoreError as error:
            return Concluded(check=check, problems=(_of_results(check, error),))
        return Concluded(check=check, is_queued=True)

    async def _kept(self, seen: StackObservation) -> StackCheck | None:
        """The check that this run kept before it was cut off."""
        if self.checks is None:
            return None
        stored = await self.checks.check_of_run(run=self.run, market=seen.market, stack=seen.stack)
        return stored.check if stored else None

    async def _decide(self, seen: StackObservation, fleet: Fleet, authors: dict[str, ResourceChange]) -> StackCheck:
        check = self._judge(seen, fleet, authors)
        if self.checks:
            await self.checks.save_check(
                stored=StoredCheck(
                    run_id=self.run.run_id,
                    run_started_at=self.run.started_at,
                    fleet_fingerprints=seen.plan.fleet_fingerprints if seen.plan else (),
                    check=check,
                )
            )
        return check

    def _judge(self, seen: StackObservation, fleet: Fleet, authors: dict[str, ResourceChange]) -> StackCheck:
        check = check_of(
            seen,
            policy=self.policy,
            fleet=fleet.spread(seen.plan.fleet_fingerprints if seen.plan else ()),
            now=self.clock(),
        )
        return check.model_copy(update={"findings": attributed(check.findings, authors)})

    async def _queue(self, check: StackCheck, queueing: Queueing) -> None:
        """At most one message a job: one that is lost between ledger and queue is made up for once the job has expired."""
        now = self.clock()
        job = job_of(check, now=now, expires_at=now + queueing.expires_after)
        if await queueing.ledger.open_job(job=job, run_id=self.run.run_id) is Opening.OPENED:
            await queueing.queue.send(job=job)


def _was_planned(stored: StoredCheck) -> bool:
    """Whether it says anything of drift. Held for a policy that could not be read, a stack has been planned all the same."""
    if stored.check.verdict is Verdict.NOT_DEPLOYED:
        return False
    return stored.check.reason is not HoldReason.INCONCLUSIVE or bool(stored.fleet_fingerprints)


def _of_results(check: StackCheck, error: StoreError) -> Problem:
    return Problem.of(check.market, store_fault(error, kind=RecordKind.RESULTS, blob=error.place))

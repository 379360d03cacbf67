"""Ends a run of plan checks: decides on each stack once all have been seen, keeps the check, and queues the heal.

Only the whole run shows an event of the fleet, so nothing is queued before every stack has been looked at. For one stack the
order is: decide, keep the check, enter the job in the ledger, send its message. Whoever dies between two of these and begins
again finds the check, and decides nothing twice; finds the job, and sends nothing twice (docs/adr/0015-plan-checks.md).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from drift.attribution import attributed, ids_to_ask
from drift.brakes import Brakes, read_pauses
from drift.checks import check_of, job_id_of, job_of
from drift.fleet import Fleet
from drift.opening import Opening, open_job, requeue_cut_off
from drift.past import read_past
from drift.policy import InvalidPolicy, Policy
from drift.situation import Unread
from lanes.side_by_side import side_by_side
from records.drift_ports import CheckStore, HealLedger, HealQueue
from records.errors import StoreError, StoreUnavailableError
from records.faults import RecordKind
from records.heal_ledger import LeverUse
from records.heals import QUEUE, fits_in_a_message
from records.plan_checks import Decision, PlannedStack, StackCheck, StackObservation, StoredCheck
from records.ports import Clock
from records.report import WHOLE_ESTATE, Problem
from records.resource_changes import ChangeHistory, ResourceChange
from records.results import Run
from records.store_faults import store_fault
from records.verdicts import Verdict

_ASKED_AT_ONCE: Final = 8
"""Subscriptions: one that Azure does not answer for holds up no other."""
_AUTHORS_LIMIT_SECONDS: Final = 120
"""For all of them: a run must not end for want of names."""

Observations = Callable[[], AsyncIterator[StackObservation]]
"""Goes through all that a run has seen, as often as asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queueing:
    """Where heals go. A job that nobody has taken by then expires, and a later check may queue it anew."""

    queue: HealQueue
    expires_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """A stack's check; whether this run has queued a job for it; and what could not be kept or queued of it."""

    check: StackCheck
    is_queued: bool = False
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What ending a run takes. ``checks`` is None where nothing is kept, ``queueing`` where nothing is queued."""

    run: Run
    policy: Policy | InvalidPolicy | Unread
    changes: ChangeHistory
    checks: CheckStore | None
    ledger: HealLedger
    queueing: Queueing | None
    clock: Clock

    async def conclude(self, observations: Observations) -> AsyncIterator[Concluded]:
        """Each stack's check, in the order of the observations. What cannot be kept or queued is told with it."""
        gathered = await self._gather(observations)
        async for seen in observations():
            yield await self._conclude(seen, gathered)

    async def requeue_cut_off(self) -> tuple[int, tuple[Problem, ...]]:
        """How many jobs were queued anew whose worker died while it applied them, where anything is queued; what went wrong."""
        if self.queueing is None:
            return 0, ()
        now = self.clock()
        expires_at = now + self.queueing.expires_after
        count = 0
        try:
            async for _ in requeue_cut_off(self.ledger, self.queueing.queue, now=now, expires_at=expires_at):
                count += 1
        except StoreError as error:
            fault = store_fault(error, kind=RecordKind.RESULTS, blob=error.place)
            return count, (Problem.of(WHOLE_ESTATE, fault),)
        return count, ()

    async def _gather(self, observations: Observations) -> "_Gathered":
        """What only all stacks together show, and who changed what, with one question a subscription."""
        fleet = Fleet()
        planned: set[str] = set()
        to_ask: dict[str, set[str]] = {}
        async for seen in observations():
            if seen.plan:
                planned.add(seen.name)
            if seen.plan and seen.verdict is not Verdict.NOT_DEPLOYED:
                fleet.add(seen.market, seen.plan.fleet_fingerprints)
            for subscription_id, resource_ids in ids_to_ask([seen]).items():
                to_ask.setdefault(subscription_id, set()).update(resource_ids)
        if self.checks:
            await fleet.add_others(self.checks, apart_from=planned, now=self.clock())

        return _Gathered(
            fleet=fleet, authors=await self._ask_for_authors(to_ask), pauses=await read_pauses(self.ledger)
        )

    async def _ask_for_authors(self, to_ask: Mapping[str, Collection[str]]) -> Mapping[str, ResourceChange]:
        """What Azure tells in time, by resource id in lower case: a finding is worth the same without an author."""

        async def ask(subscription_id: str) -> Mapping[str, ResourceChange]:
            resource_ids = sorted(to_ask[subscription_id])
            return await self.changes.last_changes(subscription_id=subscription_id, resource_ids=resource_ids)

        authors: dict[str, ResourceChange] = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(_AUTHORS_LIMIT_SECONDS):
                async for answer in side_by_side(sorted(to_ask), ask, width=_ASKED_AT_ONCE):
                    authors |= answer
        return authors

    async def _conclude(self, seen: StackObservation, gathered: "_Gathered") -> Concluded:
        try:
            check = await self._kept(seen) or await self._decide(seen, gathered)
        except StoreError as error:
            # Without a check on record no job may be in the queue.
            check = await self._judge(seen, gathered)
            return Concluded(check=check, problems=(_of_results(check, error),))
        if check.decision is not Decision.HEAL or self.checks is None or self.queueing is None:
            return Concluded(check=check)
        try:
            opening = await self._queue(check, self.queueing)
        except StoreError as error:
            return Concluded(check=check, problems=(_of_results(check, error),))
        return Concluded(check=check, is_queued=opening is not Opening.ALREADY_OPEN)

    async def _kept(self, seen: StackObservation) -> StackCheck | None:
        """The check that this run kept before it was cut off."""
        if self.checks is None:
            return None
        stored = await self.checks.check_of_run(run=self.run, market=seen.market, stack=seen.stack)
        return stored.check if stored else None

    async def _decide(self, seen: StackObservation, gathered: "_Gathered") -> StackCheck:
        check = await self._judge(seen, gathered)
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

    async def _judge(self, seen: StackObservation, gathered: "_Gathered") -> StackCheck:
        plan = seen.plan or PlannedStack()
        past = await read_past(
            self.ledger, market=seen.market, stack=seen.stack, findings=plan.findings, job_id=job_id_of(seen)
        )
        brakes = Brakes(
            policy=self.policy,
            pauses=gathered.pauses,
            heals=past.heals,
            fleet=gathered.fleet.spread(plan.fleet_fingerprints),
            refusals=past.refusals,
        )
        check = check_of(seen, brakes, now=self.clock())
        return check.model_copy(update={"findings": attributed(check.findings, gathered.authors)})

    async def _queue(self, check: StackCheck, queueing: Queueing) -> Opening:
        """At most one message a job: one that is lost between ledger and queue is made up for once the job has expired."""
        now = self.clock()
        job = job_of(check, queued_at=now, expires_at=now + queueing.expires_after)
        if not fits_in_a_message(job):
            raise StoreUnavailableError(QUEUE, f"{check.name} names more resources than a message has room for")
        opening = await open_job(self.ledger, job, check.findings, run_id=self.run.run_id)
        if opening is Opening.OPENED:
            await queueing.queue.send(job=job)
        return opening


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gathered:
    """What is the same for every stack of a run. ``authors`` are by resource id in lower case."""

    fleet: Fleet
    authors: Mapping[str, ResourceChange]
    pauses: tuple[LeverUse, ...] | Unread


def _of_results(check: StackCheck, error: StoreError) -> Problem:
    return Problem.of(check.market, store_fault(error, kind=RecordKind.RESULTS, blob=error.place))

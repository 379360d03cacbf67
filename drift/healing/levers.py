"""What a person can do about healing. Each use is in the ledger, with who and why, before anything follows from it."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from drift.decide import APPROVABLE
from drift.healing.waiting import find_waiting
from lanes.listing import choose_markets
from records.drift_ports import CheckStore, HealLedger, HealQueue, Kept
from records.errors import BlobChangedError, RefusedLeverError, StoreError
from records.heal_ledger import Approval, HealEvent, HealRow, HealStep, Lever, LeverUse
from records.heals import HealJob, fits_in_a_message
from records.plan_checks import HoldReason
from records.ports import Clock

_RETRIED: Final = frozenset(
    {
        HealStep.QUEUED,
        HealStep.FAILED,
        HealStep.NOT_CONVERGED,
        HealStep.EXPIRED,
        HealStep.HELD,
        HealStep.REJECTED,
    }
)
"""A job that is queued may have lost its message, and one that is queued twice is one job: the older message is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who pulls a lever, and why; one line each."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Levers:
    """Every method raises `StoreError`; those for a job a `RefusedLeverError` where it cannot be done to this one."""

    ledger: HealLedger
    checks: CheckStore
    queue: HealQueue
    known_markets: Callable[[], Awaitable[Collection[str]]]
    """Every market that a record names; raises `StoreError`."""
    expires_after: timedelta
    clock: Clock

    async def pause(self, person: Person, *, market: str | None) -> None:
        """No apply begins any more, of one market or of all, on any instance. One that has begun goes on to its end.

        Raises:
            UnknownMarketError: no record names the market; a pause of one that is misspelt would stop nothing.
        """
        if market is not None:
            await self._check_that_it_is_known(market)
        await self._pull(Lever.PAUSE, person, market=market)

    async def resume(self, person: Person, *, market: str | None) -> None:
        """Ends the pause of this market, or the general one. Of two pauses that hold a market, the other one stays.

        Raises:
            RefusedLeverError: there is no such pause.
        """
        if all(pause.market != market for pause in await self.ledger.pauses()):
            raise RefusedLeverError(f"healing is not paused {f'in {market}' if market else 'in general'}")
        await self._pull(Lever.RESUME, person, market=market)

    async def _check_that_it_is_known(self, market: str) -> None:
        try:
            known = await self.known_markets()
        except StoreError:
            # A brake is to work whatever else does not.
            return
        choose_markets(known, [market])

    async def approve(self, person: Person, *, job_id: str) -> HealRow:
        """Overrules the reason for which a job is held, and queues it: it runs through every other check."""
        waiting = await find_waiting(self.ledger, self.checks, job_id=job_id, now=self.clock())
        if waiting is None or waiting.reason is None:
            raise RefusedLeverError(f"job {job_id} is not held; see `trueup drift holds`")
        if waiting.reason not in APPROVABLE:
            raise RefusedLeverError(
                f"job {job_id} is held as {waiting.reason}, which no approval overrules; docs/runbook.md#{waiting.reason}"
            )
        use = await self._pull(
            Lever.APPROVE, person, market=waiting.job.market, job_id=job_id, overrules=waiting.reason
        )
        approval = Approval(reason=waiting.reason, by=use.by, at=use.at)
        now = self.clock()
        job = self._queued_now(waiting.job, now)
        if waiting.kept is None:
            row = HealRow(
                job=job,
                step=HealStep.QUEUED,
                run_id=waiting.run_id,
                finding_fingerprints=waiting.finding_fingerprints,
                attribute_fingerprints=waiting.attribute_fingerprints,
                approvals=(approval,),
                events=(HealEvent(step=HealStep.QUEUED, at=now, by=person.by, note=person.reason),),
            )
        else:
            before = waiting.kept.row
            row = before.moved(
                HealStep.QUEUED,
                at=now,
                by=person.by,
                note=person.reason,
                job=job,
                run_id=waiting.run_id,
                finding_fingerprints=waiting.finding_fingerprints,
                attribute_fingerprints=waiting.attribute_fingerprints,
                approvals=(*waiting.approvals, approval),
            )
        return await self._queue(row, waiting.kept)

    async def retry(self, person: Person, *, job_id: str) -> HealRow:
        """Queues a job again that waits, or has ended without having healed. Its approvals still count."""
        kept = await self.ledger.find(job_id=job_id)
        if kept is None or not (kept.row.step in _RETRIED or _is_lost(kept.row, self.clock())):
            raise RefusedLeverError(
                f"job {job_id} is {kept.row.step if kept else 'not in the ledger'}; only a job that waits, or has "
                "ended without healing, can be retried"
            )
        await self._pull(Lever.RETRY, person, market=kept.row.job.market, job_id=job_id)
        now = self.clock()
        row = kept.row.moved(
            HealStep.QUEUED, at=now, by=person.by, note=person.reason, job=self._queued_now(kept.row.job, now)
        )
        return await self._queue(row, kept)

    async def reject(self, person: Person, *, job_id: str) -> HealRow:
        """Says no to a job that waits: no check queues it again. The drift stays, and every check tells of it."""
        waiting = await find_waiting(self.ledger, self.checks, job_id=job_id, now=self.clock())
        if waiting is None:
            raise RefusedLeverError(f"job {job_id} does not wait for anything; see `trueup drift history`")
        row = waiting.kept.row if waiting.kept else None
        if row and row.step is HealStep.REJECTED:
            raise RefusedLeverError(f"job {job_id} is rejected already; see `trueup drift history`")
        await self._pull(Lever.REJECT, person, market=waiting.job.market, job_id=job_id)
        now = self.clock()
        if row is None:
            event = HealEvent(step=HealStep.REJECTED, at=now, by=person.by, note=person.reason)
            rejected = HealRow(
                job=waiting.job,
                step=HealStep.REJECTED,
                run_id=waiting.run_id,
                finding_fingerprints=waiting.finding_fingerprints,
                attribute_fingerprints=waiting.attribute_fingerprints,
                events=(event,),
            )
        else:
            rejected = row.moved(HealStep.REJECTED, at=now, by=person.by, note=person.reason)
        await self._put(rejected, waiting.kept)
        return rejected

    async def _queue(self, row: HealRow, kept: Kept | None) -> HealRow:
        """The row first: a message that no row speaks of is refused, and one that is lost can be queued anew."""
        if not fits_in_a_message(row.job):
            raise RefusedLeverError(f"job {row.job.job_id} names more resources than a message has room for")
        await self._put(row, kept)
        await self.queue.send(job=row.job)
        return row

    async def _put(self, row: HealRow, kept: Kept | None) -> None:
        try:
            await self.ledger.put(row=row, replaces=kept.etag if kept else None)
        except BlobChangedError:
            raise RefusedLeverError(
                f"job {row.job.job_id} was moved on by somebody else at this moment; look at it again"
            ) from None

    async def _pull(
        self,
        lever: Lever,
        person: Person,
        *,
        market: str | None,
        job_id: str | None = None,
        overrules: HoldReason | None = None,
    ) -> LeverUse:
        use = LeverUse(
            lever=lever,
            by=person.by,
            reason=person.reason,
            at=self.clock(),
            market=market,
            job_id=job_id,
            overrules=overrules,
        )
        await self.ledger.pull(use=use)
        return use

    def _queued_now(self, job: HealJob, now: datetime) -> HealJob:
        return job.model_copy(update={"queued_at": now, "expires_at": now + self.expires_after})


class JobLever(Protocol):
    """A method of `Levers` that is for one job."""

    def __call__(self, levers: Levers, person: Person, /, *, job_id: str) -> Awaitable[HealRow]: ...


def _is_lost(row: HealRow, now: datetime) -> bool:
    """Whether its message is gone, or was never sent, and no worker has ended it."""
    return not row.has_ended and row.job.expires_at <= now

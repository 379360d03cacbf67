"""The worker: takes a job from the queue to its end, each step in the ledger before it is taken (docs/adr/0017-healing.md).

A worker may be killed between any two lines of this. The next one finds the row, looks at what is true, and goes on from there.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from drift.brakes import Brakes
from drift.checks import finding_fingerprints, touched
from drift.healing.braking import read_brakes, with_the_last_word
from drift.healing.entry import LedgerEntry
from drift.healing.judging import (
    GONE_OVER,
    End,
    is_gone_over,
    why_ended,
    why_held,
    why_locked,
    why_not_applied,
    why_not_resumed,
)
from drift.healing.lock_watch import LockWatch, has_had_the_lock
from drift.healing.messages import Refusal, read_message, unlike_the_ledger
from drift.healing.resuming import is_as_left, left_by
from drift.observing import Look, StackObserver
from drift.planned import Deployed
from drift.policy import InvalidPolicy, Policy
from drift.situation import Inconclusive, Unread
from records.drift_ports import (
    CheckStore,
    HealLedger,
    HealRecorder,
    HealRecording,
    HealTelemetry,
    StackLease,
    StackLeases,
)
from records.errors import LeaseLostError, StackBusyError, UnverifiedHealError
from records.heal_ledger import HealRow, HealStep
from records.heals import HealJob
from records.plan_checks import HoldReason, PlannedStack, StackObservation, stack_path
from records.ports import Clock, RecordReader
from records.readings import Present, Reading, StateHead
from records.terraform import Applied, FailedApply
from records.verdicts import Verdict

_LOG: Final = logging.getLogger(__name__)

_TOLD: Final = {
    HealRecording.UNMOVED: "The drift is undone; the records say what the state says.",
    HealRecording.RECORDED: "The drift is undone, and the records were brought to the state.",
    HealRecording.NOT_OURS: "The drift is undone; the records are of a later deploy, and were left to it.",
}


class Fate(StrEnum):
    """What is to become of a message. One whose worker raises comes again by itself."""

    DONE = "done"
    LATER = "later"
    """Another worker has the stack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Healer:
    """``lock_timeout_seconds`` is how long Terraform waits for somebody else's lock."""

    observer: StackObserver
    records: RecordReader
    ledger: HealLedger
    leases: StackLeases
    recorder: HealRecorder
    checks: CheckStore
    read_policy: Callable[[], Awaitable[Policy | InvalidPolicy | Unread]]
    telemetry: HealTelemetry
    lock_watch: LockWatch
    lock_timeout_seconds: int
    clock: Clock

    async def heal(self, body: bytes) -> Fate:
        """Takes the job that a message names as far as it goes.

        Raises:
            StoreError, RecordError, SettingsError, LeaseLostError, UnverifiedHealError: the job is left where it is, and its
                message comes again.
        """
        job = read_message(body)
        if isinstance(job, Refusal):
            return await self._refuse(job)
        entry = await self._entry(job)
        if not isinstance(entry, LedgerEntry):
            return entry
        async with self.leases.held(market=job.market, stack=job.stack) as lease:
            if lease is None:
                return Fate.LATER
            # Whoever had the lease until now may have moved it on.
            entry = await self._entry(job)
            if not isinstance(entry, LedgerEntry):
                return entry
            if entry.row.job.expires_at <= self.clock() and entry.row.applying_since is None:
                await entry.end(HealStep.EXPIRED, "No worker took it in time. A check queues it anew.")
                return Fate.DONE
            await self._take_on(entry, lease)
        return Fate.DONE

    async def fail(self, body: bytes) -> None:
        """For a message that has failed as often as it may: its job is tried again by nobody but a person.

        Raises:
            StoreError
            StackBusyError: another worker has the stack, and may yet end the job.
        """
        job = read_message(body)
        if isinstance(job, Refusal):
            await self._refuse(job)
            return
        async with self.leases.held(market=job.market, stack=job.stack) as lease:
            entry = await self._entry(job)
            if not isinstance(entry, LedgerEntry):
                return
            if lease is None:
                raise StackBusyError(stack_path(job.market, job.stack))
            await entry.end(HealStep.FAILED, "Its message has failed as often as it may. The app's log says why.")

    async def _entry(self, job: HealJob) -> LedgerEntry | Fate:
        """The job's row, if there is something to be done for this message; what to do with the message, if not."""
        kept = await self.ledger.row(market=job.market, stack=job.stack, job_id=job.job_id)
        if kept is None:
            return await self._refuse(Refusal("the ledger has no such job"))
        row = kept.row
        if job.queued_at < row.job.queued_at:
            # A copy of a message of before: the job was queued anew since.
            return Fate.DONE
        unlike = unlike_the_ledger(job, row)
        if unlike:
            return await self._refuse(unlike)
        if row.has_ended:
            # Its worker may have died before it told: told twice is better than never.
            await self.telemetry.heal_moved(row=row)
            return Fate.DONE
        return LedgerEntry(kept, self.ledger, self.telemetry, self.clock)

    async def _refuse(self, refusal: Refusal) -> Fate:
        _LOG.warning("a message in the queue of heals is refused: %s", refusal.why)
        await self.telemetry.message_refused(why=refusal.why)
        return Fate.DONE

    async def _take_on(self, entry: LedgerEntry, lease: StackLease) -> None:
        await entry.begin()
        job, own_lock = entry.row.job, entry.row.own_lock
        async with AsyncExitStack() as opened:
            async with self.lock_watch.noting(entry):
                look = await opened.enter_async_context(
                    self.observer.looking(job.market, job.stack, lock_timeout_seconds=self.lock_timeout_seconds)
                )
            if look.deployed is None and entry.row.own_lock != own_lock:
                # A plan that came to nothing may have waited for a lock of somebody else of our name.
                await entry.own_lock_is(own_lock)
            if entry.row.applying_since is None:
                await self._heal(entry, look, lease)
            else:
                await self._resume(entry, look, lease)

    async def _heal(self, entry: LedgerEntry, look: Look, lease: StackLease) -> None:
        brakes = await self._brakes(entry.row, look.seen)
        end = why_ended(entry.row, look.seen, brakes, now=self.clock())
        if end:
            await self._end(entry, end)
        else:
            await self._apply(entry, look, lease, brakes)

    async def _resume(self, entry: LedgerEntry, look: Look, lease: StackLease) -> None:
        """After an apply of which nobody knows how far it came: what it did is put on record, and what is left is undone."""
        seen = look.seen
        applying_since = entry.row.applying_since
        end = why_not_resumed(entry.row, seen)
        if end or seen.plan is None or seen.serial is None or applying_since is None:
            await self._end(entry, end)
            return
        recording = await self.recorder.record_heal(job=entry.row.job, serial=seen.serial, at=applying_since)
        if recording is HealRecording.NOT_OURS and is_gone_over(seen):
            await entry.end(HealStep.SUPERSEDED, GONE_OVER)
        elif recording is HealRecording.NOT_OURS:
            note = "An apply of this job was cut off, and the records are of another deploy by now."
            await entry.end(HealStep.HELD, note, HoldReason.RECORDS_DISAGREE)
        elif not list(touched(seen.plan.findings)):
            await entry.end(HealStep.VERIFIED, _TOLD[recording])
        else:
            # What made them disagree was our own apply, which is on record by now.
            again = replace(look, seen=seen.model_copy(update={"verdict": Verdict.HEALTHY}))
            await self._apply(entry, again, lease, await self._brakes(entry.row, again.seen))

    async def _apply(self, entry: LedgerEntry, look: Look, lease: StackLease, brakes: Brakes) -> None:
        """Applies the plan that was judged, which only this process has seen, unless something withholds it at this moment.

        What a person may have said meanwhile is read last of all: the ledger can take its time to keep a step.
        """
        plan, serial, deployed = look.seen.plan, look.seen.serial, look.deployed
        if plan is None or serial is None or deployed is None:
            await self._end(entry, None)
            return
        was_applying_since = entry.row.applying_since
        await entry.judged(finding_fingerprints(plan.findings))
        _insist_on(lease, entry.row)
        await entry.applying()
        latest = await with_the_last_word(brakes, entry.row, plan, read_policy=self.read_policy, ledger=self.ledger)
        end = why_held(look.seen, latest, now=self.clock())
        if end:
            await entry.stopped(end.note, end.reason, applying_since=was_applying_since)
            return
        _insist_on(lease, entry.row)
        async with self.lock_watch.noting(entry):
            apply = await deployed.module.apply(deployed.made, lock_timeout_seconds=self.lock_timeout_seconds)
        # Before anything else: whoever waited for Terraform's lock may move the state from here on.
        state = await self.records.state(location=deployed.location)
        lock = state.blob.lock if isinstance(state, Present) else None
        end = why_not_applied(apply, lock)
        if end:
            await entry.stopped(end.note, end.reason, applying_since=was_applying_since)
            return
        judged = StateHead(serial=serial, lineage=look.seen.lineage)
        left_serial = left_by(apply, judged=judged, state=state.record) if isinstance(state, Present) else None
        own_lock = entry.row.own_lock if has_had_the_lock(apply) else None
        told = None if isinstance(apply, Applied) else " ".join(apply.failure.lines)
        await entry.applied(told, left_serial=left_serial, own_lock=own_lock)
        if lock and self.lock_watch.is_orphan(lock, apply, entry.row):
            # Nobody else will give it back, and every deploy would wait for it.
            await entry.note_lock(lock)
            await self._end(entry, why_locked(lock, entry.row.own_lock))
            return
        await self._verify(entry, deployed, state, _Deed(judged=judged, plan=plan, apply=apply))

    async def _verify(self, entry: LedgerEntry, deployed: Deployed, state: Reading[StateHead], deed: "_Deed") -> None:
        """Looks whether the drift is undone, and has the records say what the apply left in the state, unless somebody else
        may have been there too.
        """
        job, left_serial = entry.row.job, entry.row.left_serial
        shown = await deployed.plan_again()
        if isinstance(shown, Inconclusive) or not isinstance(state, Present):
            why = " ".join(shown.diagnostics) if isinstance(shown, Inconclusive) else "the state cannot be read"
            raise UnverifiedHealError(f"{stack_path(job.market, job.stack)}: {why}")
        is_written = (state.record.serial, state.record.lineage) != (deed.judged.serial, deed.judged.lineage)
        recording = HealRecording.NOT_OURS if is_written else HealRecording.UNMOVED
        is_ours = not is_written or is_as_left(deed.apply, judged=deed.plan, shown=shown)
        if left_serial is not None and is_ours:
            # When the apply ended and not now: a deploy that ends in between is later than this heal.
            applied_at = entry.row.events[-1].at
            recording = await self.recorder.record_heal(job=job, serial=left_serial, at=applied_at)
        left = sorted({finding.address for finding in touched(shown.findings)}.intersection(job.addresses))
        if recording is HealRecording.NOT_OURS and is_written:
            note = "The state was written, and nothing says that it was by the apply of this job alone."
            await entry.end(HealStep.HELD, note, HoldReason.RECORDS_DISAGREE)
        elif left:
            await entry.end(HealStep.NOT_CONVERGED, f"After the apply there is still, or again: {', '.join(left)}.")
        else:
            await entry.end(HealStep.VERIFIED, _TOLD[recording])

    async def _end(self, entry: LedgerEntry, end: End | None) -> None:
        end = end or End(step=HealStep.HELD, reason=HoldReason.INCONCLUSIVE, note="There is no plan to judge.")
        await entry.end(end.step, end.note, end.reason)

    async def _brakes(self, row: HealRow, seen: StackObservation) -> Brakes:
        return await read_brakes(
            row, seen, read_policy=self.read_policy, ledger=self.ledger, checks=self.checks, now=self.clock()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deed:
    """What came of applying a plan, and the state that it was made on."""

    judged: StateHead
    plan: PlannedStack
    apply: Applied | FailedApply


def _insist_on(lease: StackLease, row: HealRow) -> None:
    if lease.is_lost:
        raise LeaseLostError(stack_path(row.job.market, row.job.stack))

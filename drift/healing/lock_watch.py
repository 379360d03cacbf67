"""Notes Terraform's lock in the ledger while it is ours: by this an orphan of ours is known from a stranger's lock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from drift.healing.entry import LedgerEntry
from records.errors import RecordError, StoreError
from records.heal_ledger import HealRow
from records.heals import HealJob
from records.locks import Lock
from records.ports import Clock, RecordReader
from records.readings import Present
from records.registry import StateLocation
from records.terraform import Applied, Cause, FailedApply, Reach

_POLL_SECONDS: Final = 0.1
"""Terraform holds its lock for a good part of a second at least; once it is noted, nobody looks any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockWatch:
    """``own_name`` is what Terraform writes into its lock as Who, ``user@host``."""

    records: RecordReader
    own_name: str
    clock: Clock

    @asynccontextmanager
    async def noting(self, entry: LedgerEntry) -> AsyncIterator[None]:
        """While a command of ours runs that takes the lock. What cannot be noted costs a person a look, and the job nothing.

        What is noted may be the lock of somebody else of our name, for which the command waits: who sees it fail takes that
        back.
        """
        is_over = asyncio.Event()
        watching = asyncio.create_task(self._watch(entry, is_over, since=self.clock()))
        try:
            yield
        finally:
            is_over.set()
            await watching

    def is_ours(self, lock: Lock, *, since: datetime) -> bool:
        """Whether a command of this process can have taken it: under its own name, and not before it began."""
        return bool(lock.id) and lock.who == self.own_name and lock.created_at is not None and lock.created_at >= since

    def is_orphan(self, lock: Lock, apply: Applied | FailedApply, row: HealRow) -> bool:
        """Whether a lock that is there after an apply of ours is its own: Terraform had it, and could not give it back."""
        since = row.applying_since
        if isinstance(apply, Applied) or since is None or not has_had_the_lock(apply):
            return False
        if row.own_lock and row.own_lock.id == lock.id:
            return True
        return apply.failure.cause is not Cause.FAILED and self.is_ours(lock, since=since)

    async def _watch(self, entry: LedgerEntry, is_over: asyncio.Event, *, since: datetime) -> None:
        location = await self._location(entry.row.job)
        while location and not is_over.is_set():
            state = await self.records.state(location=location)
            lock = state.blob.lock if isinstance(state, Present) else None
            if lock and self.is_ours(lock, since=since):
                with suppress(StoreError):
                    await entry.note_lock(lock)
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(is_over.wait(), _POLL_SECONDS)

    async def _location(self, job: HealJob) -> StateLocation | None:
        """Where the stack's state is; None where no record that can be read says so, and then nothing is planned either."""
        registry = await self.records.registry(market=job.market)
        if not isinstance(registry, Present) or job.stack not in registry.record.stacks:
            return None
        try:
            return registry.record.entry(job.stack).state
        except RecordError:
            return None


def has_had_the_lock(apply: Applied | FailedApply) -> bool:
    """Whether Terraform is known to have had the state's lock for this apply."""
    return isinstance(apply, Applied) or apply.reach is Reach.BEGUN

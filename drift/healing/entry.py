"""A job's row in the ledger while a worker has it: every step goes through here, and is kept before it is taken."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from records.drift_ports import HealLedger, HealTelemetry, Kept
from records.heal_ledger import HealRow, HealStep, OwnLock
from records.locks import Lock
from records.plan_checks import HoldReason
from records.ports import Clock

_CONCLUSIVE: Final = frozenset({HealStep.VERIFIED, HealStep.NOT_CONVERGED})
_OF_AN_APPLY: Final = ("applying_since", "left_serial", "own_lock")


@dataclass(slots=True)
class LedgerEntry:
    """Every method raises `StoreError`; a BlobChangedError where somebody else has moved the job on: it is theirs then.

    Safe to use from several tasks: what the one has kept the other builds upon.
    """

    kept: Kept
    ledger: HealLedger
    telemetry: HealTelemetry
    clock: Clock
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def row(self) -> HealRow:
        return self.kept.row

    async def begin(self) -> None:
        await self._put(lambda row: row.moved(HealStep.BEGUN, at=self.clock()))

    async def judged(self, finding_fingerprints: tuple[str, ...]) -> None:
        """What is left of these after an apply that is cut off is known by them."""
        await self._put(
            lambda row: row.moved(HealStep.JUDGED, at=self.clock(), finding_fingerprints=finding_fingerprints)
        )

    async def applying(self) -> None:
        """From here on nobody can tell whether the plan was applied, until it is known what came of it."""
        now = self.clock()
        await self._put(
            lambda row: row.moved(HealStep.APPLYING, at=now, applying_since=now, left_serial=None, own_lock=None)
        )

    async def stopped(self, note: str, reason: HoldReason | None, *, applying_since: datetime | None) -> None:
        """Held after all, with nothing applied; ``applying_since`` is of an apply before this one."""
        await self._put(
            lambda row: row.moved(
                HealStep.HELD, at=self.clock(), note=note, reason=reason, applying_since=applying_since, own_lock=None
            )
        )
        await self.telemetry.heal_moved(row=self.row)

    async def note_lock(self, lock: Lock) -> None:
        """By this an orphan of ours is known from a stranger's lock."""
        await self.own_lock_is(OwnLock(id=lock.id, who=lock.who))

    async def own_lock_is(self, own_lock: OwnLock | None) -> None:
        await self._put(lambda row: row.model_copy(update={"own_lock": own_lock}))

    async def applied(self, note: str | None, *, left_serial: int | None, own_lock: OwnLock | None) -> None:
        """``left_serial`` is what the state says now, if the apply can have left it; ``own_lock`` the lock that it had."""
        await self._put(
            lambda row: row.moved(
                HealStep.APPLIED, at=self.clock(), note=note, left_serial=left_serial, own_lock=own_lock
            )
        )

    async def end(self, step: HealStep, note: str, reason: HoldReason | None = None) -> None:
        """A job that is held, or has failed, keeps that it may have been applied; what verified it has told."""
        told = dict.fromkeys(_OF_AN_APPLY) if step in _CONCLUSIVE else {}
        await self._put(lambda row: row.moved(step, at=self.clock(), note=note, reason=reason, **told))
        await self.telemetry.heal_moved(row=self.row)

    async def _put(self, change: Callable[[HealRow], HealRow]) -> None:
        async with self._writing:
            row = change(self.row)
            self.kept = Kept(row, await self.ledger.put(row=row, replaces=self.kept.etag))

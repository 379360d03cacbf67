"""The JSON that HTTP answers with about heals, as models."""

from collections.abc import Sequence

from answering.answers import View
from drift.healing.waiting import WithheldHeal
from records.heal_ledger import Approval, HealEvent, HealRow, HealStep, LeverUse
from records.names import MarketKey
from records.plan_checks import HoldReason
from records.timestamps import UtcTime


class PauseView(View):
    """A pause that is in force; ``market`` is null for that of all markets."""

    market: MarketKey | None
    by: str
    reason: str
    since: UtcTime

    @classmethod
    def of(cls, pause: LeverUse) -> "PauseView":
        return cls(market=pause.market, by=pause.by, reason=pause.reason, since=pause.at)


class PausesView(View):
    """The pauses that are in force, the general one first."""

    pauses: tuple[PauseView, ...]

    @classmethod
    def of(cls, pauses: Sequence[LeverUse]) -> "PausesView":
        return cls(pauses=tuple(PauseView.of(pause) for pause in sorted(pauses, key=lambda one: one.market or "")))


class HoldsView(PausesView):
    """All that waits, by market and stack, and what is paused."""

    holds: tuple[WithheldHeal, ...]


class HealView(View):
    """A job, as the ledger has it. ``plan_run_id`` is the run of plan checks that found it; ``events`` are oldest first."""

    job_id: str
    market: str
    stack: str
    step: HealStep
    reason: HoldReason | None
    queued_at: UtcTime
    expires_at: UtcTime
    plan_run_id: str
    serial: int
    bundle_sha256: str
    fingerprint: str
    addresses: tuple[str, ...]
    approvals: tuple[Approval, ...]
    events: tuple[HealEvent, ...]

    @classmethod
    def of(cls, row: HealRow) -> "HealView":
        job = row.job
        return cls(
            job_id=job.job_id,
            market=job.market,
            stack=job.stack,
            step=row.step,
            reason=row.reason,
            queued_at=job.queued_at,
            expires_at=job.expires_at,
            plan_run_id=row.run_id,
            serial=job.serial,
            bundle_sha256=job.bundle_sha256,
            fingerprint=job.fingerprint,
            addresses=job.addresses,
            approvals=row.approvals,
            events=row.events,
        )


class HealsView(View):
    """Jobs, newest first. ``next_before`` is the ``before`` of the next page; null on the last one."""

    heals: tuple[HealView, ...]
    next_before: str | None

"""What may withhold the heal of a job: read as it is judged, and what persons have said once more before it is applied."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

from drift.brakes import Brakes, read_pauses
from drift.fleet import Fleet
from drift.healing.approvals import read_approvals
from drift.past import Past, read_past
from drift.policy import InvalidPolicy, Policy
from drift.situation import Unread
from records.drift_ports import CheckStore, HealLedger
from records.heal_ledger import HealRow
from records.plan_checks import PlannedStack, StackObservation

PolicyReading = Callable[[], Awaitable[Policy | InvalidPolicy | Unread]]


async def read_brakes(
    row: HealRow,
    seen: StackObservation,
    *,
    read_policy: PolicyReading,
    ledger: HealLedger,
    checks: CheckStore,
    now: datetime,
) -> Brakes:
    """All of them; what could not be read is not none."""
    plan = seen.plan or PlannedStack()
    fleet = Fleet()
    if seen.plan:
        fleet.add(seen.market, plan.fleet_fingerprints)
    await fleet.add_others(checks, apart_from={seen.name}, now=now)
    past = await _past(row, plan, ledger)
    return Brakes(
        policy=await read_policy(),
        pauses=await read_pauses(ledger),
        heals=past.heals,
        fleet=fleet.spread(plan.fleet_fingerprints),
        refusals=past.refusals,
        approvals=await read_approvals(ledger, row),
    )


async def with_the_last_word(
    brakes: Brakes,
    row: HealRow,
    plan: PlannedStack,
    *,
    read_policy: PolicyReading,
    ledger: HealLedger,
) -> Brakes:
    """The same with what a person may have said meanwhile. The heals are not read again: this one is among them by now."""
    refusals = (await _past(row, plan, ledger)).refusals
    return replace(brakes, refusals=refusals, policy=await read_policy(), pauses=await read_pauses(ledger))


async def _past(row: HealRow, plan: PlannedStack, ledger: HealLedger) -> Past:
    job = row.job
    return await read_past(ledger, market=job.market, stack=job.stack, findings=plan.findings, job_id=job.job_id)

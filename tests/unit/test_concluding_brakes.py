"""What the ledger knows that withholds a heal, and how long a run waits for the names of who clicked."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import pytest

from drift import concluding
from records.errors import StoreUnavailableError
from records.heal_ledger import HealStep, Lever, LeverUse
from records.plan_checks import Decision, HoldReason, StackCheck
from records.resource_changes import ResourceChange
from records.results import Run
from tests.unit.observation_samples import CLICK, NOW, Bench, MemoryChanges, clicked, seen

DOWN: Final = StoreUnavailableError("heals", "503 ServerBusy")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def outcome_of(check: StackCheck) -> Decision | HoldReason:
    return check.reason or check.decision


@pytest.mark.parametrize(
    ("market", "outcomes"),
    [
        pytest.param(None, [HoldReason.PAUSED, HoldReason.PAUSED], id="all"),
        pytest.param("de", [HoldReason.PAUSED, Decision.HEAL], id="its own"),
    ],
)
async def test_a_pause_holds_the_markets_that_it_is_of(
    bench: Bench, market: str | None, outcomes: list[Decision | HoldReason]
) -> None:
    await bench.ledger.pull(use=LeverUse(lever=Lever.PAUSE, by="alice", reason="migration", at=NOW, market=market))
    concluded = await bench.conclude(clicked("de"), clicked("fr"))
    assert [outcome_of(one.check) for one in concluded] == outcomes
    assert [job.market for job in bench.queue.sent] == (["fr"] if market else [])
    assert "alice paused healing" in concluded[0].check.why


@pytest.mark.parametrize("method", ["pauses", "of_stack"])
async def test_a_ledger_that_cannot_be_read_holds_what_has_drifted_and_nothing_else(bench: Bench, method: str) -> None:
    bench.ledger.refuse(method, DOWN)
    drifted, clean = await bench.conclude(clicked("de"), seen("fr"))
    assert drifted.check.reason is HoldReason.INCONCLUSIVE
    assert "cannot be read: heals: 503 ServerBusy." in drifted.check.why
    assert clean.check.decision is Decision.CLEAN
    assert bench.queue.sent == []


async def heal(bench: Bench, serial: int) -> StackCheck:
    """A run in which the stack is clicked on this serial, and a worker that applies what it queues."""
    bench.now += timedelta(hours=1)
    run = Run(run_id=f"plans-{bench.now:%d%H%M}", started_at=bench.now)
    check = await bench.check_of(clicked(serial=serial), run=run)
    if check.decision is Decision.HEAL:
        kept = await bench.ledger.find(job_id=check.job_id or "")
        assert kept
        row = kept.row
        for step in (HealStep.BEGUN, HealStep.JUDGED, HealStep.APPLYING, HealStep.APPLIED, HealStep.VERIFIED):
            row = row.moved(step, at=bench.now)
        await bench.ledger.put(row=row, replaces=kept.etag)
    return check


@pytest.mark.parametrize("step", [0, 1], ids=["the same serial", "a serial that moves with each heal"])
async def test_the_fourth_time_within_a_day_the_same_drift_is_held_on(bench: Bench, step: int) -> None:
    checks = [await heal(bench, 42 + number * step) for number in range(4)]
    assert [outcome_of(check) for check in checks] == [Decision.HEAL] * 3 + [HoldReason.OSCILLATING]
    assert len({check.job_id for check in checks}) == (4 if step else 1)
    bench.now += timedelta(hours=24)
    assert (await heal(bench, 50)).decision is Decision.HEAL


async def test_heals_of_another_drift_or_another_stack_are_not_counted(bench: Bench) -> None:
    for number in range(3):
        await heal(bench, 42 + number)
    bench.now += timedelta(minutes=1)
    other = CLICK.model_copy(update={"address": "azurerm_subnet.other"})
    run = Run(run_id="plans-other", started_at=bench.now)
    concluded = await bench.conclude(seen("de", "network", other), clicked("de", "app"), run=run)
    assert [one.check.decision for one in concluded] == [Decision.HEAL] * 2


HUB: Final = "/subscriptions/1/resourceGroups/rg/providers/Microsoft.Network/networkSecurityGroups/hub"


@dataclass(slots=True)
class SlowChanges(MemoryChanges):
    """Of one subscription it never answers."""

    silent: str = "s-fr"
    cancelled: bool = False

    async def last_changes(
        self, *, subscription_id: str, resource_ids: Collection[str]
    ) -> Mapping[str, ResourceChange]:
        if subscription_id == self.silent:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled = True
        return await MemoryChanges.last_changes(self, subscription_id=subscription_id, resource_ids=resource_ids)


async def test_who_clicked_is_told_as_far_as_it_was_learnt_in_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concluding, "_AUTHORS_LIMIT_SECONDS", 0.05)
    alice = ResourceChange(changed_by="alice@example.com", changed_at=NOW, client="Portal")
    changes = SlowChanges(known={HUB.lower(): alice, f"{HUB}-fr".lower(): alice})
    click, french = (CLICK.model_copy(update={"resource_id": identity}) for identity in (HUB, f"{HUB}-fr"))
    concluded = await bench.conclude(seen("de", "network", click), seen("fr", "network", french), changes=changes)
    assert [one.check.findings[0].changed_by for one in concluded] == ["alice@example.com", None]
    assert [one.is_queued for one in concluded] == [True, True]
    assert changes.cancelled

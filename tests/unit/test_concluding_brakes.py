"""What the ledger knows that withholds a heal, and how long a run waits for the names of who clicked."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import pytest

from drift import concluding
from records.errors import StoreUnavailableError
from records.findings import AttributeChange, Finding
from records.heal_ledger import HealRow, HealStep, Lever, LeverUse
from records.plan_checks import Decision, HoldReason, StackCheck
from records.resource_changes import ResourceChange
from records.results import Run
from tests.unit.drift_samples import finding
from tests.unit.observation_samples import CLICK, LATER_RUN, NOW, Bench, MemoryChanges, clicked, seen

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


async def heal(bench: Bench, serial: int, *found: Finding) -> StackCheck:
    """A run in which the stack is clicked on this serial, and a worker that applies what it queues."""
    bench.now += timedelta(hours=1)
    run = Run(run_id=f"plans-{bench.now:%d%H%M}", started_at=bench.now)
    check = await bench.check_of(seen("de", "network", *(found or (CLICK,)), serial=serial), run=run)
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


def set_to(value: str) -> Finding:
    return CLICK.model_copy(update={"attributes": (AttributeChange(path="access", before=value, after="Deny"),)})


async def test_so_is_one_whose_value_is_another_each_time(bench: Bench) -> None:
    checks = [await heal(bench, 42, set_to(f"10.0.0.{number}")) for number in range(4)]
    assert [outcome_of(check) for check in checks] == [Decision.HEAL] * 3 + [HoldReason.OSCILLATING]


async def test_so_is_one_that_comes_with_something_else_each_time(bench: Bench) -> None:
    checks = [await heal(bench, 42, CLICK, finding(f"azurerm_subnet.s{number}")) for number in range(4)]
    assert [outcome_of(check) for check in checks] == [Decision.HEAL] * 3 + [HoldReason.OSCILLATING]


async def ended(bench: Bench, step: HealStep) -> HealRow:
    """A click that is queued, and a job that ends so."""
    check = await bench.check_of(clicked(), run=LATER_RUN)
    kept = await bench.ledger.find(job_id=check.job_id or "")
    assert kept
    row = kept.row.moved(step, at=bench.now, by="alice@example.com", note="It is a hotfix.")
    await bench.ledger.put(row=row, replaces=kept.etag)
    return row


@pytest.mark.parametrize("serial", [42, 43], ids=["the same serial", "a serial that has moved"])
async def test_what_a_person_has_rejected_is_held_whatever_else_has_drifted(bench: Bench, serial: int) -> None:
    row = await ended(bench, HealStep.REJECTED)
    bench.queue.sent.clear()
    check = await bench.check_of(seen("de", "network", CLICK, finding("azurerm_subnet.b"), serial=serial))
    assert (check.decision, check.reason) == (Decision.HOLD, HoldReason.APPROVAL_REQUIRED)
    assert f"alice@example.com rejected job {row.job.job_id[:12]}" in check.why
    assert f"`trueup drift retry {row.job.job_id[:12]}` takes that back." in check.why
    assert bench.queue.sent == []
    assert (await bench.check_of(seen("fr", "network", CLICK))).decision is Decision.HEAL


async def test_a_job_that_has_failed_is_no_heal_until_a_person_takes_it_up(bench: Bench) -> None:
    row = await ended(bench, HealStep.FAILED)
    check = await bench.check_of(clicked())
    assert (check.decision, check.reason) == (Decision.HOLD, HoldReason.APPROVAL_REQUIRED)
    assert f"Job {row.job.job_id[:12]} failed on" in check.why
    assert f"`trueup drift retry {row.job.job_id[:12]}` queues it again." in check.why


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

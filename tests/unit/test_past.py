"""What the ledger knows of a drift from before: by what is put back, whatever stood there and whatever drifted beside it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from drift.checks import finding_fingerprints, touched_attributes
from drift.past import Past, read_past
from drift.situation import Unread
from records.errors import StoreUnavailableError
from records.findings import AttributeChange, Finding, FindingKind
from records.heal_ledger import HealRow, HealStep
from tests.fakes_drift import MemoryHealLedger
from tests.unit.drift_samples import finding
from tests.unit.observation_samples import NOW
from tests.unit.test_heal_ledger_rules import moved, path_to
from tests.unit.test_heal_messages import JOB, ROW

DOWN: Final = StoreUnavailableError("heals", "503 ServerBusy")
CLICK: Final = finding()
BESIDE: Final = finding("azurerm_subnet.b")
APPLIED: Final = (*path_to(HealStep.APPLYING), HealStep.APPLIED, HealStep.VERIFIED)


@pytest.fixture
def ledger() -> MemoryHealLedger:
    return MemoryHealLedger()


def set_to(value: str, *, path: str = "access", address: str = CLICK.address) -> Finding:
    """Somebody has set it to this value."""
    change = AttributeChange(path=path, before=value, after="Deny")
    return finding(address).model_copy(update={"attributes": (change,)})


def row_of(*found: Finding, job: str = "1", steps: Sequence[HealStep] = APPLIED, **changes: Any) -> HealRow:
    names = {
        "finding_fingerprints": finding_fingerprints(found),
        "attribute_fingerprints": touched_attributes(found),
        "job": JOB.model_copy(update={"job_id": job * 64, "market": "de", "stack": "network"}),
    }
    return moved(ROW, *steps).model_copy(update=names | changes)


def at(row: HealRow, moment: datetime) -> HealRow:
    return row.model_copy(update={"events": tuple(event.model_copy(update={"at": moment}) for event in row.events)})


async def past(ledger: MemoryHealLedger, *found: Finding, job_id: str | None = None) -> Past:
    return await read_past(ledger, market="de", stack="network", findings=found, job_id=job_id)


async def heals(ledger: MemoryHealLedger, *found: Finding) -> tuple[datetime, ...]:
    known = (await past(ledger, *found)).heals
    assert not isinstance(known, Unread)
    return known


class TestTheHeals:
    async def test_of_a_value_that_is_another_each_time_are_of_one_drift(self, ledger: MemoryHealLedger) -> None:
        for job in "123":
            await ledger.put(row=row_of(set_to(f"10.0.0.{job}"), job=job), replaces=None)
        assert await heals(ledger, set_to("10.0.0.4")) == (NOW, NOW, NOW)

    async def test_of_a_key_that_is_another_each_time_are_of_one_drift(self, ledger: MemoryHealLedger) -> None:
        await ledger.put(row=row_of(set_to("x", path='tags["seen-1"]')), replaces=None)
        assert await heals(ledger, set_to("x", path="tags.seen-2")) == (NOW,)

    async def test_count_beside_another_drift_of_the_plan_then_or_now(self, ledger: MemoryHealLedger) -> None:
        await ledger.put(row=row_of(CLICK, BESIDE, job="1"), replaces=None)
        await ledger.put(row=row_of(CLICK, finding("azurerm_subnet.c"), job="2"), replaces=None)
        assert await heals(ledger, CLICK, finding("azurerm_subnet.d")) == (NOW, NOW)

    async def test_of_one_thing_and_of_another_are_not_added_up(self, ledger: MemoryHealLedger) -> None:
        hour = timedelta(hours=1)
        for number, (job, one) in enumerate([("1", CLICK), ("2", BESIDE), ("3", CLICK)]):
            await ledger.put(row=at(row_of(one, job=job), NOW + number * hour), replaces=None)
        assert await heals(ledger, CLICK, BESIDE) == (NOW + 2 * hour, NOW)
        assert await heals(ledger, BESIDE) == (NOW + hour,)

    async def test_of_what_is_deleted_again_and_again_are_of_one_drift(self, ledger: MemoryHealLedger) -> None:
        def created(path: str) -> Finding:
            return finding(actions=("create",), paths=(path,))

        await ledger.put(row=row_of(created("access")), replaces=None)
        assert await heals(ledger, created("priority")) == (NOW,)
        assert await heals(ledger, finding()) == ()

    @pytest.mark.parametrize(
        "other",
        [
            row_of(set_to("Allow", path="priority")),
            row_of(BESIDE),
            row_of(CLICK, job="2", steps=(HealStep.BEGUN,)),
            row_of(CLICK).model_copy(update={"job": JOB.model_copy(update={"market": "fr"})}),
        ],
        ids=["of another attribute", "of another resource", "that was not applied", "of another market"],
    )
    async def test_are_none(self, ledger: MemoryHealLedger, other: HealRow) -> None:
        await ledger.put(row=other, replaces=None)
        assert await heals(ledger, CLICK) == ()

    async def test_of_a_row_of_an_earlier_version_are_told_by_the_same_findings(self, ledger: MemoryHealLedger) -> None:
        await ledger.put(row=row_of(set_to("1"), BESIDE, attribute_fingerprints=()), replaces=None)
        assert await heals(ledger, set_to("1")) == (NOW,)
        assert await heals(ledger, set_to("2")) == ()

    async def test_are_none_where_nothing_would_change_and_nobody_is_asked(self, ledger: MemoryHealLedger) -> None:
        ledger.refuse("of_stack", DOWN)
        assert await past(ledger) == Past()
        assert await past(ledger, finding(kind=FindingKind.STALE_STATE, actions=("no-op",))) == Past()

    async def test_are_unread_and_not_none_where_the_ledger_is_down(self, ledger: MemoryHealLedger) -> None:
        ledger.refuse("of_stack", DOWN)
        unread = Unread("The earlier heals cannot be read: heals: 503 ServerBusy.")
        assert await past(ledger, CLICK) == Past(heals=unread, refusals=unread)


class TestARefusal:
    async def sentences(self, ledger: MemoryHealLedger, *found: Finding, job_id: str | None = None) -> list[str]:
        known = (await past(ledger, *found, job_id=job_id)).refusals
        assert not isinstance(known, Unread)
        return [refusal.sentence for refusal in known]

    def rejected(self, *found: Finding, **changes: Any) -> HealRow:
        row = row_of(*found, steps=path_to(HealStep.REJECTED), **changes)
        last = row.events[-1].model_copy(update={"by": "alice@example.com", "note": "It is a hotfix"})
        return row.model_copy(update={"events": (*row.events[:-1], last)})

    @pytest.mark.parametrize(
        ("then", "now"),
        [
            ((CLICK,), (CLICK,)),
            ((CLICK,), (CLICK, BESIDE)),
            ((CLICK, BESIDE), (CLICK,)),
            ((set_to("1"),), (set_to("2"),)),
        ],
        ids=["the same", "something beside it", "less than was rejected", "another value"],
    )
    async def test_of_a_person_stands_for_what_it_was_of(
        self, ledger: MemoryHealLedger, then: tuple[Finding, ...], now: tuple[Finding, ...]
    ) -> None:
        await ledger.put(row=self.rejected(*then), replaces=None)
        assert await self.sentences(ledger, *now) == [
            "alice@example.com rejected job 111111111111 on 2026-11-25 06:00 UTC: It is a hotfix. "
            "`trueup drift retry 111111111111` takes that back."
        ]
        assert await self.sentences(ledger, finding("azurerm_subnet.z")) == []

    async def test_is_told_of_a_row_of_an_earlier_version(self, ledger: MemoryHealLedger) -> None:
        await ledger.put(row=self.rejected(CLICK, attribute_fingerprints=()), replaces=None)
        assert len(await self.sentences(ledger, CLICK, BESIDE)) == 1

    async def test_that_was_taken_back_is_none(self, ledger: MemoryHealLedger) -> None:
        row = self.rejected(CLICK).moved(HealStep.QUEUED, at=NOW).moved(HealStep.SUPERSEDED, at=NOW)
        await ledger.put(row=row, replaces=None)
        assert await self.sentences(ledger, CLICK) == []

    async def test_by_a_failure_is_of_that_very_job(self, ledger: MemoryHealLedger) -> None:
        row = row_of(CLICK, steps=path_to(HealStep.FAILED))
        await ledger.put(row=row, replaces=None)
        assert await self.sentences(ledger, CLICK, job_id="2" * 64) == []
        assert await self.sentences(ledger, CLICK, job_id=row.job.job_id) == [
            "Job 111111111111 failed on 2026-11-25 06:00 UTC. `trueup drift retry 111111111111` queues it again."
        ]

"""Entering a job in the ledger before its message is sent: once, whoever asks, and not over a person's word."""

from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from drift.brakes import read_pauses
from drift.checks import finding_fingerprints, touched_attributes
from drift.opening import Opening, open_job, opened, requeue_cut_off
from drift.situation import Unread
from records.drift_ports import Kept
from records.errors import BlobChangedError, StoreUnavailableError
from records.heal_ledger import ENDED, Approval, HealEvent, HealRow, HealStep, Lever, LeverUse, OwnLock
from records.heals import HealJob
from records.plan_checks import HoldReason
from tests.fakes_drift import MemoryHealLedger, MemoryHealQueue
from tests.unit.drift_samples import finding
from tests.unit.observation_samples import NOW
from tests.unit.test_heal_ledger_rules import moved, path_to
from tests.unit.test_heal_messages import JOB, ROW

DOWN: Final = StoreUnavailableError("heals", "503 ServerBusy")
HOUR: Final = timedelta(hours=1)
A_PERSONS: Final = {HealStep.REJECTED, HealStep.FAILED}
GOING_ON: Final = set(HealStep) - ENDED
FOUND: Final = (finding("azurerm_subnet.a"), finding("azurerm_subnet.b"))
NAMES: Final = finding_fingerprints(FOUND)
ATTRIBUTES: Final = touched_attributes(FOUND)


def job(at: datetime = NOW + HOUR, **changes: Any) -> HealJob:
    return JOB.model_copy(update={"queued_at": at, "expires_at": at + timedelta(hours=6), **changes})


def again(before: HealRow | None, at: datetime = NOW + HOUR, run_id: str = "plans-2") -> HealRow | None:
    """The row after a later run has found the same drift at this time."""
    return opened(before, job(at), FOUND, run_id=run_id)


def test_a_job_that_nobody_has_seen_is_queued() -> None:
    row = again(None)
    assert row == HealRow(
        job=job(),
        step=HealStep.QUEUED,
        run_id="plans-2",
        finding_fingerprints=NAMES,
        attribute_fingerprints=ATTRIBUTES,
        events=(HealEvent(step=HealStep.QUEUED, at=NOW + HOUR),),
    )


@pytest.mark.parametrize("step", sorted(ENDED - A_PERSONS))
def test_a_job_is_queued_anew_that_is(step: HealStep) -> None:
    of_an_apply = {"applying_since": NOW, "left_serial": 43, "own_lock": OwnLock(id="apply-0", who="us@here")}
    before = moved(ROW, *path_to(step)).model_copy(update={**of_an_apply, "reason": HoldReason.FROZEN})
    row = again(before)
    assert row
    assert (row.step, row.job, row.run_id) == (HealStep.QUEUED, job(), "plans-2")
    assert (row.finding_fingerprints, row.attribute_fingerprints) == (NAMES, ATTRIBUTES)
    assert row.reason is None
    assert row.events == (*before.events, HealEvent(step=HealStep.QUEUED, at=NOW + HOUR))
    assert (row.applying_since, row.left_serial, row.own_lock) == (None, None, None), "the records are healthy again"


@pytest.mark.parametrize("step", sorted(A_PERSONS))
@pytest.mark.parametrize("at", [NOW + HOUR, NOW + 1000 * HOUR], ids=["soon", "much later"])
def test_a_job_waits_for_a_person_that_is(step: HealStep, at: datetime) -> None:
    assert again(moved(ROW, *path_to(step)), at) is None


@pytest.mark.parametrize("step", sorted(GOING_ON))
def test_a_job_goes_on_until_its_message_has_expired_that_is(step: HealStep) -> None:
    before = moved(ROW, *path_to(step)).model_copy(update={"applying_since": NOW, "left_serial": 43})
    assert again(before, JOB.expires_at - timedelta(microseconds=1)) is None
    row = again(before, JOB.expires_at)
    assert row
    assert row.step is HealStep.QUEUED
    assert (row.applying_since, row.left_serial) == (NOW, 43), "that it may have been applied is not forgotten"


@pytest.mark.parametrize("step", sorted(set(HealStep) - A_PERSONS))
async def test_a_run_that_ends_twice_queues_no_job_of_its_own_anew_that_is(step: HealStep) -> None:
    ledger = MemoryHealLedger()
    row = moved(ROW, *path_to(step))
    await ledger.put(row=row, replaces=None)
    assert await open_job(ledger, job(JOB.expires_at), FOUND, run_id=ROW.run_id) is Opening.BY_THIS_RUN
    assert ledger.all_rows == [row]


def test_no_approval_outlives_what_it_was_given_for() -> None:
    approval = Approval(reason=HoldReason.FROZEN, by="alice", at=NOW)
    row = again(moved(ROW, HealStep.HELD).model_copy(update={"approvals": (approval,)}))
    assert row
    assert row.approvals == ()


class TestOfTwoWhoEnterAJob:
    @pytest.fixture
    def ledger(self) -> MemoryHealLedger:
        return MemoryHealLedger()

    async def enter(self, ledger: MemoryHealLedger, run_id: str = "plans-2") -> Opening:
        return await open_job(ledger, job(), FOUND, run_id=run_id)

    async def test_one_after_the_other_the_first_does(self, ledger: MemoryHealLedger) -> None:
        assert await self.enter(ledger) is Opening.OPENED
        assert await self.enter(ledger, "plans-3") is Opening.ALREADY_OPEN
        assert [row.run_id for row in ledger.all_rows] == ["plans-2"]

    @pytest.mark.parametrize(
        ("other", "told"),
        [("plans-3", Opening.ALREADY_OPEN), ("plans-2", Opening.BY_THIS_RUN)],
        ids=["for another run", "for one run that ends twice"],
    )
    @pytest.mark.parametrize("is_there", [False, True], ids=["a new one", "one that had ended"])
    async def test_at_one_moment_one_does(
        self, ledger: MemoryHealLedger, is_there: bool, other: str, told: Opening
    ) -> None:
        if is_there:
            await ledger.put(row=moved(ROW, HealStep.HELD), replaces=None)
        put = ledger.put

        async def put_after_the_other(*, row: HealRow, replaces: str | None) -> str:
            ledger.put = put  # type: ignore[method-assign]
            assert await self.enter(ledger, other) is Opening.OPENED
            return await put(row=row, replaces=replaces)

        ledger.put = put_after_the_other  # type: ignore[method-assign]
        assert await self.enter(ledger) is told
        assert [row.run_id for row in ledger.all_rows] == [other]

    @pytest.mark.parametrize("method", ["row", "put"])
    async def test_where_the_ledger_is_down_neither_does(self, ledger: MemoryHealLedger, method: str) -> None:
        ledger.refuse(method, DOWN)
        with pytest.raises(StoreUnavailableError):
            await self.enter(ledger)

    async def test_a_row_of_a_later_version_is_not_taken_for_none(self, ledger: MemoryHealLedger) -> None:
        ledger.put_text(JOB, '{"of": "a later version"}')
        with pytest.raises(StoreUnavailableError):
            await self.enter(ledger)

    async def test_a_worker_finds_that_its_job_was_queued_anew(self, ledger: MemoryHealLedger) -> None:
        expired = moved(ROW, HealStep.BEGUN, HealStep.JUDGED)
        kept = Kept(expired, await ledger.put(row=expired, replaces=None))
        late = job(JOB.expires_at)
        assert await open_job(ledger, late, FOUND, run_id="plans-2") is Opening.OPENED
        with pytest.raises(BlobChangedError):
            await ledger.put(row=kept.row.moved(HealStep.APPLYING, at=NOW), replaces=kept.etag)


class TestWhatTheLedgerKnows:
    @pytest.fixture
    def ledger(self) -> MemoryHealLedger:
        return MemoryHealLedger()

    async def test_is_every_pause_in_force(self, ledger: MemoryHealLedger) -> None:
        uses = [LeverUse(lever=Lever.PAUSE, by="alice", reason="x", at=NOW, market=market) for market in (None, "de")]
        for use in uses:
            await ledger.pull(use=use)
        assert await read_pauses(ledger) == tuple(uses)

    async def test_is_unread_and_not_none_where_it_is_down(self, ledger: MemoryHealLedger) -> None:
        ledger.refuse("pauses", DOWN)
        known = await read_pauses(ledger)
        assert isinstance(known, Unread)
        assert known.why.endswith("cannot be read: heals: 503 ServerBusy.")


class TestAJobThatWasCutOff:
    async def requeue(self, ledger: MemoryHealLedger, queue: MemoryHealQueue, now: datetime) -> list[HealJob]:
        again = requeue_cut_off(ledger, queue, now=now, expires_at=now + HOUR)
        return [one async for one in again]

    async def put(self, ledger: MemoryHealLedger, step: HealStep, since: datetime | None) -> HealRow:
        row = moved(ROW, *path_to(step)).model_copy(update={"applying_since": since})
        await ledger.put(row=row, replaces=None)
        return row

    @pytest.mark.parametrize("step", sorted(GOING_ON))
    async def test_is_queued_anew_once_its_message_has_expired(self, step: HealStep) -> None:
        ledger, queue = MemoryHealLedger(), MemoryHealQueue()
        await self.put(ledger, step, NOW)
        assert await self.requeue(ledger, queue, JOB.expires_at - timedelta(microseconds=1)) == []
        [again] = await self.requeue(ledger, queue, JOB.expires_at)
        assert queue.sent == [again]
        [row] = ledger.all_rows
        assert (row.step, row.job, row.applying_since) == (HealStep.QUEUED, again, NOW)
        assert (again.queued_at, again.expires_at) == (JOB.expires_at, JOB.expires_at + HOUR)
        assert await self.requeue(ledger, queue, JOB.expires_at) == [], "it waits now"

    @pytest.mark.parametrize(
        ("step", "since"),
        [(HealStep.BEGUN, None), (HealStep.HELD, None), *((step, NOW) for step in sorted(ENDED - {HealStep.HELD}))],
        ids=str,
    )
    async def test_is_none_that_was_never_applied_or_has_ended(self, step: HealStep, since: datetime | None) -> None:
        ledger, queue = MemoryHealLedger(), MemoryHealQueue()
        row = await self.put(ledger, step, since)
        assert await self.requeue(ledger, queue, JOB.expires_at) == []
        assert (ledger.all_rows, queue.sent) == ([row], [])

    async def test_is_sent_by_one_of_two_at_one_moment(self) -> None:
        ledger, queue = MemoryHealLedger(), MemoryHealQueue()
        await self.put(ledger, HealStep.APPLYING, NOW)
        ledger.refuse("put", BlobChangedError("heals", "the row is another"))
        assert await self.requeue(ledger, queue, JOB.expires_at) == []
        assert queue.sent == []

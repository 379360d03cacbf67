"""The steps of a job: which may follow which, and what a row keeps whatever way it goes."""

from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.healing.entry import LedgerEntry
from records.drift_ports import Kept
from records.heal_ledger import ENDED, MOST_EVENTS, TRANSITIONS, HealEvent, HealRow, HealStep, IllegalStepError
from records.plan_checks import HoldReason
from tests.fakes_drift import MemoryHealLedger
from tests.unit.healing_bench import RecordingHealTelemetry
from tests.unit.observation_samples import NOW
from tests.unit.test_heal_messages import JOB, ROW

CONCLUDED: Final = {HealStep.VERIFIED, HealStep.NOT_CONVERGED}
BY_HAND: Final = {HealStep.QUEUED, HealStep.REJECTED}
"""Steps that a check or a lever takes; the others are a worker's."""


def path_to(step: HealStep) -> list[HealStep]:
    """The shortest way there from the queue."""
    ways: dict[HealStep, list[HealStep]] = {HealStep.QUEUED: []}
    while step not in ways:
        reached = {
            following: [*way, following]
            for before, way in ways.items()
            for following in TRANSITIONS[before]
            if following not in ways
        }
        assert reached, f"no way leads to {step}"
        ways |= reached
    return ways[step]


def moved(row: HealRow, *steps: HealStep) -> HealRow:
    for step in steps:
        row = row.moved(step, at=NOW)
    return row


class TestTheTable:
    def test_has_every_step(self) -> None:
        assert set(TRANSITIONS) == set(HealStep)

    @pytest.mark.parametrize("step", HealStep)
    def test_leads_to(self, step: HealStep) -> None:
        assert moved(ROW, *path_to(step)).step is step

    @pytest.mark.parametrize("step", HealStep)
    def test_leads_on_to_an_end_from(self, step: HealStep) -> None:
        assert step in ENDED or TRANSITIONS[step] & ENDED

    @pytest.mark.parametrize("step", sorted(ENDED))
    def test_goes_on_by_a_check_or_a_person_alone_from(self, step: HealStep) -> None:
        assert HealStep.QUEUED in TRANSITIONS[step]
        assert TRANSITIONS[step] <= BY_HAND

    @pytest.mark.parametrize("step", sorted(set(HealStep) - ENDED))
    def test_lets_another_worker_and_another_check_take_over_at(self, step: HealStep) -> None:
        assert TRANSITIONS[step] >= {HealStep.BEGUN, HealStep.QUEUED}

    def test_ends_in_these(self) -> None:
        assert {
            HealStep.VERIFIED,
            HealStep.NOT_CONVERGED,
            HealStep.SUPERSEDED,
            HealStep.HELD,
            HealStep.EXPIRED,
            HealStep.FAILED,
            HealStep.REJECTED,
        } == ENDED

    def test_lets_nothing_be_applied_that_was_not_judged(self) -> None:
        assert [step for step, after in TRANSITIONS.items() if HealStep.APPLYING in after] == [HealStep.JUDGED]
        assert [step for step, after in TRANSITIONS.items() if HealStep.APPLIED in after] == [HealStep.APPLYING]

    @pytest.mark.parametrize("step", [HealStep.APPLYING, HealStep.APPLIED])
    def test_never_says_that_nothing_was_applied_after(self, step: HealStep) -> None:
        assert not TRANSITIONS[step] & {HealStep.SUPERSEDED, HealStep.EXPIRED, HealStep.REJECTED}

    @pytest.mark.parametrize("step", HealStep)
    @pytest.mark.parametrize("following", HealStep)
    def test_is_what_a_row_goes_by(self, step: HealStep, following: HealStep) -> None:
        row = ROW.model_copy(update={"step": step})
        if following in TRANSITIONS[step]:
            assert row.moved(following, at=NOW).step is following
        else:
            with pytest.raises(IllegalStepError, match=f"{following} does not follow {step}"):
                row.moved(following, at=NOW)


def test_a_reason_is_forgotten_unless_the_step_has_one() -> None:
    held = ROW.moved(HealStep.HELD, at=NOW, reason=HoldReason.FROZEN, by="alice", note="a note")
    assert held.reason is HoldReason.FROZEN
    assert held.events[-1] == HealEvent(step=HealStep.HELD, at=NOW, reason=HoldReason.FROZEN, by="alice", note="a note")
    assert held.moved(HealStep.QUEUED, at=NOW).reason is None


@st.composite
def walks(draw: st.DrawFn) -> list[HealStep]:
    steps, at = [], HealStep.QUEUED
    for _ in range(draw(st.integers(0, 150))):
        at = draw(st.sampled_from(sorted(TRANSITIONS[at])))
        steps.append(at)
    return steps


@settings(deadline=None)
@given(walks())
def test_whatever_way_a_job_goes_its_events_are_in_order_and_bounded(steps: list[HealStep]) -> None:
    row, all_events = ROW, []
    for number, step in enumerate(steps):
        row = row.moved(step, at=NOW + timedelta(seconds=number))
        all_events.append(row.events[-1])
        assert [event.at for event in row.events] == sorted(event.at for event in row.events)
        assert len(row.events) == min(len(all_events), MOST_EVENTS)
        assert row.events[0] == all_events[0], "how it began is kept"
        assert row.events[1:] == tuple(all_events[1:][-MOST_EVENTS + 1 :])
    assert HealRow.model_validate_json(row.model_dump_json()) == row


@settings(deadline=None)
@given(walks())
async def test_that_a_job_may_have_been_applied_is_forgotten_only_by_what_verified_it(steps: list[HealStep]) -> None:
    """As a worker takes the steps; those of checks and levers are taken beside it."""
    ledger = MemoryHealLedger()
    etag = await ledger.put(row=ROW, replaces=None)
    entry = LedgerEntry(Kept(ROW, etag), ledger, RecordingHealTelemetry(), lambda: NOW)
    may_have_been = False
    for step in steps:
        await take(entry, ledger, step)
        may_have_been = step is HealStep.APPLYING or (may_have_been and step not in CONCLUDED)
        assert bool(entry.row.applying_since) is may_have_been
        assert (await ledger.row(market=JOB.market, stack=JOB.stack, job_id=JOB.job_id)) == entry.kept
        assert entry.row.step is step


async def take(entry: LedgerEntry, ledger: MemoryHealLedger, step: HealStep) -> None:
    workers: dict[HealStep, Any] = {
        HealStep.BEGUN: entry.begin,
        HealStep.JUDGED: lambda: entry.judged(("1" * 64,)),
        HealStep.APPLYING: entry.applying,
        HealStep.APPLIED: lambda: entry.applied(None, left_serial=None, own_lock=None),
    }
    if step in BY_HAND:
        row = entry.row.moved(step, at=NOW)
        entry.kept = Kept(row, await ledger.put(row=row, replaces=entry.kept.etag))
    elif step in workers:
        await workers[step]()
    else:
        await entry.end(step, "a note")


def test_applies_are_counted_by_when_they_began() -> None:
    row, way = ROW, [HealStep.BEGUN, HealStep.JUDGED, HealStep.APPLYING, HealStep.APPLIED, HealStep.VERIFIED]
    for number, step in enumerate([*way, HealStep.QUEUED, *way[:3], HealStep.BEGUN, HealStep.HELD]):
        row = row.moved(step, at=NOW + timedelta(minutes=number))
    assert row.applied_at == (NOW + timedelta(minutes=2), NOW + timedelta(minutes=8))

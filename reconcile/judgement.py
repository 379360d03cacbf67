"""The truth table: three records in, one verdict out.

The conditions stand in the order of the design's table and the first that holds decides. Each is a function of
`Votes`, the few values of the records that are compared.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from records.readings import Present, StackReadings, StateHead, Unreadable
from records.registry import RegistryEntry
from records.results import Lineages, Serials
from records.tracker import TrackerRecord
from records.verdicts import OddOneOut, Tier, Verdict

TIMES_AGREE_WITHIN_SECONDS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A row of the truth table, and by how much the odd one is off."""

    verdict: Verdict
    odd_one_out: OddOneOut
    serial_delta: int | None = None
    time_delta_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Votes:
    """What the readings say to each other. ``state_changed_at`` is UTC, None without a state."""

    readings: StackReadings
    tier: Tier | None
    state_changed_at: datetime | None

    @property
    def state(self) -> StateHead | None:
        return self.readings.state.record if isinstance(self.readings.state, Present) else None

    @property
    def tracker(self) -> TrackerRecord | None:
        return self.readings.tracker.record if isinstance(self.readings.tracker, Present) else None

    @property
    def registry(self) -> RegistryEntry | None:
        return self.readings.registry.record if isinstance(self.readings.registry, Present) else None

    @property
    def serials(self) -> Serials:
        return Serials(
            state=self.state.serial if self.state else None,
            tracker=self.tracker.serial if self.tracker else None,
            registry=self.registry.serial if self.registry else None,
        )

    @property
    def lineages(self) -> Lineages:
        return Lineages(
            state=self.state.lineage if self.state else None,
            tracker=self.tracker.lineage if self.tracker else None,
            registry=self.registry.lineage if self.registry else None,
        )

    @property
    def record_time(self) -> datetime | None:
        """Tier 3's time of the last deploy: the registry's, else the tracker's."""
        claims = [record.deployed_at for record in (self.registry, self.tracker) if record]
        return next(filter(None, claims), None)

    @property
    def claims_a_deploy(self) -> bool:
        records = [record for record in (self.tracker, self.registry) if record]
        return any(record.serial is not None or record.deployed_at is not None for record in records)

    @property
    def content_is_the_trackers(self) -> bool:
        """Whether the state's MD5 is the one the tracker gives; a state without one cannot be shown to be."""
        if self.tracker is None or self.tracker.state_md5 is None:
            return True
        state = self.readings.state
        return isinstance(state, Present) and state.blob.content_md5 == self.tracker.state_md5


def tier_of(readings: StackReadings) -> Tier | None:
    """What can be compared; None where a record that would decide it is unreadable: only absence chooses a lower tier."""
    if isinstance(readings.tracker, Unreadable):
        return None
    if isinstance(readings.tracker, Present) and readings.tracker.record.serial is not None:
        return Tier.THREE_RECORDS
    if isinstance(readings.registry, Unreadable):
        return None
    if isinstance(readings.registry, Present) and readings.registry.record.serial is not None:
        return Tier.REGISTRY_AND_STATE
    return Tier.TIMES


def judge(votes: Votes) -> Judgement:
    """The first row of the truth table that fits; the last row is what remains when nothing can be compared."""
    fitting = (row(votes) for row in _ROWS)
    return next(filter(None, fitting), _UNVERIFIABLE)


def _unreadable(votes: Votes) -> Judgement | None:
    readings = votes.readings
    unread = [
        record
        for record, reading in (
            (OddOneOut.STATE, readings.state),
            (OddOneOut.TRACKER, readings.tracker),
            (OddOneOut.REGISTRY, readings.registry),
        )
        if isinstance(reading, Unreadable)
    ]
    if not unread:
        return None
    return Judgement(verdict=Verdict.UNREADABLE, odd_one_out=unread[0] if len(unread) == 1 else OddOneOut.UNDETERMINED)


def _unregistered(votes: Votes) -> Judgement | None:
    if votes.registry is None and (votes.state or votes.tracker):
        return Judgement(verdict=Verdict.UNREGISTERED, odd_one_out=OddOneOut.REGISTRY)
    return None


def _not_deployed(votes: Votes) -> Judgement | None:
    if votes.state is None and not votes.claims_a_deploy:
        return Judgement(verdict=Verdict.NOT_DEPLOYED, odd_one_out=OddOneOut.NONE)
    return None


def _state_missing(votes: Votes) -> Judgement | None:
    if votes.state is None:
        return Judgement(verdict=Verdict.STATE_MISSING, odd_one_out=OddOneOut.STATE)
    return None


def _lineage_mismatch(votes: Votes) -> Judgement | None:
    voters = (
        (OddOneOut.STATE, votes.lineages.state),
        (OddOneOut.TRACKER, votes.lineages.tracker),
        (OddOneOut.REGISTRY, votes.lineages.registry),
    )
    lineages = {record: lineage for record, lineage in voters if lineage}
    if len(set(lineages.values())) < 2:
        return None
    alone = [record for record, own in lineages.items() if list(lineages.values()).count(own) == 1]
    odd = alone[0] if len(alone) == 1 else OddOneOut.UNDETERMINED
    return Judgement(verdict=Verdict.LINEAGE_MISMATCH, odd_one_out=odd)


def _by_three_records(votes: Votes) -> Judgement | None:
    serials = votes.serials
    state, tracker, registry = serials.state, serials.tracker, serials.registry
    if votes.tier is not Tier.THREE_RECORDS or state is None or tracker is None:
        return None
    if state == tracker and not votes.content_is_the_trackers:
        # Even where the registry differs: were this `registry_behind`, its remedy would bless the fork.
        return Judgement(verdict=Verdict.STATE_FORKED, odd_one_out=OddOneOut.STATE, serial_delta=0)
    if registry is None:
        return _by_two_serials(state, tracker)
    if state == tracker == registry:
        return Judgement(verdict=Verdict.HEALTHY, odd_one_out=OddOneOut.NONE, serial_delta=0)
    if tracker == registry:
        verdict = Verdict.PIPELINE_DRIFT if state > tracker else Verdict.STATE_ROLLED_BACK
        return Judgement(verdict=verdict, odd_one_out=OddOneOut.STATE, serial_delta=state - tracker)
    if state == registry:
        verdict = Verdict.TRACKER_BEHIND if tracker < state else Verdict.TRACKER_AHEAD
        return Judgement(verdict=verdict, odd_one_out=OddOneOut.TRACKER, serial_delta=tracker - state)
    if state == tracker:
        verdict = Verdict.REGISTRY_BEHIND if registry < state else Verdict.REGISTRY_AHEAD
        return Judgement(verdict=verdict, odd_one_out=OddOneOut.REGISTRY, serial_delta=registry - state)
    return Judgement(verdict=Verdict.RECORDS_SPLIT, odd_one_out=OddOneOut.UNDETERMINED)


def _by_registry_and_state(votes: Votes) -> Judgement | None:
    state, registry = votes.serials.state, votes.serials.registry
    if votes.tier is not Tier.REGISTRY_AND_STATE or state is None or registry is None:
        return None
    return _by_two_serials(state, registry)


def _by_two_serials(state: int, record: int) -> Judgement:
    if state == record:
        return Judgement(verdict=Verdict.HEALTHY, odd_one_out=OddOneOut.NONE, serial_delta=0)
    verdict = Verdict.PIPELINE_DRIFT if state > record else Verdict.STATE_ROLLED_BACK
    return Judgement(verdict=verdict, odd_one_out=OddOneOut.UNDETERMINED, serial_delta=state - record)


def _by_times(votes: Votes) -> Judgement | None:
    if votes.state_changed_at is None or votes.record_time is None:
        return None
    difference = (votes.state_changed_at - votes.record_time).total_seconds()
    # Rounded away from 0, so that what is just beyond the limit is not reported as being on it.
    seconds = math.ceil(difference) if difference > 0 else math.floor(difference)
    if abs(seconds) <= TIMES_AGREE_WITHIN_SECONDS:
        return Judgement(verdict=Verdict.HEALTHY, odd_one_out=OddOneOut.NONE, time_delta_seconds=seconds)
    verdict = Verdict.PIPELINE_DRIFT if seconds > 0 else Verdict.REGISTRY_AHEAD
    return Judgement(verdict=verdict, odd_one_out=OddOneOut.UNDETERMINED, time_delta_seconds=seconds)


_ROWS: Final[tuple[Callable[[Votes], Judgement | None], ...]] = (
    _unreadable,
    _unregistered,
    _not_deployed,
    _state_missing,
    _lineage_mismatch,
    _by_three_records,
    _by_registry_and_state,
    _by_times,
)
_UNVERIFIABLE: Final = Judgement(verdict=Verdict.UNVERIFIABLE, odd_one_out=OddOneOut.UNDETERMINED)

"""From three readings and a clock to the result of one stack. Pure: the same values give the same result."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reconcile.judgement import Votes, judge, tier_of
from reconcile.state_age import content_known_since
from reconcile.wording import remedy_for, summarise
from records.locks import Lock
from records.readings import Absent, ContentSighting, NotLookedFor, Present, Reading, StackReadings, Unreadable
from records.registry import RegistryEntry
from records.results import Evidence, RecordEvidence, RecordStatus, StackResult
from records.tracker import TrackerRecord
from records.verdicts import Note, OddOneOut, Severity, Tier, Verdict

_SEVERITIES: Final = {
    Verdict.HEALTHY: Severity.NONE,
    Verdict.NOT_DEPLOYED: Severity.INFO,
    Verdict.IN_FLIGHT: Severity.INFO,
    Verdict.UNREADABLE: Severity.HIGH,
    Verdict.UNREGISTERED: Severity.MEDIUM,
    Verdict.STATE_MISSING: Severity.CRITICAL,
    Verdict.LINEAGE_MISMATCH: Severity.CRITICAL,
    Verdict.STATE_FORKED: Severity.CRITICAL,
    Verdict.PIPELINE_DRIFT: Severity.HIGH,
    Verdict.STATE_ROLLED_BACK: Severity.CRITICAL,
    Verdict.TRACKER_BEHIND: Severity.MEDIUM,
    Verdict.TRACKER_AHEAD: Severity.MEDIUM,
    Verdict.REGISTRY_BEHIND: Severity.MEDIUM,
    Verdict.REGISTRY_AHEAD: Severity.MEDIUM,
    Verdict.RECORDS_SPLIT: Severity.HIGH,
    Verdict.UNVERIFIABLE: Severity.MEDIUM,
}

_STATUSES: Final = {
    Present: RecordStatus.PRESENT,
    Absent: RecordStatus.ABSENT,
    Unreadable: RecordStatus.UNREADABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StackIdentity:
    """Which stack, and what its market's registry record says of all its stacks."""

    market: str
    stack: str
    subscription_id: str | None = None
    owner: str | None = None


def compare(
    identity: StackIdentity,
    readings: StackReadings,
    *,
    now: datetime,
    in_flight_minutes: int,
    previous: StackResult | None = None,
) -> StackResult:
    """The result of one stack.

    ``previous`` is the stack's latest result, for since when its verdict has stood and for evidence of the state's age; ``now``
    judges a lock's age and is UTC. The rules are the design's truth table (docs/concepts.md).
    """
    changed_at = _state_changed_at(readings, previous)
    votes = Votes(readings=readings, tier=tier_of(readings), state_changed_at=changed_at)
    judgement = judge(votes)
    lock = _lock_of(readings)
    verdict, masked = judgement.verdict, None
    if verdict is not Verdict.HEALTHY and lock and _is_young(lock, now, in_flight_minutes):
        verdict, masked = Verdict.IN_FLIGHT, judgement.verdict
    notes = _notes(votes, lock, now, in_flight_minutes)
    deploys = [record for record in (votes.tracker, votes.registry) if record]
    return StackResult(
        market=identity.market,
        stack=identity.stack,
        subscription_id=identity.subscription_id,
        tier=votes.tier,
        verdict=verdict,
        severity=severity_of(verdict, votes.tier),
        odd_one_out=OddOneOut.NONE if masked else judgement.odd_one_out,
        serials=votes.serials,
        serial_delta=judgement.serial_delta,
        time_delta_seconds=judgement.time_delta_seconds,
        lineages=votes.lineages,
        masked_verdict=masked,
        notes=notes,
        first_seen_at=_first_seen_at(verdict, now, previous),
        healthy_since=_healthy_since(verdict, now, previous),
        state_changed_at=changed_at,
        release=next((record.release for record in deploys if record.release), None),
        commit=next((record.commit for record in deploys if record.commit), None),
        owner=identity.owner,
        summary=summarise(judgement, votes, lock=lock, notes=notes, masked=masked is not None),
        remedy=remedy_for(verdict, identity.market, identity.stack, tier=votes.tier),
        evidence=Evidence(
            state=_evidence(readings.state),
            tracker=_evidence(readings.tracker),
            registry=_evidence(readings.registry),
        ),
    )


def severity_of(verdict: Verdict, tier: Tier | None) -> Severity:
    """How soon a person is needed; only `registry_ahead` depends on the tier."""
    if verdict is Verdict.REGISTRY_AHEAD and tier is Tier.TIMES:
        # A deploy that changed nothing looks so too: it moves the record's time and leaves the state alone.
        return Severity.INFO
    return _SEVERITIES[verdict]


def _state_changed_at(readings: StackReadings, previous: StackResult | None) -> datetime | None:
    if not isinstance(readings.state, Present):
        return None
    sightings = list(readings.earlier)
    if previous and previous.state_changed_at:
        sightings.append(ContentSighting(at=previous.state_changed_at, content_md5=previous.evidence.state.md5))
    return content_known_since(readings.state.blob, sightings)


def _lock_of(readings: StackReadings) -> Lock | None:
    state = readings.state
    return None if isinstance(state, NotLookedFor) or state.blob is None else state.blob.lock


def _is_young(lock: Lock, now: datetime, in_flight_minutes: int) -> bool:
    """Younger than the limit. A lock from further ahead of our clock than that has no believable age, and masks nothing."""
    age_seconds = lock.age_seconds(now)
    return age_seconds is not None and abs(age_seconds) < in_flight_minutes * 60


def _notes(votes: Votes, lock: Lock | None, now: datetime, in_flight_minutes: int) -> tuple[Note, ...]:
    notes = []
    if votes.tier is Tier.THREE_RECORDS and votes.registry and votes.registry.serial is None:
        notes.append(Note.REGISTRY_WITHOUT_SERIAL)
    if lock and lock.created_at is None:
        notes.append(Note.LOCK_OF_UNKNOWN_AGE)
    elif lock and not _is_young(lock, now, in_flight_minutes):
        notes.append(Note.STALE_LOCK)
    return tuple(notes)


def _first_seen_at(verdict: Verdict, now: datetime, previous: StackResult | None) -> datetime | None:
    if verdict is Verdict.HEALTHY:
        return None
    if previous and previous.verdict is verdict and previous.first_seen_at:
        return previous.first_seen_at
    return now


def _healthy_since(verdict: Verdict, now: datetime, previous: StackResult | None) -> datetime | None:
    if verdict is not Verdict.HEALTHY:
        return None
    return (previous and previous.healthy_since) or now


def _evidence(reading: Reading[object] | NotLookedFor) -> RecordEvidence:
    if isinstance(reading, NotLookedFor):
        return RecordEvidence(status=RecordStatus.NOT_LOOKED_FOR)
    record = reading.record if isinstance(reading, Present) else None
    evidence = RecordEvidence(
        status=_STATUSES[type(reading)],
        blob=reading.name,
        state_md5=record.state_md5 if isinstance(record, TrackerRecord) else None,
        deployed_at=record.deployed_at if isinstance(record, TrackerRecord | RegistryEntry) else None,
        fault=reading.fault if isinstance(reading, Unreadable) else None,
    )
    if reading.blob is None:
        return evidence
    return evidence.model_copy(
        update={
            "etag": reading.blob.etag,
            "md5": reading.blob.content_md5,
            "last_modified": reading.blob.last_modified,
            "lock": reading.blob.lock,
        }
    )

"""The truth table read backwards: where two records agree and a tracker or an entry is the odd one out, what it should say.

Pure. A state is never the record that is corrected, and nothing is corrected that a person should look at first.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from recording.author import Author
from recording.entries import entry_following
from recording.trackers import BY_TRUEUP, from_registry, without_bundle, written_by
from recording.unfinished import is_later, is_of_content
from records.faults import GARBLED
from records.judged import JudgedStack
from records.readings import Present, Reading, StateHead, Unreadable
from records.record_log import WrittenKind
from records.registry import RegistryEntry, RegistryRecord
from records.results import RecordStatus, StackResult
from records.tracker import HistoryAction, TrackerRecord
from records.verdicts import OddOneOut, Verdict

_OF_TWO_RECORDS: Final = frozenset(
    {
        Verdict.TRACKER_BEHIND,
        Verdict.TRACKER_AHEAD,
        Verdict.REGISTRY_BEHIND,
        Verdict.REGISTRY_AHEAD,
        Verdict.LINEAGE_MISMATCH,
        Verdict.UNREADABLE,
        Verdict.UNREGISTERED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A record that should say something else: ``after`` instead of ``before``, and ``why`` in sentences.

    ``verdict`` is None for a stack that no record names yet; ``over`` is the tracker's reading where the tracker is corrected.
    """

    market: str
    stack: str
    verdict: Verdict | None
    before: TrackerRecord | RegistryEntry | None
    after: TrackerRecord | RegistryEntry
    over: Reading[TrackerRecord]
    why: str

    @property
    def kind(self) -> WrittenKind:
        return WrittenKind.TRACKER if isinstance(self.after, TrackerRecord) else WrittenKind.REGISTRY


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftAlone:
    """A stack that is not healthy and that no correction mends; ``why`` is a sentence, the result's remedy what to do."""

    result: StackResult
    why: str


def correction_of(
    judged: JudgedStack, *, registry: RegistryRecord | None, author: Author, found: Reading[StateHead] | None = None
) -> Correction | LeftAlone:
    """What would mend this stack. ``found`` is the state at the place that the tracker of an unregistered stack names."""
    result, readings = judged.result, judged.readings
    if result.verdict is Verdict.IN_FLIGHT:
        return LeftAlone(result=result, why="A deploy is running; it writes the records itself.")
    if result.verdict not in _OF_TWO_RECORDS:
        return LeftAlone(result=result, why=_why_a_person(result))
    tracker = readings.tracker.record if isinstance(readings.tracker, Present) else None
    entry = readings.registry.record if isinstance(readings.registry, Present) else None
    state = found if result.verdict is Verdict.UNREGISTERED else readings.state
    if not isinstance(state, Present):
        return LeftAlone(result=result, why=_why_no_state(result, tracker))
    if result.odd_one_out is OddOneOut.REGISTRY and tracker and tracker_has(tracker, state):
        if registry is None and tracker.subscription_id is None:
            why = "The market has no registry record, and the tracker does not say its subscription."
            return LeftAlone(result=result, why=why)
        return _corrected_entry(judged, tracker, registry)
    if result.odd_one_out is OddOneOut.TRACKER and entry and entry_has(entry, state):
        fault = readings.tracker.fault if isinstance(readings.tracker, Unreadable) else None
        if fault and fault.code not in GARBLED:
            # One that was copied names another stack: find out why before it is written over.
            return LeftAlone(result=result, why=f"The tracker cannot be trusted: {fault.message}. {fault.remedy}")
        return _corrected_tracker(judged, tracker, entry, state, author)
    return LeftAlone(result=result, why=_why_a_person(result))


def belated_entry(judged: JudgedStack, *, registry: RegistryRecord | None) -> Correction | None:
    """The entry of a healthy stack that was to follow its tracker and does not yet.

    A deploy that changed nothing leaves this where its recording is cut off between the two: no serial tells it. Only of a
    tracker that trueup wrote, which says so, or where its state is: other hands may keep the two apart on purpose.
    """
    tracker, entry = judged.readings.tracker, judged.readings.registry
    if not isinstance(tracker, Present) or not isinstance(entry, Present):
        return None
    if tracker.record.state is None and tracker.record.deployed_by != BY_TRUEUP:
        return None
    document = registry.stacks.get(judged.result.stack) if registry else None
    after = entry_following(tracker.record, document, location=None)
    if after == entry.record or not _is_earlier(entry.record.deployed_at, tracker.record.deployed_at):
        return None
    return Correction(
        market=judged.result.market,
        stack=judged.result.stack,
        verdict=judged.result.verdict,
        before=entry.record,
        after=after,
        over=tracker,
        why="The serials agree, and the entry is of an earlier deploy of the same content than the tracker.",
    )


def _is_earlier(one: datetime | None, other: datetime | None) -> bool:
    return other is not None and (one is None or one < other)


def finished(
    begun: TrackerRecord,
    state: Present[StateHead],
    *,
    over: Reading[TrackerRecord],
    verdict: Verdict | None,
    has_bundle: bool,
) -> Correction | None:
    """The tracker of a deploy or heal whose recording was cut off; None where it is there, or the state no longer what it left.

    A bundle that did not come so far is not named. A heal's is written only over the deploy that it was a heal of, and only
    while nobody else has put the same content on record: it knows no more than that.
    """
    before = over.record if isinstance(over, Present) else None
    if before == begun or not is_of_content(begun, state) or (before and is_later(before, begun)):
        return None
    is_heal = begun.deployed_by == BY_TRUEUP
    if is_heal and (before is None or before.bundle != begun.bundle or tracker_has(before, state)):
        return None
    run = f"{'heal' if is_heal else 'run'} {begun.run_id}" if begun.run_id else "the pipeline"
    why = f"This state is what {run} left, which was cut off before it had written the tracker."
    after = begun
    if begun.bundle and not has_bundle:
        why += " Its bundle is not there, so the tracker names none until the next deploy."
        after = without_bundle(begun)
    return Correction(
        market=begun.market,
        stack=begun.stack,
        verdict=verdict,
        before=before,
        after=after,
        over=over,
        why=why,
    )


def _corrected_entry(judged: JudgedStack, tracker: TrackerRecord, registry: RegistryRecord | None) -> Correction:
    result, reading = judged.result, judged.readings.registry
    before = reading.record if isinstance(reading, Present) else None
    document = registry.stacks.get(result.stack) if registry else None
    location = None if before else tracker.state
    return Correction(
        market=result.market,
        stack=result.stack,
        verdict=result.verdict,
        before=before,
        after=entry_following(tracker, document, location=location),
        over=judged.readings.tracker,
        why=f"State and tracker agree on serial {tracker.serial}; the registry "
        + (f"says {before.serial}." if before and before.serial is not None else "does not say it."),
    )


def _corrected_tracker(
    judged: JudgedStack,
    tracker: TrackerRecord | None,
    entry: RegistryEntry,
    state: Present[StateHead],
    author: Author,
) -> Correction:
    result = judged.result
    after = from_registry(
        result.market,
        result.stack,
        entry,
        state,
        subscription_id=result.subscription_id,
        previous=tracker,
        written=written_by(author, HistoryAction.REPAIR, previous=tracker),
    )
    why = f"State and registry agree on serial {entry.serial}; the tracker " + (
        f"says {tracker.serial}." if tracker else "cannot be read."
    )
    if tracker and tracker.bundle:
        why += (
            " Which bundle that serial was deployed from nobody says, so the tracker names none until the next deploy."
        )
    return Correction(
        market=result.market,
        stack=result.stack,
        verdict=result.verdict,
        before=tracker,
        after=after,
        over=judged.readings.tracker,
        why=why,
    )


def tracker_has(tracker: TrackerRecord, state: Present[StateHead]) -> bool:
    """Whether the tracker is of this content, and not merely of this serial."""
    same_content = tracker.state_md5 is None or tracker.state_md5 == state.blob.content_md5
    return tracker.serial == state.record.serial and _same(tracker.lineage, state.record.lineage) and same_content


def entry_has(entry: RegistryEntry, state: Present[StateHead]) -> bool:
    return entry.serial == state.record.serial and _same(entry.lineage, state.record.lineage)


def _same(one: str | None, other: str | None) -> bool:
    """An absent lineage has no vote."""
    return not one or not other or one == other


def _why_no_state(result: StackResult, tracker: TrackerRecord | None) -> str:
    if result.verdict is Verdict.UNREGISTERED and tracker and not tracker.state:
        return "Its tracker does not say where the state is, so that nothing confirms it."
    if result.verdict is Verdict.UNREADABLE and result.evidence.state.status is RecordStatus.NOT_LOOKED_FOR:
        return "The registry's entry cannot be read, so that nothing says which state is this stack's."
    return "There is no state to confirm which record is right."


def _why_a_person(result: StackResult) -> str:
    match result.odd_one_out:
        case OddOneOut.STATE:
            return "The state is the odd one out, and a state is never written here."
        case OddOneOut.UNDETERMINED:
            return "No two records agree, so that nothing says what is right."
        case _:
            return "The other two records do not agree in all that this one would have to say."

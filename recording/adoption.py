"""Whether a state is taken into the records as it is, and what its tracker then says. Pure.

Nothing is blessed on the way: where the records there are disagree with the state, that is a finding for a person, and
`accept` is the way to take it for the truth. A stack in the registry is taken in by the very reading of its state that was
judged: one that is read later may be another.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from recording.author import Author
from recording.entries import entry_following
from recording.placing import Place
from recording.trackers import accepting, from_registry, written_by
from records.json_writing import to_document
from records.judged import JudgedStack
from records.locks import Lock
from records.names import tracker_blob
from records.readings import Absent, Present, Reading, StateHead, Unreadable
from records.registry import RegistryEntry, StateLocation
from records.results import StackResult
from records.tracker import HistoryAction, TrackerRecord
from records.verdicts import Tier, Verdict

_NOTHING_SPEAKS_AGAINST: Final = frozenset({Verdict.HEALTHY, Verdict.UNVERIFIABLE})
_OF_THE_DEPLOY: Final = ("release", "commit", "deployed_at")


class Adopting(StrEnum):
    """What adopting makes of a state. ``register``: its tracker is right already, and only the registry is to follow it."""

    ADOPT = "adopt"
    REGISTER = "register"
    UNCHANGED = "unchanged"
    LEFT_ALONE = "left_alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """One state's way into the records.

    ``before`` is what the records said of the stack, None where no record names it. ``tracker`` is what the registry's entry,
    now ``entry_before``, will follow; it is written over ``over``, or there already where that is None. ``why`` says what
    speaks against it, and what to do.
    """

    place: Place
    adopting: Adopting
    before: StackResult | None = None
    tracker: TrackerRecord | None = None
    over: Reading[TrackerRecord] | None = None
    entry_before: RegistryEntry | None = None
    why: str | None = None

    @property
    def entry(self) -> RegistryEntry | None:
        """As it will be; None where nothing is to be written."""
        if self.tracker is None:
            return None
        before = to_document(self.entry_before) if self.entry_before else None
        return entry_following(self.tracker, before, location=self.tracker.state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A state that may be adopted, with what the records say of its stack: ``judged`` is None where none names it.

    ``location`` is spelt as the records spell it, where they name the same blob.
    """

    place: Place
    judged: JudgedStack | None
    location: StateLocation
    subscription_id: str | None
    author: Author

    @property
    def entry(self) -> RegistryEntry | None:
        reading = self.judged.readings.registry if self.judged else None
        return reading.record if isinstance(reading, Present) else None

    @property
    def tracker(self) -> TrackerRecord | None:
        reading = self.judged.readings.tracker if self.judged else None
        return reading.record if isinstance(reading, Present) else None

    @property
    def recorded_location(self) -> StateLocation | None:
        """Where the records say that the state is."""
        if self.entry:
            return self.entry.state
        return self.tracker.state if self.tracker else None

    @property
    def is_unread(self) -> bool:
        """Whether nothing has read the state yet, as the registry does not say where it is."""
        is_unreadable = self.judged is not None and self.judged.result.verdict is Verdict.UNREADABLE
        return self.entry is None and not is_unreadable


def adoption_of(stack: Candidate, found: Reading[StateHead] | None) -> Adoption:
    """``found`` is the state where the mapping says that it is, looked at only where it `is_unread`."""
    if stack.judged and stack.entry:
        return _of_registered(stack, stack.judged, stack.entry)
    if stack.judged and not stack.is_unread:
        return _left_alone(stack, f"{stack.judged.result.summary} {stack.judged.result.remedy}")
    match found:
        case Present():
            return _of_unregistered(stack, found)
        case Unreadable():
            return _left_alone(stack, f"The state cannot be read: {found.fault.message}. {found.fault.remedy}")
        case Absent(blob=None) | None:
            return _left_alone(stack, "There is no such blob. Correct the list of states, or leave it out.")
        case Absent():
            return _left_alone(stack, "The blob holds no state yet. Its first deploy will be recorded.")


def left_alone(place: Place, why: str) -> Adoption:
    return Adoption(place=place, adopting=Adopting.LEFT_ALONE, why=why)


def _of_registered(stack: Candidate, judged: JudgedStack, entry: RegistryEntry) -> Adoption:
    result, state = judged.result, judged.readings.state
    if entry.state != stack.location:
        return _left_alone(
            stack, f"The registry says that its state is {_spelt(entry.state)}. Correct the mapping, or the entry."
        )
    if result.verdict is Verdict.NOT_DEPLOYED:
        return Adoption(place=stack.place, adopting=Adopting.UNCHANGED, before=result)
    is_quiet = result.verdict is Verdict.REGISTRY_AHEAD and result.tier is Tier.TIMES
    if not isinstance(state, Present) or not (result.verdict in _NOTHING_SPEAKS_AGAINST or is_quiet):
        return _left_alone(stack, f"{result.summary} {result.remedy}")
    tracker = stack.tracker
    if result.tier is not Tier.THREE_RECORDS and state.blob.lock:
        return _left_alone(stack, _who_is_at_it(state.blob.lock))
    if result.tier is not Tier.THREE_RECORDS or tracker is None:
        return _adopt(stack, entry, state)
    if _lags(entry, tracker):
        return _register(stack, tracker)
    return Adoption(place=stack.place, adopting=Adopting.UNCHANGED, before=result)


def _of_unregistered(stack: Candidate, state: Present[StateHead]) -> Adoption:
    if state.blob.lock:
        return _left_alone(stack, _who_is_at_it(state.blob.lock))
    tracker, judged = stack.tracker, stack.judged
    entry = RegistryEntry.model_validate({"state": stack.location})
    if tracker is None or judged is None:
        return _adopt(stack, entry, state)
    contradiction = _contradiction(tracker, state, stack)
    if contradiction:
        return _left_alone(stack, f"{contradiction} {judged.result.remedy}")
    says_all = tracker.serial is not None and tracker.state and tracker.subscription_id
    return _register(stack, tracker) if says_all else _adopt(stack, entry, state)


def _lags(entry: RegistryEntry, tracker: TrackerRecord) -> bool:
    """Whether the entry lacks its vote, and the tracker only adds to what it says: so an adoption leaves it that is cut off."""
    is_silent = entry.serial is None or (entry.lineage is None and tracker.lineage is not None)
    said = {name: value for name, value in to_document(entry).items() if value is not None}
    following = to_document(entry_following(tracker, dict(said), location=tracker.state))
    return is_silent and all(following.get(name) == value for name, value in said.items())


def _contradiction(tracker: TrackerRecord, state: Present[StateHead], stack: Candidate) -> str | None:
    """What a tracker says otherwise than the state at this place. What it does not say has no vote."""
    if tracker.state and tracker.state != stack.location:
        return f"Its tracker says that its state is {_spelt(tracker.state)}."
    if tracker.lineage and state.record.lineage and tracker.lineage != state.record.lineage:
        return "Its tracker is of another lineage than the state."
    if tracker.serial is not None and tracker.serial != state.record.serial:
        return f"Its tracker says serial {tracker.serial}, and the state says {state.record.serial}."
    if tracker.state_md5 and tracker.state_md5 != state.blob.content_md5:
        return "Its tracker is of other content than the state's."
    if tracker.subscription_id and stack.subscription_id and not _same(tracker.subscription_id, stack.subscription_id):
        return "Its tracker names another subscription than the market's."
    return None


def _adopt(stack: Candidate, entry: RegistryEntry, state: Present[StateHead]) -> Adoption:
    return Adoption(
        place=stack.place,
        adopting=Adopting.ADOPT,
        before=stack.judged.result if stack.judged else None,
        tracker=_tracker_after(stack, entry, state),
        over=stack.judged.readings.tracker
        if stack.judged
        else Absent(tracker_blob(stack.place.market, stack.place.stack)),
        entry_before=stack.entry,
    )


def _tracker_after(stack: Candidate, entry: RegistryEntry, state: Present[StateHead]) -> TrackerRecord:
    """Which deploy it was stays as the tracker said it, unless the registry's entry says it otherwise."""
    previous, place = stack.tracker, stack.place
    written = written_by(stack.author, HistoryAction.ADOPT, previous=previous)
    said = {name: getattr(entry, name) for name in _OF_THE_DEPLOY if getattr(entry, name) is not None}
    if previous and all(getattr(previous, name) == value for name, value in said.items()):
        known = {"subscription_id": previous.subscription_id or stack.subscription_id}
        return accepting(previous.model_copy(update=known), state, location=entry.state, written=written)
    return from_registry(
        place.market,
        place.stack,
        entry,
        state,
        subscription_id=stack.subscription_id,
        previous=previous,
        written=written,
    )


def _register(stack: Candidate, tracker: TrackerRecord) -> Adoption:
    return Adoption(
        place=stack.place,
        adopting=Adopting.REGISTER,
        before=stack.judged.result if stack.judged else None,
        tracker=tracker,
        entry_before=stack.entry,
    )


def _left_alone(stack: Candidate, why: str) -> Adoption:
    before = stack.judged.result if stack.judged else None
    return Adoption(place=stack.place, adopting=Adopting.LEFT_ALONE, before=before, why=why)


def _same(one: str, other: str) -> bool:
    """Subscription ids are UUIDs, whose case means nothing."""
    return one.casefold() == other.casefold()


def _who_is_at_it(lock: Lock) -> str:
    since = f" since {lock.created_at:%Y-%m-%d %H:%M} UTC" if lock.created_at else ""
    return (
        f"{lock.who or 'Someone'} holds its lock{since}: a deploy is running, or was killed (docs/runbook.md#stale_lock). "
        "Adopt it when it is free."
    )


def _spelt(location: StateLocation) -> str:
    parts = [part for part in (location.container, location.account_url) if part]
    return f"{location.blob} in {' of '.join(parts)}" if parts else location.blob

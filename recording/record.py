"""Records a deploy: bundle, tracker, registry entry, in this order.

A process that dies between two of the writes leaves records that `reconcile` names and `repair` mends: a deploy whose tracker
is in the log alone, perhaps with a bundle that nothing names yet; a tracker that the registry does not follow yet.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from recording.book import RecordBook
from recording.corrections import entry_has, tracker_has
from recording.deploy import Deploy
from recording.following import registry_follows_trackers, while_others_write
from recording.locations import chosen_location
from recording.trackers import after_deploy
from recording.unfinished import is_of_content
from records.errors import RecordError, RefusedWriteError
from records.faults import GARBLED, FaultCode
from records.names import registry_blob
from records.ports import RecordReader
from records.readings import Absent, Present, Reading, StateHead, Unreadable
from records.registry import RegistryEntry, RegistryRecord, StateLocation
from records.tracker import Outcome, TrackerRecord

_REPLACED_BY_A_DEPLOY: Final = GARBLED | {FaultCode.COPIED}
"""What is wrong with a tracker that a deploy simply writes anew. A newer schema, or one that may not be read, is not."""


class Recording(StrEnum):
    """What came of recording a deploy."""

    RECORDED = "recorded"
    NOTHING_MOVED = "nothing_moved"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """``tracker`` is what is on record now, also where a later deploy wrote it; None where nothing was written."""

    recording: Recording
    location: StateLocation
    state: Present[StateHead] | None
    tracker: TrackerRecord | None = None


async def record_deploy(deploy: Deploy, *, records: RecordReader, book: RecordBook) -> Recorded:
    """Writes what was deployed. Doing it again writes nothing anew but the time and the run.

    Raises:
        RefusedWriteError: nothing says where the state is, there is none, or it is another subscription's market.
        RecordError: the state, or a record that is not to be written over, cannot be read.
        StoreError
    """
    registry = await records.registry(market=deploy.market)
    location = chosen_location(
        deploy.name, deploy.state, _registered_location(deploy, registry), is_same_state=records.is_same_state
    )
    _check_is_its_own(deploy, location, registry, records)
    subscription_id = _subscription_id(deploy, registry)
    state = await _state(deploy, location, records)
    if state is None:
        return Recorded(recording=Recording.NOTHING_MOVED, location=location, state=None)
    if deploy.serial_after not in {None, state.record.serial}:
        return await _left_to_the_later(deploy, state, location, records)
    if deploy.outcome is Outcome.FAILED and await _is_where_it_was(deploy, state, records, registry):
        return Recorded(recording=Recording.NOTHING_MOVED, location=location, state=state)
    recording = await _write_tracker(deploy, state, location, subscription_id, records, book)
    await registry_follows_trackers(records, book, market=deploy.market, stacks=(deploy.stack,))
    now = await records.tracker(market=deploy.market, stack=deploy.stack, subscription_id=None)
    return Recorded(
        recording=recording, location=location, state=state, tracker=now.record if isinstance(now, Present) else None
    )


async def _write_tracker(
    deploy: Deploy,
    state: Present[StateHead],
    location: StateLocation,
    subscription_id: str | None,
    records: RecordReader,
    book: RecordBook,
) -> Recording:
    async for attempt in while_others_write():
        with attempt:
            tracker = await records.tracker(market=deploy.market, stack=deploy.stack, subscription_id=None)
            if isinstance(tracker, Unreadable) and tracker.fault.code not in _REPLACED_BY_A_DEPLOY:
                raise RecordError(tracker.fault)
            if isinstance(tracker, Present) and not _is_behind(tracker.record, state):
                now = await records.state(location=location)
                if is_superseded(deploy, state, tracker.record, now):
                    return Recording.SUPERSEDED
            previous = tracker.record if isinstance(tracker, Present) else None
            record = after_deploy(deploy, state, location=location, subscription_id=subscription_id, previous=previous)
            await book.write_tracker(record, over=tracker, bundle=deploy.bundle)
    return Recording.RECORDED


def is_superseded(deploy: Deploy, read: Present[StateHead], tracker: TrackerRecord, now: Reading[StateHead]) -> bool:
    """Whether the tracker is of a later deploy than this one: then it stands.

    Either the state has moved since it was ``read``, and the tracker with it; a tracker that is ahead of a state that stands
    still is merely wrong. Or another run has recorded the very same content, at a later time.
    """
    if not isinstance(now, Present):
        return False
    if _head(now) == _head(read):
        same = (tracker.lineage, tracker.serial, tracker.state_md5) == _head(read)
        is_later = tracker.deployed_at is not None and tracker.deployed_at > deploy.deployed_at
        return same and is_later and tracker.run_id != deploy.run_id
    says_what_is_there = (tracker.lineage, tracker.serial) == (now.record.lineage, now.record.serial)
    return says_what_is_there or (tracker.lineage == read.record.lineage and (tracker.serial or 0) > read.record.serial)


async def _left_to_the_later(
    deploy: Deploy, state: Present[StateHead], location: StateLocation, records: RecordReader
) -> Recorded:
    """For a deploy whose state somebody has written since: it may be recorded no more, and its record may be there already.

    Raises:
        RefusedWriteError: nothing has recorded what is there now.
    """
    tracker = await records.tracker(market=deploy.market, stack=deploy.stack, subscription_id=None)
    if isinstance(tracker, Present) and is_of_content(tracker.record, state):
        return Recorded(recording=Recording.SUPERSEDED, location=location, state=state, tracker=tracker.record)
    raise RefusedWriteError(
        f"{deploy.name}: the state's serial is {state.record.serial}, and this deploy left it at {deploy.serial_after}: it was "
        "written since. Find out by whom (docs/runbook.md#pipeline_drift), then deploy again or accept what is there."
    )


def _is_behind(tracker: TrackerRecord, state: Present[StateHead]) -> bool:
    same_lineage = tracker.lineage == state.record.lineage
    return same_lineage and (tracker.serial is None or tracker.serial < state.record.serial)


def _head(state: Present[StateHead]) -> tuple[str | None, int, str | None]:
    return state.record.lineage, state.record.serial, state.blob.content_md5


async def _state(deploy: Deploy, location: StateLocation, records: RecordReader) -> Present[StateHead] | None:
    state = await records.state(location=location)
    match state:
        case Unreadable():
            raise RecordError(state.fault)
        case Absent() if deploy.outcome is Outcome.SUCCEEDED:
            raise RefusedWriteError(
                f"{deploy.name}: there is no state at {location.blob}. Terraform writes one on every apply: correct "
                "--state-key or the backend, and record the deploy again."
            )
        case Absent():
            return None
        case Present():
            return state


async def _is_where_it_was(
    deploy: Deploy, state: Present[StateHead], records: RecordReader, registry: Reading[RegistryRecord]
) -> bool:
    """Whether a failed apply left the state alone: as the pipeline saw it before, else as the records have it."""
    if deploy.serial_before is not None:
        return state.record.serial == deploy.serial_before
    tracker = await records.tracker(market=deploy.market, stack=deploy.stack, subscription_id=None)
    if isinstance(tracker, Present) and tracker.record.serial is not None:
        return tracker_has(tracker.record, state)
    entry = _entry(deploy, registry)
    return entry is not None and entry_has(entry, state)


def _check_is_its_own(
    deploy: Deploy, location: StateLocation, registry: Reading[RegistryRecord], records: RecordReader
) -> None:
    """Raises:
    RefusedWriteError: another stack of the market has this state on record.
    """
    if not isinstance(registry, Present):
        return
    for stack, own in zip(registry.record.stacks, registry.record.locations(), strict=True):
        if stack != deploy.stack and own and records.is_same_state(own, location):
            raise RefusedWriteError(
                f"{deploy.name}: its state {location.blob} is on record as that of {deploy.market}/{stack}. Correct --stack, "
                "or the backend: two stacks on one state destroy each other's resources."
            )


def _registered_location(deploy: Deploy, registry: Reading[RegistryRecord]) -> StateLocation | None:
    """Raises:
    RecordError: the registry's own word is needed, and it cannot be read.
    """
    is_said_elsewhere = deploy.state.asked_for or deploy.state.initialised
    if isinstance(registry, Unreadable) and not is_said_elsewhere:
        raise RecordError(registry.fault)
    try:
        entry = _entry(deploy, registry)
    except RecordError:
        if not is_said_elsewhere:
            raise
        return None
    return entry.state if entry else None


def _entry(deploy: Deploy, registry: Reading[RegistryRecord]) -> RegistryEntry | None:
    if not isinstance(registry, Present) or deploy.stack not in registry.record.stacks:
        return None
    return registry.record.entry(deploy.stack)


def _subscription_id(deploy: Deploy, registry: Reading[RegistryRecord]) -> str | None:
    asked_for = deploy.subscription_id
    if not isinstance(registry, Present):
        subscription_id = asked_for or deploy.signed_in_to
        if isinstance(registry, Absent) and subscription_id is None:
            raise RefusedWriteError(
                f"{registry_blob(deploy.market)}: there is no such record yet; pass --subscription-id, so that it can be made."
            )
        return subscription_id
    registered = registry.record.subscription_id
    if asked_for and asked_for.casefold() != registered.casefold():
        raise RefusedWriteError(
            f"{deploy.name}: --subscription-id is not the subscription of market {deploy.market} in the registry. Correct the "
            "option, or the market's name."
        )
    return registered

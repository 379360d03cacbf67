"""Records a heal: tracker and registry come to say what the state says after it, or it would be tomorrow's pipeline drift.

The tracker leads and the registry follows, as after a deploy. What is deployed is still the same bundle: only the state's
content is new, and by whose hand it came. A process that dies in between is finished by recording again, or by `repair`.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Final, TypeVar

from recording.author import Author
from recording.book import RecordBook
from recording.corrections import entry_has, tracker_has
from recording.entries import registry_following
from recording.following import registry_follows_trackers, while_others_write
from recording.trackers import BY_TRUEUP, after_heal
from records.drift_ports import HealRecording
from records.errors import BlobChangedError, RecordError, RefusedWriteError
from records.heals import HealJob
from records.names import registry_blob
from records.ports import RecordLog, RecordReader, RecordWriter
from records.readings import Absent, Present, Reading, StateHead, Unreadable
from records.record_log import RecordCommand
from records.registry import RegistryEntry, RegistryRecord
from records.tracker import TrackerRecord

_SHOWN_OF_THE_JOB: Final = 12

RecordT = TypeVar("RecordT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Healed:
    """What is on record of a healed stack, and its state: as read at one moment, in the order registry, tracker, state.

    ``is_one_place`` is whether tracker and entry are of the same state blob, as far as the tracker says.
    """

    registry: RegistryRecord
    entry: RegistryEntry
    tracker: Present[TrackerRecord]
    state: Present[StateHead]
    is_one_place: bool


class DueWrite(Enum):
    """What recording a heal has still to write."""

    NOTHING_OF_OURS = auto()
    NOTHING_MORE = auto()
    THE_ENTRY = auto()
    TRACKER_AND_ENTRY = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class HealedStackRecorder:
    """A `HealRecorder` that writes through a `RecordBook`: each write has its row in the log, by ``trueup``, of the job."""

    records: RecordReader
    writer: RecordWriter
    log: RecordLog

    async def record_heal(self, *, job: HealJob, serial: int, at: datetime) -> HealRecording:
        """Brings tracker and registry to the state that has this ``serial``, whatever an earlier record of the job has left.

        ``at`` (UTC) is when the heal's apply had ended, and better too early than too late: of two runs that left the same
        content the later one stands (`recording.record.is_superseded`), and a deploy that ended after the heal is to go over
        it. Done again with the same serial and ``at``, a write has the same row.

        Raises:
            RecordError: registry, tracker or state cannot be read or trusted.
            StoreError: a row or a record cannot be written, or others wrote in between, a hundred times.
        """
        book = RecordBook(writer=self.writer, log=self.log, author=_author(job, serial, at))
        match await self._write_tracker(job, serial, book):
            case DueWrite.NOTHING_OF_OURS:
                return HealRecording.NOT_OURS
            case DueWrite.NOTHING_MORE:
                return HealRecording.UNMOVED
            case DueWrite.THE_ENTRY | DueWrite.TRACKER_AND_ENTRY:
                await self._write_entry(job, book)
                return HealRecording.RECORDED

    async def _write_tracker(self, job: HealJob, serial: int, book: RecordBook) -> DueWrite:
        """Returns what was found to be due; of it the tracker is written and the entry is not."""
        due = DueWrite.NOTHING_OF_OURS
        async for attempt in while_others_write():
            with attempt:
                healed = await self._read(job)
                due = due_write(job, serial, healed) if healed else DueWrite.NOTHING_OF_OURS
                if healed and due is DueWrite.TRACKER_AND_ENTRY:
                    tracker, at = healed.tracker.record, book.author.at
                    record = after_heal(tracker, healed.state, job_id=job.job_id, at=at)
                    await book.write_tracker(record, over=healed.tracker)
        return due

    async def _write_entry(self, job: HealJob, book: RecordBook) -> None:
        try:
            await registry_follows_trackers(self.records, book, market=job.market, stacks=(job.stack,))
        except RefusedWriteError as error:
            # Somebody has removed tracker or registry since they were read: whoever records again finds what is there now.
            raise BlobChangedError(registry_blob(job.market), str(error)) from None

    async def _read(self, job: HealJob) -> Healed | None:
        """None where one of the records is not there: then nothing says that it is still the stack that was healed.

        Raises:
            RecordError
        """
        market, stack = job.market, job.stack
        registry = _there(await self.records.registry(market=market))
        if registry is None or stack not in registry.record.stacks:
            return None
        entry = registry.record.entry(stack)
        subscription_id = registry.record.subscription_id
        tracker = _there(await self.records.tracker(market=market, stack=stack, subscription_id=subscription_id))
        if tracker is None:
            return None
        # Where the tracker gives an MD5 the next one must: without it a fork of the state would pass for healthy.
        thorough = tracker.record.state_md5 is not None
        state = _there(await self.records.state(location=entry.state, thorough=thorough))
        if state is None:
            return None
        own = tracker.record.state
        return Healed(
            registry=registry.record,
            entry=entry,
            tracker=tracker,
            state=state,
            is_one_place=own is None or self.records.is_same_state(own, entry.state),
        )


def due_write(job: HealJob, serial: int, healed: Healed) -> DueWrite:
    """What is to be written of a heal that left the state at this serial. Pure.

    A state of another serial was written since, and by whom nobody here knows. One of the same serial may have other content
    than the tracker says: an apply can move the one without the other, and what is not on record would be a forked state.
    """
    tracker, state = healed.tracker.record, healed.state
    is_of_this_job = tracker.run_id == job.job_id
    is_ours = tracker.lineage in {None, job.lineage} and (is_of_this_job or _is_ground(tracker, job))
    is_left_so = state.record.lineage == job.lineage and state.record.serial == serial >= job.serial
    if not (is_ours and is_left_so and healed.is_one_place):
        return DueWrite.NOTHING_OF_OURS
    if not tracker_has(tracker, state):
        return DueWrite.TRACKER_AND_ENTRY
    if is_of_this_job:
        is_followed = _is_followed(tracker, healed.registry)
    else:
        # In all else than the serial others may keep the two apart on purpose; see `corrections.belated_entry`.
        is_followed = healed.entry.serial is None or entry_has(healed.entry, state)
    return DueWrite.NOTHING_MORE if is_followed else DueWrite.THE_ENTRY


def _is_ground(tracker: TrackerRecord, job: HealJob) -> bool:
    """Whether the tracker is of the deploy that the job was to restore, and of no other since."""
    return tracker.bundle is not None and (tracker.serial, tracker.bundle.sha256) == (job.serial, job.bundle_sha256)


def _is_followed(tracker: TrackerRecord, registry: RegistryRecord) -> bool:
    following = registry_following(registry, {tracker.stack: tracker}, market=tracker.market)
    return following.stacks[tracker.stack] == registry.stacks[tracker.stack]


def _there(reading: Reading[RecordT]) -> Present[RecordT] | None:
    """Raises:
    RecordError: it may be there, and cannot be read or trusted.
    """
    match reading:
        case Unreadable():
            raise RecordError(reading.fault)
        case Absent():
            return None
        case Present():
            return reading


def _author(job: HealJob, serial: int, at: datetime) -> Author:
    session_id = f"{job.job_id[:_SHOWN_OF_THE_JOB]}-{serial}"
    return Author(by=BY_TRUEUP, command=RecordCommand.HEAL, at=at, session_id=session_id, run_id=job.job_id)

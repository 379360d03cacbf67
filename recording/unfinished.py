"""Deploys and heals whose recording had begun when the process died: the log has what the tracker was to say."""

from datetime import datetime, timedelta
from typing import Final

from records.errors import RecordError
from records.ports import RecordLog
from records.readings import Present, StateHead
from records.record_log import LoggedWrite, RecordCommand, WriteStatus, WrittenKind
from records.tracker import TrackerRecord, parse_tracker

_LOOKED_BACK: Final = timedelta(days=30)
"""Whoever has not repaired a deploy's records within a month has deployed again, or accepted what there is."""
_WITHOUT_A_PERSON: Final = frozenset({RecordCommand.RECORD, RecordCommand.HEAL})


async def unfinished_records(log: RecordLog, *, market: str, now: datetime) -> dict[str, TrackerRecord]:
    """The trackers that pipelines and heals were to write, by stack, and that nothing was written after. ``now`` is UTC.

    Raises:
        StoreError: the log cannot be read.
    """
    newest: dict[str, LoggedWrite] = {}
    async for write in log.writes(market=market, since=now - _LOOKED_BACK):
        if write.kind is WrittenKind.TRACKER and write.stack and _counts(write):
            newest.setdefault(write.stack, write)
    parsed = {stack: _tracker(write) for stack, write in newest.items() if write.status is not WriteStatus.WRITTEN}
    return {stack: tracker for stack, tracker in parsed.items() if tracker}


def is_of_content(tracker: TrackerRecord, state: Present[StateHead]) -> bool:
    """Whether a tracker says exactly what is there: nothing else may be taken for the deploy that was begun."""
    if tracker.state_md5 is None:
        return False
    said = (tracker.lineage, tracker.serial, tracker.state_md5)
    return said == (state.record.lineage, state.record.serial, state.blob.content_md5)


def is_later(tracker: TrackerRecord, begun: TrackerRecord) -> bool:
    """Whether a tracker is of a later deploy, which another hand than trueup's may have written without a row."""
    return bool(tracker.deployed_at and begun.deployed_at and tracker.deployed_at > begun.deployed_at)


def _counts(write: LoggedWrite) -> bool:
    """Whatever was written counts; of what was not, a deploy's record or a heal's: the other commands' persons run them again.

    Also one that was refused: whoever wrote in between, the process may have died before it tried again.
    """
    return write.status is WriteStatus.WRITTEN or write.command in _WITHOUT_A_PERSON


def _tracker(write: LoggedWrite) -> TrackerRecord | None:
    """None where the log could not hold it whole."""
    try:
        return parse_tracker(write.after.encode(), market=write.market, stack=write.stack or "", subscription_id=None)
    except RecordError:
        return None

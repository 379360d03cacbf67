"""Brings a market's registry record up to its trackers, whoever else writes it at the same time.

The tracker leads and the registry follows: an entry is always made from the tracker that is there when it is written, and the
tracker is read once more afterwards. So of two deploys that are recorded at once, in whatever order their writes come, the
registry ends with what the tracker ends with.
"""

from collections.abc import Collection
from typing import Final

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from recording.book import RecordBook
from recording.entries import registry_following
from records.errors import BlobChangedError, RecordError, RefusedWriteError
from records.names import tracker_blob
from records.ports import RecordReader
from records.readings import Present, Reading, Unreadable
from records.tracker import TrackerRecord

_TRIES: Final = 100
_LONGEST_WAIT_SECONDS: Final = 2.0
_FIRST_WAIT_SECONDS: Final = 0.05


def while_others_write() -> AsyncRetrying:
    """Tries again where another process wrote between a reading and the write: each round lets at least one of them through."""
    return AsyncRetrying(
        retry=retry_if_exception_type(BlobChangedError),
        wait=wait_random_exponential(multiplier=_FIRST_WAIT_SECONDS, max=_LONGEST_WAIT_SECONDS),
        stop=stop_after_attempt(_TRIES),
        reraise=True,
    )


async def registry_follows_trackers(
    records: RecordReader,
    book: RecordBook,
    *,
    market: str,
    stacks: Collection[str],
) -> None:
    """Writes these stacks' entries as their trackers have them, where they are not so yet.

    Raises:
        RecordError: the registry record or a tracker cannot be read.
        RefusedWriteError: a tracker is gone, or nothing says a new market's subscription.
        BlobChangedError: others wrote in between, a hundred times.
        StoreError
    """
    async for attempt in while_others_write():
        with attempt:
            trackers = {stack: await _tracker(records, market, stack) for stack in stacks}
            registry = await records.registry(market=market)
            if isinstance(registry, Unreadable):
                raise RecordError(registry.fault)
            before = registry.record if isinstance(registry, Present) else None
            after = registry_following(
                before, {stack: tracker.record for stack, tracker in trackers.items()}, market=market
            )
            changed = [
                stack for stack in sorted(stacks) if before is None or before.stacks.get(stack) != after.stacks[stack]
            ]
            if changed or before is None:
                await book.write_registry(after, over=registry, stacks=changed)
            for stack in changed:
                if (await _tracker(records, market, stack)).blob.etag != trackers[stack].blob.etag:
                    raise BlobChangedError(tracker_blob(market, stack), "it changed while the registry was written")


async def _tracker(records: RecordReader, market: str, stack: str) -> Present[TrackerRecord]:
    reading: Reading[TrackerRecord] = await records.tracker(market=market, stack=stack, subscription_id=None)
    if isinstance(reading, Unreadable):
        raise RecordError(reading.fault)
    if not isinstance(reading, Present):
        raise RefusedWriteError(f"{tracker_blob(market, stack)}: the tracker is gone; the registry was not written.")
    return reading

"""A heal job as the bytes that the queue carries: compact JSON."""

from records.errors import StoreUnavailableError
from records.heals import MESSAGE_MAX_BYTES, QUEUE, HealJob


def to_message(job: HealJob) -> bytes:
    """The same job gives the same bytes.

    Raises:
        StoreUnavailableError: they are more than a message may have. No retry helps, and neither does another store.
    """
    message = job.model_dump_json().encode()
    if len(message) > MESSAGE_MAX_BYTES:
        raise StoreUnavailableError(
            QUEUE,
            f"the job of {job.market}/{job.stack} has {len(message):,} bytes, and a message {MESSAGE_MAX_BYTES:,} at most",
        )
    return message

"""A heal as a job: what is queued for the worker. It holds no value of a plan."""

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from records.names import MarketKey, StackName
from records.timestamps import UtcTime

QUEUE: Final = "auto-apply"
POISON_QUEUE: Final = f"{QUEUE}-poison"
"""Where the Functions host puts a message that has failed ``maxDequeueCount`` times (host.json)."""
MOST_TRIES: Final = 5
"""The host's ``maxDequeueCount``, and that of `trueup drift heal`."""
MESSAGE_MAX_BYTES: Final = 48 * 1024
"""A message of Azure's queues has 64 KiB, and the Functions host expects it in Base64."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class HealMode(StrEnum):
    """How far trueup may go by itself, from the strictest on."""

    OFF = "off"
    DRY_RUN = "dry-run"
    ON = "on"


class HealJob(BaseModel):
    """A heal to do, as it stands in the queue. ``job_id`` is `drift.decide.job_id` of what follows it. Times are UTC.

    ``addresses`` are what the apply would change, sorted. The same drift on the same ground is the same job again, with another
    ``queued_at``: that tells a message from those of before.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    schema_version: Literal[1] = 1
    job_id: Sha256
    market: MarketKey
    stack: StackName
    lineage: str
    serial: Annotated[int, Field(ge=0)]
    bundle_sha256: Sha256
    fingerprint: Sha256
    addresses: tuple[str, ...]
    queued_at: UtcTime
    expires_at: UtcTime


def fits_in_a_message(job: HealJob) -> bool:
    """Whether the queue takes it: a drift of very many resources is never healed unattended."""
    return len(job.model_dump_json().encode()) <= MESSAGE_MAX_BYTES

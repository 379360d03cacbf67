"""Tells a message that names a job from whatever else is in a queue: malformed, forged, of another version."""

from dataclasses import dataclass

from pydantic import ValidationError

from drift.decide import job_id
from records.heal_ledger import HealRow
from records.heals import MESSAGE_MAX_BYTES, HealJob


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message is not acted on; it holds nothing of it but the names of fields."""

    why: str


def read_message(body: bytes) -> HealJob | Refusal:
    """The job that a message names, if its id is that of what it says."""
    if len(body) > MESSAGE_MAX_BYTES:
        return Refusal(f"it has more than {MESSAGE_MAX_BYTES:,} bytes")
    try:
        job = HealJob.model_validate_json(body, strict=True)
    except ValidationError as error:
        wrong = {str(detail["loc"][0]) if detail["loc"] else "JSON" for detail in error.errors(include_input=False)}
        return Refusal(f"it is no heal job of schema 1: {', '.join(sorted(wrong))}")
    own_id = job_id(
        market=job.market, stack=job.stack, lineage=job.lineage, serial=job.serial, fingerprint=job.fingerprint
    )
    return job if own_id == job.job_id else Refusal("its job_id is not that of what it says")


def unlike_the_ledger(job: HealJob, row: HealRow) -> Refusal | None:
    """Why a message is not the one that the ledger has entered: no job is queued without an entry of its own before it."""
    if job != row.job:
        return Refusal("it is not what the ledger says of this job")
    return None

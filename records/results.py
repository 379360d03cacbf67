"""The result of one stack, as the report prints it and the table keeps it."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

from records.faults import Fault
from records.locks import Lock
from records.names import MarketKey, StackName
from records.timestamps import UtcTime
from records.verdicts import NEEDS_NOBODY, Note, OddOneOut, Severity, Tier, Verdict

_FROZEN: Final = ConfigDict(frozen=True, extra="ignore")


class RecordStatus(StrEnum):
    """How a record was found; the four kinds of `records.readings`."""

    PRESENT = "present"
    ABSENT = "absent"
    UNREADABLE = "unreadable"
    NOT_LOOKED_FOR = "not_looked_for"


class RecordEvidence(BaseModel):
    """The blob that a record was read from, and what storage said of it.

    ``md5`` is the blob's own, ``state_md5`` the state's as the tracker recorded it; both hex. Times are UTC.
    """

    model_config = _FROZEN

    status: RecordStatus
    blob: str | None = None
    etag: str | None = None
    md5: str | None = None
    state_md5: str | None = None
    last_modified: UtcTime | None = None
    deployed_at: UtcTime | None = None
    lock: Lock | None = None
    fault: Fault | None = None


class Evidence(BaseModel):
    """Where each of the three records was read, for whoever doubts the verdict."""

    model_config = _FROZEN

    state: RecordEvidence
    tracker: RecordEvidence
    registry: RecordEvidence


class Serials(BaseModel):
    """The serial that each record gives; None where it gives none."""

    model_config = _FROZEN

    state: int | None = None
    tracker: int | None = None
    registry: int | None = None


class Lineages(BaseModel):
    """The lineage that each record gives; None where it gives none."""

    model_config = _FROZEN

    state: str | None = None
    tracker: str | None = None
    registry: str | None = None


class StackResult(BaseModel):
    """What the three records of one stack say together.

    ``tier`` is None where an unreadable record leaves it open. ``serial_delta`` and ``time_delta_seconds`` say by how much
    (docs/concepts.md); ``first_seen_at`` since when this verdict has stood, None for healthy; ``healthy_since`` since when
    every run has found the records to agree, None for any other verdict; ``state_changed_at`` the earliest moment at which
    the state's present content is known to have been there.
    """

    model_config = _FROZEN

    market: MarketKey
    stack: StackName
    subscription_id: str | None
    tier: Tier | None
    verdict: Verdict
    severity: Severity
    odd_one_out: OddOneOut
    serials: Serials
    serial_delta: int | None
    time_delta_seconds: int | None
    lineages: Lineages
    masked_verdict: Verdict | None
    notes: tuple[Note, ...]
    first_seen_at: UtcTime | None
    healthy_since: UtcTime | None = None
    state_changed_at: UtcTime | None
    release: str | None
    commit: str | None
    owner: str | None
    summary: str
    remedy: str
    evidence: Evidence

    @property
    def needs_a_person(self) -> bool:
        return self.verdict not in NEEDS_NOBODY


class Coverage(StrEnum):
    """How much of a market a run looked at: what it did not find is gone only where it looked at all."""

    WHOLE_MARKET = "whole_market"
    SOME_STACKS = "some_stacks"


class StoredResult(BaseModel):
    """A result as the table keeps it: with the run that found it, and when that run started (UTC)."""

    model_config = _FROZEN

    run_id: str
    run_started_at: UtcTime
    result: StackResult


class Run(BaseModel):
    """One reconciliation. A run with the same ``run_id`` is the same run, and writes the same rows."""

    model_config = _FROZEN

    run_id: str
    started_at: UtcTime

    @classmethod
    def named_by(cls, started_at: datetime) -> "Run":
        """A run whose id is derived from its start, to the millisecond."""
        return cls(run_id=f"{started_at:%Y%m%dT%H%M%S}{started_at.microsecond // 1000:03d}Z", started_at=started_at)

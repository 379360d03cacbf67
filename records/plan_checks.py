"""What came of checking one stack by a plan: heal, hold with the first reason that applies, or clean."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from records.findings import Finding
from records.names import MarketKey, StackName
from records.verdicts import Verdict


class Decision(StrEnum):
    """What follows from a check."""

    CLEAN = "clean"
    HEAL = "heal"
    HOLD = "hold"


class HoldReason(StrEnum):
    """Why a heal is withheld, in the order in which the first that applies is given."""

    INCONCLUSIVE = "inconclusive"
    PAUSED = "paused"
    FROZEN = "frozen"
    RECORDS_DISAGREE = "records_disagree"
    LOCKED = "locked"
    UNSAFE = "unsafe"
    DESTRUCTIVE = "destructive"
    PROTECTED = "protected"
    MIXED = "mixed"
    PENDING_CHANGE = "pending_change"
    BLAST_RADIUS = "blast_radius"
    OSCILLATING = "oscillating"
    FLEET_WIDE = "fleet_wide"
    APPROVAL_REQUIRED = "approval_required"
    DRY_RUN = "dry_run"


class StackCheck(BaseModel):
    """One stack's result, as ``trueup drift check --format json`` prints it; ``reason`` is given with a hold alone.

    ``diagnostics`` are Terraform's own words or ours on why a plan is inconclusive, one line each, masked.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    market: MarketKey
    stack: StackName
    decision: Decision
    reason: HoldReason | None = None
    job_id: str | None = None
    fingerprint: str | None = None
    verdict: Verdict | None = None
    serial: int | None = None
    bundle_sha256: str | None = None
    diagnostics: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

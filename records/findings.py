"""What a plan of a deployed bundle shows of one resource: a finding, with its values masked.

The words and the JSON are the design's (docs/concepts.md). Nothing here knows how a plan is read or judged.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, JsonValue

from records.timestamps import UtcTime


class FindingKind(StrEnum):
    """What sort of difference it is. ``portal_drift`` alone is ever healed."""

    PORTAL_DRIFT = "portal_drift"
    STALE_STATE = "stale_state"
    PENDING_CHANGE = "pending_change"
    MIXED = "mixed"
    UNSAFE = "unsafe"


class AttributeChange(BaseModel):
    """An attribute that the apply would change: ``before`` is what is there now, ``after`` what the apply would make of it.

    Of a finding that no apply would touch (``stale_state``), ``before`` is what the state records and ``after`` what is there.
    Where either is sensitive, or not known before the apply, both are None with ``sensitive`` set: no such value comes this
    far.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    path: str
    before: JsonValue = None
    after: JsonValue = None
    sensitive: bool = False


class Finding(BaseModel):
    """One resource that differs. ``actions`` are the plan's, in its order; ``changed_by`` and ``client`` are best effort.

    ``deposed`` is Terraform's key of a former object that was to be replaced and is still there: a finding apart from the
    current object's. ``attributes`` are what the apply would change, sorted by path; ``destructive`` says that it would delete,
    whatever it does besides. ``resource_id`` is the Azure id where the plan tells one; the change's author is looked up by it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    address: str
    deposed: str | None = None
    type: str
    kind: FindingKind
    actions: tuple[str, ...]
    destructive: bool
    attributes: tuple[AttributeChange, ...] = ()
    resource_id: str | None = None
    changed_by: str | None = None
    changed_at: UtcTime | None = None
    client: str | None = None

    @property
    def is_touched_by_apply(self) -> bool:
        """Whether an apply of the plan would change it. Stale state it leaves alone; it does not know what a policy ignores."""
        return self.kind is not FindingKind.STALE_STATE

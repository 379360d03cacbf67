"""The log of every write of a record: who, when, what, before and after; a row of table ``recordlog``."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from records.names import MarketKey, StackName
from records.timestamps import UtcTime


class RecordCommand(StrEnum):
    """The command that wrote; ``heal`` is no person's, but the worker's that has healed a stack."""

    RECORD = "record"
    ADOPT = "adopt"
    REPAIR = "repair"
    ACCEPT = "accept"
    HEAL = "heal"


class WrittenKind(StrEnum):
    """What was written."""

    BUNDLE = "bundle"
    TRACKER = "tracker"
    REGISTRY = "registry"


class WriteStatus(StrEnum):
    """How far a write came. ``begun`` and nothing after it: the process died, and the blob tells whether it was written."""

    BEGUN = "begun"
    WRITTEN = "written"
    REFUSED = "refused"


class LoggedWrite(BaseModel):
    """One write. The row is there before the blob is written, and says afterwards what came of it.

    ``before`` and ``after`` are JSON: of a tracker the whole record, of the registry the stack's entry, and of a bundle its
    hash and size; ``before`` is None where nothing was there. A row without ``stack`` is a market's record apart from its
    stacks. ``reason`` is the person's own words. ``etag_before`` is that of the blob that was judged.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    write_id: str
    at: UtcTime
    by: str
    command: RecordCommand
    market: MarketKey
    stack: StackName | None
    kind: WrittenKind
    blob: str
    status: WriteStatus = WriteStatus.BEGUN
    before: str | None = None
    after: str
    etag_before: str | None = None
    etag_after: str | None = None
    run_id: str | None = None
    reason: str | None = None

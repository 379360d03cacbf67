"""The version tracker: what the pipeline deployed to one stack, written after every deploy."""

from typing import Annotated

from pydantic import StringConstraints

from records.errors import RecordError
from records.faults import Fault, FaultCode, RecordKind
from records.json_reading import OptionalText, RecordModel, SchemaVersion, ShortText, parse_model
from records.names import tracker_blob
from records.registry import BlobName, Serial
from records.timestamps import UtcTime

LongText = Annotated[str, StringConstraints(max_length=2048)]
Md5Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{32}$", to_lower=True)]
Sha256Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$", to_lower=True)]


class Bundle(RecordModel):
    """The root module exactly as deployed: a zip, named by its hash."""

    blob: BlobName
    sha256: Sha256Hex


class ModulePin(RecordModel):
    """A module call of the root module and the source it was pinned to."""

    name: ShortText
    source: LongText


class TrackerRecord(RecordModel):
    """What one deploy of one stack left behind.

    ``state_md5`` is the state blob's Content-MD5 in hex, from the blob's properties. ``deployed_at`` is UTC.
    """

    schema_version: SchemaVersion
    market: str
    stack: str
    subscription_id: OptionalText = None
    lineage: OptionalText = None
    serial: Serial | None = None
    state_md5: Md5Hex | None = None
    release: OptionalText = None
    commit: OptionalText = None
    run_id: OptionalText = None
    run_url: LongText | None = None
    deployed_at: UtcTime | None = None
    deployed_by: OptionalText = None
    terraform_version: OptionalText = None
    bundle: Bundle | None = None
    modules: tuple[ModulePin, ...] | None = None


def parse_tracker(content: bytes, *, market: str, stack: str, subscription_id: str | None) -> TrackerRecord:
    """The tracker that was read for this stack; ``subscription_id`` is the registry's, None where it has none to compare.

    Raises:
        RecordError: it is not JSON, not schema 1, lacks a field, or is another stack's.
    """
    blob = tracker_blob(market, stack)
    record = parse_model(TrackerRecord, content, kind=RecordKind.TRACKER, blob=blob)
    claims = {
        "market": record.market == market,
        "stack": record.stack == stack,
        "subscription_id": _same_id(record.subscription_id, subscription_id),
    }
    for field, is_its_own in claims.items():
        if not is_its_own:
            raise RecordError(
                Fault(
                    code=FaultCode.COPIED,
                    record=RecordKind.TRACKER,
                    blob=blob,
                    field=field,
                    message=f"{field} is not that of {market}/{stack}, for which it was read: it was copied",
                    remedy=f"Deploy {market}/{stack} by its pipeline, which writes its own tracker.",
                )
            )
    return record


def _same_id(claimed: str | None, expected: str | None) -> bool:
    """Subscription ids are UUIDs, whose case means nothing; an absent one says nothing."""
    return claimed is None or expected is None or claimed.casefold() == expected.casefold()

"""The version tracker: what the pipeline deployed to one stack, written after every deploy."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import StringConstraints

from records.errors import RecordError
from records.faults import Fault, FaultCode, RecordKind
from records.json_reading import OptionalText, OrEmpty, RecordModel, SchemaVersion, ShortText, parse_model
from records.names import tracker_blob
from records.registry import BlobName, Serial, StateLocation
from records.timestamps import UtcTime

MOST_CHARACTERS: Final = 2_048
LongText = Annotated[str, StringConstraints(max_length=MOST_CHARACTERS)]
Md5Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{32}$", to_lower=True)]
Sha256Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$", to_lower=True)]


MOST_HISTORY_ENTRIES: Final = 50
"""The oldest go first; the table ``recordlog`` keeps every write."""


class Outcome(StrEnum):
    """How the apply ended that a tracker records; a failed one is recorded where it moved the state."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


class HistoryAction(StrEnum):
    """What wrote a tracker that no deploy wrote; the words of the commands."""

    ADOPT = "adopt"
    REPAIR = "repair"
    ACCEPT = "accept"


class Bundle(RecordModel):
    """The root module exactly as deployed: a zip, named by its hash.

    ``root`` is the root module's folder inside the zip, absent where it is the zip's own root: a module outside the root
    module's folder puts both under the folder that they share.
    """

    blob: BlobName
    sha256: Sha256Hex
    root: OptionalText = None


class ModulePin(RecordModel):
    """A module call and the source it was pinned to.

    ``name`` is the call's path, ``keyvault`` in the root module and ``keyvault.roles`` in that one. ``version`` is what a
    registry gave for it, ``constraint`` what was asked for. ``commit`` is what the source's ref was in git when it was
    deployed, which tells a tag that was moved since. A ``source`` longer than `MOST_CHARACTERS` is cut, and ends in ``…``.
    """

    name: LongText
    source: LongText
    version: OptionalText = None
    constraint: OptionalText = None
    commit: OptionalText = None


class HistoryEntry(RecordModel):
    """A write of the tracker by a person's hand, and what it said of the state before. ``at`` is UTC."""

    at: UtcTime
    action: HistoryAction
    by: ShortText
    reason: OrEmpty[LongText] = None
    lineage: OptionalText = None
    serial: Serial | None = None
    state_md5: OrEmpty[Md5Hex] = None


class TrackerRecord(RecordModel):
    """What one deploy of one stack left behind.

    ``state_md5`` is the state blob's Content-MD5 in hex, from the blob's properties. ``deployed_at`` is UTC. ``state`` says
    where the state is, so that a registry entry that was lost can be made again; ``outcome`` is absent where the apply
    succeeded; ``history`` is who wrote the tracker by hand, newest last.
    """

    schema_version: SchemaVersion
    market: str
    stack: str
    subscription_id: OptionalText = None
    lineage: OptionalText = None
    serial: Serial | None = None
    state_md5: OrEmpty[Md5Hex] = None
    release: OptionalText = None
    commit: OptionalText = None
    run_id: OptionalText = None
    run_url: OrEmpty[LongText] = None
    deployed_at: OrEmpty[UtcTime] = None
    deployed_by: OptionalText = None
    terraform_version: OptionalText = None
    bundle: Bundle | None = None
    modules: tuple[ModulePin, ...] | None = None
    state: StateLocation | None = None
    outcome: Outcome | None = None
    history: tuple[HistoryEntry, ...] | None = None


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

"""The registry record: what the organisation believes is deployed in one market subscription."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Final

from pydantic import AfterValidator, Field, JsonValue, StringConstraints, ValidationError

from records.errors import RecordError
from records.faults import Fault, FaultCode, RecordKind
from records.json_reading import (
    LARGEST_SERIAL,
    OptionalText,
    OrEmpty,
    RecordModel,
    SchemaVersion,
    ShortText,
    fault_of,
    parse_model,
)
from records.json_writing import to_document
from records.market_faults import bad_stack_name, shown_name
from records.names import is_stack_name, registry_blob
from records.timestamps import UtcTime

DEFAULT_WORKSPACE: Final = "default"
_BLOB_NAME_MAX_LENGTH: Final = 1024

Serial = Annotated[int, Field(ge=0, le=LARGEST_SERIAL)]


def _plain_blob_name(name: str) -> str:
    """Refuses a name that a URL or a file system would resolve to another container or folder."""
    if "\\" in name or not name.isprintable():
        raise ValueError("a blob name holds no backslash and no control character")
    if name.startswith("/") or name.endswith("/") or any(part in {"", ".", ".."} for part in name.split("/")):
        raise ValueError("a blob name has no empty, '.' or '..' segment")
    return name


BlobName = Annotated[
    str, StringConstraints(min_length=1, max_length=_BLOB_NAME_MAX_LENGTH), AfterValidator(_plain_blob_name)
]
ContainerName = Annotated[
    str, StringConstraints(min_length=3, max_length=63, pattern=r"^(\$root|[a-z0-9](-?[a-z0-9])*)$")
]


class StateLocation(RecordModel):
    """Where a stack's state is: a key in a container, a workspace, and the account where it is not the estate's own."""

    key: BlobName
    workspace: OrEmpty[BlobName] = None
    container: OrEmpty[ContainerName] = None
    account_url: OrEmpty[Annotated[str, StringConstraints(min_length=1, max_length=512)]] = None

    @property
    def blob(self) -> str:
        """The blob's name; a workspace other than ``default`` is a suffix, as Terraform's azurerm backend stores it."""
        if self.workspace is None or self.workspace == DEFAULT_WORKSPACE:
            return self.key
        return f"{self.key}env:{self.workspace}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A state that no entry can name: it is not in the estate. ``where`` is words for a person."""

    where: str


class RegistryEntry(RecordModel):
    """One stack in the registry. Without ``serial`` it has no vote on serials; without both it is an older environment."""

    state: StateLocation
    lineage: OptionalText = None
    serial: Serial | None = None
    release: OptionalText = None
    commit: OptionalText = None
    deployed_at: OrEmpty[UtcTime] = None


class RegistryRecord(RecordModel):
    """One market's ``subscription.json``.

    ``stacks`` is kept as it was written and read an entry at a time, so that one bad entry costs one stack its verdict
    and not the market.
    """

    schema_version: SchemaVersion
    market: str
    subscription_id: ShortText
    name: OptionalText = None
    owner: OptionalText = None
    time_zone: OptionalText = None
    stacks: dict[str, JsonValue]

    def entry(self, stack: str) -> RegistryEntry:
        """One stack's entry.

        Raises:
            KeyError: the record has no such stack.
            RecordError: the stack's name or its entry is not valid.
        """
        value = self.stacks[stack]
        if not is_stack_name(stack):
            raise RecordError(bad_stack_name(self.market, stack))
        try:
            return RegistryEntry.model_validate(value)
        except ValidationError as error:
            blob = registry_blob(self.market)
            fault = fault_of(error, kind=RecordKind.REGISTRY, blob=blob, under=f"stacks.{shown_name(stack)}")
            raise RecordError(fault) from None

    def with_entry(self, stack: str, entry: RegistryEntry) -> "RegistryRecord":
        """The record with this stack's entry in place of the one it had; all else as it was written."""
        return self.model_copy(update={"stacks": self.stacks | {stack: to_document(entry)}})

    def locations(self) -> list[StateLocation | None]:
        """Where each stack's state is, also of a stack whose entry is otherwise wrong; None where that cannot be read."""
        return [_location(value) for value in self.stacks.values()]


class _EntryWithAState(RecordModel):
    """The one part of an entry that says which blob is spoken for."""

    state: StateLocation


def _location(entry: JsonValue) -> StateLocation | None:
    try:
        return _EntryWithAState.model_validate(entry).state
    except ValidationError:
        return None


def parse_registry(content: bytes, *, market: str) -> RegistryRecord:
    """The registry record that was read for this market.

    Raises:
        RecordError: it is not JSON, not schema 1, lacks a field, or is another market's.
    """
    blob = registry_blob(market)
    record = parse_model(RegistryRecord, content, kind=RecordKind.REGISTRY, blob=blob)
    if record.market != market:
        raise RecordError(
            Fault(
                code=FaultCode.COPIED,
                record=RecordKind.REGISTRY,
                blob=blob,
                field="market",
                message=f"it names another market than the folder {PurePosixPath(blob).parent} it is in: it was copied",
                remedy="Write the record for this market, or move it to its own folder.",
            )
        )
    return record

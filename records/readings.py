"""What came of reading a record: absent, present, unreadable and not looked for are four different things."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from records.faults import Fault
from records.json_reading import LARGEST_SERIAL
from records.locks import Lock
from records.registry import RegistryEntry
from records.tracker import TrackerRecord

RecordT_co = TypeVar("RecordT_co", covariant=True)


class StateHead(BaseModel):
    """What is read of a state: the two keys that Terraform compares states by. An absent lineage has no vote.

    ``terraform_version`` is the version that wrote it, None where it does not stand before these two, as Terraform writes it.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    serial: Annotated[int, Field(ge=0, le=LARGEST_SERIAL)]
    lineage: str | None = None
    terraform_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobFacts:
    """What storage says of a blob beside its content.

    ``content_md5`` is in hex and None where storage has none; ``last_modified`` is UTC, and moves with the metadata too.
    """

    name: str
    etag: str
    last_modified: datetime
    size_bytes: int
    content_md5: str | None = None
    lock: Lock | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentSighting:
    """Earlier evidence of a blob's content: a snapshot or a version, with the time it was last modified."""

    at: datetime
    content_md5: str | None


@dataclass(frozen=True, slots=True)
class Present(Generic[RecordT_co]):
    """Read and trusted."""

    record: RecordT_co
    blob: BlobFacts

    @property
    def name(self) -> str:
        return self.blob.name


@dataclass(frozen=True, slots=True)
class Absent:
    """Looked for and not there. ``blob`` is the 0-byte blob that Terraform's lock leaves before a first deploy."""

    name: str
    blob: BlobFacts | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """There, or perhaps there, and not to be read or trusted. Never taken for absent."""

    fault: Fault
    blob: BlobFacts | None = None

    @property
    def name(self) -> str:
        return self.fault.blob


@dataclass(frozen=True, slots=True)
class NotLookedFor:
    """Nothing says where it would be: the state of a stack that the registry does not name, or cannot say it."""


Reading = Present[RecordT_co] | Absent | Unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class StackReadings:
    """The three records of one stack, as read at one moment; ``earlier`` is evidence of the state's earlier content."""

    state: Reading[StateHead] | NotLookedFor
    tracker: Reading[TrackerRecord]
    registry: Reading[RegistryEntry]
    earlier: tuple[ContentSighting, ...] = ()

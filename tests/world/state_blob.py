"""The blob side of a state: what Azure knows of it, and what people do to it behind Terraform's back."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobClient, BlobLeaseClient, BlobServiceClient, ContentSettings

# Terraform asks for `terraformlockid`, and Go's HTTP client capitalises header names on the way; storage
# keeps the case that it is sent. Only a reader that ignores case finds a real lock.
LOCK_METADATA_KEY = "Terraformlockid"
NEVER_EXPIRES = -1


@dataclass(frozen=True, slots=True)
class BlobFacts:
    """A blob's properties, as one value that a test can compare before and after."""

    etag: str
    last_modified: datetime
    content_md5: str | None
    size_bytes: int
    lease_state: str
    lease_status: str
    metadata: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StateCopy:
    """The bytes of a state at one moment, to be put back later as a restored older blob."""

    content: bytes


@dataclass(frozen=True, slots=True)
class LockInfo:
    """What Terraform writes about who holds a lock, in the fields that this project reads."""

    lock_id: str
    operation: str
    who: str
    created: datetime

    @classmethod
    def make(
        cls,
        *,
        lock_id: str | None = None,
        operation: str = "OperationTypeApply",
        who: str = "runner@build-agent",
        created: datetime | None = None,
    ) -> LockInfo:
        return cls(
            lock_id=lock_id or str(uuid.uuid4()),
            operation=operation,
            who=who,
            created=created or datetime.now(UTC),
        )

    def to_metadata_value(self, path: str) -> str:
        """Return base64 of the JSON that the azurerm backend writes for the state at `container/blob`."""
        # Go writes nine digits of a second, more than Python's own clock has.
        created = self.created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f001Z")
        text = json.dumps(
            {
                "ID": self.lock_id,
                "Operation": self.operation,
                "Info": "",
                "Who": self.who,
                "Version": "1.11.4",
                "Created": created,
                "Path": path,
            }
        )
        return base64.b64encode(text.encode()).decode("ascii")


@dataclass(frozen=True, slots=True)
class StateBlob:
    """One state blob, through a client that the caller closes."""

    client: BlobClient

    def exists(self) -> bool:
        return self.client.exists()

    def facts(self) -> BlobFacts:
        """Raise azure.core's ResourceNotFoundError when there is no such blob."""
        properties = self.client.get_blob_properties()
        md5 = properties.content_settings.content_md5
        return BlobFacts(
            etag=properties.etag,
            last_modified=properties.last_modified,
            content_md5=bytes(md5).hex() if md5 is not None else None,
            size_bytes=properties.size,
            lease_state=str(properties.lease.state),
            lease_status=str(properties.lease.status),
            metadata=tuple(sorted((properties.metadata or {}).items())),
        )

    def copy(self) -> StateCopy:
        return StateCopy(content=self.client.download_blob().readall())

    def put_back(self, copy: StateCopy) -> None:
        """Overwrite the state with an older copy, as a restored backup does: nobody checks the serial."""
        self.write(copy.content)

    def write(self, content: bytes) -> None:
        self.client.upload_blob(
            content, overwrite=True, content_settings=ContentSettings(content_type="application/json")
        )

    def take_lock(self, info: LockInfo, *, metadata_key: str = LOCK_METADATA_KEY) -> HeldLock:
        """Lock as the azurerm backend does: a lease without end whose id is the lock's, then the metadata.

        An absent blob is created empty. Raises azure.core's ResourceExistsError when the blob is leased.
        """
        with suppress(ResourceExistsError):
            self.client.upload_blob(b"")
        lease = self.client.acquire_lease(lease_duration=NEVER_EXPIRES, lease_id=info.lock_id)
        metadata = dict(self.client.get_blob_properties().metadata or {})
        metadata[metadata_key] = info.to_metadata_value(f"{self.client.container_name}/{self.client.blob_name}")
        self.client.set_blob_metadata(metadata, lease=lease)
        return HeldLock(info=info, client=self.client, lease=lease)

    @contextmanager
    def held_lock(self, info: LockInfo | None = None) -> Iterator[HeldLock]:
        """Hold the lock for the length of the block. A lock that is taken and never released is an orphan."""
        lock = self.take_lock(info or LockInfo.make())
        try:
            yield lock
        finally:
            lock.release()


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A lock on a state that nobody but its holder ends."""

    info: LockInfo
    client: BlobClient
    lease: BlobLeaseClient

    def release(self) -> None:
        """Remove the metadata, then the lease, in Terraform's order."""
        metadata = self.client.get_blob_properties().metadata or {}
        kept = {key: value for key, value in metadata.items() if key.lower() != LOCK_METADATA_KEY.lower()}
        self.client.set_blob_metadata(kept, lease=self.lease)
        self.lease.release()


def create_containers(service: BlobServiceClient, *names: str) -> None:
    """Create those of the containers that are not there yet. Names have at least three characters."""
    for name in names:
        with suppress(ResourceExistsError):
            service.create_container(name)

"""The little that trueup asks of blob storage, so that Azure, a folder and a test's memory can each give it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from records.readings import BlobFacts, ContentSighting


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobPlace:
    """One blob. ``account_url`` is None in the estate's own storage account."""

    container: str
    name: str
    account_url: str | None = None

    def __str__(self) -> str:
        return f"{self.container}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobPart:
    """A range of a blob's bytes, and the facts that the same response carries; ``facts.size_bytes`` is the whole blob's."""

    content: bytes
    facts: BlobFacts


class BlobStore(Protocol):
    """Reads blobs, and writes them under a condition. Safe to use from many tasks and processes at once."""

    def names(self, *, container: str, prefix: str = "") -> AsyncIterator[str]:
        """Names of the blobs that begin with the prefix, in the order of their characters.

        Raises:
            ContainerMissingError, AccessDeniedError, StoreUnavailableError
        """

    async def read(
        self, place: BlobPlace, *, start_byte: int = 0, length_bytes: int, if_match: str | None = None
    ) -> BlobPart:
        """At most ``length_bytes`` from ``start_byte`` on; a 0-byte blob gives no bytes, and its facts.

        Raises:
            BlobMissingError, ContainerMissingError, AccessDeniedError, AccountNotAllowedError, StoreUnavailableError
            BlobChangedError: its ETag is not ``if_match``.
        """

    async def write(self, place: BlobPlace, content: bytes, *, replaces: str | None, media_type: str) -> str:
        """Writes a whole blob, and returns its new ETag: never over anything but the blob whose ETag is ``replaces``.

        None stands for no blob at all. Where the blob has just this content already, as it has when an answer was lost on the
        way and the request sent again, that is what was asked for.

        Raises:
            BlobChangedError: there is another blob, or one that is gone; nothing was written.
            ContainerMissingError, AccessDeniedError, AccountNotAllowedError, StoreUnavailableError
        """

    async def sightings(self, place: BlobPlace) -> tuple[ContentSighting, ...]:
        """The blob's snapshots and versions; none where the store keeps none.

        Raises:
            StoreError: as `names`.
        """

    async def close(self) -> None: ...

"""Blobs of an estate in Azure Blob Storage."""

import base64
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Protocol
from uuid import uuid4

from azure.core import MatchConditions
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, BlobProperties, ContentSettings
from azure.storage.blob.aio import BlobClient, BlobServiceClient

from adapters.account_urls import is_under, plain_host
from adapters.azure_errors import translated
from adapters.azure_retries import BlobRetryPolicy, RetryLimits, new_transport
from adapters.blob_store import BlobPart, BlobPlace
from records.errors import AccountNotAllowedError, BlobChangedError, BlobMissingError
from records.locks import read_lock
from records.readings import BlobFacts, ContentSighting

_RANGE_NOT_SATISFIABLE: Final = 416
_NAMES_PER_PAGE: Final = 5000
_BLOCK_BYTES: Final = 1024 * 1024
_COMPARED_BYTES: Final = 4 * 1024 * 1024
_UPLOADS: Final[dict[str, Any]] = {"max_single_put_size": _BLOCK_BYTES, "max_block_size": _BLOCK_BYTES}
"""Without these the SDK reads up to 64 MiB of an upload into memory at once."""


class Connect(Protocol):
    """How clients are made: with an identity, or with a connection string."""

    def __call__(self, account_url: str | None) -> BlobServiceClient:
        """A client for the estate's own account (None) or another one."""


class AzureBlobStore:
    """A `BlobStore` on one or more storage accounts.

    A record may name a market's own account. trueup's identity is sent there only when the host ends in one of
    ``allowed_host_suffixes``: else whoever writes a registry record could have a token sent to a host of their own.
    """

    def __init__(self, connect: Connect, *, allowed_host_suffixes: Sequence[str]) -> None:
        self._connect = connect
        self._allowed_host_suffixes = tuple(allowed_host_suffixes)
        self._clients: dict[str | None, BlobServiceClient] = {None: connect(None)}

    async def names(self, *, container: str, prefix: str = "") -> AsyncIterator[str]:
        client = self._client(None, container).get_container_client(container)
        with translated(container):
            async for name in client.list_blob_names(name_starts_with=prefix or None, results_per_page=_NAMES_PER_PAGE):
                yield name

    async def read(
        self, place: BlobPlace, *, start_byte: int = 0, length_bytes: int, if_match: str | None = None
    ) -> BlobPart:
        client = self._client(place.account_url, place).get_blob_client(place.container, place.name)
        unchanged: dict[str, Any] = (
            {"etag": if_match, "match_condition": MatchConditions.IfNotModified} if if_match else {}
        )
        with translated(place):
            try:
                download = await client.download_blob(
                    offset=start_byte, length=length_bytes, max_concurrency=1, **unchanged
                )
            except HttpResponseError as error:
                if error.status_code != _RANGE_NOT_SATISFIABLE or start_byte != 0:
                    raise
                # A blob of 0 bytes has no range at all, and may have been written since.
                facts = _facts(await client.get_blob_properties(**unchanged))
                if facts.size_bytes > 0:
                    return await self.read(place, length_bytes=length_bytes, if_match=if_match)
                return BlobPart(content=b"", facts=facts)
            return BlobPart(content=await download.readall(), facts=_facts(download.properties))

    async def write(self, place: BlobPlace, content: bytes, *, replaces: str | None, media_type: str) -> str:
        client = self._client(place.account_url, place).get_blob_client(place.container, place.name)
        try:
            with translated(place):
                return await _put(client, content, _condition(replaces), media_type)
        except (BlobChangedError, BlobMissingError) as refused:
            # So is a request that did its work, whose answer was lost, and that was sent again.
            etag = await self._etag_of(place, content)
            if etag is None:
                raise BlobChangedError(str(place), refused.reason) from None
            return etag

    async def sightings(self, place: BlobPlace) -> tuple[ContentSighting, ...]:
        client = self._client(place.account_url, place).get_container_client(place.container)
        with translated(place):
            blobs = client.list_blobs(name_starts_with=place.name, include=["snapshots", "versions"])
            return tuple(
                [
                    ContentSighting(at=blob.last_modified, content_md5=_md5_hex(blob))
                    async for blob in blobs
                    if blob.name == place.name
                ]
            )

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()

    async def _etag_of(self, place: BlobPlace, content: bytes) -> str | None:
        """The ETag of the blob where its content is exactly this one."""
        etag: str | None = None
        try:
            for start in range(0, max(len(content), 1), _COMPARED_BYTES):
                part = await self.read(place, start_byte=start, length_bytes=_COMPARED_BYTES, if_match=etag)
                etag = part.facts.etag
                if part.facts.size_bytes != len(content) or part.content != content[start : start + _COMPARED_BYTES]:
                    return None
        except (BlobChangedError, BlobMissingError):
            return None
        return etag

    def _client(self, account_url: str | None, place: object) -> BlobServiceClient:
        host = None if account_url is None else plain_host(account_url, place=place)
        if host is not None and not any(is_under(host, suffix) for suffix in self._allowed_host_suffixes):
            raise AccountNotAllowedError(str(place), f"{host} is not allowed")
        if host not in self._clients:
            self._clients[host] = self._connect(f"https://{host}")
        return self._clients[host]


def connect_with_identity(own_account_url: str, credential: AsyncTokenCredential, limits: RetryLimits) -> Connect:
    """Clients that authenticate with a token: for the estate's own account and for every market's."""

    def connect(account_url: str | None) -> BlobServiceClient:
        return BlobServiceClient(
            account_url or own_account_url,
            credential=credential,
            retry_policy=BlobRetryPolicy(limits),
            transport=new_transport(),
            **_UPLOADS,
        )

    return connect


def connect_with_string(connection_string: str, limits: RetryLimits) -> Connect:
    """Clients of the one account that a connection string names: Azurite, or an account that still allows keys."""

    def connect(account_url: str | None) -> BlobServiceClient:
        if account_url is not None:
            raise AccountNotAllowedError(
                account_url, "a connection string opens no other account; use an identity (ESTATE_ACCOUNT_URL)"
            )
        return BlobServiceClient.from_connection_string(
            connection_string, retry_policy=BlobRetryPolicy(limits), transport=new_transport(), **_UPLOADS
        )

    return connect


def _condition(replaces: str | None) -> dict[str, Any]:
    if replaces is None:
        return {"match_condition": MatchConditions.IfMissing}
    return {"etag": replaces, "match_condition": MatchConditions.IfNotModified}


async def _put(client: BlobClient, content: bytes, condition: dict[str, Any], media_type: str) -> str:
    """Writes a blob in one request, or in blocks that one request makes a blob of; returns its ETag.

    The blocks have names of this write's own. The SDK would number them, and two writers of one blob who send theirs at the
    same moment would then make a blob of both their blocks.
    """
    md5 = hashlib.md5(content, usedforsecurity=False).digest()
    settings = ContentSettings(content_type=media_type, content_md5=bytearray(md5))
    if len(content) <= _BLOCK_BYTES:
        written = await client.upload_blob(content, overwrite=True, content_settings=settings, **condition)
        return str(written["etag"])
    write_id = uuid4().hex
    blocks: list[BlobBlock] = []
    for start in range(0, len(content), _BLOCK_BYTES):
        block = BlobBlock(f"{write_id}-{len(blocks):06d}")
        await client.stage_block(block.id, content[start : start + _BLOCK_BYTES])
        blocks.append(block)
    written = await client.commit_block_list(blocks, content_settings=settings, **condition)
    return str(written["etag"])


def _facts(properties: BlobProperties) -> BlobFacts:
    return BlobFacts(
        name=str(properties.name),
        etag=str(properties.etag),
        last_modified=properties.last_modified,
        size_bytes=_whole_size(properties),
        content_md5=_md5_hex(properties),
        lock=read_lock(leased=properties.lease.state == "leased", metadata=properties.metadata or {}),
    )


def _whole_size(properties: BlobProperties) -> int:
    """The size after the ``/`` of Content-Range; ``size`` is only that of the range."""
    _, slash, total = str(properties.content_range or "").rpartition("/")
    return int(total) if slash else int(properties.size)


def _md5_hex(properties: BlobProperties) -> str | None:
    md5 = properties.content_settings.content_md5
    if not md5:
        return None
    return bytes(md5).hex() if not isinstance(md5, str) else base64.b64decode(md5).hex()

"""Blobs of an estate in Azure Blob Storage."""

import base64
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Protocol

from azure.core import MatchConditions
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobServiceClient

from adapters.account_urls import host_of, is_under
from adapters.azure_errors import translated
from adapters.azure_retries import BlobRetryPolicy, RetryLimits, new_transport
from adapters.blob_store import BlobPart, BlobPlace
from records.errors import AccountNotAllowedError
from records.locks import read_lock
from records.readings import BlobFacts, ContentSighting

_RANGE_NOT_SATISFIABLE: Final = 416
_NAMES_PER_PAGE: Final = 5000
_UPLOADS: Final[dict[str, Any]] = {"max_single_put_size": 1024 * 1024, "max_block_size": 1024 * 1024}
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
                # A blob of 0 bytes has no range at all.
                return BlobPart(content=b"", facts=_facts(await client.get_blob_properties(**unchanged)))
            return BlobPart(content=await download.readall(), facts=_facts(download.properties))

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

    def _client(self, account_url: str | None, place: object) -> BlobServiceClient:
        host = host_of(account_url) if account_url else None
        if account_url is not None and host is None:
            # Not quoted: whatever is not a plain host may hold a signature or a password.
            raise AccountNotAllowedError(str(place), "its account_url is no plain https URL of a host")
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

"""The requests of a reconciliation, recorded as they go out, and sent again by a client that does nothing else."""

import asyncio
import ssl
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from azure.core.pipeline.transport import AioHttpTransport
from yarl import URL

CONNECTIONS = 100
"""As many as azure-core's transport opens."""


@dataclass(frozen=True, slots=True)
class Account:
    """A storage account behind a certificate of its own."""

    connection_string: str
    certificate_file: str

    def environment(self) -> dict[str, str]:
        """The settings that have trueup find this account, and OpenSSL trust it."""
        return {"ESTATE_CONNECTION_STRING": self.connection_string, "SSL_CERT_FILE": self.certificate_file}


@dataclass(frozen=True, slots=True)
class SentRequest:
    """One request as it went over the wire, with its signature."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None


@dataclass(slots=True)
class Recording:
    """What went out and how many bytes of bodies came back."""

    requests: list[SentRequest] = field(default_factory=list)
    body_bytes: dict[str, int] = field(default_factory=dict)

    def body_bytes_of(self, container: str) -> int:
        return sum(count for url, count in self.body_bytes.items() if f"/{container}/" in url)


class RecordingTransport(AioHttpTransport):  # type: ignore[misc]  # azure-core exports it untyped
    """The transport that the product uses, taking notes."""

    def __init__(self, recording: Recording, account: Account) -> None:
        super().__init__()
        # A file in `connection_verify` would have azure-core build an SSL context for every request.
        self.session = aiohttp.ClientSession(connector=connector_trusting(account), trust_env=False)
        self._recording = recording

    async def send(self, request: Any, **config: Any) -> Any:
        body = request.content if hasattr(request, "content") else request.body
        body = body.encode() if isinstance(body, str) else body
        self._recording.requests.append(SentRequest(request.method, request.url, dict(request.headers), body))
        response = await super().send(request, **config)
        size = int(response.headers.get("Content-Length") or 0)
        self._recording.body_bytes[request.url] = self._recording.body_bytes.get(request.url, 0) + size
        return response


def connector_trusting(account: Account) -> aiohttp.TCPConnector:
    trust = ssl.create_default_context(cafile=account.certificate_file)
    return aiohttp.TCPConnector(limit=CONNECTIONS, ssl=trust)


async def send_again(requests: list[SentRequest], account: Account) -> float:
    """Seconds that a bare aiohttp client needs for the same requests, reading every answer to its end."""
    limit = asyncio.Semaphore(CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector_trusting(account)) as session:

        async def send(request: SentRequest) -> None:
            async with (
                limit,
                session.request(
                    request.method, URL(request.url, encoded=True), headers=request.headers, data=request.body
                ) as response,
            ):
                await response.read()
                if response.status >= 500:
                    raise RuntimeError(f"{request.method} {request.url}: {response.status}")

        started = time.perf_counter()
        await asyncio.gather(*map(send, requests))
        return time.perf_counter() - started

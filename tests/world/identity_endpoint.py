"""What App Service, Functions and Container Apps put behind IDENTITY_ENDPOINT, on loopback: `GET /msi/token`.

It speaks the protocol of Microsoft's 'REST endpoint reference' for managed identities in App Service, version 2019-08-01, and
refuses another version in the words that hashicorp/terraform-provider-azurerm#18587 has from Azure. The tokens are shaped as
Entra's are, which is what Azurite looks at; nobody has signed them.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from tests.world.loop_thread import run_in_loop_thread

PATH: Final = "/msi/token"
API_VERSION: Final = "2019-08-01"
CLIENT_ID: Final = "11111111-2222-4333-8444-555555555555"
TENANT_ID: Final = "99999999-8888-4777-8666-555555555555"
_LIFETIME_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    status: int
    message: str


@dataclass(slots=True, kw_only=True)
class IdentityEndpoint:
    """Of an app that has one user-assigned identity. ``failing`` is what it answers instead, to whoever asks as one must."""

    header: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    client_id: str = CLIENT_ID
    url: str = ""
    failing: Refused | None = None
    resources: list[str] = field(default_factory=list)
    """Of which a token was given out, in order."""
    issued: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What the platform tells the app."""
        return {"IDENTITY_ENDPOINT": self.url, "IDENTITY_HEADER": self.header}

    async def handle(self, request: web.Request) -> web.Response:
        why = self._why_not(request)
        if why:
            self.refused.append(why.message)
            return web.json_response({"statusCode": why.status, "message": why.message}, status=why.status)
        resource = request.query["resource"]
        now = int(time.time())
        token = _token(resource, now=now)
        self.resources.append(resource)
        self.issued.append(token)
        return web.json_response(
            {
                "access_token": token,
                "client_id": self.client_id,
                "expires_on": str(now + _LIFETIME_SECONDS),
                "resource": resource,
                "token_type": "Bearer",
            }
        )

    def _why_not(self, request: web.Request) -> Refused | None:
        version = request.query.get("api-version")
        if version != API_VERSION:
            return Refused(status=400, message=f"does not support the API version '{version}'")
        if request.headers.get("X-IDENTITY-HEADER") != self.header:
            return Refused(status=403, message="X-IDENTITY-HEADER is missing or another's")
        if self.failing:
            return self.failing
        if request.query.get("client_id") != self.client_id:
            return Refused(
                status=400, message="No Managed Identity found for specified ClientId/ResourceId/PrincipalId."
            )
        return None


@contextmanager
def run_identity_endpoint() -> Iterator[IdentityEndpoint]:
    with run_in_loop_thread(_serving()) as endpoint:
        yield endpoint


@asynccontextmanager
async def _serving() -> AsyncIterator[IdentityEndpoint]:
    endpoint = IdentityEndpoint()
    app = web.Application()
    app.router.add_get(PATH, endpoint.handle)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
        yield endpoint
    finally:
        await runner.cleanup()


def _token(resource: str, *, now: int) -> str:
    claims = {
        "aud": resource,
        "iss": f"https://sts.windows.net/{TENANT_ID}/",
        "iat": now - 300,
        "nbf": now - 300,
        "exp": now + _LIFETIME_SECONDS,
        "oid": secrets.token_hex(16),
        "tid": TENANT_ID,
    }
    return ".".join((_part({"typ": "JWT", "alg": "RS256"}), _part(claims), secrets.token_urlsafe(64)))


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

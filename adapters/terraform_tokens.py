"""Answers Terraform's requests for a token, on loopback, with tokens of the one identity that it is to have (ADR 18).

It speaks as the metadata service of a machine does, which is what Terraform's azurerm backend and providers expect behind
ARM_MSI_ENDPOINT, and as the endpoint of App Service does, which Microsoft's own clients expect behind IDENTITY_ENDPOINT.

Sources: hashicorp/go-azure-sdk ``sdk/auth/managed_identity_authorizer.go`` and ``sdk/auth/client.go``; Microsoft's 'How to use
managed identities on a VM to acquire an access token' and 'REST endpoint reference' of App Service.
"""

import asyncio
import re
import secrets
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hmac import compare_digest
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import urlsplit

from aiohttp import web

from adapters.terraform_sign_in import SignIn
from records.errors import BundleError

_LOOPBACK: Final = "127.0.0.1"
_KEY_BYTES: Final = 32
_ANSWER_WITHIN_SECONDS: Final = 8.0
"""go-azure-sdk gives a request ten, all its own tries included, and then says no more than that it took too long."""
_CLOSED_WITHIN_SECONDS: Final = 0.1
_RESOURCE_MAX_LENGTH: Final = 512
_RESOURCE = re.compile(
    r"(?:https|api)://[\w.-]+(?::\d+)?(?:/[\w.~/-]*)?|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII
)
"""The URI of an application, or its id."""
_CLIENT_ID: Final = "client_id"
_OTHER_SELECTORS: Final = ("clientid", "object_id", "principal_id", "mi_res_id", "msi_res_id")
"""Ways to name an identity that would have to be looked up before they could be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """``expires_on`` is in seconds since 1970."""

    value: str = field(repr=False)
    expires_on: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoToken:
    """``reason`` goes on where a sentence has a colon, and quotes nothing that a service said."""

    reason: str


class TokenSource(Protocol):
    """An identity; ``client_id`` is None for one that the platform made with the app."""

    @property
    def client_id(self) -> str | None: ...

    async def token_for(self, resource: str) -> Token | NoToken:
        """A token for an application, by its URI or its id. May be cancelled."""


@asynccontextmanager
async def tokens_served(source: TokenSource) -> AsyncIterator[SignIn]:
    """An endpoint of its own address for one folder, gone when the block ends.

    By then Terraform must be dead, and its connections with it. As sockets die with their process, a kill leaves nothing.

    Raises:
        BundleError: on entering: there is no room for one more socket.
    """
    with _listening() as listener:
        endpoint = _Endpoint(source, port=listener.getsockname()[1])
        # The log of requests would have the path in it, which is the key.
        server = web.Server(endpoint.answer, access_log=None)
        listening = await asyncio.get_running_loop().create_server(server, sock=listener, start_serving=False)
        try:
            await listening.start_serving()
            yield endpoint
        finally:
            listening.close()
            await server.shutdown(_CLOSED_WITHIN_SECONDS)


def _listening() -> socket.socket:
    try:
        return socket.create_server((_LOOPBACK, 0))
    except OSError as error:
        raise BundleError(
            f"It cannot be planned: no port to give Terraform its tokens at ({error.strerror}). Check again."
        ) from None


class _Endpoint:
    """A `SignIn`. Who knows its path, or its key where the path is known, may have the identity's tokens."""

    def __init__(self, source: TokenSource, *, port: int) -> None:
        self._source = source
        self._key = secrets.token_urlsafe(_KEY_BYTES)
        self._path = f"/{self._key}/token"
        self._url = f"http://{_LOOPBACK}:{port}{self._path}"
        self._issued: set[str] = set()
        self._failures: dict[str, str] = {}

    @property
    def environment(self) -> Mapping[str, str]:
        return {"ARM_MSI_ENDPOINT": self._url, "IDENTITY_ENDPOINT": self._url, "IDENTITY_HEADER": self._key}

    @property
    def secrets(self) -> frozenset[str]:
        return frozenset({self._key, *self._issued})

    @property
    def failure(self) -> str | None:
        return next(reversed(self._failures.values()), None)

    def next_command(self) -> None:
        self._failures.clear()

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """A refusal has a status after which clients do not ask again: what may pass has been tried again already."""
        if not compare_digest(request.path.encode(), self._path.encode()):
            return _refusal(HTTPStatus.NOT_FOUND, "There is nothing here.")
        # A token for another identity's name must not make up for what this name was refused.
        asked = f"{request.method} {request.query_string}"
        answered = await self._token(request)
        self._failures.pop(asked, None)
        if isinstance(answered, str):
            self._failures[asked] = answered
            return _refusal(HTTPStatus.BAD_REQUEST, answered)
        self._issued.add(answered.value)
        return web.json_response(self._described(answered, request.query["resource"]))

    async def _token(self, request: web.BaseRequest) -> Token | str:
        """Or a sentence on why not."""
        if request.method != "GET":
            return "Tokens are asked for with GET."
        has_key = compare_digest(request.headers.get("X-IDENTITY-HEADER", "").encode(), self._key.encode())
        if request.headers.get("Metadata", "").lower() != "true" and not has_key:
            return "The header `Metadata: true` is missing."
        if not self._is_own(request.query.getall(_CLIENT_ID, [])) or any(
            name in request.query for name in _OTHER_SELECTORS
        ):
            return (
                "a provider asked for the token of another identity than the one that ARM_CLIENT_ID names. Take the identity "
                "out of the provider's block, or give the app that one."
            )
        resources = request.query.getall("resource", [])
        if len(resources) != 1 or len(resources[0]) > _RESOURCE_MAX_LENGTH or not _RESOURCE.fullmatch(resources[0]):
            return (
                "a provider asked for a token and did not say for which application: `resource` is its URI or its id."
            )
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_SECONDS):
                got = await self._source.token_for(resources[0])
        except TimeoutError:
            got = NoToken(reason=f"no answer within {_ANSWER_WITHIN_SECONDS:g} s")
        if isinstance(got, NoToken):
            return (
                f"the app's managed identity gave no token for {urlsplit(resources[0]).netloc or 'an application'}: "
                f"{got.reason}. Look whether the app has the identity that ARM_CLIENT_ID names."
            )
        return got

    def _is_own(self, client_ids: list[str]) -> bool:
        own = (self._source.client_id or "").lower()
        return all(client_id.lower() == own for client_id in client_ids)

    def _described(self, token: Token, resource: str) -> dict[str, str]:
        """The fields of both dialects, all of them strings, as in both."""
        now = int(time.time())
        described = {
            "access_token": token.value,
            "expires_in": str(max(token.expires_on - now, 0)),
            "expires_on": str(token.expires_on),
            "not_before": str(now),
            "resource": resource,
            "token_type": "Bearer",
        }
        return described | ({_CLIENT_ID: self._source.client_id} if self._source.client_id else {})


def _refusal(status: HTTPStatus, why: str) -> web.Response:
    """In the form in which the metadata service refuses."""
    return web.json_response({"error": "invalid_request", "error_description": why}, status=status)

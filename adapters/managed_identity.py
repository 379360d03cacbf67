"""The managed identity that Terraform signs in with where the platform wants to be asked as Terraform cannot ask (ADR 18).

Functions, App Service and Container Apps answer at IDENTITY_ENDPOINT who sends IDENTITY_HEADER; azure-identity does.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.identity.aio import ManagedIdentityCredential

from adapters.azure_retries import RetryLimits
from adapters.terraform_sign_in import OpenSignIn, by_itself
from adapters.terraform_tokens import NoToken, Token, tokens_served

_TRUE: Final = frozenset({"1", "t", "T", "true", "True", "TRUE"})
"""What Go's ``strconv.ParseBool`` takes for true, which reads ARM_USE_MSI."""
_NOTHING_IN_IT: Final = "an answer without a token"


@asynccontextmanager
async def sign_in_of(own: Mapping[str, str], limits: RetryLimits) -> AsyncIterator[OpenSignIn]:
    """How Terraform signs in, by this process's environment ``own``. One identity, and its cache of tokens, is for all folders.

    It is the identity that Terraform would have asked for itself, and never another that happens to be signed in here.
    """
    if not needs_a_hand(own):
        yield by_itself
        return
    client_id = own.get("ARM_CLIENT_ID") or None
    async with ManagedIdentityCredential(client_id=client_id, **limits.policy_options()) as credential:
        source = ManagedIdentityTokens(credential, client_id)
        yield lambda: tokens_served(source)


def needs_a_hand(own: Mapping[str, str]) -> bool:
    """Whether Terraform is told to use a managed identity where it cannot, and nobody has told it of an endpoint."""
    return (
        own.get("ARM_USE_MSI") in _TRUE
        and all(own.get(name) for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"))
        and not own.get("ARM_MSI_ENDPOINT")
    )


class ManagedIdentityTokens:
    """A `TokenSource`."""

    def __init__(self, credential: AsyncTokenCredential, client_id: str | None) -> None:
        self._credential = credential
        self.client_id: Final = client_id

    async def token_for(self, resource: str) -> Token | NoToken:
        try:
            got = await self._credential.get_token(f"{resource}/.default")
        except AzureError as error:
            return NoToken(reason=_reason(error))
        except (KeyError, ValueError):
            # azure-identity reads the answer's fields without looking whether they are there.
            return NoToken(reason=_NOTHING_IN_IT)
        return Token(value=got.token, expires_on=got.expires_on)


def _reason(error: AzureError) -> str:
    """The message quotes the answer, so it is left out."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is None:
        return "its endpoint did not answer"
    return _NOTHING_IN_IT if status == HTTPStatus.OK else f"HTTP {status}"

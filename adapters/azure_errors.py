"""The one place where the Azure SDK's exceptions become trueup's.

Only a 404 that says ``BlobNotFound`` is taken for an absent blob: absence chooses a lower tier of comparison, so a 404 of
any other kind (a container, a proxy, a private endpoint's gateway) must not pass for it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from records.errors import (
    AccessDeniedError,
    BlobChangedError,
    BlobMissingError,
    ContainerMissingError,
    NotSignedInError,
    StoreError,
    StoreUnavailableError,
)

_CONTAINER_CODES: Final = {
    "ContainerNotFound",
    "ContainerBeingDeleted",
    "ContainerDisabled",
    "TableNotFound",
    "TableBeingDeleted",
}
_OF_LEASES: Final = "Lease"
_REASON_MAX_LENGTH: Final = 160
_SIGNATURE = re.compile(r"\b(sig|se|sp|sv|skoid|sktid)=[^&\s]+", re.IGNORECASE)


@contextmanager
def translated(place: object) -> Iterator[None]:
    """Turns what the SDK raises inside into a `StoreError` about ``place``."""
    try:
        yield
    except AzureError as error:
        raise translate(error, str(place)) from None


def translate(error: AzureError, place: str) -> StoreError:
    """The trueup error for an SDK error: by its status and the service's error code, else by its kind."""
    reason = _reason(error)
    if isinstance(error, ClientAuthenticationError) and error.response is not None:
        return AccessDeniedError(place, reason)
    if isinstance(error, ClientAuthenticationError):
        return NotSignedInError(place, reason)
    if not isinstance(error, HttpResponseError):
        return StoreUnavailableError(place, reason)
    match error.status_code, service_code(error):
        case 404 | 409, code if code in _CONTAINER_CODES:
            return ContainerMissingError(place, reason)
        case 404, "BlobNotFound":
            return BlobMissingError(place, reason)
        case 401 | 403, _:
            return AccessDeniedError(place, reason)
        case 412, code if code.startswith(_OF_LEASES):
            return StoreUnavailableError(place, f"{reason}: somebody holds a lease on it")
        case (412, _) | (409, "BlobAlreadyExists") | (400, "InvalidBlockList"):
            return BlobChangedError(place, reason)
        case _:
            return StoreUnavailableError(place, reason)


def service_code(error: HttpResponseError) -> str:
    """The service's own word for what went wrong, such as ``BlobNotFound``; empty where it gave none."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def _reason(error: AzureError) -> str:
    """A line without the service's prose, which can quote a URL with its signature."""
    if isinstance(error, ClientAuthenticationError) and error.response is None:
        return "no identity could sign in"
    if isinstance(error, HttpResponseError) and error.status_code:
        return f"{error.status_code} {service_code(error) or error.reason or ''}".strip()
    first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
    return _SIGNATURE.sub(r"\1=***", first_line)[:_REASON_MAX_LENGTH]

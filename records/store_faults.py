"""What a refusal of storage means for the record that was asked for."""

from typing import Final, NamedTuple

from records.errors import (
    AccessDeniedError,
    AccountNotAllowedError,
    BlobChangedError,
    BlobMissingError,
    ContainerMissingError,
    NotSignedInError,
    RecordError,
    StoreError,
    StoreUnavailableError,
    UnreadableRowError,
)
from records.faults import Fault, FaultCode, RecordKind


class _Meaning(NamedTuple):
    code: FaultCode
    message: str
    remedy: str


_MEANINGS: Final[dict[type[StoreError], _Meaning]] = {
    ContainerMissingError: _Meaning(
        FaultCode.CONTAINER_MISSING,
        "its container is not there",
        "Create the container (it may be empty), or correct its name in the settings or the registry.",
    ),
    AccessDeniedError: _Meaning(
        FaultCode.FORBIDDEN,
        "access was denied",
        "Give trueup's identity the role that docs/configuration.md names, and check the account's network rules.",
    ),
    AccountNotAllowedError: _Meaning(
        FaultCode.ACCOUNT_NOT_ALLOWED,
        "its storage account is not one that trueup may send its identity to",
        "Correct account_url in the registry, or add its host to STATE_ACCOUNT_HOST_SUFFIXES.",
    ),
    BlobChangedError: _Meaning(
        FaultCode.CHANGED_WHILE_READ,
        "it changed while it was read",
        "Run again once nothing writes it.",
    ),
    BlobMissingError: _Meaning(
        FaultCode.VANISHED,
        "it was there, and gone when it was read",
        "Restore the blob's last version, or remove what refers to it.",
    ),
    StoreUnavailableError: _Meaning(
        FaultCode.UNAVAILABLE,
        "storage did not give or take it, after every retry",
        "Check the storage account's health and throttling metrics, then run again.",
    ),
    UnreadableRowError: _Meaning(
        FaultCode.UNAVAILABLE,
        "a row of it cannot be read",
        "Run the version of trueup that wrote the row, or delete it: docs/runbook.md#a-row-that-cannot-be-read.",
    ),
    NotSignedInError: _Meaning(
        FaultCode.UNAVAILABLE,
        "storage was not asked for it",
        "Run `az login`, or give the app a managed identity.",
    ),
}


def told(error: RecordError | StoreError) -> str:
    """An error as a person needs it: with what to do about it."""
    if isinstance(error, RecordError):
        return f"{error}. {error.fault.remedy}"
    return f"{error}. {_MEANINGS[type(error)].remedy}"


def store_fault(error: StoreError, *, kind: RecordKind, blob: str) -> Fault:
    """The fault of a record that storage did not give or take."""
    meaning = _MEANINGS[type(error)]
    return Fault(
        code=meaning.code,
        record=kind,
        blob=blob,
        message=f"{meaning.message} ({error.place}: {error.reason})",
        remedy=meaning.remedy,
    )

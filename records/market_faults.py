"""What is wrong with a market as a whole, or with a name in its folders: the same words wherever it is met."""

from typing import Final

from records.faults import Fault, FaultCode, RecordKind
from records.names import registry_blob, tracker_blob

_SHOWN_NAME_LENGTH: Final = 80


def bad_market_name(market: str) -> Fault:
    """Of a folder, which no blob or row can be named for safely."""
    return _of_registry(
        market,
        FaultCode.INVALID_NAME,
        "the folder is no market's key: segments of lower-case letters, digits and '-', joined by '/'",
        "Rename the market's folder in the registry, and in trackers to match.",
    )


def bad_stack_name(market: str, stack: str) -> Fault:
    """Of a stack in the registry."""
    spelling = shown_name(stack)
    return _of_registry(
        market,
        FaultCode.INVALID_NAME,
        f"{spelling!r} is no stack's name: lower-case letters, digits and '-', 63 at most",
        "Rename the stack in the registry and its tracker to match.",
        field=f"stacks.{spelling}",
    )


def bad_tracker_name(market: str, stack: str) -> Fault:
    """Of a blob below trackers."""
    return Fault(
        code=FaultCode.INVALID_NAME,
        record=RecordKind.TRACKER,
        blob=tracker_blob(market, stack),
        message="the file is no stack's name: lower-case letters, digits and '-', 63 at most",
        remedy="Delete the blob, or rename it and the stack in the registry to match.",
    )


def vanished(market: str) -> Fault:
    """A registry record that was listed, and is not there any more."""
    return _of_registry(
        market,
        FaultCode.VANISHED,
        "it was there, and gone when it was read",
        "Restore the blob's last version, or remove the market's trackers too.",
    )


def not_found(market: str) -> Fault:
    """A market that somebody asked for by name."""
    return _of_registry(
        market,
        FaultCode.NOT_FOUND,
        "there is no record of this market: neither its registry record nor a tracker",
        "Correct the market's name, or restore the blob's last version.",
    )


def shown_name(name: str) -> str:
    """As much of a name as a message may hold."""
    return name if len(name) <= _SHOWN_NAME_LENGTH else f"{name[:_SHOWN_NAME_LENGTH]}…"


def _of_registry(market: str, code: FaultCode, message: str, remedy: str, *, field: str | None = None) -> Fault:
    return Fault(
        code=code, record=RecordKind.REGISTRY, blob=registry_blob(market), field=field, message=message, remedy=remedy
    )

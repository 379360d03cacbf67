"""Names of markets and stacks, and the blobs that their records live in.

A market's key and a stack's name become part of blob names and table keys, so only what matches the patterns here is ever
used to build one.
"""

import re
from typing import Annotated, Final

from pydantic import StringConstraints

_SEGMENT: Final = r"[a-z0-9][a-z0-9-]{0,62}"
MARKET_PATTERN: Final = rf"^{_SEGMENT}(/{_SEGMENT})*$"
STACK_PATTERN: Final = rf"^{_SEGMENT}$"
MARKET_MAX_LENGTH: Final = 400
"""Keeps the names of records under 1,024 characters and every table key under 1 KiB of UTF-16."""

MarketKey = Annotated[str, StringConstraints(pattern=MARKET_PATTERN, max_length=MARKET_MAX_LENGTH)]
StackName = Annotated[str, StringConstraints(pattern=STACK_PATTERN)]

DAILY_RUN: Final = "daily"
REQUESTED_RUN: Final = "request"

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MARKET = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*")
_STACK = re.compile(_SEGMENT)
_REGISTRY_SUFFIX: Final = "/subscription.json"
_TRACKER_SUFFIX: Final = ".json"


def is_market_key(text: str) -> bool:
    return len(text) <= MARKET_MAX_LENGTH and _MARKET.fullmatch(text) is not None


def is_stack_name(text: str) -> bool:
    return _STACK.fullmatch(text) is not None


def is_run_id(text: str) -> bool:
    return _RUN_ID.fullmatch(text) is not None


def is_named_by_the_service(run_id: str) -> bool:
    """Whether a run's id is of the form that the service gives its own runs."""
    return run_id.startswith((f"{DAILY_RUN}-", f"{REQUESTED_RUN}-"))


def registry_blob(market: str) -> str:
    return f"{market}{_REGISTRY_SUFFIX}"


def tracker_blob(market: str, stack: str) -> str:
    return f"{market}/{stack}{_TRACKER_SUFFIX}"


def market_of_registry_blob(blob: str) -> str | None:
    """The market whose registry record this is, as it is spelt there; None where the blob is something else."""
    return blob.removesuffix(_REGISTRY_SUFFIX) if blob.endswith(_REGISTRY_SUFFIX) else None


def market_and_stack_of_tracker_blob(blob: str) -> tuple[str, str] | None:
    """The market and stack that a tracker's blob name claims, as spelt there; None where it is not a tracker."""
    market, slash, file = blob.rpartition("/")
    if not slash or not market or not file.endswith(_TRACKER_SUFFIX):
        return None
    return market, file.removesuffix(_TRACKER_SUFFIX)
